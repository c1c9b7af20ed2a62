"""Distances between Gram matrices of the slices of volumes."""

from __future__ import annotations

from functools import cache

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from impasto.grids.geometry import Region
from impasto.grids.resample import average_over
from impasto.losses.gram import MetricGram
from impasto.media.volumes.volume import Volume
from impasto.networks import Network
from impasto.networks.lite import load_lite
from impasto.networks.volumetric import shown, sliced

SLICES = 32
"""The largest number of slices across an axis."""

_AT_ONCE = 1 << 18  # pixels in one batch of slices

Grams = dict[str, Float64[Tensor, "augmented augmented"]]


def slice_grams(volume: Volume, window: tuple[float, float], axis: int) -> Grams:
    """Returns the mean of [a 1] [a 1]^T for each layer of `lite`, over evenly spaced slices.

    As in a run, the intensity window becomes [0, 1], and voxels outside it do not count.

    Args:
        volume: the volume.
        window: the intensity window, (low, high).
        axis: the axis across which slices are taken.

    Returns:
        A matrix for each layer; empty if the slices are too small for the network or no voxel
        counts.
    """
    network = _network()
    layers = tuple(network.metrics)
    values = np.moveaxis(volume.data[0], axis, 0)
    if not network.fits(values.shape, layers):
        return {}
    low, high = window
    count = min(SLICES, len(values))
    places = ((np.arange(count) + 0.5) * len(values) / count).astype(int)
    step = max(1, _AT_ONCE // values[0].size)
    sums: Grams = {}
    for first in range(0, count, step):
        slices = torch.from_numpy(values[places[first : first + step]])[None, None]
        inside = ((slices >= low) & (slices <= high)).float()
        with torch.no_grad():
            activations = network((slices - low) / (high - low), layers)
        for layer, activation in activations.items():
            grid = tuple(activation.shape[2:])
            batch = MetricGram.sums(activation, Region.all_of(grid), average_over(inside, grid))
            sums[layer] = sums.get(layer, 0) + batch.double()
    if not all(total[-1, -1] for total in sums.values()):
        return {}
    return {layer: total / total[-1, -1] for layer, total in sums.items()}


def gram_distance(one: Grams, style: Grams) -> float:
    """Returns the relative squared distance of `losses.MetricGram`, averaged over the layers.

    It is NaN if there are no layers.
    """
    metrics = _network().metrics
    losses = {layer: MetricGram(style[layer], metrics[layer].double()) for layer in one if style}
    scores = [loss.score(one[layer], 1.0).item() for layer, loss in losses.items()]
    return float(np.mean(scores)) if scores else np.nan


@cache
def _network() -> Network:
    return shown(sliced(load_lite(padding="replicate", pooling="max")), 1)
