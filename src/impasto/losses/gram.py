"""Style as Gram matrices: the correlations between channels."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import torch
from jaxtyping import Float
from torch import Tensor
from torch.autograd.function import once_differentiable

from impasto.grids.geometry import Region
from impasto.losses.loss import FAINT, Normalization, Weight, weigh


def equalizing(
    target: Float[Tensor, "channel channel"],
) -> Float[Tensor, "channel channel"]:
    """Returns factors for the entries of a Gram matrix that let channels count alike.

    Each channel is scaled to about 1 by the style's own power. Without that, the strongest
    channels, which mostly see brightness, would outweigh all texture.

    Args:
        target: the style's Gram matrix, a mean over positions.
    """
    power = target.diagonal()
    scale = (power + 0.1 * power.mean()).clamp_min(FAINT).rsqrt()
    return scale[:, None] * scale


@dataclass(frozen=True, eq=False)
class Gram:
    """J_style of a layer: the distance of Gram matrices (Gatys et al. 2015, equations 3 and 4).

    Both matrices are divided by their number of positions, so S and G may differ in size. Where
    they do not, `course` is 1/(2 n_H n_W n_C)^2 ||Gram(S) - Gram(G)||_F^2 as published.

    Attributes:
        target: the style's Gram matrix over its number of positions, shape (channel, channel).
        normalization: see `impasto.losses.loss`.

    Example:
        >>> import torch
        >>> style, g = torch.ones(1, 2, 4, 4), torch.zeros(1, 2, 8, 8)
        >>> target = Gram.sums(style, Region.all_of((4, 4))) / 16
        >>> loss = Gram(target, "notes")
        >>> loss.score(loss.sums(g, Region.all_of((8, 8))), count=64)
        tensor(1.)
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
        """Returns Gram_kk' = sum over the region's positions of a_k a_k'."""
        return second_moments(rows_of(activation), weight)[:-1, :-1]

    def score(self, sums: Float[Tensor, "channel channel"], count: float) -> Float[Tensor, ""]:
        """Returns the normalized squared Frobenius distance, in [0, inf)."""
        return ((sums / count - self.target) * self._scale).square().sum()

    @cached_property
    def _scale(self) -> Tensor | float:
        """What the difference is multiplied by: a number, or one per entry."""
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
    """J_style of a layer as a wider network would measure it.

    A wide network has the activations W' [a 1], predicted from those of a narrow network with W' =
    [W b]. Its Gram matrix is W' M W'^T, where M is the sum of [a 1] [a 1]^T. Every `root` with
    root^T root = W'^T W' gives the same distance. The score is divided by the squared norm of the
    style's own matrix.

    Attributes:
        target: M of the style over its number of positions, shape (channel + 1, channel + 1).
        root: the same shape; a network has one per layer in its `metrics`.
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
        """Returns M = sum over the region's positions of [a 1] [a 1]^T."""
        return second_moments(rows_of(activation), weight)

    def score(self, sums: Float[Tensor, "augmented augmented"], count: float) -> Float[Tensor, ""]:
        """Returns ||root (M(G) - M(S)) root^T||_F^2 / ||root M(S) root^T||_F^2, in [0, inf)."""
        difference = self.root @ (sums / count - self.target) @ self.root.T
        norm = (self.root @ self.target @ self.root.T).square().sum()
        return difference.square().sum() / norm.clamp_min(FAINT)


def rows_of(activation: Float[Tensor, "1 channel *space"]) -> Float[Tensor, "position channel"]:
    """Returns the activation with one row per position, in the order of its memory.

    The result is a view, or a copy where the activation is a part of a larger array.
    """
    if activation.stride(1) == 1:
        return activation.squeeze(0).movedim(0, -1).flatten(0, -2)
    return activation.squeeze(0).flatten(1).T


def second_moments(
    rows: Float[Tensor, "position channel"], weight: Weight
) -> Float[Tensor, "augmented augmented"]:
    """Returns the sum of [a 1]^T [a 1] over the rows a.

    Args:
        rows: one row per position.
        weight: how much each position counts; it is taken as constant.
    """
    moments: Tensor = _SecondMoments.apply(rows, weight)  # type: ignore[no-untyped-call]
    return moments


class _SecondMoments(torch.autograd.Function):
    """Second moments whose derivative is one matrix product, where automatic ones are two."""

    @staticmethod
    def forward(ctx: Any, rows: Tensor, weight: Tensor | None) -> Tensor:
        factors = None if weight is None else weight.reshape(-1, 1)
        ctx.save_for_backward(rows, factors)
        weighed = weigh(rows, factors)
        inner, totals = weighed.T @ rows, weighed.sum(0)
        moments = rows.new_empty((len(totals) + 1,) * 2)
        moments[:-1, :-1] = (inner + inner.T) / 2
        moments[:-1, -1] = moments[-1, :-1] = totals
        moments[-1, -1] = len(rows) if factors is None else factors.sum()
        return moments

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, None]:
        rows, factors = ctx.saved_tensors
        both = gradient + gradient.T
        slope = torch.addmm(both[-1, :-1], rows, both[:-1, :-1])
        return weigh(slope, factors), None
