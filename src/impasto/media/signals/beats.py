"""Heartbeats of a lead, found in time."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float64

from impasto.media.signals.signal import with_positions
from impasto.system.libraries import library

SLOWEST_RATE = 50.0
"""The lowest sampling rate in Hz: the detector needs frequencies from 5 to 20 Hz."""

FASTEST_RATE = 360.0
"""Leads with a higher sampling rate in Hz are resampled to this one: at 1000 Hz the detector misses
all beats of most leads."""

_SHORTEST = 1.0  # seconds


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
        values = with_positions(values, round(len(values) * FASTEST_RATE / rate))
        rate = FASTEST_RATE
    detector = processing.XQRS(values, rate)
    detector.detect(verbose=False)
    return np.asarray(detector.qrs_inds, np.float64) / rate
