from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest

from impasto.errors import SampleError
from impasto.media.pictures.picture import from_array
from impasto.media.sample import Sample
from impasto.metrics import Comparison, Row, compare
from impasto.metrics.series import amplitude_distance, log_spectral_distance
from tests.signals import heartbeats, signal, sound

pytest.importorskip("wfdb")

RATE = 250.0
NOISE = np.random.default_rng(0).normal(size=(4, 10_000))
CONTENT = signal([heartbeats(40), -heartbeats(40)], RATE)
STYLE = signal(0.1 * NOISE[:2] + [[1], [2]], RATE)


def rows(comparison: Comparison) -> dict[str, Row]:
    return {row.metric: row for row in comparison.rows}


def test_the_metrics_of_signals_are_these() -> None:
    comparison = compare(CONTENT, CONTENT, STYLE)
    assert [(row.metric, row.unit, row.against, row.better) for row in comparison.rows] == [
        ("R-peak F1", "", "content", "higher"),
        ("log-spectral distance", "dB", "style", "lower"),
        ("burst distance", "dB", "style", "lower"),
        ("autocorrelation distance", "", "style", "lower"),
        ("amplitude distance", "mV", "style", "lower"),
        ("kurtosis difference", "", "style", "lower"),
    ]
    assert comparison.leads == (("I", "I"), ("II", "II"))


def test_the_content_itself_is_the_no_op() -> None:
    for row in compare(CONTENT, CONTENT, STYLE).rows:
        assert row.result == row.no_op
        if row.against == "style":
            assert row.floor < row.no_op
    assert rows(compare(CONTENT, CONTENT, STYLE))["R-peak F1"].result == 1


def test_the_style_itself_keeps_nothing_of_the_content() -> None:
    for row in compare(STYLE, CONTENT, STYLE).rows:
        if row.against == "style":
            assert row.result == 0
        else:
            assert row.result < 0.6


def test_metrics_are_means_over_leads() -> None:
    row = rows(compare(CONTENT, CONTENT, STYLE))
    pairs = list(zip(CONTENT.data.astype(float), STYLE.data.astype(float), strict=True))
    amplitudes = [amplitude_distance(*pair) for pair in pairs]
    assert row["amplitude distance"].result == pytest.approx(np.mean(amplitudes))
    spectra = [log_spectral_distance(*pair, (RATE, RATE)) for pair in pairs]
    assert row["log-spectral distance"].result == pytest.approx(np.mean(spectra))


def test_the_floor_is_one_half_of_the_style_against_the_other() -> None:
    style = signal(np.concatenate([NOISE[0], NOISE[1] + 0.5]), RATE, names=("I",), units=("mV",))
    floor = rows(compare(CONTENT, CONTENT, style))["amplitude distance"].floor
    first, second = np.split(style.data[0].astype(float), 2)
    assert floor == pytest.approx(amplitude_distance(first, second))


def test_leads_are_those_of_the_same_name() -> None:
    style = signal(STYLE.data[::-1], RATE, names=("ii", "V1"))
    comparison = compare(CONTENT, CONTENT, style)
    assert comparison.leads == (("II", "ii"),)
    other = signal(STYLE.data, RATE, names=("x", "y"))
    assert compare(CONTENT, CONTENT, other).leads == (("I", "x"), ("II", "y"))


def test_units_are_brought_together() -> None:
    micro = signal(CONTENT.data * 1000, RATE, units=("uV", "µV"))
    one, other = rows(compare(micro, CONTENT, STYLE)), rows(compare(CONTENT, CONTENT, STYLE))
    for metric, row in one.items():
        assert row.result == pytest.approx(other[metric].result, rel=1e-4), metric


def test_amplitudes_of_different_units_are_not_compared() -> None:
    style = signal(STYLE.data, RATE, units=("mmHg", "mV"))
    found = {
        row.unit: row for row in compare(CONTENT, CONTENT, style).rows if row.metric[:3] == "amp"
    }
    assert math.isnan(found["mmHg"].result)
    assert found["mmHg"].floor > 0
    assert found["mV"].result > 0


def test_sounds_have_no_heartbeats() -> None:
    content, style = (sound(0.1 * NOISE[k], rate=8000) for k in (0, 1))
    comparison = compare(content, content, style)
    assert "R-peak F1" not in rows(comparison)
    assert comparison.leads == (("channel 1", "channel 1"),)


def test_slow_signals_and_other_units_have_no_heartbeats() -> None:
    slow = signal(NOISE[:1], 20.0)
    pressure = signal(CONTENT.data, RATE, units=("mmHg",) * 2)
    for content in (slow, pressure):
        assert "R-peak F1" not in rows(compare(content, content, STYLE))


@pytest.mark.parametrize("length", [1, 2, 30])
def test_what_is_too_short_has_no_value(length: int) -> None:
    short = signal(CONTENT.data[:, :length], RATE)
    for row in compare(short, short, signal(STYLE.data[:, :length], RATE)).rows:
        assert isinstance(row.result, float)
    assert math.isnan(rows(compare(short, short, STYLE))["log-spectral distance"].result)


def test_flat_leads_are_no_error() -> None:
    flat = signal(np.full((2, 5000), 0.3), RATE)
    found = rows(compare(flat, flat, flat))
    assert found["log-spectral distance"].result == 0
    assert found["autocorrelation distance"].result == 0
    assert math.isnan(found["kurtosis difference"].result)
    assert "R-peak F1" not in found


def test_gaps_do_not_count() -> None:
    gaps = np.zeros(CONTENT.data.shape, bool)
    gaps[:, 3000:3500] = True
    spoiled = CONTENT.data.copy()
    spoiled[:, 3000:3500] = 99
    broken = signal(spoiled, RATE, gaps=gaps)
    one, other = rows(compare(broken, CONTENT, STYLE)), rows(compare(CONTENT, CONTENT, STYLE))
    assert one["amplitude distance"].result == pytest.approx(
        other["amplitude distance"].result, rel=0.05
    )
    assert one["R-peak F1"].result > 0.9


def test_only_signals_are_compared() -> None:
    picture = from_array(np.zeros((4, 4, 3)))
    volume = Sample(np.zeros((1, 4, 4, 4), np.float32))
    for other in (picture, volume):
        with pytest.raises(SampleError, match="three signals"):
            compare(other, CONTENT, STYLE)
        with pytest.raises(SampleError, match="three signals"):
            compare(CONTENT, CONTENT, other)


@pytest.mark.slow
def test_real_ecgs(shared: Path) -> None:
    with np.load(shared / "signals" / "ptb_s0010_re.npz") as file:
        names = tuple(map(str, file["names"]))
        style = signal(file["signal"].T, float(file["fs"]), names=names, units=("mV",) * len(names))
    with np.load(shared / "signals" / "challenge2015_a103l.npz") as file:
        content = signal(
            file["signal"].T, 250.0, names=("II", "V", "PLETH"), units=("mV", "mV", "NU")
        )
    comparison = compare(content, content, style)
    assert comparison.leads == (("II", "ii"),)
    spectral = rows(comparison)["log-spectral distance"]
    assert 0 < spectral.floor < spectral.no_op
