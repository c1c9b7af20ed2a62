"""Where in a volume noise is looked at."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from jaxtyping import Float32

from impasto.errors import ConfigError
from impasto.media.volumes.volume import Volume
from impasto.system.libraries import library

Box = tuple[int, int, int, int, int, int]
"""x0, x1, y0, y1, z0, z1: voxels from x0 up to but not including x1, and so on."""

SIDES = 48.0, 32.0, 24.0, 16.0
"""mm of a region's sides, the first at which there is enough tissue; at most half the volume's."""

_WHOLE = 0.99  # the share of tissue in a region
_SHORTEST = 4  # voxels


def check_region(region: Sequence[int], volume: Volume) -> Box:
    """The region, if it is one of that volume.

    Raises ConfigError when it is not, or has less than 4 voxels along an axis.
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
            remedy="choose others, or leave the region out to have one found",
        )
    x0, x1, y0, y1, z0, z1 = region
    return x0, x1, y0, y1, z0, z1


def even_region(volume: Volume) -> Box:
    """The most homogeneous box of tissue: that with the least variance, of those full of it.

    Tissue is what is above Otsu's threshold (Otsu 1979, A threshold selection method from
    gray-level histograms), which parts it from air. Where no box is full even at the least of
    SIDES, the fullest are compared. Boxes of one value only, such as what a stored type cuts off,
    come last.
    Raises MissingExtraError without scipy or scikit-image.
    """
    filters = library("skimage.filters", "to find even tissue", "volumes")
    values = volume.data[0]
    tissue = values > filters.threshold_otsu(values)
    # Around the tissue's median, so that squares lose little in 32 bits.
    centered = values - np.median(values[tissue] if tissue.any() else values)
    for length in SIDES:
        sides = [
            min(side, max(_SHORTEST, round(min(length / spacing, side / 2))))
            for side, spacing in zip(volume.space, volume.spacing, strict=True)
        ]
        share = _box_means(tissue.astype(np.float32), sides)
        if share.max() >= _WHOLE:
            break
    mean, square = _box_means(centered, sides), _box_means(centered**2, sides)
    variance = square - mean**2
    full = share >= min(_WHOLE, share.max() - 1e-6)
    uneven = full & (variance > 1e-6 * square)
    ranks = np.where(uneven if uneven.any() else full, variance, np.inf)
    starts = np.unravel_index(np.argmin(ranks), ranks.shape)
    x, y, z = ((int(start), int(start) + side) for start, side in zip(starts, sides, strict=True))
    return *x, *y, *z


def _box_means(
    values: Float32[np.ndarray, "x y z"], sides: Sequence[int]
) -> Float32[np.ndarray, "x0 y0 z0"]:
    """The mean of the box that starts at each voxel, for those that lie within the volume."""
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
    """The values of a region, where they are."""
    x0, x1, y0, y1, z0, z1 = region
    affine = volume.affine.copy()
    affine[:3, 3] = (affine @ [x0, y0, z0, 1])[:3]
    data = volume.data[:, x0:x1, y0:y1, z0:z1]
    return Volume(data, affine=affine, unit=volume.unit)
