"""A network is a list of stages; a stage is everything up to and including one downsampling."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from contextlib import nullcontext
from difflib import get_close_matches
from itertools import count

import torch
from jaxtyping import Float
from torch import Tensor, nn

from impasto.errors import LayerError, SampleError
from impasto.geometry import Space

INPUT = "input"
"""The layer that is the sample itself, before the network."""

Activations = dict[str, Tensor]


class Stage(nn.Module):
    """Named operations, one after the other, the last of them a downsampling.

    layers: the names of the activations it can give, in the order they are computed.
    """

    def __init__(self, operations: Iterable[tuple[str, nn.Module]]) -> None:
        super().__init__()
        self.operations = nn.ModuleDict(dict(operations))

    @property
    def layers(self) -> tuple[str, ...]:
        return tuple(self.operations)

    def forward(
        self, x: Float[Tensor, "batch channel *space"], wanted: Collection[str], onward: bool
    ) -> tuple[Tensor, Activations]:
        """What the next stage takes, and the wanted activations.

        Not `onward`, the first is of no use: work past the last wanted layer is left out.
        """
        activations: Activations = {}
        for name, operation in self.operations.items():
            if not onward and len(activations) == len(wanted):
                break
            x = operation(x)
            if name in wanted:
                activations[name] = x
        return x, activations


class Network(nn.Module):
    """A list of stages with named layers, its parameters frozen.

    name: what messages call it. dims: 1, 2 or 3 space axes. channels: those of its samples.
    metrics: of some layers the root of the metric that `losses.MetricGram` measures style in.
    autocast: whether to compute in bfloat16, with three decimal digits in about half the time on
    processors that have it; activations are given as float32 all the same.
    """

    def __init__(self, name: str, stages: Sequence[Stage], *, dims: int, channels: int) -> None:
        super().__init__()
        self.name = name
        self.stages: Sequence[Stage] = nn.ModuleList(stages)  # type: ignore[assignment]
        self.dims = dims
        self.channels = channels
        self.metrics = nn.ParameterDict()
        self.autocast = False
        self.requires_grad_(False)
        self.eval()

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of all layers, the sample itself first."""
        return (INPUT, *(layer for stage in self.stages for layer in stage.layers))

    def forward(
        self, x: Float[Tensor, "batch channel *space"], wanted: Collection[str]
    ) -> Activations:
        """The wanted activations; each has shape (batch, channel, *space) of its own layer.

        Raises LayerError for a layer the network does not have, SampleError for a sample of
        other dimensions or channels.
        """
        self.check(wanted)
        if x.ndim != self.dims + 2 or x.shape[1] != self.channels:
            raise SampleError(
                expected=f"{self.channels} channels over {self.dims} axes for {self.name}",
                found=f"{x.shape[1]} channels over {x.ndim - 2}",
                remedy="pass a sample of that kind, or choose another --network",
            )
        activations = {INPUT: x} if INPUT in wanted else {}
        remaining = set(wanted) - {INPUT}
        if self.dims == 2:  # twice as fast in bfloat16, a little in float32
            x = x.contiguous(memory_format=torch.channels_last)
        with torch.autocast(x.device.type, torch.bfloat16) if self.autocast else nullcontext():
            for stage in self.stages:
                if not remaining:
                    break
                here = remaining & set(stage.layers)
                remaining -= here
                x, found = stage(x, here, onward=bool(remaining))
                activations |= found
        if self.autocast:
            activations = {layer: a.float() for layer, a in activations.items()}
        return activations

    def check(self, wanted: Collection[str]) -> None:
        """Raises LayerError when one of the layers is not the network's."""
        for layer in wanted:
            if layer not in self.layers:
                near = get_close_matches(layer, self.layers, n=1)
                raise LayerError(
                    expected=f"a layer of {self.name} ({self.layers[1]} to {self.layers[-1]})",
                    found=repr(layer),
                    remedy=f"did you mean {near[0]}?" if near else "`impasto networks` lists them",
                )

    def floats(self, space: Space, wanted: Collection[str]) -> int:
        """Numbers that one pass over a sample of that grid produces, layer by layer.

        Raises RuntimeError, torch's own, when the grid is too small for the wanted layers.
        """
        produced = 0

        def add(_module: nn.Module, _inputs: object, output: object) -> None:
            nonlocal produced
            if isinstance(output, Tensor):
                produced += output.numel()

        leaves = [module for module in self.modules() if not list(module.children())]
        hooks = [leaf.register_forward_hook(add) for leaf in leaves]
        dtype = next((tensor.dtype for tensor in self.parameters()), torch.float32)
        try:
            self(torch.zeros((1, self.channels, *space), dtype=dtype), wanted)
        finally:
            for hook in hooks:
                hook.remove()
        return produced

    def smallest_side(self, wanted: Collection[str]) -> int:
        """The fewest positions along each axis that leave the wanted layers at least one."""
        for side in count(1):
            try:
                self.floats((side,) * self.dims, wanted)
            except RuntimeError:
                continue
            return side
        raise AssertionError
