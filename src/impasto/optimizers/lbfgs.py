"""L-BFGS with a line search (Nocedal and Wright 2006)."""

from __future__ import annotations

import math
from collections.abc import Generator, Iterator
from dataclasses import replace
from functools import partial
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
    first_state,
    identity,
    not_finite,
    plain,
)

HISTORY = 10
"""How many pairs of changes of sample and gradient L-BFGS keeps."""


def lbfgs(
    evaluate: Evaluate[E],
    x: Values,
    *,
    learning_rate: float,
    decay: float = 1.0,
    inner: Inner = dot,
    project: Project = identity,
    precondition: Precondition = plain,
    new: Allocate | None = None,
    state: State | None = None,
) -> Iterator[Step[E]]:
    """Runs L-BFGS with a strong Wolfe line search (Nocedal and Wright 2006, algorithm 7.4).

    Ends where the gradient is 0. Where the search finds no lower J even along the gradient, Adam
    continues from the best sample. Keeps at most 24 samples and three gradients, so `evaluate` has
    to return a new gradient each time. The tensors of a step are valid until the next step is
    requested.

    Args:
        evaluate: returns J and dJ/dG at a sample.
        x: the first sample; it is never written to.
        learning_rate: for Adam; the search chooses the steps of L-BFGS.
        decay: for Adam.
        inner: the inner product of two arrays.
        project: for Adam.
        precondition: multiplies by the matrix that the inverse Hessian starts from, up to a factor;
            the identity by default.
        new: makes the arrays.
        state: where an earlier run stopped; the loop continues from there.

    Raises:
        NumericalError: J is not finite at the start.

    Example:
        >>> from types import SimpleNamespace
        >>> evaluate = lambda x: SimpleNamespace(value=x.square().sum().item(), gradient=2 * x)
        >>> steps = lbfgs(evaluate, torch.ones(1, 1, 2), learning_rate=0.1)
        >>> [round(step.evaluation.value, 2) for step in steps]
        [2.0, 0.17]
    """
    state = state or first_state(x, learning_rate)
    note = ""
    if not state.adam:
        last = yield from _search(evaluate, state, inner, precondition, new)
        if last is None:
            return
        state = replace(first_state(last, learning_rate), adam=True)
        note = "L-BFGS found no lower J; Adam carries on from the best sample"
    follow = partial(adam, evaluate, x, learning_rate=learning_rate, decay=decay, inner=inner)
    for step in follow(project=project, new=new, state=state):
        yield replace(step, note=note or step.note)
        note = ""


def _search(
    evaluate: Evaluate[E],
    state: State,
    inner: Inner,
    precondition: Precondition,
    new: Allocate | None,
) -> Generator[Step[E], None, Tensor | None]:
    """Runs L-BFGS itself.

    Returns:
        The sample from which no lower J is found; None at a minimum.
    """
    arrays = SpareArrays(new or allocator(state.x), state.x, chain(*state.moments))
    here = evaluate(state.x)
    if not is_finite(here, inner):
        raise not_finite(here.value, "at the start")
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
        s = torch.sub(point.to(direction.device), state.x.to(direction.device), out=direction)
        y = arrays.spare(*kept, direction, point)
        torch.sub(there.gradient.to(y.device), here.gradient.to(y.device), out=y)
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
    """Writes -H gradient to q, where H is the inverse Hessian by the pairs (algorithm 7.4)."""
    gradient = gradient.to(q.device)
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
        q.sub_(y.to(q.device), alpha=shares[-1])
    precondition(q)
    q.mul_(curvatures[-1] / steepest)
    for (s, y), curvature, share in zip(pairs, curvatures, reversed(shares), strict=True):
        q.add_(s.to(q.device), alpha=share - inner(y, q) / curvature)
    return q
