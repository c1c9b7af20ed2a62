"""DICOM files one by one: which are images, and what their headers say."""

from __future__ import annotations

import os
import re
import stat
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from impasto.errors import SampleError
from impasto.media.coding import decoding
from impasto.media.files import open_regular
from impasto.media.volumes.dicom_frames import frames_of, has_frames
from impasto.system.libraries import library

pydicom_library = partial(library, "pydicom", "for DICOM files", "volumes")

SUFFIXES = (".dcm",)

_DIRECTORY = "1.2.840.10008.1.3.10"
_FLOAT32 = np.dtype(np.float32)


class Header(NamedTuple):
    """What matters of a file's header.

    Attributes:
        file: its path.
        image: pydicom's dataset, without the pixels.
        other: what the file holds, in words, where it is no image of one value a pixel, or has
            frames without places; else "".
        series: the UID of its series.
        description: of the series.
        rows, columns: of its pixels.
        dtype: of its stored values.
        position, orientation, spacing: DICOM's numbers; none where it has none.
        thickness: from this slice to the next, in mm.
        hounsfield: whether rescaled values are in HU.
        table: whether a lookup table rescales them.
        bytes: that its pixels take, 0 if they are compressed.
        frame: its number among several frames of the file, from 0; None where it is the only one.
    """

    file: Path
    image: Any
    other: str = ""
    series: str = ""
    description: str = ""
    rows: int = 0
    columns: int = 0
    dtype: np.dtype[Any] = _FLOAT32
    position: tuple[float, ...] = ()
    orientation: tuple[float, ...] = ()
    spacing: tuple[float, ...] = ()
    thickness: float = 1.0
    hounsfield: bool = False
    table: bool = False
    bytes: int = 0
    frame: int | None = None


def stored_dtype(header: Any) -> np.dtype[Any]:
    """Returns the type of an image's stored values."""
    sign = "i" if header.PixelRepresentation else "u"
    return np.dtype(f"{sign}{header.BitsAllocated // 8}")


def has_magic(file: Path) -> bool:
    """Whether a file begins as a DICOM file does, with its preamble or without."""
    try:
        if not stat.S_ISREG(os.stat(file).st_mode):
            return False
        with open(file, "rb") as opened:
            head = opened.read(132)
    except OSError:
        return False
    return head[128:] == b"DICM" or _begins_with_element(head)


def _begins_with_element(head: bytes) -> bool:
    """Whether the first bytes are an element, as in files that were written without a preamble.

    The first element is of the group 2 or 8, in either form of little endian.
    """
    if head[:2] not in (b"\x02\0", b"\x08\0") or head[3:4] != b"\0" or len(head) < 132:
        return False
    explicit = re.match(rb"UL\x04\0|(?:CS|UI|DA|TM|LO|SH|DT)[^\0]\0", head[4:8])
    implicit = head[5:8] == b"\0\0\0" and 0 < head[4] <= 64 and head[4] % 2 == 0
    return explicit is not None or implicit


def read_dicom(file: Path, **options: Any) -> Any:
    """Reads a file by pydicom; where it says nothing of its encoding, that which was found.

    Args:
        file: its path.
        options: of pydicom.dcmread.
    """
    pydicom = pydicom_library()
    dataset = pydicom.dcmread(file, force=has_magic(file), **options)
    if "TransferSyntaxUID" not in dataset.file_meta:
        implicit, little = dataset.original_encoding
        name = f"{'Implicit' if implicit else 'Explicit'}VR{'Little' if little else 'Big'}Endian"
        dataset.file_meta.TransferSyntaxUID = getattr(pydicom.uid, name)
    return dataset


def refuse_other(file: Path) -> None:
    """Says what is wrong with a file that is DICOM by its name but not by its beginning.

    Raises:
        SampleError: always.
    """
    with open_regular(file, f"DICOM in {file.name}") as opened:
        empty = not opened.read(1)
    raise SampleError(
        expected=f"DICOM in {file.name}",
        found="an empty file" if empty else "another file",
        remedy="get it again" if empty else "convert it to DICOM's file format, or take it out",
    )


def image_header(file: Path) -> Header:
    """Reads the header of a file that must be an image of one value a pixel.

    Raises:
        SampleError: the file is something else.
    """
    with open_regular(file, "a DICOM file"):
        pass
    if not has_magic(file):
        refuse_other(file)
    header = headers_of(file)[0]
    if header.other:
        raise SampleError(
            expected="an image of one value a pixel",
            found=header.other,
            remedy="name a folder or a file of a series of slices",
        )
    return header


def headers_of(file: Path) -> list[Header]:
    """Reads the header of a DICOM file: one, or that of each of its frames.

    Raises:
        SampleError: the file is damaged.
    """
    with decoding_dicom(file):
        header = read_dicom(file, stop_before_pixels=True)
        if other := _other(header):
            return [Header(file, header, other)]
        if not has_frames(header):
            return [_header(file, header)]
        return [
            _header(file, each)._replace(frame=number)
            for number, each in enumerate(frames_of(header))
        ]


def _header(file: Path, header: Any) -> Header:
    thickness = header.get("SpacingBetweenSlices") or header.get("SliceThickness") or 1.0
    syntax = header.file_meta.get("TransferSyntaxUID")
    plain = syntax is not None and syntax.is_transfer_syntax and not syntax.is_compressed
    rescaled = header.get("RescaleType") or "HU"
    return Header(
        file=file,
        image=header,
        series=str(header.SeriesInstanceUID),
        description=str(header.get("SeriesDescription", "")),
        rows=int(header.Rows),
        columns=int(header.Columns),
        dtype=stored_dtype(header),
        position=_numbers(header.get("ImagePositionPatient")),
        orientation=_numbers(header.get("ImageOrientationPatient")),
        spacing=_numbers(header.get("PixelSpacing")),
        thickness=abs(float(thickness)),
        hounsfield=header.get("Modality") == "CT" and rescaled == "HU",
        table="ModalityLUTSequence" in header,
        bytes=int(header.Rows * header.Columns * header.BitsAllocated // 8) if plain else 0,
    )


def _other(header: Any) -> str:
    """Returns what a file holds that is no image as `Header` has it, else ""."""
    uid = header.get("SOPClassUID") or header.file_meta.get("MediaStorageSOPClassUID")
    if uid == _DIRECTORY:
        return "a DICOMDIR, which lists other files"
    name = str(getattr(uid, "name", "no kind of object"))[:64]
    if not (header.get("Rows") and header.get("Columns")):
        return f"no pixels ({name})"
    if not all(header.get(f"{what}UID") for what in ("SOPClass", "SOPInstance", "SeriesInstance")):
        return f"no UIDs ({name})"
    if header.get("SamplesPerPixel", 1) != 1:
        return f"colors ({name})"
    if int(header.get("NumberOfFrames") or 1) > 1 and not has_frames(header):
        return f"{header.NumberOfFrames} frames ({name})"
    bits = header.get("BitsAllocated"), header.get("BitsStored"), header.get("PixelRepresentation")
    if bits[0] in (8, 16, 32) and bits[1] in range(1, bits[0] + 1) and bits[2] in (0, 1):
        return ""
    return f"{bits[1]} of {bits[0]} bits ({name})"


def _numbers(value: Any) -> tuple[float, ...]:
    return () if value is None else tuple(map(float, np.atleast_1d(value)))


def decoding_dicom(file: Path) -> AbstractContextManager[None]:
    """Turns what pydicom raises on a damaged file into one SampleError."""
    return decoding(f"a DICOM file whole to its end in {file.name}", "pydicom")
