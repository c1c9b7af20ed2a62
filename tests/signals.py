"""Signals for the tests of plots and metrics."""

from __future__ import annotations

from typing import Any

import numpy as np

from impasto.media.signals.signal import Signal


def signal(values: Any, rate: float = 100.0, **fields: Any) -> Signal:
    """Channels over time in mV, called I, II and so on."""
    data = np.atleast_2d(np.asarray(values, np.float32))
    names = ("I", "II", "III", "aVR", "aVL", "aVF")[: len(data)]
    return Signal(data, **{"rate": rate, "names": names, "units": ("mV",) * len(data), **fields})


def sound(values: Any, rate: float = 8000.0) -> Signal:
    """Channels of a sound."""
    data = np.atleast_2d(np.asarray(values, np.float32))
    blank = ("",) * len(data)
    return Signal(data, value_range=(-1, 1), rate=rate, names=blank, units=blank)


def heartbeats(seconds: float, rate: float = 250.0, period: float = 0.8) -> np.ndarray:
    """An ECG in mV of one R wave every `period` seconds, from half of one on, with T waves."""
    times = np.arange(round(seconds * rate)) / rate
    values = np.zeros(len(times))
    for beat in np.arange(period / 2, seconds, period):
        values += np.exp(-(((times - beat) / 0.012) ** 2))
        values += 0.25 * np.exp(-(((times - beat - 0.25) / 0.05) ** 2))
    return values
