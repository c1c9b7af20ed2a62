"""Signal files that cannot be written: one line that says why, and all is as it was."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest

from impasto.errors import OutputError
from impasto.media import Annotation, check_target, is_picture, load, save
from impasto.media.pictures.picture import from_array
from tests.media.pictures import noise
from tests.media.places import contents
from tests.media.signals import signal
from tests.media.test_places import SOUNDS as SUFFIXES

SOUND = signal(rate=8000.0, length=9000, annotations=(Annotation(0.5, "here"),))


def test_names_that_are_no_records(tmp_path: Path) -> None:
    for name in ("two words.hea", "ä.hea", "a.b.hea", ".hea"):
        with pytest.raises(OutputError, match=r"a record name of letters|a name that ends in"):
            check_target(tmp_path / name)
    for annotator in ("../x", "hea", ""):
        marked = (Annotation(1.0, annotator=annotator),)
        with pytest.raises(OutputError, match="annotators named by letters and digits, found '"):
            save(signal(annotations=marked), tmp_path / "a.hea")
    assert os.listdir(tmp_path) == []


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_samples_that_are_no_signals(tmp_path: Path, suffix: str) -> None:
    words = r"expected a sample of shape \(channel, time\) for a signal file, found \(3, 20, 30\)"
    with pytest.raises(OutputError, match=words):
        save(from_array(noise(20, 30, 3)), tmp_path / f"a{suffix}")
    with pytest.raises(OutputError, match=words):
        check_target(tmp_path / f"a{suffix}", (20, 30), 3)
    check_target(tmp_path / f"a{suffix}", (2000,), 3)
    with pytest.raises(OutputError, match=r"\(3, height, width\) for a picture file"):
        save(SOUND, tmp_path / "a.png")
    assert os.listdir(tmp_path) == []
    assert not is_picture(f"a{suffix}")


@pytest.mark.parametrize("failing", range(6))
def test_a_set_is_whole_or_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    """Ctrl-C at each of the moves of three files, and of the three that leave."""
    save(SOUND, tmp_path / "a.hea")
    (tmp_path / "a.hea").chmod(0o640)
    before = contents(tmp_path)
    rename, moves = Path.rename, iter(range(100))

    def interrupted(self: Path, target: Path) -> Path:
        if next(moves) == failing:
            raise KeyboardInterrupt
        return rename(self, target)

    with monkeypatch.context() as patch:
        # The files are written with renames of their own.
        patch.setattr(
            "impasto.media.folders._sync", lambda _: patch.setattr(Path, "rename", interrupted)
        )
        with pytest.raises(KeyboardInterrupt):
            save(SOUND.with_data(-SOUND.data), tmp_path / "a.hea")
    assert contents(tmp_path) == before
    save(SOUND.with_data(-SOUND.data), tmp_path / "a.hea")
    assert (tmp_path / "a.hea").stat().st_mode & 0o777 == 0o640
    assert np.allclose(load(tmp_path / "a.hea").data, -SOUND.data, atol=1e-4)
