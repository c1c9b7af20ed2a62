"""The folder of the studio: all it knows is in these files, so a restart loses nothing."""

from __future__ import annotations

import asyncio
import json
import os
import re
import secrets
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from impasto.errors import ConfigError
from impasto.media.files import as_output_error, atomic_write

_ID = re.compile(r"[0-9a-f]{20}")


@dataclass(frozen=True)
class Home:
    """The folder of the studio.

    Attributes:
        folder: the folder itself.
    """

    folder: Path

    @property
    def samples(self) -> Path:
        """The folder of what was uploaded, one folder a sample."""
        return self.folder / "samples"

    @property
    def runs(self) -> Path:
        """The folder of the runs, one folder a run."""
        return self.folder / "runs"

    def prepare(self) -> None:
        """Makes the folders.

        Raises:
            OutputError: they cannot be made.
        """
        with as_output_error(self.folder / "samples"):
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            for folder in (self.samples, self.runs):
                folder.mkdir(exist_ok=True)

    def clean(self) -> None:
        """Deletes what a killed server has left half-written."""
        for folder in (self.samples, self.runs):
            for path in folder.iterdir():
                if is_id(path.name):
                    continue
                if path.is_dir():
                    shutil.rmtree(path, ignore_errors=True)
                else:
                    path.unlink()


def new_id() -> str:
    """Returns a name that nobody can guess; later ones sort behind earlier ones."""
    return f"{time.time_ns() // 1_000_000:012x}{secrets.token_hex(4)}"


def is_id(name: str) -> bool:
    """Whether a name is one of `new_id`.

    Example:
        >>> is_id(new_id()), is_id("../secrets")
        (True, False)
    """
    return _ID.fullmatch(name) is not None


def ids_in(folder: Path) -> Iterator[str]:
    """Yields the names of `new_id` in a folder, the newest first."""
    yield from sorted(filter(is_id, os.listdir(folder)), reverse=True)


def hide(folder: Path) -> Path:
    """Makes a folder vanish in one step; returns its new name, under which it is to be deleted."""
    hidden = folder.with_name(f".{folder.name}.deleted")
    folder.rename(hidden)
    return hidden


async def discard(folder: Path) -> None:
    """Deletes a folder and its files, of which there may be thousands."""
    await asyncio.to_thread(shutil.rmtree, folder, ignore_errors=True)


def write_json(path: Path, value: Any) -> None:
    """Writes a value as JSON; the file is whole or as it was."""
    with atomic_write(path) as file:
        file.write(json.dumps(value).encode())


def read_json(path: Path) -> Any:
    """Returns the value in a file of JSON; None if there is none, or a damaged one."""
    try:
        return json.loads(path.read_bytes())
    except (OSError, ValueError):
        return None


def check_home(folder: Path) -> None:
    """Raises ConfigError if a folder holds anything but a studio."""
    if not folder.exists():
        return
    strange = sorted(
        path.name
        for path in (folder.iterdir() if folder.is_dir() else [folder])
        if path.name not in {"samples", "runs", "studio.lock"}
    )
    if strange:
        raise ConfigError(
            subject="--home",
            expected="a new folder, or that of a studio",
            found=f"{folder}, with {strange[0]}",
            remedy="choose another folder",
        )
