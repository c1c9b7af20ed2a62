"""Heartbeats: where an ECG has them, and how far two series of them agree."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from impasto.system.libraries import library

TOLERANCE = 0.150
"""Seconds between two beats that count as the same (ANSI/AAMI EC57)."""

SLOWEST_RATE = 50.0
"""Hz: the detector looks at 5 to 20 Hz."""

FASTEST_RATE = 360.0
"""Hz: faster leads are resampled; at 1000 Hz the detector misses all beats of most leads."""

_SHORTEST = 1.0  # seconds


class Agreement(NamedTuple):
    """precision: the share of the beats found that are beats; sensitivity: the share of the beats
    that are found; f1: their harmonic mean. All from 0 to 1, NaN where there is no beat to find."""

    precision: float
    sensitivity: float
    f1: float


def r_peaks(values: Float64[np.ndarray, " time"], rate: float) -> Float64[np.ndarray, " beat"]:
    """The beats of an ECG lead in seconds, in order; none in what is flat or shorter than 1 s.

    The detector is XQRS of WFDB (Xie et al. 2023, Waveform Database Software Package for Python):
    band-pass from 5 to 20 Hz, moving integration, thresholds that adapt. It takes a lead of any
    amplitude, either way up. values: NaN where there is a gap. rate: at least SLOWEST_RATE.
    Raises MissingExtraError when wfdb is not installed.
    """
    processing = library("wfdb.processing", "to find heartbeats", "signals")
    whole = np.isfinite(values)
    if len(values) < _SHORTEST * rate or not whole.any() or np.ptp(values[whole]) == 0:
        return np.zeros(0)
    positions = np.arange(len(values))
    values = np.interp(positions, positions[whole], values[whole])
    if rate > FASTEST_RATE:
        soxr = library("soxr", "to find heartbeats", "signals")
        values, rate = soxr.resample(values, rate, FASTEST_RATE), FASTEST_RATE
    detector = processing.XQRS(values, rate)
    detector.detect(verbose=False)
    return np.asarray(detector.qrs_inds, np.float64) / rate


def beat_agreement(
    found: Float64[np.ndarray, " found"], reference: Float64[np.ndarray, " reference"]
) -> Agreement:
    """How far the beats found are those of the reference, both in seconds and in order.

        precision = TP / found    sensitivity = TP / reference    F1 = 2 TP / (found + reference)

    TP: the largest number of pairs, each beat in one at most, that lie within TOLERANCE
    (ANSI/AAMI EC57:2012, Testing and reporting performance results of cardiac rhythm algorithms).
    """
    if not len(reference):
        return Agreement(np.nan, np.nan, np.nan)
    pairs = one = other = 0
    while one < len(found) and other < len(reference):
        late = found[one] - reference[other]
        if abs(late) <= TOLERANCE:
            pairs += 1
        one += late <= TOLERANCE
        other += late >= -TOLERANCE
    return Agreement(
        precision=pairs / max(1, len(found)),
        sensitivity=pairs / len(reference),
        f1=2 * pairs / (len(found) + len(reference)),
    )
