"""Errors of libvips, turned into the errors of this package."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager

import pyvips

from impasto.errors import OutputError, SampleError
from impasto.media.files import StrPath
from impasto.media.pictures.formats import Format


@contextmanager
def decoding_picture() -> Iterator[None]:
    """Turns what libvips says of a damaged file into a SampleError."""
    try:
        yield
    except pyvips.Error as error:
        raise SampleError(
            expected="a picture whole to its end",
            found=f"an error of its decoder: {_reason(error)}",
            remedy="get the file again",
        ) from error


@contextmanager
def encoding_picture(path: StrPath, form: Format) -> Iterator[None]:
    """Turns what libvips says of a picture that a format cannot hold into an OutputError.

    Raises:
        OSError: the disk is full or broken.
        OutputError: the format cannot hold the picture.
    """
    try:
        yield
    except pyvips.Error as error:
        _raise_if_full(error)
        raise OutputError(
            subject=os.fspath(path),
            expected=f"a picture that {form.name} can hold",
            found=f"an error of its encoder: {_reason(error)}",
            remedy="save it as .png",
        ) from error


def _raise_if_full(error: pyvips.Error) -> None:
    """Raises the OSError of a disk, of which pyvips passes on the words alone."""
    for code in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO):
        if os.strerror(code) in str(error):
            raise OSError(code, os.strerror(code)) from error


def _reason(error: pyvips.Error) -> str:
    """Returns the first of the lines that libvips has for an error."""
    lines = str(error.detail or error.message).strip().splitlines()
    return lines[0] if lines else "nothing"
