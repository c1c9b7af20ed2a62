from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from impasto.errors import SampleError
from impasto.media import grid, load
from tests.media.places import Refused


@pytest.fixture(autouse=True)
def unsynced(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing waits for the disk, which no test here could tell."""
    monkeypatch.setattr(os, "fsync", lambda _: None)


@pytest.fixture
def refused(capfd: pytest.CaptureFixture[str]) -> Refused:
    def check(path: Path, words: str, *, early: bool = True) -> None:
        """Loading raises one line about the path; so does grid() where the header shows it."""
        for read in (load, grid) if early else (load,):
            with pytest.raises(SampleError, match=words) as caught:
                read(path)
            message = str(caught.value)
            assert message.startswith(f"{path}: expected ")
            assert "\n" not in message
            assert len(message) < 2 * len(str(path)) + 350
        if not early:
            grid(path)
        assert capfd.readouterr() == ("", "")

    return check


@pytest.fixture
def others() -> Iterator[Path]:
    """A folder anyone may enter, for `as_nobody`."""
    folder = Path(tempfile.mkdtemp())
    folder.chmod(0o755)
    user = os.geteuid()
    try:
        yield folder
    finally:
        os.seteuid(user)
        folder.chmod(0o700)
        shutil.rmtree(folder)
