"""Signals in and out of files, a block of time at a time: NaN in a block is a gap in the signal."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Shaped

from impasto.errors import SampleError
from impasto.media.blocks import New

if TYPE_CHECKING:
    from impasto.media.signals.signal import Signal

# Values in a block: libraries make several copies of one in float64.
_BLOCK = 2**18

Block = Shaped[np.ndarray, "channel block"]


class Gathered(NamedTuple):
    """The data and the gaps of a Signal."""

    data: Float32[np.ndarray, "channel time"]
    gaps: Bool[np.ndarray, "channel time"] | None


def spans(channels: int, length: int) -> Iterator[tuple[int, int]]:
    """What cuts `length` positions into blocks of some 262,144 values: their starts and stops.

    All but the last are a multiple of 12 positions, a whole number of bytes in every format.
    """
    step = 12 * max(1, _BLOCK // (12 * channels))
    for start in range(0, length, step):
        yield start, min(start + step, length)


def gathered(channels: int, length: int, blocks: Iterable[Block], new: New) -> Gathered:
    """The arrays of a signal out of its blocks in order; `new` makes the data.

    Raises SampleError when a channel has no value at all, or the blocks end too early.
    """
    data = new((channels, length))
    gaps = None
    start = 0
    for block in blocks:
        stop = start + block.shape[1]
        with np.errstate(over="ignore"):  # the infinities are refused later
            data[:, start:stop] = block
        missing = np.isnan(block)
        if missing.any():
            if gaps is None:
                gaps = np.zeros((channels, length), np.bool_)
            gaps[:, start:stop] = missing
        start = stop
    if start < length:
        raise SampleError(
            expected=f"{length} values a channel",
            found=f"{start}",
            remedy="get the file again",
        )
    if gaps is not None:
        fill_gaps(data, gaps)
    return Gathered(data, gaps)


def pieces(signal: Signal) -> Iterator[Block]:
    """The blocks of a signal in order, float64, with NaN in the gaps."""
    for start, stop in spans(*signal.data.shape):
        block = signal.data[:, start:stop].astype(np.float64)
        if signal.gaps is not None:
            block[signal.gaps[:, start:stop]] = np.nan
        yield block


def fill_gaps(
    data: Float32[np.ndarray, "channel time"], gaps: Bool[np.ndarray, "channel time"]
) -> None:
    """Puts a straight line across each gap, in place; the nearest value across one at an end.

    Raises SampleError when a channel is a gap from end to end.
    """
    for number, (row, gap) in enumerate(zip(data, gaps, strict=True), start=1):
        edges = np.flatnonzero(gap[1:] != gap[:-1]) + 1
        ends = [0] if gap[0] else [], [len(gap)] if gap[-1] else []
        edges = np.concatenate((ends[0], edges, ends[1])).astype(np.int64)
        starts, stops = edges[::2], edges[1::2]
        if not len(starts):
            continue
        if starts[0] == 0 and stops[0] == len(gap):
            raise SampleError(
                expected="values in every channel",
                found=f"none in channel {number}: all NaN",
                remedy="leave the channel out",
            )
        before = np.maximum(starts - 1, 0)
        after = np.minimum(stops, len(gap) - 1)
        left, right = row[before].astype(np.float64), row[after].astype(np.float64)
        left = np.where(starts == 0, right, left)
        right = np.where(stops == len(gap), left, right)
        slope = (right - left) / (stops - starts + 1)
        for first, last in spans(1, len(gap)):
            where = first + np.flatnonzero(gap[first:last])
            run = np.searchsorted(starts, where, side="right") - 1
            row[where] = left[run] + slope[run] * (where - starts[run] + 1)
