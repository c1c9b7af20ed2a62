"""Bringing values over a grid to another grid, any number of dimensions."""

from __future__ import annotations

from math import prod

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from impasto.geometry import Space


def resample(x: Float[Tensor, "1 channel *space"], space: Space) -> Tensor:
    """x over another grid, by cubic interpolation that averages where it shrinks (no aliasing).

    Separable: axis after axis, each as the rows of a picture, so one function serves all
    dimensions. Cubic weights overshoot at edges; the caller clips where there is a range.
    """
    for axis, length in enumerate(space, start=2):
        shape = list(x.shape)
        if shape[axis] == length:
            continue
        rows = x.reshape(1, prod(shape[:axis]), shape[axis], prod(shape[axis + 1 :]))
        rows = functional.interpolate(
            rows, (length, rows.shape[3]), mode="bicubic", antialias=True, align_corners=False
        )
        shape[axis] = length
        x = rows.reshape(shape)
    return x
