"""Gradient descent, Adam and L-BFGS: endless loops on a callable, cut off by the caller.

Each loop yields a `Step` an iteration and prints nothing. No loop leaves the finite numbers: a
non-finite J or gradient sends it back to the best sample so far, with half the step.

They are made for samples that hardly fit into memory. The arrays they keep are made by `new`, say
in memory-mapped files, and are written to again and again: a step's tensors are valid until the
next step is asked for, and who keeps one clones it; if that next step is cut short, `state.x` alone
is still whole. Beside those arrays they need memory for a block of values. The sample they start
from is never written to.

Passing a copy of a step's `state` back in continues with the very same numbers. The moments of a
state passed in are the loop's from then on.

Every decision depends on J and inner products alone: machines that share a sample, its J and an
`inner` summed over all of them go the same way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from itertools import chain
from typing import Any, Generic

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.errors import NumericalError
from impasto.line_search import E, Evaluate, Inner, is_finite, strong_wolfe

Values = Float[Tensor, "1 channel *space"]

Project = Callable[[Tensor], Tensor]
"""Acts on each value alone; is given a flat block of them at a time."""

Precondition = Callable[[Tensor], None]
"""Multiplies a sample, in place, by a symmetric positive matrix, near the inverse Hessian's."""

Allocate = Callable[[torch.Size, torch.dtype], Tensor]
"""A contiguous array of any values."""

Pair = tuple[Tensor, Tensor]

BLOCK = 2**20
"""Values worked on at a time."""

RETREATS = 60
"""Halvings of the step without a lower J before a loop gives up."""

BETAS = (0.9, 0.99)
"""Decay of Adam's moments; 0.999, as in the paper, remembers longer than a scale lasts."""

HISTORY = 10
"""Pairs that L-BFGS keeps."""


@dataclass(frozen=True)
class State:
    """Where a loop stands; all it needs to go on.

    x: the sample to evaluate next. learning_rate: the step, after the halvings so far. best,
    best_value: the lowest of the samples evaluated, and J there. retreats: halvings since. count:
    Adam's steps since it last started. moments: Adam's two, or L-BFGS's pairs of changes of
    sample and gradient, oldest first. adam: whether Adam has taken over from L-BFGS.

    `State.rebuilt(state.tensors(), state.scalars())` is the same state: the one goes into a
    safetensors file, the other into JSON.
    """

    x: Tensor
    learning_rate: float
    best: Tensor
    best_value: float = math.inf
    retreats: int = 0
    count: int = 0
    moments: tuple[Pair, ...] = ()
    adam: bool = False

    def tensors(self) -> dict[str, Tensor]:
        """Its arrays by name."""
        moments = {
            f"moments.{number}.{part}": moment
            for number, pair in enumerate(self.moments)
            for part, moment in enumerate(pair)
        }
        return {"x": self.x, "best": self.best, **moments}

    def scalars(self) -> dict[str, Any]:
        """All but its arrays, by name."""
        arrays = ("x", "best", "moments")
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in arrays}

    @classmethod
    def rebuilt(cls, tensors: Mapping[str, Tensor], scalars: Mapping[str, Any]) -> State:
        """The state that has these."""
        moments = tuple(
            (tensors[f"moments.{number}.0"], tensors[f"moments.{number}.1"])
            for number in range(len(tensors) // 2 - 1)
        )
        return cls(x=tensors["x"], best=tensors["best"], moments=moments, **scalars)


@dataclass(frozen=True)
class Step(Generic[E]):
    """One iteration: J at `sample`, and the state whose `x` is the sample that follows.

    Its tensors are valid until the next step is asked for. note: what a user should know of this
    step, otherwise empty.
    """

    sample: Tensor
    evaluation: E
    state: State
    note: str = ""


def identity(x: Tensor) -> Tensor:
    """No projection."""
    return x


def plain(x: Tensor) -> None:
    """No preconditioning."""


def dot(a: Tensor, b: Tensor) -> float:
    """The inner product, added up in float64."""
    total = torch.zeros((), dtype=torch.float64, device=a.device)
    for part, other in blocks(a, b):
        total += torch.dot(part.double(), other.double())
    return total.item()


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

    return _guarded(evaluate, state or _start(x, learning_rate), descend, decay, inner, new)


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
        shape, dtype, make = following.shape, following.dtype, new or _allocator(following)
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

    return _guarded(evaluate, state or _start(x, learning_rate), descend, decay, inner, new)


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
    state = state or _start(x, learning_rate)
    note = ""
    if not state.adam:
        last = yield from _searched(evaluate, state, inner, precondition, new)
        if last is None:
            return
        state = replace(_start(last, learning_rate), adam=True)
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


def _searched(
    evaluate: Evaluate[E],
    state: State,
    inner: Inner,
    precondition: Precondition,
    new: Allocate | None,
) -> Generator[Step[E], None, Tensor | None]:
    """L-BFGS itself; comes to the sample from which no lower J is found, None at a minimum."""
    arrays = _Arrays(new or _allocator(state.x), state.x, chain(*state.moments))
    here = evaluate(state.x)
    if not is_finite(here, inner):
        raise _gave_up(here.value, "at the start")
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


def _guarded(
    evaluate: Evaluate[E],
    state: State,
    descend: Callable[[State, Tensor, Tensor], State],
    decay: float,
    inner: Inner,
    new: Allocate | None,
) -> Iterator[Step[E]]:
    """The loop that gradient descent and Adam share: evaluate, step, and retreat if need be."""
    arrays = _Arrays(new or _allocator(state.x), state.x)
    note = ""
    while True:
        evaluation = evaluate(state.x)
        if not is_finite(evaluation, inner):
            if state.best_value == math.inf:
                raise _gave_up(evaluation.value, "at the start")
            if state.retreats == RETREATS:
                raise _gave_up(evaluation.value, f"after {RETREATS} halvings of the step")
            state = replace(
                state,
                x=state.best,
                learning_rate=state.learning_rate / 2,
                retreats=state.retreats + 1,
                count=0,
            )
            note = f"J was not finite; the step is halved to {state.learning_rate:g}"
            continue
        sample = state.x
        if evaluation.value < state.best_value:
            state = replace(state, best=sample, best_value=evaluation.value, retreats=0)
        state = descend(state, evaluation.gradient, arrays.spare(sample, state.best))
        state = replace(state, learning_rate=state.learning_rate * decay)
        yield Step(sample, evaluation, state, note)
        note = ""


class _Arrays:
    """A loop's own arrays, all like its sample, made when none of them is spare."""

    def __init__(self, new: Allocate, like: Tensor, own: Iterable[Tensor] = ()) -> None:
        self.new, self.shape, self.dtype, self.own = new, like.shape, like.dtype, list(own)

    def spare(self, *kept: Tensor) -> Tensor:
        """One to write to, whose values nobody needs any more: none of those kept."""
        for array in self.own:
            if all(array is not other for other in kept):
                return array
        self.own.append(self.new(self.shape, self.dtype))
        return self.own[-1]


def _allocator(x: Tensor) -> Allocate:
    """Plain memory where x is."""
    return lambda shape, dtype: torch.empty(shape, dtype=dtype, device=x.device)


def blocks(*arrays: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """The same stretch of each at a time, flat: views of the arrays, where they are contiguous."""
    return zip(*(torch.split(array.reshape(-1), BLOCK) for array in arrays), strict=True)


def _start(x: Tensor, learning_rate: float) -> State:
    return State(x=x, learning_rate=learning_rate, best=x)


def _gave_up(value: float, when: str) -> NumericalError:
    return NumericalError(
        expected="a finite J and gradient",
        found=f"J = {value:g} {when}",
        remedy="lower --learning-rate, --alpha, --beta or --gamma, or try another --seed",
    )
