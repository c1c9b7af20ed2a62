"""The formats that are read and written, by the suffixes of their files."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

from impasto.errors import OutputError, SampleError
from impasto.media import arrays
from impasto.media.files import StrPath, check_writable, suffix_of
from impasto.media.pictures import formats as picture_formats
from impasto.media.pictures import picture
from impasto.media.pictures.picture import Picture
from impasto.media.sample import Sample
from impasto.media.signals import (
    annotators,
    archives,
    audio,
    edf,
    edf_writer,
    record_writer,
    records,
    tables,
)
from impasto.media.signals.signal import Signal
from impasto.media.volumes import (
    dicom,
    dicom_headers,
    dicom_writer,
    meta,
    nifti,
    nrrd,
    nrrd_writer,
    ome,
)
from impasto.media.volumes.volume import Volume


class Format(NamedTuple):
    """A format of files.

    Attributes:
        suffixes: of its files.
        load: reads a file; takes the path, and `new` where the format streams.
        grid: reads the channels and the space of a file from its header.
        save: writes a sample; takes the sample, the path and the recipe.
        check: raises where `save` would for the path alone.
        requires: imports the library that `save` needs.
        streams: whether `load` puts the values into an array that `new` makes, in pieces.
        named: whether `load` and `grid` take `names`, of the channels to read.
        dims, channels: what such a file can hold; 0 for any.
        what: what such a file holds, in words.
        shape: the shape of what it can hold, in words.
    """

    suffixes: tuple[str, ...]
    load: Callable[..., Sample]
    grid: Callable[..., tuple[int, tuple[int, ...]]]
    save: Callable[[Any, StrPath, str | None], None]
    check: Callable[[StrPath], None] = check_writable
    requires: Callable[[], object] = lambda: None
    streams: bool = False
    named: bool = False
    dims: int = 1
    channels: int = 0
    what: str = "a signal"
    shape: str = "(channel, time) for a signal file"


_OF_PICTURES: dict[str, Any] = {
    "dims": 2,
    "channels": 3,
    "what": "a picture",
    "shape": "(3, height, width) for a picture file",
}
_OF_VOLUMES: dict[str, Any] = {
    "dims": 3,
    "channels": 1,
    "what": "a volume",
    "shape": "(1, x, y, z) for a volume file",
}
PICTURES = Format(
    *(picture_formats.SUFFIXES, picture.open_picture, picture.picture_grid, picture.save_picture),
    streams=True,
    **_OF_PICTURES,
)
ARRAYS = Format(
    *(arrays.SUFFIXES, arrays.open_array, arrays.array_grid, arrays.save_array),
    check=arrays.check_array_target,
    streams=True,
    dims=0,
    what="an array",
)
_RECORDS = Format(
    *(records.SUFFIXES, records.open_record, records.record_grid, record_writer.save_record),
    named=True,
    check=record_writer.check_record_target,
    requires=annotators.wfdb_library,
)
_DICOM = Format(
    *(dicom_headers.SUFFIXES, dicom.open_dicom, dicom.dicom_grid, dicom_writer.save_dicom),
    check=dicom_writer.check_dicom_target,
    requires=dicom_headers.pydicom_library,
    **_OF_VOLUMES,
)
# Its suffix is that of arrays: the contents of a folder tell them apart, or the sample to save.
OME = Format(
    *((), ome.open_ome, ome.ome_grid, ome.save_ome),
    check=ome.check_ome_target,
    requires=arrays.zarr_library,
    streams=True,
    **_OF_VOLUMES,
)
_EDF = Format(
    *(edf.SUFFIXES, edf.open_edf, edf.edf_grid, edf_writer.save_edf),
    named=True,
    requires=edf.pyedflib_library,
)
_TABLES = Format(tables.SUFFIXES, tables.open_table, tables.table_grid, tables.save_table)
_ARCHIVES = Format(
    *(archives.SUFFIXES, archives.open_archive, archives.archive_grid, archives.save_archive)
)
_AUDIO = Format(
    *(audio.SUFFIXES, audio.open_audio, audio.audio_grid, audio.save_audio),
    requires=audio.soundfile_library,
)
_NIFTI = Format(
    *(nifti.SUFFIXES, nifti.open_nifti, nifti.nifti_grid, nifti.save_nifti),
    check=nifti.check_nifti_target,
    requires=nifti.nibabel_library,
    **_OF_VOLUMES,
)
_NRRD = Format(
    *(nrrd.SUFFIXES, nrrd.open_nrrd, nrrd.nrrd_grid, nrrd_writer.save_nrrd),
    check=nrrd_writer.check_nrrd_target,
    requires=nrrd.pynrrd_library,
    **_OF_VOLUMES,
)
_META = Format(
    *(meta.SUFFIXES, meta.open_meta, meta.meta_grid, meta.save_meta),
    check=meta.check_meta_target,
    **_OF_VOLUMES,
)
FORMATS = (
    *(PICTURES, ARRAYS, _RECORDS, _DICOM, OME),
    *(_EDF, _TABLES, _ARCHIVES, _AUDIO, _NIFTI, _NRRD, _META),
)
SUFFIXES = tuple(suffix for form in FORMATS for suffix in form.suffixes)
_NOT_WRITTEN = {*picture_formats.SUFFIXES} - {*picture_formats.WRITTEN}
_KINDS = {
    "picture": (PICTURES,),
    "recording": (_RECORDS, _EDF, _TABLES, _ARCHIVES),
    "sound": (_AUDIO,),
    "volume": (_NIFTI, _DICOM, _NRRD, _META, OME),
    "array": (ARRAYS,),
}
# Of which kind files are that others write and nobody reads here.
_UNREAD = {
    **dict.fromkeys(
        (".psd", ".svg", ".ico", ".tga", ".exr", ".jp2", ".eps", ".xcf", ".pdf", ".raw", ".dng"),
        "picture",
    ),
    **dict.fromkeys((".cr2", ".cr3", ".nef", ".arw", ".jfif", ".ppm", ".pgm", ".webm"), "picture"),
    **dict.fromkeys((".m4a", ".aac", ".aif", ".aiff", ".wma", ".opus", ".mp4"), "sound"),
    **dict.fromkeys((".scp", ".rec", ".gdf", ".vhdr", ".set", ".xml", ".fit", ".ecg"), "recording"),
    **dict.fromkeys((".mgz", ".mgh", ".mnc", ".vtk", ".vti", ".ima", ".par", ".stl"), "volume"),
}


def known_format(path: StrPath) -> Format | None:
    """Returns the format that a name to read asks for, None where there is none."""
    if ome.is_ome(path):
        return OME
    suffix = suffix_of(path)
    for form in FORMATS:
        if suffix in form.suffixes:
            return form
    if arrays.is_array(path):
        return ARRAYS
    if records.is_record(path):
        return _RECORDS
    return _DICOM if dicom.is_dicom(path) else None


def format_of(path: StrPath, like: object = None) -> Format:
    """Returns the format of a file to read.

    Args:
        path: of the file.
        like: a path or a sample that the file goes with, so that an error names the suffixes of
            its kind.

    Raises:
        SampleError: the name is of none.
    """
    if form := known_format(path):
        return form
    raise SampleError(
        subject=os.fspath(path),
        expected=_expected(path, like, written=False),
        found="a folder" if os.path.isdir(path) else suffix_of(path) or "no suffix",
        remedy="name a file of one",
    )


def target_format(path: StrPath, like: object = None) -> Format:
    """Returns the format of a file to write.

    Example:
        >>> target_format("out.nii.gz").what
        'a volume'

    Args:
        path, like: as for `format_of`.

    Raises:
        OutputError: the suffix is of none.
    """
    suffix = suffix_of(path)
    if Path(path).name.lower().endswith(ome.SUFFIX):
        return OME
    for form in FORMATS:
        if suffix in form.suffixes and suffix not in _NOT_WRITTEN:
            return form
    raise OutputError(
        subject=os.fspath(path),
        expected=_expected(path, like, written=True),
        found=suffix or "no suffix",
        remedy="choose one of those",
    )


def _expected(path: StrPath, like: object, *, written: bool) -> str:
    """Says which names there are of the kind that a path is likely of."""
    kind = _kind_of(like) or _UNREAD.get(suffix_of(path))
    if suffix_of(path) in _NOT_WRITTEN:
        kind = "picture"
    if kind is None:
        some = ".png, .wav, .edf, .nii.gz, .npy"
        return f"a name that ends in {some} or the suffix of another picture, sound, signal, volume"
    suffixes = [suffix for form in _KINDS[kind] for suffix in form.suffixes]
    listed = (suffix for suffix in suffixes if not written or suffix not in _NOT_WRITTEN)
    return f"a name that ends in {', '.join(listed)}"


def _kind_of(thing: object) -> str | None:
    """Returns the kind of a path or a sample, None where it is not known."""
    match thing:
        case Picture():
            return "picture"
        case Volume():
            return "volume"
        case Signal():
            return "sound" if isinstance(thing.source, audio.AudioSource) else "recording"
        case str() | os.PathLike():
            form = known_format(thing)
            return next((kind for kind, forms in _KINDS.items() if form in forms), None)
    return None


def check_shape(form: Format, path: StrPath, space: tuple[int, ...], channels: int) -> None:
    """Refuses a sample that a format cannot hold.

    Raises:
        OutputError: the axes or the channels are others.
    """
    if form.dims in (0, len(space)) and form.channels in (0, channels):
        return
    raise OutputError(
        subject=os.fspath(path),
        expected=f"a sample of shape {form.shape}",
        found=f"{(channels, *space)}",
        remedy=f"save it as {' or '.join(arrays.SUFFIXES)}",
    )
