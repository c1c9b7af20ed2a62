"""Volume files that cannot be written: one line that says why, and all is as it was."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import nibabel
import numpy as np
import pytest

from impasto.errors import MissingExtraError, OutputError
from impasto.media import ArraySample, check_target, grid, is_picture, load, save
from impasto.media.picture import from_array
from tests.media.pictures import noise
from tests.media.signals import signal
from tests.media.volumes import smooth, volume

FILES = (".nii", ".nii.gz", ".hdr", ".img", ".nrrd", ".nhdr")
SUFFIXES = (*FILES, ".dcm", ".ome.zarr")
STRAIGHT = volume(affine=np.diag([1.0, 2, 3, 1]))


def cannot_save(path: Path, words: str) -> None:
    """The early check and the saving refuse alike, in one line."""
    with pytest.raises(OutputError, match=words) as early:
        check_target(path)
    with pytest.raises(OutputError, match=words) as late:
        save(STRAIGHT, path)
    assert str(early.value).startswith(f"{path.parent}/")
    for error in (early, late):
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_places_that_are_none(tmp_path: Path, suffix: str) -> None:
    cannot_save(tmp_path / "missing" / f"a{suffix}", "no folder .*missing; create it")
    (tmp_path / f"b{suffix}").mkdir()
    if suffix in FILES:
        cannot_save(tmp_path / f"b{suffix}", "found a folder; add a file name")
    else:
        (tmp_path / f"b{suffix}" / "notes.txt").write_text("mine")
        cannot_save(tmp_path / f"b{suffix}", "found a folder that holds something else; choose")
        shutil.rmtree(tmp_path / f"b{suffix}")
        (tmp_path / f"b{suffix}").write_text("mine")
        cannot_save(tmp_path / f"b{suffix}", "found a file; choose another name")
    assert os.listdir(tmp_path) == [f"b{suffix}"]


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


@pytest.fixture
def others() -> Iterator[Path]:
    """A folder anyone may enter, for a user who is not root."""
    folder = Path(tempfile.mkdtemp())
    user = os.geteuid()
    try:
        yield folder
    finally:
        os.seteuid(user)
        folder.chmod(0o700)
        shutil.rmtree(folder)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("protected", ["folder", "target"])
def test_write_protected_places(others: Path, suffix: str, protected: str) -> None:
    path = others / f"old{suffix}"
    save(STRAIGHT, path)
    before = sorted(os.listdir(others))
    path.chmod(0o555 if protected == "target" else 0o777)
    others.chmod(0o777 if protected == "target" else 0o555)
    if os.geteuid() == 0:
        os.seteuid(65534)
    cannot_save(path, "is write-protected; choose another place")
    assert sorted(os.listdir(others)) == before


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_no_room_for_the_whole_volume(tmp_path: Path, suffix: str) -> None:
    """The old volume must stay."""
    script = (
        "import resource, sys\n"
        "import numpy as np\n"
        "from impasto.errors import OutputError\n"
        "from impasto.media import Volume, save\n"
        "values = np.random.default_rng(0).normal(size=(1, 256, 256, 9)).astype(np.float32)\n"
        "sample = Volume(values, affine=np.diag([1.0, 2, 3, 1]))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, 2**16))\n"
        "try:\n"
        "    save(sample, sys.argv[1])\n"
        "except OutputError as error:\n"
        "    print(error)\n"
    )
    target = tmp_path / f"out{suffix}"
    save(STRAIGHT, target)
    before = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    run = subprocess.run(
        [sys.executable, "-c", script, str(target)], capture_output=True, text=True, check=True
    )
    assert "expected room for the whole file, found none left in" in run.stdout
    assert run.stdout.count("\n") == 1
    assert run.stderr == ""
    after = {path: path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()}
    assert after == before


@pytest.mark.parametrize(
    ("suffix", "library", "extra"),
    [
        (".nii.gz", "nibabel", "volumes"),
        (".dcm", "pydicom", "volumes"),
        (".nrrd", "nrrd", "volumes"),
        (".ome.zarr", "zarr", "zarr"),
    ],
)
def test_without_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, library: str, extra: str
) -> None:
    path = tmp_path / f"a{suffix}"
    save(STRAIGHT, path)
    monkeypatch.setitem(sys.modules, library, None)
    monkeypatch.setitem(sys.modules, f"{library}.storage", None)
    for attempt in (load, grid, check_target, lambda path: save(STRAIGHT, path)):
        words = rf"the library {library} for .* run: pip install 'impasto\[{extra}\]'"
        with pytest.raises(MissingExtraError, match=words) as caught:
            attempt(path)
        assert str(caught.value).startswith(f"{path}: expected ")


def test_resampling_without_scipy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "scipy.ndimage", None)
    with pytest.raises(MissingExtraError, match="the library scipy to resample volumes"):
        STRAIGHT.resampled(2.0)


def test_importing_media_loads_no_extra() -> None:
    names = "{'nibabel', 'pydicom', 'nrrd', 'zarr', 'scipy'}"
    script = f"import sys, impasto.media; print({names} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"


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
