"""The plan for a network and a grid: what tiles cost in memory and time, and the best of them.

The model counts the values and the operations of a tile, its halo included. What had to be
measured is in the constants; benchmarks/engine.py prints what it foretells beside what is.
"""

from __future__ import annotations

import os
from collections.abc import Collection, Iterator
from dataclasses import dataclass, replace
from functools import cached_property
from math import ceil, prod
from typing import Literal

import torch
from torch import nn
from torch.nn.modules.conv import _ConvNd

from impasto.engine.walk import WHOLE, Plan, Reaches, Tile, path
from impasto.errors import MemoryLimitError, amount
from impasto.grids.geometry import Region, Space
from impasto.networks.operations import Each, convolution_in
from impasto.networks.stage import INPUT, Network, Stage

Kind = Literal["auto", "whole", "streamed"]

WHOLE_COPIES, KEPT_COPIES, WORKING_COPIES = 2.6, 1.4, 3.0
"""Memory of a stage that is one kept tile, of a stage in kept tiles and of a tile at work, over
that of all the values computed in it: the most of what was measured on three networks."""

BLOCK = 16
"""Channels that convolutions of signals and volumes work on at a time: they copy what they take
and what they give into arrays of as many (oneDNN, on processors with AVX-512)."""

FIXED = 128 << 20
"""Bytes for any work at all: weights in other orders, the convolutions' scratch."""

SPILL = 1.2
"""Time of operations on arrays that the cache does not hold, over that on those it does."""

FRESH = 64 << 20
"""Bytes of an array from which on getting new pages from the system costs more than tiles do."""

TILE = 3e7
"""Multiplications that a tile costs as much time as, beside its own."""

THREAD = 6e7
"""Multiplications from which on another thread takes more work off than waiting for it adds."""

PLAIN = 20
"""Multiplications that a value of anything but a convolution costs as much time as."""


@dataclass(frozen=True)
class Cost:
    """What a tile comes to: bytes of all values computed, of the largest array and of the largest
    convolution's copies; operations."""

    values: float
    largest: float
    scratch: float
    operations: float

    @property
    def working(self) -> float:
        """Bytes of memory while the tile is worked on."""
        return self.values * WORKING_COPIES + self.scratch


@dataclass(frozen=True)
class Work:
    """A stage and the part of its input, over `grid`, that one process has.

    channels: of that input. item: bytes of a value; losses take copies of less than 4 in 4.
    """

    network: Network
    stage: Stage
    reach: dict[str, int]
    onward: bool
    grid: Space
    channels: int
    item: int

    def cost(self, sides: Space) -> Cost:
        """Of a tile in the middle of the grid."""
        start = tuple(
            (length - side) // 4 * 2 for length, side in zip(self.grid, sides, strict=True)
        )
        stop = tuple(a + side for a, side in zip(start, sides, strict=True))
        tile = Tile.of(self.stage, Region(start, stop, self.grid), self.reach, self.onward)
        computed = self.stage.needed(tile.wanted, self.grid)
        widths = self.network.widths | {INPUT: self.channels}
        replaced = self.stage.replaced(tile.wanted)
        sizes = [
            region.count * widths[name] * (self.item + 4 * (self.item < 4 and name in self.reach))
            for name, region in computed.items()
            if name not in replaced
        ]
        operations = [
            region.count * _operations(self.stage.operations[name], widths[name])
            for name, region in computed.items()
            if name != INPUT
        ]
        scratch = [
            self._scratch(name, computed[source].count, computed[name].count)
            for name, (source, *_) in self.stage.sources.items()
            if name in computed and not computed[name].empty
        ]
        return Cost(
            sum(sizes, 0), max(sizes, default=0), max(scratch, default=0), sum(operations, 0)
        )

    def _scratch(self, name: str, before: int, after: int) -> float:
        """Bytes of an operation's copies, for positions of its source and of its result."""
        operation, batch = self.stage.operations[name], 1
        if isinstance(operation, Each):
            (source,) = self.stage.sources[name]
            batch = self.channels if source == INPUT else self.network.widths[source]
            operation = operation.operation
        if not isinstance(operation, _ConvNd) or len(operation.kernel_size) == 2:
            return 0.0
        taken, given = (
            count * ceil(width / BLOCK) * BLOCK
            for count, width in ((before, operation.in_channels), (after, operation.out_channels))
        )
        return float(batch * (taken + given) * self.item)

    def sides(self) -> Iterator[Space]:
        """Tiles to choose from: cubes, as far as they fit into the grid."""
        tried = set()
        for exponent in range(6, 31):
            side = 2 * ceil(2 ** (exponent / len(self.grid)) / 2)
            sides = tuple(min(side, length) for length in self.grid)
            if sides not in tried:
                tried.add(sides)
                yield sides

    @cached_property
    def costs(self) -> dict[Space, Cost]:
        """Of each of those tiles."""
        return {sides: self.cost(sides) for sides in self.sides()}

    def count(self, sides: Space) -> float:
        """How many such tiles come to the grid."""
        return prod(self.grid) / prod(sides)

    def time(self, sides: Space) -> float:
        """Of one pass over the grid in such tiles, in multiplications."""
        cost = self.costs[sides]
        spill = SPILL if cost.largest > _cache() else 1.0
        return (cost.operations * spill + TILE) * self.count(sides)

    def best_tile(self, room: float) -> Space:
        """The tile that takes the least time of those that work in `room` bytes of memory."""
        return min((s for s, cost in self.costs.items() if cost.working <= room), key=self.time)


def works(network: Network, space: Space, reaches: Reaches) -> list[Work]:
    """The stages that a sample over `space` takes."""
    weight = next((tensor for tensor in network.parameters()), torch.empty(0))
    grid, channels = space, network.channels
    found = []
    for stage, reach, onward in path(network, reaches):
        grid = tuple(max(1, length) for length in grid)  # a process may have nothing of a stage
        found.append(Work(network, stage, reach, onward, grid, channels, weight.dtype.itemsize))
        if onward:
            grid, channels = stage.grids(grid)[stage.output], network.widths[stage.output]
    return found


def worth_threads(network: Network, space: Space, layers: Collection[str]) -> int:
    """Threads that a grid keeps at work, on however many cores."""
    stages = works(network, space, frozenset((layer, 0) for layer in layers))
    return max(1, int(sum(work.cost(work.grid).operations for work in stages) / THREAD))


def between(stages: list[Work]) -> float:
    """Bytes of the arrays between the stages, at the most that are there at a time."""
    inputs = [prod(work.grid) * work.channels * work.item for work in stages[1:]]
    peak = float(sum(inputs))
    for index, size in enumerate(inputs):
        above = inputs[index + 1] if index + 1 < len(inputs) else 0
        peak = max(peak, sum(inputs[: index + 1]) + size + above)
    return peak


def choose_plan(
    network: Network, space: Space, reaches: Reaches, kind: Kind, room: float, base: Plan = WHOLE
) -> Plan:
    """The plan expected to be fastest of those that work within `room` bytes.

    room: for what is computed in the stages, beside the arrays between them. space: what one
    process has of the sample. base: the plan whose group and arrays it shares.
    Raises MemoryLimitError when none fits.
    """
    stages = works(network, space, reaches)
    room -= FIXED
    costs = [work.cost(work.grid) for work in stages]
    whole = sum(cost.values for cost in costs) * WHOLE_COPIES + max(c.scratch for c in costs)
    largest = max(cost.largest for cost in costs)
    if kind == "whole" and whole > room:
        raise _too_little(whole, room, "or pass --plan streamed")
    if kind == "whole" or (kind == "auto" and whole <= room and largest <= FRESH):
        return base
    # Memory goes to larger tiles or to kept stages: all ways to divide it are compared.
    workings = sorted({cost.working for work in stages for cost in work.costs.values()})
    least = max(min(cost.working for cost in work.costs.values()) for work in stages)
    if least > room:
        raise _too_little(least, room)
    plans = [_streamed_plan(stages, w, room) for w in workings if least <= w <= room]
    tiles, kept = min(plans, key=lambda plan: _time(stages, *plan))
    return replace(base, tiles=tiles, kept=kept)


def _streamed_plan(
    stages: list[Work], working: float, room: float
) -> tuple[tuple[Space, ...], float]:
    """The best tiles that work in `working` bytes, and how many stages the rest of `room` keeps."""
    tiles = tuple(work.best_tile(working) for work in stages)
    taken = max(work.costs[sides].working for work, sides in zip(stages, tiles, strict=True))
    kept, left = 0.0, room - taken
    for work, sides in zip(reversed(stages), reversed(tiles), strict=True):
        needed = work.costs[sides].values * work.count(sides) * KEPT_COPIES
        kept += min(1.0, left / needed) if needed else 1.0
        left -= needed
        if left <= 0:
            break
    return tiles, kept


def _time(stages: list[Work], tiles: tuple[Space, ...], kept: float) -> float:
    """Of an evaluation: there, back, and there again where nothing was kept."""
    times = [work.time(sides) for work, sides in zip(stages, tiles, strict=True)]
    again = (
        time * min(1.0, max(0.0, index + 1 - kept)) for index, time in enumerate(reversed(times))
    )
    return 2 * sum(times) + sum(again)


def _operations(operation: nn.Module, width: int) -> float:
    """Multiplications for one position."""
    convolution = convolution_in(operation)
    if convolution is None:
        return float(PLAIN * width)
    if isinstance(operation, Each):
        return float(width * prod(convolution.kernel_size))
    return float(convolution.weight.numel())


def _cache() -> float:
    """Bytes that the threads' own caches hold, twice over: streaming through them does well."""
    names = os.sysconf_names if hasattr(os, "sysconf_names") else {}
    one = os.sysconf("SC_LEVEL2_CACHE_SIZE") if "SC_LEVEL2_CACHE_SIZE" in names else 0
    return 2 * torch.get_num_threads() * float(one or 2 << 20)


def _too_little(needed: float, room: float, otherwise: str = "") -> MemoryLimitError:
    return MemoryLimitError(
        subject="--memory",
        expected=f"{amount(needed)} for the work on tiles",
        found=f"{amount(room)} left for it",
        remedy=f"free memory, raise --memory or pass a smaller --size {otherwise}",
    )
