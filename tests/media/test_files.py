"""A file is written whole or not at all, whatever goes wrong."""

from __future__ import annotations

import os
import random
import signal
import stat
import subprocess
import sys
import time
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

import pytest

from impasto.errors import OutputError
from impasto.media import files
from impasto.media.files import atomic_write, check_writable
from tests.media.places import as_nobody, limited, small_disk

# Writes one-letter files of 8 MB without end, the way a result is written.
ENDLESS = """
import sys
from impasto.media.files import atomic_write
print("ready", flush=True)
while True:
    for letter in b"abcdef":
        with atomic_write(sys.argv[1]) as file:
            for _ in range(8):
                file.write(bytes([letter]) * 2**20)
"""


@pytest.fixture(params=["nameless", "named"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Both ways of writing: O_TMPFILE, and a hidden file where there is no such thing."""
    if request.param == "named":
        monkeypatch.setattr(files, "_O_TMPFILE", 0)
    elif not files._O_TMPFILE:
        pytest.skip("no O_TMPFILE on this system")
    return str(request.param)


@pytest.mark.usefixtures("way")
def test_atomic_write_writes_and_overwrites(tmp_path: Path) -> None:
    target = tmp_path / "out.bin"
    for data in (b"first", b"second and longer", b""):
        with atomic_write(target) as file:
            file.write(data)
        assert target.read_bytes() == data
    assert os.listdir(tmp_path) == ["out.bin"]


@pytest.mark.usefixtures("way")
def test_a_relative_name_in_the_current_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with atomic_write("out.bin") as file:
        file.write(b"here")
    assert (tmp_path / "out.bin").read_bytes() == b"here"


@pytest.mark.usefixtures("way")
def test_an_exception_leaves_the_old_file_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "out.bin"
    target.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012, SIM117 -- the block itself raises
        with atomic_write(target) as file:
            file.write(b"new")
            file.flush()
            raise KeyboardInterrupt
    assert target.read_bytes() == b"old"
    assert os.listdir(tmp_path) == ["out.bin"]


@pytest.mark.usefixtures("way")
def test_the_old_file_can_be_read_until_the_new_one_is_whole(tmp_path: Path) -> None:
    target = tmp_path / "out.bin"
    target.write_bytes(b"old")
    with atomic_write(target) as file:
        file.write(b"new")
        file.flush()
        assert target.read_bytes() == b"old"
    assert target.read_bytes() == b"new"


@pytest.mark.usefixtures("way")
@pytest.mark.parametrize("umask", [0o022, 0o077])
def test_a_new_file_has_the_mode_of_any_new_file(tmp_path: Path, umask: int) -> None:
    before = os.umask(umask)
    try:
        with atomic_write(tmp_path / "ours") as file:
            file.write(b"x")
        (tmp_path / "theirs").write_bytes(b"x")
    finally:
        os.umask(before)
    ours, theirs = ((tmp_path / name).stat().st_mode for name in ("ours", "theirs"))
    assert ours == theirs


@pytest.mark.usefixtures("way")
def test_an_old_file_keeps_its_mode(tmp_path: Path) -> None:
    target = tmp_path / "out.bin"
    target.write_bytes(b"old")
    target.chmod(0o640)
    with atomic_write(target) as file:
        file.write(b"new")
    assert stat.S_IMODE(target.stat().st_mode) == 0o640


@pytest.mark.usefixtures("way")
def test_a_symbolic_link_is_followed(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    real = tmp_path / "folder" / "real.bin"
    real.write_bytes(b"old")
    link = tmp_path / "link.bin"
    link.symlink_to(real)
    with atomic_write(link) as file:
        file.write(b"new")
    assert link.is_symlink()
    assert real.read_bytes() == b"new"


@pytest.mark.usefixtures("way")
def test_checking_touches_nothing(tmp_path: Path) -> None:
    check_writable(tmp_path / "out.bin")
    assert os.listdir(tmp_path) == []
    (tmp_path / "out.bin").write_bytes(b"old")
    check_writable(tmp_path / "out.bin")
    assert (tmp_path / "out.bin").read_bytes() == b"old"


def cannot_write(path: Path, words: str) -> None:
    """Both the early check and the writing refuse, in one line that says `words`."""
    with pytest.raises(OutputError, match=words) as early:
        check_writable(path)
    with pytest.raises(OutputError, match=words) as late, atomic_write(path):
        pytest.fail("the block must not run")
    assert str(early.value) == str(late.value)
    assert str(early.value).startswith(f"{path}: expected ")
    assert "\n" not in str(early.value)


@pytest.mark.usefixtures("way")
def test_a_missing_folder(tmp_path: Path) -> None:
    cannot_write(tmp_path / "missing" / "out.bin", "no folder .*missing; create it")
    assert os.listdir(tmp_path) == []


@pytest.mark.usefixtures("way")
def test_a_file_in_place_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    cannot_write(tmp_path / "file" / "out.bin", "no folder")


@pytest.mark.usefixtures("way")
def test_a_folder_in_place_of_the_file(tmp_path: Path) -> None:
    cannot_write(tmp_path, "found a folder; add a file name")


@pytest.mark.usefixtures("way")
def test_a_pipe_in_place_of_the_file(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    cannot_write(tmp_path / "pipe", "found a device, pipe or socket")


@pytest.mark.usefixtures("way")
def test_a_write_protected_folder(others: Path) -> None:
    (others / "old.bin").write_bytes(b"old")
    (others / "old.bin").chmod(0o666)
    others.chmod(0o555)
    as_nobody()
    cannot_write(others / "new.bin", f"{others}.* is write-protected")
    cannot_write(others / "old.bin", "is write-protected")
    assert os.listdir(others) == ["old.bin"]


@pytest.mark.usefixtures("way")
def test_a_write_protected_file(others: Path) -> None:
    (others / "old.bin").write_bytes(b"old")
    (others / "old.bin").chmod(0o444)
    others.chmod(0o777)
    as_nobody()
    cannot_write(others / "old.bin", "old.bin is write-protected")
    assert (others / "old.bin").read_bytes() == b"old"


def no_room(target: Path, full: AbstractContextManager[None]) -> None:
    target.write_bytes(b"old")
    words = f"{target}: expected room for the whole file, found none left in "
    with pytest.raises(OutputError, match=words), full, atomic_write(target) as file:
        file.write(bytes(2**23))
    assert target.read_bytes() == b"old"
    assert os.listdir(target.parent) == [target.name]


@pytest.mark.usefixtures("way")
def test_no_room_for_the_whole_file(tmp_path: Path) -> None:
    no_room(tmp_path / "out.bin", limited(2**20))


@pytest.mark.usefixtures("way")
def test_a_full_disk(tmp_path: Path) -> None:
    with small_disk(tmp_path, 2**20):
        no_room(tmp_path / "out.bin", nullcontext())


@pytest.mark.slow
@pytest.mark.skipif(not files._O_TMPFILE, reason="no O_TMPFILE on this system")
def test_kill_at_random_moments(tmp_path: Path) -> None:
    """After kill -9 the file is one of those written, whole, and beside it there is nothing.

    The one gap is between linking and renaming, microseconds wide: what it leaves is whole too.
    """
    target = tmp_path / "out.bin"
    target.write_bytes(b"o" * 8 * 2**20)
    wholes = {bytes([letter]) * 8 * 2**20 for letter in b"oabcdef"}
    moments = random.Random(0)
    for _ in range(6):
        writer = subprocess.Popen(
            [sys.executable, "-c", ENDLESS, str(target)], stdout=subprocess.PIPE
        )
        assert writer.stdout is not None
        writer.stdout.readline()
        time.sleep(moments.uniform(0, 0.1))
        writer.send_signal(signal.SIGKILL)
        writer.communicate()
        assert target.read_bytes() in wholes
        litter = [name for name in os.listdir(tmp_path) if name != "out.bin"]
        assert all((tmp_path / name).read_bytes() in wholes for name in litter)
        assert len(litter) <= 1
        for name in litter:
            (tmp_path / name).unlink()
