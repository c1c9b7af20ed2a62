"""What a loss is: sums over positions, and a score computed from those sums.

`sums` of disjoint regions add up, and `score` sees only the total and the number of positions.
Therefore one function evaluates a sample whole, region by region or spread over machines. A loss
may look beyond the region by `reach` positions; it then gets the activation, and the weight if
there is one, over `region.grow(reach)`.

A weight, shape (1, 1, *space), is how much each position counts, in [0, 1]; in a gap of a signal it
is 0. `score` then gets the sum of the weights as the number of positions.

The four normalizations of a score:

    course    the formulas of Gatys et al. 2015 as taught: half of the content's squared error, Gram
              matrices divided by (2 n_H n_W n_C)^2, total variation as a plain sum
    notes     the same, with Gram matrices divided by (2 n_H n_W)^2: lambda carries the channels
    mean      means over positions and channels. Where layers have a mean of 1, weights mean the
              same for every size and network, and strong features of a style count most
    relative  each distance is divided by the squared norm of its target, and total variation by the
              number of positions: alpha, beta and gamma mean the same for every size, layer and
              network
"""

from __future__ import annotations

from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.grids.geometry import Region

Normalization = Literal["mean", "relative", "course", "notes"]
"""How a score is normalized; the module's docstring explains each."""


Weight = Float[Tensor, "1 1 *space"] | None
"""How much each position counts, in [0, 1]; None for 1 everywhere."""


FAINT = 1e-6
"""Mean square below which a target counts as silent; no divisor is smaller."""


@runtime_checkable
class Loss(Protocol):
    """A set of sums over positions, and a score computed from them.

    Attributes:
        reach: how many positions beyond a region its sums look at.
        shape: the shape of the sums.
    """

    @property
    def reach(self) -> int:
        """How many positions beyond a region its sums look at."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the sums."""

    def sums(
        self, activation: Float[Tensor, "1 channel *space"], region: Region, weight: Weight = None
    ) -> Tensor:
        """Returns the sums over a region; those of disjoint regions add up.

        Args:
            activation: shape (1, channel, *space), over `region.grow(reach)`.
            region: the region.
            weight: how much each position counts, over `region.grow(reach)`.
        """

    def score(self, sums: Tensor, count: float) -> Float[Tensor, ""]:
        """Returns the loss.

        Args:
            sums: the sums over all positions.
            count: the number of positions, or the sum of their weights.
        """


def exact(activation: Tensor) -> Tensor:
    """Returns the activation; bfloat16 becomes float32."""
    return activation.float() if activation.dtype is torch.bfloat16 else activation


def weigh(values: Tensor, weight: Tensor | None) -> Tensor:
    """Returns each value times the weight of its position."""
    return values if weight is None else values * weight
