"""Synthetic signals, and what all signal files are asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from impasto.media import Signal, load


def waves(channels: int = 2, length: int = 1000, seed: int = 0) -> np.ndarray:
    """Smooth noise of shape (channel, time) within [-1, 1], float32."""
    noise = np.random.default_rng(seed).normal(size=(channels, length + 20))
    smooth = np.apply_along_axis(np.convolve, 1, noise, np.hanning(21), "valid")
    return np.asarray(smooth / np.abs(smooth).max(), np.float32)


def signal(channels: int = 2, length: int = 1000, **fields: Any) -> Signal:
    """Leads of smooth noise in mV at 250 Hz."""
    standard: dict[str, Any] = {
        "data": waves(channels, length),
        "rate": 250.0,
        "names": tuple(f"lead {n}" for n in range(1, channels + 1)),
        "units": ("mV",) * channels,
    }
    return Signal(**(standard | fields))


def with_gaps(length: int = 1000) -> Signal:
    """Two leads: a gap at the start and one of one sample in the first, one at the other's end."""
    gaps = np.zeros((2, length), np.bool_)
    gaps[0, :5] = gaps[0, 100] = gaps[1, length // 2 :] = True
    data = waves(2, length)
    data[0, :5] = data[0, 5]
    data[0, 100] = (data[0, 99] + data[0, 101]) / 2
    data[1, length // 2 :] = data[1, length // 2 - 1]
    return signal(data=data, gaps=gaps)


def loaded(path: Path) -> Signal:
    """What is in a file that must hold a signal."""
    sample = load(path)
    assert isinstance(sample, Signal)
    return sample
