"""NIfTI in and out: nibabel is the oracle."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest
from nibabel.openers import ImageOpener

from impasto.media import Volume, grid, load, save
from tests.media.memory import growth, on_linux
from tests.media.volumes import TILTED, smooth, volume

SUFFIXES = (".nii", ".nii.gz", ".hdr")
TYPES = ("u1", "i1", "<i2", ">i2", "<u2", "<i4", ">f4", "<f4", "<f8")


def stored(path: Path, values: np.ndarray, affine: Any = TILTED, **header: Any) -> Path:
    """A file of exactly these values, by nibabel; header: fields of it."""
    kind = nibabel.Nifti1Pair if path.suffix == ".hdr" else nibabel.Nifti1Image
    order = ">" if values.dtype.byteorder == ">" else "<"
    described = kind.header_class(endianness=order)
    image = kind(values, affine, described, dtype=values.dtype)
    for name, value in header.items():
        if name not in ("scl_slope", "scl_inter"):
            image.header[name] = value
    image.header.set_slope_inter(header.get("scl_slope", 1), header.get("scl_inter", 0))
    image.to_filename(path)
    return path


def written(path: Path) -> Any:
    return nibabel.load(path)


def header_of(path: Path) -> Any:
    """A header as it stands in the file, which nibabel.load resets in parts."""
    kind = type(written(path).header)
    with ImageOpener(path) as file:
        return kind.from_fileobj(file, check=False)


def same_header(written_to: Path, came: Path, *others: str) -> None:
    """All fields of two headers are equal, to the bit, but these and what must change."""
    others = (*others, "descrip", "vox_offset")
    first, second = header_of(written_to), header_of(came)
    for name in set(first.keys()) - set(others):
        assert first[name].tobytes() == second[name].tobytes(), name
    assert first.endianness == second.endianness


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("dtype", TYPES)
def test_both_ways(tmp_path: Path, suffix: str, dtype: str) -> None:
    values = (np.arange(12 * 10 * 8) % 120).reshape(12, 10, 8).astype(dtype)
    path = stored(tmp_path / f"a{suffix}", values, descrip=b"Time=12", aux_file=b"none")
    sample = load(path)
    assert isinstance(sample, Volume)
    assert np.array_equal(sample.data[0], values)
    assert sample.dtype == np.dtype(dtype).newbyteorder("=")
    assert np.array_equal(sample.affine, written(path).affine)
    assert sample.spacing == pytest.approx((0.8, 0.9, 1.2))
    assert (sample.weight, sample.value_range, sample.unit) == (None, None, "")
    assert grid(path) == (1, (12, 10, 8))
    for other in SUFFIXES:
        save(sample, tmp_path / f"b{other}", '{"a": 1}')
        again = written(tmp_path / f"b{other}")
        same_header(tmp_path / f"b{other}", path, "magic")
        assert again.header["descrip"].item() == b"Time=12; not for diagnosis"
        assert again.get_data_dtype() == np.dtype(dtype)
        assert np.array_equal(np.asarray(again.dataobj), values)
        (comment,) = again.header.extensions
        assert comment.get_code() == 6
        assert comment.text == 'impasto: not for diagnosis\n{"a": 1}'
        assert np.array_equal(load(tmp_path / f"b{other}").data, sample.data)


def test_an_earlier_recipe_is_replaced_and_other_extensions_stay(tmp_path: Path) -> None:
    image = nibabel.Nifti1Image(np.ones((4, 5, 6), np.uint8), TILTED)
    image.header.extensions.append(nibabel.nifti1.Nifti1Extension("afni", b"<xml>\xe9</xml>"))
    image.to_filename(tmp_path / "a.nii.gz")
    for recipe in ("first", None, "second"):
        save(load(tmp_path / "a.nii.gz"), tmp_path / "a.nii.gz", recipe)
    first, second = written(tmp_path / "a.nii.gz").header.extensions
    assert (first.get_code(), first.content.rstrip(b"\0")) == (4, b"<xml>\xe9</xml>")
    assert second.text == "impasto: not for diagnosis\nsecond"
    assert written(tmp_path / "a.nii.gz").header["descrip"].item() == b"not for diagnosis"


def test_scaled_values_come_back_within_half_a_step(tmp_path: Path) -> None:
    values = np.arange(-480, 480, dtype=np.int16).reshape(12, 10, 8)
    path = stored(tmp_path / "a.nii", values, scl_slope=0.25, scl_inter=-1024.0)
    sample = load(path)
    assert isinstance(sample, Volume)
    assert (sample.slope, sample.intercept) == (0.25, -1024.0)
    assert np.array_equal(sample.data[0], written(path).get_fdata())
    changed = sample.data + np.random.default_rng(0).uniform(-3, 3, sample.data.shape)
    changed = changed.astype(np.float32)
    changed[0, 0, 0, :2] = -1e6, 1e6
    save(sample.with_data(changed), tmp_path / "b.nii")
    again = written(tmp_path / "b.nii")
    assert np.abs(again.get_fdata()[1:] - changed[0, 1:]).max() <= 0.125
    stored_values = again.dataobj.get_unscaled()
    assert stored_values[0, 0, :2].tolist() == [-32768, 32767]
    save(sample, tmp_path / "c.nii")
    same_header(tmp_path / "c.nii", path)
    assert np.array_equal(written(tmp_path / "c.nii").dataobj.get_unscaled(), values)


@pytest.mark.parametrize(("unit", "factor"), [("meter", 1000.0), ("micron", 1e-3), ("unknown", 1)])
def test_units_of_length(tmp_path: Path, unit: str, factor: float) -> None:
    image = nibabel.Nifti1Image(np.ones((4, 5, 6), np.uint8), TILTED)
    image.header.set_xyzt_units(unit)
    image.to_filename(tmp_path / "a.nii")
    sample = load(tmp_path / "a.nii")
    assert isinstance(sample, Volume)
    assert np.allclose(sample.affine[:3], factor * TILTED[:3])
    save(sample, tmp_path / "b.nii")
    same_header(tmp_path / "b.nii", tmp_path / "a.nii")


@pytest.mark.parametrize(("sform", "qform"), [(0, 0), (0, 1), (1, 0), (2, 3)])
def test_the_affine_is_the_one_that_nibabel_takes(tmp_path: Path, sform: int, qform: int) -> None:
    image = nibabel.Nifti1Image(np.ones((4, 5, 6), np.uint8), None)
    image.header.set_sform(2 * TILTED, sform)
    image.header.set_qform(TILTED, qform)
    image.to_filename(tmp_path / "a.nii")
    sample = load(tmp_path / "a.nii")
    assert isinstance(sample, Volume)
    assert np.array_equal(sample.affine, written(tmp_path / "a.nii").affine)
    save(sample, tmp_path / "b.nii")
    same_header(tmp_path / "b.nii", tmp_path / "a.nii")
    moved = sample.resampled(1.5)
    save(moved, tmp_path / "c.nii")
    again = written(tmp_path / "c.nii")
    assert again.shape == moved.space
    assert np.allclose(again.affine, moved.affine, atol=1e-4)
    assert again.header["sform_code"] == (sform or qform or 1)


def test_volumes_from_elsewhere(tmp_path: Path) -> None:
    sample = volume(slope=0.5, intercept=-3.0)
    for suffix in SUFFIXES:
        save(sample, tmp_path / f"a{suffix}")
        image = written(tmp_path / f"a{suffix}")
        assert np.abs(image.get_fdata() - sample.data[0]).max() <= 0.25
        assert np.allclose(image.affine, TILTED, atol=1e-5)
        assert np.allclose(image.get_qform(), TILTED, atol=1e-5)
        assert image.header.get_xyzt_units() == ("mm", "unknown")
    sheared = TILTED.copy()
    sheared[0, 2] = 0.3
    save(volume(affine=sheared), tmp_path / "b.nii")
    image = written(tmp_path / "b.nii")
    assert np.allclose(image.affine, sheared, atol=1e-5)
    assert image.header["qform_code"] == 0
    save(volume(40000, 1, 1), tmp_path / "c.nii")
    assert isinstance(written(tmp_path / "c.nii"), nibabel.Nifti2Image)


def test_nifti_2(tmp_path: Path) -> None:
    image = nibabel.Nifti2Image(np.arange(120, dtype=np.int16).reshape(4, 5, 6), TILTED)
    image.to_filename(tmp_path / "a.nii.gz")
    sample = load(tmp_path / "a.nii.gz")
    assert isinstance(sample, Volume)
    assert np.array_equal(sample.affine, TILTED)
    save(sample, tmp_path / "b.nii")
    again = written(tmp_path / "b.nii")
    assert isinstance(again, nibabel.Nifti2Image)
    same_header(tmp_path / "b.nii", tmp_path / "a.nii.gz")


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1), (4, 5, 6, 1), (4,), (4, 5, 6, 1, 1)])
def test_axes_of_length_one(tmp_path: Path, shape: tuple[int, ...]) -> None:
    values = np.arange(np.prod(shape), dtype=np.int16).reshape(shape)
    path = stored(tmp_path / "a.nii", values)
    sample = load(path)
    assert sample.space == (*shape, 1, 1)[:3]
    save(sample, tmp_path / "b.nii")
    again = written(tmp_path / "b.nii")
    assert again.shape == shape
    assert np.array_equal(np.asarray(again.dataobj), values)


@pytest.mark.parametrize("name", ["CT_pitch", "CT_AVM", "ct_chest_256"])
def test_real_volumes(tmp_path: Path, shared: Path, name: str) -> None:
    path = shared / "volumes" / f"{name}.nii.gz"
    sample = load(path)
    assert isinstance(sample, Volume)
    image = written(path)
    assert np.array_equal(sample.affine, image.affine)
    assert sample.spacing == pytest.approx(image.header.get_zooms(), rel=1e-6)
    save(sample, tmp_path / "b.nii.gz", "{}")
    again = written(tmp_path / "b.nii.gz")
    same_header(tmp_path / "b.nii.gz", path)
    assert np.array_equal(np.asarray(again.dataobj), np.asarray(image.dataobj))
    save(sample, tmp_path / "c.nii.gz", "{}")
    assert (tmp_path / "b.nii.gz").read_bytes() == (tmp_path / "c.nii.gz").read_bytes()


@pytest.mark.slow
@on_linux
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_memory_beside_the_array(tmp_path: Path, suffix: str) -> None:
    """16 million voxels of 16 bits, 64 MB as floats, 32 MB in the file."""
    values = np.tile(smooth(64, 64, 32)[0].astype(np.int16), (4, 4, 8))
    stored(tmp_path / f"big{suffix}", values)
    stored(tmp_path / f"small{suffix}", values[:40, :40, :40])
    assert growth(tmp_path, suffix) < 60
    assert np.array_equal(np.asarray(written(tmp_path / f"copy{suffix}").dataobj), values)
    assert not [name for name in os.listdir(tmp_path) if name.endswith(".tmp")]
