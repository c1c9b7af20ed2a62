"""Metrics of sounds: the statistics of their texture, and the onsets and the pitch that they keep.

In all functions, values are float64 with NaN in gaps, which count as silence, and rates are in Hz.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from impasto.metrics.beats import beat_agreement
from impasto.system.libraries import library

BANDS = 30
"""Cochlear bands."""

LOWEST = 50.0
"""The lowest frequency of a cochlear band, in Hz."""

TOP = 0.475
"""The highest frequency of a cochlear band, over the lower sampling rate."""

COMPRESSION = 0.3
"""The power of the amplitude that is the envelope."""

ENVELOPE_RATE = 400.0
"""That of envelopes, in Hz."""

MODULATION = 0.5 * 2.0 ** (np.arange(18) / 2)
"""The edges of the bands of modulation in Hz: half octaves from 0.5 to 181."""

FAINT = 1e-12
"""A power that is none."""

TOLERANCE = 0.05
"""Two onsets match if they are at most this many seconds apart."""

HOP = 0.01
"""Seconds between frames, for onsets and for pitch."""

FRAME = 0.04
"""Seconds of a frame."""

QUIET = 1e-3
"""The amplitude that counts as silence, over the loudest of a sound."""

RISE = 0.5
"""An onset rises above the flux around it by so many deviations of the flux."""

PITCHES = 60.0, 1000.0
"""The lowest and the highest pitch in Hz."""

APERIODIC = 0.15
"""The share of a frame's power that is not periodic, up to which the frame has a pitch."""

SEMITONE = 1 / 12
"""In octaves."""


class Statistics(NamedTuple):
    """The statistics of a sound's envelopes in cochlear bands.

    Attributes:
        mean: of each band.
        variation: deviation over mean.
        skewness: third standardized moment.
        correlation: between bands, those above the diagonal.
        modulation: the share of each band's variance in each band of modulation.
    """

    mean: Float64[np.ndarray, " band"]
    variation: Float64[np.ndarray, " band"]
    skewness: Float64[np.ndarray, " band"]
    correlation: Float64[np.ndarray, " pair"]
    modulation: Float64[np.ndarray, "band modulation"]


def texture_distance(
    one: Float64[np.ndarray, " one"],
    other: Float64[np.ndarray, " other"],
    rates: tuple[float, float],
) -> float:
    """Returns how far two sounds are apart as textures, in [0, 1].

        mean over statistics s of ||s_one - s_other|| / (||s_one|| + ||s_other||)

    The statistics are those of `texture_statistics`, up to the lower Nyquist frequency.

    Example:
        >>> noise = np.random.default_rng(0).normal(size=(2, 24_000))
        >>> texture_distance(noise[0], noise[0], (8000, 8000))
        0.0
        >>> 0 < texture_distance(*noise, (8000, 8000)) < 0.25
        True
    """
    top = TOP * min(rates)
    pair = one, other
    if min(len(x) / rate for x, rate in zip(pair, rates, strict=True)) < 1 / MODULATION[0]:
        return np.nan
    found = [texture_statistics(x, rate, top) for x, rate in zip(pair, rates, strict=True)]
    return float(np.mean([_apart(*each) for each in zip(*found, strict=True)]))


def texture_statistics(values: Float64[np.ndarray, " time"], rate: float, top: float) -> Statistics:
    """Measures the texture of a sound, after McDermott and Simoncelli 2011 (Sound texture
    perception via statistics of the auditory periphery).

    Args:
        values: the sound, of two seconds or more.
        rate: its sampling rate in Hz.
        top: the highest frequency of a band in Hz.
    """
    envelopes = cochlear_envelopes(values, rate, top)
    means = envelopes.mean(1)
    centered = envelopes - means[:, None]
    variances = (centered**2).mean(1) + FAINT
    standard = centered / np.sqrt(variances)[:, None]
    correlation = standard @ standard.T / standard.shape[1]
    power = np.abs(np.fft.rfft(standard)) ** 2
    frequencies = np.fft.rfftfreq(standard.shape[1], 1 / ENVELOPE_RATE)
    band = np.digitize(frequencies, MODULATION)
    shares = [power[:, band == number].sum(1) for number in range(1, len(MODULATION))]
    return Statistics(
        means,
        np.sqrt(variances) / (means + FAINT),
        (standard**3).mean(1),
        correlation[np.triu_indices(BANDS, 1)],
        2 * np.stack(shares, 1) / standard.shape[1] ** 2,
    )


def cochlear_envelopes(
    values: Float64[np.ndarray, " time"], rate: float, top: float
) -> Float64[np.ndarray, "band position"]:
    """Returns the compressed envelopes of `BANDS` bands, at `ENVELOPE_RATE`.

    The bands are half periods of a cosine over the number of equivalent rectangular bandwidths
    (Glasberg and Moore 1990), each reaching to the middles of its neighbors. An envelope is the
    absolute value of the analytic signal to the power `COMPRESSION`.

    Raises:
        MissingExtraError: scipy is not installed.
    """
    signal = library("scipy.signal", "to filter signals", "signals")
    x = np.nan_to_num(values - np.nanmean(values))
    length = len(x)
    spectrum, frequencies = np.fft.fft(x), np.fft.fftfreq(length, 1 / rate)
    low, high = _erbs(np.array([LOWEST, top]))
    place = (_erbs(frequencies.clip(0)) - low) / (high - low) * (BANDS + 1)
    count = round(length * ENVELOPE_RATE / rate)
    envelopes = []
    for number in range(1, BANDS + 1):
        distance = np.abs(place - number).clip(max=1)
        weights = np.where(frequencies > 0, 2 * np.cos(np.pi / 2 * distance), 0)
        envelope = np.abs(np.fft.ifft(spectrum * weights)) ** COMPRESSION
        envelopes.append(signal.resample(envelope, count))
    return np.stack(envelopes)


def _erbs(frequencies: Float64[np.ndarray, " frequency"]) -> Float64[np.ndarray, " frequency"]:
    """Returns the number of equivalent rectangular bandwidths below frequencies in Hz."""
    return np.asarray(9.265 * np.log1p(frequencies / 228.85))


def _apart(one: Float64[np.ndarray, "..."], other: Float64[np.ndarray, "..."]) -> float:
    """The norm of the difference over the sum of the norms; 0 for two zeros."""
    whole = float(np.linalg.norm(one) + np.linalg.norm(other))
    return float(np.linalg.norm(one - other)) / whole if whole else 0.0


def onsets(values: Float64[np.ndarray, " time"], rate: float) -> Float64[np.ndarray, " onset"]:
    """Finds where a sound's notes, syllables and knocks begin, in seconds.

    They are peaks of the spectral flux: the mean over frequencies of the rise of log(1 + magnitude
    / quiet) over 20 ms (Bello et al. 2005, A tutorial on onset detection in music signals).

    Raises:
        MissingExtraError: scipy is not installed.

    Example:
        >>> knocks = np.zeros(8000)
        >>> knocks[[2000, 5000]] = 1
        >>> onsets(knocks, 8000.0).round(1)
        array([0.2, 0.6])
    """
    signal = library("scipy.signal", "to filter signals", "signals")
    frames = _frames(values, rate, FRAME)
    levels = np.abs(np.fft.rfft(frames * np.hanning(frames.shape[1])))
    levels = np.log1p(levels / max(QUIET * levels.max(initial=0), FAINT))
    rises = (levels[2:] - levels[:-2]).clip(0).mean(1)
    if len(rises) < 3:
        return np.zeros(0)
    around = signal.medfilt(np.pad(rises, 20, mode="reflect"), 41)[20:-20] if len(rises) > 20 else 0
    found, _ = signal.find_peaks(
        rises - around, height=max(RISE * rises.std(), FAINT), distance=round(TOLERANCE / HOP)
    )
    return np.asarray((found + 1) * HOP + FRAME / 2)


def onsets_kept(
    result: Float64[np.ndarray, " one"],
    content: Float64[np.ndarray, " other"],
    rates: tuple[float, float],
) -> float:
    """Returns the F1 of a result's onsets against the content's, in [0, 1]; NaN if it has none.

    Raises:
        MissingExtraError: scipy is not installed.
    """
    found = onsets(result, rates[0]), onsets(content, rates[1])
    return beat_agreement(*found, TOLERANCE).f1


def pitches(values: Float64[np.ndarray, " time"], rate: float) -> Float64[np.ndarray, " frame"]:
    """Returns the pitch of each frame of `HOP` seconds in Hz; NaN where there is none.

    It is the first dip of the cumulative mean normalized difference function below `APERIODIC`
    (de Cheveigné and Kawahara 2002, YIN, a fundamental frequency estimator for speech and music).

    Example:
        >>> tone = np.sin(2 * np.pi * 200 * np.arange(8000) / 8000)
        >>> float(np.median(pitches(tone, 8000.0)))
        200.0
    """
    longest, shortest = (round(rate / pitch) for pitch in PITCHES)
    frames = _frames(values, rate, 2 * longest / rate)
    window = frames.shape[1] - longest
    length = 2 * frames.shape[1]
    spectra = np.fft.rfft(frames[:, :window], length).conj() * np.fft.rfft(frames, length)
    products = np.fft.irfft(spectra, length)[:, : longest + 1]
    sums = np.pad(frames**2, ((0, 0), (1, 0))).cumsum(1)
    power = sums[:, window : window + longest + 1] - sums[:, : longest + 1]
    difference = (power + power[:, :1] - 2 * products).clip(0)
    lags = np.arange(longest + 1)
    dips = difference * lags / np.maximum(difference.cumsum(1), FAINT)
    low = dips[:, shortest:-1]
    bottom = low < APERIODIC
    bottom &= (low <= dips[:, shortest + 1 :]) & (low < dips[:, shortest - 1 : -2])
    first = bottom.argmax(1)
    return np.where(bottom.any(1), rate / (first + shortest), np.nan)


def pitch_kept(
    result: Float64[np.ndarray, " one"],
    content: Float64[np.ndarray, " other"],
    rates: tuple[float, float],
) -> float:
    """Returns the share of the content's frames with a pitch that have it in the result.

    Within a semitone; octaves count as other pitches. NaN if no frame has a pitch.
    """
    found, reference = pitches(result, rates[0]), pitches(content, rates[1])
    count = min(len(found), len(reference))
    voiced = np.isfinite(reference[:count])
    if not voiced.any():
        return np.nan
    away = np.abs(np.log2(found[:count][voiced] / reference[:count][voiced]))
    return float((away < SEMITONE).mean())


def _frames(
    values: Float64[np.ndarray, " time"], rate: float, seconds: float
) -> Float64[np.ndarray, "frame position"]:
    """Cuts a sound less its mean to frames `HOP` seconds apart; none if it is shorter than one."""
    x = np.nan_to_num(values - np.nanmean(values))
    width = round(seconds * rate)
    if len(x) < width:
        return np.zeros((0, width))
    starts = np.rint(np.arange(0, len(x) - width + 1, HOP * rate)).astype(int)
    return np.asarray(np.lib.stride_tricks.sliding_window_view(x, width)[starts])
