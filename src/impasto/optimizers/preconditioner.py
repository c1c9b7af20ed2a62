"""The matrix that L-BFGS starts its inverse Hessian from: large forms move further than detail."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from impasto.grids.geometry import Space

_POOL = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)

_OCTAVES = 4
"""How many grids there are, each half as fine as the one before."""

_GROWTH = 1.5
"""Factor from one octave to the next."""


def favor_large_forms(x: Float[Tensor, "1 channel *space"]) -> None:
    """Computes x := x + sum over octaves k of 1.5^k M_k x, in place.

    M_k is the mean over boxes of 2^k positions along each axis, with 0 beyond the border. The
    matrix is symmetric and positive. It grows about as 1 / frequency, as the inverse of the second
    derivatives of networks does. Works on one channel at a time.

    Example:
        >>> import torch
        >>> x = torch.zeros(1, 1, 4)
        >>> x[..., 0] = 1
        >>> favor_large_forms(x)
        >>> bool(x[0, 0, 0] > x[0, 0, 1] > x[0, 0, 2] > 0)
        True
    """
    for channel in range(x.shape[1]):
        plane = x[:, channel : channel + 1]
        grids = [plane]
        for _ in range(_OCTAVES):
            grids.append(_halve(grids[-1]))
        coarse = grids.pop()
        for grid in reversed(grids):
            grid.add_(_double(coarse, tuple(grid.shape[2:])), alpha=_GROWTH)
            coarse = grid


def _halve(x: Float[Tensor, "1 1 *space"]) -> Tensor:
    """Returns the means over boxes of two positions along each axis."""
    beyond = [side for length in reversed(x.shape[2:]) for side in (0, length % 2)]
    pool: Any = _POOL[x.ndim - 3]
    means: Tensor = pool(functional.pad(x, beyond), 2)
    return means


def _double(x: Float[Tensor, "1 1 *space"], space: Space) -> Tensor:
    """Returns each position twice along each axis, cut to the grid."""
    doubled: Tensor = functional.interpolate(x, scale_factor=2.0, mode="nearest")
    for axis, length in enumerate(space, start=2):
        doubled = doubled.narrow(axis, 0, length)
    return doubled
