"""Synthetic volumes, and what all volume files are asked."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np

from impasto.media import Volume, load

TILTED = np.array(
    [
        [-0.8, 0.0, 0.0, 70.5],
        [0.0, 0.7794228634059948, 0.6, -134.25],
        [0.0, -0.45, 1.0392304845413265, -13.5],
        [0.0, 0.0, 0.0, 1.0],
    ]
)
"""Voxels of 0.8 x 0.9 x 1.2 mm, tilted by 30 degrees around x."""


def smooth(*space: int, seed: int = 0) -> np.ndarray:
    """Smooth noise of shape (1, x, y, z) within [-1000, 1000], float32."""
    values = np.random.default_rng(seed).normal(size=space)
    for axis in range(3):
        kernel = np.hanning(min(7, values.shape[axis]) + 2)[1:-1]
        values = np.apply_along_axis(np.convolve, axis, values, kernel, "same")
    values = values / np.abs(values).max() * 1000
    return np.asarray(values[None], np.float32)


def volume(*space: int, **fields: Any) -> Volume:
    """Smooth noise in 16 bits over tilted voxels."""
    standard: dict[str, Any] = {
        "data": np.rint(smooth(*(space or (12, 10, 8)))),
        "affine": TILTED,
        "dtype": np.dtype(np.int16),
    }
    return Volume(**(standard | fields))


def loaded(path: Path) -> Volume:
    """What is in a file that must hold a volume."""
    sample = load(path)
    assert isinstance(sample, Volume)
    return sample
