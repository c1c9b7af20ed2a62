"""The way through a network: stage by stage, tile by tile.

A plan says into what tiles each stage is cut; a walk lays them out over a grid and over the
processes that share it. Inside a stage a tile needs a halo of a few positions only, where the
whole network's would be a hundred; between the stages nothing is kept but their outputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from impasto.grids.geometry import Region, Space
from impasto.grids.parallel import ALONE, Group
from impasto.grids.patch import Allocate, Assembly, Patch, allocate, give_back
from impasto.networks.stage import INPUT, Activations, Network, Stage, in_fast_order

See = Callable[[str, Tensor, Region], None]
"""Takes a layer, a region of it, and in between the activation over `region.grow(reach)`."""

Reaches = frozenset[tuple[str, int]]
"""The wanted layers, each with how far its losses look beyond a region."""


@dataclass(frozen=True)
class Plan:
    """How a sample is evaluated.

    tiles: for each stage the sides of its tiles, in positions of the stage's input; stages beyond
    are one tile each. kept: of how many stages, from the last, what the gradient needs is kept
    (1.5: the last, and half the tiles of the one before); the others are computed again.
    group: the processes that share the sample. new: makes the arrays kept between the stages.
    """

    tiles: tuple[Space, ...] = ()
    kept: float = 1000
    group: Group = ALONE
    new: Allocate = allocate


WHOLE = Plan()
"""One tile a stage, nothing computed twice: plain automatic differentiation."""


@dataclass(frozen=True, eq=False)
class Tile:
    """A part of a stage's work.

    seen: the layers with losses, each with the tile's share of it. wanted: what is computed, the
    losses' reach included. source: the part of the stage's input that it is computed from.
    gives: the share of the output, where another stage follows.
    """

    stage: Stage
    seen: Mapping[str, Region]
    wanted: Mapping[str, Region]
    source: Region
    gives: Region | None

    @classmethod
    def of(cls, stage: Stage, region: Region, reach: Mapping[str, int], onward: bool) -> Tile:
        """The tile for a region of the stage's input.

        reach: of each of the stage's layers with losses; onward: whether another stage follows.
        """
        shares = stage.shares(region)
        seen = {name: shares[name] for name in reach if not shares[name].empty}
        wanted = {name: share.grow(reach[name]) for name, share in seen.items()}
        gives = shares[stage.output] if onward else None
        if gives and not gives.empty:
            wanted.setdefault(stage.output, gives)
        nothing = Region(region.start, region.start, region.whole)
        source = stage.needed(wanted, region.whole).get(INPUT, nothing)
        return cls(stage, seen, wanted, source, gives)

    def run(self, x: Patch) -> tuple[Tensor, Activations]:
        """Its input, of which gradients can be taken where they are on, and the wanted layers."""
        leaf = x.over(self.source).detach().requires_grad_(torch.is_grad_enabled())
        return leaf, self.stage(Patch(in_fast_order(leaf), self.source), self.wanted)

    def output(self, activations: Activations) -> Patch:
        """What it gives to the next stage."""
        assert self.gives is not None
        name = self.stage.output
        return Patch(Patch(activations[name], self.wanted[name]).over(self.gives), self.gives)


@dataclass(frozen=True, eq=False)
class Leg:
    """A stage of the walk.

    owned: the part of the stage's input that each process has; needed: the part that it computes
    from. seen: this process's part of the layers with losses; gives: of the output. tiles: this
    process's. kept: how many of them, from the last, keep what the gradient needs.
    """

    owned: tuple[Region, ...]
    needed: tuple[Region, ...]
    seen: Mapping[str, Region]
    gives: Region | None
    tiles: tuple[Tile, ...]
    kept: int


_Way = tuple[Space, Reaches, tuple[Space, ...], float, Group]

WALKS: WeakKeyDictionary[Network, dict[_Way, tuple[Leg, ...]]] = WeakKeyDictionary()
"""The walks laid out so far, for as long as their network is there."""

MOST = 64
"""Walks kept of a network."""


def walk(network: Network, space: Space, reaches: Reaches, plan: Plan) -> tuple[Leg, ...]:
    """The legs for a sample over `space`, laid out the first time."""
    walks = WALKS.setdefault(network, {})
    way = space, reaches, plan.tiles, plan.kept, plan.group
    if way not in walks:
        if len(walks) == MOST:
            del walks[next(iter(walks))]
        walks[way] = _laid_out(network, space, reaches, plan)
    return walks[way]


def _laid_out(network: Network, space: Space, reaches: Reaches, plan: Plan) -> tuple[Leg, ...]:
    legs = []
    route = path(network, reaches)
    owned = plan.group.slabs(space)
    for index, (stage, reach, onward) in enumerate(route):
        mine = owned[plan.group.rank]
        sides = plan.tiles[index] if index < len(plan.tiles) else mine.space
        boxes = [] if mine.empty else mine.tiles(sides, multiple=2)
        tiles = [Tile.of(stage, box, reach, onward) for box in boxes]
        tiles = [tile for tile in tiles if tile.wanted]
        share = min(1.0, max(0.0, plan.kept - (len(route) - 1 - index)))
        slabs = [Tile.of(stage, region, reach, onward) for region in owned]
        legs.append(
            Leg(
                tuple(owned),
                tuple(slab.source.unwound for slab in slabs),
                slabs[plan.group.rank].seen,
                slabs[plan.group.rank].gives,
                tuple(tiles),
                kept=int(share * len(tiles)),
            )
        )
        owned = [slab.gives for slab in slabs if slab.gives]
    return tuple(legs)


def path(network: Network, reaches: Reaches) -> list[tuple[Stage, dict[str, int], bool]]:
    """The stages to take, the reach of each one's layers, and whether another one follows."""
    reach = dict(reaches)
    route = [
        (stage, {layer: reach[layer] for layer in here}, onward)
        for stage, here, onward in network.path(reach)
    ] or [(Stage([], dims=network.dims), {}, False)]
    if INPUT in reach:
        route[0][1][INPUT] = reach[INPUT]
    return route


@torch.no_grad()
def look(network: Network, x: Patch, reaches: Reaches, plan: Plan, see: See) -> None:
    """Shows `see` the wanted layers, tile by tile.

    x: the part of the sample that this process has.
    """
    own = x
    for leg in walk(network, x.region.whole, reaches, plan):
        given = plan.group.exchange(own, leg.owned, leg.needed)
        output = Assembly(leg.gives, plan.new) if leg.gives else None
        for tile in leg.tiles:
            _, found = tile.run(given)
            for layer, region in tile.seen.items():
                see(layer, found[layer], region)
            if output and tile.gives and not tile.gives.empty:
                output.put(tile.output(found))
        if output:
            own = output.patch()
        if plan.tiles:
            give_back()
