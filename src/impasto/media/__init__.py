"""What can be stylized, and its files: `load` and `save` choose the format by the suffix.

Pictures, .npy files and Zarr folders stream: reading one takes little memory beside its values.
Signals and volumes of other formats are decoded whole by the field's libraries.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from impasto.errors import SampleError, about
from impasto.media.arrays import ArraySample
from impasto.media.blocks import New, in_memory, within_memory
from impasto.media.files import StrPath, suffix_of
from impasto.media.pictures import formats, picture, sources
from impasto.media.pictures.picture import Picture
from impasto.media.sample import Sample, check_own_space
from impasto.media.signals.signal import Annotation, Signal
from impasto.media.streams import spool
from impasto.media.suffixes import (
    ARRAYS,
    OME,
    PICTURES,
    Format,
    check_shape,
    format_of,
    known_format,
    target_format,
)
from impasto.media.suffixes import SUFFIXES as SUFFIXES
from impasto.media.volumes import ome
from impasto.media.volumes.volume import Volume

__all__ = [
    "Annotation",
    "ArraySample",
    "New",
    "Picture",
    "Sample",
    "Signal",
    "Volume",
    "as_sample",
    "check_target",
    "grid",
    "holds_volume",
    "is_picture",
    "is_volume_file",
    "load",
    "save",
]


def load(
    path: StrPath,
    size: tuple[int, ...] = (0,),
    *,
    new: New = in_memory,
    leads: Sequence[str] = (),
    like: object = None,
) -> Sample:
    """Reads a file: a picture, a signal, a volume, or an array (`arrays` says what its axes are).

    Args:
        path: of the file. A WFDB record is named by its .hea, its .dat or without either; a DICOM
            series by its folder or any of its files, whatever their names.
        size: one number is the long side, 0 the file's own; one number an axis is the exact grid.
            Only pictures are brought to another size than their own.
        new: makes the float32 arrays, of the given shape (channel, *space), that the values are
            put in: in memory, or in a file for a sample that is larger.
        leads: names of the channels of a signal, or their numbers from 1 up; all if none is given.
            Only these need to have one rate, and values.
        like: a path or a sample that it goes with, for the error where the name tells no format.

    Raises:
        SampleError: the suffix is not one that is read here, or the file cannot be read.
        ConfigError: the size cannot be had.
        MissingExtraError: the format's library is not installed.
        MemoryLimitError: the values do not fit into memory.
    """
    form = format_of(path, like)
    with about(os.fspath(path)), within_memory():
        if form is PICTURES:
            return form.load(path, size, new)
        if size != (0,):
            check_own_space(form.grid(path)[1], size, form.what)
        if form.streams:
            return form.load(path, new)
        sample = _with_leads(form, path, leads)
        if new is in_memory:
            return sample
        data = new(sample.data.shape)
        data[...] = sample.data
        return replace(sample, data=data)


def _with_leads(form: Format, path: StrPath, leads: Sequence[str]) -> Sample:
    if form.named:
        return form.load(path, names=leads or None)
    sample = form.load(path)
    return sample.select(leads) if leads and isinstance(sample, Signal) else sample


def grid(
    path: StrPath,
    size: tuple[int, ...] = (0,),
    *,
    leads: Sequence[str] = (),
    like: object = None,
) -> tuple[int, tuple[int, ...]]:
    """Returns the channels and the space of what `load` would give, without decoding.

    An alpha, where a picture has one, takes another array of shape (1, *space).

    Args:
        path, size, leads, like: as for `load`.

    Returns:
        Such as (3, (768, 1024)) for a picture of 768 rows.

    Raises:
        The errors of `load`, but for damage and values that only decoding shows.
    """
    form = format_of(path, like)
    with about(os.fspath(path)):
        if form is PICTURES:
            return picture.picture_grid(path, size)
        channels, space = form.grid(path, names=leads or None) if form.named else form.grid(path)
        check_own_space(space, size, form.what)
        return channels, space


def is_picture(thing: Any) -> bool:
    """Whether a path, an array or a sample is brought to a size in pixels.

    Anything else keeps its own grid.

    Example:
        >>> is_picture("a.jpg"), is_picture("a.nii.gz"), is_picture(np.ones((4, 5)))
        (True, False, True)
    """
    if isinstance(thing, str | os.PathLike):
        return known_format(thing) in (None, PICTURES)
    return isinstance(thing, Picture) or not isinstance(thing, Sample)


def is_plain_folder(path: Path) -> bool:
    """Whether a path is a folder, but not that of one sample, as a DICOM series has it."""
    return os.path.isdir(path) and known_format(path) is None


def pictures_in(folder: Path) -> list[Path]:
    """Returns the pictures in a folder, by name.

    Raises:
        SampleError: there are none.
    """
    files = (path for path in folder.iterdir() if path.is_file() and path.name[0] != ".")
    pictures = sorted(path for path in files if suffix_of(path) in formats.SUFFIXES)
    if not pictures:
        raise SampleError(
            subject=os.fspath(folder),
            expected=f"pictures in it ({', '.join(formats.SUFFIXES)})",
            found="a folder without any",
            remedy="put some there, or name a file",
        )
    return pictures


def holds_volume(path: StrPath) -> bool:
    """Whether a path to read is of a volume: a file, or the folder of a DICOM series or of an
    OME-Zarr image.

    Example:
        >>> holds_volume("head.nii.gz"), holds_volume("heart.csv")
        (True, False)
    """
    form = known_format(path)
    return form is not None and form.dims == 3


def is_volume_file(path: StrPath) -> bool:
    """Whether a path to write is of a volume.

    Example:
        >>> is_volume_file("out.nrrd"), is_volume_file("out.png")
        (True, False)

    Raises:
        OutputError: the suffix is of no format that is written here.
    """
    return target_format(path).dims == 3


def as_sample(
    thing: Any,
    size: tuple[int, ...] = (0,),
    *,
    new: New = in_memory,
    leads: Sequence[str] = (),
    like: object = None,
) -> Sample:
    """Makes a sample of a path, bytes, a NumPy array, a tensor or a PIL image.

    Example:
        >>> as_sample(np.zeros((4, 5, 3), np.uint8)).data.shape
        (3, 4, 5)

    Args:
        thing: one of those, or a Sample. A Sample that is no picture is returned as it is, but for
            the leads of a signal, and so is a picture that has the size already.
        size, new, leads, like: as for `load`.

    Raises:
        SampleError: the thing is none of these, or cannot be used.
    """
    thing = decoded(thing)
    match thing:
        case str() | os.PathLike():
            return load(thing, size, new=new, leads=leads, like=like)
        case Picture():
            return picture.fit_picture(thing, size, new)
        case Signal() if leads:
            return thing.select(leads)
        case Sample():
            return thing
        case np.ndarray():
            return picture.from_array(thing, size, new)
    if hasattr(thing, "detach"):
        return sources.from_tensor(thing, size, new)
    if hasattr(thing, "getexif"):
        return sources.from_pil(thing, size, new)
    raise SampleError(
        expected="a path, bytes, a Sample, a NumPy array, a tensor or a PIL image",
        found=type(thing).__name__,
        remedy="convert it to one of those",
    )


def decoded(thing: Any) -> Any:
    """Reads the sample in the bytes of a file, or in an open file; returns anything else as it is.

    Raises:
        SampleError: the first bytes are of no format that is known.
    """
    if hasattr(thing, "read"):
        thing = thing.read()
    if not isinstance(thing, bytes | bytearray | memoryview):
        return thing
    with spool(thing) as path:
        return load(path)


def save(sample: Sample, path: StrPath, recipe: str | None = None) -> None:
    """Writes a sample, and the recipe of how it was made, in the format of the suffix.

    Args:
        sample: in a picture file, the floats of an array are colors in [0, 1], and its integers
            go from 0 to the largest of their type. In a signal file, the positions of an array are
            seconds, and in a volume file mm. In an array file, NaN stands in the gaps of a signal.
        path: of the file. A name that ends in .dcm is that of a folder, in which a DICOM series
            is written.
        recipe: a text; .npy has no place for it.

    Raises:
        OutputError: the format is unknown or cannot hold the sample, or the file cannot be
            written.
        MissingExtraError: the format's library is not installed.
    """
    form = target_format(path, sample)
    if form is ARRAYS and suffix_of(path) == ".zarr" and _came_as_ome(sample):
        form = OME
    check_shape(form, path, sample.space, len(sample.data))
    if form is PICTURES:
        sample = _as_picture(sample)
    elif form.dims == 3:
        sample = _as_volume(sample)
    elif form is not ARRAYS:
        sample = _as_signal(sample)
    with about(os.fspath(path)):
        form.save(sample, path, recipe)


def check_target(
    path: StrPath,
    space: tuple[int, ...] = (),
    channels: int | None = None,
    *,
    like: object = None,
) -> None:
    """Raises where `save` would for the path alone, before any work is done.

    Args:
        path: of the file to be written.
        space, channels: the positions along each axis and the channels of what will be saved,
            where they are known, as from `grid`.
        like: a path or a sample of the kind that will be saved, for the error.

    Raises:
        OutputError, MissingExtraError: as `save` does.
    """
    form = target_format(path, like)
    if space:
        check_shape(form, path, space, channels or form.channels)
    with about(os.fspath(path)):
        if form is PICTURES:
            picture.check_suffix(path, space)
        form.requires()
        form.check(path)


def _as_picture(sample: Sample) -> Picture:
    if isinstance(sample, Picture):
        return sample
    data = sample.data
    if isinstance(sample, ArraySample) and sample.dtype.kind in "iu":
        data = data / np.float32(np.iinfo(sample.dtype).max)
    return Picture(data=data)


def _as_signal(sample: Sample) -> Signal:
    if isinstance(sample, Signal):
        return sample
    names = tuple(str(number) for number in range(1, len(sample.data) + 1))
    return Signal(data=sample.data, names=names, units=("",) * len(names))


def _as_volume(sample: Sample) -> Volume:
    if isinstance(sample, Volume):
        return sample
    dtype = sample.dtype if isinstance(sample, ArraySample) else np.dtype(np.float32)
    return Volume(data=sample.data, dtype=dtype)


def _came_as_ome(sample: Sample) -> bool:
    return isinstance(sample, Volume) and isinstance(sample.source, ome.OmeSource)
