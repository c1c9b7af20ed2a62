"""What L-BFGS starts its inverse Hessian from."""

from __future__ import annotations

from functools import reduce
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from impasto.config.presets import configure
from impasto.engine import ensemble
from impasto.optimizers.lbfgs import lbfgs
from impasto.optimizers.loop import Precondition, plain
from impasto.optimizers.preconditioner import favor_large_forms
from impasto.transfer.stylize import stylize
from tests.optimizers.test_optimizers import Value, function

spaces = st.one_of(
    st.tuples(st.integers(1, 40)),
    st.tuples(st.integers(1, 9), st.integers(1, 9)),
    st.tuples(st.integers(1, 5), st.integers(1, 4), st.integers(1, 3)),
)


def oracle(space: tuple[int, ...]) -> np.ndarray:
    """I + sum over k of 1.5^k M_k, from the formula."""
    found = np.eye(int(np.prod(space)))
    for k in range(1, 5):
        boxes = [np.arange(length) >> k for length in space]
        means = [(box[:, None] == box) / 2**k for box in boxes]
        found += 1.5**k * reduce(np.kron, means)
    return found


@given(spaces)
def test_the_preconditioner_equals_the_formula(space: tuple[int, ...]) -> None:
    count = int(np.prod(space))
    columns = torch.eye(count, dtype=torch.float64).reshape(1, count, *space)
    favor_large_forms(columns)
    found = columns.reshape(count, count).numpy()
    np.testing.assert_allclose(found, oracle(space), rtol=1e-12)
    assert np.linalg.eigvalsh(found).min() > 1 - 1e-9


def test_forms_twice_as_large_may_move_further() -> None:
    gains = []
    for period in (2, 4, 8, 16):
        wave = torch.sin(2 * np.pi * (torch.arange(64.0) + 0.5) / period)[None, None]
        moved = wave.clone()
        favor_large_forms(moved)
        gains.append((moved * wave).sum() / (wave * wave).sum())
    assert gains == sorted(gains)
    assert gains[-1] > 3 * gains[0]


def test_rough_problems_are_solved_in_fewer_steps() -> None:
    """Where detail counts most, as it does to networks."""
    target = torch.rand(1, 3, 32, 32, generator=torch.Generator().manual_seed(0)).double()

    def rough(x: Tensor) -> Tensor:
        e = x - target
        return sum((e.diff(dim=dim).square().sum() for dim in (2, 3)), 1e-3 * e.square().sum())

    def evaluations(precondition: Precondition) -> int:
        count = 0

        def counted(x: Tensor) -> Value:
            nonlocal count
            count += 1
            return function(rough)(x)

        x = torch.zeros_like(target)
        for step in lbfgs(counted, x, learning_rate=0.1, precondition=precondition):
            if step.evaluation.value < 1e-6:
                break
        return count

    assert evaluations(favor_large_forms) < 0.8 * evaluations(plain)


@pytest.mark.parametrize(
    ("init", "gamma", "favored"),
    [("content", 0.0, True), ("noise", 0.1, True), ("noise", 0.0, False)],
)
def test_not_where_noise_is_smoothed_by_nothing(
    init: str, gamma: float, favored: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []
    monkeypatch.setattr(ensemble, "favor_large_forms", lambda x: calls.append(x.ndim))
    picture = np.random.default_rng(0).random((24, 32, 3), dtype=np.float32)
    settings: dict[str, Any] = {"size": (32,), "coarsest": 0, "steps": (3,), "optimizer": "lbfgs"}
    stylize(picture, picture[::-1].copy(), configure(init=init, gamma=gamma, **settings))
    assert bool(calls) is favored
