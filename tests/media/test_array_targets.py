"""Places where an array cannot be written: one line that says why, and all is as it was."""

from __future__ import annotations

import os
from functools import partial
from pathlib import Path
from typing import Literal

import numpy as np
import pytest
import zarr

from impasto.errors import OutputError
from impasto.media import Sample, check_target, load, save
from tests.media.places import contents
from tests.media.test_places import cannot_save
from tests.media.volumes import volume

SIGNAL = Sample(np.random.default_rng(0).normal(size=(2, 5000)).astype(np.float32))


def test_what_a_zarr_folder_may_not_replace(tmp_path: Path) -> None:
    zarr.open_group(str(tmp_path / "group.zarr"), mode="w").create_array("0", data=np.ones(3))
    (tmp_path / "odd.zarr").mkdir()
    (tmp_path / "odd.zarr" / "zarr.json").write_text("no json")
    before = contents(tmp_path)
    for name in ("group.zarr", "odd.zarr"):
        cannot_save(tmp_path / name, "found a folder that holds something else", ".zarr")
    assert contents(tmp_path) == before


@pytest.mark.parametrize("name", ["a.zarr", "a.ome.zarr"])
@pytest.mark.parametrize(
    "stranger", ["notes.txt", "labels/zarr.json", "01", "0/backup.npy", "link"]
)
def test_a_zarr_folder_with_a_file_of_another_stays_as_it_is(
    tmp_path: Path, name: str, stranger: str
) -> None:
    sample = volume(5, 6, 7, affine=np.eye(4)) if name == "a.ome.zarr" else SIGNAL
    target = tmp_path / name
    for _ in range(2):
        save(sample, target)
    check_target(target)
    (target / stranger).parent.mkdir(exist_ok=True)
    if stranger == "link":
        (target / stranger).symlink_to(tmp_path)
    else:
        (target / stranger).write_bytes(b"mine")
    before = contents(target)
    for attempt in (check_target, partial(save, sample)):
        with pytest.raises(OutputError, match="found a folder that holds something else"):
            attempt(target)
    assert contents(target) == before


def test_arrays_that_others_wrote_are_not_replaced(tmp_path: Path) -> None:
    for version in (2, 3):
        zarr.create_array(str(tmp_path / f"{version}.zarr"), data=np.ones(9), zarr_format=version)
        with pytest.raises(OutputError, match="found a folder that holds something else"):
            check_target(tmp_path / f"{version}.zarr")


@pytest.mark.parametrize("version", [2, 3])
def test_arrays_of_either_version_are_replaced(tmp_path: Path, version: Literal[2, 3]) -> None:
    zarr.create_array(str(tmp_path / "a.zarr"), data=np.ones((2, 9)), zarr_format=version)
    for _ in range(2):
        save(load(tmp_path / "a.zarr"), tmp_path / "b.zarr")
    assert load(tmp_path / "b.zarr").space == (9,)


def test_an_interrupted_folder_leaves_the_old_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Ctrl-C while it is written, and at the worst moment: with the old folder moved away."""
    save(SIGNAL, tmp_path / "a.zarr")

    def interrupted(*_: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr("impasto.media.arrays.convert", interrupted)
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
            "impasto.media.folders._sync", lambda folder: (folder / "fresh").write_bytes(b"")
        )
        with pytest.raises(KeyboardInterrupt):
            save(Sample(SIGNAL.data + 1), tmp_path / "a.zarr")
    assert os.listdir(tmp_path) == ["a.zarr"]
    assert np.array_equal(load(tmp_path / "a.zarr").data, SIGNAL.data)
