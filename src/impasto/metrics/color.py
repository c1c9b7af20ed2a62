"""How far apart the colors of two pictures are, wherever they lie."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64

from impasto.kinds.colors import to_oklab

DIRECTIONS = 64
"""That colors are projected on: a shift by 1 is told as 1 to 2 %, whichever way."""

_QUANTILES = 4096
_LOOKED_AT = 1 << 17


def color_distance(
    one: Float[np.ndarray, "3 *space"], other: Float[np.ndarray, "3 *other"]
) -> float:
    """Twice the sliced Wasserstein-1 distance of two pictures' colors (Bonneel et al. 2015, Sliced
    and Radon Wasserstein barycenters of measures, with p = 1) in Oklab.

        2 * mean over directions u of (integral over p in (0, 1) of |F_one^-1(p) - F_other^-1(p)|)

    F^-1: the quantiles of the colors projected on u. Twice, as the mean of a shift's projections is
    half its length: pictures of one color each are as far apart as these colors are in Oklab, where
    0.02 is just to be seen and 1 is from black to white. one, other: sRGB in [0, 1].
    """
    ours, theirs = (_quantiles(_colors(picture)) for picture in (one, other))
    return 2 * float(np.mean(np.abs(ours - theirs)))


def _colors(picture: Float[np.ndarray, "3 *space"]) -> Float64[np.ndarray, "position 3"]:
    """In Oklab; of every so many positions where there are millions."""
    flat = picture.reshape(3, -1)
    return to_oklab(flat[:, :: flat.shape[1] // _LOOKED_AT | 1].astype(np.float64)).T


def _quantiles(
    colors: Float64[np.ndarray, "position 3"],
) -> Float64[np.ndarray, "direction quantile"]:
    """Along each direction: points of Fibonacci's spiral over half the sphere."""
    height = (np.arange(DIRECTIONS) + 0.5) / DIRECTIONS
    angle = np.pi * (3 - np.sqrt(5)) * np.arange(DIRECTIONS)
    across = np.sqrt(1 - height**2)
    places = ((np.arange(_QUANTILES) + 0.5) / _QUANTILES * len(colors)).astype(int)
    directions = np.stack([height, across * np.cos(angle), across * np.sin(angle)], axis=1)
    return np.array([np.sort(colors @ direction)[places] for direction in directions])
