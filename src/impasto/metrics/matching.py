"""Forms of the style in a result, by nearest neighbors among activations.

Gram matrices and Wasserstein distances do not see whether the style's own forms are there, or only
marks with their statistics. Each position's activation, less the style's mean, is compared with the
nearest one of the other picture by cosine (as in Kolkin et al. 2022, Neural neighbor style
transfer, section 3.2).
"""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.grids.patch import Values
from impasto.metrics.activations import patches
from impasto.networks import Network

SOUGHT, AMONG = 2**12, 2**16
"""The most positions that a nearest one is sought for, and among; evenly spread where a picture has
more."""

_AT_A_TIME = 2**10

Rows = Float[Tensor, "position width"]
Others = Float[Tensor, "other width"]


def coverage(style: Rows, result: Others) -> float:
    """The mean over the style's positions of the cosine distance to the nearest one of the result,
    in [0, 2]: what of the style is nowhere in it."""
    return _unmatched(style, result, style.mean(0))


def precision(style: Rows, result: Others) -> float:
    """The same the other way about: what of the result is nowhere in the style."""
    return _unmatched(result, style, style.mean(0))


def features(network: Network, x: Values, layer: str) -> Rows:
    """A layer's activations, a row a position, in float32."""
    rows: Rows = patches(network, x, {layer})[layer].values[0].flatten(1).T.float()
    return rows


def _unmatched(sought: Rows, among: Others, mean: Float[Tensor, " width"]) -> float:
    directions = [
        torch.nn.functional.normalize(rows[:: -(-len(rows) // most)] - mean, dim=1)
        for rows, most in ((sought, SOUGHT), (among, AMONG))
    ]
    nearest = [(part @ directions[1].T).amax(1) for part in torch.split(directions[0], _AT_A_TIME)]
    return float(1 - torch.cat(nearest).mean())
