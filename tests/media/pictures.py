"""Pictures to test with, and what PIL makes of a file."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyvips
from PIL import Image

from impasto.media.sample import Sample

LOSSLESS = (".png", ".tif", ".tiff")
P3: bytes = pyvips.Operation.call("profile_load", "p3")
CMYK: bytes = pyvips.Operation.call("profile_load", "cmyk")


def noise(*shape: int, dtype: Any = np.uint8) -> np.ndarray:
    top = np.iinfo(dtype).max + 1
    return np.random.default_rng(0).integers(0, top, shape, dtype=dtype)


def smooth(height: int, width: int) -> np.ndarray:
    """RGB ramps, which JPEG and WebP keep nearly as they are."""
    y, x = np.mgrid[:height, :width]
    planes = [255 * y / max(1, height - 1), 255 * x / max(1, width - 1), 128 + 0 * x]
    return np.stack(planes, axis=2).astype(np.uint8)


def hwc(picture: Sample) -> np.ndarray:
    return np.moveaxis(picture.data, 0, 2)


def pil(path: Path) -> Image.Image:
    """What PIL, our oracle, sees in a file."""
    with Image.open(path) as image:
        image.load()
    return image
