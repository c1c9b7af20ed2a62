"""Volumes as laboratories write them: NRRD as text, axes of OME-Zarr without a type."""

from __future__ import annotations

import bz2
from pathlib import Path
from typing import Any

import nrrd
import numpy as np
import pytest
import zarr

from impasto.errors import SampleError
from impasto.media import grid, load, save
from tests.media.places import Refused
from tests.media.volumes import loaded, smooth

VALUES = np.rint(smooth(7, 6, 5)[0]).astype("<i2")
HEAD = """NRRD0004
type: {type}
dimension: 3
space: left-posterior-superior
sizes: 7 6 5
space directions: (0.8,0,0) (0,0.8,0) (0,0,2)
encoding: {encoding}
space origin: (-12,-10,5)
"""


def as_nrrd(path: Path, raw: bytes, encoding: str, kind: str = "short", more: str = "") -> Path:
    head = HEAD.format(type=kind, encoding=encoding) + more
    if path.suffix == ".nhdr":
        path.write_text(head + "data file: a.txt\n")
        (path.parent / "a.txt").write_bytes(raw)
    else:
        path.write_bytes(head.encode() + b"\n" + raw)
    return path


def text_of(values: np.ndarray) -> bytes:
    flat = values.ravel(order="F")
    return b"\n".join(b" ".join(b"%g" % each for each in row) for row in np.array_split(flat, 9))


@pytest.mark.parametrize("suffix", [".nrrd", ".nhdr"])
@pytest.mark.parametrize("encoding", ["ascii", "text", "txt", "bzip2", "bz2"])
def test_encodings_that_are_only_read(tmp_path: Path, suffix: str, encoding: str) -> None:
    packed = encoding.startswith("bz")
    raw = bz2.compress(VALUES.tobytes(order="F")) if packed else text_of(VALUES)
    order = "endian: little\n" if packed else ""
    path = as_nrrd(tmp_path / f"a{suffix}", raw, encoding, more=order)
    sample = loaded(path)
    np.testing.assert_array_equal(sample.data[0], VALUES)
    assert grid(path) == (1, (7, 6, 5))
    save(sample, tmp_path / "out.nrrd")
    values, header = nrrd.read(str(tmp_path / "out.nrrd"))
    np.testing.assert_array_equal(values, VALUES)
    assert header["encoding"] == "gzip"
    np.testing.assert_array_equal(header["space directions"], np.diag([0.8, 0.8, 2]))


def test_text_of_floats_with_nan_and_a_gap_at_its_end(tmp_path: Path, refused: Refused) -> None:
    values = VALUES / 8
    values[3, 3, 3] = np.nan
    path = as_nrrd(tmp_path / "a.nrrd", text_of(values) + b"\n", "ascii", "float")
    sample = loaded(path)
    assert sample.holes is not None
    np.testing.assert_array_equal(sample.holes, np.isnan(values))
    as_nrrd(path, text_of(values[:, :, :4]), "ascii", "float")
    refused(path, "a value for every voxel, found the end of the file", early=False)
    as_nrrd(path, b"dear diary " * 210, "ascii", "float")
    refused(path, "numbers, found could not convert")
    as_nrrd(path, b"not bzip2", "bzip2", more="endian: little\n")
    refused(path, "whole to its end", early=False)


def ome(path: Path, axes: Any, version: str | None, zarr_format: Any = 2) -> Path:
    """An image of these axes, with a version or without."""
    names = [axis["name"] if isinstance(axis, dict) else axis for axis in axes]
    shape = [{"x": 7, "y": 6, "z": 5}.get(name.lower(), 1) for name in names]
    steps = [{"type": "scale", "scale": [2.0 if side > 1 else 1.0 for side in shape]}]
    image = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": steps}]}
    attributes: dict[str, Any] = {"multiscales": [image]}
    if version:
        image["version"] = version
    if zarr_format == 3:
        attributes = {"ome": attributes | ({"version": version} if version else {})}
    group = zarr.create_group(path, zarr_format=zarr_format, attributes=attributes)
    order = [names.index(name) for name in sorted(names, key="tczyxTCZYX".index)]
    values = np.moveaxis(VALUES.T.reshape([shape[i] for i in order]), range(len(order)), order)
    group.create_array("0", data=np.ascontiguousarray(values))
    return path


@pytest.mark.parametrize("zarr_format", [2, 3])
@pytest.mark.parametrize("version", [None, "own"])
@pytest.mark.parametrize("names", ["zyx", "tczyx", "czyx", "xyz", "ZYX"])
def test_axes_are_told_by_their_names(
    tmp_path: Path, names: str, version: str | None, zarr_format: int
) -> None:
    said = version and ("0.4" if zarr_format == 2 else "0.5")
    path = ome(tmp_path / "a.ome.zarr", [{"name": n} for n in names], said, zarr_format)
    sample = loaded(path)
    np.testing.assert_array_equal(sample.data[0], VALUES)
    assert sample.spacing == (2, 2, 2)
    save(sample, tmp_path / "b.ome.zarr")
    again = loaded(tmp_path / "b.ome.zarr")
    np.testing.assert_array_equal(again.data, sample.data)
    array: Any = zarr.open_group(tmp_path / "b.ome.zarr")["0"]
    assert array.ndim == len(names)


@pytest.mark.parametrize("axes", [["z", "y", "x"], []])
def test_axes_that_do_not_tell_the_version_are_refused(tmp_path: Path, axes: Any) -> None:
    path = tmp_path / "a.ome.zarr"
    image: dict[str, Any] = {"datasets": [{"path": "0"}]} | ({"axes": axes} if axes else {})
    group = zarr.create_group(path, zarr_format=2, attributes={"multiscales": [image]})
    group.create_array("0", data=VALUES)
    with pytest.raises(SampleError, match=r"OME-Zarr 0.4 or 0.5, found version \?; convert it"):
        load(path)


def test_axes_of_other_names_without_a_type_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "a.ome.zarr"
    image = {"axes": [{"name": n} for n in "abc"], "datasets": [{"path": "0"}]}
    group = zarr.create_group(path, zarr_format=2, attributes={"multiscales": [image]})
    group.create_array("0", data=VALUES)
    with pytest.raises(SampleError, match="one volume of three axes of space, found axes a: 7, b"):
        load(path)
