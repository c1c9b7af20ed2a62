"""What names, patterns and folders stand for."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from impasto import media
from impasto.errors import SampleError
from impasto.media.listing import files_of, list_samples
from impasto.media.signals.signal import Signal
from impasto.media.volumes.volume import Volume

VALUES = np.random.default_rng(0).normal(0, 1, (1, 60)).astype(np.float32)


@pytest.fixture
def shelf(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with samples of one file, of several, and of a folder."""
    pytest.importorskip("wfdb")
    pytest.importorskip("pydicom")
    monkeypatch.chdir(tmp_path)
    (tmp_path / "all" / "sub").mkdir(parents=True)
    signal = Signal(VALUES, rate=60.0, names=("I",), units=("mV",))
    solid = Volume(np.zeros((1, 4, 5, 6), np.float32), dtype=np.dtype(np.int16))
    media.save(signal, "all/100.hea")
    media.save(signal, "all/sub/101.csv")
    media.save(solid, "all/chest.dcm")
    media.save(solid, "all/chest.hdr")
    for name in ("a.jpg", "sub/b.JPG", ".hidden.jpg", "notes.txt"):
        (tmp_path / "all" / name).write_bytes(b"")
    return tmp_path


def listed(*names: str) -> dict[str, str]:
    return {str(found.path): str(found.below) for found in list_samples(names)}


def test_a_folder_stands_for_its_samples_each_once(shelf: Path) -> None:
    assert list(listed("all").values()) == ["100.hea", "a.jpg", "chest.dcm", "chest.hdr"]


def test_a_pattern_keeps_the_places_below_it(shelf: Path) -> None:
    assert listed("all/**/*.[jJ][pP][gG]") == {"all/a.jpg": "a.jpg", "all/sub/b.JPG": "sub/b.JPG"}
    assert set(listed("all/**").values()) == {
        *("100.hea", "a.jpg", "chest.dcm", "chest.hdr", "sub/101.csv", "sub/b.JPG")
    }
    assert listed("all/*/101.csv") == {"all/sub/101.csv": "sub/101.csv"}


def test_a_record_named_by_its_values_is_listed_by_its_header(shelf: Path) -> None:
    assert listed("all/100.*") == {"all/100.hea": "100.hea"}
    assert [path.name for path in files_of(Path("all/100.hea"))] == ["100.hea", "100.dat"]


def test_what_is_named_is_listed_whatever_it_is(shelf: Path) -> None:
    (shelf / "odd [1].jpg").write_bytes(b"")
    assert listed("all/notes.txt", "odd [1].jpg", "all/chest.dcm", "gone.png") == {
        "all/notes.txt": "notes.txt",
        "odd [1].jpg": "odd [1].jpg",
        "all/chest.dcm": "chest.dcm",
        "gone.png": "gone.png",
    }
    assert len(listed("all/a.jpg", "all/a.jpg", "all/*.jpg")) == 1


def test_a_series_is_all_files_of_its_folder(shelf: Path) -> None:
    files = files_of(Path("all/chest.dcm"))
    assert len(files) == 6
    assert files_of(Path("gone.png")) == []


@pytest.mark.parametrize("name", ["all/*.gif", "empty", "all/.h*/x*"])
def test_nothing_there_is_an_error(shelf: Path, name: str) -> None:
    (shelf / "empty").mkdir()
    with pytest.raises(SampleError, match="none there"):
        list_samples([name])
