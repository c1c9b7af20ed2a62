"""Read and check the files in a run folder: the record, the log of steps and the checkpoints."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from torch import Tensor

from impasto.config.config import Config
from impasto.errors import ConfigError, SampleError
from impasto.runs.checkpoints import Checkpoint
from impasto.runs.names import RECORD, STEPS, checkpoint_path, checkpoint_steps
from impasto.runs.origin import Origin, file_hash
from impasto.runs.schemas import (
    CheckpointScalars,
    NoRecordError,
    RunRecord,
    StepRecord,
    check_names,
    checked,
    decoded,
)
from impasto.runs.seals import is_whole

logger = logging.getLogger(__name__)

_OF_TEXTURES = {"size", "style_layers", "style_weights", "window"}
"""Settings in which the record of a texture may differ from the settings that the user chose."""


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
        names: what the user calls files, where they are kept under other names.
    """

    folder: Path
    origin: Origin
    identity: Mapping[str, Any]
    used: Config
    inputs: Mapping[str, str | None]
    versions: Mapping[str, Any]
    names: Mapping[Path, str] = field(default_factory=dict)

    def name_of(self, path: Path) -> str:
        """Returns what the user calls a file of the run."""
        return self.names.get(path, path.name)

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
        for step in reversed(checkpoint_steps(self.folder)):
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
    path = checkpoint_path(folder, step, rank)
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


def _no_run(folder: Path, found: str) -> ConfigError:
    return ConfigError(
        subject=str(folder),
        expected="the folder of a run, as --run makes it",
        found=found,
        remedy="name the folder that --run was given, or begin anew with another",
    )
