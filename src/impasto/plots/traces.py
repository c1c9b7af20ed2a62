"""The stretch of a signal that is drawn, in no more points than can be seen."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from impasto.errors import ConfigError
from impasto.media.signals.leads import lead
from impasto.media.signals.signal import Signal


class Trace(NamedTuple):
    """A line to draw: seconds from the beginning of the file, and values, NaN in gaps."""

    seconds: Float64[np.ndarray, " point"]
    values: Float64[np.ndarray, " point"]
    name: str
    unit: str


def stretch(signal: Signal, label: str, start: float, seconds: float) -> tuple[int, int]:
    """The positions of so many seconds from `start` on, fewer where the signal ends before.

    Raises ConfigError when it ends before `start`.
    """
    length = signal.space[0]
    if start * signal.rate > length - 1:
        raise ConfigError(
            subject="--from",
            expected=f"a second before the end of {label}, at {length / signal.rate:g} s",
            found=f"{start:g}",
            remedy="start earlier",
        )
    first = ceil(start * signal.rate - 1e-6)
    end = min(float(length), (start + seconds) * signal.rate)
    return first, max(first + 1, ceil(end - 1e-6))


def trace(signal: Signal, channel: int, positions: tuple[int, int], columns: int) -> Trace:
    """A channel over a range of positions, as its envelope in `columns` where it has many more."""
    part = lead(signal, channel, *positions)
    times = np.arange(*positions) / signal.rate
    return Trace(*envelope(times, part.values, columns), part.name, part.unit)


def envelope(
    seconds: Float64[np.ndarray, " time"], values: Float64[np.ndarray, " time"], columns: int
) -> tuple[Float64[np.ndarray, " point"], Float64[np.ndarray, " point"]]:
    """The least and the largest value of each of `columns` blocks; all values where that is more.

    A line through them covers what a line through all values would.
    """
    if len(values) <= 2 * columns:
        return seconds, values
    starts = np.linspace(0, len(values), columns, endpoint=False).astype(int)
    bounds = np.fmin.reduceat(values, starts), np.fmax.reduceat(values, starts)
    return np.repeat(seconds[starts], 2), np.stack(bounds, axis=1).ravel()
