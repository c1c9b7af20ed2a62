"""Metrics of sounds, against sounds whose statistics, onsets and pitch are known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from impasto.metrics import compare
from impasto.metrics.sounds import (
    BANDS,
    COMPRESSION,
    ENVELOPE_RATE,
    LOWEST,
    MODULATION,
    cochlear_envelopes,
    onsets,
    onsets_kept,
    pitch_kept,
    pitches,
    texture_distance,
    texture_statistics,
)
from tests.signals import sound

RATE = 8000.0
RATES = RATE, RATE
TIMES = np.arange(4 * 8000) / RATE
NOISE, OTHER_NOISE = np.random.default_rng(0).normal(size=(2, len(TIMES)))
TONE = np.sin(2 * np.pi * 440 * TIMES)


def knocks(times: list[float], seconds: float = 4.0) -> np.ndarray:
    """Decaying tones that begin at these seconds, over faint noise."""
    along = np.arange(round(seconds * RATE)) / RATE
    sounds = [
        np.where(along >= at, np.exp(-30 * (along - at).clip(0)), 0)
        * np.sin(2 * np.pi * 900 * (along - at))
        for at in times
    ]
    return np.asarray(sum(sounds) + 1e-4 * NOISE[: len(along)])


def test_a_sound_is_at_no_distance_from_itself() -> None:
    for values in (NOISE, TONE, np.zeros(len(TIMES))):
        assert texture_distance(values, values, RATES) == 0


def test_textures_are_near_and_a_tone_is_far() -> None:
    shifted = texture_distance(NOISE, np.roll(NOISE, 1234), RATES)
    another = texture_distance(NOISE, OTHER_NOISE, RATES)
    tone = texture_distance(NOISE, TONE, RATES)
    assert shifted < 0.01 < another < 0.25 < 0.5 < tone
    assert texture_distance(TONE, NOISE, RATES) == pytest.approx(tone)


def test_the_distance_grows_with_the_depth_of_a_modulation() -> None:
    wave = np.sin(2 * np.pi * 6 * TIMES)
    found = [
        texture_distance(NOISE, (1 + depth * wave) * OTHER_NOISE, RATES)
        for depth in (0.0, 0.3, 0.6, 0.9)
    ]
    assert found == sorted(found)


def test_lengths_and_rates_may_differ() -> None:
    slow = sum(np.sin(2 * np.pi * f * TIMES) for f in (200, 330, 1900.0))
    fast_times = np.arange(3 * 16000) / 16000
    fast = sum(np.sin(2 * np.pi * f * fast_times) for f in (200, 330, 1900.0))
    assert texture_distance(np.asarray(slow), np.asarray(fast), (8000, 16000)) < 0.25
    assert np.isnan(texture_distance(NOISE[:8000], NOISE, RATES))


def test_envelopes_are_those_of_the_formula() -> None:
    """A tone in the middle of a band: its amplitude there, and nothing two bands away."""
    top = 0.475 * RATE
    erbs = 9.265 * np.log(1 + np.array([LOWEST, top]) / 228.85)
    middle = erbs[0] + 15 * (erbs[1] - erbs[0]) / (BANDS + 1)
    frequency = 228.85 * (np.exp(middle / 9.265) - 1)
    envelopes = cochlear_envelopes(0.5 * np.sin(2 * np.pi * frequency * TIMES), RATE, top)
    assert envelopes.shape == (BANDS, 4 * ENVELOPE_RATE)
    inner = envelopes[:, 100:-100]
    np.testing.assert_allclose(inner[14], 0.5**COMPRESSION, rtol=0.01)
    assert inner[16].max() < 0.2 * inner[14].min()


def test_a_modulation_is_in_its_band() -> None:
    values = (1 + 0.8 * np.sin(2 * np.pi * 10 * TIMES)) * np.sin(2 * np.pi * 1000 * TIMES)
    found = texture_statistics(values, RATE, 0.475 * RATE)
    loudest = found.mean.argmax()
    shares = found.modulation[loudest]
    band = int(np.digitize(10, MODULATION)) - 1
    assert shares.argmax() == band
    assert shares.sum() == pytest.approx(1, abs=0.1)
    assert shares[band] > 0.7


@settings(max_examples=10)
@given(factor=st.floats(0.1, 10))
def test_loudness_moves_the_mean_alone(factor: float) -> None:
    one = texture_statistics(NOISE, RATE, 3800)
    other = texture_statistics(factor * NOISE, RATE, 3800)
    np.testing.assert_allclose(other.mean, factor**COMPRESSION * one.mean, rtol=1e-6)
    for name in ("variation", "skewness", "correlation", "modulation"):
        np.testing.assert_allclose(getattr(other, name), getattr(one, name), rtol=1e-4, atol=1e-6)


@settings(max_examples=15)
@given(steps=st.lists(st.floats(0.2, 0.8), min_size=2, max_size=8))
def test_onsets_are_where_knocks_begin(steps: list[float]) -> None:
    times = np.cumsum(steps)
    times = times[times < 3.8]
    found = onsets(knocks(times.tolist()), RATE)
    assert len(found) == len(times)
    np.testing.assert_allclose(found, times, atol=0.025)


def test_onsets_are_kept_by_louder_sounds_and_lost_by_shifted_ones() -> None:
    content = knocks([0.5, 1.0, 1.7, 2.9])
    assert onsets_kept(3 * content, content, RATES) == 1
    assert onsets_kept(knocks([0.6, 1.1, 1.8, 3.0]), content, RATES) == 0
    assert onsets_kept(knocks([0.5, 1.0]), content, RATES) == pytest.approx(2 / 3)
    assert np.isnan(onsets_kept(content, np.zeros(len(content)), RATES))


@settings(max_examples=20)
@given(pitch=st.floats(80, 700), partials=st.integers(1, 5))
def test_the_pitch_is_that_of_the_first_partial(pitch: float, partials: int) -> None:
    tones = [np.sin(2 * np.pi * k * pitch * TIMES[:8000]) / k for k in range(1, partials + 1)]
    found = pitches(np.asarray(sum(tones)), RATE)
    np.testing.assert_allclose(found, pitch, rtol=0.05)


def test_noise_and_silence_have_no_pitch() -> None:
    assert np.isfinite(pitches(NOISE, RATE)).mean() < 0.02
    assert np.isnan(pitches(np.zeros(8000), RATE)).all()


def test_the_pitch_is_kept_within_a_semitone() -> None:
    def glide(factor: float) -> np.ndarray:
        return np.asarray(np.sin(2 * np.pi * factor * 150 * TIMES * (1 + TIMES / 8)))

    assert pitch_kept(glide(1.0), glide(1.0), RATES) == 1
    assert pitch_kept(glide(2 ** (0.5 / 12)), glide(1.0), RATES) > 0.95
    assert pitch_kept(glide(2 ** (2 / 12)), glide(1.0), RATES) < 0.05
    assert pitch_kept(NOISE, glide(1.0), RATES) < 0.05
    assert np.isnan(pitch_kept(TONE, NOISE, RATES)) or pitch_kept(TONE, NOISE, RATES) < 0.1


def test_compare_tells_them_for_sounds() -> None:
    content, style = sound(0.3 * knocks([0.5, 1.5, 2.0])), sound(0.1 * NOISE)
    found = {row.metric: row for row in compare(content, content, style).rows}
    assert found["onset F1"].result == found["onset F1"].no_op == 1
    assert found["onset F1"].against == "content"
    texture = found["texture distance"]
    assert texture.floor < texture.linear < texture.result == texture.no_op
    assert compare(style, content, style).rows[-1].result == 0


@pytest.mark.parametrize("length", [1, 30, 300])
def test_what_is_too_short_is_no_error(length: int) -> None:
    short = NOISE[:length]
    assert np.isnan(texture_distance(short, NOISE, RATES))
    assert onsets(short, RATE).shape == (0,)
    assert np.isnan(pitches(short, RATE)).all()
    faint = sound(0.1 * short)
    compare(faint, faint, faint)
