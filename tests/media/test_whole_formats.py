"""Formats that are decoded whole in memory: what that may take, and where the values go."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from impasto.errors import MemoryLimitError
from impasto.media import load, save
from tests.media.signals import signal
from tests.media.test_places import SAMPLES, SOUNDS, VOLUMES


@pytest.mark.parametrize("suffix", [*VOLUMES, ".dcm", ".hea", ".edf", ".npz", ".wav"])
def test_more_than_the_free_memory_is_refused_before_it_is_decoded(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    path = tmp_path / f"a{suffix}"
    save(SAMPLES[suffix], path)
    monkeypatch.setattr("impasto.media.blocks.free_memory", lambda: 1000.0)
    with pytest.raises(MemoryLimitError) as caught:
        load(path)
    assert caught.value.subject == str(path)
    assert "of memory for values of shape" in caught.value.expected
    assert caught.value.found == "0.001 MB free"
    assert "\n" not in str(caught.value)


def test_what_numpy_has_no_memory_for_is_refused_in_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(SAMPLES[".csv"], tmp_path / "a.csv")

    def nothing_left(values: object) -> None:
        raise MemoryError("Unable to allocate 7 TiB")

    monkeypatch.setattr("impasto.media.signals.tables.without_gaps", nothing_left)
    with pytest.raises(MemoryLimitError) as caught:
        load(tmp_path / "a.csv")
    assert caught.value.subject == str(tmp_path / "a.csv")
    assert "7 TiB" in caught.value.found


@pytest.mark.parametrize("suffix", [*SOUNDS, *VOLUMES, ".dcm", ".ome.zarr", ".npy", ".png"])
def test_the_values_go_where_the_caller_says(tmp_path: Path, suffix: str) -> None:
    def new(shape: tuple[int, ...]) -> np.ndarray:
        return np.memmap(tmp_path / "values.bin", np.float32, "w+", shape=shape)

    path = tmp_path / f"a{suffix}"
    save(SAMPLES[suffix], path)
    sample = load(path, new=new)
    assert isinstance(sample.data, np.memmap)
    assert np.array_equal(sample.data, load(path).data)


def test_a_long_ogg(tmp_path: Path) -> None:
    """Given three minutes at once, the encoder would end the process."""
    save(signal(2, 180 * 22050, rate=22050.0), tmp_path / "a.ogg")
    with soundfile.SoundFile(tmp_path / "a.ogg") as file:
        assert file.frames == 180 * 22050
