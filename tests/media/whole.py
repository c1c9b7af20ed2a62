"""Pictures read and written whole in memory: the plain way, against which strips are held."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pyvips

from impasto.media.pictures import raster
from impasto.media.pictures.formats import format_for
from impasto.media.pictures.picture import Picture


def read(path: Path, size: tuple[int, ...]) -> np.ndarray:
    """The planes of a file, alpha last, every step of the way at once in memory."""
    image = pyvips.Image.new_from_file(str(path)).copy_memory()
    colors = 1 if image.bands < 3 else 3
    has_alpha = image.bands > colors
    profile = raster.profile_of(image, colors)
    image = raster.fit(raster.to_unit(image).copy_memory(), size, has_alpha=has_alpha)
    image = image.copy_memory().autorot()
    values = np.atleast_3d(raster.to_srgb(image[:colors], profile).numpy())
    if has_alpha:
        values = np.concatenate([values, np.atleast_3d(image[colors].numpy())], axis=2)
    if colors == 1:
        values = np.concatenate([values[..., :1]] * 2 + [values], axis=2)
    planes: np.ndarray = np.clip(np.moveaxis(values, 2, 0), 0, 1)
    return planes.astype(np.float32)


def encoded(picture: Picture, suffix: str) -> bytes:
    """The file of a picture without profile and recipe, made in memory."""
    form = format_for(f"a{suffix}")
    data, alpha = picture.data, picture.alpha
    if alpha is not None and not form.alpha:
        data, alpha = data * alpha + (1 - alpha), None
    planes = data if alpha is None else np.concatenate([data, alpha[None]])
    deep = picture.bits == 16 and form.deep
    steps, dtype = (65535, np.uint16) if deep else (255, np.uint8)
    values = np.rint(np.clip(np.moveaxis(planes, 0, 2), 0, 1) * steps)
    image = raster.wrap(np.ascontiguousarray(values, dtype=dtype))
    x, y = picture.dpi or (72.0, 72.0)
    image = image.copy(xres=x / 25.4, yres=y / 25.4)
    options: dict[str, Any] = dict(form.options)
    if form.name == "JPEG":
        options["optimize_coding"] = True
    return bytes(getattr(image, f"{form.vips}save_buffer")(**options))
