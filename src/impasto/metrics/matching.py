"""Measure whether a result has the style's forms, by nearest neighbors among activations.

Gram matrices and Wasserstein distances cannot tell the style's own forms from other marks of the
same statistics. Here, the activation at each position, minus the mean of the style, is compared
with the nearest one of the other picture by cosine distance, as in Kolkin et al. 2022 (Neural
neighbor style transfer), section 3.2.
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.grids.patch import Values
from impasto.metrics.activations import patches
from impasto.networks import Network

SOUGHT, AMONG = 2**12, 2**16
"""The largest numbers of positions to find a neighbor for, and to find it among. From a larger
picture, evenly spaced positions are taken."""

_AT_A_TIME = 2**10

Rows = Float[Tensor, "position width"]
Others = Float[Tensor, "other width"]


def coverage(style: Rows, result: Others) -> float:
    """Returns the mean cosine distance from the style's positions to the nearest of the result.

    It is in [0, 2]. It is large if parts of the style are missing from the result.
    """
    return _mean_nearest_distance(style, result, style.mean(0))


def precision(style: Rows, result: Others) -> float:
    """Returns the mean cosine distance from the result's positions to the nearest of the style.

    It is in [0, 2]. It is large if parts of the result are unlike anything in the style.
    """
    return _mean_nearest_distance(result, style, style.mean(0))


def features(network: Network, x: Values, layer: str) -> Rows:
    """Returns the activations of a layer as float32, with one row for each position."""
    rows: Rows = patches(network, x, {layer})[layer].values[0].flatten(1).T.float()
    return rows


def _mean_nearest_distance(sought: Rows, among: Others, mean: Float[Tensor, " width"]) -> float:
    """Returns the mean cosine distance from each row of `sought` to the nearest of `among`."""
    directions = [
        torch.nn.functional.normalize(rows[:: -(-len(rows) // most)] - mean, dim=1)
        for rows, most in ((sought, SOUGHT), (among, AMONG))
    ]
    nearest = [(part @ directions[1].T).amax(1) for part in torch.split(directions[0], _AT_A_TIME)]
    return float(1 - torch.cat(nearest).mean())
