"""The picture formats: the one a name asks for, the one a file is in, and their options."""

from __future__ import annotations

import os
import re
from typing import Any, NamedTuple

import pyvips

from impasto.errors import OutputError, SampleError
from impasto.media.files import StrPath, open_regular


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
    """

    name: str
    suffixes: tuple[str, ...]
    magic: re.Pattern[bytes]
    vips: str
    options: dict[str, Any]
    longest: int
    deep: bool
    alpha: bool


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
)
SUFFIXES = tuple(suffix for form in FORMATS for suffix in form.suffixes)


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
        if suffix in form.suffixes:
            return form
    raise OutputError(
        subject=os.fspath(path),
        expected=f"a name that ends in {', '.join(SUFFIXES)}",
        found=f"{suffix or 'no suffix'}",
        remedy="choose one of those",
    )


def format_of_contents(path: StrPath) -> PictureFormat:
    """Returns the format of a file's contents, whatever its name.

    Raises:
        SampleError: the contents are of none.
    """
    with open_regular(path, "a picture file") as file:
        head = file.read(16)
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
    """
    source = pyvips.Source.new_from_file(os.fsencode(path))
    loader = getattr(pyvips.Image, f"{form.vips}load_source")
    return loader(source, access="sequential", fail_on="error", **options)
