"""pyvips images from and into NumPy planes, a few rows at a time.

`image` is always a pyvips.Image; pyvips has no types. Values are floats in [0, 1].
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyvips
from jaxtyping import Float, Float32

from impasto.media.blocks import New, in_memory

# Pixels in a strip, and in the rows that are gathered for a picture on its side.
_STRIP = 2**18
_GATHERED = 2**21


def strips(image: Any) -> Iterator[Float32[np.ndarray, "rows width bands"]]:
    """Gives the values of an image from top to bottom; its decoder runs as they are asked for.

    Raises:
        pyvips.Error: the file is damaged.
    """
    image = image.cast("float")
    # One region for all strips: a pipeline that ran anew for each would have lost the rows above,
    # which resizing needs.
    region = pyvips.Region.new(image)
    rows = max(8, _STRIP // image.width)
    for top in range(0, image.height, rows):
        count = min(rows, image.height - top)
        values = region.fetch(0, top, image.width, count)
        yield np.frombuffer(values, np.float32).reshape(count, image.width, image.bands)


def fill(
    planes: Sequence[Float32[np.ndarray, "height width"]], image: Any, orientation: int = 1
) -> None:
    """Puts each band of an image, clipped to [0, 1] and turned upright, into a plane.

    Args:
        planes: one for each band; from orientation 5 on, as wide as the image is high.
        image: with the bands.
        orientation: the EXIF tag, 1 (upright) to 8.

    Raises:
        pyvips.Error: the file is damaged.
    """
    views = [_stored(plane, orientation) for plane in planes]
    top = 0
    for strip in _gathered(strips(image)) if orientation >= 5 else strips(image):
        for band, view in enumerate(views):
            np.clip(strip[:, :, band], 0, 1, out=view[top : top + len(strip)])
        top += len(strip)


def planes_of(image: Any, new: New = in_memory) -> Float32[np.ndarray, "bands height width"]:
    """Returns the values of an image, clipped to [0, 1], channels first.

    Args:
        image: with the values.
        new: makes the array that they are put in.
    """
    planes = new((image.bands, image.height, image.width))
    fill([*planes], image)
    return planes


def image_of(planes: Sequence[Float[np.ndarray, "height width"]]) -> Any:
    """Makes an image of planes, one band each, over their memory: gray, or sRGB from 3 bands on.

    Example:
        >>> image = image_of([np.zeros((4, 5), np.float32)] * 3)
        >>> image.width, image.height, image.bands
        (5, 4, 3)
    """
    bands = [pyvips.Image.new_from_array(np.ascontiguousarray(plane)) for plane in planes]
    image = bands[0].bandjoin(bands[1:]) if len(bands) > 1 else bands[0]
    return image.copy(interpretation="srgb" if len(bands) >= 3 else "b-w")


def _stored(
    plane: Float32[np.ndarray, "height width"], orientation: int
) -> Float32[np.ndarray, "rows columns"]:
    """Views a plane as the file stores it, so that copying what is stored leaves it upright."""
    view = plane.T if orientation >= 5 else plane
    down = -1 if orientation in (3, 4, 6, 7) else 1
    across = -1 if orientation in (2, 3, 7, 8) else 1
    return view[::down, ::across]


def _gathered(
    strips: Iterator[Float32[np.ndarray, "rows width bands"]],
) -> Iterator[Float32[np.ndarray, "rows width bands"]]:
    """Joins strips to higher ones, for rows that become columns touch all memory of a plane."""
    held: list[np.ndarray] = []
    for strip in strips:
        held.append(strip)
        if sum(part[:, :, 0].size for part in held) >= _GATHERED:
            yield np.concatenate(held)
            held = []
    if held:
        yield np.concatenate(held)
