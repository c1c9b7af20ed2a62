"""OME-Zarr volumes, versions 0.4 and 0.5: a group of one image at several resolutions.

The format is described at https://ngff.openmicroscopy.org. The largest resolution is read and
written, block by block, by zarr. Ours is what zarr does not know: the meaning of the metadata. The
axes x, y and z are taken as right, anterior and superior, for the format says nothing of a body.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64, Shaped

from impasto.errors import OutputError, SampleError
from impasto.media.arrays import CHUNK_SIDES, convert, decoding_array, zarr_library
from impasto.media.blocks import New, blocks, cells, in_memory
from impasto.media.files import StrPath
from impasto.media.folders import atomic_folder, check_folder_writable
from impasto.media.sample import NOT_FOR_DIAGNOSIS
from impasto.media.volumes.holes import take_holes, with_holes
from impasto.media.volumes.volume import Volume, check_affine
from impasto.media.volumes.voxels import plain_dtype
from impasto.media.zarr_folders import MARK, holds_result, ome_version

Voxels = Shaped[np.ndarray, "..."]

SUFFIX = ".ome.zarr"

_MILLIMETERS = {
    "angstrom": 1e-7,
    "nanometer": 1e-6,
    "micrometer": 1e-3,
    "millimeter": 1.0,
    "centimeter": 10.0,
    "meter": 1000.0,
}
_VERSIONS = {"0.4": 2, "0.5": 3}  # and the Zarr format of each
_PLAIN_AXES = tuple({"name": name, "type": "space", "unit": "millimeter"} for name in "zyx")


@dataclass(frozen=True)
class OmeSource:
    """What an OME-Zarr image says beside its values.

    Attributes:
        version: of the format.
        attributes: as they stand in the file.
        chunks: the sides of the stored array's chunks.
        shards: the sides of the shards that the chunks are packed in; None where they are not.
        affine, space: what the attributes say.
    """

    version: str
    attributes: dict[str, Any]
    chunks: tuple[int, ...]
    shards: tuple[int, ...] | None
    affine: Float64[np.ndarray, "4 4"]
    space: tuple[int, ...]


class _Opened(NamedTuple):
    """An image that is open: its stored array, and where x, y and z stand among the axes."""

    array: Any
    places: tuple[int, int, int]
    source: OmeSource


def is_ome(path: StrPath) -> bool:
    """Whether a path is the folder of an OME-Zarr image."""
    return ome_version(Path(path)) is not None


def open_ome(path: StrPath, new: New = in_memory) -> Volume:
    """Reads the full resolution of an OME-Zarr image of three axes of space.

    Args:
        path: of the folder.
        new: makes the array of shape (1, x, y, z); beside it, reading takes a chunk of memory.

    Raises:
        SampleError: the image is damaged, or has two axes of space, several channels or times.
        MissingExtraError: zarr is not installed.
    """
    with _opened(path) as (array, places, source):
        data = new((1, *source.space))
        target = _arranged(data[0], places, array.ndim)
        with np.errstate(over="ignore"), decoding_array():
            for block in blocks(array.shape, source.shards or source.chunks):
                target[block] = array[block]
        return Volume(
            data=data,
            affine=source.affine,
            dtype=np.dtype(array.dtype).newbyteorder("="),
            source=source,
            holes=take_holes(data[0]),
        )


def ome_grid(path: StrPath) -> tuple[int, tuple[int, ...]]:
    """Returns the channels and the space of what `open_ome` would give, from the metadata."""
    with _opened(path) as (_, _, source):
        return 1, source.space


def save_ome(volume: Volume, path: StrPath, recipe: str | None = None) -> None:
    """Writes an OME-Zarr image of one resolution, whole or not at all, block by block.

    Args:
        volume: one from OME-Zarr keeps its version, metadata, chunks and type. Another becomes
            version 0.5, its axes turned to where x, y and z point, in a type that holds its
            values without slope and intercept.
        path: of the folder.
        recipe: kept in the attribute "impasto", beside one that says "not for diagnosis".

    Raises:
        OutputError: the axes of the volume are not along x, y and z, or the folder cannot be
            written.
        MissingExtraError: zarr is not installed.
    """
    zarr = zarr_library()
    source = volume.source if isinstance(volume.source, OmeSource) else None
    data, holes, affine = volume.data[0], volume.holes, None
    kept = source and volume.space == source.space and np.array_equal(volume.affine, source.affine)
    if not kept:
        turn, affine = _turn(volume)
        data, holes = turn(data), None if holes is None else turn(holes)
    version = source.version if source else "0.5"
    attributes = _written(source, affine, recipe)
    image = attributes["ome"] if version == "0.5" else attributes
    axes = image["multiscales"][0]["axes"]
    places = _places(axes)
    values = _arranged(data, places, len(axes))
    empty = None if holes is None else _arranged(holes, places, len(axes))
    chunks, shards = _chunks(source, values.shape)
    dtype = plain_dtype(volume)
    keys = {} if version == "0.5" else {"chunk_key_encoding": {"name": "v2", "separator": "/"}}
    with atomic_folder(path, holds_result) as folder:
        group = zarr.create_group(
            zarr.storage.LocalStore(folder),
            zarr_format=_VERSIONS[version],
            attributes=attributes,
        )
        array = group.create_array(
            image["multiscales"][0]["datasets"][0]["path"],
            shape=values.shape,
            chunks=chunks,
            shards=shards,
            dtype=dtype,
            dimension_names=[axis["name"] for axis in axes] if version == "0.5" else None,
            **keys,
        )
        # Given several chunks at once, zarr would go on with the others after one has failed.
        for block in cells(values.shape, shards or chunks):
            holes_here = None if empty is None else empty[block]
            array[block] = convert(with_holes(values[block], holes_here, dtype), dtype)


def _chunks(
    source: OmeSource | None, shape: tuple[int, ...]
) -> tuple[tuple[int, ...], tuple[int, ...] | None]:
    """Returns the sides of the chunks to write, and of the shards that they are packed in."""
    if source and source.shards:
        return source.chunks, source.shards
    sides = source.chunks if source else CHUNK_SIDES[2:] * 3
    return tuple(min(pair) for pair in zip(sides, shape, strict=True)), None


def check_ome_target(path: StrPath) -> None:
    """Raises where `save_ome` would for the path alone, before any work is done."""
    check_folder_writable(path, holds_result)


@contextmanager
def _opened(path: StrPath) -> Iterator[_Opened]:
    zarr = zarr_library()
    version = ome_version(Path(path))
    if version not in _VERSIONS:
        raise SampleError(
            expected=f"OME-Zarr {' or '.join(_VERSIONS)}",
            found="no such image" if version is None else f"version {version}",
            remedy="name an OME-Zarr folder" if version is None else "convert it to one of those",
        )
    with decoding_array():
        group = zarr.open_group(zarr.storage.LocalStore(path, read_only=True), mode="r")
        attributes = group.attrs.asdict()
        image = attributes["ome"] if version == "0.5" else attributes
        scales = image["multiscales"][0]
        array, axes = _array(zarr, group, scales), scales["axes"]
        spatial = [axis for axis in axes if _is_spatial(axis)]
        others = [side for axis, side in zip(axes, array.shape, strict=True) if axis not in spatial]
        if len(spatial) != 3 or any(side > 1 for side in others):
            names = ", ".join(
                f"{axis['name']}: {side}" for axis, side in zip(axes, array.shape, strict=True)
            )
            raise SampleError(
                expected="one volume of three axes of space",
                found=f"axes {names}",
                remedy="save one channel and time by itself, or name the array, "
                f"{Path(path, scales['datasets'][0]['path'])}",
            )
        _check_array(array)
        places = _places(axes)
        affine = _affine(scales, places)
        space = tuple(int(array.shape[place]) for place in places)
    check_affine(affine)
    shards = tuple(array.shards) if array.shards else None
    source = OmeSource(version, attributes, tuple(array.chunks), shards, affine, space)
    yield _Opened(array, places, source)


def _array(zarr: Any, group: Any, scales: dict[str, Any]) -> Any:
    """Returns the array of full resolution, which must be within the group."""
    name = scales["datasets"][0]["path"]
    if PurePosixPath(name).is_absolute() or ".." in PurePosixPath(name).parts:
        raise SampleError(
            expected="arrays within the folder",
            found=f"the path {name[:100]}",
            remedy="correct the metadata",
        )
    array = group[name]
    if not isinstance(array, zarr.Array):
        raise ValueError(f"no array at {name[:100]}")
    return array


def _check_array(array: Any) -> None:
    if array.dtype.kind not in "iuf":
        raise SampleError(
            expected="integers or real numbers",
            found=f"values of type {array.dtype}",
            remedy="convert them first",
        )
    if not (all(array.shape) and all(array.chunks)):
        raise ValueError(f"an array of shape {array.shape} in chunks of {array.chunks}")


def _is_spatial(axis: dict[str, Any]) -> bool:
    """Whether an axis is one of space: by its type, and where it has none by its name."""
    kind = axis.get("type")
    return kind == "space" if kind else str(axis.get("name")).lower() in ("x", "y", "z")


def _places(axes: Sequence[dict[str, Any]]) -> tuple[int, int, int]:
    """Returns where x, y and z stand among the axes: by name, else from the last to the first."""
    spatial = [place for place, axis in enumerate(axes) if _is_spatial(axis)]
    names = {str(axes[place]["name"]).lower(): place for place in spatial}
    z, y, x = [names[name] for name in "zyx"] if set(names) == set("zyx") else spatial
    return x, y, z


def _arranged(
    data: Shaped[np.ndarray, "x y z"], places: tuple[int, int, int], count: int
) -> Shaped[np.ndarray, "..."]:
    """Views the values with their axes at these places of `count`, and axes of one elsewhere."""
    order = np.argsort(places).tolist()
    others = tuple(place for place in range(count) if place not in places)
    return np.expand_dims(data.transpose(order), others)


def _affine(scales: dict[str, Any], places: tuple[int, int, int]) -> Float64[np.ndarray, "4 4"]:
    """Joins scales and translations, the array's and then the image's, in mm."""
    scale, translation = np.ones(3), np.zeros(3)
    steps = scales["datasets"][0]["coordinateTransformations"]
    for step in [*steps, *scales.get("coordinateTransformations", [])]:
        values = np.array(step[step["type"]], np.float64)[list(places)]
        match step["type"]:
            case "scale":
                scale, translation = scale * values, translation * values
            case "translation":
                translation = translation + values
            case other:
                raise ValueError(f"a transformation of type {other}")
    factors = _factors(scales["axes"], places)
    affine = np.diag([*(scale * factors), 1.0])
    affine[:3, 3] = translation * factors
    return affine


def _factors(
    axes: Sequence[dict[str, Any]], places: tuple[int, int, int]
) -> Float64[np.ndarray, "3"]:
    """Returns the factors from the units of x, y and z to mm; an axis without one is in mm."""
    units = [axes[place].get("unit", "millimeter") for place in places]
    unknown = [unit for unit in units if unit not in _MILLIMETERS]
    if unknown:
        raise SampleError(
            expected=f"units of length: {', '.join(_MILLIMETERS)}",
            found=str(unknown[0])[:100],
            remedy="correct the metadata",
        )
    return np.array([_MILLIMETERS[unit] for unit in units])


def _turn(
    volume: Volume,
) -> tuple[Callable[[Voxels], Voxels], Float64[np.ndarray, "4 4"]]:
    """Returns what views voxels with their axes along x, y and z, and the affine of the view."""
    directions = volume.affine[:3, :3] / volume.spacing
    order = np.abs(directions).argmax(axis=1).tolist()
    signs = np.sign(directions[range(3), order])
    if not np.allclose(np.abs(directions[:, order]), np.eye(3), atol=1e-4):
        raise OutputError(
            expected="voxels along the axes of space, which is all that OME-Zarr has",
            found="an affine that turns or shears them",
            remedy="save it as .nii.gz",
        )
    affine = np.diag([*(volume.spacing[axis] for axis in order), 1.0])
    sides = [volume.space[axis] for axis in order]
    corner = np.zeros(3)
    corner[order] = [0 if sign > 0 else side - 1 for sign, side in zip(signs, sides, strict=True)]
    affine[:3, 3] = volume.affine[:3, :3] @ corner + volume.affine[:3, 3]
    steps = tuple(slice(None, None, int(sign)) for sign in signs)
    return lambda voxels: voxels.transpose(order)[steps], affine


def _written(
    source: OmeSource | None, affine: Float64[np.ndarray, "4 4"] | None, recipe: str | None
) -> dict[str, Any]:
    """Returns the attributes of a group of one resolution.

    Args:
        source: where the volume came from, None for elsewhere.
        affine: of the volume, where its grid is not the source's.
        recipe: of the run.
    """
    dataset: dict[str, Any] = {"path": "0"}
    scales: dict[str, Any] = {"axes": list(_PLAIN_AXES), "datasets": [dataset]}
    attributes: dict[str, Any] = {"ome": {"version": "0.5", "multiscales": [scales]}}
    if source is not None:
        attributes = deepcopy(source.attributes)
        image = attributes["ome"] if source.version == "0.5" else attributes
        scales = image["multiscales"][0]
        dataset = scales["datasets"][0]
        scales["datasets"] = [dataset]
        image["multiscales"] = [scales]
    if affine is not None:
        axes = scales["axes"]
        places = _places(axes)
        factors = _factors(axes, places)
        scale, translation = np.ones(len(axes)), np.zeros(len(axes))
        scale[list(places)] = affine.diagonal()[:3] / factors
        translation[list(places)] = affine[:3, 3] / factors
        dataset["coordinateTransformations"] = [
            {"type": "scale", "scale": scale.tolist()},
            {"type": "translation", "translation": translation.tolist()},
        ]
        scales.pop("coordinateTransformations", None)
    attributes["intended use"] = NOT_FOR_DIAGNOSIS
    return {**attributes, MARK: recipe or ""}
