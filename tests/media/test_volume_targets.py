"""Volume files that cannot be written: one line that says why, and all is as it was."""

from __future__ import annotations

import os
from pathlib import Path

import nibabel
import numpy as np
import pytest

from impasto.errors import MissingExtraError, OutputError
from impasto.media import ArraySample, check_target, is_picture, load, save
from impasto.media.pictures.picture import from_array
from tests.media.pictures import noise
from tests.media.signals import signal
from tests.media.test_places import VOLUMES
from tests.media.volumes import smooth, volume
from tests.missing import hide

SUFFIXES = (*VOLUMES, ".dcm", ".ome.zarr")
STRAIGHT = volume(affine=np.diag([1.0, 2, 3, 1]))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_samples_that_are_no_volumes(tmp_path: Path, suffix: str) -> None:
    words = r"expected a sample of shape \(1, x, y, z\) for a volume file, found \(3, 20, 30\)"
    with pytest.raises(OutputError, match=words):
        save(from_array(noise(20, 30, 3)), tmp_path / f"a{suffix}")
    with pytest.raises(OutputError, match=words):
        check_target(tmp_path / f"a{suffix}", (20, 30), 3)
    with pytest.raises(OutputError, match=r"found \(2, 1000\)"):
        save(signal(), tmp_path / f"a{suffix}")
    with pytest.raises(OutputError, match=r"found \(2, 4, 5, 6\)"):
        check_target(tmp_path / f"a{suffix}", (4, 5, 6), 2)
    check_target(tmp_path / f"a{suffix}", (4, 5, 6), 1)
    for other in ("a.png", "a.csv"):
        with pytest.raises(OutputError, match="found "):
            save(STRAIGHT, tmp_path / other)
    assert os.listdir(tmp_path) == []
    assert not is_picture(f"a{suffix}")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_arrays_as_volumes_and_volumes_as_arrays(tmp_path: Path, suffix: str) -> None:
    values = np.rint(smooth(4, 5, 6))
    save(ArraySample(values, dtype=np.dtype(np.int16)), tmp_path / f"a{suffix}")
    sample = load(tmp_path / f"a{suffix}")
    assert np.array_equal(sample.data, values)
    save(sample, tmp_path / "a.npy")
    assert np.array_equal(np.load(tmp_path / "a.npy"), values)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_half_precision(tmp_path: Path, suffix: str) -> None:
    """Most formats of volumes do not have it."""
    values = smooth(4, 5, 6).astype(np.float16)
    np.save(tmp_path / "a.npy", values)
    save(load(tmp_path / "a.npy"), tmp_path / f"a{suffix}")
    assert np.allclose(load(tmp_path / f"a{suffix}").data, values, atol=0.02)


def test_resampling_without_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    hide("scipy", monkeypatch)
    with pytest.raises(MissingExtraError, match="the library scipy to resample volumes"):
        STRAIGHT.resampled(2.0)


def test_from_format_to_format(tmp_path: Path) -> None:
    """The values in HU, and where they are, whichever way they go."""
    image = nibabel.Nifti1Image(np.rint(smooth(9, 8, 7)[0]).astype(np.int16), STRAIGHT.affine)
    image.to_filename(tmp_path / "0.nii.gz")
    sample = load(tmp_path / "0.nii.gz")
    chain = (".dcm", ".nrrd", ".ome.zarr", ".hdr", ".nhdr", ".dcm", ".nii")
    for number, suffix in enumerate(chain):
        save(sample, tmp_path / f"{number}{suffix}")
        sample = load(tmp_path / f"{number}{suffix}")
    assert np.array_equal(sample.data[0], image.get_fdata())
    assert np.allclose(nibabel.load(tmp_path / "6.nii").affine, STRAIGHT.affine)
    assert nibabel.load(tmp_path / "6.nii").get_data_dtype() == np.int16
