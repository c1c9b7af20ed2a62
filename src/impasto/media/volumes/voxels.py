"""Voxels in and out of streams of bytes, the first axis fastest, a block at a time."""

from __future__ import annotations

import gzip
import os
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from math import prod
from typing import Any

import numpy as np
from jaxtyping import Float32

from impasto.errors import SampleError
from impasto.media.arrays import converted
from impasto.media.blocks import blocks
from impasto.media.coding import decoding
from impasto.media.volumes.volume import Volume

Voxels = Float32[np.ndarray, "x y z"]

# Deflate makes 258 bytes of 2 bits at most.
_MOST_PACKED = 1032


def read_voxels(
    file: Any, dtype: np.dtype[Any], voxels: Voxels, slope: float = 1.0, intercept: float = 0.0
) -> None:
    """Puts slope * stored + intercept in the array; file: read to where the values begin.

    Raises SampleError when the stream ends too early or is damaged.
    """
    target = voxels.T
    with decompressing():
        for block in blocks(target.shape):
            part = target[block]
            stored = np.frombuffer(_exactly(file, part.size * dtype.itemsize), dtype)
            with np.errstate(over="ignore", invalid="ignore"):  # refused later
                part[...] = in_units(stored, slope, intercept).reshape(part.shape)
        file.read(1)  # whereupon gzip looks at its checksum


def write_voxels(
    file: Any, volume: Volume, dtype: np.dtype[Any], slope: float = 1.0, intercept: float = 0.0
) -> None:
    """Writes (data - intercept) / slope in that type: rounded, and the nearest in its range."""
    source = volume.data[0].T
    for block in blocks(source.shape):
        file.write(as_stored(source[block], dtype, slope, intercept).tobytes())


def plain_dtype(volume: Volume) -> np.dtype[Any]:
    """The type to store values in where the format has no slope and intercept.

    The one they came in, where those do nothing; integers stay such if the scaling has them so.
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


def in_units(stored: np.ndarray, slope: float, intercept: float) -> np.ndarray:
    """slope * stored + intercept, without a detour where it is the same."""
    if (slope, intercept) == (1, 0):
        return stored
    return stored.astype(np.float64) * slope + intercept


def as_stored(
    values: np.ndarray, dtype: np.dtype[Any], slope: float, intercept: float
) -> np.ndarray:
    """(values - intercept) / slope in that type: rounded, and the nearest in its range."""
    if (slope, intercept) != (1, 0):
        values = (values.astype(np.float64) - intercept) / slope
    return converted(values, dtype)


def check_bytes(file: Any, start: int, shape: tuple[int, ...], dtype: np.dtype[Any]) -> None:
    """Refuses a file that cannot hold what its header says, before memory is taken for it.

    file: open, maybe compressed, in which case it is known only roughly.
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
    """What damaged gzip files raise, as one error."""
    errors = EOFError, zlib.error, gzip.BadGzipFile
    return decoding("a file whole to its end", "gzip", errors=errors)


@contextmanager
def compressed(file: Any) -> Iterator[Any]:
    """What writes gzip to the file, with no name and no time, so that the same gives the same.

    Level 1, as nibabel: volumes are noise, which more work makes hardly smaller.
    """
    with gzip.GzipFile("", "wb", compresslevel=1, fileobj=file, mtime=0) as packed:
        yield packed


def _exactly(file: Any, count: int) -> bytearray:
    """So many bytes; a stream may give them in pieces."""
    whole = bytearray()
    while len(whole) < count and (piece := file.read(count - len(whole))):
        whole += piece
    if len(whole) < count:
        raise SampleError(
            expected="a value for every voxel",
            found="the end of the file before the last",
            remedy="get the file again",
        )
    return whole
