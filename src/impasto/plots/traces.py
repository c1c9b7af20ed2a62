"""The stretch of a signal to draw, reduced to the points that a reader can see."""

from __future__ import annotations

from math import ceil
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from impasto.errors import ConfigError
from impasto.media.signals.leads import lead
from impasto.media.signals.signal import Signal


class Trace(NamedTuple):
    """A line to draw.

    Attributes:
        seconds: the times, from the beginning of the file.
        values: the values; NaN in gaps.
        name: the name of the lead.
        unit: the unit of the values.
    """

    seconds: Float64[np.ndarray, " point"]
    values: Float64[np.ndarray, " point"]
    name: str
    unit: str


def stretch(signal: Signal, label: str, start: float, seconds: float) -> tuple[int, int]:
    """Returns the first position of a stretch and the one after its last.

    Args:
        signal: the signal.
        label: the name of the signal in errors.
        start: the first second.
        seconds: the length; the stretch is shorter if the signal ends before.

    Raises:
        ConfigError: the signal ends before `start`.
    """
    length = signal.space[0]
    if start * signal.rate > length - 1:
        raise ConfigError(
            subject="--from",
            expected=f"a time before the end of {label}, which is {length / signal.rate:g} s long",
            found=f"{start:g}",
            remedy="start earlier",
        )
    first = ceil(start * signal.rate - 1e-6)
    end = min(float(length), (start + seconds) * signal.rate)
    return first, max(first + 1, ceil(end - 1e-6))


def trace(signal: Signal, channel: int, positions: tuple[int, int], columns: int) -> Trace:
    """Returns a channel over a range of positions; if it is long, as an envelope."""
    part = lead(signal, channel, *positions)
    times = np.arange(*positions) / signal.rate
    return Trace(*envelope(times, part.values, columns), part.name, part.unit)


def envelope(
    seconds: Float64[np.ndarray, " time"], values: Float64[np.ndarray, " time"], columns: int
) -> tuple[Float64[np.ndarray, " point"], Float64[np.ndarray, " point"]]:
    """Returns the minimum and the maximum of each of `columns` blocks.

    A line through them looks like a line through all values. Few values are returned as they are.
    """
    if len(values) <= 2 * columns:
        return seconds, values
    starts = np.linspace(0, len(values), columns, endpoint=False).astype(int)
    bounds = np.fmin.reduceat(values, starts), np.fmax.reduceat(values, starts)
    return np.repeat(seconds[starts], 2), np.stack(bounds, axis=1).ravel()
