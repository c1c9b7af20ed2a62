"""Resamples values to another grid, over any number of axes."""

from __future__ import annotations

from collections.abc import Sequence
from math import prod
from typing import Any, Literal

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from impasto.grids.geometry import Space
from impasto.system.devices import CPU, WITHOUT_FLOAT64

Kernel = Literal["bicubic", "bilinear"]

ROWS = 2**17
"""Rows that an accelerator resamples at a time. CUDA starts at most 65535 blocks along an axis."""

MOST_SHRUNK = 32
"""Grids that shrink by a larger factor are resampled on the CPU: CUDA's shared memory holds the
weights of one position only up to about this factor."""

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
    pairs = zip(x.shape[2:], space, strict=True)
    x = x.to(CPU) if any(a > MOST_SHRUNK * b for a, b in pairs) else _where_it_works(x)
    axes = list(enumerate(space, start=2))
    if prod(space) < prod(x.shape[2:]):  # the last axis needs no copy, so it shrinks what is copied
        axes.reverse()
    for axis, length in axes:
        if x.shape[axis] != length:
            rows = x.movedim(axis, -1)
            # Each axis is resampled as the rows of one gray picture, so one function serves all
            # dimensions. One-pixel columns of many channels will not do: torch 2.13 takes them for
            # channels last and mixes them up.
            picture = rows.reshape(1, 1, -1, rows.shape[-1])
            parts = [
                functional.interpolate(part, (part.shape[2], length), mode=kernel, antialias=True)
                for part in _parts(picture)
            ]
            picture = parts[0] if len(parts) == 1 else torch.cat(parts, 2)
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


def _parts(picture: Tensor) -> Sequence[Tensor]:
    """Cuts a picture into parts of at most ROWS rows where it is on an accelerator."""
    if picture.device.type == "cpu":
        return (picture,)
    parts: Sequence[Tensor] = torch.split(picture, ROWS, 2)
    return parts


def _where_it_works(x: Tensor) -> Tensor:
    """Returns x, on the CPU if its device cannot average over any grid, as Apple's cannot."""
    return x.to(CPU) if x.device.type in WITHOUT_FLOAT64 else x
