"""What stands under the transparent pixels of a picture, which nobody sees but filters do."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32

from impasto.media.blocks import New, in_memory

if TYPE_CHECKING:
    from impasto.media.pictures.picture import Picture

_BLOCK = 2**20

Planes = Float32[np.ndarray, "channel height width"]
Plane = Float32[np.ndarray, "height width"]


def hides(picture: Picture) -> bool:
    """Whether some of a picture's pixels are transparent throughout."""
    return picture.alpha is not None and not picture.alpha.all()


def filled(picture: Picture, new: New = in_memory) -> Picture:
    """Puts the mean of the visible colors around them under transparent pixels.

    Example:
        >>> from impasto.media.pictures.picture import Picture
        >>> data = np.stack([np.float32([[0.5, 0.9]])] * 3)
        >>> filled(Picture(data, alpha=np.float32([[1, 0]]))).data[0].tolist()
        [[0.5, 0.5]]

    Args:
        picture: returned as it is where it has none, or nothing else.
        new: allocates the colors.
    """
    alpha = picture.alpha
    if alpha is None or not hides(picture) or not alpha.any():
        return picture
    data = new(picture.data.shape)
    data[...] = picture.data
    _fill(data, alpha)
    return replace(picture, data=data)


def _fill(data: Planes, weight: Plane) -> None:
    """Fills positions without weight from the next coarser grid, of means over 2 x 2 positions."""
    height, width = weight.shape
    coarse_weight = np.zeros(((height + 1) // 2, (width + 1) // 2), np.float32)
    coarse = np.zeros((len(data), *coarse_weight.shape), np.float32)
    rows = max(2, _BLOCK // width // 2 * 2)  # some at a time: a picture may be larger than memory
    for top in range(0, height, rows):
        part, half = slice(top, top + rows), slice(top // 2, (top + rows) // 2)
        coarse_weight[half] = _pairs(weight[None, part])[0]
        coarse[:, half] = _pairs(data[:, part] * weight[part])
    coarse /= np.maximum(coarse_weight, np.finfo(np.float32).tiny)
    if not coarse_weight.all():
        _fill(coarse, np.minimum(coarse_weight, 1))
    for top in range(0, height, rows):
        part, half = slice(top, top + rows), slice(top // 2, (top + rows) // 2)
        finer = coarse[:, half].repeat(2, 1).repeat(2, 2)
        empty = weight[part] == 0
        np.copyto(data[:, part], finer[:, : len(empty), :width], where=empty)


def _pairs(planes: Planes) -> Float32[np.ndarray, "channel rows columns"]:
    """Returns the sums over 2 x 2 positions."""
    count, height, width = planes.shape
    whole = np.pad(planes, ((0, 0), (0, height % 2), (0, width % 2)))
    pairs = whole.reshape(count, (height + 1) // 2, 2, (width + 1) // 2, 2)
    return np.asarray(pairs.sum((2, 4)), np.float32)
