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
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, Generic

import torch
from torch import Tensor

from impasto.errors import NumericalError
from impasto.grids.patch import Allocate
from impasto.optimizers.line_search import E, Evaluate, Inner, is_finite

Project = Callable[[Tensor], Tensor]
"""Acts on each value alone; is given a flat block of them at a time."""


Precondition = Callable[[Tensor], None]
"""Multiplies a sample, in place, by a symmetric positive matrix, near the inverse Hessian's."""


Pair = tuple[Tensor, Tensor]


BLOCK = 2**20
"""Values worked on at a time."""


RETREATS = 60
"""Halvings of the step without a lower J before a loop gives up."""


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


def blocks(*arrays: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """The same stretch of each at a time, flat: views of the arrays, where they are contiguous."""
    return zip(*(torch.split(array.reshape(-1), BLOCK) for array in arrays), strict=True)


def guard(
    evaluate: Evaluate[E],
    state: State,
    descend: Callable[[State, Tensor, Tensor], State],
    decay: float,
    inner: Inner,
    new: Allocate | None,
) -> Iterator[Step[E]]:
    """The loop that gradient descent and Adam share: evaluate, step, and retreat if need be."""
    arrays = SpareArrays(new or allocator(state.x), state.x)
    note = ""
    while True:
        evaluation = evaluate(state.x)
        if not is_finite(evaluation, inner):
            if state.best_value == math.inf:
                raise gave_up(evaluation.value, "at the start")
            if state.retreats == RETREATS:
                raise gave_up(evaluation.value, f"after {RETREATS} halvings of the step")
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


class SpareArrays:
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


def allocator(x: Tensor) -> Allocate:
    """Plain memory where x is."""
    return lambda shape, dtype: torch.empty(shape, dtype=dtype, device=x.device)


def starting_at(x: Tensor, learning_rate: float) -> State:
    return State(x=x, learning_rate=learning_rate, best=x)


def gave_up(value: float, when: str) -> NumericalError:
    return NumericalError(
        expected="a finite J and gradient",
        found=f"J = {value:g} {when}",
        remedy="lower --learning-rate, --alpha, --beta or --gamma, or try another --seed",
    )
