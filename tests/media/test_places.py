"""Files of every format that cannot be written: one line that says why, and all is as it was."""

from __future__ import annotations

import os
import subprocess
import sys
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import numpy as np
import pytest

from impasto.errors import MissingExtraError, OutputError
from impasto.media import ArraySample, Sample, Signal, Volume, check_target, grid, load, save
from impasto.media.pictures.formats import WRITTEN as PICTURES
from impasto.media.pictures.picture import from_array
from tests.media.pictures import noise
from tests.media.places import as_nobody, contents, limited, small_disk
from tests.media.signals import signal
from tests.media.volumes import volume
from tests.missing import hide

STRAIGHT = np.diag([1.0, 2, 3, 1])
SOUNDS = (".hea", ".dat", ".edf", ".bdf", ".csv", ".npz", ".wav", ".flac", ".ogg", ".mp3")
VOLUMES = (".nii", ".nii.gz", ".hdr", ".img", ".nrrd", ".nhdr")
FOLDERS = (".zarr", ".dcm", ".ome.zarr")
SAMPLES: dict[str, Sample] = {
    **dict.fromkeys(PICTURES, from_array(noise(20, 30, 3))),
    **dict.fromkeys((".npy", ".zarr"), ArraySample(np.ones((2, 9), np.float32))),
    **dict.fromkeys(SOUNDS, signal(rate=8000.0, length=1000)),
    **dict.fromkeys((*VOLUMES, ".dcm", ".ome.zarr"), volume(affine=STRAIGHT)),
}
every_suffix = pytest.mark.parametrize("suffix", SAMPLES)


def cannot_save(path: Path, words: str, suffix: str) -> None:
    """The early check and the saving refuse alike, in one line."""
    with pytest.raises(OutputError, match=words) as early:
        check_target(path)
    with pytest.raises(OutputError, match=words) as late:
        save(SAMPLES[suffix], path)
    for error in (early, late):
        assert str(error.value).startswith(f"{path.parent}/")
        assert "\n" not in str(error.value)


@every_suffix
def test_places_that_are_none(tmp_path: Path, suffix: str) -> None:
    cannot_save(tmp_path / "missing" / f"a{suffix}", "no folder .*missing; create it", suffix)
    path = tmp_path / f"b{suffix}"
    path.mkdir()
    if suffix in FOLDERS:
        (path / "notes.txt").write_text("mine")
        words = rf"nothing there, or an earlier \.{suffix[1:].rpartition('.')[2]} that may be "
        cannot_save(path, words + "replaced, found a folder that holds something", suffix)
        (tmp_path / f"c{suffix}").write_text("mine")
        cannot_save(tmp_path / f"c{suffix}", words + "replaced, found a file; choose", suffix)
        assert contents(tmp_path).keys() == {path / "notes.txt", tmp_path / f"c{suffix}"}
    else:
        cannot_save(path, "found a folder; add a file name", suffix)
        assert os.listdir(tmp_path) == [path.name]
        assert os.listdir(path) == []


@every_suffix
@pytest.mark.parametrize("protected", ["folder", "target"])
def test_write_protected_places(others: Path, suffix: str, protected: str) -> None:
    path = others / f"old{suffix}"
    save(SAMPLES[suffix], path)
    before = contents(others)
    path.chmod(0o555 if protected == "target" else 0o777)
    others.chmod(0o777 if protected == "target" else 0o555)
    as_nobody()
    words = "is write-protected; choose another place"
    cannot_save(path, words, suffix)
    if protected == "folder":
        cannot_save(others / f"new{suffix}", words, suffix)
    assert contents(others) == before


def large(suffix: str) -> Sample:
    """Noise that takes more than 100 kB in any format."""
    random = np.random.default_rng(0)
    if suffix in PICTURES:
        side = 300 if suffix == ".avif" else 400  # which takes seconds for more
        return from_array(random.integers(0, 256, (side, side, 3), np.uint8))
    if suffix in SOUNDS:
        values = random.uniform(-1, 1, (2, 2**18)).astype(np.float32)
        return Signal(values, rate=8000.0, names=("a", "b"), units=("", ""))
    if suffix in (".npy", ".zarr"):
        return Sample(random.normal(size=(3, 2**18)).astype(np.float32))
    return Volume(random.normal(size=(1, 256, 256, 9)).astype(np.float32), affine=STRAIGHT)


def no_room(target: Path, suffix: str, full: AbstractContextManager[None]) -> None:
    """The old file must stay, and nothing be left beside it."""
    save(SAMPLES[suffix], target)
    before = contents(target.parent)
    words = r"/out\..*: expected room for the whole file, found none left in .*; free some space"
    with pytest.raises(OutputError, match=words) as caught, full:
        save(large(suffix), target)
    assert "\n" not in str(caught.value)
    assert contents(target.parent) == before


@every_suffix
def test_no_room_for_the_whole_file(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], suffix: str
) -> None:
    no_room(tmp_path / f"out{suffix}", suffix, limited(2**16))
    assert capfd.readouterr() == ("", "")


@every_suffix
def test_a_full_disk(tmp_path: Path, capfd: pytest.CaptureFixture[str], suffix: str) -> None:
    with small_disk(tmp_path, 2**17):
        no_room(tmp_path / f"out{suffix}", suffix, nullcontext())
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("suffix", "library", "extra"),
    [
        (".zarr", "zarr", "zarr"),
        (".hea", "wfdb", "signals"),
        (".edf", "pyedflib", "signals"),
        (".wav", "soundfile", "signals"),
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
    save(SAMPLES[suffix], path)
    hide(library, monkeypatch)
    for attempt in (load, grid, check_target, lambda path: save(SAMPLES[suffix], path)):
        words = rf"the library {library} for .* run: pip install 'impasto\[{extra}\]'"
        with pytest.raises(MissingExtraError, match=words) as caught:
            attempt(path)
        assert str(caught.value).startswith(f"{path}: expected ")


def test_importing_media_loads_no_other_library() -> None:
    names = (
        *("torch", "PIL", "zarr", "wfdb", "pandas", "matplotlib", "pyedflib", "soundfile"),
        *("scipy", "nibabel", "pydicom", "nrrd"),
    )
    script = f"import sys, impasto.media; print({{*{names}}} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"
