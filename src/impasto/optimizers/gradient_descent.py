"""Gradient descent: G := G - learning_rate * dJ/dG."""

from __future__ import annotations

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
    blocks,
    dot,
    guard,
    identity,
    starting_at,
)


def gradient_descent(
    evaluate: Evaluate[E],
    x: Values,
    *,
    learning_rate: float,
    decay: float = 1.0,
    inner: Inner = dot,
    project: Project = identity,
    new: Allocate | None = None,
    state: State | None = None,
) -> Iterator[Step[E]]:
    """G := G - learning_rate * dJ/dG, then the projection, for ever.

    decay: the learning rate of a step over that of the one before. Keeps three samples at most. A
    step is valid until the next one is asked for. Raises NumericalError when J stays non-finite
    after 60 halvings of the step.
    """

    def descend(state: State, gradient: Tensor, following: Tensor) -> State:
        for x, y, g in blocks(state.x, following, gradient):
            y.copy_(project(torch.sub(x, g, alpha=state.learning_rate)))
        return replace(state, x=following)

    return guard(evaluate, state or starting_at(x, learning_rate), descend, decay, inner, new)
