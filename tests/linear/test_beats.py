"""Beats found in an ECG, and the waves of one recording at the places of another's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from impasto.errors import MissingExtraError
from impasto.linear.beats import FEWEST, Beats, find
from impasto.linear.signals import linear_signal
from tests.missing import hide
from tests.signals import signal

pytest.importorskip("wfdb")

RATE = 250.0


def ecg(
    period: float,
    p: tuple[float, float] = (-0.16, 0.15),
    t: tuple[float, float] = (0.28, 0.3),
    size: float = 1.0,
    seconds: float = 30.0,
    seed: int = 0,
) -> tuple[np.ndarray, np.ndarray]:
    """An ECG of P, R and T waves, each at so many seconds from R and so high, and the times of R.
    Beats differ in size by a twentieth."""
    random = np.random.default_rng(seed)
    times = np.arange(round(seconds * RATE)) / RATE
    beats = np.arange(period / 2, seconds, period)
    sizes = 1 + 0.05 * random.standard_normal(len(beats))
    x = 0.002 * random.standard_normal(len(times))
    for away, height, width in ((*p, 0.025), (0.0, size, 0.012), (*t, 0.04)):
        each = np.exp(-(((times[:, None] - beats - away) / width) ** 2) / 2)
        x = x + (each * sizes).sum(1) * height
    return x - x.mean(), beats


def found(x: np.ndarray) -> Beats:
    beats = find(x, RATE)
    assert beats is not None
    return beats


def at(x: np.ndarray, times: np.ndarray) -> np.ndarray:
    return np.asarray(np.interp(times, np.arange(len(x)) / RATE, x))


@settings(max_examples=15, deadline=None)
@given(
    period=st.floats(0.6, 1.2),
    p_top=st.floats(-0.2, -0.13),
    t_top=st.floats(0.22, 0.32),
    height=st.sampled_from([-0.4, -0.2, 0.2, 0.4]),
)
def test_waves_of_the_style_are_at_the_places_of_the_content(
    period: float, p_top: float, t_top: float, height: float
) -> None:
    content, times = ecg(period, (p_top, 0.12), (t_top, 0.3))
    style, _ = ecg(0.8, (-0.15, 0.2), (0.26, height), 0.7, seed=1)
    waves = found(content).waves(content, found(style))
    inner = times[2:-2]
    for away, wanted in ((p_top, 0.2), (0.0, 0.7), (t_top, height)):
        heights = at(waves, inner + away)
        floor = at(waves, inner + p_top - 0.08)
        assert np.median(heights - floor) == pytest.approx(wanted, abs=0.06)
    for away, sign in ((p_top, 1), (t_top, np.sign(height))):
        around = np.arange(-0.08, 0.08, 0.004)
        tops = [around[np.argmax(sign * at(waves, beat + away + around))] for beat in inner]
        assert np.abs(np.median(tops)) < 0.02


def test_what_is_left_of_a_recording_without_its_beats_is_noise() -> None:
    x, _ = ecg(0.8)
    rest = x - found(x).waves(x, found(x))
    assert rest.std() < 0.1 * x.std()


def test_beats_are_in_the_middle_of_a_split_complex() -> None:
    x, times = ecg(0.8)
    split = np.roll(x, 10) + x + np.roll(x, -10)
    middles = found(split).places[:, 2] / RATE
    assert np.abs(middles[2:-2] - times[2:-2]).max() < 0.012


def test_sizes_keep_their_order_and_get_the_distribution() -> None:
    content, times = ecg(0.9, seed=3)
    style, _ = ecg(0.7, size=2.0, seed=4)
    beats, other = found(content), found(style)
    heights = at(beats.waves(content, other), times[2:-2])
    assert np.corrcoef(heights, at(content, times[2:-2]))[0, 1] > 0.9
    assert heights.std() / heights.mean() == pytest.approx(other.gains.std(), rel=0.4)


def test_no_p_wave_is_added() -> None:
    content, times = ecg(0.9, p=(-0.16, 0.0))
    style, _ = ecg(0.8, p=(-0.16, 0.3))
    beats = found(content)
    assert not beats.has_p
    waves = beats.waves(content, found(style))
    for away in (-0.2, -0.16, -0.12):
        assert np.abs(at(waves, times[2:-2] + away) - at(waves, times[2:-2] - 0.25)).max() < 0.1


def test_an_unusual_beat_keeps_its_form() -> None:
    content, times = ecg(0.9)
    around = np.arange(len(content)) / RATE - times[12]
    content = content - 2.5 * np.exp(-((around / 0.06) ** 2) / 2)
    style, _ = ecg(0.8, size=0.5)
    waves = found(content).waves(content, found(style))
    here = np.abs(around) < 0.1
    assert np.corrcoef(waves[here], content[here])[0, 1] > 0.9
    assert np.abs(waves[here]).max() < 0.7 * np.abs(content[here]).max()


def test_noise_and_a_few_beats_have_no_usual_one() -> None:
    noise = np.random.default_rng(0).standard_normal(8000)
    assert find(noise, RATE) is None
    assert find(np.zeros(8000), RATE) is None
    assert find(noise[:1000], 20.0) is None
    short, _ = ecg(0.8, seconds=0.8 * (FEWEST - 1))
    assert find(short, RATE) is None


def test_what_is_too_short_for_beats_needs_no_detector(monkeypatch: pytest.MonkeyPatch) -> None:
    hide("wfdb", monkeypatch)
    assert find(np.zeros(499), RATE) is None
    with pytest.raises(MissingExtraError, match="wfdb"):
        find(np.zeros(500), RATE)


def test_the_start_has_the_t_waves_of_the_style_where_the_content_has_its_own() -> None:
    content, times = ecg(0.9, t=(0.3, 0.3))
    style, _ = ecg(0.8, t=(0.26, -0.3), size=0.8, seed=2)
    made = linear_signal(signal(content, RATE), [signal(style, RATE)], [1.0]).data[0]
    t = np.median(at(made, times[2:-2] + 0.3) - at(made, times[2:-2] + 0.45))
    assert t == pytest.approx(-0.3, abs=0.1)
    half = linear_signal(signal(content, RATE), [signal(style, RATE)], [1.0], 0.5).data[0]
    assert np.median(at(half, times[2:-2] + 0.3) - at(half, times[2:-2] + 0.45)) > t + 0.1


def test_a_very_long_recording_goes_without(monkeypatch: pytest.MonkeyPatch) -> None:
    x, _ = ecg(0.8)
    assert find(x, RATE) is not None
    monkeypatch.setattr("impasto.linear.beats.LONGEST", len(x) - 1)
    assert find(x, RATE) is None
