from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from impasto.media.signals.spectrum import longest_run, power_spectrum, spectrogram, whole_runs

RATE = 200.0
noise = np.random.default_rng(0).normal(size=4000)


def test_the_stretches_between_gaps() -> None:
    nan = np.nan
    values = np.array([nan, 1, 2, nan, nan, 3, 4, 5, nan])
    assert whole_runs(values) == [slice(1, 3), slice(5, 8)]
    assert longest_run(values) == 3
    assert whole_runs(np.array([1.0, 2])) == [slice(0, 2)]
    assert (whole_runs(np.full(3, nan)), longest_run(np.full(3, nan))) == ([], 0)


def test_welch_by_hand() -> None:
    """Against the definition: Hann, half overlap, mean removed, |X|^2 / (rate sum w^2), doubled."""
    window = 64
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    powers = []
    for start in range(0, len(noise) - window + 1, window // 2):
        part = noise[start : start + window]
        power = np.abs(np.fft.rfft((part - part.mean()) * hann)) ** 2
        power[1:-1] *= 2
        powers.append(power / (RATE * np.sum(hann**2)))
    frequencies, power = power_spectrum(noise, RATE, window)
    np.testing.assert_allclose(frequencies, np.arange(33) * RATE / window)
    np.testing.assert_allclose(power, np.mean(powers, axis=0), rtol=1e-9, atol=1e-20)


@given(st.integers(2, 70), st.integers(0, 2000), st.integers(0, 99))
def test_welch_is_that_of_scipy(segment: int, more: int, seed: int) -> None:
    welch = pytest.importorskip("scipy.signal").welch
    values = np.random.default_rng(seed).normal(size=segment + more)
    frequencies, power = power_spectrum(values, RATE, segment)
    expected = welch(values, RATE, nperseg=segment, detrend="constant")
    np.testing.assert_allclose(frequencies, expected[0], rtol=1e-12)
    np.testing.assert_allclose(power, expected[1], rtol=1e-9, atol=1e-15)


def test_the_integral_of_the_density_is_the_power() -> None:
    frequencies, power = power_spectrum(noise, RATE, 256)
    assert power.sum() * frequencies[1] == pytest.approx(noise.var(), rel=0.03)


def test_windows_lie_between_gaps() -> None:
    values = noise[:1000].copy()
    values[300:350] = np.nan
    left, right = (power_spectrum(part, RATE, 64)[1] for part in (values[:300], values[350:]))
    counts = 1 + (300 - 64) // 32, 1 + (650 - 64) // 32
    expected = (left * counts[0] + right * counts[1]) / sum(counts)
    np.testing.assert_allclose(power_spectrum(values, RATE, 64)[1], expected, rtol=1e-9)


def test_a_constant_has_no_power_at_all() -> None:
    assert np.all(power_spectrum(np.full(500, 0.1), RATE, 64)[1] == 0)


def test_a_sine_of_amplitude_1_has_power_one_half_in_a_spectrogram() -> None:
    times = np.arange(2000) / RATE
    frequencies, edges, power = spectrogram(np.sin(2 * np.pi * 50 * times), RATE, 64, 20)
    assert power.shape == (33, len(edges) - 1)
    row = int(np.argmin(np.abs(frequencies - 50)))
    np.testing.assert_allclose(power[row, 5:-5], 0.5, rtol=1e-6)
    assert edges[0] <= 0.05
    assert edges[-1] == pytest.approx(10, abs=0.2)


def test_a_spectrogram_shows_when() -> None:
    values = np.zeros(2000)
    values[1000] = 1
    _, edges, power = spectrogram(values, RATE, 32, 100)
    loud = int(np.argmax(power.sum(axis=0)))
    assert edges[loud] <= 5.1
    assert edges[loud + 1] >= 4.9
    values[300:400] = np.nan
    _, edges, power = spectrogram(values, RATE, 32, 100)
    blank = np.isnan(power).any(axis=0)
    centers = (edges[1:] + edges[:-1]) / 2
    assert np.all(blank[(centers > 1.5) & (centers < 2)])
    assert not np.any(blank[(centers < 1.35) | (centers > 2.15)])


@pytest.mark.parametrize(("length", "columns"), [(100_000, 50), (300, 50), (10, 50), (1, 50)])
def test_a_spectrogram_has_about_so_many_columns(length: int, columns: int) -> None:
    edges = spectrogram(np.resize(noise, length), RATE, 32, columns)[1]
    assert min(length, columns) - 2 <= len(edges) - 1 <= 2 * columns
