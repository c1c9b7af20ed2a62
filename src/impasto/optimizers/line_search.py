"""A strong Wolfe line search: how far to go along a direction."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Protocol, TypeVar, runtime_checkable

import torch
from torch import Tensor


@runtime_checkable
class Evaluated(Protocol):
    """J and dJ/dG at a sample."""

    @property
    def value(self) -> float: ...
    @property
    def gradient(self) -> Tensor: ...


E = TypeVar("E", bound=Evaluated)

Evaluate = Callable[[Tensor], E]
"""J at a sample, whose array is written to again later on. L-BFGS needs each gradient to last."""

Inner = Callable[[Tensor, Tensor], float]
"""The inner product; of samples spread over machines, the sum of all their parts."""

ARMIJO, CURVATURE, TRIALS = 1e-4, 0.9, 25
"""Nocedal and Wright's c1 and c2, and evaluations at most."""


def strong_wolfe(
    evaluate: Evaluate[E],
    x: Tensor,
    here: E,
    direction: Tensor,
    inner: Inner,
    first: float,
    point: Tensor,
) -> E | None:
    """J at a point along the direction that meets the strong Wolfe conditions.

    Nocedal and Wright 2006, algorithms 3.5 (bracketing) and 3.6 (zoom), with cubic interpolation.
    first: the step to try first. point: where the points tried are written, at last the one found.
    Where TRIALS evaluations do not suffice, the lowest point that at least lowers J; None when
    there is none. A non-finite J counts as infinitely high.
    """
    slope = inner(here.gradient, direction)
    if not slope < 0:
        return None
    low: tuple[float, float, float] = (0.0, here.value, slope)
    high: tuple[float, float, float] | None = None
    best: tuple[float, E] | None = None
    t = first
    for _ in range(TRIALS):
        there = evaluate(torch.add(x, direction, alpha=t, out=point))
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
    torch.add(x, direction, alpha=best[0], out=point)
    return best[1]


def is_finite(evaluation: Evaluated, inner: Inner) -> bool:
    """Whether J and its gradient are, as told by what is the same on all machines."""
    gradient = evaluation.gradient
    return math.isfinite(evaluation.value) and math.isfinite(inner(gradient, gradient))


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
