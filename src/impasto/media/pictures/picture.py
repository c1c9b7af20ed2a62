"""Pictures: JPEG, PNG, TIFF and WebP files, arrays, tensors and PIL images, in and out."""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import contextmanager
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
from impasto.media.pictures.formats import Format, format_for, format_of, load
from impasto.media.pictures.strips import fill, image_of, planes_of, strips
from impasto.media.sample import Sample
from impasto.system.libraries import library

# What our decoders report, in dots per inch, for a file that gives no resolution.
_NO_DPI = {(25, 25), (72, 72)}
_COLOR_SPACES = {"b-w", "grey16", "rgb", "srgb", "rgb16", "scrgb", "cmyk"}
# The APP1 segment of a JPEG, less the name that XMP begins with.
_LONGEST_JPEG_XMP = 65502
_MOST_OPTIMIZED = 2**24


@dataclass(frozen=True, eq=False)
class Picture(Sample):
    """A picture in sRGB, with what its file needs beside the colors.

    data: float32, shape (3, height, width), in [0, 1].
    alpha: float32, shape (height, width), in [0, 1], not multiplied into the colors; or None.
    bits: 8 or 16, the precision it came with and is saved with where the format can.
    profile: the ICC profile of an RGB file; the result is converted back into it. Or None.
    dpi: dots per inch, (x, y); or None.
    free: where a result may differ from it, None for everywhere; files keep none.
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

    def with_data(self, data: Float32[np.ndarray, "3 height width"]) -> Picture:
        """The same picture with other colors; alpha is resized when they are over another grid."""
        alpha, (height, width) = self.alpha, data.shape[1:]
        if alpha is not None and alpha.shape != (height, width):
            alpha = planes_of(raster.resized(image_of([alpha]), height, width))[0]
        free = self.free if self.space == (height, width) else None
        return replace(self, data=data, alpha=alpha, free=free)


def open_picture(path: StrPath, size: tuple[int, ...] = (0,), new: New = in_memory) -> Picture:
    """Reads a JPEG, PNG, TIFF or WebP file, the first page of several.

    size: one number is the long side, 0 the file's own; two are (height, width), for which the
    picture is cropped about its center. A JPEG or WebP is decoded only as finely as that needs.
    new: makes the arrays that the result is put in, (3, height, width) and (1, height, width) for
    an alpha; beside those, reading takes some rows of memory. (Decoders of progressive JPEG,
    interlaced PNG and WebP keep the whole picture, at two to eight bytes a pixel.)
    The EXIF orientation is applied and colors become sRGB: from the embedded profile; CMYK
    without one from a common press profile; anything else untagged is sRGB or gray already.
    Floats in a TIFF are taken for sRGB in [0, 1].
    Raises SampleError when the file cannot be read to its end, ConfigError when size is neither
    one number nor two.
    """
    with about(os.fspath(path)), _decoding():
        form = format_of(path)
        return _picture(_opened(path, form, size), size, new, lambda: load(path, form))


def picture_grid(path: StrPath, size: tuple[int, ...] = (0,)) -> tuple[int, tuple[int, int]]:
    """The channels and (height, width) that `open_picture` would give, from the header alone.

    Raises as `open_picture` does, but for damage after the header.
    """
    with about(os.fspath(path)), _decoding():
        image = load(path, format_of(path))
        raster.check_pixels(image.height, image.width)
        height, width = fitted_space(raster.upright_space(image), size)
        raster.check_pixels(height, width)
        return 3, (height, width)


def from_array(
    array: Shaped[np.ndarray, "..."], size: tuple[int, ...] = (0,), new: New = in_memory
) -> Picture:
    """A picture from sRGB values of shape (height, width) or (height, width, channel).

    array: uint8, uint16, bool, or floats in [0, 1]; 1 channel is gray, 2 gray and alpha, 3 RGB,
    4 RGB and alpha. size, new: as for `open_picture`.
    Raises SampleError when the shape, the type or the values are something else.
    """
    return _picture(_image(array), size, new)


def from_tensor(tensor: Any, size: tuple[int, ...] = (0,), new: New = in_memory) -> Picture:
    """A picture from a tensor of shape (channel, height, width) or (1, ...).

    channel, types of the values, size, new: as for `from_array`.
    Raises SampleError when the shape or the values are something else.
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
    """A picture from a PIL image of any mode, upright and in sRGB as `open_picture` makes it.

    Raises SampleError when PIL cannot decode it, or its values are 32-bit integers.
    """
    from PIL import ImageOps

    try:
        image = ImageOps.exif_transpose(image)
    except OSError as error:
        raise SampleError(
            expected="a whole picture", found=f"that PIL says: {error}", remedy="get it again"
        ) from error
    plain = image.mode in ("1", "L", "RGB", "CMYK", "F") or image.mode.startswith("I")
    if image.has_transparency_data or not plain:
        image = image.convert("RGBA" if image.has_transparency_data else "RGB")
    vips = _image(np.asarray(image))
    if image.mode == "CMYK":
        vips = vips.copy(interpretation="cmyk")
    if profile := image.info.get("icc_profile"):
        vips.set_type(pyvips.GValue.blob_type, "icc-profile-data", profile)
    if dpi := image.info.get("dpi"):
        vips = vips.copy(xres=float(dpi[0]) / 25.4, yres=float(dpi[1]) / 25.4)
    return _picture(vips, size, new)


def as_pil(sample: Sample) -> Any:
    """A picture as a PIL image, RGB or RGBA, of 8 bits a channel, in sRGB.

    Raises SampleError for what is no picture, MissingExtraError where Pillow is not installed.
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
    """The picture brought to `size`, as `open_picture` does; itself when it has that already."""
    if picture.space == fitted_space(picture.space, size):
        return picture
    planes = [*picture.data] if picture.alpha is None else [*picture.data, picture.alpha]
    fitted = _picture(image_of(planes).clamp(), size, new)
    return replace(picture, data=fitted.data, alpha=fitted.alpha, free=None)


def check_suffix(path: StrPath, space: tuple[int, ...] = ()) -> None:
    """Raises OutputError when `save_picture` has no format for the suffix, or none that large.

    space: (height, width), where it is known.
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
    """Writes the picture whole or not at all, in the format of the suffix.

    16 bits stay 16 in PNG and TIFF. Colors go back into the picture's profile, which is embedded;
    without one the file is sRGB and carries none. JPEG has no alpha: the picture is laid on white.
    recipe: text without control characters, such as JSON, kept in the file for `read_recipe`.
    Raises OutputError when the suffix is unknown, the format cannot hold the picture, or the file
    cannot be written.
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
    with atomic_write(path) as file, _encoding(path, form):
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
    """The recipe that `save_picture` put in a file, None when it has none.

    Raises SampleError when the file is no picture.
    """
    with about(os.fspath(path)), _decoding():
        image = load(path, format_of(path))
        if not image.get_typeof("xmp-data"):
            return None
        return xmp.recipe_in(bytes(image.get("xmp-data")))


def has_recipe(path: StrPath) -> bool:
    """Whether a file is a picture that was written here."""
    try:
        return read_recipe(path) is not None
    except SampleError:
        return False


def _opened(path: StrPath, form: Format, size: tuple[int, ...]) -> Any:
    """The image of a file, with the decoder shrinking it to no less than twice the size asked."""
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


def _image(array: Shaped[np.ndarray, "..."]) -> Any:
    """The pyvips image of an array of shape (height, width[, channel])."""
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
    return raster.wrapped(array)


def _picture(
    image: Any, size: tuple[int, ...], new: New, again: Callable[[], Any] | None = None
) -> Picture:
    """The picture in a pyvips image: upright, sized, in sRGB.

    again: opens the image anew where it can be read only once, as files can.
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
    if raster.has_floats(image):
        raster.check_unit_floats(strips(again() if again else image))
    image = raster.fitted(raster.to_unit(image), size, has_alpha=has_alpha)
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


def _encodable(picture: Picture, form: Format, bits: int) -> Any:
    """The pyvips image to encode: integers, in the picture's profile, alpha last."""
    image = image_of([*picture.data])
    alpha = None if picture.alpha is None else image_of([picture.alpha])
    if alpha is not None and not form.alpha:
        image, alpha = image * alpha + (1 - alpha), None
    deep = bits == 16 or picture.profile is not None
    image = raster.quantized(image, 16 if deep else 8)
    if picture.profile is not None:
        image = raster.from_srgb(image, picture.profile, bits)
    if alpha is not None:
        image = image.bandjoin(raster.quantized(alpha, bits))
    x, y = picture.dpi or (72.0, 72.0)
    return image.copy(xres=x / 25.4, yres=y / 25.4)


@contextmanager
def _decoding() -> Iterator[None]:
    try:
        yield
    except pyvips.Error as error:
        raise SampleError(
            expected="a picture whole to its end",
            found=f"damage where its decoder says: {_reason(error)}",
            remedy="get the file again",
        ) from error


@contextmanager
def _encoding(path: StrPath, form: Format) -> Iterator[None]:
    try:
        yield
    except pyvips.Error as error:
        _raise_if_full(error)
        raise OutputError(
            subject=os.fspath(path),
            expected=f"a picture that {form.name} can hold",
            found=f"that its encoder says: {_reason(error)}",
            remedy="save it as .png",
        ) from error


def _raise_if_full(error: pyvips.Error) -> None:
    """Raises the OSError of a disk, which pyvips hands on in words only."""
    for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
        if os.strerror(code) in str(error):
            raise OSError(code, os.strerror(code)) from error


def _reason(error: pyvips.Error) -> str:
    """The first of the lines that libvips has for an error."""
    lines = str(error.detail or error.message).strip().splitlines()
    return lines[0] if lines else "nothing"
