"""What a network sees of pictures, tile by tile where they are large."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from math import prod
from typing import Any

import torch
from torch import Tensor

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
    """The plan for looking at a sample, in what memory is free; arrays beyond it are in files.

    Raises MemoryLimitError when even a tile does not fit.
    """
    memory = memory_left(memory_limit("auto"))
    base = Plan(new=Arrays(FOR_ARRAYS * memory).new)
    room = (1 - FOR_ARRAYS) * memory
    return choose_plan(network, space, _reaches(layers), "auto", room, base)


def moments(network: Network, x: Values, layers: Collection[str]) -> dict[str, Tensor]:
    """The mean over positions of [a 1] [a 1]^T for the activations a of each layer, in float64.

    Its corner is the Gram matrix over the number of positions, its last column the mean.
    """
    space = tuple(x.shape[2:])
    totals = {
        layer: torch.zeros((network.widths[layer] + 1,) * 2, dtype=torch.float64)
        for layer in layers
    }

    def see(layer: str, activation: Tensor, region: Region) -> None:
        totals[layer] += MetricGram.sums(activation.double(), region)

    look(network, Patch.whole(x), _reaches(layers), plan_for(network, space, layers), see)
    grids = network.grids(space, layers)
    return {layer: total / prod(grids[layer]) for layer, total in totals.items()}


def activations(
    sample: SampleLike, layers: str | Sequence[str], network: Any = "lite", **settings: Any
) -> dict[str, Tensor]:
    """What layers of a network make of a sample, as in C of J_content and S of J_style.

    sample: as for `stylize`, at its own size unless `size` is given. layers: names. network: one of
    `impasto networks`, module:callable, an nn.Module or what makes one. settings: as for
    `configure`, such as weights and offline.
    Each has shape (channel, *space) of its own layer, in fp32 unless `precision` says otherwise.

        a = activations("style.jpg", ["relu1_1"])["relu1_1"].flatten(1)
        gram = a @ a.T

    Raises LayerError for a layer that the network does not have, and as `stylize` does.
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
        error.subject = "layers"  # not the flag's name
        raise
    kind = kind_of(opened)
    brought, _ = kind.fit(opened, [], built)
    check_sides(built, names, brought.space, "sample")
    units, _ = kind.units(brought, [], config)
    x = units.values(brought, brought.space, arrays.new)
    found = patches(kind.in_units(built, units), x, names)
    return {name: found[name].over(found[name].region)[0].float() for name in names}


def patches(network: Network, x: Values, layers: Collection[str]) -> Mapping[str, Patch]:
    """Each layer's activations."""
    space = tuple(x.shape[2:])
    plan = plan_for(network, space, layers)
    found = {
        layer: Assembly(Region.all_of(grid), plan.new)
        for layer, grid in network.grids(space, layers).items()
    }

    def see(layer: str, activation: Tensor, region: Region) -> None:
        found[layer].put(Patch(activation, region))

    look(network, Patch.whole(x), _reaches(layers), plan, see)
    return {layer: assembly.patch() for layer, assembly in found.items()}


def _reaches(layers: Collection[str]) -> Reaches:
    return frozenset((layer, 0) for layer in layers)
