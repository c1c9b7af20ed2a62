"""Chooses for each position of G the most similar position of the styles: losses of kind `nearest`.

The features are those of Kolkin et al. 2022, section 3.2. All layers are resampled to one grid,
whose positions are called cells; it is the grid of the network's first of these layers. Each layer
is divided by its number of channels, and the mean is subtracted. Features are compared by cosine. A
style is also used in its four quarter turns, each called a sheet. A layer with fewer positions aims
at the mean over the cells that each of its positions covers.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import chain
from math import prod

import torch
from jaxtyping import Float, Int
from torch import Tensor

from impasto.engine.walk import Plan, look
from impasto.grids.geometry import Region, Space
from impasto.grids.patch import Assembly, Patch, Values
from impasto.grids.resample import average_over, resample
from impasto.losses.loss import Weight, exact
from impasto.losses.nearest import Nearest, Rows, directions, nearest, share_by_quota
from impasto.networks.stage import Network
from impasto.system.devices import CPU

MOST = 2**30
"""The most pairs of cells to compare.

On a larger grid, positions are chosen on a coarser one, and blocks are copied from there.
"""

_CHANNELS = 64
"""How many channels are resampled at a time."""


@dataclass(frozen=True, eq=False)
class Source:
    """A whole sample: a style to take from, or the sample whose nearest positions are sought.

    Attributes:
        values: shape (1, channel, *space).
        weight: how much each position counts; None for 1 everywhere.
        plan: how the engine evaluates it, on one process.
        quota: for a style, the share of the positions that take from it.
    """

    values: Values
    weight: Weight
    plan: Plan
    quota: float = 1.0

    @property
    def space(self) -> Space:
        """The grid."""
        return tuple(self.values.shape[2:])

    def coarsen(self, factor: float, least: int) -> Source:
        """Returns the sample on a coarser grid.

        Args:
            factor: positions there over positions here, along each axis.
            least: the fewest positions along an axis, unless this grid has fewer.
        """
        space = tuple(max(round(factor * side), min(side, least)) for side in self.space)
        weight = None if self.weight is None else average_over(self.weight, space)
        return replace(self, values=resample(self.values, space), weight=weight)

    def quarter_turns(self, network: Network) -> Iterator[Source]:
        """Yields the quarter turns over the last two axes, each with a quarter of the quota.

        Where the network does not see pictures there, it yields the sample alone.
        """
        if network.dims != 2 and not network.by_slices:
            yield self
            return
        for quarters in range(4):
            values = self.values.rot90(quarters, (-2, -1)).contiguous()
            weight = None if self.weight is None else self.weight.rot90(quarters, (-2, -1))
            yield replace(self, values=values, weight=weight, quota=self.quota / 4)

    def activations(self, network: Network, layers: Collection[str]) -> dict[str, Tensor]:
        """Returns the activations of the layers, in the network's order."""
        assemblies = {
            layer: Assembly(Region.all_of(grid), self.plan.new)
            for layer, grid in network.grids(self.space, layers).items()
        }

        def see(layer: str, activation: Tensor, region: Region) -> None:
            assemblies[layer].put(Patch(activation, region))

        whole = Patch.whole(self.values)
        look(network, whole, frozenset((layer, 0) for layer in layers), self.plan, see)
        return {layer: assembly.patch().values for layer, assembly in assemblies.items()}

    def counts(self, grid: Space) -> Float[Tensor, " position"]:
        """Returns how much each position of a layer's grid counts."""
        if self.weight is None:
            return self.values.new_ones(prod(grid), device=self.plan.device)
        counts: Tensor = average_over(self.weight, grid).flatten()
        return counts.to(self.plan.device, self.values.dtype)


@dataclass(frozen=True, eq=False)
class Match:
    """The most similar position of the styles for each cell, as tables in memory.

    Attributes:
        sheets: the number of the sheet.
        places: the position along each of the sheet's axes, in [0, 1).
        grids: the grid of each sheet, in the cells that were compared.
    """

    sheets: Int[Tensor, "*cells"]
    places: Float[Tensor, "*cells dims"]
    grids: Float[Tensor, "sheet dims"]

    def over(self, cells: Space) -> Match:
        """Returns the match on a finer grid; inside of a cell, neighbors take from neighbors."""
        middles = [
            (torch.arange(length, dtype=torch.float64, device=CPU) + 0.5) * (side / length)
            for side, length in zip(self.sheets.shape, cells, strict=True)
        ]
        middle = torch.stack(torch.meshgrid(*middles, indexing="ij"), -1)
        cell = tuple(middle.long().unbind(-1))
        sheets = self.sheets[cell]
        beside = (middle - middle.long() - 0.5) / self.grids[sheets]
        return replace(self, sheets=sheets, places=self.places[cell] + beside)

    def take(self, sheet: int, grid: Space) -> tuple[Tensor, Tensor]:
        """Returns which cells take from a sheet, and from where.

        Args:
            sheet: the number of the sheet.
            grid: the grid of the sheet on which to return positions.

        Returns:
            The flat indices of the cells, and those of the positions.
        """
        cells = torch.nonzero(self.sheets.flatten() == sheet).flatten()
        places = self.places.flatten(0, -2)[cells]
        positions = torch.zeros_like(cells)
        for axis, length in enumerate(grid):
            along = (places[:, axis] * length).long().clamp(0, length - 1)
            positions = positions * length + along
        return cells, positions


@dataclass(frozen=True, eq=False)
class _Candidates:
    """The positions of a style to choose from: their features, sheets and places.

    The features are on the device, the others in memory.
    """

    rows: Rows
    sheets: Int[Tensor, " position"]
    places: Float[Tensor, "position dims"]

    @classmethod
    def of(cls, sheet: Source, number: int, network: Network, layers: Sequence[str]) -> _Candidates:
        """Returns the positions of a sheet that count at least half as much as the largest."""
        rows, grid = _features(sheet, network, layers)
        counts = sheet.counts(grid)
        kept = torch.nonzero(counts >= counts.max() / 2).flatten()
        axes = [(torch.arange(side, dtype=torch.float64, device=CPU) + 0.5) / side for side in grid]
        places = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).flatten(0, -2)
        numbers = torch.full_like(kept, number, device=CPU)
        return cls(rows[kept], numbers, places[kept.to(CPU)])

    @classmethod
    def together(cls, parts: Sequence[_Candidates]) -> _Candidates:
        """Returns all of several candidates."""
        return cls(
            torch.cat([part.rows for part in parts]),
            torch.cat([part.sheets for part in parts]),
            torch.cat([part.places for part in parts]),
        )


def nearest_losses(
    seen: Source, styles: Sequence[Source], network: Network, own: Mapping[str, Region]
) -> dict[str, Nearest]:
    """Returns the loss of each layer, for the nearest positions of a sample.

    Args:
        seen: the sample whose nearest positions are sought.
        styles: the styles to choose from.
        network: the network.
        own: for each layer the part that this process has; positions are chosen for all of it.
    """
    layers = list(network.grids(seen.space, own))
    first = layers[0]
    cells = network.grids(seen.space, layers)[first]
    others = sum(
        prod(network.grids(sheet.space, layers)[first])
        for style in styles
        for sheet in style.quarter_turns(network)
    )
    factor = (MOST / (prod(cells) * others)) ** (0.5 / network.dims)
    match = _match(seen, styles, network, layers, factor).over(cells)
    rows = {
        layer: seen.plan.new((prod(cells), network.widths[layer]), seen.values.dtype)
        for layer in layers
    }
    means = {
        layer: each.new_zeros(each.shape[1], device=seen.plan.device)
        for layer, each in rows.items()
    }
    sheets = chain.from_iterable(style.quarter_turns(network) for style in styles)
    for number, sheet in enumerate(sheets):
        activations = sheet.activations(network, layers)
        grid = tuple(activations[first].shape[2:])
        cell, position = match.take(number, grid)
        for layer, activation in activations.items():
            means[layer] += _mean(sheet, activation)
            home = rows[layer].device
            for part in _parts(activation):
                found = _rows(_over(activation[:, part], grid))
                rows[layer][cell.to(home), part] = found[position.to(found.device)].to(home)
    return {
        layer: Nearest(_target(rows[layer].sub_(mean.to(rows[layer].device)), cells, region), mean)
        for layer, region in own.items()
        for mean in [means[layer]]
    }


def _mean(sheet: Source, activation: Values) -> Float[Tensor, " channel"]:
    """Returns the mean activation of a sheet times its quota."""
    counts = sheet.counts(tuple(activation.shape[2:]))
    rows = _rows(activation.to(counts.device))
    mean: Tensor = sheet.quota * (rows.T @ counts) / counts.sum()
    return mean


def _target(rows: Rows, cells: Space, region: Region) -> Patch:
    """Returns the chosen activations over a region of a layer."""
    target = rows.T.reshape(1, -1, *cells)
    if region.whole != cells:
        target = average_over(target, region.whole)
    return Patch(target[region.slices], region)


def _match(
    seen: Source, styles: Sequence[Source], network: Network, layers: Sequence[str], factor: float
) -> Match:
    """Chooses the positions for the cells of the sample, on a coarser grid for a factor below 1."""
    if factor < 1:
        least = network.smallest_side(layers)
        seen = seen.coarsen(factor, least)
        styles = [style.coarsen(factor, least) for style in styles]
    pools: list[_Candidates] = []
    grids: list[Space] = []
    for style in styles:
        turns = []
        for sheet in style.quarter_turns(network):
            turns.append(_Candidates.of(sheet, len(grids), network, layers))
            grids.append(network.grids(sheet.space, layers)[layers[0]])
        pools.append(_Candidates.together(turns))
    mean = torch.stack(
        [style.quota * pool.rows.mean(0) for style, pool in zip(styles, pools, strict=True)]
    ).sum(0)
    rows, cells = _features(seen, network, layers)
    counts = seen.counts(cells)
    sought = directions(rows, counts @ rows / counts.sum())
    best = [nearest(sought, directions(pool.rows, mean)) for pool in pools]
    similarities = torch.stack([similarity for similarity, _ in best]).to(CPU)
    chosen = share_by_quota(similarities, [style.quota for style in styles], counts.to(CPU))
    here = torch.arange(len(chosen), device=CPU)
    found = [index.to(CPU) for _, index in best]
    sheets = torch.stack([pool.sheets[i] for pool, i in zip(pools, found, strict=True)])
    places = torch.stack([pool.places[i] for pool, i in zip(pools, found, strict=True)])
    return Match(
        sheets[chosen, here].reshape(cells),
        places[chosen, here].reshape(*cells, -1),
        torch.tensor(grids, dtype=torch.float64, device=CPU),
    )


def _features(source: Source, network: Network, layers: Sequence[str]) -> tuple[Rows, Space]:
    """Returns one row of features per cell, and the grid of the cells."""
    activations = source.activations(network, layers)
    cells = tuple(activations[layers[0]].shape[2:])
    rows = [
        _rows(_over(each.to(source.plan.device), cells)) / each.shape[1]
        for each in activations.values()
    ]
    return torch.cat(rows, 1), cells


def _over(activation: Values, grid: Space) -> Float[Tensor, "1 channel *grid"]:
    """Resamples a layer to a grid of more positions."""
    return resample(exact(activation), grid, "bilinear")


def _rows(activation: Values) -> Rows:
    """Returns the activation with one row per position."""
    rows: Rows = exact(activation)[0].flatten(1).T
    return rows


def _parts(activation: Values) -> list[slice]:
    """Cuts the channels into slices that are resampled at a time."""
    channels = activation.shape[1]
    return [slice(first, first + _CHANNELS) for first in range(0, channels, _CHANNELS)]
