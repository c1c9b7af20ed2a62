"""Chooses the plan for a network and a grid: the fastest tiles within the memory.

The model counts the values and the operations of a tile, its halo included. The constants are
measured; benchmarks/engine.py prints the model's predictions beside measurements.
"""

from __future__ import annotations

import math
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
"""Memory of a stage over that of all values computed in it.

It is the largest value measured on three networks: for a stage of one kept tile, for a stage of
several kept tiles, and for the tile that is being computed.
"""

BLOCK = 16
"""Channels in the blocks of convolutions over one and three axes.

oneDNN copies their input and output into arrays of such blocks, on processors with AVX-512.
"""

FIXED = 128 << 20
"""Bytes that any work needs: reordered weights, scratch memory of convolutions."""

SPILL = 1.2
"""Time of operations on arrays beyond the cache's size, over the time on smaller ones."""

FRESH = 64 << 20
"""Bytes of an array above which new pages from the system cost more time than tiles."""

TILE = 3e7
"""Time that each tile adds, in multiplications."""

TILE_ON_DEVICE = 1e10
"""The same on an accelerator: an estimate, some hundred launches of 10 microseconds."""

MOST_VALUES = 2**31 - 1
"""Values of an array that the convolutions of accelerators can count."""

THREAD = 6e7
"""Multiplications for which another thread saves more time than waiting for it costs."""

PLAIN = 20
"""Time for a value of any operation but a convolution, in multiplications."""


@dataclass(frozen=True)
class Cost:
    """What a tile costs.

    Attributes:
        values: bytes of all computed values.
        largest: bytes of the largest array.
        scratch: bytes of the largest convolution's copies.
        operations: multiplications.
    """

    values: float
    largest: float
    scratch: float
    operations: float

    @property
    def working(self) -> float:
        """Bytes of memory while the tile is computed."""
        return self.values * WORKING_COPIES + self.scratch


@dataclass(frozen=True)
class Work:
    """A stage, and the part of its input that one process has.

    Attributes:
        network: the network.
        stage: the stage.
        reach: the reach of the losses on each of the stage's layers.
        onward: whether another stage follows.
        grid: the positions of that part along each axis.
        channels: the channels of the input.
        item: bytes of a value; losses make copies of 4 bytes where it has fewer.
        device: the kind of device, such as "cpu".
    """

    network: Network
    stage: Stage
    reach: dict[str, int]
    onward: bool
    grid: Space
    channels: int
    item: int
    device: str

    def cost(self, sides: Space) -> Cost:
        """Returns the cost of a tile of these sides in the middle of the grid."""
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
        """Returns the bytes of an operation's copies, for the positions of its input and output."""
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
        """Yields the sides of the tiles to choose from: cubes, cut to the grid."""
        tried = set()
        for exponent in range(6, 31):
            side = 2 * ceil(2 ** (exponent / len(self.grid)) / 2)
            sides = tuple(min(side, length) for length in self.grid)
            if sides not in tried:
                tried.add(sides)
                yield sides

    @cached_property
    def costs(self) -> dict[Space, Cost]:
        """The cost of each of those tiles."""
        return {sides: self.cost(sides) for sides in self.sides()}

    def count(self, sides: Space) -> float:
        """Returns how many such tiles the grid has."""
        return prod(self.grid) / prod(sides)

    def time(self, sides: Space) -> float:
        """Returns the time of one pass over the grid in such tiles, in multiplications."""
        cost = self.costs[sides]
        if self.device != "cpu":
            return (cost.operations + TILE_ON_DEVICE) * self.count(sides)
        spill = SPILL if cost.largest > _cache() else 1.0
        return (cost.operations * spill + TILE) * self.count(sides)

    def best_tile(self, room: float) -> Space:
        """Returns the fastest tile that needs at most `room` bytes of memory."""
        fitting = [
            sides
            for sides, cost in self.costs.items()
            if cost.working <= room and cost.largest <= self.most
        ]
        return min(fitting, key=self.time)

    @property
    def most(self) -> float:
        """Bytes of the largest array that every operation of the device accepts."""
        return math.inf if self.device == "cpu" else float(self.item * MOST_VALUES)


def works(network: Network, space: Space, reaches: Reaches) -> list[Work]:
    """Returns the stages that a sample over `space` goes through."""
    weight = next((tensor for tensor in network.parameters()), torch.empty(0))
    grid, channels = space, network.channels
    stages = []
    for stage, reach, onward in path(network, reaches):
        grid = tuple(max(1, length) for length in grid)  # a process may have no position of a stage
        item, device = weight.dtype.itemsize, weight.device.type
        stages.append(Work(network, stage, reach, onward, grid, channels, item, device))
        if onward:
            grid, channels = stage.grids(grid)[stage.output], network.widths[stage.output]
    return stages


def worth_threads(network: Network, space: Space, layers: Collection[str]) -> int:
    """Returns how many threads a grid keeps busy, on any number of cores."""
    stages = works(network, space, frozenset((layer, 0) for layer in layers))
    return max(1, int(sum(work.cost(work.grid).operations for work in stages) / THREAD))


def between(stages: list[Work]) -> float:
    """Returns the largest number of bytes that the arrays between the stages take at a time."""
    inputs = [prod(work.grid) * work.channels * work.item for work in stages[1:]]
    peak = float(sum(inputs))
    for index, size in enumerate(inputs):
        above = inputs[index + 1] if index + 1 < len(inputs) else 0
        peak = max(peak, sum(inputs[: index + 1]) + size + above)
    return peak


def choose_plan(
    network: Network, space: Space, reaches: Reaches, kind: Kind, room: float, base: Plan = WHOLE
) -> Plan:
    """Returns the plan that is expected to be the fastest within `room` bytes.

    Args:
        network: the network.
        space: the part of the sample that one process has.
        reaches: the layers with losses, and their reach.
        kind: "whole" or "streamed" to leave out the others.
        room: bytes for the work inside of the stages, without the arrays between them.
        base: the plan whose group and arrays are used.

    Raises:
        MemoryLimitError: no plan fits.
    """
    stages = works(network, space, reaches)
    room -= FIXED
    costs = [work.cost(work.grid) for work in stages]
    whole = sum(cost.values for cost in costs) * WHOLE_COPIES + max(c.scratch for c in costs)
    largest = max(cost.largest for cost in costs)
    if kind == "whole" and whole > room:
        raise _too_little(whole, room, "or pass --plan streamed")
    # Accelerators keep their pages, but count the values of an array in 32 bits.
    fresh = largest > (FRESH if base.device.type == "cpu" else stages[0].most)
    if kind == "whole" or (kind == "auto" and whole <= room and not fresh):
        return base
    # Memory allows larger tiles or more kept stages; all divisions between them are compared.
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
    """Returns the fastest tiles within `working` bytes, and how many stages to keep.

    As many stages are kept as fit into the rest of `room`.
    """
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
    """Returns the time of an evaluation: both passes, and what is computed again."""
    times = [work.time(sides) for work, sides in zip(stages, tiles, strict=True)]
    again = (
        time * min(1.0, max(0.0, index + 1 - kept)) for index, time in enumerate(reversed(times))
    )
    return 2 * sum(times) + sum(again)


def _operations(operation: nn.Module, width: int) -> float:
    """Returns the multiplications for one position."""
    convolution = convolution_in(operation)
    if convolution is None:
        return float(PLAIN * width)
    if isinstance(operation, Each):
        return float(width * prod(convolution.kernel_size))
    return float(convolution.weight.numel())


def _cache() -> float:
    """Returns twice the bytes of the threads' own caches.

    Arrays of twice their size are still streamed at full speed.
    """
    names = os.sysconf_names if hasattr(os, "sysconf_names") else {}
    one = os.sysconf("SC_LEVEL2_CACHE_SIZE") if "SC_LEVEL2_CACHE_SIZE" in names else 0
    return 2 * torch.get_num_threads() * float(one or 2 << 20)


def _too_little(needed: float, room: float, otherwise: str = "") -> MemoryLimitError:
    """Returns the error for too little memory."""
    return MemoryLimitError(
        subject="--memory",
        expected=f"{amount(needed)} for the work on tiles",
        found=f"{amount(room)} left for it",
        remedy=f"free memory, raise --memory or pass a smaller --size {otherwise}",
    )
