"""The folder of a batch: its manifest, who is at work on what, and the checkpoints.

The manifest is a file of JSON lines to which all processes append, one at a time; the last line of
a result counts. A process that is killed leaves at most a part of a line, which is left out. Who
works on a result holds the lock of its file, which the operating system gives back with the
process.
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout

from impasto.errors import OutputError
from impasto.media.files import as_output_error, atomic_write

MANIFEST, WORK = "batch.jsonl", ".impasto-batch"
"""The manifest, and the folder of locks and checkpoints."""

Record = Mapping[str, Any]
"""A line of the manifest."""


class Manifest:
    """The folder of the results of a batch, and what is known of them.

    Args:
        folder: the folder; it is made if it does not exist.

    Raises:
        OutputError: the folder cannot be written.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / MANIFEST
        self.work = folder / WORK
        self.last: dict[str, Record] = {}
        self._read: tuple[int, int] = (0, 0)
        with as_output_error(folder / MANIFEST):
            for made in (folder, self.work / "locks", self.work / "runs"):
                made.mkdir(parents=True, exist_ok=True)

    def __reduce__(self) -> tuple[type[Manifest], tuple[Path]]:
        """Another process reads the manifest anew."""
        return Manifest, (self.folder,)

    def known(self) -> dict[str, Record]:
        """Returns the last line of each result, by its name; reads only what is new."""
        try:
            with open(self.path, "rb") as file:
                status = os.fstat(file.fileno())
                inode, begin = self._read
                if inode != status.st_ino or begin > status.st_size:
                    self.last, begin = {}, 0
                file.seek(begin)
                text = file.read()
        except FileNotFoundError:
            self.last, self._read = {}, (0, 0)
            return self.last
        whole = text.rpartition(b"\n")[0]
        for line in whole.split(b"\n"):
            try:
                record = json.loads(line)
                self.last[record["output"]] = record
            except (ValueError, KeyError, TypeError):  # cut off when a process was killed
                continue
        self._read = status.st_ino, begin + len(whole) + (len(whole) > 0 or text[:1] == b"\n")
        return self.last

    def append(self, record: Record) -> None:
        """Appends a line, and brings it to the disk.

        Raises:
            OutputError: it cannot be written, for example because the disk is full.
        """
        line = json.dumps(record).encode() + b"\n"
        with self._alone(), as_output_error(self.path), open(self.path, "ab+") as file:
            size = file.seek(0, os.SEEK_END)
            if size:
                file.seek(size - 1)
                if file.read(1) != b"\n":
                    line = b"\n" + line
            file.write(line)
            file.flush()
            os.fsync(file.fileno())

    def compact(self) -> None:
        """Writes the manifest anew, with one line for each result, whole or not at all."""
        with self._alone():
            records = self.known()
            with atomic_write(self.path) as file:
                for record in records.values():
                    file.write(json.dumps(record).encode() + b"\n")

    @contextmanager
    def claim(self, name: str, wait: float = 0.0) -> Iterator[bool]:
        """Locks a result for the block; gives False if another process is at work on it.

        Args:
            name: of the result.
            wait: seconds to wait for the other process.
        """
        lock = FileLock(self.work / "locks" / f"{_key(name)}.lock")
        mine = _acquire(lock, self.folder, wait)
        try:
            yield mine
        finally:
            if mine:
                lock.release()

    def is_done(self, name: str, digest: str) -> bool:
        """Returns whether a result is there, made from the same inputs and settings."""
        record = self.known().get(name, {})
        return (record.get("state"), record.get("digest")) == ("done", digest) and os.path.exists(
            self.folder / name
        )

    def checkpoints(self, digest: str) -> Path:
        """Returns the folder for the checkpoints of a job."""
        return self.work / "runs" / digest[:24]

    def forget(self, digest: str) -> None:
        """Deletes the checkpoints of a job."""
        shutil.rmtree(self.checkpoints(digest), ignore_errors=True)

    @contextmanager
    def _alone(self) -> Iterator[None]:
        """Locks the manifest for the block."""
        lock = FileLock(self.work / "locks" / "manifest.lock")
        _acquire(lock, self.folder, -1)
        try:
            yield
        finally:
            lock.release()


def _acquire(lock: FileLock, folder: Path, wait: float) -> bool:
    """Takes a lock; returns False if it is not free within so many seconds, -1 for any number."""
    try:
        with as_output_error(folder / MANIFEST):
            try:
                lock.acquire(timeout=wait)
            except Timeout:  # which is an OSError too
                return False
    except NotImplementedError as error:
        raise OutputError(
            subject=str(folder),
            expected="a file system with locks",
            found="one without",
            remedy="write to a folder on another disk with -o",
        ) from error
    return True


def _key(name: str) -> str:
    return hashlib.sha256(os.fsencode(name)).hexdigest()[:24]
