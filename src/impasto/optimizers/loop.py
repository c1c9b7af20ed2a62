"""What the loops of gradient descent, Adam and L-BFGS share.

Each loop takes a callable, yields one `Step` per iteration and prints nothing. It does not end by
itself; the caller stops asking. Samples stay finite: where J or a gradient is not, the loop returns
to the best sample so far and halves the step.

The loops are made for samples that hardly fit into memory. `new` makes their arrays, for example in
memory-mapped files, and the loops reuse them. Therefore the tensors of a step are valid until the
next step is requested; clone them to keep them. If that next step is interrupted, only `state.x` is
still complete. Everything else needs memory for one block of values. The first sample is never
written to.

A loop that gets a copy of a step's `state` continues with exactly the same numbers. It then
overwrites the moments of that state.

All decisions depend only on J and on inner products. Machines that share a sample, with J and
`inner` summed over all of them, therefore decide alike.
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
from impasto.system.devices import home_of_sums

Project = Callable[[Tensor], Tensor]
"""Changes each value on its own, such as a clip to a range; gets flat blocks of values."""


Precondition = Callable[[Tensor], None]
"""Multiplies a sample, in place, by a symmetric positive matrix.

The matrix approximates the inverse Hessian up to a factor.
"""


Pair = tuple[Tensor, Tensor]
"""Adam's two moments, or a change of sample and the change of gradient."""


BLOCK = 2**20
"""How many values are computed at a time."""


RETREATS = 60
"""After this many halvings of the step without a lower J, a loop gives up."""


@dataclass(frozen=True)
class State:
    """Where a loop stands: everything that it needs to continue.

    `State.rebuilt(state.tensors(), state.scalars())` is the same state. The tensors go into a
    safetensors file and the scalars into JSON.

    Attributes:
        x: the sample to evaluate next.
        learning_rate: the step size, after the halvings so far.
        best: the evaluated sample with the lowest J.
        best_value: J there.
        retreats: how often the step has been halved since then.
        count: Adam's steps since it last started.
        moments: Adam's two moments, or L-BFGS's changes of sample and gradient, oldest first.
        adam: whether Adam has replaced L-BFGS.
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
        """Returns the arrays by name."""
        moments = {
            f"moments.{number}.{part}": moment
            for number, pair in enumerate(self.moments)
            for part, moment in enumerate(pair)
        }
        return {"x": self.x, "best": self.best, **moments}

    def scalars(self) -> dict[str, Any]:
        """Returns everything but the arrays, by name."""
        arrays = ("x", "best", "moments")
        return {f.name: getattr(self, f.name) for f in fields(self) if f.name not in arrays}

    @classmethod
    def rebuilt(cls, tensors: Mapping[str, Tensor], scalars: Mapping[str, Any]) -> State:
        """Returns the state with these tensors and scalars."""
        moments = tuple(
            (tensors[f"moments.{number}.0"], tensors[f"moments.{number}.1"])
            for number in range(len(tensors) // 2 - 1)
        )
        return cls(x=tensors["x"], best=tensors["best"], moments=moments, **scalars)


@dataclass(frozen=True)
class Step(Generic[E]):
    """One iteration of a loop.

    Its tensors are valid until the next step is requested.

    Attributes:
        sample: the sample.
        evaluation: J and dJ/dG there.
        state: the state after the iteration; its `x` is the next sample.
        note: a message for the user, or "".
    """

    sample: Tensor
    evaluation: E
    state: State
    note: str = ""


def identity(x: Tensor) -> Tensor:
    """Returns x: no projection."""
    return x


def plain(x: Tensor) -> None:
    """Leaves x as it is: no preconditioning."""


def dot(a: Tensor, b: Tensor) -> float:
    """Returns the inner product, added up in float64."""
    home = home_of_sums(a.device)
    total = torch.zeros((), dtype=torch.float64, device=home)
    for part, other in blocks(a, b):
        total += torch.dot(part.to(home).double(), other.to(home).double())
    return total.item()


def blocks(*arrays: Tensor) -> Iterator[tuple[Tensor, ...]]:
    """Yields the same block of each array, flat, one block after another.

    They are views where the arrays are contiguous.
    """
    return zip(*(torch.split(array.reshape(-1), BLOCK) for array in arrays), strict=True)


def guard(
    evaluate: Evaluate[E],
    state: State,
    descend: Callable[[State, Tensor, Tensor], State],
    decay: float,
    inner: Inner,
    new: Allocate | None,
) -> Iterator[Step[E]]:
    """Runs the loop of gradient descent and Adam: evaluate, step, go back where J is not finite.

    Args:
        evaluate: returns J and dJ/dG at a sample.
        state: where to start.
        descend: takes the state, the gradient and an array for the next sample; returns the next
            state.
        decay: the factor of the learning rate from step to step.
        inner: the inner product of two arrays.
        new: makes the arrays.

    Raises:
        NumericalError: J is still not finite after 60 halvings of the step.
    """
    arrays = SpareArrays(new or allocator(state.x), state.x)
    note = ""
    while True:
        evaluation = evaluate(state.x)
        if not is_finite(evaluation, inner):
            if state.best_value == math.inf:
                raise not_finite(evaluation.value, "at the start")
            if state.retreats == RETREATS:
                raise not_finite(evaluation.value, f"after {RETREATS} halvings of the step")
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
    """The arrays of a loop, all like its sample; made when no other one is free."""

    def __init__(self, new: Allocate, like: Tensor, own: Iterable[Tensor] = ()) -> None:
        self.new, self.shape, self.dtype, self.own = new, like.shape, like.dtype, list(own)

    def spare(self, *kept: Tensor) -> Tensor:
        """Returns an array to write to, none of those in `kept`."""
        for array in self.own:
            if all(array is not other for other in kept):
                return array
        self.own.append(self.new(self.shape, self.dtype))
        return self.own[-1]


def allocator(x: Tensor) -> Allocate:
    """Returns a function that makes arrays in the memory of x's device."""
    return lambda shape, dtype: torch.empty(shape, dtype=dtype, device=x.device)


def first_state(x: Tensor, learning_rate: float) -> State:
    """Returns the state before the first evaluation."""
    return State(x=x, learning_rate=learning_rate, best=x)


def not_finite(value: float, when: str) -> NumericalError:
    """Returns the error for a J that is not finite."""
    return NumericalError(
        expected="a finite J and gradient",
        found=f"J = {value:g} {when}",
        remedy="lower --learning-rate, --alpha, --beta or --gamma, or try another --seed",
    )
