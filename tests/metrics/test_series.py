"""Distances against the formulas computed another way, and where the answer is known."""

from __future__ import annotations

import numpy as np
import pytest

from impasto.metrics.series import (
    amplitude_distance,
    autocorrelation_distance,
    kurtosis,
    kurtosis_distance,
    log_spectral_distance,
)

RATE = 250.0
RATES = RATE, RATE
WHITE, OTHER_WHITE = np.random.default_rng(0).normal(size=(2, 60_000))
NAN = np.full(1000, np.nan)


def shaped(values: np.ndarray, exponent: float) -> np.ndarray:
    """Noise whose power falls with that power of the frequency, of variance 1."""
    spectrum = np.fft.rfft(values)
    spectrum[1:] *= np.arange(1, len(spectrum)) ** (-exponent / 2)
    spectrum[0] = 0
    colored = np.fft.irfft(spectrum, len(values))
    return np.asarray(colored / colored.std())


PINK = shaped(OTHER_WHITE, 1)


def with_gap(values: np.ndarray, start: int, stop: int) -> np.ndarray:
    return np.concatenate([values[:start], np.full(stop - start, np.nan), values[stop:]])


# --- Log-spectral distance


def test_a_signal_is_at_no_spectral_distance_from_itself() -> None:
    assert log_spectral_distance(PINK, PINK, RATES) == 0


@pytest.mark.parametrize("factor", [0.1, 2.0, 1000.0])
def test_scaling_is_as_many_decibels(factor: float) -> None:
    expected = abs(20 * np.log10(factor))
    assert log_spectral_distance(PINK * factor, PINK, RATES) == pytest.approx(expected, rel=1e-6)


def test_an_offset_and_the_sign_do_not_count() -> None:
    assert log_spectral_distance(7 - PINK, PINK, RATES) == pytest.approx(0, abs=1e-6)


def test_two_stretches_of_the_same_noise_are_near() -> None:
    """116 windows that overlap by half: 10 / ln 10 dB / sqrt(116 / 1.06) each, sqrt 2 for both."""
    expected = 10 / np.log(10) * np.sqrt(2 * 1.06 / 116)
    assert log_spectral_distance(WHITE, OTHER_WHITE, RATES) == pytest.approx(expected, rel=0.15)


def test_log_spectral_distance_of_white_and_pink_noise() -> None:
    """Pink is c/f, c so that the variances agree: the distance is known in closed form."""
    frequencies = np.arange(2, 512) / 1024 * RATE
    pink = 1 / (np.log(len(PINK) / 2) + 0.5772) / frequencies
    white = 2 / RATE
    expected = np.sqrt(np.mean((10 * np.log10(pink / white)) ** 2))
    measured = log_spectral_distance(WHITE, PINK, RATES)
    assert measured == pytest.approx(expected, rel=0.05)
    assert measured > 5 * log_spectral_distance(WHITE, OTHER_WHITE, RATES)


def test_log_spectral_distance_equals_the_formula() -> None:
    from scipy.signal import welch

    one, other = (
        10 * np.log10(welch(values, RATE, nperseg=1024)[1][2:512]) for values in (WHITE, PINK)
    )
    expected = np.sqrt(np.mean((one - other) ** 2))
    assert log_spectral_distance(WHITE, PINK, RATES) == pytest.approx(expected, rel=1e-9)


def test_lengths_and_rates_may_differ() -> None:
    generator = np.random.default_rng(1)
    times = [np.arange(round(60 * rate)) / rate for rate in (250, 1000)]
    slow, fast = (
        sum(np.sin(2 * np.pi * f * t) for f in (3.3, 17.0, 40.2)) + generator.normal(size=len(t))
        for t in times
    )
    # White noise of variance 1 has a fourth of the density at four times the rate.
    fast = fast + np.sqrt(3) * generator.normal(size=len(fast))
    assert log_spectral_distance(slow, fast[:30_000], (250, 1000)) < 2
    assert log_spectral_distance(slow, fast, (250, 1000)) == pytest.approx(
        log_spectral_distance(fast, slow, (1000, 250))
    )


def test_silence_has_a_floor() -> None:
    silence = np.full(5000, 0.1)
    assert log_spectral_distance(silence, silence + 3, RATES) == 0
    assert 90 < log_spectral_distance(silence, WHITE, RATES) <= 100


def test_gaps_do_not_count() -> None:
    broken = with_gap(with_gap(PINK, 20_000, 21_000), 40_000, 40_001)
    assert log_spectral_distance(broken, PINK, RATES) < 0.2


@pytest.mark.parametrize("values", [WHITE[:1], WHITE[:40], NAN, with_gap(WHITE[:80], 40, 41)])
def test_what_is_too_short_has_no_spectral_distance(values: np.ndarray) -> None:
    assert np.isnan(log_spectral_distance(values, WHITE, RATES))


# --- Autocorrelation


def test_autocorrelations_of_the_same_are_the_same() -> None:
    assert autocorrelation_distance(PINK, PINK, RATES, 1.0) == 0
    assert autocorrelation_distance(PINK, 5 - 3 * PINK, RATES, 1.0) == pytest.approx(0, abs=1e-9)


def test_autocorrelation_distance_of_two_sines() -> None:
    """r is a cosine of the lag; over whole periods of both, cosines differ by 1 in the mean square,
    half from each."""
    times = np.arange(50_000) / RATE
    one, other = (np.sin(2 * np.pi * frequency * times + 0.3) for frequency in (5.0, 10.0))
    assert autocorrelation_distance(one, other, RATES, 1.0) == pytest.approx(1, abs=0.01)
    assert autocorrelation_distance(one, np.roll(one, 7), RATES, 1.0) < 0.01


def test_autocorrelation_by_hand() -> None:
    one, other = WHITE[:500], PINK[:700]

    def by_hand(values: np.ndarray) -> list[float]:
        known = values[np.isfinite(values)]
        centered = values - known.mean()
        curve = [np.nanmean(centered[lag:] * centered[: len(values) - lag]) for lag in range(26)]
        return [value / curve[0] for value in curve[1:]]

    for gap in (None, (100, 130)):
        one = with_gap(one, *gap) if gap else one
        expected = np.sqrt(np.mean((np.array(by_hand(one)) - np.array(by_hand(other))) ** 2))
        measured = autocorrelation_distance(one, other, RATES, 0.1)
        assert measured == pytest.approx(expected, rel=1e-9)


def test_autocorrelation_knows_seconds_not_positions() -> None:
    slow, fast = (np.sin(2 * np.pi * 2 * np.arange(rate * 60) / rate) for rate in (100, 400))
    assert autocorrelation_distance(slow, fast, (100.0, 400.0), 2.0) < 0.01
    assert autocorrelation_distance(slow, fast, (100.0, 100.0), 2.0) > 0.5


def test_noise_and_a_constant_have_none() -> None:
    flat = np.full(5000, 0.1)
    assert autocorrelation_distance(flat, flat + 1, RATES, 1.0) == 0
    assert autocorrelation_distance(flat, WHITE, RATES, 1.0) < 0.01


@pytest.mark.parametrize("values", [WHITE[:1], NAN])
def test_what_has_no_autocorrelation(values: np.ndarray) -> None:
    assert np.isnan(autocorrelation_distance(values, WHITE, RATES, 1.0))


# --- Amplitudes


def test_a_shift_moves_amplitudes_by_as_much() -> None:
    assert amplitude_distance(WHITE, WHITE) == 0
    assert amplitude_distance(WHITE, WHITE + 0.7) == pytest.approx(0.7)
    assert amplitude_distance(WHITE, WHITE[::-1]) == 0


def test_amplitudes_by_hand() -> None:
    """Sorted, 0 0 1 1 against 0 0 3 3: half of the values move by 2."""
    assert amplitude_distance(np.array([0.0, 0, 1, 1]), np.array([0.0, 3])) == pytest.approx(1.0)
    one, other = np.sort(WHITE), np.sort(PINK) * 2
    expected = np.mean(np.abs(one - other))
    assert amplitude_distance(WHITE, PINK * 2) == pytest.approx(expected, rel=1e-6)


def test_amplitudes_in_gaps_do_not_count() -> None:
    values = np.array([1.0, np.nan, 3.0])
    assert amplitude_distance(values, np.array([1.0, 3.0])) == 0
    assert np.isnan(amplitude_distance(NAN, values))


def test_kurtosis_of_known_distributions() -> None:
    assert kurtosis(np.array([-1.0, 1] * 50)) == pytest.approx(-2)
    assert kurtosis(np.sin(2 * np.pi * np.arange(1000) / 100)) == pytest.approx(-1.5)
    assert kurtosis(WHITE) == pytest.approx(0, abs=0.06)
    assert kurtosis(np.random.default_rng(1).laplace(size=200_000)) == pytest.approx(3, rel=0.1)
    assert kurtosis(np.array([1.0, np.nan, -1, 1, -1])) == pytest.approx(-2)


def test_kurtosis_of_a_constant_is_none() -> None:
    assert np.isnan(kurtosis(np.full(100, 0.1)))
    assert np.isnan(kurtosis(NAN))
    assert np.isnan(kurtosis_distance(np.full(100, 0.1), WHITE))


def test_kurtosis_distance_is_symmetric() -> None:
    spikes = np.concatenate([WHITE, [50.0, -50]])
    distance = kurtosis_distance(spikes, WHITE)
    assert kurtosis_distance(WHITE, 3 * spikes + 1) == pytest.approx(distance)
    assert distance > 10
    assert kurtosis_distance(spikes, spikes) == 0
