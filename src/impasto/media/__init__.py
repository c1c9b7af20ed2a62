"""What can be stylized and its files: `load` and `save` choose the format by the suffix."""

from __future__ import annotations

import os
from typing import Any

import numpy as np

from impasto.errors import OutputError, SampleError
from impasto.media import picture
from impasto.media.blocks import New, in_memory
from impasto.media.files import StrPath, check_writable
from impasto.media.formats import SUFFIXES
from impasto.media.picture import Picture
from impasto.media.sample import Sample

__all__ = ["Picture", "Sample", "as_sample", "check_target", "load", "save"]


def load(path: StrPath, size: tuple[int, ...] = (0,), *, new: New = in_memory) -> Sample:
    """Reads a file.

    size: one number is the long side, 0 the file's own; one number an axis is the exact grid.
    Raises SampleError when the suffix is not one we read, or the file cannot be read.
    """
    suffix = os.path.splitext(path)[1].lower()
    if suffix not in SUFFIXES:
        raise SampleError(
            subject=os.fspath(path),
            expected=f"a name that ends in {', '.join(SUFFIXES)}",
            found="a folder" if os.path.isdir(path) else suffix or "no suffix",
            remedy="name a file in one of those formats",
        )
    return picture.open_picture(path, size, new)


def as_sample(thing: Any, size: tuple[int, ...] = (0,), *, new: New = in_memory) -> Sample:
    """The sample in a path, a NumPy array, a tensor or a PIL image; a Sample itself.

    size: as for `load`; a Sample that is no picture is given back as it is.
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

    Raises OutputError when the format is unknown or cannot hold the sample, or the file cannot be
    written.
    """
    if not isinstance(sample, Picture):
        if sample.dims != 2 or len(sample.data) != 3:
            raise OutputError(
                subject=os.fspath(path),
                expected="a sample of shape (3, height, width) for a picture file",
                found=f"{sample.data.shape}",
                remedy="choose the suffix of another kind of file",
            )
        sample = Picture(data=sample.data)
    picture.save_picture(sample, path, recipe)


def check_target(path: StrPath, space: tuple[int, ...] = ()) -> None:
    """Raises OutputError where `save` would for the path alone, before any work is done.

    space: the positions along each axis of what will be saved, where that is known.
    """
    picture.check_suffix(path, space)
    check_writable(path)
