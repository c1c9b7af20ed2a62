"""Pictures from the objects of other libraries: tensors of PyTorch and images of PIL."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyvips

from impasto.errors import SampleError
from impasto.media.blocks import New, in_memory
from impasto.media.pictures import raster
from impasto.media.pictures.picture import Picture, from_array, image_from_array, picture_from_image


def from_tensor(tensor: Any, size: tuple[int, ...] = (0,), new: New = in_memory) -> Picture:
    """Makes a picture of a tensor.

    Args:
        tensor: of shape (channel, height, width), or (1, channel, height, width). Its channels
            and values are those of `from_array`.
        size, new: as for `open_picture`.

    Raises:
        SampleError: the shape or the values are others.
    """
    tensor = tensor.detach().cpu()
    array = np.asarray((tensor.float() if tensor.is_floating_point() else tensor).numpy())
    if array.ndim == 4 and len(array) == 1:
        array = array[0]
    if array.ndim != 3 or array.shape[0] not in (1, 3, 4):
        raise SampleError(
            expected="a tensor of shape (channel, height, width) with 1, 3 or 4 channels",
            found=f"shape {tuple(tensor.shape)}",
            remedy="give one picture, channels first",
        )
    return from_array(np.moveaxis(array, 0, 2), size, new)


def from_pil(image: Any, size: tuple[int, ...] = (0,), new: New = in_memory) -> Picture:
    """Makes a picture of a PIL image of any mode, upright and in sRGB as `open_picture` does.

    Args:
        image: of PIL.
        size, new: as for `open_picture`.

    Raises:
        SampleError: PIL cannot decode it.
    """
    from PIL import ImageOps

    try:
        image = ImageOps.exif_transpose(image)
    except OSError as error:
        raise SampleError(
            expected="a whole picture", found=f"an error of PIL: {error}", remedy="get it again"
        ) from error
    plain = image.mode in ("1", "L", "RGB", "CMYK", "F") or image.mode.startswith("I")
    if image.has_transparency_data or not plain:
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    values = np.asarray(image)
    long = values.dtype in (np.int32, np.uint32)
    vips = raster.wrap(values[:, :, None]) if long else image_from_array(values)
    if image.mode == "CMYK":
        vips = vips.copy(interpretation="cmyk")
    if profile := image.info.get("icc_profile"):
        vips.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    if dpi := image.info.get("dpi"):
        vips = vips.copy(xres=float(dpi[0]) / 25.4, yres=float(dpi[1]) / 25.4)
    return picture_from_image(vips, size, new)
