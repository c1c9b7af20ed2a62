"""Bodies of a known blur and noise, each of another anatomy."""

from __future__ import annotations

from functools import cache

import numpy as np
from scipy import ndimage

from impasto.media.volumes.volume import Volume

SPACE = (104, 96, 16)


def body(space: tuple[int, ...] = SPACE) -> np.ndarray:
    """True inside of an elliptic cylinder."""
    x, y, _ = np.meshgrid(*(np.linspace(-1, 1, side) for side in space), indexing="ij")
    return np.asarray(np.hypot(x, y) < 0.9)


@cache
def phantom(
    blur: float = 0.8,
    noise: float = 0.0,
    seed: int = 0,
    space: tuple[int, ...] = SPACE,
) -> Volume:
    """Organs of fat, muscle, bone and lung in a body, in air.

    blur: the standard deviation of a Gaussian within slices, in voxels. noise: that of white noise.
    """
    rng = np.random.default_rng(seed)
    inside = body(space)
    values = np.where(inside, 40.0, -1000.0)
    for _ in range(60):
        center = rng.uniform(0, 1, 3) * space
        sides = rng.uniform((2, 2, 4), (9, 9, 20))
        box = tuple(
            slice(max(0, int(c - s)), int(c + s) + 2) for c, s in zip(center, sides, strict=True)
        )
        grid = np.ogrid[
            tuple(slice(b.start, min(b.stop, n)) for b, n in zip(box, space, strict=True))
        ]
        away = sum(((g - c) / s) ** 2 for g, c, s in zip(grid, center, sides, strict=True))
        organ = (away < 1) & inside[box]
        values[box][organ] = rng.choice([-850.0, -80.0, 40.0, 60.0, 300.0])
    values = ndimage.gaussian_filter(values, (blur, blur, 0))
    values += noise * rng.normal(size=space)
    affine = np.diag([0.8, 0.8, 2.0, 1.0])
    return Volume(values[None].astype(np.float32), affine=affine, unit="HU")
