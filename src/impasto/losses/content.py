"""The content loss: the squared difference of activations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from impasto.grids.geometry import Region
from impasto.grids.patch import Patch
from impasto.losses.loss import FAINT, Normalization, Weight, weigh


@dataclass(frozen=True, eq=False)
class Content:
    """J_content of a layer: 1/2 ||a(C) - a(G)||^2 (Gatys et al. 2015, equation 1).

    `mean` divides the sum by positions and channels, `relative` by ||a(C)||^2.

    Attributes:
        target: a(C), or the part of it that this process has.
        power: ||a(C)||^2 over all positions.
        normalization: see `impasto.losses.loss`.
        share: the share of all positions that the sums are over; below 1 where a step looks at some
            slices of a volume.

    Example:
        >>> import torch
        >>> content, g = torch.ones(1, 2, 4, 4), torch.zeros(1, 2, 4, 4)
        >>> loss = Content.of(content, "course")
        >>> loss.score(loss.sums(g, Region.all_of((4, 4))), count=16)
        tensor(16.)
    """

    target: Patch
    power: Float[Tensor, ""]
    normalization: Normalization
    share: float = 1.0
    reach: ClassVar[int] = 0
    shape: ClassVar[tuple[int, ...]] = ()

    @classmethod
    def of(cls, target: Float[Tensor, "1 channel *space"], normalization: Normalization) -> Content:
        """Returns the loss for the content's whole activation."""
        return cls(Patch.whole(target), target.square().sum(), normalization)

    def thin(self, kept: Sequence[int], of: int) -> Content:
        """Returns the loss at some positions along the first axis, scaled to all of them.

        Args:
            kept: the positions.
            of: the number of positions that they were drawn from.
        """
        target = self.target.thin(kept)
        return Content(target, self.power, self.normalization, self.share * len(kept) / of)

    def sums(
        self, activation: Float[Tensor, "1 channel *space"], region: Region, weight: Weight = None
    ) -> Float[Tensor, ""]:
        """Returns the sum of (a(G) - a(C))^2 over the region."""
        target = self.target.over(region).to(activation.device)
        squares: Tensor = _SumOfSquares.apply(activation - target, weight)  # type: ignore[no-untyped-call]
        return squares

    def score(self, sums: Float[Tensor, ""], count: float) -> Float[Tensor, ""]:
        """Returns half the sum, its mean, or its ratio to the target's power; in [0, inf)."""
        sums, count = sums / self.share, count / self.share
        channels = self.target.values.shape[1]
        if self.normalization == "mean":
            return sums / (channels * count)
        if self.normalization == "relative":
            return sums / self.power.clamp_min(FAINT * channels * count)
        return sums / 2


class _SumOfSquares(torch.autograd.Function):
    """A weighed sum of squares whose derivative is one product, where automatic ones are three."""

    @staticmethod
    def forward(ctx: Any, values: Tensor, weight: Weight) -> Tensor:
        ctx.save_for_backward(values, weight)
        return weigh(values.square(), weight).sum()

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        values, weight = ctx.saved_tensors
        return weigh(values * (2 * gradient), weight), None
