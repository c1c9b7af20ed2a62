"""How much each position counts, on every layer of a network."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from impasto.errors import SampleError
from impasto.grids.geometry import Region
from impasto.grids.resample import average_over
from impasto.networks.stage import Network
from impasto.system.devices import CPU, home_of_sums


@dataclass(frozen=True, eq=False)
class Mask:
    """How much each position counts, in [0, 1].

    Attributes:
        weights: for each layer the weight over its whole grid, shape (1, 1, *grid).
        counts: for each layer the sum of its weight.
    """

    weights: Mapping[str, Tensor]
    counts: Mapping[str, float]

    @classmethod
    def of(cls, weight: Tensor, network: Network, layers: Collection[str]) -> Mask:
        """Averages a weight over the grid of each layer.

        Args:
            weight: over the grid of the sample, shape (1, 1, *space).
            network: the network.
            layers: names of its layers.

        Raises:
            SampleError: no position of some layer counts.
        """
        grids = network.grids(tuple(weight.shape[2:]), layers)
        by_grid = {grid: average_over(weight, grid) for grid in set(grids.values())}
        weights = {layer: by_grid[grid] for layer, grid in grids.items()}
        counts = _totals(weights)
        if not all(counts.values()):
            raise SampleError(
                expected="positions that count",
                found="a gap or a mask that covers all of the sample",
                remedy="choose another part of the sample",
            )
        return cls(weights, counts)

    def over(self, layer: str, region: Region) -> Tensor:
        """Returns the weight over a region of a layer."""
        return self.weights[layer][region.slices]

    def thin(self, kept: Sequence[int]) -> Mask:
        """Returns the mask at some positions along the first axis, which all layers share."""
        device = next((weight.device for weight in self.weights.values()), CPU)
        index = torch.tensor(kept, device=device)
        weights = {name: weight.index_select(2, index) for name, weight in self.weights.items()}
        return Mask(weights, _totals(weights))


def _totals(weights: Mapping[str, Tensor]) -> dict[str, float]:
    """Returns the sum of each weight, read from the device at once."""
    sums = [
        each.to(home_of_sums(each.device)).sum(dtype=torch.float64) for each in weights.values()
    ]
    return dict(zip(weights, torch.stack(sums).tolist() if sums else [], strict=True))
