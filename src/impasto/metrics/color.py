"""The distance between the colors of two pictures, whatever their positions."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64

from impasto.kinds.colors import to_oklab

DIRECTIONS = 64
"""The number of directions to project colors on. The distance of a shift then depends on its
direction by 1 to 2 %."""

_QUANTILES = 4096
_LOOKED_AT = 1 << 17


def color_distance(
    one: Float[np.ndarray, "3 *space"], other: Float[np.ndarray, "3 *other"]
) -> float:
    """Returns twice the sliced Wasserstein-1 distance between two pictures' colors in Oklab.

        2 * mean over directions u of (integral over p in (0, 1) of |F_one^-1(p) - F_other^-1(p)|)

    F^-1 are the quantiles of the colors projected on u (Bonneel et al. 2015, Sliced and Radon
    Wasserstein barycenters of measures, with p = 1). The factor 2 is there because the projections
    of a shift have on average half its length. So the distance of two uniform pictures is that of
    their colors in Oklab, where 0.02 is just visible and black to white is 1.

    Args:
        one: sRGB in [0, 1].
        other: sRGB in [0, 1]; it may have another size.
    """
    ours, theirs = (_quantiles(_colors(picture)) for picture in (one, other))
    return 2 * float(np.mean(np.abs(ours - theirs)))


def _colors(picture: Float[np.ndarray, "3 *space"]) -> Float64[np.ndarray, "position 3"]:
    """Returns the colors in Oklab; from a large picture, those of evenly spaced positions."""
    flat = picture.reshape(3, -1)
    return to_oklab(flat[:, :: flat.shape[1] // _LOOKED_AT | 1].astype(np.float64)).T


def _quantiles(
    colors: Float64[np.ndarray, "position 3"],
) -> Float64[np.ndarray, "direction quantile"]:
    """Returns the quantiles along directions, which form a Fibonacci spiral on a hemisphere."""
    height = (np.arange(DIRECTIONS) + 0.5) / DIRECTIONS
    angle = np.pi * (3 - np.sqrt(5)) * np.arange(DIRECTIONS)
    across = np.sqrt(1 - height**2)
    places = ((np.arange(_QUANTILES) + 0.5) / _QUANTILES * len(colors)).astype(int)
    directions = np.stack([height, across * np.cos(angle), across * np.sin(angle)], axis=1)
    return np.array([np.sort(colors @ direction)[places] for direction in directions])
