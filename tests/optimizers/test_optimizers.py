from __future__ import annotations

import json
import math
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from itertools import islice, pairwise
from pathlib import Path
from threading import Barrier
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors.torch import load_file, save_file
from scipy.optimize import minimize, rosen, rosen_der
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

import impasto.optimizers.loop as loop_module
from impasto.errors import NumericalError
from impasto.optimizers.adam import adam
from impasto.optimizers.gradient_descent import gradient_descent
from impasto.optimizers.lbfgs import lbfgs
from impasto.optimizers.line_search import strong_wolfe
from impasto.optimizers.loop import State, Step, dot
from tests.oracles import reference
from tests.strategies import normal, seeds, spaces


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


def taken_over(f: Any, x: Tensor, **more: Any) -> Iterator[Step[Value]]:
    """L-BFGS that finds nothing lower at its start, so that Adam carries on."""
    by_adam = more.get("state") is not None

    def evaluate(x: Tensor) -> Value:
        there: Value = f(x)
        return there if by_adam else Value(there.value, -there.gradient)

    for step in lbfgs(evaluate, x, **more):
        by_adam = step.state.adam
        assert by_adam
        yield step


BY_ADAM: list[Any] = [
    pytest.param(taken_over, 0.05, id="lbfgs-by-adam"),
]


def run(loop: Any, f: Any, x: Tensor, rate: float, steps: int, **more: Any) -> list[Step[Value]]:
    """The first steps, their tensors copied: the loop writes to its own again."""
    iterator: Iterator[Step[Value]] = loop(f, x, learning_rate=rate, **more)
    return [
        replace(step, sample=step.sample.clone(), state=copied(step.state))
        for step in islice(iterator, steps)
    ]


def assert_equal(actual: dict[str, Tensor], expected: dict[str, Tensor]) -> None:
    assert actual.keys() == expected.keys()
    assert all(torch.equal(tensor, expected[name]) for name, tensor in actual.items())


def copied(state: State) -> State:
    tensors = {name: tensor.clone() for name, tensor in state.tensors().items()}
    return State.rebuilt(tensors, state.scalars())


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


def test_the_step_grows_shorter_by_the_decay() -> None:
    x = normal(2, 1, 1, 6)
    steps = run(gradient_descent, function(bowl), x, 0.009, 7, decay=0.5)
    for number, (before, after) in enumerate(pairwise(steps)):
        rate = 0.009 * 0.5**number
        torch.testing.assert_close(after.sample, before.sample * (1 - rate * CURVATURES))
        assert before.state.learning_rate == rate / 2


def test_adams_too() -> None:
    """Where the gradient is constant each of its steps is as long as the learning rate."""
    steps = run(adam, function(torch.sum), normal(3, 1, 1, 6), 0.1, 9, decay=0.8)
    lengths = [float((a.sample - b.sample).max()) for a, b in pairwise(steps)]
    assert lengths == pytest.approx([0.1 * 0.8**number for number in range(8)], rel=1e-6)


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
        point = torch.empty_like(x)
        there = strong_wolfe(f, x, here, direction, dot, 1e-3, point)
        assert there is not None
        assert there.value == f(point).value
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


@pytest.mark.parametrize(("loop", "rate"), [*LOOPS, *BY_ADAM])
def test_a_state_survives_files(loop: Any, rate: float, tmp_path: Path) -> None:
    f, x = function(rosenbrock), normal(5, 1, 1, 8) / 2
    whole = run(loop, f, x, rate / 50, 40)
    for step, expected in (whole[:2], whole[25:27]):
        save_file(step.state.tensors(), tmp_path / "state.safetensors")
        written = json.dumps(step.state.scalars())
        state = State.rebuilt(load_file(tmp_path / "state.safetensors"), json.loads(written))
        assert state.scalars() == step.state.scalars()
        assert_equal(state.tensors(), step.state.tensors())
        following = run(loop, f, x, 1.0, 1, state=state)[0]
        assert_equal(following.state.tensors(), expected.state.tensors())


@pytest.mark.parametrize(("loop", "rate"), LOOPS)
def test_a_loop_leaves_what_it_was_given_alone(loop: Any, rate: float) -> None:
    x = normal(6, 1, 1, 6)
    copy = x.clone()
    gradients = []

    def evaluate(x: Tensor) -> Value:
        there = function(bowl)(x)
        gradients.append((there.gradient, there.gradient.clone()))
        return there

    state = next(iter(loop(evaluate, x, learning_rate=rate))).state
    following = state.x.clone()
    run(loop, evaluate, x, rate, 9, state=state)
    assert torch.equal(x, copy)
    assert torch.equal(state.x, following)
    assert all(torch.equal(gradient, kept) for gradient, kept in gradients)


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
    first = next(number for number, step in enumerate(steps) if step.note)
    assert "halved" in steps[first].note
    assert steps[first].state.learning_rate == 5 * rate
    best = min(steps[:first], key=lambda step: step.evaluation.value)
    assert torch.equal(steps[first].sample, best.sample)


@pytest.mark.parametrize(("loop", "rate"), [*LOOPS, (gradient_descent, 0.0201), (adam, 1.0)])
def test_the_best_sample_is_kept(loop: Any, rate: float) -> None:
    steps = run(loop, function(bowl), normal(4, 1, 1, 6), rate, 30)
    for number, step in enumerate(steps, 1):
        best = min(steps[:number], key=lambda step: step.evaluation.value)
        assert step.state.best_value == best.evaluation.value
        assert torch.equal(step.state.best, best.sample)


@pytest.mark.parametrize(("loop", "rate"), LOOPS)
def test_a_start_that_is_not_finite_is_an_error(loop: Any, rate: float) -> None:
    with pytest.raises(NumericalError, match="at the start"):
        run(loop, function(cliff), torch.full((1, 1, 3), 2.0).double(), rate, 3)


def wrong_gradient(x: Tensor) -> Value:
    there = function(bowl)(x)
    return Value(there.value, -there.gradient if abs(x.max()) > 0.5 else there.gradient)


def test_adam_carries_on_where_lbfgs_finds_nothing_lower() -> None:
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


@pytest.mark.slow
@pytest.mark.parametrize(("loop", "rate"), [*LOOPS, *BY_ADAM])
@given(seed=seeds, space=spaces(), block=st.integers(1, 50))
def test_the_block_size_does_not_matter(
    loop: Any, rate: float, seed: int, space: tuple[int, ...], block: int
) -> None:
    f = function(lambda x: ((x - 0.8).square() * (1 + x.square())).sum())
    x = normal(seed, 1, 2, *space) / 2
    more = {"project": lambda x: x.clamp(-1, 1)}
    whole = run(loop, f, x, rate, 6, **more)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop_module, "BLOCK", block)
        parts = run(loop, f, x, rate, 6, **more)
    for expected, actual in zip(whole, parts, strict=True):
        torch.testing.assert_close(actual.sample, expected.sample, rtol=1e-9, atol=1e-9)


@given(seed=seeds, size=st.integers(1, 99), block=st.integers(1, 50))
def test_dot_adds_up_in_float64(seed: int, size: int, block: int) -> None:
    a, b = (normal(seed + part, size).float() for part in range(2))
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(loop_module, "BLOCK", block)
        expected = math.fsum((a.double() * b.double()).tolist())
        assert dot(a, b) == pytest.approx(expected, rel=0, abs=1e-13)


class Allocations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """The size of the largest tensor that came into being."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.largest = 0
        self.paused = False

    def __torch_dispatch__(self, op: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = op(*args, **(kwargs or {}))
        if not self.paused:
            known = self.memory(args, kwargs)
            sizes = self.memory(result)
            self.largest = max([self.largest, *(sizes[at] for at in sizes.keys() - known.keys())])
        return result

    @staticmethod
    def memory(*things: Any) -> dict[int, int]:
        """Where the tensors among them lie, and how many bytes there are."""
        storages = [t.untyped_storage() for t in tree_leaves(things) if isinstance(t, Tensor)]
        return {storage.data_ptr(): storage.nbytes() for storage in storages}

    def outside(self, f: Callable[..., Any]) -> Callable[..., Any]:
        """That function, its tensors not counted."""

        def uncounted(*args: Any) -> Any:
            self.paused = True
            try:
                return f(*args)
            finally:
                self.paused = False

        return uncounted


@pytest.mark.slow
@pytest.mark.parametrize(
    ("loop", "rate", "arrays"),
    [
        pytest.param(gradient_descent, 1e-4, 3, id="gradient-descent"),
        pytest.param(adam, 0.05, 5, id="adam"),
        pytest.param(lbfgs, 1.0, 24, id="lbfgs"),
    ],
)
def test_a_step_needs_a_block_beside_its_arrays(
    loop: Any, rate: float, arrays: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(loop_module, "BLOCK", 64)
    counter = Allocations()
    made = []

    def new(shape: torch.Size, dtype: torch.dtype) -> Tensor:
        made.append(torch.full(shape, math.nan, dtype=dtype))
        return made[-1]

    steps = loop(
        counter.outside(function(rosenbrock)),
        normal(7, 1, 10, 30, 5).float(),
        learning_rate=rate,
        project=lambda x: x.clamp(-2, 2),
        new=counter.outside(new),
    )
    with counter:
        for step in islice(steps, 40):
            assert math.isfinite(step.evaluation.value)
    assert 0 < counter.largest <= 64 * 8  # float64, of the inner products
    assert len(made) <= arrays


@pytest.mark.parametrize(("loop", "rate"), LOOPS)
def test_the_arrays_may_lie_in_files(loop: Any, rate: float, tmp_path: Path) -> None:
    def new(shape: torch.Size, dtype: torch.dtype) -> Tensor:
        path = tmp_path / str(len(list(tmp_path.iterdir())))
        size = math.prod(shape)
        return torch.from_file(str(path), shared=True, size=size, dtype=dtype).view(shape)

    f, x = function(rosenbrock), normal(8, 1, 2, 9) / 2
    for expected, actual in zip(
        run(loop, f, x, rate / 50, 20), run(loop, f, x, rate / 50, 20, new=new), strict=True
    ):
        assert_equal(actual.state.tensors(), expected.state.tensors())
    assert list(tmp_path.iterdir())


@pytest.mark.parametrize(("loop", "rate"), LOOPS)
def test_any_memory_order_will_do(loop: Any, rate: float) -> None:
    def turned(x: Tensor) -> Value:
        there = function(rosenbrock)(x)
        return Value(there.value, there.gradient.mT.contiguous().mT)

    x = normal(9, 1, 2, 4, 3) / 2
    expected = run(loop, function(rosenbrock), x, rate / 50, 9)[-1]
    actual = run(loop, turned, x.mT.contiguous().mT, rate / 50, 9)[-1]
    torch.testing.assert_close(actual.sample, expected.sample)


class Machines:
    """Several that add up what each has a part of."""

    def __init__(self, count: int) -> None:
        self.barrier = Barrier(count, timeout=60)
        self.parts = [0.0] * count

    def total(self, rank: int, part: float) -> float:
        self.parts[rank] = part
        self.barrier.wait()
        total = sum(self.parts)
        self.barrier.wait()
        return total


@pytest.mark.parametrize(("loop", "rate"), LOOPS)
def test_machines_that_share_a_sample_go_the_same_way(loop: Any, rate: float) -> None:
    """Even where the gradient ceases to be finite on one of them only: above 1."""

    def part(machines: Machines, x: Tensor, rank: int) -> list[Step[Value]]:
        def inner(a: Tensor, b: Tensor) -> float:
            return machines.total(rank, dot(a, b))

        def evaluate(x: Tensor) -> Value:
            mine = function(lambda x: ((x - 0.9).square() * (1 + x.square())).sum())(x)
            mean = machines.total(rank, x.sum().item()) / 20
            value = machines.total(rank, mine.value) + 10 * mean**2
            return Value(value, torch.where(x > 1, math.nan, mine.gradient + mean))

        return run(loop, evaluate, x, 100 * rate, 12, inner=inner)

    x = torch.linspace(-1, 0.9, 20).double().view(1, 1, 20)
    alone = part(Machines(1), x, 0)
    assert loop is lbfgs or any("halved" in step.note for step in alone)
    two = Machines(2)
    with ThreadPoolExecutor(2) as pool:
        left, right = pool.map(part, [two] * 2, x.chunk(2, -1), range(2))
    for expected, a, b in zip(alone, left, right, strict=True):
        assert expected.note == a.note == b.note
        sample = torch.cat((a.sample, b.sample), -1)
        torch.testing.assert_close(sample, expected.sample, rtol=1e-9, atol=1e-9)
