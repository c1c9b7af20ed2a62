"""Traces the graph of any nn.Module with torch.fx, and names its nodes."""

from __future__ import annotations

import inspect
from collections.abc import Collection
from difflib import get_close_matches
from itertools import chain, count
from typing import Any

from torch import fx, nn

from impasto.errors import ConfigError, LayerError
from impasto.networks.operations import Each
from impasto.networks.stage import INPUT


class Tracer(fx.Tracer):
    """Names the results of modules, and of functions that are called beside them."""

    def __init__(self) -> None:
        super().__init__()
        self.names: dict[str, fx.Node] = {}

    def is_leaf_module(self, m: nn.Module, module_qualified_name: str) -> bool:
        return isinstance(m, Each) or super().is_leaf_module(m, module_qualified_name)

    def call_module(self, m: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        result = super().call_module(m, forward, args, kwargs)
        if isinstance(result, fx.Proxy):
            self._add_name(self.path_of_module(m), result.node)
        return result

    def create_node(self, kind: str, target: Any, *args: Any, **kwargs: Any) -> fx.Node:
        node = super().create_node(kind, target, *args, **kwargs)
        if kind == "placeholder" and not self.names:
            self._add_name(INPUT, node)
        if kind in {"call_function", "call_method"}:
            called = target if isinstance(target, str) else target.__name__
            self._add_name(".".join(filter(None, [self.scope.module_path, called])), node)
        return node

    def _add_name(self, name: str, node: fx.Node) -> None:
        names = chain([name], (f"{name}_{number}" for number in count(1)))
        self.names[next(each for each in names if each not in self.names)] = node


def trace_graph(tracer: fx.Tracer, module: nn.Module, name: str) -> fx.Graph:
    """Traces the module for a sample alone; all else that its forward takes has its default.

    Raises:
        ConfigError: torch.fx cannot trace it.
    """
    _, *others = inspect.signature(module.forward).parameters.values()
    settings = {
        each.name: each.default
        for each in others
        if each.default is None or isinstance(each.default, bool | int | float | str)
    }
    try:
        return tracer.trace(module, settings or None)
    except Exception as error:  # a forward may raise anything where there are no values
        raise ConfigError(
            subject="--network",
            expected="a module whose forward torch.fx can trace: no branches on values or sizes",
            found=f"{name}, where it says: {str(error).splitlines()[0] if str(error) else error!r}",
            remedy="change its forward, or wrap the part that is wanted in a module of its own",
        ) from error


def find_nodes(
    names: dict[str, fx.Node], wanted: Collection[str], network: str
) -> dict[str, fx.Node]:
    """Returns the nodes of the wanted layers.

    Raises:
        LayerError: there is no such layer, or two names are of the same one.
    """
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
                found=f"{twin} and {layer} for the same one",
                remedy="keep one of them",
            )
        nodes[layer] = names[layer]
    return nodes
