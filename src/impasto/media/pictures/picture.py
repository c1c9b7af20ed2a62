"""Pictures: files in the formats of `formats`, and arrays, in and out."""

from __future__ import annotations

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import pyvips
from jaxtyping import Bool, Float32, Shaped

from impasto.errors import OutputError, SampleError, about
from impasto.grids.geometry import fitted_space
from impasto.media.blocks import New, in_memory
from impasto.media.files import StrPath, atomic_write
from impasto.media.pictures import raster, xmp
from impasto.media.pictures.damage import decoding_picture, encoding_picture
from impasto.media.pictures.formats import (
    PictureFormat,
    format_for,
    format_of_contents,
    load,
    pictures_in_file,
)
from impasto.media.pictures.strips import fill, image_of, planes_of, strips
from impasto.media.sample import Sample
from impasto.system.libraries import library

logger = logging.getLogger(__name__)

# What our decoders report, in dots per inch, for a file that gives no resolution.
_NO_DPI = {(25, 25), (72, 72)}
_COLOR_SPACES = {"b-w", "grey16", "rgb", "srgb", "rgb16", "scrgb", "cmyk"}
# The APP1 segment of a JPEG, less the name that XMP begins with.
_LONGEST_JPEG_XMP = 65502
_MOST_OPTIMIZED = 2**24


@dataclass(frozen=True, eq=False)
class Picture(Sample):
    """A picture in sRGB, with what its file needs beside the colors.

    Attributes:
        data: float32, shape (3, height, width), in [0, 1].
        alpha: float32, shape (height, width), in [0, 1], not multiplied into the colors; or None.
        bits: 8 or 16, the precision it came in, and is saved in where the format can.
        profile: the ICC profile of an RGB file, to which the result returns; or None.
        dpi: dots per inch, (x, y); or None.
        free: where a result may differ from it, None for everywhere; files keep none.

    Raises:
        SampleError: these do not fit together.
    """

    value_range: tuple[float, float] | None = (0.0, 1.0)
    alpha: Float32[np.ndarray, "height width"] | None = None
    bits: int = 8
    profile: bytes | None = None
    dpi: tuple[float, float] | None = None
    free: Bool[np.ndarray, "height width"] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        alpha = self.space if self.alpha is None else self.alpha.shape
        if self.dims != 2 or len(self.data) != 3 or alpha != self.space:
            raise SampleError(
                expected="3 channels of rows and columns, and alpha over the same",
                found=f"shapes {self.data.shape} and {alpha}",
                remedy="make pictures with impasto.media.load or as_sample",
            )

    @property
    def weight(self) -> Float32[np.ndarray, "height width"] | None:
        """The alpha: transparent pixels count nothing; None where there are none."""
        return None if self.alpha is None or self.alpha.min() == 1 else self.alpha

    def with_data(self, data: Float32[np.ndarray, "3 height width"]) -> Picture:
        """Returns the picture with other colors; another grid of them resizes the alpha."""
        alpha, (height, width) = self.alpha, data.shape[1:]
        if alpha is not None and alpha.shape != (height, width):
            alpha = planes_of(raster.resize(image_of([alpha]), height, width))[0]
        free = self.free if self.space == (height, width) else None
        return replace(self, data=data, alpha=alpha, free=free)


def open_picture(path: StrPath, size: tuple[int, ...] = (0,), new: New = in_memory) -> Picture:
    """Reads a picture file; of several pages or frames the first, which is logged.

    The EXIF orientation is applied. Colors become sRGB: from the embedded profile; CMYK without
    one from a common press profile; anything else without a profile is sRGB or gray already.
    Floats in a TIFF are taken for sRGB in [0, 1], integers of 32 bits for as few bits as they need:
    8, 16, or all.

    Args:
        path: of the file.
        size: one number is the long side, 0 the file's own; two are (height, width), for which
            the picture is cropped about its center. A JPEG or WebP is decoded only as finely as
            that needs.
        new: makes the arrays that the values are put in, of shape (3, height, width), and
            (1, height, width) for an alpha. Beside those, reading takes some rows of memory;
            decoders of progressive JPEG, interlaced PNG and WebP keep the whole picture, at two
            to eight bytes a pixel.

    Raises:
        SampleError: the file cannot be read to its end.
        ConfigError: the size is neither one number nor two.
    """
    with about(os.fspath(path)), decoding_picture():
        form = format_of_contents(path)
        image = _opened(path, form, size)
        if (count := pictures_in_file(path, image)) > 1:
            name = os.path.basename(path)
            logger.info("%s holds %d pictures: the first is used", name, count)
        return picture_from_image(image, size, new, lambda: load(path, form))


def picture_grid(path: StrPath, size: tuple[int, ...] = (0,)) -> tuple[int, tuple[int, int]]:
    """Returns the channels and (height, width) of what `open_picture` would give, by the header.

    Raises:
        SampleError, ConfigError: as `open_picture` does, but for damage after the header.
    """
    with about(os.fspath(path)), decoding_picture():
        image = load(path, format_of_contents(path))
        raster.check_pixels(image.height, image.width)
        height, width = fitted_space(raster.upright_space(image), size)
        raster.check_pixels(height, width)
        return 3, (height, width)


def from_array(
    array: Shaped[np.ndarray, "..."], size: tuple[int, ...] = (0,), new: New = in_memory
) -> Picture:
    """Makes a picture of sRGB values in an array.

    Example:
        >>> from_array(np.full((4, 5), 255, np.uint8)).data.shape
        (3, 4, 5)

    Args:
        array: of shape (height, width) or (height, width, channel); uint8, uint16, bool, or
            floats in [0, 1]. 1 channel is gray, 2 are gray and alpha, 3 RGB, 4 RGB and alpha.
        size, new: as for `open_picture`.

    Raises:
        SampleError: the shape, the type or the values are others.
    """
    return picture_from_image(image_from_array(array), size, new)


def as_pil(sample: Sample) -> Any:
    """Makes a PIL image of a picture: RGB or RGBA, of 8 bits a channel, in sRGB.

    Raises:
        SampleError: the sample is no picture.
        MissingExtraError: Pillow is not installed.
    """
    if not isinstance(sample, Picture):
        raise SampleError(
            expected="a picture",
            found=f"a {type(sample).__name__} of shape {sample.data.shape}",
            remedy="take its numpy() or its tensor()",
        )
    pillow = library("PIL.Image", "for PIL images", "pil")
    planes = [*sample.data] if sample.alpha is None else [*sample.data, sample.alpha]
    return pillow.fromarray(np.rint(255 * np.stack(planes, axis=2)).astype(np.uint8))


def fit_picture(picture: Picture, size: tuple[int, ...], new: New = in_memory) -> Picture:
    """Brings a picture to a size, as `open_picture` does.

    Example:
        >>> fit_picture(from_array(np.zeros((40, 50), np.uint8)), (10,)).space
        (8, 10)

    Args:
        picture: returned as it is where it has the size already.
        size, new: as for `open_picture`.
    """
    if picture.space == fitted_space(picture.space, size):
        return picture
    planes = [*picture.data] if picture.alpha is None else [*picture.data, picture.alpha]
    resized = picture_from_image(image_of(planes).clamp(), size, new)
    return replace(picture, data=resized.data, alpha=resized.alpha, free=None)


def check_suffix(path: StrPath, space: tuple[int, ...] = ()) -> None:
    """Refuses a suffix of no picture format, and a picture that is too large for the format.

    Args:
        path: of the file to be written.
        space: (height, width), where it is known.

    Raises:
        OutputError: `save_picture` could not write it.
    """
    form = format_for(path)
    if max(space, default=0) > form.longest:
        raise OutputError(
            subject=os.fspath(path),
            expected=f"sides of at most {form.longest} pixels for {form.name}",
            found=f"a picture of {space[1]} x {space[0]}",
            remedy="save it as .png or .tiff",
        )


def save_picture(picture: Picture, path: StrPath, recipe: str | None = None) -> None:
    """Writes a picture, whole or not at all, in the format of the suffix.

    16 bits stay 16 in PNG and TIFF. Colors return to the picture's profile, which is embedded;
    without one the file is sRGB and has none. JPEG has no alpha: the picture is laid on white.

    Args:
        picture: to be written.
        path: of the file.
        recipe: text without control characters, such as JSON, kept in the file for `read_recipe`.

    Raises:
        OutputError: the suffix is unknown, the format cannot hold the picture, or the file cannot
            be written.
    """
    check_suffix(path, picture.space)
    form = format_for(path)
    bits = picture.bits if form.deep else 8
    packet = None if recipe is None else xmp.packet_with(recipe)
    if packet and form.name == "JPEG" and len(packet) > _LONGEST_JPEG_XMP:
        raise OutputError(
            subject=os.fspath(path),
            expected=f"a recipe of at most {_LONGEST_JPEG_XMP} bytes in a JPEG",
            found=f"{len(packet)}",
            remedy="save it as .png, .tiff or .webp",
        )
    with atomic_write(path) as file, encoding_picture(path, form):
        image = _encodable(picture, form, bits)
        if packet:
            image.set_type(pyvips.GValue.blob_type, "xmp-data", packet)
        options = dict(form.options)
        pixels = image.width * image.height
        if form.name == "TIFF":
            options["bigtiff"] = pixels * image.bands * bits // 8 > 2**31
        if form.name == "JPEG":
            # Codes made for the picture (some 7 % shorter) need all of it in memory first.
            options["optimize_coding"] = pixels <= _MOST_OPTIMIZED
        save = getattr(image, f"{form.vips}save_target")
        save(pyvips.Target.new_to_descriptor(file.fileno()), **options)


def read_recipe(path: StrPath) -> str | None:
    """Returns the recipe that `save_picture` put into a file, None where it has none.

    Raises:
        SampleError: the file is no picture.
    """
    with about(os.fspath(path)), decoding_picture():
        image = load(path, format_of_contents(path))
        if not image.get_typeof("xmp-data"):
            return None
        return xmp.recipe_in(bytes(image.get("xmp-data")))


def has_recipe(path: StrPath) -> bool:
    """Whether a file is a picture that this package wrote."""
    try:
        return read_recipe(path) is not None
    except SampleError:
        return False


def _opened(path: StrPath, form: PictureFormat, size: tuple[int, ...]) -> Any:
    """Opens a file; its decoder shrinks it, to no less than twice the size that is asked for."""
    image = load(path, form)
    raster.check_pixels(image.height, image.width)
    space = raster.upright_space(image)
    spare = min(own / side for own, side in zip(space, fitted_space(space, size), strict=True))
    shrink = next((factor for factor in (8, 4, 2) if spare >= 2 * factor), 1)
    if shrink > 1 and form.name == "JPEG":
        return load(path, form, shrink=shrink)
    if shrink > 1 and form.name == "WebP":
        return load(path, form, scale=1 / shrink)
    return image


def image_from_array(array: Shaped[np.ndarray, "..."]) -> Any:
    """Makes a pyvips image of an array as `from_array` takes it.

    Raises:
        SampleError: the shape or the type is another.
    """
    if array.ndim == 2:
        array = array[:, :, None]
    if array.ndim != 3 or 0 in array.shape or array.shape[2] not in (1, 2, 3, 4):
        raise SampleError(
            expected="an array of shape (height, width) or (height, width, 1, 3 or 4)",
            found=f"shape {array.shape}",
            remedy="give one picture, channels last",
        )
    raster.check_pixels(*array.shape[:2])
    if array.dtype == np.bool_:
        array = array.astype(np.uint8) * np.uint8(255)
    elif np.issubdtype(array.dtype, np.floating):
        array = array.astype(np.float32, copy=False)
    elif array.dtype.newbyteorder("=") not in (np.uint8, np.uint16):
        raise SampleError(
            expected="uint8, uint16, bool or floats in [0, 1]",
            found=f"{array.dtype}",
            remedy="convert it first",
        )
    array = np.ascontiguousarray(array, dtype=array.dtype.newbyteorder("="))
    return raster.wrap(array)


def picture_from_image(
    image: Any, size: tuple[int, ...], new: New, again: Callable[[], Any] | None = None
) -> Picture:
    """Makes a picture of a pyvips image: upright, of the size, in sRGB.

    Args:
        image: of pyvips.
        size, new: as for `open_picture`.
        again: opens the image anew, where it can be read only once, as a file.

    Raises:
        SampleError: its colors or its values are others than a picture's.
    """
    colors = 4 if image.interpretation == "cmyk" else 1 if image.bands < 3 else 3
    if image.interpretation not in _COLOR_SPACES or image.bands > colors + 1:
        raise SampleError(
            expected="gray, RGB or CMYK, with or without alpha",
            found=f"{image.bands} channels of {image.interpretation}",
            remedy="convert it to RGB first",
        )
    has_alpha = image.bands > colors
    profile = raster.profile_of(image, colors)
    bits = 8 if image.format == "uchar" else 16
    dpi = image.xres * 25.4, image.yres * 25.4
    orientation = raster.orientation(image)
    full = None
    if raster.has_floats(image):
        raster.check_unit_floats(strips(again() if again else image))
    elif raster.has_long_integers(image):
        values = strips(again() if again else image)
        full = raster.full_scale(values, signed=image.format == "int")
        bits = 8 if full == 255 else 16
    image = raster.fit(raster.to_unit(image, full), size, has_alpha=has_alpha)
    color = raster.to_srgb(image[:colors], profile)
    space = raster.upright_space(image)
    data = new((3, *space))
    planes = [*data[: color.bands]]
    gray = color.bands == 1
    alpha = None
    if has_alpha:
        alpha = new((1, *space))[0]
        planes.append(alpha)
        color = color.bandjoin(image[colors])
    fill(planes, color, orientation)
    if gray:
        data[1:] = data[0]
    return Picture(
        data=data,
        alpha=alpha,
        bits=bits,
        profile=profile if profile and colors == 3 and raster.can_write_to(profile) else None,
        dpi=None if (round(dpi[0]), round(dpi[1])) in _NO_DPI else dpi,
    )


def _encodable(picture: Picture, form: PictureFormat, bits: int) -> Any:
    """Makes the pyvips image to encode: integers, in the picture's profile, alpha last."""
    image = image_of([*picture.data])
    alpha = None if picture.alpha is None else image_of([picture.alpha])
    if alpha is not None and not form.alpha:
        image, alpha = image * alpha + (1 - alpha), None
    deep = bits == 16 or picture.profile is not None
    image = raster.quantize(image, 16 if deep else 8)
    if picture.profile is not None:
        image = raster.from_srgb(image, picture.profile, bits)
    if alpha is not None:
        image = image.bandjoin(raster.quantize(alpha, bits))
    x, y = picture.dpi or (72.0, 72.0)
    return image.copy(xres=x / 25.4, yres=y / 25.4)
