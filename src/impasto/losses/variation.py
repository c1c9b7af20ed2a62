"""Total variation: how far neighbors are apart."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.grids.geometry import Region
from impasto.losses.loss import Normalization, Weight, weigh


@dataclass(frozen=True, eq=False)
class TotalVariation:
    """TV = sum over positions and axes of |x[i + 1] - x[i]|^p (Mahendran and Vedaldi 2015).

    power: p; 2 spreads a step over many positions, 1 lets edges stand.
    """

    power: float
    normalization: Normalization
    reach: ClassVar[int] = 1
    shape: ClassVar[tuple[int, ...]] = ()

    def sums(
        self, activation: Float[Tensor, "1 channel *space"], region: Region, weight: Weight = None
    ) -> Float[Tensor, ""]:
        """The sum over the differences that start inside the region.

        A difference counts as much as the one of its positions that counts less.
        """
        total = activation.new_zeros(())
        for axis in range(len(region.space)):
            dim = axis + 2
            steps = _along(activation, region, axis).diff(dim=dim).abs().pow(self.power)
            both = None
            if weight is not None:
                here = _along(weight, region, axis)
                length = steps.shape[dim]
                both = torch.minimum(here.narrow(dim, 0, length), here.narrow(dim, 1, length))
            total = total + weigh(steps, both).sum()
        return total

    def score(self, sums: Float[Tensor, ""], count: float) -> Float[Tensor, ""]:
        """The sum, or its mean over positions; in [0, inf)."""
        return sums / count if self.normalization in ("mean", "relative") else sums


def _along(values: Tensor, region: Region, axis: int) -> Tensor:
    """Values that reach beyond the region cut to it along all axes but one."""
    for other, length in enumerate(region.space):
        if other != axis:
            values = values.narrow(other + 2, 0, length)
    return values
