"""OME-Zarr in and out: zarr's own library is the oracle."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr

from impasto.errors import OutputError
from impasto.media import ArraySample, Volume, check_target, grid, load, save
from tests.media.memory import growth, on_linux
from tests.media.volumes import TILTED, loaded, smooth, volume

UNITS = {"unit": "micrometer"}


def axes(names: str, **more: Any) -> list[dict[str, Any]]:
    kinds = {"t": "time", "c": "channel"}
    return [
        {"name": name, "type": kinds.get(name, "space"), **({} if name in "tc" else UNITS | more)}
        for name in names
    ]


def transforms(scale: Any, translation: Any = None) -> list[dict[str, Any]]:
    moved = [{"type": "translation", "translation": translation}] if translation else []
    return [{"type": "scale", "scale": scale}, *moved]


def stored(
    path: Path,
    values: np.ndarray,
    version: str = "0.5",
    names: str = "zyx",
    steps: Any = None,
    **more: Any,
) -> Path:
    """An image of two resolutions; steps: the first's transformations; more: of the image."""
    scale = [1.0 if name in "tc" else 0.5 for name in names]
    half = [1.0] * len(names)
    image: dict[str, Any] = {
        "name": "cells",
        "axes": axes(names),
        "datasets": [
            {"path": "s0", "coordinateTransformations": steps or transforms(scale)},
            {"path": "s1", "coordinateTransformations": transforms(half)},
        ],
        **more,
    }
    omero = {"channels": [{"label": "DAPI", "window": {"start": 0, "end": 9}}]}
    if version == "0.5":
        found: dict[str, Any] = {
            "ome": {"version": version, "multiscales": [image], "omero": omero}
        }
    else:
        found = {"multiscales": [{**image, "version": version}], "omero": omero}
    kind: Any = 3 if version == "0.5" else 2
    group = zarr.create_group(str(path), zarr_format=kind, attributes={**found, "lab": [1, None]})
    chunks = tuple(min(5, side) for side in values.shape)
    for name, part in (("s0", values), ("s1", values[..., ::2, ::2])):
        named: dict[str, Any] = {"dimension_names": list(names)} if version == "0.5" else {}
        group.create_array(name, data=part, chunks=tuple(map(min, chunks, part.shape)), **named)
    return path


def written(path: Path) -> tuple[dict[str, Any], Any]:
    group: Any = zarr.open_group(str(path), mode="r")
    attributes = group.attrs.asdict()
    image = attributes.get("ome", attributes)["multiscales"][0]
    return attributes, group[image["datasets"][0]["path"]]


@pytest.mark.parametrize("version", ["0.4", "0.5"])
@pytest.mark.parametrize("dtype", ["u1", "i2", "u2", "i4", "f4", "f8", ">i2"])
def test_both_ways(tmp_path: Path, version: str, dtype: str) -> None:
    values = (np.arange(8 * 10 * 12) % 120).reshape(8, 10, 12).astype(dtype)
    steps = transforms([2.0, 0.5, 0.25], [10.0, 20.0, 30.0])
    path = stored(tmp_path / "a.zarr", values, version, steps=steps)
    sample = loaded(path)
    assert np.array_equal(sample.data[0], values.T)
    assert np.allclose(np.diag(sample.affine)[:3], (0.25e-3, 0.5e-3, 2e-3))
    assert np.allclose(sample.affine[:3, 3], (30e-3, 20e-3, 10e-3))
    assert grid(path) == (1, (12, 10, 8))
    for name in ("b.ome.zarr", "b.zarr"):
        save(sample, tmp_path / name, '{"a": 1}')
        ours, array = written(tmp_path / name)
        theirs, original = written(path)
        assert ours.pop("impasto") == '{"a": 1}'
        assert ours.pop("intended use") == "not for diagnosis"
        image = theirs["ome"] if version == "0.5" else theirs
        del image["multiscales"][0]["datasets"][1:]
        assert ours == theirs
        assert np.array_equal(array[:], values)
        assert array.dtype == np.dtype(dtype).newbyteorder("=")
        assert array.chunks == original.chunks
        assert array.metadata.zarr_format == original.metadata.zarr_format
        if version == "0.5":
            assert array.metadata.dimension_names == ("z", "y", "x")
        else:
            assert (tmp_path / name / "s0" / "1" / "0" / "0").is_file()
        assert np.array_equal(loaded(tmp_path / name).data, sample.data)


@pytest.mark.parametrize("names", ["tczyx", "czyx", "tzyx", "xyz", "yzx", "cxzy"])
def test_orders_of_axes(tmp_path: Path, names: str) -> None:
    sides = {"t": 1, "c": 1, "x": 12, "y": 10, "z": 8}
    shape = tuple(sides[name] for name in names)
    values = np.arange(960, dtype=np.int16).reshape(shape)
    scale = [{"x": 1.0, "y": 2.0, "z": 3.0}.get(name, 1.0) for name in names]
    path = stored(tmp_path / "a.zarr", values, names=names, steps=transforms(scale))
    sample = loaded(path)
    assert sample.space == (12, 10, 8)
    assert sample.spacing == pytest.approx((1e-3, 2e-3, 3e-3))
    index = tuple({"x": 4, "y": 5, "z": 6}.get(name, 0) for name in names)
    assert sample.data[0, 4, 5, 6] == values[index]
    save(sample, tmp_path / "b.ome.zarr")
    assert np.array_equal(written(tmp_path / "b.ome.zarr")[1][:], values)
    moved = sample.resampled(2e-3)
    save(moved, tmp_path / "c.ome.zarr")
    again = loaded(tmp_path / "c.ome.zarr")
    assert np.allclose(again.affine, moved.affine)
    assert np.abs(again.data - moved.data).max() <= 0.5


def test_transformations_of_the_image_come_last_and_units_may_be_missing(tmp_path: Path) -> None:
    bare = [{"name": name, "type": "space"} for name in "zyx"]
    path = stored(
        tmp_path / "a.zarr",
        smooth(4, 5, 6)[0],
        axes=bare,
        steps=transforms([1.0, 2.0, 3.0], [1.0, 1.0, 1.0]),
        coordinateTransformations=transforms([10.0, 10.0, 10.0]),
    )
    assert np.array_equal(np.diag(loaded(path).affine), (30, 20, 10, 1))
    assert np.array_equal(loaded(path).affine[:3, 3], (10, 10, 10))


def test_volumes_from_elsewhere(tmp_path: Path) -> None:
    turned = np.array([[0, 0, 2.0, 5], [-0.5, 0, 0, 6], [0, 1.5, 0, 7], [0, 0, 0, 1]])
    for affine in (np.eye(4), np.diag([-1.5, -1.5, 2, 1]), turned):
        sample = volume(dtype=np.dtype(np.uint16), intercept=-1024.0, affine=affine)
        save(sample, tmp_path / "a.ome.zarr", "{}")
        attributes, array = written(tmp_path / "a.ome.zarr")
        assert attributes["ome"]["version"] == "0.5"
        assert [axis["unit"] for axis in attributes["ome"]["multiscales"][0]["axes"]] == [
            "millimeter"
        ] * 3
        assert array.dtype == np.int32
        again = loaded(tmp_path / "a.ome.zarr")
        assert (np.diag(again.affine) > 0).all()
        for place in ((0, 0, 0), (11, 9, 7), (3, 4, 5)):
            at = np.linalg.solve(again.affine, sample.affine @ (*place, 1))[:3]
            assert again.data[(0, *np.rint(at).astype(int))] == sample.data[(0, *place)]
    for other in (TILTED, np.array([[1, 0.2, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1.0]])):
        with pytest.raises(OutputError, match=r"along the axes .* turns or shears .*\.nii\.gz"):
            save(volume(affine=other), tmp_path / "b.ome.zarr")
    assert os.listdir(tmp_path) == ["a.ome.zarr"]


def test_what_is_replaced_and_what_is_a_plain_array(tmp_path: Path) -> None:
    theirs = stored(tmp_path / "a.zarr", smooth(4, 5, 6)[0])
    with pytest.raises(OutputError, match="nothing there, or an earlier"):
        check_target(theirs)
    path = tmp_path / "ours.zarr"
    for _ in range(2):
        save(loaded(theirs), path)
    plain = load(path / "s0")
    assert isinstance(plain, ArraySample)
    save(plain, path)
    assert isinstance(load(path), ArraySample)
    save(volume(), tmp_path / "b.zarr")
    assert isinstance(load(tmp_path / "b.zarr"), ArraySample)
    zarr.create_group(str(tmp_path / "c.ome.zarr"))
    with pytest.raises(OutputError, match="nothing there, or an earlier"):
        check_target(tmp_path / "c.ome.zarr")
    assert json.loads((tmp_path / "c.ome.zarr" / "zarr.json").read_text())["node_type"] == "group"


@pytest.mark.slow
@on_linux
def test_memory_beside_the_array(tmp_path: Path) -> None:
    """16 million voxels of 16 bits, 64 MB as floats, from a folder and into another."""
    values = np.tile(smooth(64, 64, 32)[0].astype(np.int16), (4, 4, 8))
    for name, part in (("big", values), ("small", values[:40, :40, :40])):
        save(
            Volume(data=part[None].astype(np.float32), dtype=part.dtype),
            tmp_path / f"{name}.ome.zarr",
        )
        (tmp_path / f"{name}.ome.zarr").rename(tmp_path / f"{name}.zarr")
    assert growth(tmp_path, ".zarr") < 80
    assert np.array_equal(written(tmp_path / "copy.zarr")[1][:].T, values)
