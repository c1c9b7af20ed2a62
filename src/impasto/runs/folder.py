"""Run folders: the settings of a run, J at each step, and checkpoints.

A run that goes on from a checkpoint ends with exactly the result of an uninterrupted run.
"""

from __future__ import annotations

import json
import logging
import os
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from impasto.errors import ConfigError, OutputError
from impasto.grids.parallel import Group, broadcast
from impasto.media.files import atomic_write
from impasto.runs.checkpoints import Checkpoint, write_checkpoint
from impasto.runs.names import RECORD, STEPS, checkpoint_path, checkpoint_steps, kept_in
from impasto.runs.origin import Origin, file_hash, versions
from impasto.runs.reading import read_checkpoint, read_run, read_steps
from impasto.runs.seals import UNSEALED, seal

logger = logging.getLogger(__name__)


KEPT = 2
"""The number of checkpoints to keep: if the last one is damaged, the one before is used."""


_LISTED = 16
"""The number of checkpoints to look at; a folder never holds more."""


class RunFolder:
    """The folder of a run at work.

    If a step or a checkpoint cannot be written, the run goes on: the folder logs one warning, sets
    `lost` and writes nothing more.

    Args:
        folder: the folder, which `holding.hold` has locked.
        origin: what the run was asked for.
        identity: everything that decides the result, as JSON can hold it.
        group: the processes that share the sample.
        every: the seconds between checkpoints.

    Raises:
        ConfigError: the folder belongs to a run with another identity.
        OutputError: the folder cannot be written.
    """

    def __init__(
        self,
        folder: Path,
        origin: Origin,
        identity: Mapping[str, Any],
        group: Group,
        every: float,
    ) -> None:
        self.folder, self.group, self.every = folder, group, every
        self.saved = time.monotonic()
        self.lost = False
        self._told_of_old = False
        self.before = 0.0
        identity = json.loads(json.dumps(identity))
        try:
            known = (folder / RECORD).exists()
        except OSError as error:
            raise _no_folder(folder, error) from error
        if known:
            run = read_run(folder)
            if run.identity != identity:
                raise ConfigError(
                    subject=str(folder),
                    expected="a new folder, or the one of the same inputs and settings",
                    found=f"another run's: {_difference(run.identity, identity)} differs",
                    remedy="choose another one with --run, or repeat that run's command",
                )
            if group.rank == 0:
                compare_versions(run.versions)
        elif group.rank == 0:
            record = {
                "identity": identity,
                "origin": origin.record(),
                "inputs": {role: file_hash(path) for role, path in origin.inputs.items()},
                "versions": versions(),
            }
            with atomic_write(folder / RECORD) as file:
                file.write(json.dumps(record, indent=2).encode())

    def latest(self) -> Checkpoint | None:
        """Reads the last checkpoint that all processes can read; None if there is none."""
        for step in self._listed():
            checkpoint = read_checkpoint(self.folder, step, self.group.rank)
            whole = self.group.total(torch.tensor([float(checkpoint is not None)]))
            if whole == self.group.size:
                return checkpoint
            if self.group.rank == 0:
                logger.warning("the checkpoint of step %d is damaged and left out", step)
        return None

    def _listed(self) -> list[int]:
        """Lists the steps of the checkpoints, the last first, as the first process reads them."""
        own = checkpoint_steps(self.folder)[:-_LISTED:-1]
        steps = torch.tensor(own + [-1] * (_LISTED - len(own)), dtype=torch.float64)
        return [int(step) for step in broadcast(self.group, steps) if step >= 0]

    def due(self) -> bool:
        """Returns whether it is time for the next checkpoint by this process's clock."""
        return time.monotonic() - self.saved >= self.every

    def save(self, step: int, tensors: Mapping[str, Tensor], scalars: Mapping[str, Any]) -> None:
        """Writes this process's part of a checkpoint; a failed write leaves no partial file.

        Args:
            step: the number of steps done.
            tensors: the arrays, by name.
            scalars: the numbers, by name.
        """
        if self.lost:
            return
        try:
            if self.group.rank == 0:  # the lines of all steps so far must reach the disk first
                with open(self.folder / STEPS, "ab") as lines:
                    os.fsync(lines.fileno())
            with atomic_write(checkpoint_path(self.folder, step, self.group.rank)) as file:
                write_checkpoint(file, tensors, {**UNSEALED, "scalars": json.dumps(scalars)})
                seal(file)
        except (OSError, OutputError) as error:
            self._lose(error)
            return
        self.saved = time.monotonic()
        self._delete_old()

    def lose(self, why: str) -> None:
        """Stops writing and logs the reason."""
        if not self.lost:
            self.lost = True
            logger.warning("%s; the run goes on without checkpoints", why)

    def _lose(self, error: OSError | OutputError) -> None:
        shown = _no_folder(self.folder, error) if isinstance(error, OSError) else error
        self.lose(f"{shown.subject}: expected {shown.expected}, found {shown.found}")

    def _delete_old(self) -> None:
        """Deletes all but the last checkpoints. If that fails, the old ones only take up room."""
        try:
            for old in checkpoint_steps(self.folder)[:-KEPT]:
                checkpoint_path(self.folder, old, self.group.rank).unlink(missing_ok=True)
        except OSError as error:
            if not self._told_of_old:
                logger.warning("old checkpoints stay in %s: %s", self.folder, error.strerror)
            self._told_of_old = True

    def go_on(self, step: int) -> None:
        """Deletes the lines of the steps after `step`, because the run takes these steps again."""
        if self.group.rank == 0:
            kept = [line for line in read_steps(self.folder) if line["step"] <= step]
            self.before = kept[-1]["seconds"] if kept else 0.0
            with atomic_write(self.folder / STEPS) as file:
                file.writelines(map(_line, kept))

    def tell(self, line: Mapping[str, Any]) -> None:
        """Appends the line of a step to the log.

        line: `Progress.line()`. Its seconds count from the start of this process; the log counts
        them from the start of the run.
        """
        if self.group.rank or self.lost:
            return
        line = {**line, "seconds": round(self.before + line["seconds"], 3)}
        try:
            with open(self.folder / STEPS, "ab") as file:
                file.write(_line(line))
        except OSError as error:
            self._lose(error)


def check_no_strangers(folder: Path) -> None:
    """Raises ConfigError if a new run in this folder would overwrite files of another run."""
    kept = kept_in(folder)
    if kept and not (folder / RECORD).exists():
        raise ConfigError(
            subject=str(folder),
            expected=f"a new folder, or the folder of a run, with its {RECORD}",
            found=f"{kept[0].name} without it, which the run would overwrite",
            remedy="choose another one with --run",
        )


def _line(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values).encode() + b"\n"


def compare_versions(before: Mapping[str, Any]) -> None:
    """Logs the versions that have changed since the run began."""
    changed = [
        f"{name} {before.get(name)} then, {now} now"
        for name, now in versions().items()
        if before.get(name) != now
    ]
    if changed:
        logger.info(
            "the last bits of the result may differ from those of an uninterrupted run: %s",
            "; ".join(changed),
        )


def _difference(known: Any, identity: Any, name: str = "something") -> str:
    """Returns the name of the first setting that differs between two identities."""
    if not (isinstance(known, dict) and isinstance(identity, dict)):
        return name
    differing = [key for key in identity if known.get(key) != identity[key]]
    if not differing:
        return name
    key = differing[0]
    return _difference(known.get(key), identity[key], key)


def _no_folder(folder: Path, error: OSError) -> OutputError:
    return OutputError(
        subject=str(folder),
        expected="a folder for the run's checkpoints",
        found=error.strerror or str(error),
        remedy="choose another one with --run",
    )
