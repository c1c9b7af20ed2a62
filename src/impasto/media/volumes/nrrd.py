"""NRRD volumes: .nrrd, and .nhdr with its values in a file beside it.

Headers are parsed by pynrrd; `nrrd_writer` writes them. Ours is what pynrrd's reading of values
does not do: refuse files outside the header's folder, refuse what the file or the memory cannot
hold, and skip bytes of compressed values (it skips them twice).
"""

from __future__ import annotations

import bz2
import gzip
import io
import os
import re
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64

from impasto.errors import SampleError
from impasto.media.blocks import check_memory
from impasto.media.coding import decoding, one_line
from impasto.media.files import StrPath, open_regular
from impasto.media.volumes.holes import take_holes
from impasto.media.volumes.volume import Volume, check_affine
from impasto.media.volumes.voxels import check_bytes, decompressing, read_voxels
from impasto.system.libraries import library

pynrrd_library = partial(library, "nrrd", "for NRRD files", "volumes")

SUFFIXES = (".nrrd", ".nhdr")

TYPES = {
    "i1": "signed char, int8, int8_t",
    "u1": "uchar, unsigned char, uint8, uint8_t",
    "i2": "short, short int, signed short, signed short int, int16, int16_t",
    "u2": "ushort, unsigned short, unsigned short int, uint16, uint16_t",
    "i4": "int, signed int, int32, int32_t",
    "u4": "uint, unsigned int, uint32, uint32_t",
    "i8": "longlong, long long, long long int, signed long long, signed long long int, int64, "
    "int64_t",
    "u8": "ulonglong, unsigned long long, unsigned long long int, uint64, uint64_t",
    "f4": "float",
    "f8": "double",
}
DTYPES = {name: dtype for dtype, names in TYPES.items() for name in names.split(", ")}
# The rows of an affine that change their sign for a space whose axes point so.
_SIGNS = {"left": (0, -1.0), "posterior": (1, -1.0), "inferior": (2, -1.0)}
_MILLIMETERS = {"": 1.0, "mm": 1.0, "millimeter": 1.0, "cm": 10.0, "m": 1000.0, "meter": 1000.0}
_MILLIMETERS |= dict.fromkeys(("um", "µm", "micron", "micrometer"), 1e-3)
_MILLIMETERS |= {"nm": 1e-6, "nanometer": 1e-6}
PACKED = ("gzip", "gz")
ONLY_READ = ("bzip2", "bz2", "ascii", "text", "txt")
_LONGEST_HEADER = 2**22


@dataclass(frozen=True)
class NrrdSource:
    """What an NRRD file says beside its values.

    Attributes:
        lines: of the header as they stand in the file, without the blank one at the end.
        affine, space: what the lines say.
    """

    lines: tuple[str, ...]
    affine: Float64[np.ndarray, "4 4"]
    space: tuple[int, int, int]


class _Opened(NamedTuple):
    """A file that is open: its stream of values, and the byte where those begin."""

    source: NrrdSource
    dtype: np.dtype[Any]
    file: Any
    start: int


def open_nrrd(path: StrPath) -> Volume:
    """Reads an NRRD file of one volume: raw, compressed with gzip or bzip2, or as text.

    Directions of a space that is not named after the body's are taken as right, anterior and
    superior; without directions, the spacings are. A file of values must be in the header's
    folder.

    Raises:
        SampleError: the file is damaged, truncated or holds something else.
        MemoryLimitError: the values do not fit into the free memory.
        MissingExtraError: pynrrd is not installed.
    """
    with _opened(path) as (source, dtype, file, start):
        with decompressing():
            file.seek(start)
        stored = read_voxels(file, source.space, dtype)
    with np.errstate(over="ignore"):  # Volume refuses the infinities
        data = stored.astype(np.float32, order="C")
    return Volume(
        data=data[None],
        affine=source.affine,
        dtype=dtype.newbyteorder("="),
        source=source,
        holes=take_holes(data),
    )


def nrrd_grid(path: StrPath) -> tuple[int, tuple[int, ...]]:
    """Returns the channels and the space of what `open_nrrd` would give, from the header."""
    with _opened(path) as opened:
        return 1, opened.source.space


@contextmanager
def _opened(path: StrPath) -> Iterator[_Opened]:
    pynrrd = pynrrd_library()
    with open_regular(path, "an NRRD file") as head:
        lines, start = _lines(head.read(_LONGEST_HEADER))
        with decoding("an NRRD header", "pynrrd", "get the file again"):
            header = pynrrd.read_header(list(lines))
            shape, dtype, encoding = _described(header)
            affine = _affine(header)
            skips = _skip(header, "line"), _skip(header, "byte")
        check_affine(affine)
        source = NrrdSource(lines, affine, shape)
        name = header.get("data file", header.get("datafile"))
        if name is None:
            with _values(head, start, encoding, skips, shape, dtype) as (file, at):
                yield _Opened(source, dtype, file, at)
            return
        values = _beside(Path(path), str(name))
        with (
            open_regular(values, f"the file {name} beside it") as raw,
            _values(raw, 0, encoding, skips, shape, dtype) as (file, at),
        ):
            yield _Opened(source, dtype, file, at)


def _lines(raw: bytes) -> tuple[tuple[str, ...], int]:
    """Returns the lines of a header, and the bytes of it with the blank line at its end."""
    if not raw:
        raise SampleError(expected="an NRRD file", found="an empty file", remedy="get it again")
    if not re.match(rb"NRRD000[1-5]\r?\n", raw):
        raise SampleError(
            expected="the contents of an NRRD file, of version 1 to 5",
            found="something else",
            remedy="convert it to NRRD",
        )
    end = re.search(rb"\n\r?\n", raw)
    if end is None and len(raw) == _LONGEST_HEADER:
        raise SampleError(
            expected="a blank line after the header", found="none", remedy="get the file again"
        )
    text = raw[: end.start() if end else len(raw)].decode("utf-8", "surrogateescape")
    return tuple(text.splitlines()), end.end() if end else len(raw)


@contextmanager
def _values(
    raw: Any,
    start: int,
    encoding: str,
    skips: tuple[int, int],
    shape: tuple[int, int, int],
    dtype: np.dtype[Any],
) -> Iterator[tuple[Any, int]]:
    """Gives the stream of the values and where in it they begin."""
    lines, skipped = skips
    raw.seek(start)
    for _ in range(lines):
        if not raw.readline():
            break
    if encoding in PACKED:
        with gzip.GzipFile(fileobj=raw) as file:
            check_bytes(file, 0, shape, dtype)
            yield file, max(0, skipped)
        return
    if encoding in ONLY_READ[:2]:
        with bz2.BZ2File(raw) as file:
            yield file, max(0, skipped)
        return
    if encoding in ONLY_READ:
        check_memory(shape, np.dtype(np.float64))
        yield io.BytesIO(_from_text(raw, dtype)), 0
        return
    count = int(np.prod(shape, dtype=object)) * dtype.itemsize
    start = raw.tell() + skipped
    if skipped == -1:  # the values are what the file ends with
        start = max(raw.tell(), os.fstat(raw.fileno()).st_size - count)
    check_bytes(raw, start, shape, dtype)
    yield raw, start


def _from_text(raw: Any, dtype: np.dtype[Any]) -> bytes:
    """Returns the bytes of values that stand in a file as text."""
    try:
        return np.array(raw.read().split(), np.float64).astype(dtype).tobytes()
    except ValueError as error:
        raise SampleError(
            expected="numbers", found=one_line(error)[:80], remedy="get the file again"
        ) from error


def _beside(header: Path, name: str) -> Path:
    """Returns the path of the file of values, which must be in the header's folder."""
    if name in ("", "LIST", ".", "..") or re.search(r"[%/\\\x00-\x1f]|^LIST ", name):
        raise SampleError(
            expected="one file of values in the header's folder",
            found=f"data file: {name[:100]}",
            remedy="put them in one file there and correct the header",
        )
    return header.with_name(name)


def _described(header: Any) -> tuple[tuple[int, int, int], np.dtype[Any], str]:
    """Returns the space, the type and the encoding of the values."""
    sizes = [int(size) for size in header["sizes"]]
    if len(sizes) != header["dimension"] or min(sizes) < 1:
        raise SampleError(
            expected="as many sizes above 0 as there are dimensions",
            found=f"{sizes} of {header['dimension']}",
            remedy="get the file again",
        )
    spatial = _spatial(header, sizes)
    if len(spatial) != 3:
        raise SampleError(
            expected="one volume of three axes",
            found=f"sizes {' '.join(map(str, sizes))}",
            remedy="save one channel or time of it by itself",
        )
    name = header["type"]
    if name not in DTYPES:
        raise SampleError(
            expected="integers or real numbers",
            found=f"values of type {name}",
            remedy="convert them first",
        )
    dtype = np.dtype(DTYPES[name])
    encoding = header["encoding"]
    orderless = dtype.itemsize == 1 or encoding in ONLY_READ[2:]
    order = header.get("endian", sys.byteorder if orderless else "none")
    if order not in ("little", "big"):
        raise SampleError(
            expected="endian: little or big", found=f"{order}", remedy="correct the header"
        )
    if encoding not in ("raw", *PACKED, *ONLY_READ):
        raise SampleError(
            expected="the encoding raw, gzip, bzip2 or ascii",
            found=str(encoding),
            remedy="convert it, for example with unu save -f nrrd -e gzip",
        )
    x, y, z = (sizes[axis] for axis in spatial)
    return (x, y, z), dtype.newbyteorder("<" if order == "little" else ">"), str(encoding)


def _spatial(header: Any, sizes: list[int]) -> list[int]:
    """Returns the axes of space: all but those of one position that have no direction."""
    directions = header.get("space directions")
    axes = list(range(len(sizes)))
    if directions is None or len(sizes) <= 3:
        return axes
    without = [axis for axis in axes if np.isnan(directions[axis]).any()]
    return [axis for axis in axes if axis not in without or sizes[axis] > 1]


def _affine(header: Any) -> Float64[np.ndarray, "4 4"]:
    """Returns the affine, in mm toward right, anterior and superior."""
    sizes = [int(size) for size in header["sizes"]]
    axes = _spatial(header, sizes)
    affine = np.eye(4)
    directions = header.get("space directions")
    if directions is None:
        spacings = np.array(header.get("spacings", np.ones(len(sizes))), np.float64)[axes]
        factors = _factors(header.get("units", ()))
        affine[:3, :3] = np.diag(np.where(np.isnan(spacings), 1.0, spacings))
    else:
        affine[:3, :3] = np.array(directions, np.float64)[axes].T
        if (origin := header.get("space origin")) is not None:
            affine[:3, 3] = origin
        factors = _factors(header.get("space units", ()))
    affine[:3] *= factors[:, None]
    for side, (row, sign) in _SIGNS.items():
        if side in _full_name(str(header.get("space", ""))):
            affine[row] *= sign
    return affine


def _full_name(space: str) -> str:
    """Returns left-posterior-superior for LPS."""
    return {"LPS": "left-posterior-superior", "LAS": "left-anterior-superior"}.get(
        space.upper(), space.lower()
    )


def _factors(units: Any) -> Float64[np.ndarray, "3"]:
    """Returns the factors from the units of three axes to mm; 1 where there are not three."""
    names = [str(unit).strip('"').strip() for unit in units]
    if len(names) != 3:
        return np.ones(3)
    unknown = [name for name in names if name not in _MILLIMETERS]
    if unknown:
        raise SampleError(
            expected="a unit of length, such as mm",
            found=repr(unknown[0]),
            remedy="correct the header",
        )
    return np.array([_MILLIMETERS[name] for name in names])


def _skip(header: Any, what: str) -> int:
    """Returns how many lines or bytes stand before the values; -1 for all but the values."""
    count = int(header.get(f"{what} skip", header.get(f"{what}skip", 0)))
    if count < (-1 if what == "byte" else 0):
        raise SampleError(
            expected=f"{what} skip from 0 up", found=f"{count}", remedy="correct the header"
        )
    return count
