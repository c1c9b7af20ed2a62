"""Holes: the voxels of a volume that have no value.

In a file, a hole is NaN, or DICOM's padding. In a `Volume` the data are finite everywhere: the
lowest value stands where the file has NaN, and a mask says where the holes are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from jaxtyping import Bool, Shaped

from impasto.errors import SampleError
from impasto.media.blocks import blocks

if TYPE_CHECKING:
    from impasto.media.volumes.volume import Volume

Holes = Bool[np.ndarray, "x y z"]


def take_holes(data: Shaped[np.ndarray, "x y z"]) -> Holes | None:
    """Puts the lowest value in the place of each NaN.

    Example:
        >>> values = np.array([[[1.0, np.nan, 3.0]]], np.float32)
        >>> take_holes(values).tolist(), values.tolist()
        ([[[False, True, False]]], [[[1.0, 1.0, 3.0]]])

    Args:
        data: changed in place.

    Returns:
        Where NaN stood; None if nowhere.

    Raises:
        SampleError: there is no value at all.
    """
    lowest, found = np.inf, 0
    for block in blocks(data.shape):
        values = data[block]
        finite = values[np.isfinite(values)]
        found += int(np.count_nonzero(np.isnan(values)))
        lowest = min(lowest, float(finite.min(initial=np.inf)))
    if not found:
        return None
    if found == data.size:
        raise SampleError(
            expected="a value in some voxel", found="NaN in all of them", remedy="get it again"
        )
    holes = np.empty(data.shape, np.bool_)
    for block in blocks(data.shape):
        np.isnan(data[block], out=holes[block])
        data[block][holes[block]] = lowest
    return holes


def with_holes(
    values: Shaped[np.ndarray, "..."], holes: Shaped[np.ndarray, "..."] | None, dtype: np.dtype[Any]
) -> Shaped[np.ndarray, "..."]:
    """Puts NaN into the holes of values that are about to be written in a type of floats.

    Integers have no NaN: there the values stay, which for DICOM are its padding.
    """
    if holes is None or dtype.kind != "f":
        return values
    return np.where(holes, np.float32(np.nan), values)


def valued(volume: Volume) -> Shaped[np.ndarray, "voxel"]:
    """Returns the values of a volume without its holes and without what lies around the body."""
    outside = [mask for mask in (volume.holes, volume.around) if mask is not None]
    if not outside:
        return volume.data.ravel(order="K")
    return np.asarray(volume.data[0][~np.logical_or.reduce(outside)])
