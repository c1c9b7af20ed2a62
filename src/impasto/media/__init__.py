"""What can be stylized and its files: `load` and `save` choose the format by the suffix."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from impasto.errors import OutputError, SampleError
from impasto.media import arrays
from impasto.media.arrays import ArraySample
from impasto.media.blocks import New, in_memory
from impasto.media.files import StrPath, check_writable, suffix_of
from impasto.media.pictures import formats, picture
from impasto.media.pictures.picture import Picture
from impasto.media.sample import Sample
from impasto.media.signals import archives, audio, edf, edf_writer, record_writer, records, tables
from impasto.media.signals.signal import Annotation, Signal
from impasto.media.streams import spooled
from impasto.media.volumes import dicom, dicom_headers, dicom_writer, nifti, nrrd, nrrd_writer, ome
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


class _Kind(NamedTuple):
    """Formats of one kind of sample, and what reads, saves and checks them.

    dims, channels: what such a file can hold, 0 for any. shape: the same in words.
    """

    suffixes: tuple[str, ...]
    load: Callable[[StrPath, tuple[int, ...], New], Sample]
    grid: Callable[[StrPath, tuple[int, ...]], tuple[int, tuple[int, ...]]]
    save: Callable[[Any, StrPath, str | None], None]
    check: Callable[[StrPath], None]
    dims: int = 1
    channels: int = 0
    shape: str = "(channel, time) for a signal file"


_PICTURES = _Kind(
    formats.SUFFIXES,
    picture.open_picture,
    picture.picture_grid,
    picture.save_picture,
    check_writable,
    dims=2,
    channels=3,
    shape="(3, height, width) for a picture file",
)
_VOLUMES: dict[str, Any] = {
    "dims": 3,
    "channels": 1,
    "shape": "(1, x, y, z) for a volume file",
}
_DICOM = _Kind(
    dicom_headers.SUFFIXES,
    dicom.open_dicom,
    dicom.dicom_grid,
    dicom_writer.save_dicom,
    dicom_writer.check_dicom_target,
    **_VOLUMES,
)
_OME = _Kind(
    (),  # those of arrays; what is in the folder decides, or the sample
    ome.open_ome,
    ome.ome_grid,
    ome.save_ome,
    ome.check_ome_target,
    **_VOLUMES,
)
_ARRAYS = _Kind(
    arrays.SUFFIXES,
    arrays.open_array,
    arrays.array_grid,
    arrays.save_array,
    arrays.check_array_target,
    dims=0,
)
_RECORDS = _Kind(
    records.SUFFIXES,
    records.open_record,
    records.record_grid,
    record_writer.save_record,
    record_writer.check_record_target,
)
_KINDS = (
    _PICTURES,
    _ARRAYS,
    _RECORDS,
    _DICOM,
    _OME,
    _Kind(
        edf.SUFFIXES,
        edf.open_edf,
        edf.edf_grid,
        edf_writer.save_edf,
        edf_writer.check_edf_target,
    ),
    _Kind(
        tables.SUFFIXES,
        tables.open_table,
        tables.table_grid,
        tables.save_table,
        check_writable,
    ),
    _Kind(
        archives.SUFFIXES,
        archives.open_archive,
        archives.archive_grid,
        archives.save_archive,
        check_writable,
    ),
    _Kind(
        audio.SUFFIXES,
        audio.open_audio,
        audio.audio_grid,
        audio.save_audio,
        audio.check_audio_target,
    ),
    _Kind(
        nifti.SUFFIXES,
        nifti.open_nifti,
        nifti.nifti_grid,
        nifti.save_nifti,
        nifti.check_nifti_target,
        **_VOLUMES,
    ),
    _Kind(
        nrrd.SUFFIXES,
        nrrd.open_nrrd,
        nrrd.nrrd_grid,
        nrrd_writer.save_nrrd,
        nrrd_writer.check_nrrd_target,
        **_VOLUMES,
    ),
)
SUFFIXES = tuple(suffix for kind in _KINDS for suffix in kind.suffixes)


def load(path: StrPath, size: tuple[int, ...] = (0,), *, new: New = in_memory) -> Sample:
    """Reads a file: a picture, a signal, a volume, or an array (`arrays` says what its axes are).

    A WFDB record is named by its .hea, its .dat or without either; a DICOM series by its folder or
    any of its files, whatever their names.

    size: one number is the long side, 0 the file's own; one number an axis is the exact grid.
    Only pictures are brought to another size than their own.
    new: makes the float32 arrays, of the shape (channel, *space) given, that the values are put
    in: in memory, or in a file for a sample that is larger. Beside them reading takes little.
    Raises SampleError when the suffix is not one we read, or the file cannot be read, ConfigError
    when the size cannot be had, MissingExtraError when the format's library is not installed,
    MemoryLimitError when the values do not fit in memory.
    """
    return _kind_of(path).load(path, size, new)


def grid(path: StrPath, size: tuple[int, ...] = (0,)) -> tuple[int, tuple[int, ...]]:
    """The channels and the space of what `load` would give, without decoding: (3, (768, 1024)).

    An alpha, where a picture has one, takes another array of shape (1, *space).
    Raises as `load` does, but for damage and values that only decoding finds.
    """
    return _kind_of(path).grid(path, size)


def is_picture(thing: Any) -> bool:
    """Whether it is brought to a size in pixels; anything else keeps its own grid."""
    if isinstance(thing, str | os.PathLike):
        return _known_kind(thing) in (None, _PICTURES)
    return isinstance(thing, Picture) or not isinstance(thing, Sample)


def is_plain_folder(path: Path) -> bool:
    """Whether it is a folder, and not that of one sample, as those of a DICOM series are."""
    return os.path.isdir(path) and _known_kind(path) is None


def pictures_in(folder: Path) -> list[Path]:
    """The pictures in a folder, by name. Raises SampleError where there are none."""
    files = (path for path in folder.iterdir() if path.is_file() and path.name[0] != ".")
    found = sorted(path for path in files if suffix_of(path) in formats.SUFFIXES)
    if not found:
        raise SampleError(
            subject=os.fspath(folder),
            expected=f"pictures in it ({', '.join(formats.SUFFIXES)})",
            found="a folder without any",
            remedy="put some there, or name a file",
        )
    return found


def holds_volume(path: StrPath) -> bool:
    """Whether what is read there is one value a voxel: a file, or the folder of a DICOM series or
    of an OME-Zarr image."""
    kind = _known_kind(path)
    return kind is not None and kind.dims == 3


def is_volume_file(path: StrPath) -> bool:
    """Whether what is written there is one value a voxel."""
    return _target_kind(path).dims == 3


def as_sample(thing: Any, size: tuple[int, ...] = (0,), *, new: New = in_memory) -> Sample:
    """The sample in a path, bytes, a NumPy array, a tensor or a PIL image; a Sample itself.

    size, new: as for `load`; a Sample that is no picture is given back as it is, and so is a
    picture that has the size already.
    Raises SampleError when the thing is nothing of these, or cannot be used.
    """
    thing = decoded(thing)
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
        expected="a path, bytes, a Sample, a NumPy array, a tensor or a PIL image",
        found=type(thing).__name__,
        remedy="convert it to one of those",
    )


def decoded(thing: Any) -> Any:
    """The sample in the bytes of a file, or in a file that is open; anything else as it is.

    Raises SampleError for bytes of no format that is known by its first bytes.
    """
    if hasattr(thing, "read"):
        thing = thing.read()
    if not isinstance(thing, bytes | bytearray | memoryview):
        return thing
    with spooled(thing) as path:
        return load(path)


def save(sample: Sample, path: StrPath, recipe: str | None = None) -> None:
    """Writes a sample, and how it was made, in the format of the suffix.

    In a picture file, floats from an array are colors in [0, 1], and integers from 0 to the
    largest of their type. In a signal file, positions of an array are seconds, and in a volume
    file mm. NaN stands in the gaps of a signal saved as an array. A .npy file has no place for a
    recipe. A name that ends in .dcm is that of a folder, in which a DICOM series is written.
    Raises OutputError when the format is unknown or cannot hold the sample, or the file cannot be
    written; MissingExtraError when the format's library is not installed.
    """
    kind = _target_kind(path)
    if kind is _ARRAYS and suffix_of(path) == ".zarr" and _came_as_ome(sample):
        kind = _OME
    _check_shape(kind, path, sample.space, len(sample.data))
    if kind is _PICTURES:
        sample = _as_picture(sample)
    elif kind.dims == 3:
        sample = _as_volume(sample)
    elif kind is not _ARRAYS:
        sample = _as_signal(sample)
    kind.save(sample, path, recipe)


def check_target(path: StrPath, space: tuple[int, ...] = (), channels: int | None = None) -> None:
    """Raises where `save` would for the path alone, before any work is done.

    space, channels: the positions along each axis and the channels of what will be saved, where
    they are known, as from `grid`.
    """
    kind = _target_kind(path)
    if space:
        _check_shape(kind, path, space, channels or kind.channels)
    if kind is _PICTURES:
        picture.check_suffix(path, space)
    kind.check(path)


def _known_kind(path: StrPath) -> _Kind | None:
    """The formats that a name to read asks for, None when it is of none."""
    if ome.is_ome(path):
        return _OME
    suffix = suffix_of(path)
    found = next((kind for kind in _KINDS if suffix in kind.suffixes), None)
    if found is None and arrays.is_array(path):
        return _ARRAYS
    if found is None and records.is_record(path):
        return _RECORDS
    return _DICOM if found is None and dicom.is_dicom(path) else found


def _kind_of(path: StrPath) -> _Kind:
    if kind := _known_kind(path):
        return kind
    raise SampleError(
        subject=os.fspath(path),
        expected=f"a name that ends in {', '.join(SUFFIXES)}",
        found="a folder" if os.path.isdir(path) else suffix_of(path) or "no suffix",
        remedy="name a file of one",
    )


def _target_kind(path: StrPath) -> _Kind:
    suffix = suffix_of(path)
    if Path(path).name.lower().endswith(ome.SUFFIX):
        return _OME
    for kind in _KINDS:
        if suffix in kind.suffixes:
            return kind
    raise OutputError(
        subject=os.fspath(path),
        expected=f"a name that ends in {', '.join(SUFFIXES)}",
        found=suffix or "no suffix",
        remedy="choose one of those",
    )


def _check_shape(kind: _Kind, path: StrPath, space: tuple[int, ...], channels: int) -> None:
    if kind.dims in (0, len(space)) and kind.channels in (0, channels):
        return
    raise OutputError(
        subject=os.fspath(path),
        expected=f"a sample of shape {kind.shape}",
        found=f"{(channels, *space)}",
        remedy=f"save it as {' or '.join(arrays.SUFFIXES)}",
    )


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
