"""Gaps: the positions of a recording that have no value.

In a file, and in the arrays that the libraries give, a gap is NaN. In a `Signal` the data are
finite everywhere: a straight line runs across each gap, and a mask says where the gaps are.
"""

from __future__ import annotations

import shlex
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Bool, Float32, Float64, Shaped

from impasto.errors import SampleError

if TYPE_CHECKING:
    from impasto.media.signals.signal import Signal


def without_gaps(
    values: Shaped[np.ndarray, "channel time"] | Sequence[Shaped[np.ndarray, " time"]],
    names: Sequence[str] = (),
) -> tuple[Float32[np.ndarray, "channel time"], Bool[np.ndarray, "channel time"] | None]:
    """Separates the values of a recording from its gaps.

    Example:
        >>> data, gaps = without_gaps(np.array([[1.0, np.nan, 3.0]]))
        >>> data.tolist(), gaps.tolist()
        ([[1.0, 2.0, 3.0]], [[False, True, False]])

    Args:
        values: an array, or one of each channel; integers or floats of any precision. NaN is a
            gap.
        names: of the channels, for the error.

    Returns:
        The data, with a straight line across each gap, and the mask of the gaps, None where there
        are none. They are the arguments `data` and `gaps` of a `Signal`.

    Raises:
        SampleError: a channel has no value at all.
    """
    with np.errstate(over="ignore"):  # Sample refuses the infinities
        data = np.array(values, np.float32, order="C")
    gaps = np.isnan(data)
    if not gaps.any():
        return data, None
    _check_values(gaps, names)
    fill_gaps(data, gaps)
    return data, gaps


def _check_values(gaps: Bool[np.ndarray, "channel time"], names: Sequence[str]) -> None:
    """Refuses channels without a value, and says which others there are."""
    empty = np.asarray(gaps.all(axis=1)).tolist()
    if not any(empty):
        return
    labels = [*names] if any(names) else [str(number) for number in range(1, len(gaps) + 1)]
    dead = ", ".join(name for name, none in zip(labels, empty, strict=True) if none)
    others = [name for name, none in zip(labels, empty, strict=True) if not none]
    raise SampleError(
        expected="values in every channel",
        found=f"none in channel {dead}: all NaN",
        remedy=f"leave it out: --leads {shlex.join(others)}" if others else "name another file",
    )


def with_gaps(signal: Signal) -> Float64[np.ndarray, "channel time"]:
    """Returns the values of a signal in float64, with NaN in its gaps."""
    values = signal.data.astype(np.float64)
    if signal.gaps is not None:
        values[signal.gaps] = np.nan
    return values


def fill_gaps(
    data: Float32[np.ndarray, "channel time"], gaps: Bool[np.ndarray, "channel time"]
) -> None:
    """Puts a straight line across each gap, and the nearest value into a gap at an end.

    Args:
        data: changed in place, where `gaps` is True.
        gaps: True where there is no value.

    Raises:
        SampleError: a channel is a gap from end to end.
    """
    for number, (row, gap) in enumerate(zip(data, gaps, strict=True), start=1):
        if gap.all():
            raise SampleError(
                expected="values in every channel",
                found=f"none in channel {number}: all NaN",
                remedy="leave the channel out",
            )
        row[gap] = np.interp(np.flatnonzero(gap), np.flatnonzero(~gap), row[~gap])
