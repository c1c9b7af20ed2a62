from __future__ import annotations

from itertools import combinations
from pathlib import Path

import numpy as np
import pytest

from impasto.media.signals.beats import r_peaks
from impasto.metrics.beats import Agreement, beat_agreement
from tests.signals import heartbeats

pytest.importorskip("wfdb")

RATE = 250.0
PERIOD = 0.8
BEATS = np.arange(PERIOD / 2, 60, PERIOD)
ECG = heartbeats(60, RATE, PERIOD)


def test_beats_that_are_the_same_agree() -> None:
    assert beat_agreement(BEATS, BEATS) == Agreement(1, 1, 1)
    assert beat_agreement(BEATS + 0.149, BEATS).f1 == 1
    assert beat_agreement(BEATS - 0.149, BEATS).f1 == 1
    assert beat_agreement(BEATS + 0.151, BEATS).f1 == 0


def test_a_beat_counts_once() -> None:
    agreement = beat_agreement(np.array([1.0, 1.1]), np.array([1.05, 3.0]))
    assert agreement == Agreement(precision=0.5, sensitivity=0.5, f1=0.5)


def test_missed_and_added_beats() -> None:
    agreement = beat_agreement(np.array([1.0, 2, 2.5]), np.array([1.0, 2, 3, 4]))
    assert agreement == Agreement(precision=2 / 3, sensitivity=2 / 4, f1=4 / 7)


def test_nothing_found_and_nothing_to_find() -> None:
    assert beat_agreement(np.zeros(0), BEATS) == Agreement(0, 0, 0)
    assert all(np.isnan(beat_agreement(BEATS, np.zeros(0))))


def test_the_matching_is_the_largest() -> None:
    """Against all ways to match up to five beats with up to five others."""
    random = np.random.default_rng(0)
    for _ in range(200):
        found, reference = (np.sort(random.uniform(0, 1, random.integers(1, 6))) for _ in range(2))
        near = [
            (one, other)
            for one in range(len(found))
            for other in range(len(reference))
            if abs(found[one] - reference[other]) <= 0.150
        ]
        most = max(
            count
            for count in range(min(len(found), len(reference)) + 1)
            for pairs in combinations(near, count)
            if len({one for one, _ in pairs}) == len({other for _, other in pairs}) == count
        )
        assert beat_agreement(found, reference).sensitivity == most / len(reference)


@pytest.mark.parametrize("change", [lambda x: x, lambda x: -x, lambda x: 1000 * x, lambda x: x + 5])
def test_beats_are_found(change: object) -> None:
    assert callable(change)
    assert beat_agreement(r_peaks(change(ECG), RATE), BEATS).f1 > 0.98


def test_beats_of_fast_leads_are_found() -> None:
    noise = np.random.default_rng(0).normal(scale=0.01, size=60_000)
    peaks = r_peaks(heartbeats(60, 1000.0, PERIOD) + noise, 1000.0)
    assert beat_agreement(peaks, BEATS).f1 > 0.98


def test_beats_are_found_in_noise_and_around_a_gap() -> None:
    noisy = ECG + np.random.default_rng(0).normal(size=len(ECG)) * 0.05
    noisy[2000:3000] = np.nan
    kept = BEATS[(BEATS < 8) | (BEATS > 12)]
    assert beat_agreement(r_peaks(noisy, RATE), kept).f1 > 0.95


@pytest.mark.parametrize(
    "values", [np.zeros(1), np.zeros(5000), np.full(5000, 0.1), np.full(5000, np.nan), ECG[:100]]
)
def test_there_are_no_beats_in_nothing(values: np.ndarray) -> None:
    assert len(r_peaks(values, RATE)) == 0


@pytest.mark.parametrize("length", [250, 400, 800])
def test_short_stretches_are_no_error(length: int) -> None:
    found = r_peaks(ECG[:length], RATE)
    assert len(found) <= length / RATE / PERIOD + 1


@pytest.mark.slow
def test_record_100_of_mit_bih(shared: Path) -> None:
    import wfdb

    record = wfdb.rdrecord(str(shared / "signals" / "100"))
    annotation = wfdb.rdann(str(shared / "signals" / "100"), "atr")
    beats = np.isin(annotation.symbol, list("NLRBAaJSVrFejnE/fQ?"))
    reference = annotation.sample[beats] / record.fs
    assert len(reference) == 2273
    for channel, least in ((0, 1.0), (1, 0.998)):
        found = r_peaks(record.p_signal[:, channel], float(record.fs))
        assert min(beat_agreement(found, reference)) >= least
