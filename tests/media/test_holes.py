"""Voxels without a value: NaN in files of floats, padding in DICOM."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nibabel
import nrrd
import numpy as np
import pytest
import zarr

from impasto.errors import SampleError
from impasto.media import load, save
from impasto.media.volumes.orientation import oriented
from tests.media.series import in_order, series, stored_values
from tests.media.test_nifti import stored as nifti
from tests.media.volumes import loaded, smooth

SPACE = (12, 10, 8)


def masked() -> np.ndarray:
    """Values with NaN around a block and one within it, as programs that cut out a brain write."""
    values = np.full(SPACE, np.nan, np.float32)
    values[2:9, 3:8] = smooth(*SPACE)[0][2:9, 3:8]
    values[5, 5, 5] = np.nan
    return values


def ome(path: Path, values: np.ndarray, **more: Any) -> Path:
    """An OME-Zarr image of x, y and z, 1 mm apart."""
    axes = [{"name": name, "type": "space", "unit": "millimeter"} for name in "xyz"]
    steps = [{"type": "scale", "scale": [1.0, 1.0, 1.0]}]
    image = {"axes": axes, "datasets": [{"path": "0", "coordinateTransformations": steps}]}
    attributes = {"ome": {"version": "0.5", "multiscales": [image]}}
    group = zarr.create_group(path, attributes=attributes)
    group.create_array("0", data=values, **more)
    return path


def stored(path: Path, values: np.ndarray) -> Path:
    if path.name.endswith(".zarr"):
        return ome(path, values, chunks=(4, 10, 8))
    if path.suffix == ".nrrd":
        nrrd.write(str(path), values, {"space": "RAS", "space directions": np.eye(3)})
        return path
    return nifti(path, values)


def written(path: Path) -> np.ndarray:
    """What another program reads."""
    if path.name.endswith(".zarr"):
        return np.asarray(zarr.open_group(path)["0"])
    if path.suffix == ".nrrd":
        return np.asarray(nrrd.read(str(path))[0])
    return np.asarray(nibabel.load(path).dataobj)


@pytest.mark.parametrize("dtype", ["<f4", ">f8"])
@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.nrrd", "a.ome.zarr"])
def test_nan_is_a_hole_and_comes_back_as_nan(tmp_path: Path, name: str, dtype: str) -> None:
    values = masked()
    sample = loaded(stored(tmp_path / name, values.astype(dtype)))
    assert sample.holes is not None
    np.testing.assert_array_equal(sample.holes, np.isnan(values))
    assert np.isfinite(sample.data).all()
    np.testing.assert_array_equal(sample.data[0][~sample.holes], values[~np.isnan(values)])
    assert sample.data[0][sample.holes].max() == np.nanmin(values)
    save(sample.with_data(sample.data + 1), tmp_path / f"out{name[1:]}")
    np.testing.assert_array_equal(written(tmp_path / f"out{name[1:]}"), values + 1)


def test_nan_by_a_slope_of_floats_and_none_at_all(tmp_path: Path) -> None:
    values = masked()
    sample = loaded(nifti(tmp_path / "a.nii", values, scl_slope=2, scl_inter=1))
    assert sample.holes is not None
    np.testing.assert_array_equal(sample.data[0][~sample.holes], 2 * values[~sample.holes] + 1)
    assert loaded(nifti(tmp_path / "b.nii", np.ones(SPACE, np.float32))).holes is None
    with pytest.raises(SampleError, match="a value in some voxel, found NaN in all of them"):
        load(nifti(tmp_path / "c.nii", np.full(SPACE, np.nan, np.float32)))


def test_holes_go_with_the_voxels(tmp_path: Path) -> None:
    sample = loaded(nifti(tmp_path / "a.nii", masked(), np.diag([1.0, 1, 2, 1])))
    assert sample.holes is not None
    turned = oriented(sample, ("S", "A", "L"))
    assert turned.holes is not None
    np.testing.assert_array_equal(turned.holes, sample.holes.transpose(2, 1, 0)[:, :, ::-1])
    coarse = sample.with_data(np.zeros((1, 6, 5, 4), np.float32)).holes
    assert coarse is not None
    np.testing.assert_array_equal(coarse, sample.holes[1::2, 1::2, 1::2])
    finer = sample.resampled(1.0)
    assert finer.holes is not None
    assert finer.holes.shape == (12, 10, 16)
    assert finer.holes[:, :, 1::2].sum() >= sample.holes.sum()  # and what a hole reaches into


@pytest.mark.parametrize("limit", [None, -1998])
def test_padding_of_dicom_is_a_hole_that_keeps_its_values(
    tmp_path: Path, limit: int | None
) -> None:
    values = stored_values(5)
    values[:, :3, :4] = -2000
    values[:, 5, 5] = -1999
    folder = series(tmp_path / "a", values, PixelPaddingValue=-2000)
    for image in in_order(folder):
        if limit is not None:
            image.add_new("PixelPaddingRangeLimit", "SS", limit)
        image.save_as(image.filename)
    sample = loaded(folder)
    padding = values <= -1998 if limit else values == -2000
    assert sample.holes is not None
    np.testing.assert_array_equal(sample.holes, padding.T)
    np.testing.assert_array_equal(sample.data[0], values.T.astype(np.float32) - 1024)
    save(sample, tmp_path / "out.dcm")
    images = in_order(tmp_path / "out.dcm")
    np.testing.assert_array_equal([image.pixel_array for image in images], values)
    save(sample, tmp_path / "out.nii")
    np.testing.assert_array_equal(written(tmp_path / "out.nii"), values.T.astype(float) - 1024)


def test_padding_where_each_slice_has_a_slope(tmp_path: Path) -> None:
    values = stored_values(4)
    values[:, 0] = -5
    folder = series(tmp_path / "a", values, PixelPaddingValue=-5)
    for number, image in enumerate(in_order(folder)):
        image.RescaleSlope = 1 + number
        image.save_as(image.filename)
    sample = loaded(folder)
    assert sample.holes is not None
    np.testing.assert_array_equal(sample.holes, (values == -5).T)
    save(sample, tmp_path / "out.nii")  # in floats, which have NaN
    np.testing.assert_array_equal(np.isnan(written(tmp_path / "out.nii")), (values == -5).T)


def test_shards_of_ome_zarr_stay_shards(tmp_path: Path) -> None:
    values = smooth(*SPACE)[0]
    packed = {"chunks": (4, 5, 8), "shards": (8, 10, 8)}
    sample = loaded(ome(tmp_path / "a.ome.zarr", values, **packed))
    np.testing.assert_array_equal(sample.data[0], values)
    save(sample, tmp_path / "out.ome.zarr")
    array: Any = zarr.open_group(tmp_path / "out.ome.zarr")["0"]
    assert (array.chunks, array.shards) == ((4, 5, 8), (8, 10, 8))
    np.testing.assert_array_equal(array[:], values)


@pytest.mark.parametrize("shards", [(1, 8, 10), (3, 16, 20)])
def test_shards_of_arrays_stay_shards(tmp_path: Path, shards: tuple[int, ...]) -> None:
    values = np.random.default_rng(0).random((3, 12, 10)).astype(np.float32)
    zarr.create_array(tmp_path / "a.zarr", data=values, chunks=(1, 4, 5), shards=shards)
    save(load(tmp_path / "a.zarr"), tmp_path / "b.zarr")
    array: Any = zarr.open_array(tmp_path / "b.zarr")
    assert (array.chunks, array.shards) == ((1, 4, 5), shards)
    np.testing.assert_array_equal(array[:], values)
