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
    Precondition,
    Project,
    State,
    Step,
    allocator,
    blocks,
    dot,
    first_state,
    guard,
    identity,
)

BETAS = (0.9, 0.99)
"""Decays of Adam's two moments.

The paper's 0.999 would remember more steps than a scale has.
"""


def adam(
    evaluate: Evaluate[E],
    x: Values,
    *,
    learning_rate: float,
    decay: float = 1.0,
    inner: Inner = dot,
    project: Project = identity,
    coordinates: Precondition | None = None,
    new: Allocate | None = None,
    state: State | None = None,
) -> Iterator[Step[E]]:
    """Runs Adam (Kingma and Ba 2015, algorithm 1), with a projection after each step, without end.

    Keeps at most three samples and two moments. The tensors of a step are valid until the next step
    is requested.

    Args:
        evaluate: returns J and dJ/dG at a sample.
        x: the first sample; it is never written to.
        learning_rate: the step size.
        decay: the factor of the learning rate from step to step.
        inner: the inner product of two arrays.
        project: applied to the sample after each step, such as a clip to a range.
        coordinates: a symmetric matrix M. The steps are those of u, where the sample is M u: the
            gradient becomes M dJ/dG, and a step of u one of M u. None for the identity.
        new: makes the arrays.
        state: where an earlier run stopped; the loop continues from there.

    Raises:
        NumericalError: J is still not finite after 60 halvings of the step.

    Example:
        >>> from types import SimpleNamespace
        >>> evaluate = lambda x: SimpleNamespace(value=x.square().sum().item(), gradient=2 * x)
        >>> steps = adam(evaluate, torch.ones(1, 1, 2), learning_rate=0.1)
        >>> [round(next(steps).evaluation.value, 2) for _ in range(3)]
        [2.0, 1.62, 1.28]
    """

    def descend(state: State, gradient: Tensor, following: Tensor) -> State:
        shape, dtype, make = following.shape, following.dtype, new or allocator(following)
        pairs = state.moments or ((make(shape, dtype), make(shape, dtype)),)
        if state.count == 0:
            for moment in pairs[0]:
                moment.zero_()
        count = state.count + 1
        rate = state.learning_rate / (1 - BETAS[0] ** count)
        correction = math.sqrt(1 - BETAS[1] ** count)
        fine = torch.promote_types(dtype, torch.float32)
        if coordinates:
            coordinates(gradient)
        for x, y, g, m, v in blocks(state.x, following, gradient, *pairs[0]):
            slope, first, second = (values.to(y.device).to(fine) for values in (g, m, v))
            first.lerp_(slope, 1 - BETAS[0])
            second.mul_(BETAS[1]).addcmul_(slope, slope, value=1 - BETAS[1])
            scale = second.sqrt().div_(correction).add_(1e-8)
            if coordinates:
                y.copy_(first / scale)
            else:
                y.copy_(project(torch.addcdiv(x.to(y.device), first, scale, value=-rate)))
            m.copy_(first)
            v.copy_(second)
        if coordinates:
            coordinates(following)
            for x, y in blocks(state.x, following):
                y.copy_(project(x.to(y.device).add(y, alpha=-rate)))
        return replace(state, x=following, count=count, moments=pairs)

    return guard(evaluate, state or first_state(x, learning_rate), descend, decay, inner, new)
