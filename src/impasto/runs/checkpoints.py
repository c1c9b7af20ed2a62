"""Checkpoints: where a run stands, written array by array."""

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
    """Where a run stands: the steps done, the arrays of this process, and numbers."""

    step: int
    tensors: Mapping[str, Tensor]
    scalars: Mapping[str, Any]

    def check_shape(self, expected: tuple[int, ...]) -> None:
        """Raises ConfigError where its arrays are of another shape."""
        found = tuple(self.tensors["x"].shape)
        if found != expected:
            raise ConfigError(
                subject="the checkpoint",
                expected=f"arrays of shape {expected}",
                found=str(found),
                remedy="begin anew with another --run",
            )

    def copied(self, new: Allocate) -> dict[str, Tensor]:
        """Its arrays, which may be views of a file, in arrays of one's own."""
        return {
            name: new(tensor.shape, tensor.dtype).copy_(tensor)
            for name, tensor in self.tensors.items()
        }


def write_checkpoint(
    file: BinaryIO, tensors: Mapping[str, Tensor], metadata: Mapping[str, str]
) -> None:
    """Writes contiguous arrays and metadata as safetensors, a block of values at a time.

    The file goes out from where the arrays are, in memory or in mapped files: whatever their size,
    it takes no memory of its own. Raises OSError when the file cannot be written.
    """
    # As the format asks for: whole numbers of each type's bytes before it.
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
            file.write(block.view(torch.uint8).numpy().data)
