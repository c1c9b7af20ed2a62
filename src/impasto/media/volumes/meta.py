"""MetaImage volumes: .mha, and .mhd with its values in a file beside it, as ITK writes them.

The format is described at https://itk.org/Wiki/ITK/MetaIO/Documentation. It is some lines of text
before the values, which no library on PyPI reads but ITK itself, a download of a hundred megabytes.
"""

from __future__ import annotations

import os
import re
import zlib
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64

from impasto.errors import SampleError
from impasto.media.coding import decoding
from impasto.media.files import StrPath, atomic_write, check_writable, open_regular, suffix_of
from impasto.media.folders import atomic_set, check_set_writable
from impasto.media.sample import NOT_FOR_DIAGNOSIS
from impasto.media.volumes.holes import take_holes
from impasto.media.volumes.volume import Volume, check_affine
from impasto.media.volumes.voxels import check_bytes, plain_dtype, read_voxels, write_voxels

SUFFIXES = (".mhd", ".mha")

_TYPES = {
    "MET_CHAR": "i1",
    "MET_UCHAR": "u1",
    "MET_SHORT": "i2",
    "MET_USHORT": "u2",
    "MET_INT": "i4",
    "MET_UINT": "u4",
    "MET_LONG": "i4",
    "MET_ULONG": "u4",
    "MET_LONG_LONG": "i8",
    "MET_ULONG_LONG": "u8",
    "MET_FLOAT": "f4",
    "MET_DOUBLE": "f8",
}
_LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])
_LONGEST_HEADER = 2**20
_LAST = "ElementDataFile"
_COMMENT = "Comment"
_MARK = f"impasto, {NOT_FOR_DIAGNOSIS}"
_GEOMETRY = (
    *("NDims", "TransformMatrix", "Rotation", "Orientation", "Offset", "Position", "Origin"),
    *("CenterOfRotation", "AnatomicalOrientation", "ElementSpacing", "ElementSize", "DimSize"),
)
# What is written anew; every other field stays as it came.
_WRITTEN = (
    *_GEOMETRY,
    *("ObjectType", "BinaryData", "BinaryDataByteOrderMSB", "ElementByteOrderMSB"),
    *("CompressedData", "CompressedDataSize", "ElementType", "HeaderSize", _COMMENT, _LAST),
)


@dataclass(frozen=True)
class MetaSource:
    """What a MetaImage says beside its values.

    Attributes:
        fields: in their order, as they stand in the file.
        affine, space: what they say.
    """

    fields: tuple[tuple[str, str], ...]
    affine: Float64[np.ndarray, "4 4"]
    space: tuple[int, int, int]


class _Grid(NamedTuple):
    """What a header says of the values."""

    space: tuple[int, int, int]
    dtype: np.dtype[Any]
    affine: Float64[np.ndarray, "4 4"]
    packed: bool


class _Inflated:
    """A stream that inflates what a file has from here on, no more than is asked for."""

    def __init__(self, file: Any) -> None:
        self._file, self._inflate = file, zlib.decompressobj(wbits=47)  # zlib or gzip

    def read(self, count: int) -> bytes:
        """Returns so many bytes, fewer at the end."""
        parts: list[bytes] = []
        while count and not self._inflate.eof:
            given = self._inflate.unconsumed_tail or self._file.read(2**16)
            if not given:
                break
            parts.append(self._inflate.decompress(given, count))
            count -= len(parts[-1])
        return b"".join(parts)


def open_meta(path: StrPath) -> Volume:
    """Reads a MetaImage of one volume, plain or compressed.

    Its axes are those of DICOM: left, posterior, superior. A file of values must be in the header's
    folder. NaN is a hole.

    Raises:
        SampleError: the file is damaged, truncated or holds something else.
        MemoryLimitError: the values do not fit into the free memory.
    """
    with (
        _opened(path) as (fields, grid, file),
        decoding("values whole to their end", "zlib", errors=zlib.error),
    ):
        stored = read_voxels(_Inflated(file) if grid.packed else file, grid.space, grid.dtype)
    with np.errstate(over="ignore"):  # Volume refuses the infinities
        data = stored.astype(np.float32, order="C")
    return Volume(
        data=data[None],
        affine=grid.affine,
        dtype=grid.dtype.newbyteorder("="),
        source=MetaSource(tuple(fields.items()), grid.affine, grid.space),
        holes=take_holes(data),
    )


def meta_grid(path: StrPath) -> tuple[int, tuple[int, ...]]:
    """Returns the channels and the space of what `open_meta` would give, from the header."""
    with _opened(path) as (_, grid, _):
        return 1, grid.space


def save_meta(volume: Volume, path: StrPath, recipe: str | None = None) -> None:
    """Writes a MetaImage, plain, or a header and its values beside it, whole or not at all.

    Args:
        volume: its values are stored in a type that holds them without slope and intercept; what a
            MetaImage said beside its geometry stays.
        path: of the file or the header.
        recipe: kept in the comment, after "not for diagnosis".

    Raises:
        OutputError: the file cannot be written.
    """
    dtype = plain_dtype(volume)
    if dtype.str[1:] not in _TYPES.values():
        dtype = np.dtype(np.float32)
    dtype = dtype.newbyteorder("<")
    alone = suffix_of(path) == ".mha"
    head = _head(volume, dtype, "LOCAL" if alone else _values(path), recipe)
    if alone:
        with atomic_write(path) as file:
            file.write(head)
            write_voxels(file, volume, dtype)
        return
    with atomic_set(path, Path(path).name, _of_ours) as folder:
        (folder / Path(path).name).write_bytes(head)
        with open(folder / _values(path), "wb") as file:
            write_voxels(file, volume, dtype)


def check_meta_target(path: StrPath) -> None:
    """Raises where `save_meta` would for the path alone, before any work is done."""
    if suffix_of(path) == ".mha":
        check_writable(path)
    else:
        check_set_writable(path, Path(path).name, [Path(path).name, _values(path)], _of_ours)


def _values(header: StrPath) -> str:
    return f"{Path(header).stem}.raw"


def _of_ours(header: Path) -> set[str]:
    """Returns the files of a volume by its header, none where another program wrote it."""
    with open(header, "rb") as file:
        text = file.read(_LONGEST_HEADER).decode("utf-8", "surrogateescape")
    fields = _fields(text.splitlines())
    if not fields.get(_COMMENT, "").startswith(_MARK):
        return set()
    return {header.name, fields.get(_LAST, header.name)}


@contextmanager
def _opened(path: StrPath) -> Iterator[tuple[Mapping[str, str], _Grid, Any]]:
    """Gives the fields of a file, what they say of the values, and the stream of these."""
    with open_regular(path, "a MetaImage file") as head:
        lines: list[str] = []
        while head.tell() < _LONGEST_HEADER and (line := head.readline(_LONGEST_HEADER)):
            lines.append(line.decode("utf-8", "surrogateescape").strip())
            if lines[-1].partition("=")[0].strip() == _LAST:
                break
        fields = _fields(lines)
        if not lines or "NDims" not in fields or _LAST not in fields:
            raise SampleError(
                expected="a MetaImage header, from NDims to ElementDataFile",
                found="an empty file" if not lines else "something else",
                remedy="get it again" if not lines else "convert it to MetaImage",
            )
        grid = _grid(fields)
        name = fields[_LAST]
        if name.upper() == "LOCAL":
            _check_size(head, head.tell(), grid)
            yield fields, grid, head
            return
        with open_regular(_beside(Path(path), name), f"the file {name} beside it") as values:
            skip = int(_number(fields.get("HeaderSize", "0")))
            if skip == -1:  # the values are what the file ends with
                size = os.fstat(values.fileno()).st_size
                skip = max(0, size - int(np.prod(grid.space)) * grid.dtype.itemsize)
            values.seek(max(0, skip))
            _check_size(values, max(0, skip), grid)
            yield fields, grid, values


def _fields(lines: list[str]) -> dict[str, str]:
    pairs = (line.partition("=") for line in lines if "=" in line)
    return {key.strip(): value.strip() for key, _, value in pairs}


def _check_size(file: Any, start: int, grid: _Grid) -> None:
    if not grid.packed:  # of what is compressed, the free memory is the limit
        check_bytes(file, start, grid.space, grid.dtype)


def _beside(header: Path, name: str) -> Path:
    """Returns the path of the file of values, which must be in the header's folder."""
    if not name or name.upper() == "LIST" or re.search(r"[%/\\\x00-\x1f ]", name) or name == "..":
        raise SampleError(
            expected="one file of values in the header's folder",
            found=f"{_LAST} = {name[:100]}",
            remedy="put them in one file there and correct the header",
        )
    return header.with_name(name)


def _grid(fields: Mapping[str, str]) -> _Grid:
    """Returns what the fields say of the values, after a check that they are one volume."""
    sizes = [int(size) for size in _numbers(fields, "DimSize", 0)]
    x, y, z, *rest = (*sizes, 1, 1, 1)[: max(3, len(sizes))]
    if (
        len(sizes) != _number(fields["NDims"])
        or min(sizes, default=0) < 1
        or max(rest, default=1) > 1
    ):
        raise SampleError(
            expected="one volume of three axes",
            found=f"DimSize = {fields.get('DimSize', 'none')[:60]}",
            remedy="save one channel or time of it by itself",
        )
    kind, channels = fields.get("ElementType", ""), fields.get("ElementNumberOfChannels", "1")
    if kind not in _TYPES or channels != "1" or not _truth(fields, "BinaryData", True):
        raise SampleError(
            expected=f"binary values of one channel, of {', '.join(_TYPES)}",
            found=f"{kind or 'no type'}, {channels} channels"[:80],
            remedy="convert it, for example with SimpleITK",
        )
    big = _truth(fields, "BinaryDataByteOrderMSB", False) or _truth(
        fields, "ElementByteOrderMSB", False
    )
    dtype = np.dtype(_TYPES[kind]).newbyteorder(">" if big else "<")
    affine = _affine(fields, len(sizes))
    check_affine(affine)
    return _Grid((x, y, z), dtype, affine, _truth(fields, "CompressedData", False))


def _affine(fields: Mapping[str, str], dims: int) -> Float64[np.ndarray, "4 4"]:
    """Returns the affine, in mm toward right, anterior and superior."""
    spacing = _first(fields, ("ElementSpacing", "ElementSize"), [1.0] * dims)
    origin = _first(fields, ("Offset", "Position", "Origin"), [0.0] * dims)
    turn = _first(
        fields, ("TransformMatrix", "Rotation", "Orientation"), np.eye(dims).ravel().tolist()
    )
    if (len(spacing), len(origin), len(turn)) != (dims, dims, dims * dims):
        raise SampleError(
            expected=f"{dims} numbers of spacing and offset, and {dims * dims} of the matrix",
            found=f"{len(spacing)}, {len(origin)} and {len(turn)}",
            remedy="correct the header",
        )
    affine, whole = np.eye(4), min(dims, 3)
    axes = np.reshape(turn, (dims, dims))[:whole, :whole]  # one axis after the other
    affine[:whole, :whole] = axes.T * np.array(spacing)[:whole]
    affine[:whole, 3] = origin[:whole]
    return np.asarray(_LPS_TO_RAS @ affine)


def _first(fields: Mapping[str, str], names: tuple[str, ...], default: list[float]) -> list[float]:
    return next((_numbers(fields, name, 0) for name in names if name in fields), default)


def _numbers(fields: Mapping[str, str], name: str, least: int) -> list[float]:
    values = fields.get(name, "").split()
    numbers = [_number(value) for value in values]
    if len(numbers) < least or not np.isfinite(numbers).all():
        raise SampleError(
            expected=f"finite numbers for {name}", found=fields[name][:60], remedy="correct it"
        )
    return numbers


def _number(text: str) -> float:
    try:
        return float(text)
    except ValueError as error:
        raise SampleError(
            expected="numbers in the header", found=text[:60], remedy="correct it"
        ) from error


def _truth(fields: Mapping[str, str], name: str, default: bool) -> bool:
    return fields.get(name, str(default)).strip()[:1].upper() in ("T", "1", "Y")


def _head(volume: Volume, dtype: np.dtype[Any], values: str, recipe: str | None) -> bytes:
    """Returns all that stands before the values."""
    source = volume.source if isinstance(volume.source, MetaSource) else None
    kept = dict(source.fields) if source else {}
    geometry = {name: text for name, text in kept.items() if name in _GEOMETRY}
    if (
        not source
        or source.space != volume.space
        or not np.array_equal(source.affine, volume.affine)
    ):
        geometry = _geometry(volume)
    said = "" if recipe is None else f": {' '.join(recipe.split())}"
    kinds = {dtype: name for name, dtype in reversed(_TYPES.items())}
    fields = {
        "ObjectType": "Image",
        "NDims": geometry.pop("NDims"),
        _COMMENT: f"{_MARK}{said}",
        "BinaryData": "True",
        "BinaryDataByteOrderMSB": "False",
        "CompressedData": "False",
        **geometry,
        **{name: text for name, text in kept.items() if name not in _WRITTEN},
        "ElementType": kinds[dtype.str[1:]],
        _LAST: values,
    }
    lines = "".join(f"{name} = {text}\n" for name, text in fields.items())
    return lines.encode("utf-8", "surrogateescape")


def _geometry(volume: Volume) -> dict[str, str]:
    affine = _LPS_TO_RAS @ volume.affine
    spacing = np.array(volume.spacing)
    return {
        "NDims": "3",
        "TransformMatrix": _text((affine[:3, :3] / spacing).T.ravel()),
        "Offset": _text(affine[:3, 3]),
        "CenterOfRotation": "0 0 0",
        "ElementSpacing": _text(spacing),
        "DimSize": " ".join(map(str, volume.space)),
    }


def _text(numbers: Float64[np.ndarray, " n"]) -> str:
    return " ".join(repr(float(number) + 0.0) for number in numbers)
