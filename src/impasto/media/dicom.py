"""DICOM: a series of single-frame images as one volume.

`dicom_writer` writes it back as a derived series.
"""

from __future__ import annotations

import io
import os
import stat
import warnings
import zlib
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Shaped

from impasto.errors import ImpastoError, SampleError, about
from impasto.media.blocks import New, in_memory
from impasto.media.files import StrPath, open_regular, unreadable
from impasto.media.sample import check_own_space
from impasto.media.volume import Volume, check_affine, library
from impasto.media.voxels import in_units

SUFFIXES = (".dcm",)

LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])

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
    "RescaleSlope",
    "RescaleIntercept",
    "RescaleType",
    "ModalityLUTSequence",
)
_DIRECTORY = "1.2.840.10008.1.3.10"
# How far a slice may lie from where even spacing would have it, in spacings: scanners round.
_UNEVEN = 0.1
_MOST_LISTED = 4


class Slice(NamedTuple):
    """What an image says beside its pixels.

    header: the file without its pixels and private elements, compressed by zlib. Those elements
    belong to the maker of a scanner, and nobody else knows which of them speak of the pixels.
    slope, intercept: of its own; some scanners choose them slice by slice.
    """

    header: bytes
    slope: float
    intercept: float


@dataclass(frozen=True)
class DicomSource:
    """The images of a series in the order of the volume's last axis, and its geometry."""

    slices: tuple[Slice, ...]
    affine: Float64[np.ndarray, "4 4"]
    space: tuple[int, ...]


class _Series(NamedTuple):
    """Images in the order of the volume's last axis: their files and what their headers say."""

    paths: list[Path]
    headers: list[Any]
    affine: Float64[np.ndarray, "4 4"]

    @property
    def space(self) -> tuple[int, int, int]:
        return int(self.headers[0].Columns), int(self.headers[0].Rows), len(self.paths)


def is_dicom(path: StrPath) -> bool:
    """Whether it is a DICOM file, whatever its name, or a folder with one in it."""
    if os.path.isdir(path):
        try:
            return any(_has_magic(file) for file in _files(Path(path)))
        except OSError:
            return False
    return _has_magic(Path(path))


def open_dicom(path: StrPath, size: tuple[int, ...] = (0,), new: New = in_memory) -> Volume:
    """Reads a series: a folder that holds one, or any file of it, whose folder is looked through.

    Slices are ordered by where they lie. Values are rescaled, each slice by its own slope and
    intercept; where those differ, the volume's type is float32. A tilted gantry gives an affine
    whose axes are not at right angles.
    size: (0,), or what the series has; volumes are not resized. new: makes the array of shape
    (1, column, row, slice); beside it, reading takes an image of memory, and the headers.
    Raises SampleError when the folder holds several series, or one whose images are damaged, no
    single-frame images of one value a pixel, not of one size and orientation, or not evenly
    spaced; ConfigError when size is another; MissingExtraError without pydicom.
    """
    with about(os.fspath(path)):
        series = _series(Path(path))
        check_own_space(series.space, size, "a volume")
        data = new((1, *series.space))
        slices = []
        for number, file in enumerate(series.paths):
            values, found = _read(file)
            data[0, :, :, number] = in_units(values, found.slope, found.intercept).T
            slices.append(found)
        first = series.headers[0]
        scalings = {(found.slope, found.intercept) for found in slices}
        one = len(scalings) == 1
        slope, intercept = scalings.pop() if one else (1.0, 0.0)
        return Volume(
            data=data,
            affine=series.affine,
            unit="HU" if _in_hounsfield(first) else "",
            dtype=stored_dtype(first) if one else np.dtype(np.float32),
            slope=slope,
            intercept=intercept,
            source=DicomSource(tuple(slices), series.affine, series.space),
        )


def dicom_grid(path: StrPath, size: tuple[int, ...] = (0,)) -> tuple[int, tuple[int, ...]]:
    """The channels and the space that `open_dicom` would give, from the headers alone."""
    with about(os.fspath(path)):
        series = _series(Path(path))
        check_own_space(series.space, size, "a volume")
        return 1, series.space


def stored_dtype(header: Any) -> np.dtype[Any]:
    """The type of an image's stored values."""
    kind = "i" if header.PixelRepresentation else "u"
    return np.dtype(f"{kind}{header.BitsAllocated // 8}")


def pydicom_library() -> Any:
    return library("pydicom", "for DICOM files")


def _series(path: Path) -> _Series:
    """The series in a folder, or that a file belongs to."""
    try:
        if path.is_dir():
            chosen, files = None, _files(path)
        else:
            chosen, files = _image(path), _files(path.parent)
    except OSError as error:
        raise unreadable("a DICOM series", error) from error
    found: dict[str, list[tuple[Path, Any]]] = {}
    others = []
    for file in files:
        if not _has_magic(file):
            if file.suffix.lower() in SUFFIXES:
                _refuse_other(file)
            continue
        header = _header(file)
        if _is_image(header):
            found.setdefault(header.SeriesInstanceUID, []).append((file, header))
        else:
            others.append(_kind(header))
    if chosen is not None:
        found = {chosen.SeriesInstanceUID: found[chosen.SeriesInstanceUID]}
    if not found:
        raise SampleError(
            expected="a folder of DICOM images",
            found=", ".join(sorted(set(others))[:_MOST_LISTED]) or "none",
            remedy="name another folder",
        )
    if len(found) > 1:
        listed = [
            f"{str(images[0][1].get('SeriesDescription', ''))!r} ({len(images)}, such as "
            f"{images[0][0].name})"
            for images in found.values()
        ]
        more = ["others"] if len(listed) > _MOST_LISTED else []
        raise SampleError(
            expected="one series",
            found=f"{len(found)}: {', '.join(listed[:_MOST_LISTED] + more)}",
            remedy="name a file of the one you want",
        )
    (images,) = found.values()
    return _ordered(images)


def _ordered(images: Sequence[tuple[Path, Any]]) -> _Series:
    """The images in the order in which they lie, and the affine of the volume they make."""
    for file, header in images:
        _check_image(file, header)
    _check_alike(images)
    first = images[0][1]
    along_row, along_column = np.array(first.ImageOrientationPatient, np.float64).reshape(2, 3)
    down, across = map(float, first.PixelSpacing)
    normal = np.cross(along_row, along_column)
    images = sorted(images, key=lambda image: float(normal @ _position(image[1])))
    places = np.array([_position(header) for _, header in images])
    if len(images) > 1:
        step = (places[-1] - places[0]) / (len(images) - 1)
        _check_even(images, places, normal)
    else:
        thickness = first.get("SpacingBetweenSlices") or first.get("SliceThickness") or 1.0
        step = normal * abs(float(thickness))
    affine = np.eye(4)
    affine[:3] = np.stack([along_row * across, along_column * down, step, places[0]], axis=1)
    affine = LPS_TO_RAS @ affine
    check_affine(affine)
    return _Series([file for file, _ in images], [header for _, header in images], affine)


def _check_image(file: Path, header: Any) -> None:
    """Refuses images that are no slices of numbers somewhere in space."""
    if "ModalityLUTSequence" in header:
        raise SampleError(
            expected="a rescale slope and intercept",
            found=f"a lookup table in {file.name}",
            remedy="convert it to NIfTI",
        )
    missing = [
        name
        for name in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing")
        if not header.get(name)
    ]
    if missing:
        raise SampleError(
            expected="images that say where they lie",
            found=f"{file.name} without {' and '.join(missing)}",
            remedy="name a series of slices",
        )
    values = (*_position(header), *header.ImageOrientationPatient, *header.PixelSpacing)
    if len(values) != 11 or not np.isfinite(np.array(values, np.float64)).all():
        raise SampleError(
            expected="a position, an orientation and a spacing of 3, 6 and 2 numbers",
            found=f"others in {file.name}",
            remedy="get the file again",
        )


def _check_alike(images: Sequence[tuple[Path, Any]]) -> None:
    first_file, first = images[0]
    for file, header in images[1:]:
        for name, digits in (
            ("Rows", 0),
            ("Columns", 0),
            ("PixelSpacing", 1e-4),
            ("ImageOrientationPatient", 1e-4),
        ):
            ours, theirs = np.array(first[name].value, float), np.array(header[name].value, float)
            if not np.allclose(ours, theirs, rtol=digits, atol=digits):
                raise SampleError(
                    expected="images of one size, spacing and orientation",
                    found=f"{name} {first[name].value} in {first_file.name} and "
                    f"{header[name].value} in {file.name}",
                    remedy="put those that belong together in a folder of their own",
                )


def _check_even(
    images: Sequence[tuple[Path, Any]],
    places: Float64[np.ndarray, "slice 3"],
    normal: Float64[np.ndarray, "3"],
) -> None:
    """Refuses two slices in one place, and a slice that is missing."""
    gaps = np.diff(places @ normal)
    usual = float(np.median(gaps))
    names = [file.name for file, _ in images]
    if (same := np.flatnonzero(gaps <= 1e-3 * usual)).size:
        at = int(same[0])
        raise SampleError(
            expected="one image for each place",
            found=f"{len(same)} too many, such as {names[at + 1]} where {names[at]} is",
            remedy="put each volume in a folder of its own",
        )
    even = places[0] + np.linspace(0, 1, len(places))[:, None] * (places[-1] - places[0])
    if np.linalg.norm(places - even, axis=1).max() > _UNEVEN * usual:
        at = int(np.argmax(np.abs(gaps - usual)))
        raise SampleError(
            expected=f"slices {usual:g} mm apart",
            found=f"{gaps[at]:g} mm from {names[at]} to {names[at + 1]}",
            remedy="add the slices that are missing, or take the others out",
        )


def _read(file: Path) -> tuple[Shaped[np.ndarray, "row column"], Slice]:
    """The stored values of an image, and all else that it says."""
    pydicom = pydicom_library()
    with _decoding(file):
        image = pydicom.dcmread(file)
        if "PixelData" not in image:
            raise SampleError(
                expected="pixels", found=f"none in {file.name}", remedy="get it again"
            )
        values = _without_spare_bits(image.pixel_array, image)
        slope = float(image.get("RescaleSlope", 1.0))
        intercept = float(image.get("RescaleIntercept", 0.0))
        if not slope or not np.isfinite([slope, intercept]).all():
            raise SampleError(
                expected="a finite rescale slope other than 0 and a finite intercept",
                found=f"{slope:g} and {intercept:g} in {file.name}",
                remedy="get it again",
            )
        del image.PixelData
        image.remove_private_tags()
        header = io.BytesIO()
        pydicom.dcmwrite(header, image)
        return values, Slice(zlib.compress(header.getvalue(), 1), slope, intercept)


def _without_spare_bits(values: Shaped[np.ndarray, "row column"], image: Any) -> Any:
    """Values of the bits that count; above them may stand anything, such as overlays."""
    spare = image.BitsAllocated - image.BitsStored
    if not spare or values.dtype.itemsize * 8 != image.BitsAllocated:
        return values
    return values << spare >> spare


def _files(folder: Path) -> list[Path]:
    """The regular files in a folder, by name."""
    with os.scandir(folder) as entries:
        return sorted(Path(entry.path) for entry in entries if entry.is_file())


def _has_magic(file: Path) -> bool:
    try:
        if not stat.S_ISREG(os.stat(file).st_mode):
            return False
        with open(file, "rb") as opened:
            return opened.read(132)[128:] == b"DICM"
    except OSError:
        return False


def _refuse_other(file: Path) -> None:
    """Raises what is wrong with a file that should be DICOM by its name."""
    with open_regular(file, f"DICOM in {file.name}") as opened:
        empty = not opened.read(1)
    raise SampleError(
        expected=f"DICOM in {file.name}",
        found="an empty file" if empty else "another file, or one without its preamble",
        remedy="get it again" if empty else "convert it to DICOM's file format, or take it out",
    )


def _header(file: Path) -> Any:
    pydicom = pydicom_library()
    with _decoding(file):
        return pydicom.dcmread(file, stop_before_pixels=True, specific_tags=list(_HEADER))


def _image(file: Path) -> Any:
    """The header of a file that must be a single-frame image of numbers."""
    with open_regular(file, "a DICOM file"):
        pass
    if not _has_magic(file):
        _refuse_other(file)
    header = _header(file)
    if not _is_image(header):
        raise SampleError(
            expected="an image of one frame and one value a pixel",
            found=_kind(header),
            remedy="name a folder or a file of a series of slices",
        )
    return header


def _is_image(header: Any) -> bool:
    return (
        all(header.get(name) for name in ("Rows", "Columns", "SeriesInstanceUID"))
        and header.get("SamplesPerPixel", 1) == 1
        and int(header.get("NumberOfFrames") or 1) == 1
        and header.get("BitsAllocated") in (8, 16, 32)
        and 0 < header.get("BitsStored", 0) <= header.BitsAllocated
        and header.get("PixelRepresentation") in (0, 1)
    )


def _kind(header: Any) -> str:
    """What a file holds that is no such image, in words."""
    meta = getattr(header, "file_meta", {})
    uid = header.get("SOPClassUID") or meta.get("MediaStorageSOPClassUID")
    if uid == _DIRECTORY:
        return "a DICOMDIR, which lists other files"
    name = str(getattr(uid, "name", "no kind of object"))
    if header.get("SamplesPerPixel", 1) != 1:
        return f"colors ({name})"
    if int(header.get("NumberOfFrames") or 1) > 1:
        return f"{header.NumberOfFrames} frames ({name})"
    return name


def _in_hounsfield(header: Any) -> bool:
    return header.get("Modality") == "CT" and header.get("RescaleType", "HU") in ("HU", "", None)


def _position(header: Any) -> Float64[np.ndarray, "3"]:
    return np.array(header.ImagePositionPatient, np.float64)


@contextmanager
def _decoding(file: Path) -> Iterator[None]:
    """What damaged files make pydicom raise, which is anything, as one error."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ImpastoError:
        raise
    except Exception as error:
        says = " ".join(str(error).split()) or type(error).__name__
        missing = "missing dependencies" in says
        raise SampleError(
            expected=f"pixels that can be decoded in {file.name}"
            if missing
            else f"a DICOM file whole to its end in {file.name}",
            found=f"that pydicom says: {says[:120]}",
            remedy="run: pip install 'pylibjpeg[all]', or decompress it with dcmdjpeg"
            if missing
            else "get it again",
        ) from error
