"""Leads: the channels of signals one by one, and which of two signals' belong together."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from impasto.media.signals.signal import Signal

_MILLIVOLTS = {"v": 1e3, "mv": 1.0, "uv": 1e-3, "µv": 1e-3, "μv": 1e-3, "nv": 1e-6}
_AUDIO_RATE = 8000.0


class Lead(NamedTuple):
    """One channel of a signal.

    values: NaN where the recording has a gap; voltages in mV, anything else in the file's `unit`.
    rate: in Hz. name: the file's, or "channel 2" where it gives none.
    """

    values: Float64[np.ndarray, " time"]
    rate: float
    name: str
    unit: str


def lead(signal: Signal, channel: int, start: int = 0, stop: int | None = None) -> Lead:
    """A channel of a signal, or of its positions from `start` up to `stop`."""
    scale = _MILLIVOLTS.get(signal.units[channel].strip().lower())
    values = signal.data[channel, start:stop].astype(np.float64)
    if scale is not None:
        values *= scale
    if signal.gaps is not None:
        values[signal.gaps[channel, start:stop]] = np.nan
    name = signal.names[channel] or f"channel {channel + 1}"
    return Lead(values, signal.rate, name, signal.units[channel] if scale is None else "mV")


def is_audio(signal: Signal) -> bool:
    """Whether it is a sound: values from -1 to 1, 8000 Hz or more."""
    return signal.value_range == (-1, 1) and signal.rate >= _AUDIO_RATE


def matched(one: Signal, other: Signal) -> list[tuple[int, int]]:
    """Channels that belong together: those of the same name, by position where no name is shared.

    Case and spaces around names do not count.
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
