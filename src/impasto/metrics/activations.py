"""What a network sees of pictures, tile by tile where they are large."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from math import prod

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.arrays import Arrays
from impasto.geometry import Region, Space
from impasto.losses import MetricGram
from impasto.networks import Network
from impasto.patch import Assembly, Patch
from impasto.plan import choose_plan
from impasto.prepare import memory_left, memory_limit
from impasto.scale import FOR_ARRAYS
from impasto.walk import Plan, Reaches, look

Values = Float[Tensor, "1 channel *space"]


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


def activations(network: Network, x: Values, layers: Collection[str]) -> Mapping[str, Patch]:
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
