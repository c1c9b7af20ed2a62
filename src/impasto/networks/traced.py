"""Makes a Network of any nn.Module: torch.fx traces its graph, which is cut into stages."""

from __future__ import annotations

import operator
from collections import Counter
from collections.abc import Collection, Sequence
from copy import copy
from dataclasses import dataclass, replace
from itertools import chain, pairwise
from math import prod
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.nn.utils.parametrize import remove_parametrizations

from impasto.errors import ConfigError
from impasto.grids.geometry import Region, Space
from impasto.networks.graph import Tracer, find_nodes, trace_graph
from impasto.networks.operations import POOLS, Each, Sum, extent_of, run
from impasto.networks.stage import INPUT, Network, Stage

_POOLINGS = (
    *(functional.max_pool1d, functional.max_pool2d, functional.max_pool3d),
    *(functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d),
)
_WINDOWED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, *POOLS)
_ADDITIONS = (operator.add, torch.add, "add")


def trace(
    module: nn.Module, name: str, *, dims: int, channels: int, wanted: Collection[str]
) -> Network:
    """Returns the network of the wanted layers of a module, and of what they are computed from.

    A layer has the name of the module that computes it: "layer2.0.relu", or "layer2" for the result
    of that whole part. Functions have names after the module whose forward calls them, such as
    "layer2.0.add"; the second one of a name is "layer2.0.add_1". These are the names of
    torchvision's feature extraction.

    The module may contain convolutions, max and average poolings, and operations that work position
    by position, which is checked on random values. A batch normalization becomes part of the
    convolution before it. The module is switched to eval mode.

    Args:
        module: the module.
        name: what messages call it.
        dims: how many axes its samples have.
        channels: how many channels they have.
        wanted: the names of the layers.

    Raises:
        LayerError: the module does not have one of the layers.
        ConfigError: something else cannot be part of a network; the message names it.
    """
    nodes, _, reading = _read(module, name, dims, channels, wanted)
    stages = _cut_into_stages(reading.steps_to(nodes.values()), dims)
    network = Network(name, stages, dims=dims, channels=channels)
    coarsest = prod(max(stage.strides[stage.output]) for stage in network.stages)
    if not any(network.fits((1000 * coarsest + i,) * dims, wanted) for i in range(coarsest)):
        raise ConfigError(
            subject="--network",
            expected="parts of the same size wherever some are added or joined",
            found=f"{name}, where they differ for every size of the sample",
            remedy="pad its convolutions",
        )
    return network


def layers_of(module: nn.Module, name: str, *, dims: int, channels: int) -> tuple[str, ...]:
    """Returns the layers that `trace` accepts for a module, in order, by their first names.

    Raises:
        ConfigError: there is none.
    """
    _, tracer, reading = _read(module, name, dims, channels, ())
    taken = {node: layer for layer, node in reversed(tracer.names.items()) if layer != INPUT}
    layers = tuple(layer for node, layer in reversed(taken.items()) if node in reading.steps)
    if not layers:
        raise next(iter(reading.errors.values()))
    return layers


def _read(
    module: nn.Module, name: str, dims: int, channels: int, wanted: Collection[str]
) -> tuple[dict[str, fx.Node], Tracer, _Reading]:
    """Returns the wanted nodes by layer, the tracer with all names, and what each node does."""
    for part in module.modules():
        for parameter in list(getattr(part, "parametrizations", ())):
            remove_parametrizations(part, parameter)
    tracer = Tracer()
    graph = trace_graph(tracer, module.eval(), name)
    nodes = find_nodes(tracer.names, wanted, name)
    names: dict[fx.Node, str] = {}
    for layer, node in (*nodes.items(), *tracer.names.items()):
        names.setdefault(node, layer)
    reading = _Reading(module, dims, names)
    reading.steps[tracer.names[INPUT]] = _Step(INPUT, channels, (1,) * dims, nn.Identity(), ())
    for node in graph.nodes:
        reading.read(node)
    return nodes, tracer, reading


class _UnfitError(Exception):
    """Says why a node cannot be an operation of a stage."""


@dataclass(frozen=True, eq=False)
class _Step:
    """What a node of the graph does.

    Attributes:
        name: its layer.
        channels: the channels of its result.
        strides: positions of the sample between two of its result, along each axis.
        operation: the operation.
        sources: the layers that it takes.
    """

    name: str
    channels: int
    strides: Space
    operation: nn.Module
    sources: tuple[str, ...]


class _Reading:
    """The steps of a graph, and the errors of nodes that cannot be a step."""

    def __init__(self, root: nn.Module, dims: int, names: dict[fx.Node, str]) -> None:
        self.root, self.dims, self.names = root, dims, names
        self.steps: dict[fx.Node, _Step] = {}
        self.errors: dict[fx.Node, ConfigError] = {}
        self.dtype = next((each.dtype for each in root.parameters()), torch.float32)

    def read(self, node: fx.Node) -> None:
        """Adds the node's step, or the error that prevents it."""
        if node in self.steps or node.op in {"get_attr", "output"}:
            return
        sources = [each for each in node.all_input_nodes if each.op != "get_attr"]
        earlier = next((self.errors[each] for each in sources if each in self.errors), None)
        try:
            if earlier:
                raise earlier
            self.steps[node] = self._step(node, sources)
        except ConfigError as error:
            self.errors[node] = error
        except _UnfitError as reason:
            self.errors[node] = ConfigError(
                subject="--network",
                expected="convolutions, poolings and what works position by position as far as "
                "the wanted layers",
                found=f"{self.names.get(node, node.name)}, {reason}",
                remedy="name earlier layers, replace it, or choose other channels",
            )

    def steps_to(self, wanted: Collection[fx.Node]) -> list[_Step]:
        """Returns the steps to the wanted nodes, in order.

        Raises:
            ConfigError: a node on the way cannot be a step.
        """
        for node in wanted:
            if node in self.errors:
                raise self.errors[node]
        kept = {self.names[node] for node in wanted}
        needed = set(kept)
        steps: dict[str, _Step] = {}
        for step in reversed(self.steps.values()):
            if step.name in needed and step.name != INPUT:
                needed.update(step.sources)
                steps[step.name] = step
        takers = Counter(chain.from_iterable(step.sources for step in steps.values()))
        for name, step in list(steps.items()):
            before = steps.get(step.sources[0])
            if (
                isinstance(step.operation, _BatchNorm)
                and before
                and isinstance(before.operation, _ConvNd)
                and takers[before.name] == 1
                and before.name not in kept
            ):
                fused = fuse_conv_bn_eval(before.operation, step.operation)
                steps[name] = replace(step, operation=fused, sources=before.sources)
                del steps[before.name]
        return list(reversed(steps.values()))

    def _step(self, node: fx.Node, sources: Sequence[fx.Node]) -> _Step:
        if not sources:
            raise _UnfitError("which does not depend on the sample")
        given = [self.steps[source] for source in sources]
        if len({step.strides for step in given}) > 1:
            raise _UnfitError("whose inputs have different resolutions")
        operation = self._operation(node)
        strides = given[0].strides
        if operation is None:
            operation, channels = self._position_wise(node, sources, given)
        else:
            extent = extent_of(operation, self.dims)
            x = torch.zeros((1, given[0].channels, *extent.kernel), dtype=self.dtype)
            try:
                channels = run(operation, [x], []).shape[1]
            except RuntimeError as error:
                raise _UnfitError(f"where PyTorch says: {str(error).splitlines()[0]}") from error
            strides = tuple(a * b for a, b in zip(strides, extent.stride, strict=True))
        names = tuple(self.names[source] for source in sources)
        return _Step(self.names[node], channels, strides, operation, names)

    def _operation(self, node: fx.Node) -> Any:
        """Returns the convolution or pooling that the node is; None for anything else."""
        operation: Any = None
        if node.op == "call_module":
            operation = self.root.get_submodule(str(node.target))
            if operation._forward_pre_hooks or operation._forward_hooks:
                raise _UnfitError("whose hooks would be left out (parametrizations would not)")
        elif node.target in _POOLINGS:
            kind: Any = POOLS[_POOLINGS.index(node.target)]
            settings = (tuple(x) if isinstance(x, list) else x for x in node.args[1:])
            operation = kind(*settings, **node.kwargs)
        if isinstance(operation, Each):
            return operation
        if isinstance(operation, POOLS):
            unusual = ("ceil_mode", "return_indices", "divisor_override")
            if any(getattr(operation, setting, None) for setting in unusual):
                raise _UnfitError(f"which has {', '.join(unusual[:-1])} or {unusual[-1]}")
        elif isinstance(operation, _ConvNd):
            operation = self._convolution(operation)
        else:
            return None
        if not isinstance(operation, _WINDOWED[self.dims - 1 :: 3]):
            raise _UnfitError(f"a {type(operation).__name__} for samples over {self.dims} axes")
        extent = extent_of(operation, self.dims)
        if any(p >= k for p, k in zip(extent.padding, extent.kernel, strict=True)):
            raise _UnfitError("padded by more than it sees")
        return operation

    def _convolution(self, operation: Any) -> Any:
        """Returns the convolution with its padding in numbers."""
        if operation.padding_mode == "circular":
            raise _UnfitError("padded with the other end of the sample")
        if operation.padding == "valid":
            padding = (0,) * self.dims
        elif operation.padding == "same":
            sizes = zip(operation.kernel_size, operation.dilation, strict=True)
            both = [(size - 1) * dilation for size, dilation in sizes]
            if any(total % 2 for total in both):
                raise _UnfitError("whose even kernel is padded more at one end")
            padding = tuple(total // 2 for total in both)
        else:
            return operation
        numbered = copy(operation)
        numbered.padding = padding
        return numbered

    def _position_wise(
        self, node: fx.Node, sources: Sequence[fx.Node], given: Sequence[_Step]
    ) -> tuple[nn.Module, int]:
        """Returns the node as a module that leaves its sources as they are, and its channels.

        Where the node writes over a source, later users of the source get the node's result.
        """
        plain = list(node.args) == list(sources) and not node.kwargs
        operation: nn.Module = self._isolate(node, sources)
        if node.op == "call_module" and plain:
            operation = self.root.get_submodule(str(node.target))
        elif node.target in _ADDITIONS and plain:
            operation = Sum()
        channels, written = self._try(operation, given)
        if written:
            relu = isinstance(operation, nn.ReLU)
            operation = nn.ReLU() if relu else self._isolate(node, sources, cloned=True)
        for index in written:
            sources[index].replace_all_uses_with(node, lambda user: node < user)
        return operation, channels

    def _isolate(
        self, node: fx.Node, sources: Sequence[fx.Node], *, cloned: bool = False
    ) -> nn.Module:
        """Returns a module of that node and of the constants that it takes."""
        graph = fx.Graph()
        inputs = {source: graph.placeholder(f"x{i}") for i, source in enumerate(sources)}
        if cloned:
            inputs = {source: graph.call_method("clone", (x,)) for source, x in inputs.items()}

        def copied(one: fx.Node) -> fx.Node:
            return inputs[one] if one in inputs else graph.node_copy(one, copied)

        graph.output(graph.node_copy(node, copied))
        return fx.GraphModule(self.root, graph)

    @torch.no_grad()
    def _try(self, operation: nn.Module, given: Sequence[_Step]) -> tuple[int, list[int]]:
        """Returns the channels of the operation, and which sources it writes over.

        Raises:
            _UnfitError: the result for a part is not the same part of the result.
        """
        generator = torch.Generator().manual_seed(0)
        whole = [
            torch.randn((1, step.channels, *(7,) * self.dims), generator=generator).to(self.dtype)
            for step in given
        ]
        part = Region((1,) * self.dims, (5,) * self.dims, (7,) * self.dims).slices
        parts = [x[part].clone() for x in whole]
        before = [x._version for x in whole]
        try:
            result, of_part = operation(*whole), operation(*parts)
            fits = result.shape[2:] == whole[0].shape[2:] and len(result) == 1
            fits = fits and torch.allclose(result[part], of_part, equal_nan=True)
        except Exception:  # it may raise anything for such a sample
            fits = False
        if not fits:
            raise _UnfitError("which does not work position by position")
        written = [i for i, x in enumerate(whole) if x._version != before[i]]
        return result.shape[1], written


def _cut_into_stages(steps: Sequence[_Step], dims: int) -> list[Stage]:
    """Cuts the steps into stages.

    A stage begins with a convolution or pooling on a coarser grid, where no other result is needed
    later.
    """
    last = {source: index for index, step in enumerate(steps) for source in step.sources}
    cuts, pending, fine = [0], {INPUT}, (1,) * dims
    for index, step in enumerate(steps[:-1], start=1):
        pending = {name for name in (*pending, step.name) if last.get(name, 0) >= index}
        has_extent = isinstance(steps[index].operation, (_ConvNd, Each, *POOLS))
        if pending == {step.name} and step.strides != fine and has_extent:
            cuts.append(index)
            fine = step.strides
    parts = [steps[start:stop] for start, stop in pairwise([*cuts, len(steps)]) if start < stop]
    stages, before = [], INPUT
    for part in parts:
        sources = {
            step.name: tuple(INPUT if source == before else source for source in step.sources)
            for step in part
        }
        operations = [(step.name, step.operation) for step in part]
        stages.append(Stage(operations, dims=dims, sources=sources))
        before = part[-1].name
    return stages
