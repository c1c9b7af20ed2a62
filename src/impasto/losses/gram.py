"""Style as Gram matrices, the correlations between channels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.grids.geometry import Region
from impasto.losses.loss import FAINT, Normalization, Weight, weigh


def equalizing(
    target: Float[Tensor, "channel channel"],
) -> Float[Tensor, "channel channel"]:
    """What a Gram matrix is multiplied by, entry by entry, so that channels count alike.

    Each channel is brought to about one by the style's own power; else the strongest, plain
    brightness as a rule, drown all texture.

    Args:
        target: the style's Gram matrix, a mean over positions.
    """
    power = target.diagonal()
    scale = (power + 0.1 * power.mean()).clamp_min(FAINT).rsqrt()
    return scale[:, None] * scale


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
        return products(rows_of(activation), weight)

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
                scales = equalizing(self.target)
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
        rows = rows_of(activation)
        totals = weigh(rows, None if weight is None else weight.reshape(-1, 1)).sum(0)[:, None]
        count = rows.new_full((1, 1), len(rows)) if weight is None else weight.sum().reshape(1, 1)
        inner = products(rows, weight)
        return torch.cat([torch.cat([inner, totals], 1), torch.cat([totals.T, count], 1)])

    def score(self, sums: Float[Tensor, "augmented augmented"], count: float) -> Float[Tensor, ""]:
        """||root (M(G) - M(S)) root^T||_F^2 / ||root M(S) root^T||_F^2, in [0, inf)."""
        difference = self.root @ (sums / count - self.target) @ self.root.T
        norm = (self.root @ self.target @ self.root.T).square().sum()
        return difference.square().sum() / norm.clamp_min(FAINT)


def rows_of(activation: Float[Tensor, "1 channel *space"]) -> Float[Tensor, "position channel"]:
    """A row a position, in the order that the activation has in memory: a view, or a plain copy
    where it is a part of a larger one."""
    if activation.stride(1) == 1:
        return activation.squeeze(0).movedim(0, -1).flatten(0, -2)
    return activation.squeeze(0).flatten(1).T


def products(
    rows: Float[Tensor, "position channel"], weight: Weight
) -> Float[Tensor, "channel channel"]:
    """rows^T rows, whose derivative takes one product of that size instead of two.

    That of X^T rows with X held fixed, twice, is the same once it is made symmetric.
    """
    fixed = weigh(rows.detach(), None if weight is None else weight.reshape(-1, 1))
    half = fixed.T @ rows
    products = 2 * half - half.detach()
    return (products + products.T) / 2
