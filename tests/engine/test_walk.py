"""Tile by tile is the whole, to the last digits: against plain PyTorch of the whole sample."""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from impasto.config.settings import ObjectiveConfig
from impasto.engine.gradient import Evaluation, terms_of, value_and_grad
from impasto.engine.walk import WALKS, WHOLE, Plan
from impasto.grids.geometry import Extent, Region, Space
from impasto.networks.stage import Network
from impasto.networks.vgg import Padding, vgg
from tests.problems import Problem, a_plan, a_problem
from tests.strategies import normal

Padded = tuple[Region, list[tuple[int, int]]]


def error(evaluation: Evaluation, problem: Problem) -> float:
    """Of J or of its gradient, relative, whichever is larger."""
    terms, gradient = problem.expected()
    value, norm = sum(terms.values()), float(gradient.norm())
    assert evaluation.terms.keys() == terms.keys()
    difference = float((evaluation.gradient.double() - gradient).norm())
    return max(abs(evaluation.value - value) / (abs(value) or 1), difference / (norm or 1))


def tolerance(problem: Problem) -> float:
    """Of that error in float64: moments take roots of small eigenvalues, and smoothed content is
    what is left of nearly equal sums."""
    if "moments" in problem.config.style_losses:
        return 1e-9
    return 1e-11 if problem.config.smoothing == "softmax" else 1e-12


@given(st.data())
@settings(max_examples=40)
def test_any_plan_equals_plain_automatic_differentiation(data: st.DataObject) -> None:
    problem = a_problem(data)
    objective = problem.objective(a_plan(data, problem))
    plan = a_plan(data, problem)
    evaluation = value_and_grad(objective, problem.g, plan)
    assert error(evaluation, problem) < tolerance(problem)
    assert terms_of(objective, problem.g, plan) == pytest.approx(evaluation.terms, rel=1e-12)


@pytest.mark.slow
@given(st.data())
@settings(max_examples=20)
def test_in_float32_any_plan_is_near(data: st.DataObject) -> None:
    problem = a_problem(data)
    plan = a_plan(data, problem)
    single = problem.to(torch.float32)
    evaluation = value_and_grad(single.objective(plan), single.g, plan)
    assert evaluation.gradient.dtype is torch.float32
    assert error(evaluation, problem) < 1e-5


def fixed_problem(dims: int, padding: Padding, **settings: Any) -> Problem:
    """Two blocks, every kind of term, and a sample of a few tiles."""
    torch.manual_seed(dims)
    network = vgg("fixed", (2, 1), (3, 4), dims=dims, channels=2, padding=padding).double()
    config = ObjectiveConfig(
        gamma=0.5,
        content_layers=("relu1_2",),
        style_layers=(("relu1_1", 1.0), ("relu2_1", 1.0)),
    )
    content, style, g = (normal(seed, 1, 2, *(13, 10, 7)[:dims]) for seed in range(3))
    return Problem(network, replace(config, **settings), content, (style,), g, (None, None))


def tiles(dims: int, kept: int = 1) -> Plan:
    return Plan(tiles=((4, 6, 4)[:dims], (2, 4, 6)[:dims]), kept=kept)


@pytest.fixture
def forgotten() -> Iterator[None]:
    """No walk laid out before or after by other extents is taken."""
    WALKS.clear()
    yield
    WALKS.clear()


def one_less(side: int, padded: bool) -> Any:
    """`Extent.source` of convolutions with one position less before (0) or after (1).

    padded: whether that is padded, as it would be at the border, or just missing.
    """
    right = Extent.source

    def source(self: Extent, region: Region, grid: Space) -> Padded:
        found, padding = right(self, region, grid)
        if region.empty or max(self.kernel) == 1 or max(self.stride) > 1:
            return found, padding
        start, stop = list(found.start), list(found.stop)
        for axis, length in enumerate(grid):
            inside = found.start[axis] > 0 if side == 0 else found.stop[axis] < length
            if inside and stop[axis] - start[axis] > 1:
                start[axis] += side == 0
                stop[axis] -= side == 1
                if padded:
                    before, after = padding[axis]
                    padding[axis] = (before + (side == 0), after + (side == 1))
        return Region(tuple(start), tuple(stop), grid), padding

    return source


@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("side", [0, 1])
@pytest.mark.parametrize(("dims", "padding"), [(1, "zero"), (2, "replicate"), (3, "zero")])
def test_a_halo_one_position_too_small_is_found_out(
    dims: int, padding: Padding, side: int, padded: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    problem = fixed_problem(dims, padding)
    objective = problem.objective()
    assert error(value_and_grad(objective, problem.g, tiles(dims)), problem) < 1e-12
    monkeypatch.setattr(Extent, "source", one_less(side, padded))
    WALKS.clear()
    try:
        found = error(value_and_grad(objective, problem.g, tiles(dims)), problem)
    except (RuntimeError, ValueError):
        assert not padded
    else:
        assert found > 1e-6


@pytest.mark.usefixtures("forgotten")
@pytest.mark.parametrize("padding", ["zero", "replicate", "reflect", "valid"])
def test_an_extent_too_small_is_found_out(padding: Padding) -> None:
    """A kernel, or the padding, said to be one smaller than the convolution's."""
    problem = fixed_problem(2, padding)
    extents = problem.network.stages[0].extents
    right = extents["conv1_2"]
    smaller = [replace(right, kernel=(2, 2))]
    if padding != "valid":
        smaller.append(replace(right, padding=(0, 0)))
    objective = problem.objective()
    for wrong in smaller:
        WALKS.clear()
        extents["conv1_2"] = wrong
        difference = math.inf  # where shapes no longer fit
        with suppress(RuntimeError, ValueError):
            difference = error(value_and_grad(objective, problem.g, tiles(2)), problem)
        assert difference > 1e-6


@pytest.mark.usefixtures("forgotten")
def test_a_reach_too_small_is_found_out(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = fixed_problem(2, "zero", alpha=0.0, beta=0.0)
    objective = problem.objective()
    monkeypatch.setattr(Region, "grow", lambda self, after: self)
    assert error(value_and_grad(objective, problem.g, tiles(2)), problem) > 1e-6


def test_what_is_kept_is_not_computed_again(monkeypatch: pytest.MonkeyPatch) -> None:
    problem = fixed_problem(2, "replicate")
    stages = list(problem.network.stages)
    objective = problem.objective()
    right = type(stages[0]).forward
    calls: list[int] = []

    def counted(self: Any, *arguments: Any) -> Any:
        calls.append(stages.index(self))
        return right(self, *arguments)

    monkeypatch.setattr(type(stages[0]), "forward", counted)
    counts = {}
    for kept in range(3):
        calls.clear()
        value_and_grad(objective, problem.g, tiles(2, kept))
        counts[kept] = [calls.count(stage) for stage in range(2)]
    once = counts[2]
    assert min(once) > 1
    assert counts == {
        0: [2 * once[0], 2 * once[1]],
        1: [2 * once[0], once[1]],
        2: once,
    }


def test_g_may_have_any_order_in_memory_and_is_left_as_it_is() -> None:
    problem = fixed_problem(2, "replicate")
    objective = problem.objective()
    expected = value_and_grad(objective, problem.g)
    before = problem.g.clone()
    for g in (
        problem.g.contiguous(memory_format=torch.channels_last),
        problem.g.transpose(2, 3).contiguous().transpose(2, 3),
        problem.g.clone().requires_grad_(True),
    ):
        evaluation = value_and_grad(objective, g, tiles(2))
        torch.testing.assert_close(evaluation.gradient, expected.gradient, rtol=1e-12, atol=1e-12)
        assert evaluation.gradient.is_contiguous()
        assert torch.equal(g, before)


def test_terms_measured_on_the_sample_alone_need_no_network() -> None:
    config = ObjectiveConfig(
        alpha=1.0, gamma=1.0, content_layers=("input",), style_layers=(("input", 1.0),)
    )
    network = Network("none", [], dims=2, channels=2)
    content, style, g = (normal(seed, 1, 2, 9, 8) for seed in range(3))
    problem = Problem(network, config, content, (style,), g, (None, None))
    plan = replace(WHOLE, tiles=((3, 3),))
    assert error(value_and_grad(problem.objective(plan), g, plan), problem) < 1e-12
