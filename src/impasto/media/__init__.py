"""What can be stylized and its files: `load` and `save` choose the format by the suffix."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np

from impasto.errors import OutputError, SampleError
from impasto.media import arrays, formats, picture
from impasto.media.arrays import ArraySample
from impasto.media.blocks import New, in_memory
from impasto.media.files import StrPath, check_writable
from impasto.media.picture import Picture
from impasto.media.sample import Sample

__all__ = [
    "ArraySample",
    "New",
    "Picture",
    "Sample",
    "as_sample",
    "check_target",
    "grid",
    "is_picture",
    "load",
    "save",
]

SUFFIXES = (*formats.SUFFIXES, *arrays.SUFFIXES)


def load(path: StrPath, size: tuple[int, ...] = (0,), *, new: New = in_memory) -> Sample:
    """Reads a file: a picture, or an array (.npy, .zarr; `arrays` says what its axes are).

    size: one number is the long side, 0 the file's own; one number an axis is the exact grid.
    Only pictures are brought to another size than their own.
    new: makes the float32 arrays, of the shape (channel, *space) given, that the values are put
    in: in memory, or in a file for a sample that is larger. Beside them reading takes little.
    Raises SampleError when the suffix is not one we read, or the file cannot be read, ConfigError
    when the size cannot be had, MissingExtraError when the format's library is not installed,
    MemoryLimitError when the values do not fit in memory.
    """
    if _is_array(path):
        return arrays.open_array(path, size, new)
    return picture.open_picture(path, size, new)


def grid(path: StrPath, size: tuple[int, ...] = (0,)) -> tuple[int, tuple[int, ...]]:
    """The channels and the space of what `load` would give, without decoding: (3, (768, 1024)).

    An alpha, where a picture has one, takes another array of shape (1, *space).
    Raises as `load` does, but for damage and values that only decoding finds.
    """
    if _is_array(path):
        return arrays.array_grid(path, size)
    return picture.picture_grid(path, size)


def is_picture(thing: Any) -> bool:
    """Whether it is brought to a size in pixels; anything else keeps its own grid."""
    if isinstance(thing, str | os.PathLike):
        return Path(thing).suffix.lower() not in arrays.SUFFIXES
    return isinstance(thing, Picture) or not isinstance(thing, Sample)


def as_sample(thing: Any, size: tuple[int, ...] = (0,), *, new: New = in_memory) -> Sample:
    """The sample in a path, a NumPy array, a tensor or a PIL image; a Sample itself.

    size, new: as for `load`; a Sample that is no picture is given back as it is, and so is a
    picture that has the size already.
    Raises SampleError when the thing is nothing of these, or cannot be used.
    """
    match thing:
        case str() | os.PathLike():
            return load(thing, size, new=new)
        case Picture():
            return picture.fit_picture(thing, size, new)
        case Sample():
            return thing
        case np.ndarray():
            return picture.from_array(thing, size, new)
    if hasattr(thing, "detach"):
        return picture.from_tensor(thing, size, new)
    if hasattr(thing, "getexif"):
        return picture.from_pil(thing, size, new)
    raise SampleError(
        expected="a path, a Sample, a NumPy array, a tensor or a PIL image",
        found=type(thing).__name__,
        remedy="convert it to one of those",
    )


def save(sample: Sample, path: StrPath, recipe: str | None = None) -> None:
    """Writes a sample, and how it was made, in the format of the suffix.

    In a picture file, floats from an array are colors in [0, 1], and integers from 0 to the
    largest of their type. A .npy file has no place for a recipe.
    Raises OutputError when the format is unknown or cannot hold the sample, or the file cannot be
    written; MissingExtraError when the format's library is not installed.
    """
    _check_suffix(path)
    if Path(path).suffix.lower() in arrays.SUFFIXES:
        arrays.save_array(sample, path, recipe)
        return
    if not isinstance(sample, Picture):
        _check_colors(path, sample.space, len(sample.data))
        data = sample.data
        if isinstance(sample, ArraySample) and sample.dtype.kind in "iu":
            data = data / np.float32(np.iinfo(sample.dtype).max)
        sample = Picture(data=data)
    picture.save_picture(sample, path, recipe)


def check_target(path: StrPath, space: tuple[int, ...] = (), channels: int | None = None) -> None:
    """Raises where `save` would for the path alone, before any work is done.

    space, channels: the positions along each axis and the channels of what will be saved, where
    they are known, as from `grid`.
    """
    _check_suffix(path)
    if Path(path).suffix.lower() in arrays.SUFFIXES:
        arrays.check_array_target(path)
        return
    if space:
        _check_colors(path, space, 3 if channels is None else channels)
    picture.check_suffix(path, space)
    check_writable(path)


def _is_array(path: StrPath) -> bool:
    """Whether a file to read is an array, not a picture; SampleError when it is neither."""
    if Path(path).suffix.lower() in formats.SUFFIXES:
        return False
    if arrays.is_array(path):
        return True
    raise SampleError(
        subject=os.fspath(path),
        expected=f"a name that ends in {', '.join(SUFFIXES)}",
        found="a folder" if os.path.isdir(path) else Path(path).suffix or "no suffix",
        remedy="name a file in one of those formats",
    )


def _check_suffix(path: StrPath) -> None:
    suffix = Path(path).suffix.lower()
    if suffix not in SUFFIXES:
        raise OutputError(
            subject=os.fspath(path),
            expected=f"a name that ends in {', '.join(SUFFIXES)}",
            found=suffix or "no suffix",
            remedy="choose one of those",
        )


def _check_colors(path: StrPath, space: tuple[int, ...], channels: int) -> None:
    if len(space) != 2 or channels != 3:
        raise OutputError(
            subject=os.fspath(path),
            expected="a sample of shape (3, height, width) for a picture file",
            found=f"{(channels, *space)}",
            remedy=f"save it as {' or '.join(arrays.SUFFIXES)}",
        )
