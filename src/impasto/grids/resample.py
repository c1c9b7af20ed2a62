"""Resamples values to another grid, over any number of axes."""

from __future__ import annotations

from typing import Any, Literal

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from impasto.grids.geometry import Space
from impasto.system.devices import CPU, WITHOUT_FLOAT64

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
    """Resamples x to another grid.

    The interpolation averages where it shrinks, so there is no aliasing. Cubic weights overshoot at
    edges, linear weights do not; the caller clips values that have a range.

    Args:
        x: values over a grid, shape (1, channel, *space).
        space: the new grid.
        kernel: "bicubic" or "bilinear", along each axis.

    Returns:
        Shape (1, channel, *space) with the new `space`.

    Example:
        >>> import torch
        >>> resample(torch.ones(1, 3, 8, 8), (4, 6)).shape
        torch.Size([1, 3, 4, 6])
    """
    here = x.device
    x = _where_it_works(x)
    for axis, length in enumerate(space, start=2):
        if x.shape[axis] != length:
            rows = x.movedim(axis, -1)
            # Each axis is resampled as the rows of one gray picture, so one function serves all
            # dimensions. One-pixel columns of many channels will not do: torch 2.13 takes them for
            # channels last and mixes them up.
            picture = rows.reshape(1, 1, -1, rows.shape[-1])
            picture = functional.interpolate(
                picture, (picture.shape[2], length), mode=kernel, antialias=True
            )
            x = picture.reshape(*rows.shape[:-1], length).movedim(-1, axis).contiguous()
    return x.to(here)


def average_over(
    x: Float[Tensor, "batch channel *space"], space: Space
) -> Float[Tensor, "batch channel *other"]:
    """Resamples x to another grid by plain means over the positions that each new one covers.

    Returns:
        Shape (batch, channel, *space).
    """
    pool: Any = _AVERAGE[x.ndim - 3]
    means: Tensor = pool(_where_it_works(x), space)
    return means.to(x.device)


def _where_it_works(x: Tensor) -> Tensor:
    """Returns x, on the CPU if its device cannot average over any grid, as Apple's cannot."""
    return x.to(CPU) if x.device.type in WITHOUT_FLOAT64 else x
