"""Large arrays: on the device while it has room, then in memory, then in files on a disk."""

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
from impasto.system.devices import CPU


class Arrays:
    """Makes tensors on the device, then in memory, then in memory-mapped files.

    Each place is used until its room is taken.

    A file has no name and disappears with its tensor, however the process ends. Where memory is
    short, the system writes such a file to the disk and frees its pages. Tensors of at most SMALL
    bytes always stay on the device, or in memory where the device is the CPU.

    Args:
        room: bytes of memory that the tensors may take together.
        folder: where the files go; `scratch_folder()` by default.
        device: the device of the run.
        device_room: bytes that the tensors may take together on a device that is not the CPU.

    Example:
        >>> import torch
        >>> Arrays(room=1e9).new((1, 3, 4, 4), torch.float32).shape
        torch.Size([1, 3, 4, 4])
    """

    SMALL = 1 << 20

    def __init__(
        self,
        room: float,
        folder: Path | None = None,
        device: torch.device = CPU,
        device_room: float = 0.0,
    ) -> None:
        self.room = room
        self.folder = folder or scratch_folder()
        self.device = device
        self.device_room = device_room

    def new(self, shape: Space, dtype: torch.dtype) -> Tensor:
        """Returns a tensor whose values are not set.

        Raises:
            MemoryLimitError: the tensor has to go to the disk, and the disk is full.
        """
        size = prod(shape) * dtype.itemsize
        if self.device.type == "cpu" or self.SMALL < size > self.device_room:
            return self.in_memory(shape, dtype)
        tensor = torch.empty(shape, dtype=dtype, device=self.device)
        if size > self.SMALL:
            self.device_room -= size
            weakref.finalize(tensor.untyped_storage(), self._give_device_back, size)
        return tensor

    def in_memory(self, shape: Space, dtype: torch.dtype) -> Tensor:
        """Returns a tensor whose values are not set, in memory or in a file.

        Raises:
            MemoryLimitError: the tensor has to go to the disk, and the disk is full.
        """
        size = prod(shape) * dtype.itemsize
        if size <= self.SMALL or size <= self.room:
            tensor = torch.empty(shape, dtype=dtype, device=CPU)
            if size > self.SMALL:
                self.room -= size
                weakref.finalize(tensor.untyped_storage(), self._give_room_back, size)
            return tensor
        try:
            with tempfile.NamedTemporaryFile(dir=self.folder, prefix="impasto-") as file:
                if hasattr(os, "posix_fallocate"):  # so that a full disk fails here, not later
                    os.posix_fallocate(file.fileno(), 0, size)
                flat = torch.from_file(file.name, shared=True, size=prod(shape), dtype=dtype)
        except OSError as error:
            raise MemoryLimitError(
                subject=str(self.folder),
                expected=f"{amount(size)} of disk for an array that memory has no room for",
                found=error.strerror or str(error),
                remedy="free some of the disk, or set TMPDIR to a folder on a larger disk",
            ) from error
        return flat.reshape(shape)

    def numpy(self, shape: Space) -> np.ndarray:
        """Returns a float32 NumPy array whose values are not set, in memory or in a file."""
        values: np.ndarray = self.in_memory(shape, torch.float32).numpy()
        return values

    def _give_device_back(self, size: int) -> None:
        self.device_room += size

    def _give_room_back(self, size: int) -> None:
        self.room += size


def scratch_folder() -> Path:
    """Returns the folder for large temporary files.

    It is TMPDIR where that is set, else /var/tmp, which is on a disk where /tmp may be in memory.
    """
    disk = Path("/var/tmp")
    if "TMPDIR" not in os.environ and disk.is_dir() and os.access(disk, os.W_OK):
        return disk
    return Path(tempfile.gettempdir())
