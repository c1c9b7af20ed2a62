"""Size, orientation and color of pyvips images.

Everything here takes and gives images of floats in [0, 1], so that 8 and 16 bits share one path
that rounds nowhere. `image` is a pyvips.Image throughout; pyvips has no types.
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

# More than any camera or scanner makes; a header that claims more is a mistake or an attack.
MOST_PIXELS = 2**30

# How far past 0 or 1 a float may stray: below half a step of 8 bits, so rounding and no more.
_SLACK = 1e-3

_STEPS = {"uchar": 255, "ushort": 65535}
_SIGNATURES = {1: b"GRAY", 3: b"RGB ", 4: b"CMYK"}
_INTENT = {"intent": "relative", "black_point_compensation": True}


def check_pixels(height: int, width: int) -> None:
    """Raises SampleError when a picture of that many pixels is too large to be meant."""
    if height * width > MOST_PIXELS:
        raise SampleError(
            expected=f"at most {MOST_PIXELS} pixels",
            found=f"{width} x {height} = {width * height}",
            remedy="crop it or make it smaller first",
        )


def check_unit_floats(blocks: Iterable[Float[np.ndarray, "..."]]) -> None:
    """Raises SampleError when a value is not finite, or not in [0, 1] up to rounding."""
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


def to_unit(image: Any) -> Any:
    """Floats in [0, 1] for an image of 8 or 16 bits; one of floats holds such already."""
    if image.format in _STEPS:
        return image.linear(1 / _STEPS[image.format], 0)
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


def fitted(image: Any, size: tuple[int, ...], *, has_alpha: bool) -> Any:
    """The image brought to `size`, cropped about its center when both sides are given.

    It stays as it lies: `size` is meant for the picture turned upright by its orientation.
    has_alpha: whether the last band is an alpha, which weighs the colors while they are mixed.
    Raises ConfigError when size is neither one number nor two.
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
        image = resized(image, height, width)
        if has_alpha:
            image = image.unpremultiply(max_alpha=1)
    return image


def orientation(image: Any) -> int:
    """The EXIF orientation, 1 (upright) to 8; 5 and more lie on their side."""
    tag = int(image.get("orientation")) if image.get_typeof("orientation") else 1
    return tag if 1 <= tag <= 8 else 1


def upright_space(image: Any) -> tuple[int, int]:
    """(height, width) once the orientation is applied."""
    space = image.height, image.width
    return space[::-1] if orientation(image) >= 5 else space


def _cropped(image: Any, height: int, width: int) -> Any:
    """The largest centered part with the aspect height : width."""
    scale = min(image.height / height, image.width / width)
    rows = min(image.height, max(1, round(height * scale)))
    columns = min(image.width, max(1, round(width * scale)))
    return image.crop((image.width - columns) // 2, (image.height - rows) // 2, columns, rows)


def resized(image: Any, height: int, width: int) -> Any:
    """The image over another grid: Lanczos where it shrinks, bicubic where it grows.

    Both overshoot at sharp edges; the caller clips.
    """
    across, down = width / image.width, height / image.height
    if min(across, down) < 1:
        image = image.resize(min(across, 1), vscale=min(down, 1), kernel="lanczos3")
    if max(across, down) > 1:
        # Enlarging with pyvips' resize shifts the picture by up to half a pixel; here centers
        # map to centers.
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
    """The embedded ICC profile, None when there is none or it is for another number of colors."""
    if not image.get_typeof("icc-profile-data"):
        return None
    profile = bytes(image.get("icc-profile-data"))
    if profile[36:40] != b"acsp" or profile[16:20] != _SIGNATURES[colors]:
        return None
    return profile


def to_srgb(image: Any, profile: bytes | None) -> Any:
    """sRGB from the space of the embedded `profile`; CMYK without one is taken for SWOP-like ink.

    image: 1, 3 or 4 bands, no alpha. Gray without a profile stays one band.
    """
    ink = image.bands == 4
    if profile is None and not ink:
        return image
    kind = {1: "grey16", 3: "rgb16", 4: "cmyk"}[image.bands]
    deep = image.linear(65535, 0.5).cast("ushort").copy(interpretation=kind)
    converted = deep.icc_transform(
        "srgb",
        embedded=profile is not None,
        input_profile="cmyk" if ink else "srgb",
        depth=16,
        **_INTENT,
    )
    return converted.linear(1 / 65535, 0)


def from_srgb(image: Any, profile: bytes, bits: int) -> Any:
    """Integers in the space of an RGB profile, which the image then carries.

    image: 3 bands of 16 bits, sRGB. Raises pyvips.Error when the profile cannot be written to.
    """
    # pyvips takes profiles to write to by file name only; going through Lab instead would cost
    # up to a step of 8 bits even where the profile is sRGB itself. It reads the file at once.
    with tempfile.TemporaryDirectory() as folder:
        name = os.path.join(folder, "profile.icc")
        with open(name, "wb") as file:
            file.write(profile)
        return image.icc_transform(name, input_profile="srgb", depth=bits, **_INTENT)


def can_write_to(profile: bytes) -> bool:
    """Whether colors can be converted into a profile; cameras' and scanners' may only be read."""
    pixel = wrapped(np.zeros((1, 1, 3), np.uint16))
    try:
        from_srgb(pixel, profile, 8).copy_memory()
    except pyvips.Error:
        return False
    return True


def quantized(image: Any, bits: int) -> Any:
    """Integers of 8 or 16 bits, gray or sRGB, from floats that are clipped to [0, 1]."""
    kind = ("b-w", "grey16", "srgb", "rgb16")[2 * (image.bands >= 3) + (bits == 16)]
    values = image.linear(2**bits - 1, 0).rint()
    return values.cast("ushort" if bits == 16 else "uchar").copy(interpretation=kind)


def wrapped(values: Shaped[np.ndarray, "h w c"]) -> Any:
    """A pyvips image of gray or sRGB, with or without alpha, 8 or 16 bits or floats.

    It is over the memory of the values where those are contiguous.
    """
    kinds = ("grey16", "rgb16") if values.dtype == np.uint16 else ("b-w", "srgb")
    kind = kinds[values.shape[2] >= 3]
    return pyvips.Image.new_from_array(values).copy(interpretation=kind)
