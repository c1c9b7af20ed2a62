"""Heartbeats: detect them in an ECG, and measure how well two series of beats agree."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from impasto.system.libraries import library

TOLERANCE = 0.150
"""Two beats match if they are at most this many seconds apart (ANSI/AAMI EC57)."""

SLOWEST_RATE = 50.0
"""The lowest sampling rate in Hz: the detector needs frequencies from 5 to 20 Hz."""

FASTEST_RATE = 360.0
"""Leads with a higher sampling rate in Hz are resampled to this one: at 1000 Hz the detector misses
all beats of most leads."""

_SHORTEST = 1.0  # seconds


class Agreement(NamedTuple):
    """How well detected beats agree with reference beats, in [0, 1]; NaN without reference beats.

    Attributes:
        precision: the fraction of the detected beats that match a reference beat.
        sensitivity: the fraction of the reference beats that match a detected beat.
        f1: the harmonic mean of both.
    """

    precision: float
    sensitivity: float
    f1: float


def r_peaks(values: Float64[np.ndarray, " time"], rate: float) -> Float64[np.ndarray, " beat"]:
    """Detects the beats of an ECG lead.

    The detector is XQRS of WFDB (Xie et al. 2023, Waveform Database Software Package for Python):
    band-pass from 5 to 20 Hz, moving integration, adaptive thresholds. The amplitude and the
    polarity of the lead do not matter.

    Args:
        values: the lead; NaN in gaps.
        rate: its sampling rate in Hz, at least SLOWEST_RATE.

    Returns:
        The times of the beats in seconds, in order; empty if the lead is flat or shorter than 1 s.

    Raises:
        MissingExtraError: wfdb is not installed.
    """
    processing = library("wfdb.processing", "to find heartbeats", "signals")
    whole = np.isfinite(values)
    if len(values) < _SHORTEST * rate or not whole.any() or np.ptp(values[whole]) == 0:
        return np.zeros(0)
    positions = np.arange(len(values))
    values = np.interp(positions, positions[whole], values[whole])
    if rate > FASTEST_RATE:
        resample = library("scipy.signal", "to find heartbeats", "signals").resample
        values, rate = resample(values, round(len(values) * FASTEST_RATE / rate)), FASTEST_RATE
    detector = processing.XQRS(values, rate)
    detector.detect(verbose=False)
    return np.asarray(detector.qrs_inds, np.float64) / rate


def beat_agreement(
    detected: Float64[np.ndarray, " detected"],
    reference: Float64[np.ndarray, " reference"],
    tolerance: float = TOLERANCE,
) -> Agreement:
    """Compares detected beats with reference beats, both in seconds and in order.

        precision = TP / D    sensitivity = TP / R    F1 = 2 TP / (D + R)

    D and R are the numbers of detected and reference beats. TP is the largest number of pairs of a
    detected and a reference beat within `tolerance`, where each beat is in at most one pair
    (ANSI/AAMI EC57:2012, Testing and reporting performance results of cardiac rhythm algorithms).

    Example:
        >>> beat_agreement(np.array([1.0, 2.0]), np.array([1.1, 2.0, 3.0])).precision
        1.0
    """
    if not len(reference):
        return Agreement(np.nan, np.nan, np.nan)
    pairs = one = other = 0
    while one < len(detected) and other < len(reference):
        late = detected[one] - reference[other]
        if abs(late) <= tolerance:
            pairs += 1
        one += late <= tolerance
        other += late >= -tolerance
    return Agreement(
        precision=pairs / max(1, len(detected)),
        sensitivity=pairs / len(reference),
        f1=2 * pairs / (len(detected) + len(reference)),
    )
