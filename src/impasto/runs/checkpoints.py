"""Checkpoints: the state of a run, written array by array."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, BinaryIO

import torch
from torch import Tensor

from impasto.errors import ConfigError
from impasto.grids.patch import Allocate
from impasto.optimizers.loop import blocks

_TYPES = {
    torch.float64: "F64",
    torch.float32: "F32",
    torch.float16: "F16",
    torch.bfloat16: "BF16",
}


@dataclass(frozen=True)
class Checkpoint:
    """The state of a run, as one process wrote it.

    Attributes:
        step: the number of steps done.
        tensors: the arrays of this process, by name.
        scalars: the numbers, by name.
    """

    step: int
    tensors: Mapping[str, Tensor]
    scalars: Mapping[str, Any]

    def check_shape(self, expected: tuple[int, ...]) -> None:
        """Raises ConfigError if the arrays have another shape."""
        shape = tuple(self.tensors["x"].shape)
        if shape != expected:
            raise ConfigError(
                subject="the checkpoint",
                expected=f"arrays of shape {expected}",
                found=str(shape),
                remedy="begin anew with another --run",
            )

    def copied(self, new: Allocate) -> dict[str, Tensor]:
        """Copies the arrays, which may be views of a file, into new ones."""
        return {
            name: new(tensor.shape, tensor.dtype).copy_(tensor)
            for name, tensor in self.tensors.items()
        }


def write_checkpoint(
    file: BinaryIO, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]
) -> None:
    """Writes contiguous arrays and metadata as safetensors, one block of values at a time.

    The arrays are not copied, so that writing takes hardly any memory whatever their size.

    Raises:
        OSError: the file cannot be written.
    """
    # safetensors wants each array aligned to its type, so larger types come first.
    ordered = sorted(tensors.items(), key=lambda item: -item[1].element_size())
    header: dict[str, Any] = {"__metadata__": dict(metadata)}
    end = 0
    for name, tensor in ordered:
        start, end = end, end + tensor.numel() * tensor.element_size()
        header[name] = {
            "dtype": _TYPES[tensor.dtype],
            "shape": list(tensor.shape),
            "data_offsets": [start, end],
        }
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    file.write(len(text).to_bytes(8, "little") + text)
    for _, tensor in ordered:
        for (block,) in blocks(tensor):
            file.write(block.view(torch.uint8).cpu().numpy().data)
