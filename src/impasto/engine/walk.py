"""The way through a network: stage by stage, tile by tile.

A plan says how each stage is cut into tiles. A walk lays the tiles out over a grid and over the
processes that share it. Inside a stage, a tile needs a halo of a few positions; the halo of the
whole network would be a hundred. Between the stages only their outputs are kept.
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
from impasto.system.devices import CPU

See = Callable[[str, Tensor, Region], None]
"""Takes a layer, the activation over `region.grow(reach)`, and the region."""

Reaches = frozenset[tuple[str, int]]
"""The wanted layers, each with how many positions beyond a region its losses look at."""


@dataclass(frozen=True)
class Plan:
    """How a sample is evaluated.

    Attributes:
        tiles: for each stage the sides of its tiles, in positions of the stage's input; further
            stages have one tile each.
        kept: how many stages, from the last one, keep what the gradient needs; the others are
            computed again. 1.5 is the last stage and half the tiles of the one before.
        group: the processes that share the sample.
        new: makes the arrays that are kept between the stages.
        device: where the network is, and where tiles are computed.
        limit: bytes that the process may hold; 0 for as few as it can.
    """

    tiles: tuple[Space, ...] = ()
    kept: float = 1000
    group: Group = ALONE
    new: Allocate = allocate
    device: torch.device = CPU
    limit: float = 0.0


WHOLE = Plan()
"""One tile per stage, and nothing computed twice: plain automatic differentiation."""


@dataclass(frozen=True, eq=False)
class Tile:
    """A part of a stage's work.

    Attributes:
        stage: the stage.
        seen: the tile's share of each layer that has losses.
        wanted: the regions to compute, which include the reach of the losses.
        source: the part of the stage's input that they are computed from.
        gives: the tile's share of the output, where another stage follows.
    """

    stage: Stage
    seen: Mapping[str, Region]
    wanted: Mapping[str, Region]
    source: Region
    gives: Region | None

    @classmethod
    def of(cls, stage: Stage, region: Region, reach: Mapping[str, int], onward: bool) -> Tile:
        """Returns the tile for a region of a stage's input.

        Args:
            stage: the stage.
            region: the region.
            reach: the reach of the losses on each of the stage's layers.
            onward: whether another stage follows.
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

    def run(self, x: Patch, device: torch.device) -> tuple[Tensor, Activations]:
        """Computes the tile.

        Args:
            x: the input of the stage, on any device.
            device: the device of the network.

        Returns:
            The tile's input, by which gradients can be taken, and the wanted layers.
        """
        leaf = x.over(self.source).detach().to(device).requires_grad_(torch.is_grad_enabled())
        return leaf, self.stage(Patch(in_fast_order(leaf), self.source), self.wanted)

    def output(self, activations: Activations) -> Patch:
        """Returns the tile's share of the stage's output."""
        assert self.gives is not None
        name = self.stage.output
        return Patch(Patch(activations[name], self.wanted[name]).over(self.gives), self.gives)


@dataclass(frozen=True, eq=False)
class Leg:
    """One stage of a walk.

    Attributes:
        owned: the part of the stage's input that each process has.
        needed: the part that each process needs.
        seen: this process's part of each layer that has losses.
        gives: this process's part of the output, where another stage follows.
        tiles: this process's tiles.
        kept: how many tiles, from the last one, keep what the gradient needs.
    """

    owned: tuple[Region, ...]
    needed: tuple[Region, ...]
    seen: Mapping[str, Region]
    gives: Region | None
    tiles: tuple[Tile, ...]
    kept: int


_Way = tuple[Space, Reaches, tuple[Space, ...], float, Group]

WALKS: WeakKeyDictionary[Network, dict[_Way, tuple[Leg, ...]]] = WeakKeyDictionary()
"""The walks laid out so far; they disappear with their network."""

MOST = 64
"""The most walks to keep for a network."""


def walk(network: Network, space: Space, reaches: Reaches, plan: Plan) -> tuple[Leg, ...]:
    """Returns the legs for a sample over `space`; they are laid out once."""
    walks = WALKS.setdefault(network, {})
    way = space, reaches, plan.tiles, plan.kept, plan.group
    if way not in walks:
        if len(walks) == MOST:
            del walks[next(iter(walks))]
        walks[way] = _lay_out(network, space, reaches, plan)
    return walks[way]


def _lay_out(network: Network, space: Space, reaches: Reaches, plan: Plan) -> tuple[Leg, ...]:
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
    """Returns the stages to go through, the reach of each one's layers, and whether one follows."""
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
    """Shows the wanted layers to `see`, tile by tile.

    Args:
        network: the network.
        x: the part of the sample that this process has.
        reaches: the wanted layers, and the reach of their losses.
        plan: how to evaluate it.
        see: takes each tile's activations.
    """
    own = x
    for leg in walk(network, x.region.whole, reaches, plan):
        given = plan.group.exchange(own, leg.owned, leg.needed)
        output = Assembly(leg.gives, plan.new) if leg.gives else None
        for tile in leg.tiles:
            _, activations = tile.run(given, plan.device)
            for layer, region in tile.seen.items():
                see(layer, activations[layer], region)
            if output and tile.gives and not tile.gives.empty:
                output.put(tile.output(activations))
        if output:
            own = output.patch()
        if plan.tiles:
            give_back(plan.limit)
