"""NIfTI-1 and NIfTI-2 volumes: .nii, .nii.gz, and pairs of .hdr and .img.

Headers are nibabel's. Ours is what its images do not do: keep a header to the bit (they reset
slope, offset and what their checks correct, and print that), keep the scaling of the stored values
(they choose another), keep extensions as they are (they refuse a file for a damaged one), and
write files whole or not at all.
"""

from __future__ import annotations

import gzip
import os
import struct
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from math import isfinite
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64

from impasto.errors import SampleError
from impasto.media.coding import decoding, encoding
from impasto.media.files import StrPath, atomic_write, check_writable, open_regular, suffix_of
from impasto.media.folders import atomic_set, check_set_writable
from impasto.media.sample import NOT_FOR_DIAGNOSIS
from impasto.media.volumes.forms import affine_of, warn_of
from impasto.media.volumes.holes import take_holes
from impasto.media.volumes.volume import Volume, check_affine
from impasto.media.volumes.voxels import (
    check_bytes,
    compressed,
    decompressing,
    in_units,
    read_voxels,
    write_voxels,
)
from impasto.system.libraries import library

nibabel_library = partial(library, "nibabel", "for NIfTI files", "volumes")

SUFFIXES = (".nii", ".nii.gz", ".hdr", ".img")

_MAGIC = {b"n+1\0": 348, b"ni1\0": 348, b"n+2\0": 540, b"ni2\0": 540}
_MILLIMETERS = {0: 1.0, 1: 1000.0, 2: 1.0, 3: 1e-3}  # of the codes of units; 0 is unknown
_MARK = f"impasto: {NOT_FOR_DIAGNOSIS}".encode()
_COMMENT = 6  # the code of an extension that is text
_MOST_EXTENSIONS = 2**26
_LARGEST_SIDE = 2**15 - 1  # of NIfTI-1


@dataclass(frozen=True)
class NiftiSource:
    """What a NIfTI file says beside its values.

    Attributes:
        header: nibabel's, as it stands in the file, in either byte order.
        extensions: pairs of a code and a content; the content keeps its padding.
    """

    header: Any
    extensions: tuple[tuple[int, bytes], ...] = ()


class _Grid(NamedTuple):
    """What a header says of the values: data = slope * stored + intercept; the affine in mm.

    said: what there is to say about the affine; "" for nothing.
    """

    space: tuple[int, int, int]
    dtype: np.dtype[Any]
    slope: float
    intercept: float
    affine: Float64[np.ndarray, "4 4"]
    said: str


class _Opened(NamedTuple):
    """A file that is open: its stream of values, and the byte where those begin."""

    source: NiftiSource
    grid: _Grid
    file: Any
    start: int


def open_nifti(path: StrPath) -> Volume:
    """Reads a NIfTI file of one volume of real numbers; of a pair, either name will do.

    The affine is the sform, without a good one the qform, in mm whatever the file's unit of length;
    where the two disagree, or neither is there, that is logged. NaN is a hole.

    Raises:
        SampleError: the file is damaged, truncated or holds something else.
        MemoryLimitError: the values do not fit into the free memory.
        MissingExtraError: nibabel is not installed.
    """
    with _opened(path) as (source, grid, file, start):
        file.seek(start)
        stored = read_voxels(file, grid.space, grid.dtype)
    with np.errstate(over="ignore", invalid="ignore"):  # Volume refuses what is not finite
        data = in_units(stored, grid.slope, grid.intercept).astype(np.float32, order="C")
    warn_of(grid.said, Path(path).name)
    return Volume(
        data=data[None],
        affine=grid.affine,
        dtype=grid.dtype.newbyteorder("="),
        slope=grid.slope,
        intercept=grid.intercept,
        source=source,
        holes=take_holes(data),
    )


def nifti_grid(path: StrPath) -> tuple[int, tuple[int, ...]]:
    """Returns the channels and the space of what `open_nifti` would give, from the header."""
    with _opened(path) as opened:
        return 1, opened.grid.space


def save_nifti(volume: Volume, path: StrPath, recipe: str | None = None) -> None:
    """Writes a NIfTI file, or a pair, whole or not at all.

    Args:
        volume: one from a NIfTI file keeps its header, and every bit of its geometry, unless it
            was brought to another grid. Values are stored in its type and scaling: rounded, and
            the nearest in the type's range. A volume from elsewhere gets qform and sform, in mm.
        path: of the file; of a pair, either name.
        recipe: kept in a comment extension; "not for diagnosis" stands before it, and in the
            description where that has room.

    Raises:
        OutputError: the file cannot be written.
        MissingExtraError: nibabel is not installed.
    """
    suffix = suffix_of(path)
    paired = suffix in (".hdr", ".img")
    source = volume.source if isinstance(volume.source, NiftiSource) else None
    header = _written_header(volume, source)
    extensions = _marked(source.extensions if source else (), recipe)
    head = _head(header, extensions, paired)
    dtype = header.get_data_dtype()
    if not paired:
        with atomic_write(path) as plain:
            packing = compressed(plain) if suffix.endswith(".gz") else nullcontext(plain)
            with packing as file:
                file.write(head)
                write_voxels(file, volume, dtype, volume.slope, volume.intercept)
        return
    names = _pair(path)
    with atomic_set(path, names[0], _of_ours) as folder:
        (folder / names[0]).write_bytes(head)
        with open(folder / names[1], "wb") as file:
            write_voxels(file, volume, dtype, volume.slope, volume.intercept)


def check_nifti_target(path: StrPath) -> None:
    """Raises where `save_nifti` would for the path alone, before any work is done."""
    if suffix_of(path) in (".hdr", ".img"):
        check_set_writable(path, _pair(path)[0], _pair(path), _of_ours)
    else:
        check_writable(path)


def _pair(path: StrPath) -> tuple[str, str]:
    """Returns the names of the header and of the values of a pair."""
    return Path(path).with_suffix(".hdr").name, Path(path).with_suffix(".img").name


def _of_ours(header: Path) -> tuple[str, ...]:
    """Returns the files of a pair by its header, none where another program wrote it."""
    with open(header, "rb") as file:
        raw = file.read(_MOST_EXTENSIONS)
    paired = raw[344:348] == b"ni1\0" or raw[4:8] == b"ni2\0"
    return _pair(header) if paired and _MARK in raw else ()


@contextmanager
def _opened(path: StrPath) -> Iterator[_Opened]:
    suffix = suffix_of(path)
    paired = suffix in (".hdr", ".img")
    head = Path(path).with_suffix(".hdr") if paired else Path(path)
    nibabel = nibabel_library()
    with open_regular(head, "a NIfTI file") as raw:
        if not os.fstat(raw.fileno()).st_size:
            raise SampleError(expected="a NIfTI file", found="an empty file", remedy="get it again")
        file: Any = gzip.GzipFile(fileobj=raw) if suffix.endswith(".gz") else raw
        with decoding("a NIfTI header", "nibabel", "get the file again"), decompressing():
            header = _header(nibabel, file)
            single = header["magic"].item().startswith(b"n+")
            start = _start(header, single)
            size = start - header.sizeof_hdr if single else _MOST_EXTENSIONS
            extensions = _extensions(file.read(max(0, min(size, _MOST_EXTENSIONS))), header)
            grid = _grid(header)
        if single == paired:
            raise SampleError(
                expected="the header of a pair" if paired else "header and values in one file",
                found="those of one file" if paired else "the header of a pair",
                remedy=f"rename it to {'.nii' if paired else '.hdr'}",
            )
        source = NiftiSource(header, extensions)
        if not paired:
            check_bytes(file, start, grid.space, grid.dtype)
            yield _Opened(source, grid, file, start)
            return
        with open_regular(head.with_suffix(".img"), "the .img file beside it") as values:
            check_bytes(values, start, grid.space, grid.dtype)
            yield _Opened(source, grid, values, start)


def _header(nibabel: Any, file: Any) -> Any:
    """Reads nibabel's header, and leaves the file at its end."""
    raw = file.read(540)
    magic = raw[344:348] if raw[344:348] in _MAGIC else raw[4:8]
    if len(raw) < (length := _MAGIC.get(magic, 541)):
        raise SampleError(
            expected="a NIfTI header",
            found="Analyze 7.5, which gives no orientation" if _is_analyze(raw) else "another file",
            remedy="convert it to NIfTI",
        )
    file.seek(length)
    kind = nibabel.Nifti1Header if length == 348 else nibabel.Nifti2Header
    # Its own checks print, and change the header.
    return kind(raw[:length], check=False)


def _is_analyze(raw: bytes) -> bool:
    return len(raw) >= 348 and 348 in (*struct.unpack("<i", raw[:4]), *struct.unpack(">i", raw[:4]))


def _start(header: Any, single: bool) -> int:
    """Returns the byte where the values begin in their file."""
    start = float(header["vox_offset"])
    least = header.single_vox_offset if single else 0
    if not (isfinite(start) and start >= least):
        raise SampleError(
            expected=f"values from byte {least} on",
            found=f"a vox_offset of {start:g}",
            remedy="get the file again",
        )
    return int(start)


def _extensions(raw: bytes, header: Any) -> tuple[tuple[int, bytes], ...]:
    """Returns the extensions that stand whole between the header and the values."""
    extensions = []
    where = 4
    while raw[:1] not in (b"", b"\0") and where + 8 <= len(raw):
        size, code = struct.unpack_from(f"{header.endianness}ii", raw, where)
        if size < 8 or where + size > len(raw):
            break
        extensions.append((code, raw[where + 8 : where + size]))
        where += size
    return tuple(extensions)


def _grid(header: Any) -> _Grid:
    """Returns what a header says of the values, after a check that they are one volume."""
    shape = tuple(int(side) for side in header.get_data_shape())
    if not 1 <= int(header["dim"][0]) <= 7 or min(shape) < 1:
        raise SampleError(
            expected="1 to 7 axes, none of them empty",
            found=f"dim = {header['dim'].tolist()}",
            remedy="get the file again",
        )
    x, y, z, *rest = (*shape, 1, 1, 1)[: max(3, len(shape))]
    if any(side > 1 for side in rest):
        raise SampleError(
            expected="one volume of three axes",
            found=f"shape {shape}",
            remedy="save one volume of it by itself, for example nibabel's image.slicer[..., 0]",
        )
    dtype = header.get_data_dtype()
    if dtype.kind not in "iuf":
        raise SampleError(
            expected="integers or real numbers",
            found="colors" if dtype.fields else f"values of type {dtype}",
            remedy="save one channel, or the magnitude, as a volume",
        )
    slope, intercept = header.get_slope_inter()
    unit = int(header["xyzt_units"]) & 7
    if unit not in _MILLIMETERS:
        raise SampleError(
            expected="m, mm or µm for the unit of length",
            found=f"the code {unit}",
            remedy="correct the header",
        )
    affine, said = affine_of(header)
    affine[:3] *= _MILLIMETERS[unit]
    check_affine(affine)
    scaling = 1.0 if slope is None else slope, intercept or 0.0
    return _Grid((x, y, z), dtype, *scaling, affine, said)


def _written_header(volume: Volume, source: NiftiSource | None) -> Any:
    """Returns the source's header with what has changed, or a new one."""
    nibabel = nibabel_library()
    with _encoding(nibabel):
        if source is None:
            large = max(volume.space) > _LARGEST_SIDE
            header = nibabel.Nifti2Header() if large else nibabel.Nifti1Header()
            header.set_data_shape(volume.space)
            known = volume.dtype in nibabel.nifti1.data_type_codes
            header.set_data_dtype(volume.dtype if known else np.float32)
            header.set_xyzt_units("mm")
            _place(nibabel, header, volume.affine, 1)
        else:
            header = source.header.copy()
            grid = _grid(header)
            if volume.dtype != grid.dtype.newbyteorder("="):
                header.set_data_dtype(volume.dtype)
            if volume.space != grid.space:
                header.set_data_shape(volume.space)
            if not np.array_equal(volume.affine, grid.affine):
                code = int(header["sform_code"] or header["qform_code"] or 1)
                header.set_xyzt_units("mm", header.get_xyzt_units()[1])
                _place(nibabel, header, volume.affine, code)
        slope, intercept = header.get_slope_inter()
        if (slope or 1.0, intercept or 0.0) != (volume.slope, volume.intercept):
            header["scl_slope"], header["scl_inter"] = volume.slope, volume.intercept
    return header


def _place(nibabel: Any, header: Any, affine: Float64[np.ndarray, "4 4"], code: int) -> None:
    """Puts an affine into a header."""
    header.set_sform(affine, code)
    try:
        header.set_qform(affine, code, strip_shears=False)
    except nibabel.spatialimages.HeaderDataError:  # a qform has no shears
        header.set_qform(affine, 0)


def _head(header: Any, extensions: tuple[tuple[int, bytes], ...], paired: bool) -> bytes:
    """Returns all that stands before the values."""
    version = 1 if header.sizeof_hdr == 348 else 2
    magic = f"{'ni' if paired else 'n+'}{version}".encode()
    packed = b"".join(
        struct.pack(f"{header.endianness}ii", len(content) + 8, code) + content
        for code, content in extensions
    )
    start = header.sizeof_hdr + 4 + len(packed)
    header["magic"] = magic
    header["vox_offset"] = 0 if paired else -(-start // 16) * 16
    description = header["descrip"].item().decode("latin-1").rstrip()
    if NOT_FOR_DIAGNOSIS not in description:
        description += f"{'; ' if description else ''}{NOT_FOR_DIAGNOSIS}"
    if len(description) < 80:
        header["descrip"] = description.encode("latin-1")
    head: bytes = header.binaryblock + (b"\1\0\0\0" if packed else bytes(4)) + packed
    return head if paired else head.ljust(int(header["vox_offset"]), b"\0")


def _marked(
    extensions: tuple[tuple[int, bytes], ...], recipe: str | None
) -> tuple[tuple[int, bytes], ...]:
    """Adds the comment that this package wrote the file, in the place of an earlier one."""
    kept = [(code, text) for code, text in extensions if not text.startswith(_MARK)]
    comment = _MARK if recipe is None else _MARK + b"\n" + recipe.encode()
    padding = -(len(comment) + 8) % 16
    return (*kept, (_COMMENT, comment + bytes(padding)))


def _encoding(nibabel: Any) -> AbstractContextManager[None]:
    errors = nibabel.spatialimages.HeaderDataError, ValueError, OverflowError
    return encoding("a volume that NIfTI can hold", "nibabel", "save it in another format", errors)
