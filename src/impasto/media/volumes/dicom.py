"""DICOM: a series of images, read as one volume.

pydicom reads one file at a time. Ours is what it does not do: tell which files of a folder make
one series, put them in order, refuse slices that are missing, in one place or unlike the others,
and place the volume in space. `dicom_writer` writes the volume back as a derived series.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float64, Shaped

from impasto.errors import SampleError
from impasto.media.blocks import check_memory
from impasto.media.files import StrPath, unreadable
from impasto.media.volumes.dicom_folders import files_below, files_in, holds_dicom, without_copies
from impasto.media.volumes.dicom_headers import (
    SUFFIXES,
    Header,
    decoding_dicom,
    has_magic,
    headers_of,
    image_header,
    pydicom_library,
    read_dicom,
    refuse_other,
)
from impasto.media.volumes.volume import Volume, check_affine
from impasto.media.volumes.voxels import in_units

_FLOAT32 = np.dtype(np.float32)
LPS_TO_RAS = np.diag([-1.0, -1.0, 1.0, 1.0])

# How far a slice may lie from its place in an even row, in spacings: scanners round.
_UNEVEN = 0.1
_MOST_LISTED = 4


@dataclass(frozen=True)
class DicomSource:
    """The images of a series in the order of the volume's last axis, and its geometry.

    Attributes:
        images: pydicom's datasets, without their pixels.
        scalings: the slope and intercept of each; some scanners choose them slice by slice.
        affine, space: of the volume.
    """

    images: tuple[Any, ...]
    scalings: tuple[tuple[float, float], ...]
    affine: Float64[np.ndarray, "4 4"]
    space: tuple[int, ...]


class _Series(NamedTuple):
    """Images in the order of the volume's last axis."""

    headers: list[Header]
    affine: Float64[np.ndarray, "4 4"]

    @property
    def space(self) -> tuple[int, int, int]:
        return self.headers[0].columns, self.headers[0].rows, len(self.headers)


def is_dicom(path: StrPath) -> bool:
    """Whether a path is of a DICOM file, whatever its name, or of a folder with one in it.

    The file may lie deeper, where the folder holds no other files, as exports of archives do.
    """
    if os.path.isdir(path):
        try:
            return holds_dicom(Path(path))
        except OSError:
            return False
    return has_magic(Path(path))


def open_dicom(path: StrPath) -> Volume:
    """Reads a series of images.

    Slices are ordered by where they lie. Values are rescaled, each slice by its own slope and
    intercept; where those differ, the volume's type is float32. A tilted gantry gives an affine
    whose axes are not at right angles. Padding is a hole, and keeps its values. What is there twice
    is left out, and that is logged.

    Args:
        path: a folder that holds one series, in itself or below, or any file of a series, whose
            folder is then looked through. An enhanced image is a series in one file.

    Raises:
        SampleError: the folder holds several series, or one whose images are damaged or of colors,
            differ in size or orientation, or are not evenly spaced.
        MemoryLimitError: the values do not fit into the free memory.
        MissingExtraError: pydicom is not installed.
    """
    series = _series(Path(path))
    check_memory(series.space, series.headers[0].dtype)
    data = np.empty((1, *series.space), np.float32)
    holes = np.zeros(series.space, np.bool_)
    scalings = []
    pixels = _Pixels()
    for number, header in enumerate(series.headers):
        raw, image = pixels.of(header)
        scaling = _scaling(image, header.file.name)
        data[0, :, :, number] = in_units(_without_spare_bits(raw, image), *scaling).T
        holes[:, :, number] = _padding(raw, image).T
        scalings.append(scaling)
    first = series.headers[0]
    images = tuple(header.image for header in series.headers)
    alike = len(set(scalings)) == 1
    slope, intercept = scalings[0] if alike else (1.0, 0.0)
    return Volume(
        data=data,
        affine=series.affine,
        unit="HU" if first.hounsfield else "",
        dtype=first.dtype if alike else _FLOAT32,
        slope=slope,
        intercept=intercept,
        source=DicomSource(images, tuple(scalings), series.affine, series.space),
        holes=holes if holes.any() and not holes.all() else None,
    )


def dicom_grid(path: StrPath) -> tuple[int, tuple[int, ...]]:
    """Returns the channels and the space of what `open_dicom` would give, from the headers."""
    return 1, _series(Path(path)).space


def _series(path: Path) -> _Series:
    """Returns the series in a folder, or the one that a file belongs to."""
    try:
        if path.is_dir():
            chosen, files = None, files_below(path)
        else:
            chosen, files = image_header(path), files_in(path.parent)
    except OSError as error:
        raise unreadable("a DICOM series", error) from error
    series: dict[str, list[Header]] = {}
    others = set()
    for file in files:
        if not has_magic(file):
            if file.suffix.lower() in SUFFIXES:
                refuse_other(file)
            continue
        for header in headers_of(file):
            if header.other:
                others.add(header.other)
            else:
                series.setdefault(header.series, []).append(header)
    if chosen is not None:
        series = {chosen.series: series[chosen.series]}
    if not series:
        raise SampleError(
            expected="a folder of DICOM images",
            found=", ".join(sorted(others)[:_MOST_LISTED]) or "none",
            remedy="name another folder",
        )
    if len(series) > 1:
        folder = path if path.is_dir() else path.parent
        listed = [
            f"{images[0].description!r} ({len(images)}, such as "
            f"{images[0].file.relative_to(folder)})"
            for images in series.values()
        ]
        more = ["others"] if len(listed) > _MOST_LISTED else []
        raise SampleError(
            expected="one series",
            found=f"{len(series)}: {', '.join(listed[:_MOST_LISTED] + more)}",
            remedy="name a file of the one you want",
        )
    (images,) = series.values()
    return _ordered(images)


def _ordered(images: Sequence[Header]) -> _Series:
    """Returns the images in the order in which they lie, with the affine of their volume."""
    for image in images:
        _check_image(image)
        _check_alike(images[0], image)
    pixels = _Pixels()
    images = without_copies(images, lambda image: pixels.of(image)[0])
    first = images[0]
    along_row, along_column = np.array(first.orientation).reshape(2, 3)
    down, across = first.spacing
    normal = np.cross(along_row, along_column)
    images = sorted(images, key=lambda image: float(normal @ image.position))
    places = np.array([image.position for image in images])
    if len(images) > 1:
        step = (places[-1] - places[0]) / (len(images) - 1)
        _check_even(images, places, normal)
    else:
        step = normal * first.thickness
    affine = np.eye(4)
    affine[:3] = np.stack([along_row * across, along_column * down, step, places[0]], axis=1)
    affine = LPS_TO_RAS @ affine
    check_affine(affine)
    return _Series(list(images), affine)


def _check_image(image: Header) -> None:
    """Refuses images that are no slices of numbers somewhere in space."""
    name = image.file.name
    if image.table:
        raise SampleError(
            expected="a rescale slope and intercept",
            found=f"a lookup table in {name}",
            remedy="convert it to NIfTI",
        )
    place = {
        "ImagePositionPatient": image.position,
        "ImageOrientationPatient": image.orientation,
        "PixelSpacing": image.spacing,
    }
    if missing := [element for element, numbers in place.items() if not numbers]:
        raise SampleError(
            expected="images that say where they lie",
            found=f"{name} without {' and '.join(missing)}",
            remedy="name a series of slices",
        )
    counts = [len(numbers) for numbers in place.values()]
    if counts != [3, 6, 2] or not np.isfinite(np.concatenate([*place.values()])).all():
        raise SampleError(
            expected="a position, an orientation and a spacing of 3, 6 and 2 numbers",
            found=f"other counts, or infinite numbers, in {name}",
            remedy="get the file again",
        )
    if image.bytes > (size := image.file.stat().st_size):
        raise SampleError(
            expected=f"{image.bytes} bytes for {image.rows} x {image.columns} pixels in {name}",
            found=f"{size}",
            remedy="get it again",
        )


def _check_alike(first: Header, other: Header) -> None:
    for name in ("rows", "columns", "spacing", "orientation"):
        ours, theirs = getattr(first, name), getattr(other, name)
        if not np.allclose(ours, theirs, rtol=1e-4, atol=1e-4):
            raise SampleError(
                expected="images of one size, spacing and orientation",
                found=f"{name} {ours} in {first.file.name} and {theirs} in {other.file.name}",
                remedy="put those that belong together in a folder of their own",
            )


def _check_even(
    images: Sequence[Header],
    places: Float64[np.ndarray, "slice 3"],
    normal: Float64[np.ndarray, "3"],
) -> None:
    """Refuses two slices in one place, and a slice that is missing."""
    gaps = np.diff(places @ normal)
    usual = float(np.median(gaps))
    names = [image.file.name for image in images]
    if (same := np.flatnonzero(gaps <= 1e-3 * usual)).size:
        at = int(same[0])
        raise SampleError(
            expected="one image for each place",
            found=f"{len(same)} too many, such as {names[at + 1]} where {names[at]} is",
            remedy="put each volume in a folder of its own",
        )
    even = places[0] + np.linspace(0, 1, len(places))[:, None] * (places[-1] - places[0])
    away = np.linalg.norm(places - even, axis=1)
    if away.max() <= _UNEVEN * usual:
        return
    at = int(np.argmax(np.abs(gaps - usual)))
    if abs(gaps[at] - usual) > _UNEVEN * usual:
        uneven = f"{gaps[at]:g} mm from {names[at]} to {names[at + 1]}"
    else:
        uneven = f"{names[int(np.argmax(away))]} {away.max():g} mm beside it"
    raise SampleError(
        expected=f"slices {usual:g} mm apart in a straight line",
        found=uneven,
        remedy="add the slices that are missing, or take the others out",
    )


class _Pixels:
    """Reads the stored values of images; of a file of several frames, once for all of them."""

    def __init__(self) -> None:
        self._file: Path | None = None
        self._read: tuple[Shaped[np.ndarray, "..."], Any] | None = None

    def of(self, header: Header) -> tuple[Shaped[np.ndarray, "row column"], Any]:
        """Returns the stored values of an image, spare bits included, and its dataset."""
        if self._read is None or self._file != header.file:
            self._file, self._read = header.file, _decoded(header.file)
        values, image = self._read
        if header.frame is not None:
            values, image = values[header.frame], header.image
        if values.shape != (header.rows, header.columns):
            raise SampleError(
                expected=f"{header.rows} x {header.columns} pixels in {header.file.name}",
                found=f"an array of shape {values.shape}",
                remedy="get it again",
            )
        return values, image


def _decoded(file: Path) -> tuple[Shaped[np.ndarray, "..."], Any]:
    pydicom = pydicom_library()
    with decoding_dicom(file):
        image = read_dicom(file)
        if "PixelData" not in image:
            raise SampleError(
                expected="pixels", found=f"none in {file.name}", remedy="get it again"
            )
        _check_decoder(pydicom, image, file.name)
        return image.pixel_array, image


def _scaling(image: Any, name: str) -> tuple[float, float]:
    """Returns the slope and the intercept of an image."""
    slope = float(image.get("RescaleSlope", 1.0))
    intercept = float(image.get("RescaleIntercept", 0.0))
    if not slope or not np.isfinite([slope, intercept]).all():
        raise SampleError(
            expected="a finite rescale slope other than 0 and a finite intercept",
            found=f"{slope:g} and {intercept:g} in {name}",
            remedy="get it again",
        )
    return slope, intercept


def _padding(raw: Shaped[np.ndarray, "row column"], image: Any) -> Bool[np.ndarray, "row column"]:
    """Returns where the stored values are those that the image says stand for no value."""
    padding, limit = image.get("PixelPaddingValue"), image.get("PixelPaddingRangeLimit")
    try:
        low, high = sorted((int(padding), int(padding if limit is None else limit)))
    except (TypeError, ValueError):  # none, or no number
        return np.zeros(raw.shape, np.bool_)
    return (raw >= low) & (raw <= high)


def _check_decoder(pydicom: Any, image: Any, name: str) -> None:
    """Refuses pixels that nothing which is installed can decode."""
    syntax = image.file_meta.TransferSyntaxUID
    if not pydicom.pixels.get_decoder(syntax).is_available:
        raise SampleError(
            expected="pixels that can be decoded",
            found=f"{syntax.name} in {name}, for which there is no decoder",
            remedy="run: pip install 'pylibjpeg[all]', or decompress it with dcmdjpeg",
        )


def _without_spare_bits(values: Shaped[np.ndarray, "row column"], image: Any) -> Any:
    """Clears the bits above those that count, where anything may stand, such as overlays."""
    spare = image.BitsAllocated - image.BitsStored
    if not spare or values.dtype.itemsize * 8 != image.BitsAllocated:
        return values
    return values << spare >> spare
