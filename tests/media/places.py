"""Where files are refused: what is damaged, protected or full."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

Refused = Callable[..., None]
"""The fixture `refused`: a path, the words of the error, and whether `grid` raises it too."""


class Bomb:
    """Unpickled, it ends the process."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.abort, ()


def as_nobody() -> None:
    """No longer as root, whom no mode keeps from anything; the fixture `others` returns to it."""
    if os.geteuid() == 0:
        os.seteuid(65534)


def spoil(file: Path, where: float, garbage: bytes) -> None:
    """Puts garbage in the place of what is there; where: from 0, the beginning, to 1."""
    data = bytearray(file.read_bytes())
    start = int(where * (len(data) - 1))
    data[start : start + len(garbage)] = garbage
    file.write_bytes(data)


def contents(folder: Path) -> dict[Path, bytes]:
    """All the files below a folder."""
    return {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


@contextmanager
def limited(size: int) -> Iterator[None]:
    """No file can grow beyond that many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


@contextmanager
def small_disk(folder: Path, size: int) -> Iterator[None]:
    """The folder is a disk of that many bytes; the test is left out where none can be mounted."""
    if os.geteuid() != 0 or shutil.which("mount") is None:
        pytest.skip("only root can mount a small disk")
    mount = ["mount", "-t", "tmpfs", "-o", f"size={size}", "tmpfs", str(folder)]
    if subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("mounting is not permitted here")
    try:
        yield
    finally:
        # Lazily: the traceback of an error that is looked at may hold a file open.
        subprocess.run(["umount", "--lazy", str(folder)], check=True)
