from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import islice, pairwise
from typing import Any

import numpy as np
import pytest
import torch
from scipy.optimize import minimize, rosen, rosen_der
from torch import Tensor

from impasto.errors import NumericalError
from impasto.optimizers import Step, adam, dot, gradient_descent, lbfgs, strong_wolfe
from tests.oracles import reference
from tests.strategies import normal


@dataclass(frozen=True)
class Value:
    value: float
    gradient: Tensor


def function(f: Callable[[Tensor], Tensor]) -> Callable[[Tensor], Value]:
    """J and dJ/dG of a function written in torch."""

    def evaluate(x: Tensor) -> Value:
        x = x.detach().requires_grad_(True)
        y = f(x)
        return Value(y.item(), torch.autograd.grad(y, x)[0])

    return evaluate


def rosenbrock(x: Tensor) -> Tensor:
    a, b = x[..., :-1], x[..., 1:]
    return (100 * (b - a**2) ** 2 + (1 - a) ** 2).sum()


CURVATURES = torch.logspace(0, 2, 6, dtype=torch.float64)


def bowl(x: Tensor) -> Tensor:
    return (CURVATURES * x**2).sum() / 2


LOOPS: list[Any] = [
    pytest.param(gradient_descent, 0.009, id="gradient-descent"),
    pytest.param(adam, 0.05, id="adam"),
    pytest.param(lbfgs, 0.05, id="lbfgs"),
]


def run(loop: Any, f: Any, x: Tensor, rate: float, steps: int, **more: Any) -> list[Step[Value]]:
    iterator: Iterator[Step[Value]] = loop(f, x, learning_rate=rate, **more)
    return list(islice(iterator, steps))


def test_gradient_descent_is_the_formula() -> None:
    x = normal(0, 1, 1, 6)
    steps = run(gradient_descent, function(bowl), x, 0.009, 7)
    for before, after in pairwise(steps):
        expected = before.sample - 0.009 * CURVATURES * before.sample
        torch.testing.assert_close(after.sample, expected)
        assert before.evaluation.value == bowl(before.sample).item()


def test_adam_equals_the_oracle() -> None:
    x = normal(1, 1, 1, 6)
    expected = reference.adam(lambda x: CURVATURES.numpy() * x, x.numpy(), 0.05, (0.9, 0.99), 40)
    last = run(adam, function(bowl), x, 0.05, 40)[-1]
    np.testing.assert_allclose(last.state.x.numpy(), expected, rtol=1e-10)


def test_lbfgs_solves_rosenbrock_about_as_fast_as_scipy() -> None:
    start = np.full(20, -1.2)
    evaluations = 0

    def counted(x: Tensor) -> Value:
        nonlocal evaluations
        evaluations += 1
        return function(rosenbrock)(x)

    for step in lbfgs(counted, torch.from_numpy(start)[None, None], learning_rate=0.01):
        if step.evaluation.value < 1e-12:
            break
    known = minimize(rosen, start, jac=rosen_der, method="L-BFGS-B", options={"maxcor": 10})
    assert evaluations < 2 * known.nfev
    torch.testing.assert_close(step.sample, torch.ones(1, 1, 20).double(), rtol=0, atol=1e-5)


def test_lbfgs_never_raises_j() -> None:
    values = [
        step.evaluation.value
        for step in run(lbfgs, function(rosenbrock), normal(3, 1, 1, 9), 1.0, 60)
    ]
    assert values == sorted(values, reverse=True)


def test_the_line_search_meets_both_wolfe_conditions() -> None:
    for seed in range(20):
        x = normal(seed, 1, 1, 6)
        f = function(rosenbrock)
        here = f(x)
        direction = -here.gradient
        slope = dot(here.gradient, direction)
        found = strong_wolfe(f, x, here, direction, dot, 1e-3)
        assert found is not None
        point, there = found
        t = dot(point - x, direction) / dot(direction, direction)
        assert there.value <= here.value + 1e-4 * t * slope
        assert abs(dot(there.gradient, direction)) <= 0.9 * abs(slope)


@pytest.mark.parametrize(("loop", "rate"), LOOPS)
def test_a_loop_resumes_with_the_same_numbers(loop: Any, rate: float) -> None:
    f, x = function(rosenbrock), normal(5, 1, 1, 8) / 2
    rate /= 50
    whole = run(loop, f, x, rate, 20)
    first = run(loop, f, x, rate, 8)
    rest = run(loop, f, x, rate, 12, state=first[-1].state)
    for expected, actual in zip(whole[8:], rest, strict=True):
        assert torch.equal(expected.sample, actual.sample)
        assert expected.evaluation.value == actual.evaluation.value


@pytest.mark.parametrize(("loop", "rate"), LOOPS)
def test_a_loop_leaves_what_it_was_given_alone(loop: Any, rate: float) -> None:
    x = normal(6, 1, 1, 6)
    copy = x.clone()
    steps = run(loop, function(bowl), x, rate, 4)
    samples = [step.sample.clone() for step in steps]
    run(loop, function(bowl), x, rate, 4, state=steps[0].state)
    assert torch.equal(x, copy)
    assert all(torch.equal(a, step.sample) for a, step in zip(samples, steps, strict=True))


def cliff(x: Tensor) -> Tensor:
    """Lowest just before the numbers end: a step too far is not finite."""
    return torch.where(x < 1, -x, torch.full_like(x, math.nan)).sum()


@pytest.mark.parametrize(("loop", "rate"), LOOPS)
def test_no_step_is_ever_non_finite(loop: Any, rate: float) -> None:
    steps = run(loop, function(cliff), torch.full((1, 1, 3), 0.5).double(), 10 * rate, 40)
    assert steps
    assert all(math.isfinite(step.evaluation.value) for step in steps)
    assert steps[-1].evaluation.value < -2.9


@pytest.mark.parametrize(("loop", "rate"), LOOPS[:2])
def test_a_retreat_halves_the_step_and_says_so(loop: Any, rate: float) -> None:
    steps = run(loop, function(cliff), torch.full((1, 1, 3), 0.5).double(), 10 * rate, 40)
    noted = [step for step in steps if step.note]
    assert noted
    assert "halved" in noted[0].note
    assert noted[0].state.learning_rate == 5 * rate


@pytest.mark.parametrize(("loop", "rate"), LOOPS)
def test_a_start_that_is_not_finite_is_an_error(loop: Any, rate: float) -> None:
    with pytest.raises(NumericalError, match="at the start"):
        run(loop, function(cliff), torch.full((1, 1, 3), 2.0).double(), rate, 3)


def test_adam_carries_on_where_lbfgs_finds_nothing_lower() -> None:
    def wrong_gradient(x: Tensor) -> Value:
        there = function(bowl)(x)
        return Value(there.value, -there.gradient if abs(x.max()) > 0.5 else there.gradient)

    x = torch.full((1, 1, 6), 0.6).double()
    steps = run(lbfgs, wrong_gradient, x, 0.01, 5)
    assert "Adam carries on" in steps[0].note
    assert torch.equal(steps[0].sample, x)
    assert len(steps) == 5
    resumed = run(lbfgs, wrong_gradient, x, 0.01, 3, state=steps[1].state)
    assert torch.equal(resumed[-1].sample, steps[4].sample)


def test_lbfgs_ends_where_the_gradient_is_zero() -> None:
    assert not run(lbfgs, function(bowl), torch.zeros(1, 1, 6).double(), 1.0, 5)


@pytest.mark.parametrize("loop", [gradient_descent, adam])
def test_the_projection_holds_after_each_step(loop: Any) -> None:
    steps = run(
        loop,
        function(lambda x: (x - 3).square().sum()),
        torch.zeros(1, 1, 4).double(),
        0.2,
        30,
        project=lambda x: x.clamp(0, 1),
    )
    assert all(step.state.x.max() <= 1 for step in steps)
    assert steps[-1].state.x.min() == 1
