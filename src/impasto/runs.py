"""Run folders: checkpoints from which a run goes on to the very same result."""

from __future__ import annotations

import hashlib
import json
import re
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from impasto.errors import ConfigError, OutputError
from impasto.media.files import atomic_write
from impasto.media.sample import Sample
from impasto.parallel import Group

KEPT = 2
"""Checkpoints that stay: should the last one be damaged, there is the one before."""

_NAME = re.compile(r"step(\d+)-of-rank(\d+)\.safetensors")


@dataclass(frozen=True)
class Checkpoint:
    """Where a run stands: the arrays of this process, and numbers, the steps done among them."""

    tensors: Mapping[str, Tensor]
    scalars: Mapping[str, Any]


class RunFolder:
    """The checkpoints of one run.

    folder: made where it is not there. identity: all that decides the result; a folder of another
    run is refused. every: seconds between checkpoints.
    Raises ConfigError for another run's folder, OutputError when it cannot be made.
    """

    def __init__(
        self, folder: Path, identity: Mapping[str, Any], group: Group, every: float
    ) -> None:
        self.folder, self.group, self.every = folder, group, every
        self.saved = time.monotonic()
        described = json.dumps(identity, indent=2, sort_keys=True)
        record = folder / "run.json"
        try:
            folder.mkdir(parents=True, exist_ok=True)
            known = record.read_text() if record.exists() else None
        except OSError as error:
            raise OutputError(
                subject=str(folder),
                expected="a folder for the run's checkpoints",
                found=error.strerror or str(error),
                remedy="choose another one with --run",
            ) from error
        if known is None and group.rank == 0:
            with atomic_write(record) as file:
                file.write(described.encode())
        elif known is not None and known != described:
            raise ConfigError(
                subject=str(folder),
                expected="a new folder, or the one of the same inputs and settings",
                found=f"another run's: {_difference(known, identity)} differs",
                remedy="choose another one with --run, or repeat that run's command",
            )

    def latest(self) -> Checkpoint | None:
        """The last checkpoint that is whole, the same one for all processes."""
        found = None
        for step in reversed(self._steps() if self.group.rank == 0 else []):
            if all(self._readable(step, rank) for rank in range(self.group.size)):
                found = step
                break
        chosen = torch.tensor([0 if found is None else found + 1], dtype=torch.float64)
        step = int(self.group.total(chosen if self.group.rank == 0 else 0 * chosen)) - 1
        if step < 0:
            return None
        with safe_open(self._path(step, self.group.rank), "pt") as file:
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
            return Checkpoint(tensors, json.loads(file.metadata()["scalars"]))

    def due(self) -> bool:
        """Whether it is time for the next checkpoint, the same for all processes."""
        late = time.monotonic() - self.saved >= self.every and self.group.rank == 0
        return bool(self.group.total(torch.tensor([float(late)])))

    def save(self, step: int, tensors: Mapping[str, Tensor], scalars: Mapping[str, Any]) -> None:
        """Writes a checkpoint, whole or not at all. Raises OutputError when it cannot."""
        data = {name: tensor.contiguous() for name, tensor in tensors.items()}
        with atomic_write(self._path(step, self.group.rank)) as file:
            file.write(save(data, {"scalars": json.dumps(scalars)}))
        self.saved = time.monotonic()
        for old in self._steps()[:-KEPT]:
            self._path(old, self.group.rank).unlink(missing_ok=True)

    def _steps(self) -> list[int]:
        names = map(_NAME.fullmatch, (path.name for path in self.folder.iterdir()))
        return sorted({int(found[1]) for found in names if found})

    def _path(self, step: int, rank: int) -> Path:
        return self.folder / f"step{step:06d}-of-rank{rank}.safetensors"

    def _readable(self, step: int, rank: int) -> bool:
        try:
            with safe_open(self._path(step, rank), "pt"):
                return True
        except (OSError, SafetensorError):
            return False


def fingerprint(sample: Sample) -> str:
    """The SHA-256 of a sample's values."""
    digest = hashlib.sha256(repr(sample.data.shape).encode())
    for plane in sample.data:
        digest.update(plane.tobytes())
    return digest.hexdigest()


def _difference(known: str, identity: Mapping[str, Any]) -> str:
    """The first setting, by its name, that a record has otherwise."""

    def flat(value: Any, name: str = "") -> dict[str, Any]:
        if not isinstance(value, Mapping):
            return {name: value}
        return {k: v for key in value for k, v in flat(value[key], str(key)).items()}

    try:
        old = flat(json.loads(known))
    except ValueError:
        return "run.json"
    new = flat(json.loads(json.dumps(identity)))
    return next((name for name in new if old.get(name) != new[name]), "something")
