"""Run folders: what was asked for, J step by step, and checkpoints from which a run goes on to the
very same result."""

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
"""Checkpoints that stay: should the last one be damaged, there is the one before."""

RECORD, STEPS = "run.json", "steps.jsonl"

_NAME = re.compile(r"step(\d{6,9})-of-rank(\d{1,9})\.safetensors", re.ASCII)

_LISTED = 16
"""Checkpoints looked at; more than there ever are."""

_OF_TEXTURES = {"size", "style_layers", "style_weights", "window"}
"""Settings that a texture takes for others than were asked for."""


class RunFolder:
    """The folder of a run that is on its way.

    folder: `holding.held` by these processes. origin: what was asked for. identity: all that
    decides the result; a folder of another run is refused. every: seconds between checkpoints.
    A step or a checkpoint that cannot be written is no reason to lose the run: it says so once, and
    from then on it is `lost` and nothing is written.
    Raises ConfigError for another run's folder, OutputError when it cannot be written.
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
        """The last checkpoint that is whole, the same one for all processes."""
        for step in self._listed():
            checkpoint = read_checkpoint(self.folder, step, self.group.rank)
            whole = self.group.total(torch.tensor([float(checkpoint is not None)]))
            if whole == self.group.size:
                return checkpoint
            if self.group.rank == 0:
                logger.warning("the checkpoint of step %d is damaged and left out", step)
        return None

    def _listed(self) -> list[int]:
        """The steps of the checkpoints, the last one first, as the first process sees them."""
        own = _steps(self.folder)[:-_LISTED:-1]
        steps = torch.tensor(own + [-1] * (_LISTED - len(own)), dtype=torch.float64)
        return [int(step) for step in broadcast(self.group, steps) if step >= 0]

    def due(self) -> bool:
        """Whether it is time for the next checkpoint, as this process sees it."""
        return time.monotonic() - self.saved >= self.every

    def save(self, step: int, tensors: Mapping[str, Tensor], scalars: Mapping[str, Any]) -> None:
        """Writes a checkpoint, whole or not at all."""
        if self.lost:
            return
        try:
            if self.group.rank == 0:  # without the lines before it there would be a gap
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
        """Writes nothing from now on, and says why."""
        if not self.lost:
            self.lost = True
            logger.warning("%s; the run goes on without checkpoints", why)

    def _lose(self, error: OSError | OutputError) -> None:
        shown = _no_folder(self.folder, error) if isinstance(error, OSError) else error
        self.lose(f"{shown.subject}: expected {shown.expected}, found {shown.found}")

    def _delete_old(self) -> None:
        """Leaves the last checkpoints; what cannot be deleted takes room and does no other harm."""
        try:
            for old in _steps(self.folder)[:-KEPT]:
                _path(self.folder, old, self.group.rank).unlink(missing_ok=True)
        except OSError as error:
            if not self._told_of_old:
                logger.warning("old checkpoints stay in %s: %s", self.folder, error.strerror)
            self._told_of_old = True

    def go_on(self, step: int) -> None:
        """Leaves out the lines of the steps after that one, for they are taken again."""
        if self.group.rank == 0:
            kept = [line for line in read_steps(self.folder) if line["step"] <= step]
            self.before = kept[-1]["seconds"] if kept else 0.0
            with atomic_write(self.folder / STEPS) as file:
                file.writelines(map(_line, kept))

    def tell(self, line: Mapping[str, Any]) -> None:
        """Adds the line of a step; its seconds, counted since the process began, are those of the
        run."""
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
    """The folder of a run as it was left.

    identity: all that decides its result, as JSON has it; used: the settings among that, completed
    for the content. inputs: the SHA-256 of each input, a file or a folder, by its role; None for a
    record that is named without a suffix.
    """

    folder: Path
    origin: Origin
    identity: Mapping[str, Any]
    used: Config
    inputs: Mapping[str, str | None]
    versions: Mapping[str, Any]

    @property
    def processes(self) -> int:
        """Those that shared the sample."""
        return int(self.identity["processes"])

    def check_inputs(self) -> None:
        """Raises SampleError when an input file is gone, or is another one now."""
        for role, path in self.origin.inputs.items():
            before, now = self.inputs.get(role), file_hash(path)
            if before and before != now:
                raise SampleError(
                    subject=str(path),
                    expected=f"the {role} of the run, SHA-256 {before}",
                    found=f"SHA-256 {now}" if now else "none that can be read",
                    remedy="put it back, or begin anew with another --run",
                )

    def checkpoint(self) -> list[Checkpoint]:
        """The last one that is whole, of each process; nothing before the first one."""
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
    """What a run's folder tells. Raises ConfigError where it is none."""
    try:
        given = decoded((folder / RECORD).read_bytes())
        record = checked(given, RunRecord)
        check_names(given["origin"]["settings"])
        origin = Origin.recorded(record["origin"])
        used = record["identity"]["config"]
        _check_agreement(origin, used, given["identity"]["config"])
    except OSError as error:
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        found = f"no {RECORD} in it" if missing else f"{error.strerror} when {RECORD} is read"
        raise _no_run(folder, found) from error
    except (NoRecordError, ConfigError) as error:
        found = f"a {RECORD} of another version, or a damaged one: {error}"
        raise _no_run(folder, found) from error
    return Run(folder, origin, given["identity"], used, record["inputs"], record["versions"])


def read_steps(folder: Path) -> list[StepRecord]:
    """The lines of the steps, in order and each step once, the last that was written of it. Of a
    run that was killed while it wrote one, and of a damaged file, those that are whole. Raises
    ConfigError where they cannot be read."""
    try:
        text = (folder / STEPS).read_bytes()
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _no_run(folder, f"{error.strerror} when {STEPS} is read") from error
    *lines, _ = text.split(b"\n")  # what has no newline at its end is no whole line
    found: dict[int, StepRecord] = {}
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
            found[step["step"]] = step
    if damaged:
        logger.warning(
            "%s: %d of %d lines damaged and left out", folder / STEPS, damaged, len(lines)
        )
    return [found[step] for step in sorted(found)]


def read_checkpoint(folder: Path, step: int, rank: int) -> Checkpoint | None:
    """A process's part of a checkpoint; nothing where it is not whole."""
    path = _path(folder, step, rank)
    try:
        if not is_whole(path):
            return None
        with safe_open(path, "pt") as file:
            scalars = checked(decoded(file.metadata()["scalars"]), CheckpointScalars)
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except (OSError, SafetensorError, KeyError, TypeError, NoRecordError):
        return None
    return Checkpoint(step, tensors, scalars) if _complete(tensors) else None


def _complete(tensors: Mapping[str, Tensor]) -> bool:
    """Whether these are the arrays of an optimizer and the average, and may be what the scale began
    with, all over one grid."""
    others = {"x", "best", "average"} | ({"start"} & tensors.keys())
    pairs = range(max(0, len(tensors) - len(others)) // 2)
    names = others | {f"moments.{pair}.{part}" for pair in pairs for part in (0, 1)}
    shapes = {tensor.shape for tensor in tensors.values()}
    return tensors.keys() == names and len(shapes) == 1 and len(min(shapes)) > 2


def _check_agreement(origin: Origin, used: Config, kept: Mapping[str, Any]) -> None:
    """Raises NoRecordError where what was asked for and what was used cannot be of one run. kept:
    the settings that decide the result, which are not all."""
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
    """Whether a run keeps a file of that name in its folder, whatever the letter case."""
    return name.casefold() in {RECORD, STEPS} or _NAME.fullmatch(name.casefold()) is not None


def kept_in(folder: Path) -> list[Path]:
    """The files in a folder that a run keeps there; none where there is no folder."""
    try:
        return sorted(path for path in folder.iterdir() if is_kept(path.name))
    except OSError:
        return []


def check_no_strangers(folder: Path) -> None:
    """Raises ConfigError where the files of a run that begins would take the place of others."""
    kept = kept_in(folder)
    if kept and not (folder / RECORD).exists():
        raise ConfigError(
            subject=str(folder),
            expected=f"a new folder, or one of a run, with its {RECORD}",
            found=f"none, but {kept[0].name}, which would be written over",
            remedy="choose another one with --run",
        )


def _line(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values).encode() + b"\n"


def _steps(folder: Path) -> list[int]:
    names = map(_NAME.fullmatch, (path.name for path in folder.iterdir()))
    return sorted({int(found[1]) for found in names if found})


def _path(folder: Path, step: int, rank: int) -> Path:
    return folder / f"step{step:06d}-of-rank{rank}.safetensors"


def _compare_versions(before: Mapping[str, Any]) -> None:
    """Says what is not as it was when the run began."""
    changed = [
        f"{name} {before.get(name)} then, {now} now"
        for name, now in versions().items()
        if before.get(name) != now
    ]
    if changed:
        logger.info(
            "the last bits of the result may not be those of an undisturbed run: %s",
            "; ".join(changed),
        )


def _difference(known: Any, identity: Any, name: str = "something") -> str:
    """The first setting, by its name, that a record has otherwise."""
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
