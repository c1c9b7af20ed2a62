"""Voxels in and out of the bytes of a file, where the first axis varies fastest.

Ours is what nibabel and pynrrd do not do: refuse a file that cannot hold what its header claims
before memory is taken for it, inflate no more than the voxels need, look at gzip's checksum, and
write gzip files that are the same for the same voxels.
"""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from math import prod
from typing import Any

import numpy as np
from jaxtyping import Shaped

from impasto.errors import SampleError
from impasto.media.arrays import convert
from impasto.media.blocks import check_memory
from impasto.media.coding import decoding
from impasto.media.volumes.holes import with_holes
from impasto.media.volumes.volume import Volume

_MOST_PACKED = 1032
"""How many bytes gzip can make of one: it packs 258 of them into 2 bits at best."""


def read_voxels(
    file: Any, shape: tuple[int, int, int], dtype: np.dtype[Any]
) -> Shaped[np.ndarray, "x y z"]:
    """Reads the stored values of a volume.

    Args:
        file: a stream at the first value, compressed or not.
        shape: positions along x, y and z.
        dtype: of the stored values.

    Raises:
        SampleError: the stream ends too early, or is damaged.
        MemoryLimitError: the values do not fit into the free memory.
    """
    check_memory(shape, dtype)
    count = prod(shape) * dtype.itemsize
    with decompressing():
        values = file.read(count)
        file.read(1)  # gzip looks at its checksum at the end of the stream
    if len(values) < count:
        raise SampleError(
            expected="a value for every voxel",
            found="the end of the file before the last",
            remedy="get the file again",
        )
    return np.frombuffer(values, dtype).reshape(shape, order="F")


def write_voxels(
    file: Any, volume: Volume, dtype: np.dtype[Any], slope: float = 1.0, intercept: float = 0.0
) -> None:
    """Writes the values of a volume as they are stored: (data - intercept) / slope.

    Args:
        file: a stream to write to.
        volume: its values are rounded, and become the nearest in the range of the type; NaN
            stands in its holes where the type is one of floats.
        dtype: of the stored values.
        slope, intercept: data = slope * stored + intercept.
    """
    for number, plane in enumerate(volume.data[0].T):
        holes = None if volume.holes is None else volume.holes.T[number]
        values = with_holes(plane, holes, dtype)
        file.write(as_stored(values, dtype, slope, intercept).tobytes())


def plain_dtype(volume: Volume) -> np.dtype[Any]:
    """Chooses a type for a format that has no slope and intercept.

    Returns:
        The type the values came in, where slope and intercept do nothing; a larger integer type
        where they lead from whole numbers to whole numbers; float32 otherwise.
    """
    if (volume.slope, volume.intercept) == (1, 0):
        return volume.dtype
    if volume.dtype.kind in "iu" and volume.slope % 1 == volume.intercept % 1 == 0:
        limits = np.iinfo(volume.dtype)
        ends = [volume.slope * float(end) + volume.intercept for end in (limits.min, limits.max)]
        for dtype in (np.dtype(np.int16), np.dtype(np.int32)):
            if np.iinfo(dtype).min <= min(ends) and max(ends) <= np.iinfo(dtype).max:
                return dtype
    return np.dtype(np.float32)


def in_units(
    stored: Shaped[np.ndarray, "..."], slope: float, intercept: float
) -> Shaped[np.ndarray, "..."]:
    """Returns slope * stored + intercept.

    Example:
        >>> in_units(np.array([0, 1000], np.int16), 1.0, -1024.0).tolist()
        [-1024.0, -24.0]
    """
    if (slope, intercept) == (1, 0):
        return stored
    return stored.astype(np.float64) * slope + intercept


def as_stored(
    values: Shaped[np.ndarray, "..."], dtype: np.dtype[Any], slope: float, intercept: float
) -> Shaped[np.ndarray, "..."]:
    """Returns (values - intercept) / slope in a type: rounded, and the nearest in its range.

    Example:
        >>> as_stored(np.array([-24.4, 1e9]), np.dtype(np.int16), 1.0, -1024.0).tolist()
        [1000, 32767]
    """
    if (slope, intercept) != (1, 0):
        values = (values.astype(np.float64) - intercept) / slope
    return convert(values, dtype)


def check_bytes(file: Any, start: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Refuses a file that cannot hold what its header claims, before memory is taken for it.

    Args:
        file: open. Of a compressed file, the most that it can hold is known.
        start: the byte where the values begin.
        shape, dtype: of the values.

    Raises:
        SampleError: the file is too short.
    """
    needed = start + prod(shape) * dtype.itemsize
    packed = isinstance(file, gzip.GzipFile)
    size = os.fstat(file.fileno()).st_size
    if needed > size * (_MOST_PACKED if packed else 1):
        raise SampleError(
            expected=f"{needed} bytes for a volume of shape {shape}",
            found=f"{size}, compressed" if packed else f"{size}",
            remedy="get the file again",
        )


def decompressing() -> AbstractContextManager[None]:
    """Turns what damaged gzip files raise into one SampleError."""
    errors = EOFError, zlib.error, OSError
    return decoding("a file whole to its end", "gzip", errors=errors)


@contextmanager
def compressed(file: Any) -> Iterator[Any]:
    """Gives a stream that writes gzip to the file.

    It stores no name and no time, so that the same volume gives the same file. Its level is 1, as
    nibabel's: volumes are noise, which more work makes hardly smaller.
    """
    with gzip.GzipFile("", "wb", compresslevel=1, fileobj=file, mtime=0) as packed:
        yield packed
