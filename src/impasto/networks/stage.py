"""A network is a list of stages; a stage ends with its downsampling."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from functools import cached_property
from itertools import chain, count
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from impasto.errors import LayerError, SampleError
from impasto.grids.geometry import Region, Space
from impasto.grids.patch import Patch
from impasto.networks.operations import Affine, allows_overwriting, extent_of, run
from impasto.system.devices import CPU

INPUT = "input"
"""The layer that is the sample itself; in a stage, the stage's input."""

Activations = dict[str, Tensor]
Regions = Mapping[str, Region]


class _Operations(nn.ModuleDict):
    """Modules whose names may contain dots, as those of nested modules do."""

    def add_module(self, name: str, module: nn.Module | None) -> None:
        assert module is not None
        self._modules[name] = module


class Stage(nn.Module):
    """Named operations, of which the last one downsamples.

    Args:
        operations: the operations in the order of their computation. Each takes the result of the
            one before, the first one the stage's input. A name that begins with an underscore is
            not a layer.
        dims: how many axes the samples have.
        sources: for some operations the names of the inputs that they take instead: one name, or
            several of the same grid.
    """

    def __init__(
        self,
        operations: Iterable[tuple[str, nn.Module]],
        *,
        dims: int,
        sources: Mapping[str, str] | Mapping[str, tuple[str, ...]] | None = None,
    ) -> None:
        super().__init__()
        self.operations = _Operations(dict(operations))
        names = list(self.operations)
        self.sources = {
            name: (given,) if isinstance(given, str) else given
            for name, before in zip(names, [INPUT, *names], strict=False)
            for given in [(sources or {}).get(name, before)]
        }
        self.extents = {name: extent_of(self.operations[name], dims) for name in names}
        self.strides = {INPUT: (1,) * dims}
        for name, (source, *_) in self.sources.items():
            pairs = zip(self.strides[source], self.extents[name].stride, strict=True)
            self.strides[name] = tuple(a * b for a, b in pairs)
        takers = Counter(chain.from_iterable(self.sources.values()))
        self._in_place = {
            name: source
            for name, (source, *_) in self.sources.items()
            if takers[source] == 1
            and isinstance(self.operations[name], nn.ReLU)
            and source != INPUT
            and allows_overwriting(self.operations[source])
        }
        self._grids: dict[Space, dict[str, Space]] = {}

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of the layers, in the order of their computation."""
        return tuple(name for name in self.operations if not name.startswith("_"))

    @property
    def output(self) -> str:
        """The layer that the next stage takes."""
        return list(self.operations)[-1]

    def grids(self, space: Space) -> dict[str, Space]:
        """Returns the grid of each layer, for an input over `space`; 0 where it is too small.

        Raises:
            SampleError: an operation joins parts that have different grids over this space.
        """
        if space not in self._grids:
            self._grids[space] = self._grids_over(space)
        return self._grids[space]

    def _grids_over(self, space: Space) -> dict[str, Space]:
        grids = {INPUT: space}
        for name, sources in self.sources.items():
            given = {grids[source] for source in sources}
            if len(given) > 1 and not any(0 in grid for grid in given):
                sizes = (" x ".join(map(str, grid)) for grid in sorted(given))
                raise SampleError(
                    expected=f"a size at which {name} finds parts of the same size",
                    found=f"parts of {' and '.join(sizes)} positions",
                    remedy="pass a sample of another size, or a stretch of it with --span",
                )
            grids[name] = self.extents[name].grid(min(given))
        return grids

    def shares(self, region: Region) -> dict[str, Region]:
        """Returns each layer's share of a region of the input.

        The shares of a partition are a partition.
        """
        grids = self.grids(region.whole)
        return {name: region.shrink(self.strides[name], grids[name]) for name in grids}

    def replaced(self, wanted: Regions) -> set[str]:
        """Returns the layers whose only user is a ReLU that overwrites them."""
        return {source for source in self._in_place.values() if source not in wanted}

    def needed(self, wanted: Regions, space: Space) -> dict[str, Region]:
        """Returns the regions of the layers and of the input that the wanted ones need."""
        grids = self.grids(space)
        needed = dict(wanted)
        for name, sources in reversed(self.sources.items()):
            if name in needed and not needed[name].empty:
                region, _ = self.extents[name].source(needed[name], grids[sources[0]])
                for source in sources:
                    needed[source] = needed[source].hull(region) if source in needed else region
        return needed

    def forward(self, x: Patch, wanted: Regions) -> Activations:
        """Computes the wanted layers over their regions.

        Args:
            x: the input over what `needed` says of it.
            wanted: the layers, each with its region.
        """
        needed = self.needed(wanted, x.region.whole)
        replaced = self.replaced(wanted)
        patches = {INPUT: x}
        for name, sources in self.sources.items():
            if name in needed and not needed[name].empty:
                given = [patches[source] for source in sources]
                region, padding = self.extents[name].source(needed[name], given[0].region.whole)
                y = run(
                    self.operations[name],
                    [patch.over(region) for patch in given],
                    padding,
                    in_place=name in self._in_place and sources[0] in replaced,
                )
                patches[name] = Patch(y, needed[name])
        return {
            name: patches[name].over(region) for name, region in wanted.items() if not region.empty
        }


@dataclass(frozen=True)
class Terms:
    """What a network expects of its samples.

    Attributes:
        rate: the sampling rate in Hz; None for any.
        units: the unit of the values; None for any.
        names: the names of the channels in their order; () for any.
    """

    rate: float | None = None
    units: str | None = None
    names: tuple[str, ...] = ()


class Network(nn.Module):
    """A list of stages with named layers and frozen parameters.

    Attributes:
        name: what messages call it.
        dims: how many axes its samples have, 1 to 3.
        channels: how many channels its samples have.
        turning: whether it treats the first axis differently, so that each axis takes its place in
            turn.
        metrics: for some layers the root of the metric in which `MetricGram` measures style.
        terms: what it expects of its samples.
        trained: whether it is a plain sequence of convolutions with trained weights, which can be
            calibrated.
        uneven: whether its layers do not have a mean activation of 1.
    """

    def __init__(
        self,
        name: str,
        stages: Sequence[Stage],
        *,
        dims: int,
        channels: int,
        turning: bool = False,
    ) -> None:
        super().__init__()
        self.name = name
        self.stages: Sequence[Stage] = nn.ModuleList(stages)  # type: ignore[assignment]
        self.dims = dims
        self.channels = channels
        self.turning = turning
        self.metrics = nn.ParameterDict()
        self.terms = Terms()
        self.trained = self.uneven = False
        if dims == 2:
            nn.Module.to(self, memory_format=torch.channels_last)  # type: ignore[call-overload]
        self.requires_grad_(False)
        self.eval()

    @property
    def layers(self) -> tuple[str, ...]:
        """The names of all layers; the sample itself comes first."""
        return (INPUT, *chain.from_iterable(stage.layers for stage in self.stages))

    @property
    def by_slices(self) -> bool:
        """Whether the result for a slice across the first axis depends on that slice only."""
        extents = [extent for stage in self.stages for extent in stage.extents.values()]
        return self.dims > 1 and all((w.kernel[0], w.stride[0]) == (1, 1) for w in extents)

    def stride(self, wanted: Collection[str]) -> int:
        """Returns the largest distance, in the sample, of neighbors in a wanted layer."""
        strides = [stage.strides[stage.output] for stage, _, onward in self.path(wanted) if onward]
        return max(map(prod, zip(*strides, strict=True)), default=1)

    def in_bfloat16(self) -> Network:
        """Switches the convolutions and their results to bfloat16; returns the network.

        bfloat16 has three decimal digits. It takes half the time or less on processors that support
        it.
        """
        for module in self.modules():
            if isinstance(module, _ConvNd):
                module.bfloat16()
        return self

    def taking(self, low: Sequence[float], span: Sequence[float]) -> Network:
        """Returns the network for samples x of which it sees low + span x, by channel."""
        dtype = next((tensor.dtype for tensor in self.parameters()), torch.float32)
        affine = Affine(torch.tensor(low, dtype=dtype), torch.tensor(span, dtype=dtype))
        stages = self.prepend("_values", affine)
        network = Network(self.name, stages, dims=self.dims, channels=self.channels)
        network.metrics, network.terms = self.metrics, self.terms
        network.trained, network.uneven = self.trained, self.uneven
        return network

    def prepend(self, name: str, operation: nn.Module) -> list[Stage]:
        """Returns the stages, with an operation before the first one."""
        first, *others = self.stages
        operations = [(name, operation), *first.operations.items()]
        sources = {
            layer: tuple(name if source == INPUT else source for source in given)
            for layer, given in first.sources.items()
        }
        return [Stage(operations, dims=self.dims, sources=sources), *others]

    def forward(
        self, x: Float[Tensor, "batch channel *space"], wanted: Collection[str]
    ) -> Activations:
        """Computes the wanted activations.

        Args:
            x: the sample.
            wanted: the names of the layers.

        Returns:
            By layer, each of shape (batch, channel, *space) with its own channels and space.

        Raises:
            LayerError: the network does not have one of the layers.
            SampleError: the sample has other dimensions or channels, or is too small.
        """
        self.check(wanted)
        self.check_sample(x)
        activations = {INPUT: x} if INPUT in wanted else {}
        x = in_fast_order(x)
        for stage, here, onward in self.path(wanted):
            grids = stage.grids(tuple(x.shape[2:]))
            names = [*here, *[stage.output] * onward]
            if any(0 in grids[name] for name in names):
                raise SampleError(
                    expected=f"a sample large enough for {', '.join(wanted)} of {self.name}",
                    found=f"{' x '.join(map(str, x.shape[2:]))} positions",
                    remedy="pass a larger one, or name shallower layers",
                )
            given = stage(Patch.whole(x), {name: Region.all_of(grids[name]) for name in names})
            activations |= {name: given[name] for name in here}
            x = given[stage.output] if onward else x
        return activations

    def path(self, wanted: Collection[str]) -> list[tuple[Stage, list[str], bool]]:
        """Returns the stages that the wanted layers need.

        Returns:
            Each stage, its wanted layers without the sample itself, and whether another follows.
        """
        layers = [[layer for layer in stage.layers if layer in wanted] for stage in self.stages]
        length = max((index + 1 for index, here in enumerate(layers) if here), default=0)
        stages = list(self.stages)[:length]
        return [
            (stage, here, index + 1 < length)
            for index, (stage, here) in enumerate(zip(stages, layers, strict=False))
        ]

    def grids(self, space: Space, wanted: Collection[str]) -> dict[str, Space]:
        """Returns the grids of the wanted layers, in the network's order."""
        grids = {INPUT: space}
        for stage, here, _ in self.path(wanted):
            here_grids = stage.grids(space)
            grids |= {layer: here_grids[layer] for layer in here}
            space = here_grids[stage.output]
        return {layer: grid for layer, grid in grids.items() if layer in wanted}

    def check(self, wanted: Collection[str]) -> None:
        """Checks that the network has these layers.

        Raises:
            LayerError: it does not have one of them.
        """
        for layer in wanted:
            if layer not in self.layers:
                near = get_close_matches(layer, self.layers, n=1)
                raise LayerError(
                    expected=f"a layer of {self.name} ({self.layers[1]} to {self.layers[-1]})",
                    found=repr(layer),
                    remedy=f"did you mean {near[0]}?" if near else "`impasto networks` lists them",
                )

    def check_sample(self, x: Float[Tensor, "batch channel *space"]) -> None:
        """Checks the dimensions and channels of a sample.

        Raises:
            SampleError: they are not those of the network.
        """
        if x.ndim != self.dims + 2 or x.shape[1] != self.channels:
            raise SampleError(
                expected=f"{self.channels} channels over {self.dims} axes for {self.name}",
                found=f"{x.shape[1]} channels over {x.ndim - 2}",
                remedy="pass a sample of that kind, or choose another --network",
            )

    def smallest_side(self, wanted: Collection[str]) -> int:
        """Returns the smallest side of a sample for which each wanted layer has a position."""
        return next(side for side in count(1) if self.fits((side,) * self.dims, wanted))

    def fits(self, space: Space, wanted: Collection[str]) -> bool:
        """Whether each wanted layer has a position for a sample over `space`."""
        for stage, here, onward in self.path(wanted):
            try:
                grids = stage.grids(space)
            except SampleError:
                return False
            if any(0 in grids[name] for name in [*here, *[stage.output] * onward]):
                return False
            space = grids[stage.output]
        return True

    @cached_property
    def widths(self) -> dict[str, int]:
        """The channels of the sample and of each operation's result."""
        dtype = next((tensor.dtype for tensor in self.parameters()), torch.float32)
        tensors = chain(self.parameters(), self.buffers())
        like = torch.empty(0, dtype=dtype, device=next((x.device for x in tensors), CPU))
        widths, width = {INPUT: self.channels}, self.channels
        for stage in self.stages:
            here = {INPUT: width}
            for name, sources in stage.sources.items():
                kernel = stage.extents[name].kernel
                inputs = [like.new_zeros((1, here[each], *kernel)) for each in sources]
                here[name] = run(stage.operations[name], inputs, []).shape[1]
            width = here[stage.output]
            widths |= here | {INPUT: self.channels}
        return widths


def in_fast_order(x: Tensor) -> Tensor:
    """Returns x with its channels last in memory, where it has two axes.

    In bfloat16 that is twice as fast.
    """
    return x.contiguous(memory_format=torch.channels_last) if x.ndim == 4 else x
