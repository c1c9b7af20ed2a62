"""Losses on smoothed activations, for residual networks.

The source is Wang, Li and Vasconcelos 2021, Rethinking and improving the robustness of image style
transfer. In residual networks a few large peaks decide a Gram matrix or a squared error. A softmax
over all channels and positions makes the peaks smaller:

    sigma(F) = exp(F) / (mean over channels and positions of exp(F))

It is the paper's softmax times the number of values, so that weights mean the same for every size.
The mean is a sum that the score knows, so these losses are sums and a score as well
(`impasto.losses.loss`). The code computes exp(F - top), where top is the target's largest value,
since that factor cancels.
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
from impasto.system.devices import home_of_sums

LARGEST = 30.0
"""The largest F - top. Sums of exp(30)^2 still fit into float32.

Divisors are at least exp(-30) times the target's.
"""


@dataclass(frozen=True, eq=False)
class SmoothGram:
    """The distance of the Gram matrices of sigma.

    Attributes:
        gram: the loss `Gram` for the style's sigma.
        top: the style's largest activation.
    """

    gram: Gram
    top: float
    reach: ClassVar[int] = 0

    @classmethod
    def of(
        cls, sums: Float[Tensor, "augmented augmented"], top: float, normalization: Normalization
    ) -> SmoothGram:
        """Returns the loss for a style with these sums."""
        return cls(Gram(_gram_of_sigma(sums), normalization), top)

    @property
    def shape(self) -> tuple[int, ...]:
        """(channel + 1, channel + 1)."""
        rows, columns = self.gram.shape
        return rows + 1, columns + 1

    def sums(
        self, activation: Float[Tensor, "1 channel *space"], region: Region, weight: Weight = None
    ) -> Float[Tensor, "augmented augmented"]:
        """Returns the sum over the region's positions of [e 1] [e 1]^T, where e = exp(F - top)."""
        return exponential_products(activation, region, weight, self.top)

    def score(self, sums: Float[Tensor, "augmented augmented"], count: float) -> Float[Tensor, ""]:
        """Returns the normalized squared Frobenius distance, in [0, inf)."""
        return self.gram.score(count * _gram_of_sigma(sums), count)


@dataclass(frozen=True, eq=False)
class SmoothContent:
    """The squared error of sigma.

    `relative` divides it by the power of the content's sigma; `course` and `notes` halve it.

    Attributes:
        target: the content's F, or the part of it that this process has.
        top: the content's largest activation.
        power: the sum of e^2 over all positions, where e = exp(F - top).
        total: the sum of e over all positions.
        normalization: see `impasto.losses.loss`.
        share: the share of all positions that the sums are over.
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
        """Returns the loss for a content.

        Args:
            target: the part of the content that this process has.
            normalization: see `impasto.losses.loss`.
            weight: how much each position counts.
            group: the processes that share the content.
        """
        values = target.values.to(torch.promote_types(target.values.dtype, torch.float32))
        weight = None if weight is None else weight.to(values.device)
        top = largest(peak(values)[None], group).item()
        e = exponentials(values, top)
        power, total = group.total(_totals(e, e, weight)[1:]).tolist()
        return cls(target, top, power, total, normalization)

    def thin(self, kept: Sequence[int], of: int) -> SmoothContent:
        """Returns the loss at some positions along the first axis, scaled to all of them.

        Args:
            kept: the positions.
            of: the number of positions that they were drawn from.
        """
        return replace(self, target=self.target.thin(kept), share=self.share * len(kept) / of)

    def sums(
        self, activation: Float[Tensor, "1 channel *space"], region: Region, weight: Weight = None
    ) -> Float[Tensor, "3"]:
        """Returns the sums over the region of e(G) e(C), of e(G)^2 and of e(G)."""
        own = self.target.over(region).to(activation)
        return _totals(exponentials(own, self.top), exponentials(activation, self.top), weight)

    def score(self, sums: Float[Tensor, "3"], count: float) -> Float[Tensor, ""]:
        """Returns the normalized sum of (sigma(G) - sigma(C))^2, in [0, inf)."""
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
    """Returns exp(F - top), at most exp(LARGEST)."""
    return (activation - top).clamp(max=LARGEST).exp()


def exponential_products(
    activation: Float[Tensor, "1 channel *space"], region: Region, weight: Weight, top: float
) -> Float[Tensor, "augmented augmented"]:
    """Returns the sums of `SmoothGram`."""
    return MetricGram.sums(exponentials(activation, top), region, weight)


def peak(values: Tensor) -> Float[Tensor, ""]:
    """Returns the largest value; -inf where there is none."""
    home = home_of_sums(values.device)
    if not values.numel():
        return torch.tensor(-torch.inf, dtype=torch.float64, device=home)
    return values.amax().to(home).double()


def largest(values: Float[Tensor, " layer"], group: Group) -> Float[Tensor, " layer"]:
    """Returns for each layer the largest value that any process has."""
    shape = group.size, len(values)
    all_values = torch.zeros(shape, dtype=torch.float64, device=values.device)
    all_values[group.rank] = values
    return group.total(all_values).amax(0)


def _gram_of_sigma(sums: Tensor) -> Tensor:
    """Returns the mean over positions of sigma sigma^T, from the sums of [e 1] [e 1]^T."""
    count = sums[-1, -1]
    mean = sums[:-1, -1].sum() / ((len(sums) - 1) * count)
    return sums[:-1, :-1] / count / mean.clamp_min(math.exp(-LARGEST)).square()


def _totals(one: Tensor, other: Tensor, weight: Weight) -> Tensor:
    """Returns the sums of one * other, of other^2 and of other, in float64.

    Where G is near C they are nearly equal, so float32 would leave little of their difference.
    """
    parts = (one * other, other.square(), other)
    home = home_of_sums(one.device)
    return torch.stack([weigh(part, weight).to(home).sum(dtype=torch.float64) for part in parts])
