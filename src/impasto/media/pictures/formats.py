"""The picture formats: the one a name asks for, the one a file is in, and their options."""

from __future__ import annotations

import os
import re
from typing import Any, NamedTuple

import pyvips

from impasto.errors import OutputError, SampleError
from impasto.media.files import StrPath, open_regular
from impasto.media.pictures.pillow import load_by_pillow


class PictureFormat(NamedTuple):
    """One file format, and how pyvips handles it.

    Attributes:
        name: of the format.
        suffixes: of its files.
        magic: how its files begin.
        vips: the stem of the names of pyvips' operations on it.
        options: of the operation that saves.
        longest: the most pixels along a side.
        deep: whether it holds 16 bits.
        alpha: whether it holds alpha.
        written: whether it is written here.
    """

    name: str
    suffixes: tuple[str, ...]
    magic: re.Pattern[bytes]
    vips: str
    options: dict[str, Any]
    longest: int
    deep: bool
    alpha: bool
    written: bool = True


_READ_ONLY: dict[str, Any] = {
    "options": {},
    "longest": 0,
    "deep": False,
    "alpha": True,
    "written": False,
}
FORMATS = (
    PictureFormat(
        name="JPEG",
        suffixes=(".jpg", ".jpeg"),
        magic=re.compile(rb"\xff\xd8\xff"),
        vips="jpeg",
        options={"Q": 95, "subsample_mode": "off"},
        longest=65500,
        deep=False,
        alpha=False,
    ),
    PictureFormat(
        name="PNG",
        suffixes=(".png",),
        magic=re.compile(rb"\x89PNG\r\n\x1a\n"),
        vips="png",
        options={"compression": 6},
        longest=2**31 - 1,
        deep=True,
        alpha=True,
    ),
    PictureFormat(
        name="TIFF",
        suffixes=(".tif", ".tiff"),
        magic=re.compile(rb"II[*+]\0|MM\0[*+]"),
        vips="tiff",
        options={"compression": "deflate", "predictor": "horizontal", "resunit": "inch"},
        longest=2**31 - 1,
        deep=True,
        alpha=True,
    ),
    PictureFormat(
        name="WebP",
        suffixes=(".webp",),
        magic=re.compile(rb"RIFF.{4}WEBP", re.DOTALL),
        vips="webp",
        options={"Q": 95, "exact": True},
        longest=16383,
        deep=False,
        alpha=True,
    ),
    PictureFormat(
        name="AVIF",
        suffixes=(".avif",),
        magic=re.compile(rb".{4}ftyp(?:.{4})*?avi[fs]", re.DOTALL),
        vips="heif",
        options={"Q": 90, "compression": "av1", "subsample_mode": "off"},
        longest=16384,
        deep=False,
        alpha=True,
    ),
    # HEVC is patented, so wheels of libvips come without its decoder.
    PictureFormat(
        name="HEIC",
        suffixes=(".heic", ".heif"),
        magic=re.compile(rb".{4}ftyp(?:he[iv][cmsx]|mi[af]1|msf1)", re.DOTALL),
        vips="",
        **_READ_ONLY,
    ),
    PictureFormat(
        name="GIF", suffixes=(".gif",), magic=re.compile(rb"GIF8[79]a"), vips="gif", **_READ_ONLY
    ),
    PictureFormat(
        name="JPEG XL",
        suffixes=(".jxl",),
        magic=re.compile(rb"\xff\x0a|\0\0\0\x0cJXL \r\n\x87\n"),
        vips="jxl",
        **_READ_ONLY,
    ),
    # Of all its decoders, libvips has only ImageMagick's for BMP, which was not made for files that
    # nobody can trust.
    PictureFormat(
        name="BMP",
        suffixes=(".bmp",),
        magic=re.compile(rb"BM.{8}", re.DOTALL),
        vips="",
        **_READ_ONLY,
    ),
)
SUFFIXES = tuple(suffix for form in FORMATS for suffix in form.suffixes)
WRITTEN = tuple(suffix for form in FORMATS if form.written for suffix in form.suffixes)
_LONGEST_MAGIC = 64


def format_for(path: StrPath) -> PictureFormat:
    """Returns the format that a file of a name is saved in.

    Example:
        >>> format_for("a.JPG").name
        'JPEG'

    Raises:
        OutputError: the suffix is of none.
    """
    suffix = os.path.splitext(path)[1].lower()
    for form in FORMATS:
        if suffix in form.suffixes and form.written:
            return form
    raise OutputError(
        subject=os.fspath(path),
        expected=f"a name that ends in {', '.join(WRITTEN)}",
        found=f"{suffix or 'no suffix'}",
        remedy="choose one of those",
    )


def format_of_contents(path: StrPath) -> PictureFormat:
    """Returns the format of a file's contents, whatever its name.

    Raises:
        SampleError: the contents are of none.
    """
    with open_regular(path, "a picture file") as file:
        head = file.read(_LONGEST_MAGIC)
    for form in FORMATS:
        if form.magic.match(head):
            return form
    raise SampleError(
        expected=f"the contents of a {', '.join(form.name for form in FORMATS)} file",
        found="something else" if head else "an empty file",
        remedy="convert it to one of those" if head else "get it again",
    )


def load(path: StrPath, form: PictureFormat, **options: Any) -> Any:
    """Opens a file as a pyvips image; its header is read, its pixels are not yet decoded.

    Naming the decoder keeps pyvips from trying its many others, some of which were not made for
    files that nobody can trust.

    Args:
        path: of the file.
        form: its format.
        options: of pyvips' decoder.

    Raises:
        MissingExtraError: the format is read by another library, which is not installed.
        SampleError: this libvips has no decoder for the format.
    """
    if not form.vips:
        return load_by_pillow(path, form.name)
    if not pyvips.type_find("VipsOperation", f"{form.vips}load_source"):
        raise SampleError(
            expected="a picture that this libvips has a decoder for",
            found=form.name,
            remedy="save it as PNG or JPEG in a program that opens it",
        )
    source = pyvips.Source.new_from_file(os.fsencode(path))
    loader = getattr(pyvips.Image, f"{form.vips}load_source")
    return loader(source, access="sequential", fail_on="error", **options)


def pictures_in_file(path: StrPath, image: Any) -> int:
    """Counts the pictures in a file: pages of a TIFF, frames of an animation.

    Args:
        path: of the file.
        image: the first of them, from `load`.
    """
    pages = int(image.get("n-pages")) if image.get_typeof("n-pages") else 1
    return max(pages, _frames_of_png(path))


def _frames_of_png(path: StrPath) -> int:
    """Counts the frames of an animated PNG, of which pyvips knows nothing; 1 for other files."""
    with open_regular(path, "a picture file") as file:
        if file.read(8) != b"\x89PNG\r\n\x1a\n":
            return 1
        while len(chunk := file.read(8)) == 8 and chunk[4:] != b"IDAT":
            length = int.from_bytes(chunk[:4])
            if chunk[4:] == b"acTL":
                return int.from_bytes(file.read(4))
            file.seek(length + 4, os.SEEK_CUR)
    return 1
