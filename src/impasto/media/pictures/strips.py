"""pyvips images from and into NumPy planes, a few rows at a time.

`image` is a pyvips.Image throughout; pyvips has no types. Values are floats in [0, 1].
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np
import pyvips
from jaxtyping import Float, Float32

from impasto.media.blocks import New, in_memory

# Positions in a strip, and in the rows that are gathered for a picture on its side.
_STRIP = 2**18
_GATHERED = 2**21


def strips(image: Any) -> Iterator[Float32[np.ndarray, "rows width bands"]]:
    """The image's values from top to bottom, once: its decoder runs as they are asked for.

    Raises pyvips.Error where the file is damaged.
    """
    image = image.cast("float")
    # One region all the way, for a pipeline that is run anew for each strip has lost the rows
    # above, which resizing needs.
    region = pyvips.Region.new(image)
    rows = max(8, _STRIP // image.width)
    for top in range(0, image.height, rows):
        count = min(rows, image.height - top)
        values = region.fetch(0, top, image.width, count)
        yield np.frombuffer(values, np.float32).reshape(count, image.width, image.bands)


def fill(
    planes: Sequence[Float32[np.ndarray, "height width"]], image: Any, orientation: int = 1
) -> None:
    """Puts each band of the image, clipped to [0, 1], in a plane, turned upright.

    orientation: the EXIF tag, 1 (upright) to 8; from 5 the planes are as wide as the image is high.
    Raises pyvips.Error where the file is damaged.
    """
    views = [_stored(plane, orientation) for plane in planes]
    top = 0
    for strip in _gathered(strips(image)) if orientation >= 5 else strips(image):
        for band, view in enumerate(views):
            np.clip(strip[:, :, band], 0, 1, out=view[top : top + len(strip)])
        top += len(strip)


def planes_of(image: Any, new: New = in_memory) -> Float32[np.ndarray, "bands height width"]:
    """The image's values, clipped to [0, 1], channels first."""
    planes = new((image.bands, image.height, image.width))
    fill([*planes], image)
    return planes


def image_of(planes: Sequence[Float[np.ndarray, "height width"]]) -> Any:
    """An image over the memory of the planes, one band each: sRGB from three bands on, or gray."""
    bands = [pyvips.Image.new_from_array(np.ascontiguousarray(plane)) for plane in planes]
    image = bands[0].bandjoin(bands[1:]) if len(bands) > 1 else bands[0]
    return image.copy(interpretation="srgb" if len(bands) >= 3 else "b-w")


def _stored(
    plane: Float32[np.ndarray, "height width"], orientation: int
) -> Float32[np.ndarray, "rows columns"]:
    """The plane seen as the file stores it: writing there what is stored leaves it upright."""
    view = plane.T if orientation >= 5 else plane
    down = -1 if orientation in (3, 4, 6, 7) else 1
    across = -1 if orientation in (2, 3, 7, 8) else 1
    return view[::down, ::across]


def _gathered(
    strips: Iterator[Float32[np.ndarray, "rows width bands"]],
) -> Iterator[Float32[np.ndarray, "rows width bands"]]:
    """Higher strips: rows that become columns would touch all of a plane's memory each time."""
    held: list[np.ndarray] = []
    for strip in strips:
        held.append(strip)
        if sum(part[:, :, 0].size for part in held) >= _GATHERED:
            yield np.concatenate(held)
            held = []
    if held:
        yield np.concatenate(held)
