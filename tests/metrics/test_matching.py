"""Coverage and precision: against the formula in NumPy, and what they are to tell apart."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from impasto.metrics import matching
from impasto.metrics.matching import coverage, precision
from tests.strategies import normal, seeds


def by_hand(sought: np.ndarray, among: np.ndarray, mean: np.ndarray) -> float:
    """The mean cosine distance to the nearest, one pair at a time, in float64."""
    distances = []
    for a in sought - mean:
        cosines = [a @ b / np.linalg.norm(a) / np.linalg.norm(b) for b in among - mean]
        distances.append(1 - max(cosines))
    return float(np.mean(distances))


@given(seeds, st.integers(2, 9), st.integers(2, 9), st.integers(2, 5))
def test_coverage_and_precision_equal_the_formula(
    seed: int, styles: int, results: int, channels: int
) -> None:
    s = normal(seed, 1, styles, channels)[0].float()
    g = normal(seed + 1, 1, results, channels)[0].float()
    arrays = [x.double().numpy() for x in (s, g)]
    mean = arrays[0].mean(0)
    assert coverage(s, g) == pytest.approx(by_hand(arrays[0], arrays[1], mean), abs=1e-4)
    assert precision(s, g) == pytest.approx(by_hand(arrays[1], arrays[0], mean), abs=1e-4)


def test_a_result_that_repeats_one_mark_is_precise_and_covers_little() -> None:
    s = normal(0, 1, 50, 8)[0].float()
    assert coverage(s, s) == pytest.approx(0, abs=1e-5)
    repeated = s[:1].repeat(50, 1)
    assert precision(s, repeated) == pytest.approx(0, abs=1e-5)
    assert coverage(s, repeated) > 0.5


def test_of_many_positions_some_evenly_spread_are_looked_at(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    s, g = (normal(seed, 1, 400, 6)[0].float() for seed in (1, 2))
    whole = coverage(s, g)
    monkeypatch.setattr(matching, "SOUGHT", 100)
    some = coverage(s, g)
    assert some != whole
    assert some == pytest.approx(whole, rel=0.1)
    assert torch.isfinite(torch.tensor(some))
