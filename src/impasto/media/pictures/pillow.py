"""Pictures that libvips has no decoder for, read by Pillow."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np
import pyvips

from impasto.errors import SampleError
from impasto.media.files import StrPath
from impasto.media.pictures import raster
from impasto.system.libraries import library


def load_by_pillow(path: StrPath, name: str) -> Any:
    """Reads a picture as a pyvips image, upright where its format turns it.

    Args:
        path: of the file.
        name: of its format, BMP or HEIC; no other decoder is tried.

    Raises:
        MissingExtraError: Pillow is not installed, or pillow-heif.
        SampleError: the file is damaged.
    """
    pillow = library("PIL.Image", f"for {name} files", "heic" if name == "HEIC" else "pil")
    if name == "HEIC":
        library("pillow_heif", "for HEIC files", "heic").register_heif_opener()
    try:
        with (
            warnings.catch_warnings(action="ignore"),
            pillow.open(path, formats=["HEIF" if name == "HEIC" else name]) as image,
        ):
            raster.check_pixels(image.height, image.width)
            gray = image.mode in ("1", "L")
            has_alpha = image.mode in ("RGBA", "LA") or "transparency" in image.info
            values = np.asarray(image.convert("RGBA" if has_alpha else "L" if gray else "RGB"))
            profile, dpi = image.info.get("icc_profile"), image.info.get("dpi")
    except SampleError:
        raise
    except Exception as error:  # Pillow's decoders raise what they meet
        raise SampleError(
            expected="a picture whole to its end",
            found=f"an error of its decoder: {' '.join(str(error).split())[:80]}",
            remedy="get the file again",
        ) from error
    vips = raster.wrap(np.atleast_3d(values))
    if profile:
        vips = vips.copy()
        vips.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    if dpi:
        vips = vips.copy(xres=float(dpi[0]) / 25.4, yres=float(dpi[1]) / 25.4)
    return vips
