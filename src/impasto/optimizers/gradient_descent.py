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
    first_state,
    guard,
    identity,
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
    """Runs G := G - learning_rate * dJ/dG, with a projection after each step, without end.

    Keeps at most three samples. The tensors of a step are valid until the next step is requested.

    Args:
        evaluate: returns J and dJ/dG at a sample.
        x: the first sample; it is never written to.
        learning_rate: the step size.
        decay: the factor of the learning rate from step to step.
        inner: the inner product of two arrays.
        project: applied to the sample after each step, such as a clip to a range.
        new: makes the arrays.
        state: where an earlier run stopped; the loop continues from there.

    Raises:
        NumericalError: J is still not finite after 60 halvings of the step.

    Example:
        >>> from types import SimpleNamespace
        >>> evaluate = lambda x: SimpleNamespace(value=x.square().sum().item(), gradient=2 * x)
        >>> steps = gradient_descent(evaluate, torch.ones(1, 1, 2), learning_rate=0.25)
        >>> [next(steps).evaluation.value for _ in range(3)]
        [2.0, 0.5, 0.125]
    """

    def descend(state: State, gradient: Tensor, following: Tensor) -> State:
        rate = state.learning_rate
        for x, y, g in blocks(state.x, following, gradient):
            y.copy_(project(torch.sub(x.to(y.device), g.to(y.device), alpha=rate)))
        return replace(state, x=following)

    return guard(evaluate, state or first_state(x, learning_rate), descend, decay, inner, new)
