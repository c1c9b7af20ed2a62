"""Bringing values over a grid to another grid, any number of dimensions."""

from __future__ import annotations

from typing import Any, Literal

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from impasto.grids.geometry import Space

Kernel = Literal["bicubic", "bilinear"]

_AVERAGE = (
    functional.adaptive_avg_pool1d,
    functional.adaptive_avg_pool2d,
    functional.adaptive_avg_pool3d,
)


def resample(
    x: Float[Tensor, "1 channel *space"],
    space: Space,
    kernel: Kernel = "bicubic",
) -> Tensor:
    """x over another grid, by interpolation that averages where it shrinks (no aliasing).

    Separable: axis after axis, each as the rows of a gray picture, so one function serves all
    dimensions. Cubic weights overshoot at edges, and the caller clips where there is a range;
    linear ones do not.
    """
    for axis, length in enumerate(space, start=2):
        if x.shape[axis] != length:
            rows = x.movedim(axis, -1)
            # Rows of one picture, never one-pixel columns of many channels: torch 2.13 takes those
            # for channels last and mixes them up.
            picture = rows.reshape(1, 1, -1, rows.shape[-1])
            picture = functional.interpolate(
                picture, (picture.shape[2], length), mode=kernel, antialias=True
            )
            x = picture.reshape(*rows.shape[:-1], length).movedim(-1, axis).contiguous()
    return x


def average_over(
    x: Float[Tensor, "batch channel *space"], space: Space
) -> Float[Tensor, "batch channel *other"]:
    """x over another grid, each position the plain mean of those that it covers."""
    pool: Any = _AVERAGE[x.ndim - 3]
    found: Tensor = pool(x, space)
    return found
