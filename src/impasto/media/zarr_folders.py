"""What is in a Zarr folder, by its metadata alone: an array or an image, and by which program."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import Any

MARK = "impasto"
"""The attribute of all that this package writes; its value is the recipe, or empty."""

_METADATA = ("zarr.json", ".zarray", ".zgroup", ".zattrs", ".zmetadata")
# Keys of chunks: "c/0/1" and "c.0.1" of version 3, "0/1" and "0.1" of version 2.
_CHUNK = re.compile(r"(?:c[./])?(?:0|[1-9]\d*)(?:[./](?:0|[1-9]\d*))*|c")


def holds_result(folder: Path) -> bool:
    """Whether a folder may be replaced: it is empty, or holds an array or an OME-Zarr image that
    this package wrote, and nothing else."""
    if not any(folder.iterdir()):
        return True
    attributes = _json(folder / "zarr.json").get("attributes") or _json(folder / ".zattrs")
    if MARK not in attributes:
        return False
    arrays = {PurePosixPath()} if _is_array(folder) else _arrays(folder)
    return bool(arrays) and all(_is_of(file, arrays) for file in _files(folder))


def ome_version(folder: Path) -> str | None:
    """Returns the version of an OME-Zarr image, None for other folders.

    Where it says none, its axes tell: versions before 0.4 had none, or names alone. "?" where they
    do not.
    """
    image = _image(folder)
    scales = image.get("multiscales")
    if not isinstance(scales, list):
        return None
    first = scales[0] if scales and isinstance(scales[0], dict) else {}
    if version := image.get("version") or first.get("version"):
        return str(version)
    axes = first.get("axes")
    described = isinstance(axes, list) and axes and all(isinstance(axis, dict) for axis in axes)
    if not described:
        return "?"
    return "0.5" if (folder / "zarr.json").exists() else "0.4"


def _image(folder: Path) -> dict[str, Any]:
    """Returns the metadata of an OME-Zarr image, of either version; {} for anything else."""
    attributes = _json(folder / "zarr.json").get("attributes")
    image = attributes.get("ome") if isinstance(attributes, dict) else None
    return image if isinstance(image, dict) else _json(folder / ".zattrs")


def _is_array(folder: Path) -> bool:
    node = _json(folder / "zarr.json").get("node_type")
    return (folder / ".zarray").exists() or node == "array"


def _arrays(folder: Path) -> set[PurePosixPath]:
    """Returns where the arrays of an OME-Zarr image are; none where its metadata are damaged."""
    try:
        datasets = _image(folder)["multiscales"][0]["datasets"]
        return {PurePosixPath(dataset["path"]) for dataset in datasets}
    except (KeyError, IndexError, TypeError):
        return set()


def _files(folder: Path) -> Iterator[PurePosixPath]:
    """Gives all files in a folder, relative to it; for a link, a name that no array has."""
    for root, folders, names in os.walk(folder):
        for name in (*names, *folders):
            path = Path(root, name)
            if path.is_symlink():
                yield PurePosixPath("a link")
            elif name in names:
                yield PurePosixPath(path.relative_to(folder).as_posix())


def _is_of(file: PurePosixPath, arrays: Collection[PurePosixPath]) -> bool:
    """Whether a file belongs to one of the arrays, or holds the metadata of a group around one."""
    for array in arrays:
        if file.is_relative_to(array):
            key = file.relative_to(array).as_posix()
            if key in _METADATA or _CHUNK.fullmatch(key):
                return True
        if file.name in _METADATA and array.is_relative_to(file.parent):
            return True
    return False


def _json(file: Path) -> dict[str, Any]:
    """Reads the object in a JSON file; an empty one where there is none."""
    try:
        value = json.loads(file.read_bytes())
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}
