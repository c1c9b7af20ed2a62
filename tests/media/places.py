"""Where files are refused: what is damaged, protected or full."""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar

import numpy as np
import pytest

from impasto.errors import ImpastoError, InputError
from impasto.media import grid, load

Result = TypeVar("Result")
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


def outcome(read: Callable[[Path], Result], path: Path, error: type[ImpastoError]) -> Result | str:
    """Returns what a function reads from a file, or the message of its error."""
    try:
        return read(path)
    except error as refusal:
        return str(refusal)


def check_read_or_refused(path: Path, error: type[ImpastoError] = InputError) -> None:
    """Asserts that a spoiled file is read as finite values or refused with an error on one line."""
    header, sample = outcome(grid, path, error), outcome(load, path, error)
    if isinstance(header, str):
        assert "\n" not in header
    else:
        assert min(header[0], *header[1]) >= 1
    if isinstance(sample, str):
        assert "\n" not in sample
    else:
        assert np.isfinite(sample.data).all()


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
