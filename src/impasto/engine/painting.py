"""Where in the styles what G is to become is found, as losses of the `nearest` kind.

Features are those of Kolkin et al. 2022, section 3.2: the layers over one grid, each over its
number of channels, less their mean, compared by cosine; the styles also turned by quarters. The
grid, of cells, is that of the first of the layers in the network's order. Layers with fewer
positions aim at the mean of what was found for the cells that each covers.
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

MOST = 2**30
"""Pairs of cells compared at most. On larger grids places are found on coarser ones, and what is
copied from there stays together."""

_CHANNELS = 64
"""Worked on at a time where a layer goes over another grid."""


@dataclass(frozen=True, eq=False)
class Source:
    """A sample that is looked at whole: a style to take from, or what places are found for.

    weight: how much each position counts, None for all alike. quota: of a style, the share of the
    positions that are to take from it. plan: for one process.
    """

    values: Values
    weight: Weight
    plan: Plan
    quota: float = 1.0

    @property
    def space(self) -> Space:
        """Its grid."""
        return tuple(self.values.shape[2:])

    def scaled(self, factor: float, least: int) -> Source:
        """The same on a grid coarser by that factor, of `least` positions an axis if it has
        them."""
        space = tuple(max(round(factor * side), min(side, least)) for side in self.space)
        weight = None if self.weight is None else average_over(self.weight, space)
        return replace(self, values=resample(self.values, space), weight=weight)

    def turned(self, network: Network) -> Iterator[Source]:
        """By quarters over the last two axes, where the network sees pictures there; each has its
        part of the quota."""
        if network.dims != 2 and not network.by_slices:
            yield self
            return
        for quarters in range(4):
            values = self.values.rot90(quarters, (-2, -1)).contiguous()
            weight = None if self.weight is None else self.weight.rot90(quarters, (-2, -1))
            yield replace(self, values=values, weight=weight, quota=self.quota / 4)

    def activations(self, network: Network, layers: Collection[str]) -> dict[str, Tensor]:
        """Those of the layers, in the network's order."""
        found = {
            layer: Assembly(Region.all_of(grid), self.plan.new)
            for layer, grid in network.grids(self.space, layers).items()
        }

        def see(layer: str, activation: Tensor, region: Region) -> None:
            found[layer].put(Patch(activation, region))

        whole = Patch.whole(self.values)
        look(network, whole, frozenset((layer, 0) for layer in layers), self.plan, see)
        return {layer: assembly.patch().values for layer, assembly in found.items()}

    def counts(self, grid: Space) -> Float[Tensor, " position"]:
        """How much each position of a layer's grid counts."""
        if self.weight is None:
            return self.values.new_ones(prod(grid))
        found: Tensor = average_over(self.weight, grid).flatten()
        return found.to(self.values.dtype)


@dataclass(frozen=True, eq=False)
class Found:
    """The place in the styles that was found for each cell.

    sheets: the number of the style, each of its turns counted. places: how far along each of the
    sheet's axes, in [0, 1). grids: of the sheets, in the cells that were compared.
    """

    sheets: Int[Tensor, "*cells"]
    places: Float[Tensor, "*cells dims"]
    grids: Float[Tensor, "sheet dims"]

    def over(self, cells: Space) -> Found:
        """For another grid of the same sample: inside a cell places go on as the positions do."""
        middles = [
            (torch.arange(length, dtype=torch.float64) + 0.5) * (side / length)
            for side, length in zip(self.sheets.shape, cells, strict=True)
        ]
        middle = torch.stack(torch.meshgrid(*middles, indexing="ij"), -1)
        cell = tuple(middle.long().unbind(-1))
        sheets = self.sheets[cell]
        beside = (middle - middle.long() - 0.5) / self.grids[sheets]
        return replace(self, sheets=sheets, places=self.places[cell] + beside)

    def taken(self, sheet: int, grid: Space) -> tuple[Tensor, Tensor]:
        """The cells, counted, that take from a sheet, and which of its positions over a grid."""
        cells = torch.nonzero(self.sheets.flatten() == sheet).flatten()
        places = self.places.flatten(0, -2)[cells]
        positions = torch.zeros_like(cells)
        for axis, length in enumerate(grid):
            along = (places[:, axis] * length).long().clamp(0, length - 1)
            positions = positions * length + along
        return cells, positions


@dataclass(frozen=True, eq=False)
class _Candidates:
    """What places of a style there are to be found: their features, and where they are."""

    rows: Rows
    sheets: Int[Tensor, " position"]
    places: Float[Tensor, "position dims"]

    @classmethod
    def of(cls, sheet: Source, number: int, network: Network, layers: Sequence[str]) -> _Candidates:
        """Those of a sheet that count at least half as much as any other."""
        rows, grid = _features(sheet, network, layers)
        counts = sheet.counts(grid)
        kept = torch.nonzero(counts >= counts.max() / 2).flatten()
        axes = [(torch.arange(side, dtype=torch.float64) + 0.5) / side for side in grid]
        places = torch.stack(torch.meshgrid(*axes, indexing="ij"), -1).flatten(0, -2)
        return cls(rows[kept], torch.full_like(kept, number), places[kept])

    @classmethod
    def together(cls, parts: Sequence[_Candidates]) -> _Candidates:
        """All of several."""
        return cls(
            torch.cat([part.rows for part in parts]),
            torch.cat([part.sheets for part in parts]),
            torch.cat([part.places for part in parts]),
        )


def losses_of(
    seen: Source, styles: Sequence[Source], network: Network, own: Mapping[str, Region]
) -> dict[str, Nearest]:
    """The loss of each layer, by the places found for `seen`.

    own: the part of each layer that this process has; places are found for all of it.
    """
    layers = list(network.grids(seen.space, own))
    first = layers[0]
    cells = network.grids(seen.space, layers)[first]
    others = sum(
        prod(network.grids(sheet.space, layers)[first])
        for style in styles
        for sheet in style.turned(network)
    )
    factor = (MOST / (prod(cells) * others)) ** (0.5 / network.dims)
    found = _found(seen, styles, network, layers, factor).over(cells)
    rows = {
        layer: seen.plan.new((prod(cells), network.widths[layer]), seen.values.dtype)
        for layer in layers
    }
    means = {layer: each.new_zeros(each.shape[1]) for layer, each in rows.items()}
    sheets = chain.from_iterable(style.turned(network) for style in styles)
    for number, sheet in enumerate(sheets):
        activations = sheet.activations(network, layers)
        grid = tuple(activations[first].shape[2:])
        cell, position = found.taken(number, grid)
        for layer, activation in activations.items():
            means[layer] += _mean(sheet, activation)
            for part in _parts(activation):
                rows[layer][cell, part] = _rows(_over(activation[:, part], grid))[position]
    return {
        layer: Nearest(_target(rows[layer].sub_(means[layer]), cells, region), means[layer])
        for layer, region in own.items()
    }


def _mean(sheet: Source, activation: Values) -> Float[Tensor, " channel"]:
    """The mean over a sheet's positions, times its quota."""
    counts = sheet.counts(tuple(activation.shape[2:]))
    mean: Tensor = sheet.quota * (_rows(activation).T @ counts) / counts.sum()
    return mean


def _target(rows: Rows, cells: Space, region: Region) -> Patch:
    """What was found for the cells over a region of a layer."""
    found = rows.T.reshape(1, -1, *cells)
    if region.whole != cells:
        found = average_over(found, region.whole)
    return Patch(found[region.slices], region)


def _found(
    seen: Source, styles: Sequence[Source], network: Network, layers: Sequence[str], factor: float
) -> Found:
    """The places for the cells of the sample, or of one coarser by a factor below 1."""
    if factor < 1:
        least = network.smallest_side(layers)
        seen = seen.scaled(factor, least)
        styles = [style.scaled(factor, least) for style in styles]
    pools: list[_Candidates] = []
    grids: list[Space] = []
    for style in styles:
        turns = []
        for sheet in style.turned(network):
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
    similarities = torch.stack([similarity for similarity, _ in best])
    chosen = share_by_quota(similarities, [style.quota for style in styles], counts)
    here = torch.arange(len(chosen))
    sheets = torch.stack([pool.sheets[i] for pool, (_, i) in zip(pools, best, strict=True)])
    places = torch.stack([pool.places[i] for pool, (_, i) in zip(pools, best, strict=True)])
    return Found(
        sheets[chosen, here].reshape(cells),
        places[chosen, here].reshape(*cells, -1),
        torch.tensor(grids, dtype=torch.float64),
    )


def _features(source: Source, network: Network, layers: Sequence[str]) -> tuple[Rows, Space]:
    """A row a cell, and the cells."""
    activations = source.activations(network, layers)
    cells = tuple(activations[layers[0]].shape[2:])
    rows = [_rows(_over(each, cells)) / each.shape[1] for each in activations.values()]
    return torch.cat(rows, 1), cells


def _over(activation: Values, grid: Space) -> Float[Tensor, "1 channel *grid"]:
    """A layer over a grid of more positions."""
    return resample(exact(activation), grid, "bilinear")


def _rows(activation: Values) -> Rows:
    rows: Rows = exact(activation)[0].flatten(1).T
    return rows


def _parts(activation: Values) -> list[slice]:
    """Channels to work on at a time."""
    channels = activation.shape[1]
    return [slice(first, first + _CHANNELS) for first in range(0, channels, _CHANNELS)]
