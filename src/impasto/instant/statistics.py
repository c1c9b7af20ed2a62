"""What instant knows of a picture: sums over positions, which add over tiles and pictures."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from impasto.instant.encoder import Activations, Tap
from impasto.instant.transport import Gaussian
from impasto.losses.gram import rows_of
from impasto.system.devices import CPU, home_of_sums

ROWS = 1 << 13
"""Positions that are summed together, so that they stay in the cache."""


@dataclass(frozen=True, eq=False)
class Sums:
    """For each tap the sum over positions of [f 1] [f 1]^T.

    Attributes:
        by_tap: in double precision, shape (tap.width + 1, tap.width + 1).
    """

    by_tap: dict[Tap, Float64[Tensor, "augmented augmented"]]

    def __add__(self, other: Sums) -> Sums:
        """Returns the sums over both."""
        return Sums({tap: total + other.by_tap[tap] for tap, total in self.by_tap.items()})

    @property
    def empty(self) -> bool:
        """Whether no position counts."""
        return any(float(total[-1, -1]) <= 0 for total in self.by_tap.values())

    def gaussian(self, tap: Tap) -> Gaussian:
        """Returns the distribution of a tap's activations."""
        return Gaussian.of(self.by_tap[tap])

    @classmethod
    def of(cls, activations: Activations, weights: dict[int, Tensor | None]) -> Sums:
        """Adds up the activations of one picture.

        Args:
            activations: shape (1, tap.width, h, w).
            weights: by stride how much each position counts, shape (1, 1, h, w); None for 1.
        """
        return cls({tap: products(f, weights[tap.stride]) for tap, f in activations.items()})


@dataclass(frozen=True, eq=False)
class Statistics:
    """A style, or a region of it.

    Attributes:
        sizes: the sums at its own size, at half of it, and so on.
    """

    sizes: Sequence[Sums]

    def __add__(self, other: Statistics) -> Statistics:
        """Returns the statistics of both together, at the sizes that both have."""
        pairs = zip(self.sizes, other.sizes, strict=False)
        return Statistics([one + another for one, another in pairs])

    def at(self, size: int) -> Sums:
        """Returns the sums at a size, or at the smallest there is."""
        return self.sizes[min(size, len(self.sizes) - 1)]


def products(
    f: Float[Tensor, "1 channel h w"], weight: Float[Tensor, "1 1 h w"] | None
) -> Float64[Tensor, "augmented augmented"]:
    """Returns the sum over positions of weight [f 1] [f 1]^T, in double precision.

    It is in memory, where small matrices are fast, wherever the activations are.
    """
    rows = rows_of(f.detach())
    width, home = rows.shape[1], home_of_sums(f.device)
    total = torch.zeros((width + 1, width + 1), dtype=torch.float64, device=home)
    each = None if weight is None else weight.flatten().to(home).double()
    for first in range(0, len(rows), ROWS):
        part = rows[first : first + ROWS].to(home).double()
        weighed = part if each is None else part * each[first : first + ROWS, None]
        total[:-1, :-1] += weighed.T @ part
        total[:-1, -1] += weighed.sum(0)
    total[-1, :-1] = total[:-1, -1]
    total[-1, -1] = len(rows) if each is None else each.sum()
    return total.to(CPU)
