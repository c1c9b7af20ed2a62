"""Measure how values change from voxel to voxel."""

from __future__ import annotations

import numpy as np
from jaxtyping import Float32, Float64


def roughness(values: Float32[np.ndarray, "x y z"]) -> Float64[np.ndarray, "3"]:
    """Returns the mean of |v(i + 1) - v(i)| along each axis; NaN along an axis of one voxel.

    Example:
        >>> roughness(np.ones((4, 4, 4), np.float32)).tolist()
        [0.0, 0.0, 0.0]
    """
    return np.array([_mean_difference(values, axis, 1) for axis in range(3)])


def flicker(values: Float32[np.ndarray, "x y z"]) -> float:
    """Returns the mean of |v(i + 1) - 2 v(i) + v(i - 1)| along z.

    It is large if neighboring slices do not fit together; NaN if there are fewer than three.
    """
    return _mean_difference(values, 2, 2)


def _mean_difference(values: Float32[np.ndarray, "x y z"], axis: int, order: int) -> float:
    if values.shape[axis] <= order:
        return np.nan
    return float(np.mean(np.abs(np.diff(values, order, axis)), dtype=np.float64))
