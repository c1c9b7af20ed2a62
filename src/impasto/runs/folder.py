"""Run folders: the settings of a run, J at each step, and checkpoints.

A run that goes on from a checkpoint ends with exactly the result of an uninterrupted run.
"""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from impasto.config.config import Config
from impasto.errors import ConfigError, OutputError, SampleError
from impasto.grids.parallel import Group, broadcast
from impasto.media.files import atomic_write
from impasto.runs.checkpoints import Checkpoint, write_checkpoint
from impasto.runs.origin import Origin, file_hash, versions
from impasto.runs.schemas import (
    CheckpointScalars,
    NoRecordError,
    RunRecord,
    StepRecord,
    check_names,
    checked,
    decoded,
)
from impasto.runs.seals import UNSEALED, is_whole, seal

logger = logging.getLogger(__name__)

KEPT = 2
"""The number of checkpoints to keep: if the last one is damaged, the one before is used."""

RECORD, STEPS = "run.json", "steps.jsonl"

_NAME = re.compile(r"step(\d{6,9})-of-rank(\d{1,9})\.safetensors", re.ASCII)

_LISTED = 16
"""The number of checkpoints to look at; a folder never holds more."""

_OF_TEXTURES = {"size", "style_layers", "style_weights", "window"}
"""Settings in which the record of a texture may differ from the settings that the user chose."""


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
                _compare_versions(run.versions)
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
        own = _steps(self.folder)[:-_LISTED:-1]
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
            with atomic_write(_path(self.folder, step, self.group.rank)) as file:
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
            for old in _steps(self.folder)[:-KEPT]:
                _path(self.folder, old, self.group.rank).unlink(missing_ok=True)
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


@dataclass(frozen=True)
class Run:
    """The contents of a run folder.

    Attributes:
        folder: the folder.
        origin: what the run was asked for.
        identity: everything that decides the result, as JSON holds it.
        used: the settings in `identity`, completed for the content.
        inputs: the SHA-256 of each input file or folder, by its role; None for a WFDB record,
            which is named without a suffix.
        versions: the versions that the run was made with.
    """

    folder: Path
    origin: Origin
    identity: Mapping[str, Any]
    used: Config
    inputs: Mapping[str, str | None]
    versions: Mapping[str, Any]

    @property
    def processes(self) -> int:
        """The number of processes that shared the sample."""
        return int(self.identity["processes"])

    def check_inputs(self) -> None:
        """Raises SampleError if an input file is missing or has changed."""
        for role, path in self.origin.inputs.items():
            before, now = self.inputs.get(role), file_hash(path)
            if before and before != now:
                raise SampleError(
                    subject=str(path),
                    expected=f"the {role} of the run, SHA-256 {before}",
                    found=f"SHA-256 {now}" if now else "no file that can be read",
                    remedy="put it back, or begin anew with another --run",
                )

    def checkpoint(self) -> list[Checkpoint]:
        """Reads the last whole checkpoint: the part of each process; empty if there is none."""
        for step in reversed(_steps(self.folder)):
            parts = []
            for rank in range(self.processes):
                if (part := read_checkpoint(self.folder, step, rank)) is None:
                    break
                parts.append(part)
            else:
                return parts
        return []


def read_run(folder: Path) -> Run:
    """Reads the record of a run.

    Raises:
        ConfigError: the folder is not a run folder, or its record is damaged.
    """
    try:
        given = decoded((folder / RECORD).read_bytes())
        record = checked(given, RunRecord)
        check_names(given["origin"]["settings"])
        origin = Origin.recorded(record["origin"])
        used = record["identity"]["config"]
        _check_agreement(origin, used, given["identity"]["config"])
    except OSError as error:
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        problem = f"no {RECORD} in it" if missing else f"{error.strerror} when {RECORD} is read"
        raise _no_run(folder, problem) from error
    except (NoRecordError, ConfigError) as error:
        problem = f"a {RECORD} of another version, or a damaged one: {error}"
        raise _no_run(folder, problem) from error
    return Run(folder, origin, given["identity"], used, record["inputs"], record["versions"])


def read_steps(folder: Path) -> list[StepRecord]:
    """Reads the log of a run: one line for each step, in order.

    If a step was logged twice, the last line counts. Damaged lines are left out with a warning; a
    last line without its newline, as a killed run leaves it, is left out silently.

    Raises:
        ConfigError: the log cannot be read.
    """
    try:
        text = (folder / STEPS).read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _no_run(folder, f"{error.strerror} when {STEPS} is read") from error
    *lines, _ = text.split(b"\n")  # the text after the last newline is not a whole line
    records: dict[int, StepRecord] = {}
    damaged = 0
    for line in lines:
        try:
            step = checked(decoded(line), StepRecord)
        except NoRecordError:
            damaged += 1
            continue
        if step["step"] > step["steps"] or step["scale"] > step["scales"]:
            damaged += 1
        else:
            records[step["step"]] = step
    if damaged:
        logger.warning(
            "%s: %d of %d lines damaged and left out", folder / STEPS, damaged, len(lines)
        )
    return [records[step] for step in sorted(records)]


def read_checkpoint(folder: Path, step: int, rank: int) -> Checkpoint | None:
    """Reads one process's part of a checkpoint; None if it is missing or damaged."""
    path = _path(folder, step, rank)
    try:
        if not is_whole(path):
            return None
        with safe_open(path, "pt") as file:
            scalars = checked(decoded(file.metadata()["scalars"]), CheckpointScalars)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, TypeError, NoRecordError):
        return None
    return Checkpoint(step, tensors, scalars) if _is_complete(tensors) else None


def _is_complete(tensors: Mapping[str, Tensor]) -> bool:
    """Returns whether these are all arrays of a checkpoint, on one grid.

    They are the optimizer's arrays, the average and, for some losses, the G that the scale began
    with.
    """
    others = {"x", "best", "average"} | ({"start"} & tensors.keys())
    pairs = range(max(0, len(tensors) - len(others)) // 2)
    names = others | {f"moments.{pair}.{part}" for pair in pairs for part in (0, 1)}
    shapes = {tensor.shape for tensor in tensors.values()}
    return tensors.keys() == names and len(shapes) == 1 and len(min(shapes)) > 2


def _check_agreement(origin: Origin, used: Config, kept: Mapping[str, Any]) -> None:
    """Raises NoRecordError if the settings asked for and the settings used contradict each other.

    kept: the settings that decide the result; the others are not compared.
    """
    free = _OF_TEXTURES if origin.texture else set()
    before, after = asdict(origin.config), asdict(used)
    for group, values in before.items():
        for name, value in values.items():
            left_open = value in ((), "auto") or name in free or name not in kept.get(group, {})
            if not left_open and value != after[group][name]:
                raise NoRecordError(
                    f"{name} is {value} in one place, {after[group][name]} in another"
                )


def is_kept(name: str) -> bool:
    """Returns whether a run keeps a file of this name in its folder; letter case does not count."""
    return name.casefold() in {RECORD, STEPS} or _NAME.fullmatch(name.casefold()) is not None


def kept_in(folder: Path) -> list[Path]:
    """Lists the files in a folder that a run keeps there; empty if there is no folder."""
    try:
        return sorted(path for path in folder.iterdir() if is_kept(path.name))
    except OSError:
        return []


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


def _steps(folder: Path) -> list[int]:
    """Lists the steps of the checkpoints in a folder, in order."""
    matches = map(_NAME.fullmatch, (path.name for path in folder.iterdir()))
    return sorted({int(match[1]) for match in matches if match})


def _path(folder: Path, step: int, rank: int) -> Path:
    return folder / f"step{step:06d}-of-rank{rank}.safetensors"


def _compare_versions(before: Mapping[str, Any]) -> None:
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


def _no_run(folder: Path, found: str) -> ConfigError:
    return ConfigError(
        subject=str(folder),
        expected="the folder of a run, as --run makes it",
        found=found,
        remedy="name the one that --run was given, or begin anew with another",
    )


def _no_folder(folder: Path, error: OSError) -> OutputError:
    return OutputError(
        subject=str(folder),
        expected="a folder for the run's checkpoints",
        found=error.strerror or str(error),
        remedy="choose another one with --run",
    )
