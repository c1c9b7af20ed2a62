"""Any nn.Module as a Network: its graph, as torch.fx traces it, cut into stages."""

from __future__ import annotations

import inspect
import operator
from collections import Counter
from collections.abc import Collection, Sequence
from copy import copy
from dataclasses import dataclass, replace
from difflib import get_close_matches
from itertools import chain, count, pairwise
from math import prod
from typing import Any

import torch
from torch import fx, nn
from torch.nn import functional
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.conv import _ConvNd
from torch.nn.utils.fusion import fuse_conv_bn_eval
from torch.nn.utils.parametrize import remove_parametrizations

from impasto.errors import ConfigError, LayerError
from impasto.grids.geometry import Region, Space
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
    """The network of the wanted layers of a module, and of what they are computed from.

    A layer is named as the module inside of it that gives it ("layer2.0.relu", or "layer2" for
    what all of that gives); what is called beside modules is named after the function, behind the
    module whose forward calls it ("layer2.0.add"). The second of a name is "layer2.0.relu_1": all
    as in torchvision's feature extraction. The module is put into eval mode. Its operations may be
    convolutions, max and average poolings, and whatever else works position by position, which is
    tried out on random values; a convolution takes over the batch normalization that follows it.
    Raises LayerError for a layer that it does not have, ConfigError naming what else is in the way.
    """
    nodes, _, reading = _read(module, name, dims, channels, wanted)
    stages = _stages(reading.steps_to(nodes.values()), dims)
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
    """The layers that `trace` can give of a module, in their order, each by its first name.

    Raises ConfigError where it can give none.
    """
    _, tracer, reading = _read(module, name, dims, channels, ())
    taken = {node: layer for layer, node in reversed(tracer.names.items()) if layer != INPUT}
    layers = tuple(layer for node, layer in reversed(taken.items()) if node in reading.steps)
    if not layers:
        raise next(iter(reading.errors.values()))
    return layers


def _read(
    module: nn.Module, name: str, dims: int, channels: int, wanted: Collection[str]
) -> tuple[dict[str, fx.Node], _Tracer, _Reading]:
    """The wanted nodes by their layers, all names, and what each node does."""
    for part in module.modules():
        for parameter in list(getattr(part, "parametrizations", ())):
            remove_parametrizations(part, parameter)
    tracer = _Tracer()
    graph = _graph(tracer, module.eval(), name)
    nodes = _nodes(tracer.names, wanted, name)
    names: dict[fx.Node, str] = {}
    for layer, node in (*nodes.items(), *tracer.names.items()):
        names.setdefault(node, layer)
    reading = _Reading(module, dims, names)
    reading.steps[tracer.names[INPUT]] = _Step(INPUT, channels, (1,) * dims, nn.Identity(), ())
    for node in graph.nodes:
        reading.read(node)
    return nodes, tracer, reading


class _Tracer(fx.Tracer):
    """Names what modules give, and what is called beside them."""

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[str, fx.Node] = {}

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, Each) or super().is_leaf_module(m, module_qualified_name)

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        found = super().call_module(m, forward, args, kwargs)
        if isinstance(found, fx.Proxy):
            self._name(self.path_of_module(m), found.node)
        return found

    def create_node(self, kind: str, target: Any, *args: Any, **kwargs: Any) -> fx.Node:
        node = super().create_node(kind, target, *args, **kwargs)
        if kind == "placeholder" and not self.names:
            self._name(INPUT, node)
        if kind in {"call_function", "call_method"}:
            called = target if isinstance(target, str) else target.__name__
            self._name(".".join(filter(None, [self.scope.module_path, called])), node)
        return node

    def _name(self, name: str, node: fx.Node) -> None:
        names = chain([name], (f"{name}_{number}" for number in count(1)))
        self.names[next(each for each in names if each not in self.names)] = node


def _graph(tracer: fx.Tracer, module: nn.Module, name: str) -> fx.Graph:
    """The module's graph for a sample alone; settings of its forward have their defaults."""
    _, *others = inspect.signature(module.forward).parameters.values()
    settings = {
        each.name: each.default
        for each in others
        if each.default is None or isinstance(each.default, bool | int | float | str)
    }
    try:
        return tracer.trace(module, settings or None)
    except Exception as error:  # whatever its forward raises when it is given no values
        raise ConfigError(
            subject="--network",
            expected="a module whose forward torch.fx can trace: no branches on values or sizes",
            found=f"{name}, where it says: {str(error).splitlines()[0] if str(error) else error!r}",
            remedy="change its forward, or wrap the part that is wanted in a module of its own",
        ) from error


def _nodes(names: dict[str, fx.Node], wanted: Collection[str], network: str) -> dict[str, fx.Node]:
    """Those of the wanted layers."""
    nodes: dict[str, fx.Node] = {}
    for layer in wanted:
        if layer not in names:
            near = get_close_matches(layer, names, n=3)
            raise LayerError(
                expected=f"a layer of {network} ({', '.join(near or list(names)[1:4])}, ...)",
                found=repr(layer),
                remedy="name one of its modules, such as layer2.0.relu",
            )
        if names[layer] in nodes.values():
            twin = next(other for other, node in nodes.items() if node is names[layer])
            raise LayerError(
                expected="one name for each layer",
                found=f"{twin} and {layer} for the same",
                remedy="keep one of them",
            )
        nodes[layer] = names[layer]
    return nodes


class _UnfitError(Exception):
    """Why a node cannot be an operation of a stage."""


@dataclass(frozen=True, eq=False)
class _Step:
    """What a node of the graph does. channels, strides: of what it gives; sources: by name."""

    name: str
    channels: int
    strides: Space
    operation: nn.Module
    sources: tuple[str, ...]


class _Reading:
    """The steps of a graph, and the errors of those nodes that cannot be one."""

    def __init__(self, root: nn.Module, dims: int, names: dict[fx.Node, str]) -> None:
        self.root, self.dims, self.names = root, dims, names
        self.steps: dict[fx.Node, _Step] = {}
        self.errors: dict[fx.Node, ConfigError] = {}
        self.dtype = next((each.dtype for each in root.parameters()), torch.float32)

    def read(self, node: fx.Node) -> None:
        """Takes the node's step, or the error that stands in its way."""
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
                remedy="name layers before it, replace it, or choose other channels",
            )

    def steps_to(self, wanted: Collection[fx.Node]) -> list[_Step]:
        """The steps to the wanted nodes, in order. Raises ConfigError where there are none."""
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
            raise _UnfitError("which is made of no sample")
        given = [self.steps[source] for source in sources]
        if len({step.strides for step in given}) > 1:
            raise _UnfitError("whose parts are of different resolutions")
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
        """The convolution or pooling that the node is; None where it is neither."""
        operation: Any = None
        if node.op == "call_module":
            operation = self.root.get_submodule(str(node.target))
            if operation._forward_pre_hooks or operation._forward_hooks:
                raise _UnfitError("whose hooks would be left out (parametrizations are not)")
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
        """The same with its padding in numbers."""
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
        """The node by itself, which leaves its sources as they are, and its channels.

        Where it writes over a source, the nodes after it find there what it has written.
        """
        plain = list(node.args) == list(sources) and not node.kwargs
        operation: nn.Module = self._alone(node, sources)
        if node.op == "call_module" and plain:
            operation = self.root.get_submodule(str(node.target))
        elif node.target in _ADDITIONS and plain:
            operation = Sum()
        channels, written = self._tried(operation, given)
        if written:
            relu = isinstance(operation, nn.ReLU)
            operation = nn.ReLU() if relu else self._alone(node, sources, cloned=True)
        for index in written:
            sources[index].replace_all_uses_with(node, lambda user: node < user)
        return operation, channels

    def _alone(
        self, node: fx.Node, sources: Sequence[fx.Node], *, cloned: bool = False
    ) -> nn.Module:
        """A module of that node only, and of the constants that it takes."""
        graph = fx.Graph()
        inputs = {source: graph.placeholder(f"x{i}") for i, source in enumerate(sources)}
        if cloned:
            inputs = {source: graph.call_method("clone", (x,)) for source, x in inputs.items()}

        def copied(one: fx.Node) -> fx.Node:
            return inputs[one] if one in inputs else graph.node_copy(one, copied)

        graph.output(graph.node_copy(node, copied))
        return fx.GraphModule(self.root, graph)

    @torch.no_grad()
    def _tried(self, operation: nn.Module, given: Sequence[_Step]) -> tuple[int, list[int]]:
        """Its channels, and which of its sources it writes over.

        Raises _UnfitError where a part of its result is not the result of that part.
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
            found, alone = operation(*whole), operation(*parts)
            fits = found.shape[2:] == whole[0].shape[2:] and len(found) == 1
            fits = fits and torch.allclose(found[part], alone, equal_nan=True)
        except Exception:  # whatever it raises for such a sample
            fits = False
        if not fits:
            raise _UnfitError("which does not work position by position")
        written = [i for i, x in enumerate(whole) if x._version != before[i]]
        return found.shape[1], written


def _stages(steps: Sequence[_Step], dims: int) -> list[Stage]:
    """The steps cut before a convolution or pooling wherever the grid has become coarser and
    nothing else is carry_state on."""
    last = {source: index for index, step in enumerate(steps) for source in step.sources}
    cuts, carry_state, fine = [0], {INPUT}, (1,) * dims
    for index, step in enumerate(steps[:-1], start=1):
        carry_state = {name for name in (*carry_state, step.name) if last.get(name, 0) >= index}
        windowed = isinstance(steps[index].operation, (_ConvNd, Each, *POOLS))
        if carry_state == {step.name} and step.strides != fine and windowed:
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
