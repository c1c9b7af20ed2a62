"""Distances between two channels over time; both may have gaps, other lengths and other rates.

Throughout, values are float64 with NaN in gaps, `rates` are theirs in Hz, and the distance is NaN
where there is too little between the gaps to say. All distances are symmetric, 0 for what is
equal, and lower is closer.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from impasto.media.signals.spectrum import longest_run, power_spectrum
from impasto.system.libraries import library

WINDOW = 1024
"""Positions of the slower channel in a window of `log_spectral_distance`, where it has so many."""

SILENCE = 1e-10
"""Power, as a share of the largest of both spectra, that lesser power counts as: -100 dB."""

_SHORTEST_WINDOW = 16


def log_spectral_distance(
    one: Float64[np.ndarray, " one"],
    other: Float64[np.ndarray, " other"],
    rates: tuple[float, float],
) -> float:
    """The log-spectral distance in dB (Gray and Markel 1976, Distance measures for speech
    processing), of spectra by Welch's method.

        LSD = sqrt(mean over f of (10 log10 P_one(f) - 10 log10 P_other(f))^2)

    P: `spectrum.power_spectrum`, with windows of the same duration T in seconds: that of 1024
    positions of the slower channel, or a quarter of the longest stretch without a gap where that
    is shorter. f: multiples of 1/T from 2/T (below, the window smears the mean) to below half the
    lower rate. P is at least -100 dB of the largest P of both: silence against silence is 0.
    """
    shortest = min(longest_run(one) / rates[0], longest_run(other) / rates[1])
    duration = min(WINDOW / min(rates), shortest / 4)
    windows = [round(duration * rate) for rate in rates]
    if min(windows) < _SHORTEST_WINDOW:
        return np.nan
    spectra = [
        power_spectrum(values, rate, window)
        for values, rate, window in zip((one, other), rates, windows, strict=True)
    ]
    floor = SILENCE * max(power.max() for _, power in spectra)
    if floor == 0:
        return 0.0
    frequencies = np.arange(2, duration * min(rates) / 2) / duration
    levels = [
        np.interp(frequencies, grid, 10 * np.log10(np.maximum(power, floor)))
        for grid, power in spectra
    ]
    return float(np.sqrt(np.mean((levels[0] - levels[1]) ** 2)))


def autocorrelation_distance(
    one: Float64[np.ndarray, " one"],
    other: Float64[np.ndarray, " other"],
    rates: tuple[float, float],
    lag: float,
) -> float:
    """The root mean square difference of two autocorrelations over lags up to `lag` seconds.

        r(k) = mean over t of (x_t - m) (x_t+k - m)  /  mean over t of (x_t - m)^2

    m: the mean of x; pairs that touch a gap are left out of the means. Lags are multiples of a
    step of the slower channel, from one on; where less than twice `lag` is there, up to half of
    it. A constant has r = 0. The distance is at most 2, but for the noise of short stretches.
    """
    lag = min(lag, len(one) / rates[0] / 2, len(other) / rates[1] / 2)
    step = 1 / min(rates)
    lags = np.arange(1, int(lag / step) + 1) * step
    if not len(lags) or not np.isfinite(one).any() or not np.isfinite(other).any():
        return np.nan
    curves = [
        np.interp(lags * rate, *_autocorrelation(values, int(np.ceil(lag * rate)) + 1))
        for values, rate in zip((one, other), rates, strict=True)
    ]
    return float(np.sqrt(np.mean((curves[0] - curves[1]) ** 2)))


def _autocorrelation(
    values: Float64[np.ndarray, " time"], count: int
) -> tuple[Float64[np.ndarray, " lag"], Float64[np.ndarray, " lag"]]:
    """Lags 0, 1, ... in positions, and the autocorrelation there."""
    whole = np.isfinite(values)
    centered = np.where(whole, _centered(values), 0)
    length = 1 << (len(values) + count).bit_length()

    def products(x: Float64[np.ndarray, " time"]) -> Float64[np.ndarray, " lag"]:
        return np.asarray(np.fft.irfft(np.abs(np.fft.rfft(x, length)) ** 2, length)[:count])

    pairs = np.maximum(np.rint(products(whole.astype(np.float64))), 1)
    means = products(centered) / pairs
    power = means[0]
    return np.arange(float(count)), means / power if power > 0 else np.zeros(count)


def amplitude_distance(
    one: Float64[np.ndarray, " one"], other: Float64[np.ndarray, " other"]
) -> float:
    """The Wasserstein-1 distance between two distributions of values, in their unit.

        W_1 = integral over p in (0, 1) of |F_one^-1(p) - F_other^-1(p)|

    (Villani 2009, Optimal transport, remark 6.5; F^-1 the quantiles.) Order in
    time does not count, only how often each value is taken.
    """
    one, other = one[np.isfinite(one)], other[np.isfinite(other)]
    if not len(one) or not len(other):
        return np.nan
    stats = library("scipy.stats", "for distances of signals", "signals")
    return float(stats.wasserstein_distance(one, other))


def kurtosis(values: Float64[np.ndarray, " time"]) -> float:
    """The excess kurtosis m4 / m2^2 - 3, m the central moments: 0 for Gaussian noise, high for
    rare large values; NaN for a constant."""
    whole = values[np.isfinite(values)]
    centered = _centered(whole) if len(whole) else np.zeros(1)
    power = np.mean(centered**2)
    return float(np.mean(centered**4) / power**2 - 3) if power > 0 else np.nan


def kurtosis_distance(
    one: Float64[np.ndarray, " one"], other: Float64[np.ndarray, " other"]
) -> float:
    """The absolute difference of two excess kurtoses."""
    return abs(kurtosis(one) - kurtosis(other))


def _centered(values: Float64[np.ndarray, " time"]) -> Float64[np.ndarray, " time"]:
    """The values less their mean: exactly 0 for a constant, which rounding would spoil."""
    whole = values[np.isfinite(values)]
    shifted = values - whole[0]
    return np.asarray(shifted - np.nanmean(shifted))
