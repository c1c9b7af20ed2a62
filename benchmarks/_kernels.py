"""Slices of a CT, reconstructed twice from the same simulated projections: pairs with a truth."""

from __future__ import annotations

from pathlib import Path
from typing import NamedTuple

import numpy as np

from impasto import media
from impasto.media.volumes.volume import Volume

SIDE = 128
ANGLES = np.linspace(0, 180, 240, endpoint=False)
PHOTONS = 2e5
"""That leave the tube for each ray; what arrives is a Poisson number."""
WATER = 0.02 * 0.3125
"""The share of photons that a voxel of water takes, about."""
FIELD = 0.98
"""The radius of the field of view over half a side; outside there is no reconstruction."""
FILTERS = {"soft": "hann", "sharp": "ramp"}
CONTENT, STYLE = range(60, 80), range(96, 116)
"""The slices of the contents, through lungs and heart, and of the styles, through shoulders."""


class Pair(NamedTuple):
    """A content, a style of another part of the body, and what the content should become."""

    content: Volume
    style: Volume
    truth: Volume


def kernel_pairs(data: Path) -> dict[str, Pair]:
    """Pairs of 128 x 128 x 20 voxels of ct_chest_256.nii.gz in the folder."""
    chest = media.load(data / "ct_chest_256.nii.gz").data[0].astype(np.float64)
    rng = np.random.default_rng(0)
    ours, theirs = (_reconstructed(chest, slices, rng) for slices in (CONTENT, STYLE))
    return {
        f"{one} to {other}": Pair(ours[one], theirs[other], ours[other])
        for one, other in (("soft", "sharp"), ("sharp", "soft"))
    }


def field_of_view() -> np.ndarray:
    """Whether a voxel is reconstructed, shape (x, y, 1)."""
    return np.asarray(_radius()[..., None] <= FIELD)


def _radius() -> np.ndarray:
    ends = np.linspace(-1, 1, SIDE)
    return np.asarray(np.hypot(*np.meshgrid(ends, ends, indexing="ij")))


def _reconstructed(chest: np.ndarray, slices: range, rng: np.random.Generator) -> dict[str, Volume]:
    """The slices by each of FILTERS."""
    from scipy import ndimage
    from skimage.transform import iradon, radon

    made: dict[str, list[np.ndarray]] = {name: [] for name in FILTERS}
    for z in slices:
        hounsfield = ndimage.zoom(chest[:, :, z], 0.5, order=1, grid_mode=True, mode="nearest")
        hounsfield[_radius() > 0.99] = -1000
        sums = radon(WATER * (1 + hounsfield / 1000), ANGLES, circle=True)
        arrived = np.maximum(rng.poisson(PHOTONS * np.exp(-sums)), 1)
        for name, window in FILTERS.items():
            taken = iradon(-np.log(arrived / PHOTONS), ANGLES, filter_name=window, circle=True)
            made[name].append(np.clip((taken / WATER - 1) * 1000, -1000, 2000))
    affine = np.diag([3.125, 3.125, 2.0, 1.0])
    affine[2, 3] = 2.0 * slices.start
    return {
        name: Volume(
            np.where(field_of_view(), np.stack(planes, -1), -1000)[None].astype(np.float32),
            affine=affine,
            unit="HU",
        )
        for name, planes in made.items()
    }
