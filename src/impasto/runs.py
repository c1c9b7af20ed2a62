"""Run folders: what was asked for, J step by step, and checkpoints from which a run goes on to the
very same result."""

from __future__ import annotations

import json
import logging
import os
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from torch import Tensor

from impasto.checkpoints import Checkpoint, write_checkpoint
from impasto.errors import ConfigError, ImpastoError, OutputError, SampleError
from impasto.media.files import atomic_write
from impasto.origin import Origin, file_hash, versions
from impasto.parallel import Group

logger = logging.getLogger(__name__)

KEPT = 2
"""Checkpoints that stay: should the last one be damaged, there is the one before."""

RECORD, STEPS = "run.json", "steps.jsonl"

_NAME = re.compile(r"step(\d+)-of-rank(\d+)\.safetensors")


class RunFolder:
    """The folder of a run that is on its way.

    folder: made where it is not there. origin: what was asked for. identity: all that decides the
    result; a folder of another run is refused. every: seconds between checkpoints.
    A step or a checkpoint that cannot be written is no reason to lose the run: it says so once, and
    from then on it is `lost` and nothing is written.
    Raises ConfigError for another run's folder, OutputError when it cannot be made.
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
            folder.mkdir(parents=True, exist_ok=True)
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
            _check_no_strangers(folder)
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
        found = last_step(self.folder, self.group.size) if self.group.rank == 0 else None
        chosen = torch.tensor([0 if found is None else found + 1], dtype=torch.float64)
        step = int(self.group.total(chosen if self.group.rank == 0 else 0 * chosen)) - 1
        return None if step < 0 else read_checkpoint(self.folder, step, self.group.rank)

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
                write_checkpoint(file, tensors, {"scalars": json.dumps(scalars)})
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

    inputs: the SHA-256 of each input, a file or a folder, by its role; None for a record that is
    named without a suffix.
    """

    folder: Path
    origin: Origin
    identity: Mapping[str, Any]
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
        step = last_step(self.folder, self.processes)
        ranks = range(self.processes if step is not None else 0)
        return [read_checkpoint(self.folder, step or 0, rank) for rank in ranks]


def read_run(folder: Path) -> Run:
    """What a run's folder tells. Raises ConfigError where it is none."""
    try:
        record = json.loads((folder / RECORD).read_text())
        origin = Origin.recorded(record["origin"])
        identity, inputs, known = (record[name] for name in ("identity", "inputs", "versions"))
        run = Run(folder, origin, dict(identity), dict(inputs), dict(known))
        _ = run.processes
    except OSError as error:
        missing = isinstance(error, FileNotFoundError | NotADirectoryError)
        found = f"no {RECORD} in it" if missing else f"{error.strerror} when {RECORD} is read"
        raise _no_run(folder, found) from error
    except (ValueError, KeyError, TypeError, AttributeError, ImpastoError) as error:
        raise _no_run(folder, f"a {RECORD} of another version, or a damaged one") from error
    return run


def read_steps(folder: Path) -> list[dict[str, Any]]:
    """The lines of the steps; of a run that was killed while it wrote one, those before."""
    try:
        text = (folder / STEPS).read_bytes()
    except FileNotFoundError:
        return []
    lines = []
    for line in text.split(b"\n")[:-1]:  # what has no newline at its end is no whole line
        try:
            lines.append(json.loads(line))
        except ValueError:  # as after a power failure
            break
    return lines


def last_step(folder: Path, processes: int) -> int | None:
    """The step of the last checkpoint that is whole, all processes' parts of it."""
    for step in reversed(_steps(folder)):
        if all(_readable(folder, step, rank) for rank in range(processes)):
            return step
    return None


def read_checkpoint(folder: Path, step: int, rank: int) -> Checkpoint:
    """A process's part of a checkpoint."""
    with safe_open(_path(folder, step, rank), "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        return Checkpoint(step, tensors, json.loads(file.metadata()["scalars"]))


def is_kept(name: str) -> bool:
    """Whether a run keeps a file of that name in its folder, whatever the letter case."""
    return name.casefold() in {RECORD, STEPS} or _NAME.fullmatch(name.casefold()) is not None


def kept_in(folder: Path) -> list[Path]:
    """The files in a folder that a run keeps there; none where there is no folder."""
    try:
        return sorted(path for path in folder.iterdir() if is_kept(path.name))
    except OSError:
        return []


def _line(values: Mapping[str, Any]) -> bytes:
    return json.dumps(values).encode() + b"\n"


def _steps(folder: Path) -> list[int]:
    names = map(_NAME.fullmatch, (path.name for path in folder.iterdir()))
    return sorted({int(found[1]) for found in names if found})


def _path(folder: Path, step: int, rank: int) -> Path:
    return folder / f"step{step:06d}-of-rank{rank}.safetensors"


def _readable(folder: Path, step: int, rank: int) -> bool:
    try:
        with safe_open(_path(folder, step, rank), "pt"):
            return True
    except (OSError, SafetensorError):
        return False


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


def _check_no_strangers(folder: Path) -> None:
    """Refuses to begin a run where its files would take the place of others."""
    if kept := kept_in(folder):
        raise ConfigError(
            subject=str(folder),
            expected=f"a new folder, or one of a run, with its {RECORD}",
            found=f"none, but {kept[0].name}, which would be written over",
            remedy="choose another one with --run",
        )


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
