"""L-BFGS with a line search (Nocedal and Wright 2006)."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import replace
from itertools import chain

import torch
from torch import Tensor

from impasto.grids.patch import Allocate, Values
from impasto.optimizers.adam import adam
from impasto.optimizers.line_search import E, Evaluate, Inner, is_finite, strong_wolfe
from impasto.optimizers.loop import (
    Pair,
    Precondition,
    Project,
    SpareArrays,
    State,
    Step,
    allocator,
    dot,
    gave_up,
    identity,
    plain,
    starting_at,
)

HISTORY = 10
"""Pairs that L-BFGS keeps."""


def lbfgs(
    evaluate: Evaluate[E],
    x: Values,
    *,
    learning_rate: float,
    decay: float = 1.0,
    inner: Inner = dot,
    project: Project = identity,
    precondition: Precondition = plain,
    moments: torch.dtype | None = None,
    new: Allocate | None = None,
    state: State | None = None,
) -> Iterator[Step[E]]:
    """L-BFGS with a strong Wolfe line search (Nocedal and Wright 2006, algorithms 7.4 and 3.5).

    precondition: what its inverse Hessian is made from, times a number, in place of the identity.
    The search sets the step itself; `learning_rate`, `decay`, `project` and `moments` are Adam's,
    which
    carries on from the best sample when the search finds no lower J even along the gradient.
    Keeps 24 samples at most and up to three gradients, so each evaluation needs one of its own. A
    step is valid until the next one is asked for. Ends where the gradient is zero. Raises
    NumericalError when J is non-finite at the start.
    """
    state = state or starting_at(x, learning_rate)
    note = ""
    if not state.adam:
        last = yield from _search(evaluate, state, inner, precondition, new)
        if last is None:
            return
        state = replace(starting_at(last, learning_rate), adam=True)
        note = "L-BFGS found no lower J; Adam carries on from the best sample"
    for step in adam(
        evaluate,
        x,
        learning_rate=learning_rate,
        decay=decay,
        inner=inner,
        project=project,
        moments=moments,
        new=new,
        state=state,
    ):
        yield replace(step, note=note or step.note)
        note = ""


def _search(
    evaluate: Evaluate[E],
    state: State,
    inner: Inner,
    precondition: Precondition,
    new: Allocate | None,
) -> Generator[Step[E], None, Tensor | None]:
    """L-BFGS itself; comes to the sample from which no lower J is found, None at a minimum."""
    arrays = SpareArrays(new or allocator(state.x), state.x, chain(*state.moments))
    here = evaluate(state.x)
    if not is_finite(here, inner):
        raise gave_up(here.value, "at the start")
    while (square := inner(here.gradient, here.gradient)) > 0:
        for pairs in (state.moments, ()) if state.moments else ((),):
            kept = (state.x, *chain(*pairs))
            spare = arrays.spare(*kept)
            direction = _two_loop(here.gradient, pairs, inner, precondition, spare)
            point = arrays.spare(*kept, direction)
            first = 1.0 if pairs else 1 / math.sqrt(square)
            there = strong_wolfe(evaluate, state.x, here, direction, inner, first, point)
            if there is not None:
                break
        else:
            return state.x
        s = torch.sub(point, state.x, out=direction)
        y = arrays.spare(*kept, direction, point)
        torch.sub(there.gradient, here.gradient, out=y)
        if inner(s, y) > 1e-10 * inner(y, y):
            pairs = (*pairs, (s, y))[-HISTORY:]
        sample = state.x
        state = replace(state, x=point, best=sample, best_value=here.value, moments=pairs)
        yield Step(sample, here, state)
        here = there
    return None


def _two_loop(
    gradient: Tensor, pairs: tuple[Pair, ...], inner: Inner, precondition: Precondition, q: Tensor
) -> Tensor:
    """-H gradient into q, H the inverse Hessian that the pairs suggest (algorithm 7.4)."""
    if not pairs:
        torch.neg(gradient, out=q)
        precondition(q)
        return q
    newest = pairs[-1][1]
    q.copy_(newest)
    precondition(q)
    steepest = inner(newest, q)
    torch.neg(gradient, out=q)
    curvatures = [inner(s, y) for s, y in pairs]
    shares = []
    for (s, y), curvature in zip(reversed(pairs), reversed(curvatures), strict=True):
        shares.append(inner(s, q) / curvature)
        q.sub_(y, alpha=shares[-1])
    precondition(q)
    q.mul_(curvatures[-1] / steepest)
    for (s, y), curvature, share in zip(pairs, curvatures, reversed(shares), strict=True):
        q.add_(s, alpha=share - inner(y, q) / curvature)
    return q
