"""What lies around the body in a volume: air, or a background of one value.

Scanners fill the corners outside the field of view with one value, and programs that cut out a
brain put 0 around it. None of that is tissue.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import product
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32

from impasto.system.libraries import library

Voxels = Bool[np.ndarray, "x y z"]

_AIR = -950.0
"""The mean of a few voxels of air is below this many HU; that of lungs is above it."""
_RIM = 150.0
"""A single voxel of air is below the mean by this much more."""
_LOWEST = -1024.0
_MOST_ELSE = 0.2
"""The fraction of voxels along an edge that may be something else: noise, or a tube."""
_LARGE = 2**24
"""Of a volume of more voxels, the body is sought at half the resolution."""
_LEAST_PART = 0.1
"""Parts of a body are at least this large beside the largest; smaller ones are tables."""


def around_body(values: Float32[np.ndarray, "x y z"], *, hounsfield: bool) -> Voxels | None:
    """Finds what lies around the body.

    That is what is connected with four parallel edges of the volume, where all four show air, or
    all one value. What such air surrounds is the body, with all the air in it.

    Example:
        >>> values = np.zeros((8, 8, 8), np.float32)
        >>> values[2:6, 2:6] = 100
        >>> int(around_body(values, hounsfield=False).sum())
        384

    Args:
        values: of the volume.
        hounsfield: whether they are in HU, so that air can be told.

    Returns:
        True around the body; None where nothing lies around it, or nothing else is there.

    Raises:
        MissingExtraError: scipy is not installed.
    """
    if min(values.shape[:2]) < 3:
        return None
    corner = values[0, 0, 0]
    even = _along_edges(values == corner)
    air = hounsfield and _along_edges(values < _AIR + _RIM)
    if not (even or air):
        return None
    ndimage = library("scipy.ndimage", "to find the body in volumes", "volumes")
    background = values == corner if even else np.zeros(values.shape, np.bool_)
    if values.size > _LARGE:  # at half the resolution: in a tenth of the time and the memory
        background = _halved(background, np.logical_and)
    if air:
        background |= _mean_of_neighbors(ndimage, values) < _AIR
    if not _along_edges(background):
        return None
    around = ~_large_parts(ndimage, ~_at_corners(ndimage, background))
    for axis, side in enumerate(values.shape):
        if around.shape[axis] != side:
            around = around.repeat(2, axis).take(range(side), axis)
    if air:  # means over neighbors do not reach the skin
        near = ndimage.binary_dilation(around, iterations=2 if values.size > _LARGE else 1)
        around |= near & (values < _AIR + _RIM)
    return around if around.any() and not around.all() else None


def _mean_of_neighbors(
    ndimage: Any, values: Float32[np.ndarray, "x y z"]
) -> Float32[np.ndarray, "i j k"]:
    """Returns means over 3 x 3 x 3 voxels, of a large volume over 2 x 2 x 2 at half the resolution.

    What lies below air, such as padding, counts as air.
    """
    if values.size <= _LARGE:
        near = ndimage.uniform_filter(_at_least(values), 3, mode="nearest")
        return np.asarray(near, np.float32)
    return _halved(values, lambda one, other: (_at_least(one) + _at_least(other)) / 2)


def _at_least(values: Float32[np.ndarray, "x y z"]) -> Float32[np.ndarray, "x y z"]:
    return np.asarray(np.maximum(values, np.float32(_LOWEST)), np.float32)


def _halved(values: np.ndarray, join: Callable[[np.ndarray, np.ndarray], np.ndarray]) -> np.ndarray:
    """Joins neighbors along each axis; the last voxel of an odd side is its own neighbor."""
    for axis in range(3):
        columns = np.moveaxis(values, axis, 0)
        ones = columns[::2]
        others = columns[1::2]
        if len(others) < len(ones):
            others = np.concatenate([others, columns[-1:]])
        values = np.moveaxis(np.asarray(join(ones, others)), 0, axis)
    return values


def _along_edges(background: Voxels) -> bool:
    """Returns whether the four edges along one of the axes are background."""
    for axis in range(3):
        columns = np.moveaxis(background, axis, 0)
        edges = np.stack([columns[:, i, j] for i, j in product((0, -1), repeat=2)])
        if (edges.mean(axis=1) >= 1 - _MOST_ELSE).all():
            return True
    return False


def _at_corners(ndimage: Any, background: Voxels) -> Voxels:
    """Returns the parts of the background that reach a corner of the volume."""
    labels, _ = ndimage.label(background)
    corners = {int(labels[place]) for place in product((0, -1), repeat=3)} - {0}
    return np.isin(labels, list(corners))


def _large_parts(ndimage: Any, body: Voxels) -> Voxels:
    """Returns the body without parts that are small beside its largest."""
    labels, count = ndimage.label(body)
    if not count:
        return body
    sizes = np.bincount(labels.ravel())
    sizes[0] = 0
    large = sizes >= _LEAST_PART * sizes.max()
    return np.asarray(large[labels])
