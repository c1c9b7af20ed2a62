"""Activations of samples, computed tile by tile if the sample is large."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor, nn

from impasto.config.presets import configure
from impasto.engine.plan import choose_plan
from impasto.engine.walk import Plan, Reaches, look
from impasto.errors import LayerError
from impasto.grids.arrays import Arrays
from impasto.grids.geometry import Region, Space
from impasto.grids.patch import Assembly, Patch, Values
from impasto.kinds import kind_of
from impasto.losses.gram import MetricGram
from impasto.networks import Network
from impasto.system.machine import memory_left, memory_limit
from impasto.transfer.network import check_sides, network_for
from impasto.transfer.opening import SampleLike, open_sample
from impasto.transfer.setup import FOR_ARRAYS


def plan_for(network: Network, space: Space, layers: Collection[str]) -> Plan:
    """Plans how to compute activations of a sample in the free memory.

    Arrays that do not fit are kept in mapped files.

    Raises:
        MemoryLimitError: even one tile does not fit.
    """
    memory = memory_left(memory_limit("auto"))
    base = Plan(new=Arrays(FOR_ARRAYS * memory).new)
    room = (1 - FOR_ARRAYS) * memory
    return choose_plan(network, space, _reaches(layers), "auto", room, base)


def moments(network: Network, x: Values, layers: Collection[str]) -> dict[str, Tensor]:
    """Returns the mean over positions of [a 1] [a 1]^T for the activations a of each layer.

    The result has shape (channel + 1, channel + 1), in float64. Without its last row and column it
    is the Gram matrix divided by the number of positions; its last column is the mean of a.
    """
    space = tuple(x.shape[2:])
    totals = {
        layer: torch.zeros((network.widths[layer] + 1,) * 2, dtype=torch.float64)
        for layer in layers
    }

    def add(layer: str, activation: Tensor, region: Region) -> None:
        totals[layer] += MetricGram.sums(activation.double(), region)

    look(network, Patch.whole(x), _reaches(layers), plan_for(network, space, layers), add)
    grids = network.grids(space, layers)
    return {layer: total / prod(grids[layer]) for layer, total in totals.items()}


def activations(
    sample: SampleLike,
    layers: str | Sequence[str],
    network: str | nn.Module | Callable[..., nn.Module] = "lite",
    **settings: Any,
) -> dict[str, Tensor]:
    """Computes the activations of a sample at layers of a network.

    They are the activations from which J_content and J_style are computed.

    Args:
        sample: a sample, in any form that `stylize` accepts. It keeps its own size unless the
            setting `size` is given.
        layers: the name of a layer or the names of several.
        network: a name from `impasto networks`, "module:callable", an nn.Module, or a callable that
            makes one.
        settings: settings by name, as for `configure`, such as `weights` and `offline`.

    Returns:
        The activations of each layer, float32, shape (channel, *space) of that layer. The network
        computes in float32 unless the setting `precision` is given.

    Raises:
        InputError: the sample or a setting cannot be used.
        LayerError: the network does not have such a layer.

    Example:
        >>> import numpy as np
        >>> picture = np.random.default_rng(0).random((32, 48, 3))
        >>> a = activations(picture, "relu1_1")["relu1_1"]
        >>> a.shape
        torch.Size([24, 32, 48])
        >>> gram = a.flatten(1) @ a.flatten(1).T
    """
    names = (layers,) if isinstance(layers, str) else tuple(layers)
    settings = {"precision": "fp32", "network": network} | settings
    config = configure(content_layers=names, style_layers=names, **settings)
    arrays = Arrays(FOR_ARRAYS * memory_left(memory_limit(config.engine.memory)))
    opened = open_sample(sample, "sample", config.schedule.size or (0,), arrays)
    config = config.complete(opened.dims, len(opened.data))
    try:
        built = network_for(config, opened, None)
    except LayerError as error:
        error.subject = "layers"  # the argument, in place of the flag
        raise
    kind = kind_of(opened)
    fitted, _ = kind.fit(opened, [], built)
    check_sides(built, names, fitted.space, "sample")
    units, _ = kind.units(fitted, [], config)
    x = units.values(fitted, fitted.space, arrays.new)
    by_layer = patches(kind.in_units(built, units), x, names)
    return {name: by_layer[name].over(by_layer[name].region)[0].float() for name in names}


def patches(network: Network, x: Values, layers: Collection[str]) -> Mapping[str, Patch]:
    """Computes the activations of x, shape (1, channel, *space), at each layer."""
    space = tuple(x.shape[2:])
    plan = plan_for(network, space, layers)
    assemblies = {
        layer: Assembly(Region.all_of(grid), plan.new)
        for layer, grid in network.grids(space, layers).items()
    }

    def put(layer: str, activation: Tensor, region: Region) -> None:
        assemblies[layer].put(Patch(activation, region))

    look(network, Patch.whole(x), _reaches(layers), plan, put)
    return {layer: assembly.patch() for layer, assembly in assemblies.items()}


def _reaches(layers: Collection[str]) -> Reaches:
    return frozenset((layer, 0) for layer in layers)
