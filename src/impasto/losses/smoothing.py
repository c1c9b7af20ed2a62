"""Losses on smoothed activations (Wang, Li and Vasconcelos 2021, Rethinking and Improving the
Robustness of Image Style Transfer), for residual networks.

Their few large peaks decide what a Gram matrix or a squared error says; a softmax over all
channels and positions gives them less of it:

    sigma(F) = exp(F) / (mean over channels and positions of exp(F))

which is the paper's softmax times the number of values, so that weights mean the same at any size.
The mean is a sum that is known when the score is taken, so these are sums and a score as in
`losses`. Exponentials are of F - top, the target's largest value, which cancels.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.grids.geometry import Region
from impasto.grids.parallel import ALONE, Group
from impasto.grids.patch import Patch
from impasto.losses.gram import Gram, MetricGram
from impasto.losses.loss import Normalization, Weight, weigh

LARGEST = 30.0
"""What F - top is clamped to: exp(30)^2, and sums of that, are numbers of float32 still. By no
less than exp(-30), of the target's, is anything divided."""


@dataclass(frozen=True, eq=False)
class SmoothGram:
    """The distance of Gram matrices of sigma.

    gram: that of `Gram`, for the style's sigma. top: the style's largest value.
    """

    gram: Gram
    top: float
    reach: ClassVar[int] = 0

    @classmethod
    def of(
        cls, sums: Float[Tensor, "augmented augmented"], top: float, normalization: Normalization
    ) -> SmoothGram:
        """The loss for a style of those sums."""
        return cls(Gram(_gram_of_sigma(sums), normalization), top)

    @property
    def shape(self) -> tuple[int, ...]:
        """(channel + 1, channel + 1)."""
        rows, columns = self.gram.shape
        return rows + 1, columns + 1

    def sums(
        self, activation: Float[Tensor, "1 channel *space"], region: Region, weight: Weight = None
    ) -> Float[Tensor, "augmented augmented"]:
        """The sum over the region's positions of [e 1] [e 1]^T, e = exp(F - top)."""
        return exponential_products(activation, region, weight, self.top)

    def score(self, sums: Float[Tensor, "augmented augmented"], count: float) -> Float[Tensor, ""]:
        """The squared Frobenius distance, normalized; in [0, inf)."""
        return self.gram.score(count * _gram_of_sigma(sums), count)


@dataclass(frozen=True, eq=False)
class SmoothContent:
    """The squared error of sigma: half of it, or over that of the content from 0.

    target: the content's F, all of it or the part that is looked at here. top: its largest value.
    power, total: the sums over all of it of e^2 and of e = exp(F - top). share: how much of all
    that the sums are of.
    """

    target: Patch
    top: float
    power: float
    total: float
    normalization: Normalization
    share: float = 1.0
    reach: ClassVar[int] = 0
    shape: ClassVar[tuple[int, ...]] = (3,)

    @classmethod
    def of(
        cls,
        target: Patch,
        normalization: Normalization,
        weight: Weight = None,
        group: Group = ALONE,
    ) -> SmoothContent:
        """The loss for a content of which each process has its part."""
        values = target.values.to(torch.promote_types(target.values.dtype, torch.float32))
        top = largest(peak(values)[None], group).item()
        e = exponentials(values, top)
        power, total = group.total(_totals(e, e, weight)[1:]).tolist()
        return cls(target, top, power, total, normalization)

    def thin(self, kept: Sequence[int], of: int) -> SmoothContent:
        """The loss for some positions along the first axis, drawn out of `of`, as if for all."""
        return replace(self, target=self.target.thin(kept), share=self.share * len(kept) / of)

    def sums(
        self, activation: Float[Tensor, "1 channel *space"], region: Region, weight: Weight = None
    ) -> Float[Tensor, "3"]:
        """The sums over the region of e(G) e(C), of e(G)^2 and of e(G)."""
        own = self.target.over(region).to(activation.dtype)
        return _totals(exponentials(own, self.top), exponentials(activation, self.top), weight)

    def score(self, sums: Float[Tensor, "3"], count: float) -> Float[Tensor, ""]:
        """The sum of (sigma(G) - sigma(C))^2, or half of it; in [0, inf)."""
        both, power, total = sums / self.share
        ratio = self.total / total.clamp_min(self.total * math.exp(-LARGEST))
        distance: Tensor = self.power + ratio * (ratio * power - 2 * both)
        if self.normalization == "relative":
            return distance / self.power
        numbers = self.target.values.shape[1] * count / self.share
        distance = distance / (self.total / numbers) ** 2
        return distance / numbers if self.normalization == "mean" else distance / 2


def exponentials(
    activation: Float[Tensor, "1 channel *space"], top: float
) -> Float[Tensor, "1 channel *space"]:
    """exp(F - top), of no more than exp(LARGEST)."""
    return (activation - top).clamp(max=LARGEST).exp()


def exponential_products(
    activation: Float[Tensor, "1 channel *space"], region: Region, weight: Weight, top: float
) -> Float[Tensor, "augmented augmented"]:
    """The sums of `SmoothGram`."""
    return MetricGram.sums(exponentials(activation, top), region, weight)


def peak(values: Tensor) -> Float[Tensor, ""]:
    """The largest value; -inf where there is none."""
    return values.amax().double() if values.numel() else torch.tensor(-torch.inf).double()


def largest(values: Float[Tensor, " layer"], group: Group) -> Float[Tensor, " layer"]:
    """Of each the largest that a process has."""
    all_values = torch.zeros((group.size, len(values)), dtype=torch.float64)
    all_values[group.rank] = values
    return group.total(all_values).amax(0)


def _gram_of_sigma(sums: Tensor) -> Tensor:
    """The mean over positions of sigma sigma^T, from the sums of [e 1] [e 1]^T."""
    count = sums[-1, -1]
    mean = sums[:-1, -1].sum() / ((len(sums) - 1) * count)
    return sums[:-1, :-1] / count / mean.clamp_min(math.exp(-LARGEST)).square()


def _totals(one: Tensor, other: Tensor, weight: Weight) -> Tensor:
    """The sums of the one times the other, of the other squared and of the other; in float64, for
    where G is near C they are nearly alike."""
    parts = (one * other, other.square(), other)
    return torch.stack([weigh(part, weight).sum(dtype=torch.float64) for part in parts])
