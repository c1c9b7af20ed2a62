"""Power over frequency, and over time and frequency, of one channel that may have gaps."""

from __future__ import annotations

from typing import Any

import numpy as np
from jaxtyping import Float64

from impasto.system.libraries import library


def scipy_signal() -> Any:
    """scipy.signal, which comes with the extra `signals`.

    Raises MissingExtraError when it is not installed.
    """
    return library("scipy.signal", "for spectra of signals", "signals")


def whole_runs(values: Float64[np.ndarray, " time"]) -> list[slice]:
    """The stretches between gaps (NaN), in order."""
    edges = np.flatnonzero(np.diff(np.isfinite(values), prepend=False, append=False))
    return [slice(*pair) for pair in edges.reshape(-1, 2).tolist()]


def longest_run(values: Float64[np.ndarray, " time"]) -> int:
    """Positions of the longest stretch without a gap."""
    return max((run.stop - run.start for run in whole_runs(values)), default=0)


def power_spectrum(
    values: Float64[np.ndarray, " time"], rate: float, window: int
) -> tuple[Float64[np.ndarray, " frequency"], Float64[np.ndarray, " frequency"]]:
    """Frequencies in Hz and the one-sided power spectral density there, in units^2/Hz.

    Welch's method (Welch 1967, The use of fast Fourier transform for the estimation of power
    spectra): Hann windows of `window` positions that overlap by half, each less its mean. Windows
    lie between gaps only; `window` is at most `longest_run(values)`.
    """
    welch = scipy_signal().welch
    # Less its first value a constant is exactly 0; its mean may be off by a rounding.
    values = values - values[np.isfinite(values)][0]
    total, count = np.zeros(window // 2 + 1), 0
    for run in whole_runs(values):
        if (length := run.stop - run.start) < window:
            continue
        windows = 1 + (length - window) // (window - window // 2)
        total += windows * welch(values[run], rate, nperseg=window, detrend="constant")[1]
        count += windows
    return np.fft.rfftfreq(window, 1 / rate), total / count


def spectrogram(
    values: Float64[np.ndarray, " time"], rate: float, window: int, columns: int
) -> tuple[
    Float64[np.ndarray, " frequency"],
    Float64[np.ndarray, " edge"],
    Float64[np.ndarray, "frequency column"],
]:
    """Frequencies in Hz, the seconds between which columns lie, and the mean power in each: at
    its frequency 1/2 for a sine of amplitude 1.

    Of the values less their mean, continued by zeros at both ends: Hann windows of `window`
    positions, at most a quarter of one apart, about `columns` where there are positions enough.
    Where that would be more, as many are averaged as it takes. A column over a gap is NaN.
    """
    hann = scipy_signal().windows.hann(window, sym=False)
    known = values[np.isfinite(values)]
    padded = np.pad(values - (known.mean() if len(known) else 0), window // 2)
    hop = max(1, min(window // 4, len(values) // columns))
    segments = np.lib.stride_tricks.sliding_window_view(padded, window)[::hop]
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
    power[1 : (window + 1) // 2] *= 2
    edges = (np.array([*starts, len(segments)]) - 0.5) * hop
    return np.fft.rfftfreq(window, 1 / rate), edges / rate, power
