"""Gradient descent, Adam and L-BFGS: endless loops on a callable, cut off by the caller.

Each loop yields a `Step` an iteration, prints nothing and changes none of the tensors it was
given or has given out. Passing a step's `state` back in continues with the very same numbers. No
loop leaves the finite numbers: a non-finite J or gradient sends it back to the best sample so
far, with half the step.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import Generic, Protocol, TypeVar, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.errors import NumericalError

Values = Float[Tensor, "1 channel *space"]


@runtime_checkable
class Evaluated(Protocol):
    """J and dJ/dG at a sample."""

    @property
    def value(self) -> float: ...
    @property
    def gradient(self) -> Tensor: ...


E = TypeVar("E", bound=Evaluated)
Evaluate = Callable[[Tensor], E]
Project = Callable[[Tensor], Tensor]
Inner = Callable[[Tensor, Tensor], float]

RETREATS = 60
"""Halvings of the step without a lower J before a loop gives up."""

BETAS = (0.9, 0.99)
"""Decay of Adam's moments; 0.999, as in the paper, remembers longer than a scale lasts."""

HISTORY = 10
"""Pairs that L-BFGS keeps."""

ARMIJO, CURVATURE, TRIALS = 1e-4, 0.9, 25
"""Of the line search: Nocedal and Wright's c1 and c2, and evaluations at most."""


@dataclass(frozen=True)
class State:
    """Where a loop stands; all it needs to go on.

    x: the sample to evaluate next. learning_rate: the step, after the halvings so far. count:
    Adam's steps since it last started. moments: Adam's two, or L-BFGS's pairs of
    changes of sample and gradient, oldest first. adam: Adam's own state once it has taken over.
    """

    x: Tensor
    learning_rate: float
    best: Tensor
    best_value: float = math.inf
    retreats: int = 0
    count: int = 0
    moments: tuple[tuple[Tensor, Tensor], ...] = ()
    adam: State | None = None


@dataclass(frozen=True)
class Step(Generic[E]):
    """One iteration: J at `sample`, and the state whose `x` is the sample that follows.

    note: what a user should know of this step, otherwise empty.
    """

    sample: Tensor
    evaluation: E
    state: State
    note: str = ""


def identity(x: Tensor) -> Tensor:
    """No projection."""
    return x


def dot(a: Tensor, b: Tensor) -> float:
    """The inner product, added up in float64."""
    return torch.dot(a.flatten().double(), b.flatten().double()).item()


def gradient_descent(
    evaluate: Evaluate[E],
    x: Values,
    *,
    learning_rate: float,
    project: Project = identity,
    state: State | None = None,
) -> Iterator[Step[E]]:
    """G := G - learning_rate * dJ/dG, then the projection, for ever.

    Raises NumericalError when J stays non-finite after 60 halvings of the step.
    """

    def descend(state: State, gradient: Tensor) -> State:
        return replace(state, x=state.x - state.learning_rate * gradient)

    yield from _guarded(evaluate, state or _start(x, learning_rate), descend, project)


def adam(
    evaluate: Evaluate[E],
    x: Values,
    *,
    learning_rate: float,
    project: Project = identity,
    state: State | None = None,
) -> Iterator[Step[E]]:
    """Adam (Kingma and Ba 2015, algorithm 1), then the projection, for ever.

    Raises NumericalError when J stays non-finite after 60 halvings.
    """

    def descend(state: State, gradient: Tensor) -> State:
        zeros = torch.zeros_like(gradient)
        ((m, v),) = state.moments or ((zeros, zeros),)
        m = torch.lerp(gradient, m, BETAS[0])
        v = torch.lerp(gradient.square(), v, BETAS[1])
        count = state.count + 1
        m_hat = m / (1 - BETAS[0] ** count)
        v_hat = v / (1 - BETAS[1] ** count)
        x = state.x - state.learning_rate * m_hat / (v_hat.sqrt() + 1e-8)
        return replace(state, x=x, count=count, moments=((m, v),))

    yield from _guarded(evaluate, state or _start(x, learning_rate), descend, project)


def lbfgs(
    evaluate: Evaluate[E],
    x: Values,
    *,
    learning_rate: float,
    inner: Inner = dot,
    project: Project = identity,
    state: State | None = None,
) -> Iterator[Step[E]]:
    """L-BFGS with a strong Wolfe line search (Nocedal and Wright 2006, algorithms 7.4 and 3.5).

    The search sets the step itself; `learning_rate` and `project` are Adam's, which carries on
    from the best sample when the search finds no lower J even along the gradient. Ends where the
    gradient is zero. Raises NumericalError when J is non-finite at the start.
    """
    state = state or _start(x, learning_rate)
    note = ""
    if state.adam is None:
        here = evaluate(state.x)
        if not _is_finite(here):
            raise _gave_up(here.value, "at the start")
        while inner(here.gradient, here.gradient) > 0:
            found = None
            for pairs in (state.moments, ()) if state.moments else ((),):
                direction = _two_loop(here.gradient, pairs, inner)
                first = 1.0 if pairs else 1 / math.sqrt(inner(here.gradient, here.gradient))
                found = strong_wolfe(evaluate, state.x, here, direction, inner, first)
                if found is not None:
                    break
            if found is None:
                note = "L-BFGS found no lower J; Adam carries on from the best sample"
                state = replace(state, adam=_start(state.x, learning_rate))
                break
            following, there = found
            pair = (following - state.x, there.gradient - here.gradient)
            keep = inner(*pair) > 1e-10 * inner(pair[1], pair[1])
            moments = (*pairs, pair)[-HISTORY:] if keep else pairs
            sample, state = state.x, replace(state, x=following, moments=moments)
            yield Step(sample, here, state)
            here = there
    if state.adam is not None:
        outer = state
        for step in adam(
            evaluate, outer.x, learning_rate=learning_rate, project=project, state=outer.adam
        ):
            whole = replace(outer, x=step.state.x, adam=step.state)
            yield replace(step, state=whole, note=note or step.note)
            note = ""


def strong_wolfe(
    evaluate: Evaluate[E],
    x: Tensor,
    here: E,
    direction: Tensor,
    inner: Inner,
    first: float,
) -> tuple[Tensor, E] | None:
    """A point along the direction that meets the strong Wolfe conditions, and J there.

    Nocedal and Wright 2006, algorithms 3.5 (bracketing) and 3.6 (zoom), with cubic interpolation.
    first: the step to try first. Where TRIALS evaluations do not suffice, the lowest point that
    at least lowers J; None when there is none. A non-finite J counts as infinitely high.
    """
    slope = inner(here.gradient, direction)
    if not slope < 0:
        return None
    low: tuple[float, float, float] = (0.0, here.value, slope)
    high: tuple[float, float, float] | None = None
    best: tuple[Tensor, E] | None = None
    t = first
    for _ in range(TRIALS):
        point = x + t * direction
        there = evaluate(point)
        if _is_finite(there):
            value, there_slope = there.value, inner(there.gradient, direction)
            if value < here.value and (best is None or value < best[1].value):
                best = (point, there)
        else:
            value, there_slope = math.inf, math.inf
        trial = (t, value, there_slope)
        if value > here.value + ARMIJO * t * slope or (value >= low[1] and low[0] > 0):
            high = trial
        elif abs(there_slope) <= -CURVATURE * slope:
            return point, there
        else:
            if there_slope * ((high[0] if high else math.inf) - low[0]) >= 0:
                high = low
            low = trial
        t = _interpolate(low, high) if high else 4 * t
        if high and abs(high[0] - low[0]) <= 1e-12 * max(1.0, abs(low[0])):
            break
    return best


def _interpolate(low: tuple[float, float, float], high: tuple[float, float, float]) -> float:
    """The minimum of the cubic through two points and slopes, kept inside the bracket."""
    (a, fa, ga), (b, fb, gb) = low, high
    middle = (a + b) / 2
    if not math.isfinite(fb):
        return a + (b - a) / 10
    d1 = ga + gb - 3 * (fa - fb) / (a - b)
    square = d1 * d1 - ga * gb
    if square < 0:
        return middle
    d2 = math.copysign(math.sqrt(square), b - a)
    divisor = gb - ga + 2 * d2
    if divisor == 0:
        return middle
    t = b - (b - a) * (gb + d2 - d1) / divisor
    margin = 0.1 * abs(b - a)
    return min(max(t, min(a, b) + margin), max(a, b) - margin)


def _two_loop(gradient: Tensor, pairs: tuple[tuple[Tensor, Tensor], ...], inner: Inner) -> Tensor:
    """-H gradient, H the inverse Hessian that the pairs suggest (algorithm 7.4)."""
    q = -gradient
    if not pairs:
        return q
    shares = []
    for s, y in reversed(pairs):
        share = inner(s, q) / inner(s, y)
        q = q - share * y
        shares.append(share)
    s, y = pairs[-1]
    q = q * (inner(s, y) / inner(y, y))
    for (s, y), share in zip(pairs, reversed(shares), strict=True):
        q = q + (share - inner(y, q) / inner(s, y)) * s
    return q


def _guarded(
    evaluate: Evaluate[E],
    state: State,
    descend: Callable[[State, Tensor], State],
    project: Project,
) -> Iterator[Step[E]]:
    """The loop that gradient descent and Adam share: evaluate, step, and retreat if need be."""
    note = ""
    while True:
        evaluation = evaluate(state.x)
        if not _is_finite(evaluation):
            if state.best_value == math.inf:
                raise _gave_up(evaluation.value, "at the start")
            if state.retreats == RETREATS:
                raise _gave_up(evaluation.value, f"after {RETREATS} halvings of the step")
            state = replace(
                _start(state.best, state.learning_rate / 2),
                best_value=state.best_value,
                retreats=state.retreats + 1,
            )
            note = f"J was not finite; the step is halved to {state.learning_rate:g}"
            continue
        sample = state.x
        if evaluation.value < state.best_value:
            state = replace(state, best=sample, best_value=evaluation.value, retreats=0)
        state = descend(state, evaluation.gradient)
        state = replace(state, x=project(state.x))
        yield Step(sample, evaluation, state, note)
        note = ""


def _start(x: Tensor, learning_rate: float) -> State:
    return State(x=x, learning_rate=learning_rate, best=x)


def _is_finite(evaluation: Evaluated) -> bool:
    return math.isfinite(evaluation.value) and bool(evaluation.gradient.isfinite().all())


def _gave_up(value: float, when: str) -> NumericalError:
    return NumericalError(
        expected="a finite J and gradient",
        found=f"J = {value:g} {when}",
        remedy="lower --learning-rate, --alpha, --beta or --gamma, or try another --seed",
    )
