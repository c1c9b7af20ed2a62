"""Distances between two channels over time, which may differ in length and rate and have gaps.

In all functions, values are float64 with NaN in gaps, and `rates` are the sampling rates in Hz. A
distance is symmetric, at least 0, and 0 for equal channels. It is NaN if the stretches between gaps
are too short.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from jaxtyping import Float64

from impasto.media.signals.spectrum import longest_run, power_spectrum
from impasto.system.libraries import library

BURST = 0.2
"""Seconds of a window in which the power of a band is one level."""

WINDOW = 1024
"""The length of a spectrum window in positions of the slower channel."""

SILENCE = 1e-10
"""The lowest power, as a fraction of the largest in both spectra: lower power counts as -100 dB."""

_SHORTEST_WINDOW = 16


def log_spectral_distance(
    one: Float64[np.ndarray, " one"],
    other: Float64[np.ndarray, " other"],
    rates: tuple[float, float],
) -> float:
    """Returns the log-spectral distance in dB between spectra by Welch's method.

        LSD = sqrt(mean over f of (10 log10 P_one(f) - 10 log10 P_other(f))^2)

    Gray and Markel 1976, Distance measures for speech processing. P is
    `spectrum.power_spectrum`, with spectrum windows of the same duration T for both channels: that
    of 1024 positions of the slower channel, or a quarter of the longest stretch without a gap if
    that is shorter. f runs over the multiples of 1/T from 2/T up to half the lower rate; the mean
    of the channel leaks into lower frequencies. P is at least -100 dB of the largest P of both, so
    that the distance of two constant channels is 0.
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
    """Returns the root mean square difference of two autocorrelations up to `lag` seconds.

        r(k) = mean over t of (x_t - m) (x_t+k - m)  /  mean over t of (x_t - m)^2

    m is the mean of x. The means leave out pairs with a gap. Lags are multiples of the slower
    channel's sampling interval, from the first one up to `lag` or half the shorter channel. A
    constant has r = 0. The distance is at most 2, apart from the noise of short stretches.
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
    """Returns the lags 0, 1, ... in positions, and the autocorrelation at them."""
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
    """Returns the Wasserstein-1 distance between the distributions of values, in their unit.

        W_1 = integral over p in (0, 1) of |F_one^-1(p) - F_other^-1(p)|

    F^-1 are the quantiles (Villani 2009, Optimal transport, remark 6.5). The order of the values in
    time does not matter.

    Raises:
        MissingExtraError: scipy is not installed.

    Example:
        >>> amplitude_distance(np.array([0.0, 1.0]), np.array([2.0, 3.0]))
        2.0
    """
    one, other = one[np.isfinite(one)], other[np.isfinite(other)]
    if not len(one) or not len(other):
        return np.nan
    stats = library("scipy.stats", "for distances of signals", "signals")
    return float(stats.wasserstein_distance(one, other))


def burst_distance(
    one: Float64[np.ndarray, " one"],
    other: Float64[np.ndarray, " other"],
    rates: tuple[float, float],
    lowest: float,
) -> float:
    """Returns how differently the power in bands is distributed over time, in dB.

        mean over bands of W_1(levels of one, levels of the other)

    The levels are 10 log10 of the power of a band in windows of `BURST` seconds, at least -100 dB
    of the loudest in both. A band is an octave, from `lowest` up to the lower Nyquist frequency, by
    a Butterworth filter of order 4, forward and backward. W_1 is that of `amplitude_distance`.

    Args:
        lowest: in Hz.

    Raises:
        MissingExtraError: scipy is not installed.
    """
    edges = lowest * 2.0 ** np.arange(32)
    edges = edges[edges <= 0.475 * min(rates)]
    channels = one, other
    shortest = min(longest_run(x) / rate for x, rate in zip(channels, rates, strict=True))
    if len(edges) < 2 or shortest < max(BURST, 2 / lowest):
        return np.nan
    found = []
    for band in pairwise(edges.tolist()):
        powers = [_burst_powers(x, rate, band) for x, rate in zip(channels, rates, strict=True)]
        floor = SILENCE * max(power.max() for power in powers)
        if floor > 0:
            levels = (10 * np.log10(np.maximum(power, floor)) for power in powers)
            found.append(amplitude_distance(*levels))
    return float(np.mean(found)) if found else 0.0


def _burst_powers(
    values: Float64[np.ndarray, " time"], rate: float, band: tuple[float, float]
) -> Float64[np.ndarray, " window"]:
    """Returns the mean power of a band in each window without a gap."""
    signal = library("scipy.signal", "to filter signals", "signals")
    whole = np.isfinite(values)
    positions = np.arange(len(values))
    known = np.interp(positions, positions[whole], values[whole])
    sections = signal.butter(4, band, "bandpass", fs=rate, output="sos")
    power = signal.sosfiltfilt(sections, known - known.mean()) ** 2
    width = round(BURST * rate)
    count = len(power) // width
    windows, counts = (x[: count * width].reshape(count, width) for x in (power, whole))
    counted = windows.mean(1)[counts.all(1)]
    return np.asarray(counted if len(counted) else windows.mean(1))


def kurtosis(values: Float64[np.ndarray, " time"]) -> float:
    """Returns the excess kurtosis m4 / m2^2 - 3, where m2 and m4 are central moments.

    It is 0 for Gaussian noise and high for rare large values; NaN for a constant.
    """
    whole = values[np.isfinite(values)]
    centered = _centered(whole) if len(whole) else np.zeros(1)
    power = np.mean(centered**2)
    return float(np.mean(centered**4) / power**2 - 3) if power > 0 else np.nan


def kurtosis_distance(
    one: Float64[np.ndarray, " one"], other: Float64[np.ndarray, " other"]
) -> float:
    """Returns the absolute difference of two excess kurtoses."""
    return abs(kurtosis(one) - kurtosis(other))


def _centered(values: Float64[np.ndarray, " time"]) -> Float64[np.ndarray, " time"]:
    """Subtracts the first value and then the mean, so that a constant becomes exactly 0."""
    whole = values[np.isfinite(values)]
    shifted = values - whole[0]
    return np.asarray(shifted - np.nanmean(shifted))
