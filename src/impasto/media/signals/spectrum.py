"""Power over frequency, and over time and frequency, of one channel that may have gaps."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

_TOGETHER = 1024
"""Segments that are transformed at a time."""


def whole_runs(values: Float64[np.ndarray, " time"]) -> list[slice]:
    """Returns the stretches between gaps (NaN), in order.

    Example:
        >>> whole_runs(np.array([1.0, 2.0, np.nan, 3.0]))
        [slice(0, 2, None), slice(3, 4, None)]
    """
    edges = np.flatnonzero(np.diff(np.isfinite(values), prepend=False, append=False))
    return [slice(*pair) for pair in edges.reshape(-1, 2).tolist()]


def longest_run(values: Float64[np.ndarray, " time"]) -> int:
    """Returns the positions of the longest stretch without a gap (NaN).

    Example:
        >>> longest_run(np.array([1.0, 2.0, np.nan, 3.0]))
        2
    """
    return max((run.stop - run.start for run in whole_runs(values)), default=0)


def power_spectrum(
    values: Float64[np.ndarray, " time"], rate: float, segment: int
) -> tuple[Float64[np.ndarray, " frequency"], Float64[np.ndarray, " frequency"]]:
    """Estimates the one-sided power spectral density of a channel.

    By Welch's method (Welch 1967, The use of fast Fourier transform for the estimation of power
    spectra): the mean over segments that overlap by half, each less its mean and weighted by a
    Hann function. Segments lie between gaps.

    Args:
        values: of the channel, NaN in the gaps.
        rate: in Hz.
        segment: the positions of a segment, at most `longest_run(values)`.

    Returns:
        Frequencies in Hz, and the density there in units^2/Hz.

    Example:
        >>> frequencies, density = power_spectrum(np.sin(np.arange(64) * np.pi / 4), 8.0, 16)
        >>> print(frequencies[density.argmax()])
        1.0
    """
    hann = _hann(segment)
    # A constant less its first value is exactly 0; less its mean, it may be off by a rounding.
    values = values - values[np.isfinite(values)][0]
    total, count = np.zeros(segment // 2 + 1), 0
    for run in whole_runs(values):
        if run.stop - run.start < segment:
            continue
        segments = np.lib.stride_tricks.sliding_window_view(values[run], segment)
        segments = segments[:: segment - segment // 2]
        for first in range(0, len(segments), _TOGETHER):  # to save memory
            some = segments[first : first + _TOGETHER]
            some = (some - some.mean(1, keepdims=True)) * hann
            total += (np.abs(np.fft.rfft(some)) ** 2).sum(0)
        count += len(segments)
    total[1 : (segment + 1) // 2] *= 2  # the negative frequencies
    return np.fft.rfftfreq(segment, 1 / rate), total / (count * rate * (hann**2).sum())


def spectrogram(
    values: Float64[np.ndarray, " time"], rate: float, segment: int, columns: int
) -> tuple[
    Float64[np.ndarray, " frequency"],
    Float64[np.ndarray, " edge"],
    Float64[np.ndarray, "frequency column"],
]:
    """Measures the power of a channel over time and frequency.

    The values less their mean, continued by zeros at both ends, are cut into segments weighted by
    a Hann function, at most a quarter of a segment apart. Where those are more than about
    `columns`, several are averaged.

    Args:
        values: of the channel, NaN in the gaps.
        rate: in Hz.
        segment: the positions of a segment.
        columns: about how many columns the result has, where there are positions enough.

    Returns:
        Frequencies in Hz, the seconds between which the columns lie, and the mean power in each:
        1/2 for a sine of amplitude 1 at its frequency. A column over a gap is NaN.
    """
    hann = _hann(segment)
    known = values[np.isfinite(values)]
    padded = np.pad(values - (known.mean() if len(known) else 0), segment // 2)
    hop = max(1, min(segment // 4, len(values) // columns))
    segments = np.lib.stride_tricks.sliding_window_view(padded, segment)[::hop]
    together = -(-len(segments) // (2 * columns))
    starts = range(0, len(segments), together)
    power = np.stack(
        [
            np.mean(np.abs(np.fft.rfft(segments[start : start + together] * hann)) ** 2, axis=0)
            for start in starts
        ],
        axis=1,
    )
    power /= hann.sum() ** 2
    power[1 : (segment + 1) // 2] *= 2
    edges = (np.array([*starts, len(segments)]) - 0.5) * hop
    return np.fft.rfftfreq(segment, 1 / rate), edges / rate, power


def _hann(segment: int) -> Float64[np.ndarray, " time"]:
    """Returns a Hann function whose period is the segment; scipy.signal takes 0.5 s to import."""
    return np.asarray(np.sin(np.pi * np.arange(segment) / segment) ** 2)
