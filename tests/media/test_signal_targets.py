"""Signal files that cannot be written: one line that says why, and all is as it was."""

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

from impasto.errors import MissingExtraError, OutputError
from impasto.media import Annotation, ArraySample, check_target, grid, is_picture, load, save
from impasto.media.picture import from_array
from tests.media.pictures import noise
from tests.media.signals import signal, waves

SUFFIXES = (".hea", ".dat", ".edf", ".bdf", ".csv", ".npz", ".wav", ".flac", ".ogg", ".mp3")
SOUND = signal(rate=8000.0, length=9000, annotations=(Annotation(0.5, "here"),))


def cannot_save(path: Path, words: str) -> None:
    """The early check and the saving refuse alike, in one line."""
    with pytest.raises(OutputError, match=words) as early:
        check_target(path)
    with pytest.raises(OutputError, match=words) as late:
        save(SOUND, path)
    assert str(early.value).startswith(f"{path.parent}/")
    for error in (early, late):
        assert "\n" not in str(error.value)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_places_that_are_none(tmp_path: Path, suffix: str) -> None:
    cannot_save(tmp_path / "missing" / f"a{suffix}", "no folder .*missing; create it")
    (tmp_path / f"b{suffix}").mkdir()
    cannot_save(tmp_path / f"b{suffix}", "found a folder; add a file name")
    assert os.listdir(tmp_path) == [f"b{suffix}"]
    assert os.listdir(tmp_path / f"b{suffix}") == []


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
    save(SOUND, path)
    before = sorted(os.listdir(others))
    path.chmod(0o444 if protected == "target" else 0o666)
    others.chmod(0o777 if protected == "target" else 0o555)
    if os.geteuid() == 0:
        os.seteuid(65534)
    cannot_save(path, "is write-protected; choose another place")
    assert sorted(os.listdir(others)) == before


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_no_room_for_the_whole_signal(tmp_path: Path, suffix: str) -> None:
    """The old signal must stay."""
    script = (
        "import resource, sys\n"
        "import numpy as np\n"
        "from impasto.errors import OutputError\n"
        "from impasto.media import Signal, save\n"
        "values = np.random.default_rng(0).uniform(-1, 1, (2, 2**19)).astype(np.float32)\n"
        "sample = Signal(values, rate=8000.0, names=('a', 'b'), units=('', ''))\n"
        "resource.setrlimit(resource.RLIMIT_FSIZE, (2**16, 2**16))\n"
        "try:\n"
        "    save(sample, sys.argv[1])\n"
        "except OutputError as error:\n"
        "    print(error)\n"
    )
    target = tmp_path / f"out{suffix}"
    save(SOUND, target)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    run = subprocess.run(
        [sys.executable, "-c", script, str(target)], capture_output=True, text=True, check=True
    )
    assert "expected room for the whole file, found none left in" in run.stdout
    assert run.stdout.count("\n") == 1
    assert run.stderr == ""
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


@pytest.mark.parametrize("failing", range(6))
def test_a_set_is_whole_or_not_there(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failing: int
) -> None:
    """Ctrl-C at each of the moves of three files, and of the three that leave."""
    save(SOUND, tmp_path / "a.hea")
    (tmp_path / "a.hea").chmod(0o640)
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    rename, moves = Path.rename, iter(range(100))

    def interrupted(self: Path, target: Path) -> Path:
        if next(moves) == failing:
            raise KeyboardInterrupt
        return rename(self, target)

    with monkeypatch.context() as patch:
        # The files are written with renames of their own.
        patch.setattr(
            "impasto.media.files._sync", lambda _: patch.setattr(Path, "rename", interrupted)
        )
        with pytest.raises(KeyboardInterrupt):
            save(SOUND.with_data(-SOUND.data), tmp_path / "a.hea")
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before
    save(SOUND.with_data(-SOUND.data), tmp_path / "a.hea")
    assert (tmp_path / "a.hea").stat().st_mode & 0o777 == 0o640
    assert np.allclose(load(tmp_path / "a.hea").data, -SOUND.data, atol=1e-4)


@pytest.mark.parametrize(
    ("suffix", "library"), [(".hea", "wfdb"), (".edf", "pyedflib"), (".wav", "soundfile")]
)
def test_without_the_library(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str, library: str
) -> None:
    path = tmp_path / f"a{suffix}"
    save(ArraySample(waves()), path)
    monkeypatch.setitem(sys.modules, library, None)
    for attempt in (load, grid, check_target, lambda path: save(SOUND, path)):
        words = rf"the library {library} for .* run: pip install 'impasto\[signals\]'"
        with pytest.raises(MissingExtraError, match=words) as caught:
            attempt(path)
        assert str(caught.value).startswith(f"{path}: expected ")


def test_importing_media_loads_no_extra() -> None:
    names = "{'wfdb', 'pandas', 'matplotlib', 'pyedflib', 'soundfile', 'soxr', 'scipy'}"
    script = f"import sys, impasto.media; print({names} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"
