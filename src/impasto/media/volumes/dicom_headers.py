"""DICOM files one by one: which are images, and what their headers say."""

from __future__ import annotations

import os
import stat
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from impasto.errors import SampleError
from impasto.media.coding import decoding
from impasto.media.files import open_regular
from impasto.system.libraries import library

SUFFIXES = (".dcm",)

_HEADER = (
    "SOPClassUID",
    "SOPInstanceUID",
    "SeriesInstanceUID",
    "SeriesDescription",
    "Modality",
    "NumberOfFrames",
    "SamplesPerPixel",
    "Rows",
    "Columns",
    "BitsAllocated",
    "BitsStored",
    "PixelRepresentation",
    "PixelSpacing",
    "ImagePositionPatient",
    "ImageOrientationPatient",
    "SpacingBetweenSlices",
    "SliceThickness",
    "RescaleType",
    "ModalityLUTSequence",
)
_DIRECTORY = "1.2.840.10008.1.3.10"
_FLOAT32 = np.dtype(np.float32)


class Header(NamedTuple):
    """What matters of a file's header.

    kind: what it holds, in words; "" for an image of one frame and one value a pixel. position,
    orientation, spacing: numbers, none where it has none. bytes: of its pixels, 0 if compressed.
    """

    file: Path
    kind: str = ""
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
    """The type of an image's stored values."""
    kind = "i" if header.PixelRepresentation else "u"
    return np.dtype(f"{kind}{header.BitsAllocated // 8}")


def pydicom_library() -> Any:
    return library("pydicom", "for DICOM files", "volumes")


def files_in(folder: Path) -> list[Path]:
    """The regular files in a folder, by name."""
    with os.scandir(folder) as entries:
        return sorted(Path(entry.path) for entry in entries if entry.is_file())


def has_magic(file: Path) -> bool:
    try:
        if not stat.S_ISREG(os.stat(file).st_mode):
            return False
        with open(file, "rb") as opened:
            return opened.read(132)[128:] == b"DICM"
    except OSError:
        return False


def refuse_other(file: Path) -> None:
    """Raises what is wrong with a file that should be DICOM by its name."""
    with open_regular(file, f"DICOM in {file.name}") as opened:
        empty = not opened.read(1)
    raise SampleError(
        expected=f"DICOM in {file.name}",
        found="an empty file" if empty else "another file, or one without its preamble",
        remedy="get it again" if empty else "convert it to DICOM's file format, or take it out",
    )


def image_header(file: Path) -> Header:
    """The header of a file that must be a single-frame image of numbers."""
    with open_regular(file, "a DICOM file"):
        pass
    if not has_magic(file):
        refuse_other(file)
    header = header_of(file)
    if header.kind:
        raise SampleError(
            expected="an image of one frame and one value a pixel",
            found=header.kind,
            remedy="name a folder or a file of a series of slices",
        )
    return header


def header_of(file: Path) -> Header:
    pydicom = pydicom_library()
    with decoding_dicom(file):
        found = pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(_HEADER))
        if kind := _kind(found):
            return Header(file, kind)
        thickness = found.get("SpacingBetweenSlices") or found.get("SliceThickness") or 1.0
        syntax = found.file_meta.get("TransferSyntaxUID")
        plain = syntax is not None and syntax.is_transfer_syntax and not syntax.is_compressed
        rescaled = found.get("RescaleType") or "HU"
        return Header(
            file=file,
            series=str(found.SeriesInstanceUID),
            description=str(found.get("SeriesDescription", "")),
            rows=int(found.Rows),
            columns=int(found.Columns),
            dtype=stored_dtype(found),
            position=_numbers(found.get("ImagePositionPatient")),
            orientation=_numbers(found.get("ImageOrientationPatient")),
            spacing=_numbers(found.get("PixelSpacing")),
            thickness=abs(float(thickness)),
            hounsfield=found.get("Modality") == "CT" and rescaled == "HU",
            table="ModalityLUTSequence" in found,
            bytes=int(found.Rows * found.Columns * found.BitsAllocated // 8) if plain else 0,
        )


def _kind(found: Any) -> str:
    """What a file holds, in words; "" for an image of one frame and one value a pixel."""
    uid = found.get("SOPClassUID") or found.file_meta.get("MediaStorageSOPClassUID")
    if uid == _DIRECTORY:
        return "a DICOMDIR, which lists other files"
    name = str(getattr(uid, "name", "no kind of object"))[:64]
    if not (found.get("Rows") and found.get("Columns")):
        return f"no pixels ({name})"
    if not all(found.get(f"{what}UID") for what in ("SOPClass", "SOPInstance", "SeriesInstance")):
        return f"no UIDs ({name})"
    if found.get("SamplesPerPixel", 1) != 1:
        return f"colors ({name})"
    if int(found.get("NumberOfFrames") or 1) > 1:
        return f"{found.NumberOfFrames} frames ({name})"
    bits = found.get("BitsAllocated"), found.get("BitsStored"), found.get("PixelRepresentation")
    if bits[0] in (8, 16, 32) and bits[1] in range(1, bits[0] + 1) and bits[2] in (0, 1):
        return ""
    return f"{bits[1]} of {bits[0]} bits ({name})"


def _numbers(value: Any) -> tuple[float, ...]:
    return () if value is None else tuple(map(float, np.atleast_1d(value)))


def decoding_dicom(file: Path) -> AbstractContextManager[None]:
    """What damaged files make pydicom raise, as one error."""
    return decoding(f"a DICOM file whole to its end in {file.name}", "pydicom")
