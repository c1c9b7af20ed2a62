"""Total variation: the differences between neighboring values."""

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

    Attributes:
        power: p. With 2, an edge spreads over many positions; with 1, edges stay sharp.
        normalization: `mean` and `relative` divide by the number of positions.

    Example:
        >>> import torch
        >>> loss = TotalVariation(1.0, "course")
        >>> loss.sums(torch.tensor([[[0.0, 1.0, 3.0]]]), Region.all_of((3,)))
        tensor(3.)
    """

    power: float
    normalization: Normalization
    reach: ClassVar[int] = 1
    shape: ClassVar[tuple[int, ...]] = ()

    def sums(
        self, activation: Float[Tensor, "1 channel *space"], region: Region, weight: Weight = None
    ) -> Float[Tensor, ""]:
        """Returns the sum over the differences that start inside the region.

        Each difference has the smaller of the weights of its two positions.
        """
        total = activation.new_zeros(())
        for axis in range(len(region.space)):
            dim = axis + 2
            steps = _cut_all_but(activation, region, axis).diff(dim=dim).abs().pow(self.power)
            both = None
            if weight is not None:
                here = _cut_all_but(weight, region, axis)
                length = steps.shape[dim]
                both = torch.minimum(here.narrow(dim, 0, length), here.narrow(dim, 1, length))
            total = total + weigh(steps, both).sum()
        return total

    def score(self, sums: Float[Tensor, ""], count: float) -> Float[Tensor, ""]:
        """Returns the sum, or its mean over positions; in [0, inf)."""
        return sums / count if self.normalization in ("mean", "relative") else sums


def _cut_all_but(values: Tensor, region: Region, axis: int) -> Tensor:
    """Cuts values that reach beyond the region to the region, along all axes but one."""
    for other, length in enumerate(region.space):
        if other != axis:
            values = values.narrow(other + 2, 0, length)
    return values
