"""The regions of volumes in which noise is compared."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from impasto.errors import ConfigError
from impasto.media.volumes.volume import Volume
from impasto.system.libraries import library

Box = tuple[int, int, int, int, int, int]
"""x0, x1, y0, y1, z0, z1: the voxels x0 <= x < x1, y0 <= y < y1, z0 <= z < z1."""

SIDES = 48.0, 32.0, 24.0, 16.0
"""The sides of a region to try, in mm: the first one that fits into tissue is taken. A side is at
most half of the volume's."""

_LEAST_TISSUE = 0.99  # the fraction of tissue in a region
_SHORTEST = 4  # voxels


def check_region(region: Sequence[int], volume: Volume) -> Box:
    """Checks the region that a user gives.

    Raises:
        ConfigError: it does not lie in the volume, or a side is shorter than 4 voxels.
    """
    starts, stops = region[::2], region[1::2]
    fits = len(region) == 6 and all(
        start >= 0 and start + min(_SHORTEST, side) <= stop <= side
        for start, stop, side in zip(starts, stops, volume.space, strict=True)
    )
    if not fits:
        raise ConfigError(
            expected=f"x0 x1 y0 y1 z0 z1 with at least {_SHORTEST} voxels along each axis, within "
            + " ".join(f"0 {side}" for side in volume.space),
            found=" ".join(map(str, region)),
            remedy="choose others, or leave the region out, so that one is chosen",
        )
    x0, x1, y0, y1, z0, z1 = region
    return x0, x1, y0, y1, z0, z1


def even_region(volume: Volume) -> Box:
    """Finds the most homogeneous box of tissue: the one with the lowest variance.

    Tissue is separated from air by Otsu's threshold (Otsu 1979, A threshold selection method from
    gray-level histograms). If no box consists of tissue, even with the shortest of SIDES, the boxes
    with the most tissue are compared. A box of a single value, such as a clipped one, is taken only
    if there is no other.

    Raises:
        MissingExtraError: scipy or scikit-image is not installed.
    """
    filters = library("skimage.filters", "to find even tissue", "volumes")
    values = volume.data[0]
    tissue = values > filters.threshold_otsu(values)
    # Values around 0 lose little precision when they are squared in 32 bits.
    centered = values - np.median(values[tissue] if tissue.any() else values)
    for length in SIDES:
        sides = [
            min(side, max(_SHORTEST, round(min(length / spacing, side / 2))))
            for side, spacing in zip(volume.space, volume.spacing, strict=True)
        ]
        share = _box_means(tissue.astype(np.float32), sides)
        if share.max() >= _LEAST_TISSUE:
            break
    mean, square = _box_means(centered, sides), _box_means(centered**2, sides)
    variance = square - mean**2
    full = share >= min(_LEAST_TISSUE, share.max() - 1e-6)
    uneven = full & (variance > 1e-6 * square)
    ranks = np.where(uneven if uneven.any() else full, variance, np.inf)
    starts = np.unravel_index(np.argmin(ranks), ranks.shape)
    x, y, z = ((int(start), int(start) + side) for start, side in zip(starts, sides, strict=True))
    return *x, *y, *z


def _box_means(
    values: Float32[np.ndarray, "x y z"], sides: Sequence[int]
) -> Float32[np.ndarray, "x0 y0 z0"]:
    """Returns the mean of the box that starts at each voxel, for boxes inside the volume."""
    means = library("scipy.ndimage", "to find even tissue", "volumes").uniform_filter(values, sides)
    return np.asarray(
        means[
            tuple(
                slice(length // 2, length // 2 + side - length + 1)
                for length, side in zip(sides, values.shape, strict=True)
            )
        ]
    )


def part(volume: Volume, region: Box) -> Volume:
    """Cuts a region out of a volume; its affine keeps the region's position."""
    x0, x1, y0, y1, z0, z1 = region
    affine = volume.affine.copy()
    affine[:3, 3] = (affine @ [x0, y0, z0, 1])[:3]
    data = volume.data[:, x0:x1, y0:y1, z0:z1]
    return Volume(data, affine=affine, unit=volume.unit)
