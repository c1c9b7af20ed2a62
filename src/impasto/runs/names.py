"""The names of the files that a run keeps in its folder."""

from __future__ import annotations

import re
from pathlib import Path

RECORD, STEPS = "run.json", "steps.jsonl"
"""The file of the record and the file of the log."""

_NAME = re.compile(r"step(\d{6,9})-of-rank(\d{1,9})\.safetensors", re.ASCII)


def is_kept(name: str) -> bool:
    """Returns whether a run keeps a file of this name in its folder; letter case does not count."""
    return name.casefold() in {RECORD, STEPS} or _NAME.fullmatch(name.casefold()) is not None


def kept_in(folder: Path) -> list[Path]:
    """Lists the files in a folder that a run keeps there; empty if there is no folder."""
    try:
        return sorted(path for path in folder.iterdir() if is_kept(path.name))
    except OSError:
        return []


def checkpoint_steps(folder: Path) -> list[int]:
    """Lists the steps of the checkpoints in a folder, in order."""
    matches = map(_NAME.fullmatch, (path.name for path in folder.iterdir()))
    return sorted({int(match[1]) for match in matches if match})


def checkpoint_path(folder: Path, step: int, rank: int) -> Path:
    """Returns the file of one process's part of a checkpoint."""
    return folder / f"step{step:06d}-of-rank{rank}.safetensors"
