"""Folders of DICOM files: which files there are, and which images are there twice."""

from __future__ import annotations

import filecmp
import logging
import os
from collections.abc import Callable, Iterator, Sequence
from itertools import islice
from pathlib import Path

import numpy as np
from jaxtyping import Shaped

from impasto.media.volumes.dicom_headers import Header, has_magic

logger = logging.getLogger(__name__)

_MOST_LOOKED_AT = 2000
_BESIDE = (".txt", ".htm", ".html", ".xml", ".inf", ".exe", ".pdf", ".ini")
"""What exports of archives have beside the folders of their images."""


def files_in(folder: Path) -> list[Path]:
    """Returns the regular files in a folder, by name."""
    with os.scandir(folder) as entries:
        return sorted(Path(entry.path) for entry in entries if entry.is_file())


def files_below(folder: Path) -> list[Path]:
    """Returns the files in a folder; where none of them is an image, those in its folders."""
    own = files_in(folder)
    if any(map(has_magic, _without_directory(own))) or not _may_be_export(own):
        return own
    return sorted(_files_in_folders(folder))


def holds_dicom(folder: Path) -> bool:
    """Whether there is a DICOM file in a folder, or in the folders of an export.

    Archives lay exports out as PATIENT/STUDY/SERIES. Links are not followed.
    """
    own = files_in(folder)
    if any(map(has_magic, own)):
        return True
    looked_at = islice(_files_in_folders(folder), _MOST_LOOKED_AT)
    return _may_be_export(own) and any(map(has_magic, looked_at))


def _files_in_folders(folder: Path) -> Iterator[Path]:
    for root, folders, names in os.walk(folder):
        folders.sort()
        if root != str(folder):
            yield from (path for name in sorted(names) if (path := Path(root, name)).is_file())


def _without_directory(files: Sequence[Path]) -> list[Path]:
    return [file for file in files if file.name.upper() != "DICOMDIR"]


def _may_be_export(files: Sequence[Path]) -> bool:
    """Whether the files beside the folders of images are none that somebody could have meant."""
    others = _without_directory(files)
    return all(file.suffix.lower() in _BESIDE or file.name[0] == "." for file in others)


def without_copies(
    images: Sequence[Header], pixels: Callable[[Header], Shaped[np.ndarray, "row column"]]
) -> list[Header]:
    """Leaves out images that are there twice: in one place, with the same values.

    Args:
        images: of one series.
        pixels: reads the stored values of an image.
    """
    kept: dict[tuple[float, ...], list[Header]] = {}
    # "a (1).dcm" is the copy, whatever the order of names.
    for image in sorted(images, key=lambda image: len(image.file.name)):
        place = tuple(round(value, 3) for value in (*image.position, *image.orientation))
        others = kept.setdefault(place, [])
        first = next((other for other in others if _same(image, other, pixels)), None)
        if first is None:
            others.append(image)
        else:
            logger.info("%s is a copy of %s: left out", image.file.name, first.file.name)
    return [image for alike in kept.values() for image in alike]


def _same(
    one: Header, other: Header, pixels: Callable[[Header], Shaped[np.ndarray, "row column"]]
) -> bool:
    if one.file == other.file:  # two frames of one file
        return False
    if filecmp.cmp(one.file, other.file, shallow=False):
        return True
    scalings = [
        (image.image.get("RescaleSlope"), image.image.get("RescaleIntercept"))
        for image in (one, other)
    ]
    return scalings[0] == scalings[1] and np.array_equal(pixels(one), pixels(other))
