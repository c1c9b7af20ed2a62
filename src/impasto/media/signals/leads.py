"""Leads: single channels of signals, and which channels of two signals belong together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from impasto.media.signals.signal import Signal

_MILLIVOLTS = {"v": 1e3, "mv": 1.0, "uv": 1e-3, "µv": 1e-3, "μv": 1e-3, "nv": 1e-6}
_AUDIO_RATE = 8000.0


class Lead(NamedTuple):
    """One channel of a signal.

    Attributes:
        values: float64, NaN in the gaps; voltages in mV, anything else in `unit`.
        rate: in Hz.
        name: the file's, or such as "channel 2" where the file gives none.
        unit: of the values.
    """

    values: Float64[np.ndarray, " time"]
    rate: float
    name: str
    unit: str


def lead(signal: Signal, channel: int, start: int = 0, stop: int | None = None) -> Lead:
    """Takes one channel out of a signal.

    Example:
        >>> values = np.array([[1.0, 2.0]], np.float32)
        >>> lead(Signal(values, names=("II",), units=("V",)), 0).values.tolist()
        [1000.0, 2000.0]

    Args:
        signal: with the channel.
        channel: its number, from 0.
        start, stop: the positions to take, up to `stop`; None for the end.
    """
    scale = _MILLIVOLTS.get(signal.units[channel].strip().lower())
    values = signal.data[channel, start:stop].astype(np.float64)
    if scale is not None:
        values *= scale
    if signal.gaps is not None:
        values[signal.gaps[channel, start:stop]] = np.nan
    name = signal.names[channel] or f"channel {channel + 1}"
    return Lead(values, signal.rate, name, signal.units[channel] if scale is None else "mV")


def is_audio(signal: Signal) -> bool:
    """Whether a signal is a sound: values from -1 to 1, at 8000 Hz or more."""
    return signal.value_range == (-1, 1) and signal.rate >= _AUDIO_RATE


def matched(one: Signal, other: Signal) -> list[tuple[int, int]]:
    """Finds the channels of two signals that belong together.

    Example:
        >>> data = np.zeros((2, 9), np.float32)
        >>> one = Signal(data, names=("I", "II"), units=("mV", "mV"))
        >>> other = Signal(data, names=("ii", "V5"), units=("mV", "mV"))
        >>> matched(one, other)
        [(1, 0)]

    Returns:
        Pairs of a channel of `one` and the channel of `other` that has the same name; case and
        spaces around names do not count. Where no name is shared, channels are paired by position.
    """
    places: dict[str, int] = {}
    for channel, name in enumerate(map(_key, other.names)):
        if name:
            places.setdefault(name, channel)
    pairs: list[tuple[int, int]] = []
    for channel, name in enumerate(map(_key, one.names)):
        if name in places:
            pairs.append((channel, places.pop(name)))
    return pairs or [(channel, channel) for channel in range(min(len(one.data), len(other.data)))]


def _key(name: str) -> str:
    return name.strip().casefold()
