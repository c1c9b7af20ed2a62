"""Synthetic DICOM series."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
from pydicom.data import get_testdata_file

AXIAL = (1.0, 0.0, 0.0, 0.0, 1.0, 0.0)
TILTED = (0.0, 1.0, 0.0, 0.0, 0.0, -1.0)


def ct_small() -> Any:
    """A real CT image, of a General Electric scanner, which pydicom brings with it."""
    return pydicom.dcmread(str(get_testdata_file("CT_small.dcm")))


def stored_values(count: int, rows: int = 10, columns: int = 12, seed: int = 0) -> np.ndarray:
    """Values of (slice, row, column) within 12 bits, int16."""
    return np.random.default_rng(seed).integers(0, 4096, (count, rows, columns), dtype=np.int16)


def image(values: np.ndarray, position: Iterable[float], **elements: Any) -> Any:
    """A CT image like the real one, with these stored values at that position.

    elements: others by their keywords; None leaves one out.
    """
    made = ct_small()
    made.SOPInstanceUID = pydicom.uid.generate_uid()
    made.file_meta.MediaStorageSOPInstanceUID = made.SOPInstanceUID
    made.Rows, made.Columns = values.shape
    made.PixelData = values.tobytes()
    made.PixelSpacing = [0.75, 0.5]
    made.ImagePositionPatient = [f"{value:.10g}" for value in position]
    made.ImageOrientationPatient = list(AXIAL)
    made.SeriesDescription = "Thorax"
    for name, value in elements.items():
        if value is None:
            delattr(made, name)
        else:
            setattr(made, name, value)
    return made


def series(folder: Path, values: np.ndarray, step: float = 2.5, **elements: Any) -> Path:
    """A folder of images along z, whose names say nothing about their order."""
    folder.mkdir(exist_ok=True)
    uid = pydicom.uid.generate_uid()
    elements = {"SeriesInstanceUID": uid} | elements
    for number, plane in enumerate(values):
        made = image(plane, (-30, -40, -100 + step * number), **elements)
        made.InstanceNumber = len(values) - number
        made.save_as(folder / f"IM{(7 * number) % 101:03d}")
    return folder


def in_order(folder: Path) -> list[Any]:
    """The images in a folder by their place along z."""
    images = [pydicom.dcmread(file) for file in folder.iterdir()]
    return sorted(images, key=lambda image: float(image.ImagePositionPatient[2]))
