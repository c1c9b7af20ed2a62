"""Places where an array cannot be written: one line that says why, and all is as it was."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import zarr

from impasto.media import Sample, load, save
from tests.media.places import contents
from tests.media.test_places import cannot_save

SIGNAL = Sample(np.random.default_rng(0).normal(size=(2, 5000)).astype(np.float32))


def test_what_a_zarr_folder_may_not_replace(tmp_path: Path) -> None:
    zarr.open_group(str(tmp_path / "group.zarr"), mode="w").create_array("0", data=np.ones(3))
    (tmp_path / "odd.zarr").mkdir()
    (tmp_path / "odd.zarr" / "zarr.json").write_text("no json")
    before = contents(tmp_path)
    for name in ("group.zarr", "odd.zarr"):
        cannot_save(tmp_path / name, "found a folder that holds something else", ".zarr")
    assert contents(tmp_path) == before


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
