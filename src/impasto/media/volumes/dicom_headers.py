"""DICOM files one by one: which are images, and what their headers say."""

from __future__ import annotations

import os
import stat
from contextlib import AbstractContextManager
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from impasto.errors import SampleError
from impasto.media.coding import decoding
from impasto.media.files import open_regular
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
        other: what the file holds, in words, where it is no image of one frame and one value a
            pixel; else "".
        series: the UID of its series.
        description: of the series.
        rows, columns: of its pixels.
        dtype: of its stored values.
        position, orientation, spacing: DICOM's numbers; none where it has none.
        thickness: from this slice to the next, in mm.
        hounsfield: whether rescaled values are in HU.
        table: whether a lookup table rescales them.
        bytes: that its pixels take, 0 if they are compressed.
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


def stored_dtype(header: Any) -> np.dtype[Any]:
    """Returns the type of an image's stored values."""
    sign = "i" if header.PixelRepresentation else "u"
    return np.dtype(f"{sign}{header.BitsAllocated // 8}")


def files_in(folder: Path) -> list[Path]:
    """Returns the regular files in a folder, by name."""
    with os.scandir(folder) as entries:
        return sorted(Path(entry.path) for entry in entries if entry.is_file())


def has_magic(file: Path) -> bool:
    """Whether a file begins as a DICOM file does."""
    try:
        if not stat.S_ISREG(os.stat(file).st_mode):
            return False
        with open(file, "rb") as opened:
            return opened.read(132)[128:] == b"DICM"
    except OSError:
        return False


def refuse_other(file: Path) -> None:
    """Says what is wrong with a file that is DICOM by its name but not by its beginning.

    Raises:
        SampleError: always.
    """
    with open_regular(file, f"DICOM in {file.name}") as opened:
        empty = not opened.read(1)
    raise SampleError(
        expected=f"DICOM in {file.name}",
        found="an empty file" if empty else "another file, or one without its preamble",
        remedy="get it again" if empty else "convert it to DICOM's file format, or take it out",
    )


def image_header(file: Path) -> Header:
    """Reads the header of a file that must be an image of one frame and one value a pixel.

    Raises:
        SampleError: the file is something else.
    """
    with open_regular(file, "a DICOM file"):
        pass
    if not has_magic(file):
        refuse_other(file)
    header = header_of(file)
    if header.other:
        raise SampleError(
            expected="an image of one frame and one value a pixel",
            found=header.other,
            remedy="name a folder or a file of a series of slices",
        )
    return header


def header_of(file: Path) -> Header:
    """Reads the header of a DICOM file.

    Raises:
        SampleError: the file is damaged.
    """
    pydicom = pydicom_library()
    with decoding_dicom(file):
        header = pydicom.dcmread(file, stop_before_pixels=True)
        if other := _other(header):
            return Header(file, header, other)
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
    """Returns what a file holds that is no image of one frame and one value a pixel, else ""."""
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
    if int(header.get("NumberOfFrames") or 1) > 1:
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
