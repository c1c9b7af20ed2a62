"""The content loss: the squared difference of activations."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar

from jaxtyping import Float
from torch import Tensor

from impasto.grids.geometry import Region
from impasto.grids.patch import Patch
from impasto.losses.loss import FAINT, Normalization, Weight, weigh


@dataclass(frozen=True, eq=False)
class Content:
    """J_content = 1/2 ||a(C) - a(G)||^2 (Gatys 2015, equation 1), or over ||a(C)||^2.

    target: the content's activation a(C), all of it or the part that is looked at here. power:
    ||a(C)||^2 over all of it. share: of all positions, those that the sums are to be over.
    """

    target: Patch
    power: Float[Tensor, ""]
    normalization: Normalization
    share: float = 1.0
    reach: ClassVar[int] = 0
    shape: ClassVar[tuple[int, ...]] = ()

    @classmethod
    def of(cls, target: Float[Tensor, "1 channel *space"], normalization: Normalization) -> Content:
        """The loss for the content's whole activation."""
        return cls(Patch.whole(target), target.square().sum(), normalization)

    def thin(self, kept: Sequence[int], of: int) -> Content:
        """The loss for some positions along the first axis, drawn out of `of`, as if for all."""
        target = self.target.thin(kept)
        return Content(target, self.power, self.normalization, self.share * len(kept) / of)

    def sums(
        self, activation: Float[Tensor, "1 channel *space"], region: Region, weight: Weight = None
    ) -> Float[Tensor, ""]:
        """The sum of (a(G) - a(C))^2 over the region."""
        return weigh((activation - self.target.over(region)).square(), weight).sum()

    def score(self, sums: Float[Tensor, ""], count: float) -> Float[Tensor, ""]:
        """Half the sum, its mean, or the sum over the target's squared norm; in [0, inf)."""
        sums, count = sums / self.share, count / self.share
        channels = self.target.values.shape[1]
        if self.normalization == "mean":
            return sums / (channels * count)
        if self.normalization == "relative":
            return sums / self.power.clamp_min(FAINT * channels * count)
        return sums / 2
