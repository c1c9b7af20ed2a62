"""A strong Wolfe line search: how far to go along a direction."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor


@runtime_checkable
class Evaluated(Protocol):
    """J and dJ/dG at a sample.

    Attributes:
        value: J.
        gradient: dJ/dG, with the shape of the sample.
    """

    @property
    def value(self) -> float: ...
    @property
    def gradient(self) -> Tensor: ...


E = TypeVar("E", bound=Evaluated)

Evaluate = Callable[[Tensor], E]
"""Returns J and dJ/dG at a sample.

The sample's array is overwritten later. For L-BFGS, each gradient has to be a new array.
"""

Inner = Callable[[Tensor, Tensor], float]
"""Returns the inner product of two arrays.

Where machines share a sample, it is the sum over all of them.
"""

ARMIJO, CURVATURE, TRIALS = 1e-4, 0.9, 25
"""Nocedal and Wright's c1 and c2, and the largest number of evaluations."""


def strong_wolfe(
    evaluate: Evaluate[E],
    x: Tensor,
    here: E,
    direction: Tensor,
    inner: Inner,
    first: float,
    point: Tensor,
) -> E | None:
    """Finds a point along a direction that meets the strong Wolfe conditions.

    Uses the algorithms 3.5 (bracketing) and 3.6 (zoom) of Nocedal and Wright 2006 with cubic
    interpolation. A J that is not finite counts as infinite.

    Args:
        evaluate: returns J and dJ/dG at a sample.
        x: where the search starts.
        here: J and dJ/dG there.
        direction: the direction.
        inner: the inner product of two arrays.
        first: the first step to try, in units of the direction.
        point: each trial point is written to this array, and finally the result.

    Returns:
        J and dJ/dG at the point. If TRIALS evaluations do not suffice, the point of the lowest J
        that is lower than at x; None if there is none.
    """
    slope = inner(here.gradient, direction)
    if not slope < 0:
        return None
    low: tuple[float, float, float] = (0.0, here.value, slope)
    high: tuple[float, float, float] | None = None
    best: tuple[float, E] | None = None
    t = first
    for _ in range(TRIALS):
        there = evaluate(_along(x, direction, t, point))
        if is_finite(there, inner):
            value, there_slope = there.value, inner(there.gradient, direction)
            if value < here.value and (best is None or value < best[1].value):
                best = (t, there)
        else:
            value, there_slope = math.inf, math.inf
        trial = (t, value, there_slope)
        if value > here.value + ARMIJO * t * slope or (value >= low[1] and low[0] > 0):
            high = trial
        elif abs(there_slope) <= -CURVATURE * slope:
            return there
        else:
            if there_slope * ((high[0] if high else math.inf) - low[0]) >= 0:
                high = low
            low = trial
        t = _interpolate(low, high) if high else 4 * t
        if high and abs(high[0] - low[0]) <= 1e-12 * max(1.0, abs(low[0])):
            break
    if best is None:
        return None
    _along(x, direction, best[0], point)
    return best[1]


def _along(x: Tensor, direction: Tensor, t: float, point: Tensor) -> Tensor:
    """Writes x + t * direction to `point` and returns it; they may be on different devices."""
    return torch.add(x.to(point.device), direction.to(point.device), alpha=t, out=point)


def is_finite(evaluation: Evaluated, inner: Inner) -> bool:
    """Whether J and its gradient are finite.

    All machines get the same answer, since it depends on J and an inner product alone.
    """
    gradient = evaluation.gradient
    return math.isfinite(evaluation.value) and math.isfinite(inner(gradient, gradient))


def _interpolate(low: tuple[float, float, float], high: tuple[float, float, float]) -> float:
    """Returns the minimum of the cubic through two points and slopes, inside the bracket."""
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
