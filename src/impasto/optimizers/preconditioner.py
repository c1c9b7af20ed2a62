"""What L-BFGS starts its inverse Hessian from: large forms may move further than fine detail."""

from __future__ import annotations

from typing import Any

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from impasto.grids.geometry import Space

_POOL = (functional.avg_pool1d, functional.avg_pool2d, functional.avg_pool3d)

_OCTAVES = 4
"""Grids, each half as fine as the one before: what is coarser counts as the last."""

_GROWTH = 1.5
"""From octave to octave."""


def favor_large_forms(x: Float[Tensor, "1 channel *space"]) -> None:
    """x := x + sum over octaves k of 1.5^k M_k x, M_k being the mean over boxes of 2^k positions.

    Symmetric, positive and as large as 1 / frequency, about as networks' second derivatives are
    small; beyond the border there is 0. Works on one channel at a time.
    """
    for channel in range(x.shape[1]):
        plane = x[:, channel : channel + 1]
        grids = [plane]
        for _ in range(_OCTAVES):
            grids.append(_halved(grids[-1]))
        coarse = grids.pop()
        for grid in reversed(grids):
            grid.add_(_doubled(coarse, tuple(grid.shape[2:])), alpha=_GROWTH)
            coarse = grid


def _halved(x: Float[Tensor, "1 1 *space"]) -> Tensor:
    """The means of boxes of two positions along each axis."""
    beyond = [side for length in reversed(x.shape[2:]) for side in (0, length % 2)]
    pool: Any = _POOL[x.ndim - 3]
    found: Tensor = pool(functional.pad(x, beyond), 2)
    return found


def _doubled(x: Float[Tensor, "1 1 *space"], space: Space) -> Tensor:
    """Each position twice along each axis, cut to the grid."""
    found: Tensor = functional.interpolate(x, scale_factor=2.0, mode="nearest")
    for axis, length in enumerate(space, start=2):
        found = found.narrow(axis, 0, length)
    return found
