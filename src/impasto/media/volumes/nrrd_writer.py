"""NRRD volumes, written: the header line by line, and the values.

Ours is what pynrrd's writer does not do: keep the comments, the order and the text of the lines
that came, as they stand in the file.
"""

from __future__ import annotations

import re
import sys
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import numpy as np

from impasto.media.files import StrPath, atomic_write, check_writable
from impasto.media.folders import atomic_set, check_set_writable
from impasto.media.sample import NOT_FOR_DIAGNOSIS
from impasto.media.volumes.nrrd import DTYPES, ONLY_READ, PACKED, TYPES, NrrdSource, pynrrd_library
from impasto.media.volumes.volume import Volume
from impasto.media.volumes.voxels import compressed, plain_dtype, write_voxels

_NAMES = {dtype: names.split(", ")[-1] for dtype, names in TYPES.items()}
# Fields of the axes, which another grid replaces, and of the file of values, which we choose.
_OF_AXES = (
    *("dimension", "sizes", "spacings", "thicknesses", "axis mins", "axismins", "axis maxs"),
    *("axismaxs", "centers", "centerings", "labels", "units", "kinds"),
    *("space", "space dimension", "space units", "space origin", "space directions"),
)
_OF_FILES = ("data file", "datafile", "line skip", "lineskip", "byte skip", "byteskip")
_RECIPE = "impasto"
_USE = "intended use"
_LONGEST_HEADER = 2**24


def save_nrrd(volume: Volume, path: StrPath, recipe: str | None = None) -> None:
    """Writes an NRRD file, or a header and its values beside it, whole or not at all.

    Args:
        volume: one from an NRRD file keeps the lines of its header but for what has changed, the
            type and the encoding. Another is compressed with gzip, in the space LPS, and in a
            type that holds its values without slope and intercept.
        path: of the file or the header.
        recipe: kept as the key "impasto", beside one that says "not for diagnosis".

    Raises:
        OutputError: the file cannot be written.
        MissingExtraError: pynrrd is not installed.
    """
    pynrrd_library()
    source = volume.source if isinstance(volume.source, NrrdSource) else None
    dtype = _stored_dtype(volume, source)
    lines, packed = _header_lines(volume, source, dtype, recipe)
    writer = compressed if packed else nullcontext
    target = Path(path)
    if target.suffix.lower() == ".nrrd":
        with atomic_write(path) as plain:
            plain.write(_joined(lines) + b"\n")
            with writer(plain) as file:
                write_voxels(file, volume, dtype)
        return
    values = _values(target)[packed]
    with atomic_set(path, target.name, _of_ours) as folder:
        (folder / target.name).write_bytes(_joined([*lines, f"data file: {values}"]))
        with open(folder / values, "wb") as plain, writer(plain) as file:
            write_voxels(file, volume, dtype)


def check_nrrd_target(path: StrPath) -> None:
    """Raises where `save_nrrd` would for the path alone, before any work is done."""
    target = Path(path)
    if target.suffix.lower() == ".nrrd":
        check_writable(path)
    else:
        check_set_writable(path, target.name, [target.name, *_values(target)], _of_ours)


def _values(header: Path) -> tuple[str, str]:
    """Returns the names of the file of values beside a header, plain and compressed."""
    return f"{header.stem}.raw", f"{header.stem}.raw.gz"


def _of_ours(header: Path) -> set[str]:
    """Returns the files of a volume by its header, none where another program wrote it."""
    with open(header, "rb") as file:
        lines = file.read(_LONGEST_HEADER).decode("utf-8", "surrogateescape").splitlines()
    if f"{_USE}:={NOT_FOR_DIAGNOSIS}" not in lines:
        return set()
    return {header.name, *(_field((line,), "data file") or "" for line in lines)} - {""}


def _stored_dtype(volume: Volume, source: NrrdSource | None) -> np.dtype[Any]:
    """Returns the type that the values are stored in, with its byte order."""
    dtype = plain_dtype(volume)
    if np.dtype(dtype).str[1:] not in TYPES:
        dtype = np.dtype(np.float32)
    order = _field(source.lines, "endian") if source else None
    return dtype.newbyteorder(">" if (order or sys.byteorder) == "big" else "<")


def _header_lines(
    volume: Volume, source: NrrdSource | None, dtype: np.dtype[Any], recipe: str | None
) -> tuple[list[str], bool]:
    """Returns the lines without a data file, and whether the values are compressed."""
    if source is None:
        lines = ["NRRD0004", *_basic(dtype, "gzip"), *_geometry(volume)]
    else:
        dropped = [*_OF_FILES, _RECIPE, _USE]
        added = []
        if volume.space != source.space or not np.array_equal(volume.affine, source.affine):
            dropped += _OF_AXES
            added = _geometry(volume)
        encoding = _field(source.lines, "encoding") or "gzip"
        if (
            encoding in ONLY_READ
            or DTYPES[_field(source.lines, "type") or "float"] != dtype.str[1:]
        ):
            dropped += ["type", "endian", "encoding"]
            added += _basic(dtype, "gzip" if encoding in ONLY_READ else encoding)
        lines = [line for line in source.lines if _name(line) not in dropped] + added
    encoding = next(line.split(":")[1].strip() for line in lines if _name(line) == "encoding")
    lines.append(f"{_USE}:={NOT_FOR_DIAGNOSIS}")
    if recipe is not None:
        escaped = " ".join(recipe.split()).replace("\\", "\\\\")
        lines.append(f"{_RECIPE}:={escaped}")
    return lines, encoding in PACKED


def _basic(dtype: np.dtype[Any], encoding: str) -> list[str]:
    order = "big" if dtype.str[0] == ">" else "little"
    return [f"type: {_NAMES[dtype.str[1:]]}", f"endian: {order}", f"encoding: {encoding}"]


def _geometry(volume: Volume) -> list[str]:
    """Returns the lines of the grid and of its place, in the space that most programs write."""
    affine = np.diag([-1.0, -1.0, 1.0, 1.0]) @ volume.affine
    x, y, z, origin = ("({})".format(",".join(map(repr, row))) for row in affine[:3].T.tolist())
    return [
        "dimension: 3",
        "space: left-posterior-superior",
        f"sizes: {' '.join(map(str, volume.space))}",
        f"space directions: {x} {y} {z}",
        "kinds: domain domain domain",
        'space units: "mm" "mm" "mm"',
        f"space origin: {origin}",
    ]


def _field(lines: tuple[str, ...], name: str) -> str | None:
    """Returns what a field of the header says."""
    return next((line.partition(":")[2].strip() for line in lines if _name(line) == name), None)


def _name(line: str) -> str:
    """Returns the name of a line's field or key; "" for a comment."""
    return "" if line.startswith("#") else re.split(":=?", line, maxsplit=1)[0].strip()


def _joined(lines: list[str]) -> bytes:
    return "\n".join([*lines, ""]).encode("utf-8", "surrogateescape")
