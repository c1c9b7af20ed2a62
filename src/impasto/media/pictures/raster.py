"""Size, orientation and color of pyvips images.

Images are floats in [0, 1] from `to_unit` to `quantize`, so that 8 and 16 bits share one path
that rounds nowhere. `image` is always a pyvips.Image; pyvips has no types.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable
from typing import Any

import numpy as np
import pyvips
from jaxtyping import Float, Shaped

from impasto.errors import SampleError
from impasto.grids.geometry import fitted_space
from impasto.media.blocks import count_non_finite

# More pixels than any camera or scanner makes; a header that claims more is a mistake or an attack.
MOST_PIXELS = 2**30

# How far a float may lie below 0 or above 1: less than half a step of 8 bits, as rounding does.
_SLACK = 1e-3

_STEPS = {"uchar": 255, "ushort": 65535}
_SIGNATURES = {1: b"GRAY", 3: b"RGB ", 4: b"CMYK"}
_INTENT = {"intent": "relative", "black_point_compensation": True}


def check_pixels(height: int, width: int) -> None:
    """Refuses a picture with more than `MOST_PIXELS`.

    Raises:
        SampleError: it has more.
    """
    if height * width > MOST_PIXELS:
        raise SampleError(
            expected=f"at most {MOST_PIXELS} pixels",
            found=f"{width} x {height} = {width * height}",
            remedy="crop it or make it smaller first",
        )


def check_unit_floats(blocks: Iterable[Float[np.ndarray, "..."]]) -> None:
    """Refuses values that are not finite, or not in [0, 1] up to rounding.

    Args:
        blocks: of the values.

    Raises:
        SampleError: there are such values.
    """
    low, high, bad = np.inf, -np.inf, 0
    for values in blocks:
        bad += count_non_finite(values)
        low = min(low, float(values.min()))
        high = max(high, float(values.max()))
    if bad:
        raise SampleError(
            expected="finite values",
            found=f"{bad} that are NaN or infinite",
            remedy="replace them first",
        )
    if low < -_SLACK or high > 1 + _SLACK:
        remedy = "divide by 255" if low >= 0 and 2 < high <= 255 else "bring them to [0, 1]"
        raise SampleError(
            expected="floats in [0, 1]",
            found=f"values from {low:.4g} to {high:.4g}",
            remedy=f"{remedy}, or give 8- or 16-bit integers",
        )


def to_unit(image: Any, full: float | None = None) -> Any:
    """Returns floats in [0, 1] for an image of integers, or of such floats.

    Args:
        image: with the values.
        full: the value that becomes 1; None for the largest of 8 or 16 bits.

    Raises:
        SampleError: the image has other values.
    """
    if full := full or _STEPS.get(image.format):
        return image.linear(1 / full, 0)
    if not has_floats(image):
        raise SampleError(
            expected="8- or 16-bit integers, or floats in [0, 1]",
            found=f"{image.format} values",
            remedy="convert it first",
        )
    return image.cast("float")


def has_floats(image: Any) -> bool:
    """Whether the values of the image are floats."""
    return image.format in ("float", "double")


def has_long_integers(image: Any) -> bool:
    """Whether the values of the image are integers of 32 bits."""
    return image.format in ("int", "uint")


def full_scale(blocks: Iterable[Float[np.ndarray, "..."]], *, signed: bool) -> int:
    """Returns the value of 32-bit integers that is white: the largest of 8, 16 or all bits.

    Programs save pictures of 8 and 16 bits so, and nothing in the file says how many there were.

    Args:
        blocks: of the values.
        signed: whether the type has negative numbers.

    Raises:
        SampleError: there are values below 0.
    """
    low, high = np.inf, 0.0
    for values in blocks:
        low, high = min(low, float(values.min())), max(high, float(values.max()))
    if low < 0:
        raise SampleError(
            expected="values from 0 up", found=f"{low:g}", remedy="bring them to 8 or 16 bits"
        )
    return next(full for full in (255, 65535, 2**31 if signed else 2**32) if high <= full)


def fit(image: Any, size: tuple[int, ...], *, has_alpha: bool) -> Any:
    """Brings an image to a size, cropped about its center where both sides are given.

    Args:
        image: stays as it lies.
        size: of the picture turned upright by its orientation; one number is the long side.
        has_alpha: whether the last band is an alpha, which weighs the colors that are mixed.

    Raises:
        ConfigError: the size is neither one number nor two.
        SampleError: it has too many pixels.
    """
    turned = orientation(image) >= 5
    height, width = fitted_space(upright_space(image), size)
    check_pixels(height, width)
    if turned:
        height, width = width, height
    if len(size) > 1:
        image = _cropped(image, height, width)
    if (height, width) != (image.height, image.width):
        if has_alpha:
            image = image.premultiply(max_alpha=1)
        image = resize(image, height, width)
        if has_alpha:
            image = image.unpremultiply(max_alpha=1)
    return image


def orientation(image: Any) -> int:
    """Returns the EXIF orientation, 1 (upright) to 8; from 5 on, the image lies on its side."""
    tag = int(image.get("orientation")) if image.get_typeof("orientation") else 1
    return tag if 1 <= tag <= 8 else 1


def upright_space(image: Any) -> tuple[int, int]:
    """Returns (height, width) of the image turned upright by its orientation."""
    space = image.height, image.width
    return space[::-1] if orientation(image) >= 5 else space


def _cropped(image: Any, height: int, width: int) -> Any:
    """Cuts out the largest centered part with the aspect height : width."""
    scale = min(image.height / height, image.width / width)
    rows = min(image.height, max(1, round(height * scale)))
    columns = min(image.width, max(1, round(width * scale)))
    return image.crop((image.width - columns) // 2, (image.height - rows) // 2, columns, rows)


def resize(image: Any, height: int, width: int) -> Any:
    """Brings an image to another grid: by Lanczos where it shrinks, bicubic where it grows.

    Both overshoot at sharp edges; the caller clips.
    """
    across, down = width / image.width, height / image.height
    if min(across, down) < 1:
        image = image.resize(min(across, 1), vscale=min(down, 1), kernel="lanczos3")
    if max(across, down) > 1:
        # pyvips' resize shifts a picture that it enlarges by up to half a pixel; here centers map
        # to centers.
        image = image.affine(
            [max(across, 1), 0, 0, max(down, 1)],
            interpolate=pyvips.Interpolate.new("bicubic"),
            idx=0.5,
            idy=0.5,
            odx=-0.5,
            ody=-0.5,
            oarea=[0, 0, width, height],
            extend="copy",
        )
    return image


def profile_of(image: Any, colors: int) -> bytes | None:
    """Returns the embedded ICC profile, None where there is none for that number of colors."""
    if not image.get_typeof("icc-profile-data"):
        return None
    profile = bytes(image.get("icc-profile-data"))
    if profile[36:40] != b"acsp" or profile[16:20] != _SIGNATURES[colors]:
        return None
    return profile


def to_srgb(image: Any, profile: bytes | None) -> Any:
    """Brings an image from the space of its embedded profile to sRGB.

    Args:
        image: of 1, 3 or 4 bands, without alpha. Gray without a profile stays one band.
        profile: of the image; CMYK without one is taken for ink like SWOP.
    """
    ink = image.bands == 4
    if profile is None and not ink:
        return image
    colors = {1: "grey16", 3: "rgb16", 4: "cmyk"}[image.bands]
    deep = image.linear(65535, 0.5).cast("ushort").copy(interpretation=colors)
    srgb = deep.icc_transform(
        "srgb",
        embedded=profile is not None,
        input_profile="cmyk" if ink else "srgb",
        depth=16,
        **_INTENT,
    )
    return srgb.linear(1 / 65535, 0)


def from_srgb(image: Any, profile: bytes, bits: int) -> Any:
    """Brings an image from sRGB to the space of an RGB profile, which it then carries.

    Args:
        image: of 3 bands of 16 bits, sRGB.
        profile: of RGB.
        bits: of the result, 8 or 16.

    Raises:
        pyvips.Error: the profile is for reading only.
    """
    # pyvips takes profiles to write to by file name only; going through Lab instead would cost
    # up to a step of 8 bits even where the profile is sRGB itself. It reads the file at once.
    with tempfile.TemporaryDirectory() as folder:
        name = os.path.join(folder, "profile.icc")
        with open(name, "wb") as file:
            file.write(profile)
        return image.icc_transform(name, input_profile="srgb", depth=bits, **_INTENT)


def can_write_to(profile: bytes) -> bool:
    """Whether colors can be brought to a profile; those of cameras are often for reading only."""
    pixel = wrap(np.zeros((1, 1, 3), np.uint16))
    try:
        from_srgb(pixel, profile, 8).copy_memory()
    except pyvips.Error:
        return False
    return True


def quantize(image: Any, bits: int) -> Any:
    """Rounds floats, clipped to [0, 1], to integers of 8 or 16 bits, gray or sRGB."""
    colors = ("b-w", "grey16", "srgb", "rgb16")[2 * (image.bands >= 3) + (bits == 16)]
    values = image.linear(2**bits - 1, 0).rint()
    return values.cast("ushort" if bits == 16 else "uchar").copy(interpretation=colors)


def wrap(values: Shaped[np.ndarray, "h w c"]) -> Any:
    """Makes a pyvips image of gray or sRGB values, over their memory where it is contiguous.

    Example:
        >>> wrap(np.zeros((4, 5, 3), np.uint8)).interpretation
        'srgb'

    Args:
        values: of 8 or 16 bits, or floats, with or without alpha.
    """
    gray, rgb = ("grey16", "rgb16") if values.dtype == np.uint16 else ("b-w", "srgb")
    image = pyvips.Image.new_from_array(values)
    return image.copy(interpretation=rgb if values.shape[2] >= 3 else gray)
