"""Leads: single channels of signals, and which channels of two signals belong together."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from impasto.media.signals.signal import Signal

_MILLIVOLTS = {"v": 1e3, "mv": 1.0, "uv": 1e-3, "µv": 1e-3, "μv": 1e-3, "nv": 1e-6}
_AUDIO_RATE = 8000.0

# The twelve leads and further ones on the chest, and what programs and standards write before and
# after their names: "Lead II", "ECG_aVR", "MDC_ECG_LEAD_V1", "Lead I (Einthoven)". MLII is II at
# the sites of a Holter recorder, DII is II in Spanish and Portuguese.
_LEAD = re.compile(
    r"(?:(?:mdc|ecg|ekg|lead|channel)[\s_:.-]*)*"
    r"(?:ml|d)?(?P<lead>i{1,3}|av[\s_-]*[rlf]|v[1-9]r?)"
    r"(?:[\s_]*\([^)]*\))?"
)
_MODALITY = re.compile(r"^(?:ecg|ekg|eeg|emg|eog)[\s_:.-]+")
_NUMBERED = re.compile(
    r"(?:ecg|ekg|eeg|emg|lead|channel|chan|ch|signal|sig|column|col)?[\s_:.-]*\d*|left|right|mixed"
)


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
        >>> other = Signal(data, names=("Lead II", "V5"), units=("mV", "mV"))
        >>> matched(one, other)
        [(1, 0)]

    Returns:
        Pairs of a channel of `one` and the channel of `other` that has the same name, or a name of
        the same lead. Where no name is shared, channels are paired by position.
    """
    pairs = named_alike(one.names, other.names)
    return pairs or [(channel, channel) for channel in range(min(len(one.data), len(other.data)))]


def named_alike(ours: Sequence[str], theirs: Sequence[str]) -> list[tuple[int, int]]:
    """Pairs names that are the same, and then names of the same lead.

    Of names that stand several times, the first goes with the first.

    Example:
        >>> named_alike(["I", "MLII", "aVR"], ["AVR", "Lead I", "II"])
        [(0, 1), (1, 2), (2, 0)]
    """
    pairs: dict[int, int] = {}
    for key in (_plain, lead_of):
        free = [place for place in range(len(theirs)) if place not in pairs.values()]
        for place, name in enumerate(ours):
            like = [there for there in free if key(name) and key(theirs[there]) == key(name)]
            if place not in pairs and like:
                pairs[place] = like[0]
                free.remove(like[0])
    return sorted(pairs.items())


def lead_of(name: str) -> str:
    """Returns the lead that a name stands for, however it is written; other names in small letters.

    Example:
        >>> [lead_of(name) for name in ("Lead II", "MLII", "ECG II", "AVR", "EEG Fpz-Cz", "SpO2")]
        ['ii', 'ii', 'ii', 'avr', 'fpz-cz', 'spo2']
    """
    plain = _plain(name)
    if match := _LEAD.fullmatch(plain):
        return re.sub(r"[\s_-]", "", match["lead"])
    return _MODALITY.sub("", plain)


def is_unnamed(name: str) -> bool:
    """Whether a name tells no more than a number would.

    Example:
        >>> [is_unnamed(name) for name in ("", "2", "Channel 2", "ECG", "left", "II")]
        [True, True, True, True, True, False]
    """
    return _NUMBERED.fullmatch(_plain(name)) is not None


def _plain(name: str) -> str:
    return " ".join(name.split()).casefold()
