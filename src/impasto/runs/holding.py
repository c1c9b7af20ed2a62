"""Lock the folder of a run, so that one run at a time works in it."""

from __future__ import annotations

import json
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path

import torch

from impasto.errors import ConfigError, ImpastoError, OutputError
from impasto.grids.parallel import Group

LOCK, HOLDER = ".impasto.lock", ".impasto-holder.json"
"""The files of the lock, which the operating system releases when the process ends, and of its
holder's name."""


@contextmanager
def hold(folder: Path, group: Group) -> Iterator[None]:
    """Locks the folder of a run for these processes until the end of the block.

    The folder is made if it does not exist. Of several processes, the first one holds the lock.

    Raises:
        ConfigError: another run holds the lock.
        OutputError: the folder cannot be made.
    """
    from filelock import FileLock

    lock = FileLock(folder / LOCK)
    failure = None
    try:
        if group.rank == 0:
            _acquire(lock, folder)
    except ImpastoError as error:
        failure = error
    failed = group.total(torch.tensor([float(failure is not None)]))
    if failed:
        raise failure or _not_free(folder, "that the first of these processes cannot lock it")
    try:
        yield
    finally:
        if group.rank == 0:
            with suppress(OSError):
                (folder / HOLDER).unlink()
            lock.release()


def _acquire(lock: object, folder: Path) -> None:
    """Takes the lock and writes the holder's name."""
    from filelock import BaseFileLock, Timeout

    assert isinstance(lock, BaseFileLock)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
        since = datetime.now().astimezone().isoformat(" ", "seconds")
        holder = {"pid": os.getpid(), "host": socket.gethostname(), "since": since}
        (folder / HOLDER).write_text(json.dumps(holder))
    except Timeout as error:
        raise _not_free(folder, f"that {_holder(folder)} is at work in it") from error
    except OSError as error:
        lock.release()
        raise OutputError(
            subject=str(folder),
            expected="a folder for the run's checkpoints",
            found=error.strerror or str(error),
            remedy="choose another one with --run",
        ) from error


def _holder(folder: Path) -> str:
    """Describes the holder of the lock."""
    try:
        holder = json.loads((folder / HOLDER).read_text())
        return f"process {holder['pid']} on {holder['host']}, since {holder['since']},"
    except (
        OSError,
        ValueError,
        KeyError,
        TypeError,
        RecursionError,
    ):  # not written yet, or damaged
        return "another process"


def _not_free(folder: Path, found: str) -> ConfigError:
    return ConfigError(
        subject=str(folder),
        expected="a folder that no other run is at work in",
        found=found,
        remedy="wait until it ends, or choose another one with --run",
    )
