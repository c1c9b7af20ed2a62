"""Places where an array cannot be written: one line that says why, and all is as it was."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import zarr

from impasto.errors import OutputError
from impasto.media import Sample, check_target, load, save

SUFFIXES = (".npy", ".zarr")
SIGNAL = Sample(np.random.default_rng(0).normal(size=(2, 5000)).astype(np.float32))


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_targets_in_no_folder(tmp_path: Path, suffix: str) -> None:
    cannot_save(tmp_path / "missing" / f"a{suffix}", "no folder .*missing; create it")
    assert os.listdir(tmp_path) == []


def test_what_a_zarr_folder_may_not_replace(tmp_path: Path) -> None:
    words = r"nothing there, or an earlier \.zarr that may be replaced, found a "
    (tmp_path / "file.zarr").write_bytes(b"mine")
    cannot_save(tmp_path / "file.zarr", words + "file; choose another name")
    (tmp_path / "photos.zarr").mkdir()
    (tmp_path / "photos.zarr" / "a.jpg").write_bytes(b"mine")
    cannot_save(tmp_path / "photos.zarr", words + "folder that holds something else")
    zarr.open_group(str(tmp_path / "group.zarr"), mode="w").create_array("0", data=np.ones(3))
    cannot_save(tmp_path / "group.zarr", words + "folder that holds something else")
    (tmp_path / "odd.zarr").mkdir()
    (tmp_path / "odd.zarr" / "zarr.json").write_text("no json")
    cannot_save(tmp_path / "odd.zarr", words + "folder that holds something else")
    (tmp_path / "a.npy").mkdir()
    cannot_save(tmp_path / "a.npy", "found a folder; add a file name")
    assert (tmp_path / "file.zarr").read_bytes() == b"mine"
    assert (tmp_path / "photos.zarr" / "a.jpg").read_bytes() == b"mine"
    assert len(os.listdir(tmp_path)) == 5


def cannot_save(path: Path, words: str) -> None:
    """The early check and the saving refuse alike, in one line."""
    with pytest.raises(OutputError, match=words) as early:
        check_target(path)
    with pytest.raises(OutputError, match=words) as late:
        save(SIGNAL, path)
    assert str(early.value) == str(late.value)
    assert str(early.value).startswith(f"{path}: expected ")
    assert "\n" not in str(early.value)


@pytest.fixture
def others() -> Iterator[Path]:
    """A folder anyone may enter, holding old.npy and old.zarr, for a user who is not root."""
    folder = Path(tempfile.mkdtemp())
    for suffix in SUFFIXES:
        save(Sample(np.ones((2, 9), np.float32)), folder / f"old{suffix}")
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
    (others / f"old{suffix}").chmod(0o555 if protected == "target" else 0o777)
    others.chmod(0o777 if protected == "target" else 0o555)
    if os.geteuid() == 0:
        os.seteuid(65534)
    cannot_save(others / f"old{suffix}", "is write-protected; choose another place")
    if protected == "folder":
        cannot_save(others / f"new{suffix}", "is write-protected; choose another place")
    assert sorted(os.listdir(others)) == ["old.npy", "old.zarr"]
    assert (load(others / f"old{suffix}").data == 1).all()


def fill(target: Path) -> None:
    """Saves more than the limit, or the tiny disk, allows; the old array must stay."""
    script = (
        "import resource, sys\n"
        "import numpy as np\n"
        "from impasto.errors import OutputError\n"
        "from impasto.media import Sample, save\n"
        "sample = Sample(np.random.default_rng(0).normal(size=(3, 2**20)).astype(np.float32))\n"
        "if sys.argv[2]: resource.setrlimit(resource.RLIMIT_FSIZE, (2**20, 2**20))\n"
        "try:\n"
        "    save(sample, sys.argv[1])\n"
        "except OutputError as error:\n"
        "    print(error)\n"
    )
    save(SIGNAL, target)
    limited = "" if target.parent.name == "tiny" else "limited"
    run = subprocess.run(
        [sys.executable, "-c", script, str(target), limited],
        capture_output=True,
        text=True,
        check=True,
    )
    assert run.stdout.startswith(f"{target}: expected room for the whole file, found none left in")
    assert run.stdout.count("\n") == 1
    assert run.stderr == ""
    assert np.array_equal(load(target).data, SIGNAL.data)
    assert os.listdir(target.parent) == [target.name]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_no_room_for_the_whole_array(tmp_path: Path, suffix: str) -> None:
    fill(tmp_path / f"out{suffix}")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("mount") is None, reason="only root can mount a small disk"
)
def test_a_full_disk(tmp_path: Path, suffix: str) -> None:
    tiny = tmp_path / "tiny"
    tiny.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(tiny)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting is not permitted here")
    try:
        fill(tiny / f"out{suffix}")
    finally:
        subprocess.run(["umount", str(tiny)], check=True)


def test_an_interrupted_folder_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while it is written, and at the worst moment: with the old folder moved away."""
    save(SIGNAL, tmp_path / "a.zarr")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("impasto.media.arrays.converted", interrupted)
        with pytest.raises(KeyboardInterrupt):
            save(Sample(SIGNAL.data + 1), tmp_path / "a.zarr")
    rename = Path.rename

    def second_fails(self: Path, target: Path) -> Path:
        if target.name == "a.zarr" and (self / "fresh").exists():
            raise KeyboardInterrupt
        return rename(self, target)

    with monkeypatch.context() as patch:
        patch.setattr(Path, "rename", second_fails)
        patch.setattr(
            "impasto.media.files._sync", lambda folder: (folder / "fresh").write_bytes(b"")
        )
        with pytest.raises(KeyboardInterrupt):
            save(Sample(SIGNAL.data + 1), tmp_path / "a.zarr")
    assert os.listdir(tmp_path) == ["a.zarr"]
    assert np.array_equal(load(tmp_path / "a.zarr").data, SIGNAL.data)
