"""Losses: sums over positions, and a score of those sums.

`sums` adds over disjoint regions, and `score` sees nothing but the sums and the number of
positions, so a sample is evaluated whole, region by region or spread over machines by one
function. A loss that reaches beyond a position says how far in `reach`: the activation it is
given, and the weight where there is one, then cover `region.grown(reach)`.

A weight, shape (1, 1, *space), is how much each position counts, from 0 to 1: 0 in the gaps of a
signal, say. The count that `score` is given is then the sum of the weights.

The four normalizations of a score:

    course    the formulas of Gatys 2015 as taught: 1/2 of the content's squared error, Gram
              matrices over (2 n_H n_W n_C)^2, total variation as a plain sum
    notes     the same with Gram matrices over (2 n_H n_W)^2: the channel count is left to lambda
    mean      each a mean over positions and channels, of activations as they are: with layers
              brought to a mean of one, weights mean the same whatever the size or network, and
              what is strong in a style counts most
    relative  each distance over the squared norm of its own target, total variation a mean over
              positions: what alpha, beta, gamma mean stays the same whatever the size, layer or
              network
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar, Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.geometry import Region
from impasto.patch import Patch

Normalization = Literal["mean", "relative", "course", "notes"]

Weight = Float[Tensor, "1 1 *space"] | None

FAINT = 1e-6
"""Mean square below which a target counts as silent: nothing is divided by less."""


@runtime_checkable
class Loss(Protocol):
    """A set of sums over positions, and a score of those sums."""

    @property
    def reach(self) -> int:
        """How far beyond a region its sums look."""

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape of the sums."""

    def sums(
        self, activation: Float[Tensor, "1 channel *space"], region: Region, weight: Weight = None
    ) -> Tensor:
        """The sums over the region; they add over disjoint regions."""

    def score(self, sums: Tensor, count: float) -> Float[Tensor, ""]:
        """The loss, from the sums over all of `count` positions."""


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

    def thinned(self, kept: Sequence[int], of: int) -> Content:
        """The loss for some positions along the first axis, drawn out of `of`, as if for all."""
        target = self.target.thinned(kept)
        return Content(target, self.power, self.normalization, self.share * len(kept) / of)

    def sums(
        self, activation: Float[Tensor, "1 channel *space"], region: Region, weight: Weight = None
    ) -> Float[Tensor, ""]:
        """The sum of (a(G) - a(C))^2 over the region."""
        return weighted((activation - self.target.over(region)).square(), weight).sum()

    def score(self, sums: Float[Tensor, ""], count: float) -> Float[Tensor, ""]:
        """Half the sum, its mean, or the sum over the target's squared norm; in [0, inf)."""
        sums, count = sums / self.share, count / self.share
        channels = self.target.values.shape[1]
        if self.normalization == "mean":
            return sums / (channels * count)
        if self.normalization == "relative":
            return sums / self.power.clamp_min(FAINT * channels * count)
        return sums / 2


@dataclass(frozen=True, eq=False)
class Gram:
    """J_style of a layer: the distance of Gram matrices (Gatys 2015, equations 3 and 4).

    target: the style's Gram matrix over its number of positions, shape (channel, channel). Both
    matrices are taken per position, so S and G may differ in size; where they do not, `course`
    is the published 1/(2 n_H n_W n_C)^2 ||Gram(S) - Gram(G)||_F^2 to the letter.
    """

    target: Float[Tensor, "channel channel"]
    normalization: Normalization
    reach: ClassVar[int] = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """(channel, channel)."""
        return tuple(self.target.shape)

    @staticmethod
    def sums(
        activation: Float[Tensor, "1 channel *space"], region: Region, weight: Weight = None
    ) -> Float[Tensor, "channel channel"]:
        """Gram_kk' = sum over the region's positions of a_k a_k'."""
        return _products(_rows(activation), weight)

    def score(self, sums: Float[Tensor, "channel channel"], count: float) -> Float[Tensor, ""]:
        """The squared Frobenius distance, normalized; in [0, inf)."""
        return ((sums / count - self.target) * self._scale).square().sum()

    @cached_property
    def _scale(self) -> Tensor | float:
        """What the distance is in units of."""
        match self.normalization:
            case "mean":
                return 1 / self.target.shape[0]
            case "course":
                return 1 / (2 * self.target.shape[0])
            case "notes":
                return 1 / 2
            case "relative":
                # Channels count alike: each is brought to about one by the style's own power,
                # else the strongest (plain brightness, as a rule) drown all texture.
                power = self.target.diagonal()
                scale = (power + 0.1 * power.mean()).clamp_min(FAINT).rsqrt()
                scales = scale[:, None] * scale
                norm = (scales * self.target).square().sum()
                return scales / norm.clamp_min(FAINT).sqrt()


@dataclass(frozen=True, eq=False)
class MetricGram:
    """J_style of a layer as a wider network would measure it, from the narrow one's activations.

    Where W' = [W b] predicts the wide network's activations from [a 1], its Gram matrices are
    W' M W'^T of the small matrices M = sum of [a 1] [a 1]^T, and any `root` with
    root^T root = W'^T W' gives their distance. The score is relative to the style's own norm.

    target: M of the style over its number of positions, shape (channel + 1, channel + 1).
    root: of that shape too; a network carries one per layer as its `metrics`.
    """

    target: Float[Tensor, "augmented augmented"]
    root: Float[Tensor, "augmented augmented"]
    reach: ClassVar[int] = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """(channel + 1, channel + 1)."""
        return tuple(self.target.shape)

    @staticmethod
    def sums(
        activation: Float[Tensor, "1 channel *space"], region: Region, weight: Weight = None
    ) -> Float[Tensor, "augmented augmented"]:
        """M = sum over the region's positions of [a 1] [a 1]^T."""
        rows = _rows(activation)
        totals = weighted(rows, None if weight is None else weight.reshape(-1, 1)).sum(0)[:, None]
        count = rows.new_full((1, 1), len(rows)) if weight is None else weight.sum().reshape(1, 1)
        products = _products(rows, weight)
        return torch.cat([torch.cat([products, totals], 1), torch.cat([totals.T, count], 1)])

    def score(self, sums: Float[Tensor, "augmented augmented"], count: float) -> Float[Tensor, ""]:
        """||root (M(G) - M(S)) root^T||_F^2 / ||root M(S) root^T||_F^2, in [0, inf)."""
        difference = self.root @ (sums / count - self.target) @ self.root.T
        norm = (self.root @ self.target @ self.root.T).square().sum()
        return difference.square().sum() / norm.clamp_min(FAINT)


def _rows(activation: Float[Tensor, "1 channel *space"]) -> Float[Tensor, "position channel"]:
    """A row a position, in the order that the activation has in memory: a view, or a plain copy
    where it is a part of a larger one."""
    if activation.stride(1) == 1:
        return activation.squeeze(0).movedim(0, -1).flatten(0, -2)
    return activation.squeeze(0).flatten(1).T


def exact(activation: Tensor) -> Tensor:
    """The activation, in float32 where it is in bfloat16."""
    return activation.float() if activation.dtype is torch.bfloat16 else activation


def weighted(values: Tensor, weight: Tensor | None) -> Tensor:
    """The values, each times its position's weight where there is one."""
    return values if weight is None else values * weight


def _products(
    rows: Float[Tensor, "position channel"], weight: Weight
) -> Float[Tensor, "channel channel"]:
    """rows^T rows, whose derivative takes one product of that size instead of two.

    That of X^T rows with X held fixed, twice, is the same once it is made symmetric.
    """
    fixed = weighted(rows.detach(), None if weight is None else weight.reshape(-1, 1))
    half = fixed.T @ rows
    products = 2 * half - half.detach()
    return (products + products.T) / 2


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
            total = total + weighted(steps, both).sum()
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
