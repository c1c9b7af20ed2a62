"""Large arrays: in memory as long as there is room, in files of a scratch folder beyond."""

from __future__ import annotations

import os
import tempfile
import weakref
from math import prod
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from impasto.errors import MemoryLimitError, amount
from impasto.grids.geometry import Space


class Arrays:
    """Makes tensors until `room` bytes of memory are taken, then maps files into memory.

    A mapped file has no name and is gone with its tensor, however the process ends; the system
    writes it out and forgets its pages where memory is short. Small tensors stay in memory.
    """

    SMALL = 1 << 20

    def __init__(self, room: float, folder: Path | None = None) -> None:
        self.room = room
        self.folder = folder or scratch_folder()

    def new(self, shape: Space, dtype: torch.dtype) -> Tensor:
        """A tensor, its values left open. Raises MemoryLimitError when the disk is full too."""
        size = prod(shape) * dtype.itemsize
        if size <= self.SMALL or size <= self.room:
            tensor = torch.empty(shape, dtype=dtype)
            if size > self.SMALL:
                self.room -= size
                weakref.finalize(tensor.untyped_storage(), self._returned, size)
            return tensor
        try:
            with tempfile.NamedTemporaryFile(dir=self.folder, prefix="impasto-") as file:
                if hasattr(os, "posix_fallocate"):  # a full disk shows here, not later
                    os.posix_fallocate(file.fileno(), 0, size)
                flat = torch.from_file(file.name, shared=True, size=prod(shape), dtype=dtype)
        except OSError as error:
            raise MemoryLimitError(
                subject=str(self.folder),
                expected=f"{amount(size)} of disk for what memory has no room for",
                found=error.strerror or str(error),
                remedy="free some, or set TMPDIR to a folder on a larger disk",
            ) from error
        return flat.reshape(shape)

    def numpy(self, shape: Space) -> np.ndarray:
        """A float32 NumPy array."""
        values: np.ndarray = self.new(shape, torch.float32).numpy()
        return values

    def _returned(self, size: int) -> None:
        self.room += size


def scratch_folder() -> Path:
    """Where temporary files go that may be large: TMPDIR, else /var/tmp, which is on a disk."""
    disk = Path("/var/tmp")
    if "TMPDIR" not in os.environ and disk.is_dir() and os.access(disk, os.W_OK):
        return disk
    return Path(tempfile.gettempdir())
