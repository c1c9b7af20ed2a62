"""Adam (Kingma and Ba 2015)."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from impasto.grids.patch import Allocate, Values
from impasto.optimizers.line_search import E, Evaluate, Inner
from impasto.optimizers.loop import (
    Project,
    State,
    Step,
    allocator,
    blocks,
    dot,
    guard,
    identity,
    starting_at,
)

BETAS = (0.9, 0.99)
"""Decay of Adam's moments; 0.999, as in the paper, remembers longer than a scale lasts."""


def adam(
    evaluate: Evaluate[E],
    x: Values,
    *,
    learning_rate: float,
    decay: float = 1.0,
    inner: Inner = dot,
    project: Project = identity,
    moments: torch.dtype | None = None,
    new: Allocate | None = None,
    state: State | None = None,
) -> Iterator[Step[E]]:
    """Adam (Kingma and Ba 2015, algorithm 1), then the projection, for ever.

    decay: the learning rate of a step over that of the one before. Keeps three samples at most and
    two moments. moments: the type these are kept in, if not the
    sample's; bfloat16 halves them, each block being worked out in float32 and then rounded. A step
    is valid until the next one is asked for. Raises NumericalError when J stays non-finite after
    60 halvings.
    """

    def descend(state: State, gradient: Tensor, following: Tensor) -> State:
        shape, dtype, make = following.shape, following.dtype, new or allocator(following)
        pairs = state.moments or ((make(shape, moments or dtype), make(shape, moments or dtype)),)
        if state.count == 0:
            for moment in pairs[0]:
                moment.zero_()
        count = state.count + 1
        rate = state.learning_rate / (1 - BETAS[0] ** count)
        correction = math.sqrt(1 - BETAS[1] ** count)
        fine = torch.promote_types(dtype, torch.float32)
        for x, y, g, m, v in blocks(state.x, following, gradient, *pairs[0]):
            slope, first, second = (values.to(fine) for values in (g, m, v))
            first.lerp_(slope, 1 - BETAS[0])
            second.mul_(BETAS[1]).addcmul_(slope, slope, value=1 - BETAS[1])
            scale = second.sqrt().div_(correction).add_(1e-8)
            y.copy_(project(torch.addcdiv(x, first, scale, value=-rate)))
            m.copy_(first)
            v.copy_(second)
        return replace(state, x=following, count=count, moments=pairs)

    return guard(evaluate, state or starting_at(x, learning_rate), descend, decay, inner, new)
