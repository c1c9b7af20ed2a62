"""Arrays of numbers as samples: .npy files and Zarr folders, read and written block by block.

The axes of a stored array are those of `Sample.data`, channels first: (channel, time),
(channel, row, column) or (channel, x, y, z). Only an array of one axis has no channels: it is one
channel over time. So three axes are always channels, rows and columns, and a volume has four, the
first of them 1.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from functools import partial
from math import prod
from pathlib import Path
from tokenize import TokenError
from typing import Any, BinaryIO, NamedTuple

import numpy as np
from jaxtyping import Shaped

from impasto.errors import SampleError
from impasto.media.blocks import New, blocks, cells, in_memory
from impasto.media.coding import decoding
from impasto.media.files import StrPath, atomic_write, check_writable, open_regular, unreadable
from impasto.media.folders import atomic_folder, check_folder_writable
from impasto.media.sample import Sample
from impasto.media.signals.signal import Signal
from impasto.media.zarr_folders import MARK, holds_result
from impasto.system.libraries import library

zarr_library = partial(library, "zarr", "for .zarr folders", "zarr")

SUFFIXES = (".npy", ".zarr")

Values = Shaped[np.ndarray, "..."]

_mapped: Any = np.memmap  # whose stubs know no BinaryIO
_FLOAT32 = np.dtype(np.float32)
_HEADERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
}
# Sides of the chunks that a Zarr array is written in, for one to three axes of space: a million or
# two values each, and whole rows of most pictures.
CHUNK_SIDES = (2**20, 1024, 128)


@dataclass(frozen=True, eq=False)
class ArraySample(Sample):
    """A sample from an array file, with what the file needs beside the values.

    Attributes:
        dtype: the type it came in and is saved in. Integers are rounded, and values outside the
            type's range become the nearest in it. bool, and floats of more than 64 bits, become
            float32.
        flat: whether the stored array has the shape (time,), with no axis for its one channel.
        attributes: of a Zarr array.
        axes: the names of its axes, None where it has none.
        zarr_format: the version of its format, 2 or 3.
        chunks, shards: the sides of a Zarr array's chunks, and of the shards that they are packed
            in; () where there are none.
    """

    dtype: np.dtype[Any] = _FLOAT32
    flat: bool = False
    attributes: dict[str, Any] = field(default_factory=dict)
    axes: tuple[str | None, ...] | None = None
    zarr_format: int = 3
    chunks: tuple[int, ...] = ()
    shards: tuple[int, ...] = ()


class _Stored(NamedTuple):
    """An array in its file.

    Attributes:
        values: an array of NumPy or Zarr that reads from the file where it is sliced.
        shape, dtype: of the values.
        unit: the sides of its chunks, () for none.
        metadata: the fields of an ArraySample that only a Zarr array has.
    """

    values: Any
    shape: tuple[int, ...]
    dtype: np.dtype[Any]
    unit: tuple[int, ...]
    metadata: dict[str, Any]


def is_array(path: StrPath) -> bool:
    """Whether the name is of an array: .npy, .zarr, or something inside a .zarr folder.

    Example:
        >>> is_array("a.npy"), is_array("image.zarr/0"), is_array("a.png")
        (True, True, False)
    """
    name = Path(path)
    inside = any(parent.suffix.lower() == ".zarr" for parent in name.parents)
    return inside or name.suffix.lower() in SUFFIXES


def open_array(path: StrPath, new: New = in_memory) -> ArraySample:
    """Reads a .npy file or a Zarr array, versions 2 and 3, of integers or floats.

    Values become float32 and are otherwise kept: `value_range` is None. Nothing is unpickled.

    Args:
        path: of the file or the folder. The head of this module says what the axes are.
        new: makes the array of shape (channel, *space) that the values are put in. Beside it,
            reading takes a block of memory: a million values, or a chunk of the Zarr array where
            that is more.

    Raises:
        SampleError: the file cannot be read to its end, or holds no such array.
        MissingExtraError: zarr is not installed.
    """
    with _stored(path) as stored:
        data = new(_checked_shape(stored))
        values, target = stored.values, data.reshape(stored.shape)
        if not stored.unit and values.flags.f_contiguous:
            values, target = values.T, target.T
        with np.errstate(over="ignore"), decoding_array():  # Sample refuses the infinities
            for block in blocks(values.shape, stored.unit):
                target[block] = values[block]
        kept = stored.dtype.kind != "b" and stored.dtype.itemsize <= 8
        return ArraySample(
            data=data,
            dtype=stored.dtype.newbyteorder("=") if kept else _FLOAT32,
            flat=len(stored.shape) == 1,
            **stored.metadata,
        )


def array_grid(path: StrPath) -> tuple[int, tuple[int, ...]]:
    """Returns the channels and the space of what `open_array` would give, from the header."""
    with _stored(path) as stored:
        channels, *space = _checked_shape(stored)
        return channels, tuple(space)


def save_array(sample: Sample, path: StrPath, recipe: str | None = None) -> None:
    """Writes a sample as .npy or .zarr, whole or not at all, block by block.

    Args:
        sample: an ArraySample keeps its type; any other is written in float32. A picture's values
            are its colors, in [0, 1], without alpha. NaN stands in the gaps of a signal.
        path: of the file or the folder.
        recipe: kept in a Zarr array's attribute "impasto"; .npy has no place for it.

    Raises:
        OutputError: the file cannot be written, or something else is in the folder's place.
        MissingExtraError: zarr is not installed.
    """
    own = sample if isinstance(sample, ArraySample) else ArraySample(sample.data)
    values = own.data[0] if own.flat and len(own.data) == 1 else own.data
    gaps = sample.gaps if isinstance(sample, Signal) else None
    if Path(path).suffix.lower() == ".npy":
        _save_npy(values, gaps, own.dtype, path)
    else:
        _save_zarr(values, gaps, own, path, recipe)


def check_array_target(path: StrPath) -> None:
    """Raises where `save_array` would for the path alone, before any work is done."""
    if Path(path).suffix.lower() == ".npy":
        check_writable(path)
    else:
        zarr_library()
        check_folder_writable(path, holds_result)


def npy_header(file: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    """Reads the header of an array in the .npy format.

    Example:
        >>> import io
        >>> file = io.BytesIO()
        >>> np.save(file, np.ones((2, 3), np.int16))
        >>> _ = file.seek(0)
        >>> npy_header(file)
        ((2, 3), False, dtype('int16'))

    Args:
        file: read up to the first value.

    Returns:
        The shape, whether the values are in Fortran order, and their type.

    Raises:
        SampleError: the file does not begin so.
    """
    try:
        shape, fortran, dtype = _HEADERS[np.lib.format.read_magic(file)](file)
    except (ValueError, KeyError, TypeError, SyntaxError, TokenError) as error:
        raise SampleError(
            expected="a .npy file of version 1 or 2",
            found="another version, or a damaged header",
            remedy="write it with numpy.save",
        ) from error
    return shape, fortran, dtype


def _checked_shape(stored: _Stored) -> tuple[int, ...]:
    """Returns (channel, *space) of a stored array, after a check that it can be a sample."""
    if stored.dtype.kind not in "biuf":
        raise SampleError(
            expected="integers or real numbers",
            found=f"values of type {stored.dtype}",
            remedy="convert them first, for example with .astype(numpy.float32)",
        )
    if not 1 <= len(stored.shape) <= 4 or min(stored.shape) < 1:
        raise SampleError(
            expected="an array of shape (time,), (channel, time), (channel, row, column) or "
            "(channel, x, y, z), none of them 0",
            found=f"shape {stored.shape}",
            remedy="put the channels first, and save each sample by itself",
        )
    return stored.shape if len(stored.shape) > 1 else (1, *stored.shape)


@contextmanager
def _stored(path: StrPath) -> Iterator[_Stored]:
    if Path(path).suffix.lower() == ".npy":
        with open_regular(path, "an array file") as file:
            yield _stored_npy(file)
    else:
        yield _stored_zarr(path)


def _stored_npy(file: BinaryIO) -> _Stored:
    size = os.fstat(file.fileno()).st_size
    if not size:
        raise SampleError(expected="an array", found="an empty file", remedy="get it again")
    shape, fortran, dtype = npy_header(file)
    start = file.tell()
    stored = _Stored(None, shape, dtype, (), {})
    _checked_shape(stored)
    if (needed := start + prod(shape) * dtype.itemsize) > size:
        raise SampleError(
            expected=f"{needed} bytes for an array of shape {shape}",
            found=f"{size}",
            remedy="get the file again",
        )
    order = "F" if fortran else "C"
    values = _mapped(file, dtype, mode="r", offset=start, shape=shape, order=order)
    return stored._replace(values=values)


def _stored_zarr(path: StrPath) -> _Stored:
    try:
        os.listdir(path)
    except NotADirectoryError as error:
        raise SampleError(
            expected="a Zarr folder", found="a file", remedy="unpack it or name another"
        ) from error
    except OSError as error:
        raise unreadable("a Zarr folder", error) from error
    zarr = zarr_library()
    with decoding_array():
        try:
            node = zarr.open(zarr.storage.LocalStore(path, read_only=True), mode="r")
        except FileNotFoundError as error:
            raise SampleError(
                expected="a Zarr array",
                found="a folder without one's metadata",
                remedy="name a folder that holds a zarr.json or .zarray",
            ) from error
        if not isinstance(node, zarr.Array):
            first = min(node.array_keys(), default=None)
            raise SampleError(
                expected="one Zarr array",
                found="a group of arrays" if first else "a group without arrays",
                remedy=f"name an array in it, such as {Path(path, first or '0')}",
            )
        metadata = node.metadata
        if not all(node.chunks):
            raise ValueError("chunks without values")
        return _Stored(
            values=node,
            shape=tuple(node.shape),
            dtype=np.dtype(node.dtype),
            unit=tuple(node.shards or node.chunks),
            metadata={
                "chunks": tuple(node.chunks),
                "shards": tuple(node.shards or ()),
                "attributes": node.attrs.asdict(),
                "axes": getattr(metadata, "dimension_names", None),
                "zarr_format": metadata.zarr_format,
            },
        )


def decoding_array() -> AbstractContextManager[None]:
    """Turns what damaged metadata and chunks raise into one SampleError."""
    return decoding("an array whole to its end", "its decoder")


def _save_npy(values: Values, gaps: Values | None, dtype: np.dtype[Any], path: StrPath) -> None:
    header = {
        "descr": np.lib.format.dtype_to_descr(dtype),
        "fortran_order": False,
        "shape": values.shape,
    }
    with atomic_write(path) as file:
        np.lib.format.write_array_header_1_0(file, header)
        for block in blocks(values.shape):
            file.write(convert(_with_gaps(values, gaps, block), dtype).tobytes())


def _save_zarr(
    values: Values, gaps: Values | None, own: ArraySample, path: StrPath, recipe: str | None
) -> None:
    zarr = zarr_library()
    chunks, shards = _chunks(own, values.shape)
    added = {MARK: recipe or ""}
    named = own.zarr_format == 3 and own.axes is not None and len(own.axes) == values.ndim
    with atomic_folder(path, holds_result) as folder:
        array = zarr.create_array(
            zarr.storage.LocalStore(folder),
            shape=values.shape,
            chunks=chunks,
            shards=shards or None,
            dtype=own.dtype,
            attributes={**own.attributes, **added},
            zarr_format=own.zarr_format,
            dimension_names=own.axes if named else None,
        )
        # Given several chunks at once, zarr would go on with the others after one has failed.
        for block in cells(values.shape, shards or chunks):
            array[block] = convert(_with_gaps(values, gaps, block), own.dtype)


def _chunks(own: ArraySample, shape: tuple[int, ...]) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Returns the sides of the chunks to write, and of the shards that they are packed in."""
    if len(own.shards) == len(shape):
        return own.chunks, own.shards
    sides = (1, *(CHUNK_SIDES[own.dims - 1],) * own.dims)[-len(shape) :]
    return tuple(min(pair) for pair in zip(sides, shape, strict=True)), ()


def _with_gaps(values: Values, gaps: Values | None, block: tuple[slice, ...]) -> Values:
    return values[block] if gaps is None else np.where(gaps[block], np.nan, values[block])


def convert(values: Values, dtype: np.dtype[Any]) -> Values:
    """Returns values in a type: rounded for integers, and the nearest in its range.

    Example:
        >>> convert(np.array([-5.0, 1.6, 300.0]), np.dtype(np.uint8)).tolist()
        [0, 2, 255]
    """
    if dtype.itemsize >= 4 and dtype.kind == "f":
        return values.astype(dtype)
    limits = np.iinfo(dtype) if dtype.kind in "iu" else np.finfo(dtype)
    wide = values.astype(np.float64)
    if dtype.kind in "iu":
        np.rint(wide, out=wide)
    high = float(limits.max)
    if high > limits.max:  # 64 bits: the nearest float64 is one past the range
        high = np.nextafter(high, 0)
    return np.clip(wide, float(limits.min), high, out=wide).astype(dtype)
