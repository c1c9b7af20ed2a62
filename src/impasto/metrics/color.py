"""How far apart the colors of two pictures are, wherever they lie."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float, Float64

DIRECTIONS = 64
"""That colors are projected on: a shift by 1 is told as 1 to 2 %, whichever way."""

_QUANTILES = 4096
_LOOKED_AT = 1 << 17

# Ottosson 2020, A perceptual color space for image processing.
_LINEAR_TO_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_LMS_TO_OKLAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def oklab(colors: Float[np.ndarray, "position 3"]) -> Float64[np.ndarray, "position 3"]:
    """sRGB in [0, 1] as Oklab's lightness, from 0 to 1, and two axes of color (Ottosson 2020)."""
    exact = colors.astype(np.float64)
    linear = np.where(exact <= 0.04045, exact / 12.92, ((exact + 0.055) / 1.055) ** 2.4)
    return np.asarray(np.cbrt(linear @ _LINEAR_TO_LMS.T) @ _LMS_TO_OKLAB.T)


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
    ours, theirs = (_quantiles(oklab(_colors(picture))) for picture in (one, other))
    return 2 * float(np.mean(np.abs(ours - theirs)))


def _colors(picture: Float[np.ndarray, "3 *space"]) -> Float[np.ndarray, "position 3"]:
    """Of every so many positions where there are millions."""
    flat = picture.reshape(3, -1)
    return flat[:, :: flat.shape[1] // _LOOKED_AT | 1].T


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
