"""What stands under the transparent pixels of a picture, which nobody sees but filters do."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
from jaxtyping import Float32

from impasto.media.blocks import New, in_memory

if TYPE_CHECKING:
    from impasto.media.pictures.picture import Picture

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
    odd = (0, height % 2), (0, width % 2)
    pairs = (height + 1) // 2, 2, (width + 1) // 2, 2
    coarse_weight = np.pad(weight, odd).reshape(pairs).sum((1, 3))
    weighted = np.pad(data * weight, ((0, 0), *odd)).reshape(-1, *pairs).sum((2, 4))
    coarse = weighted / np.maximum(coarse_weight, np.finfo(np.float32).tiny)
    if not coarse_weight.all():
        _fill(coarse, np.minimum(coarse_weight, 1))
    empty = weight == 0
    finer = coarse.repeat(2, 1).repeat(2, 2)[:, :height, :width]
    np.copyto(data, finer, where=empty)
