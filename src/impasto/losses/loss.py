"""Losses: sums over positions, and a score of those sums.

`sums` adds over disjoint regions, and `score` sees nothing but the sums and the number of
positions, so a sample is evaluated whole, region by region or spread over machines by one
function. A loss that reaches beyond a position says how far in `reach`: the activation it is
given, and the weight where there is one, then cover `region.grow(reach)`.

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

from typing import Literal, Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.grids.geometry import Region

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


def exact(activation: Tensor) -> Tensor:
    """The activation, in float32 where it is in bfloat16."""
    return activation.float() if activation.dtype is torch.bfloat16 else activation


def weigh(values: Tensor, weight: Tensor | None) -> Tensor:
    """The values, each times its position's weight where there is one."""
    return values if weight is None else values * weight
