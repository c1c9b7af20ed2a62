"""Errors of the libraries that read and write files, turned into the errors of this package."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from impasto.errors import ImpastoError, OutputError, SampleError

Errors = type[Exception] | tuple[type[Exception], ...]


def one_line(error: Exception) -> str:
    """Returns the text of an error on one line, or the error's name where it has no text.

    Example:
        >>> one_line(ValueError("two\\nlines"))
        'two lines'
    """
    text = repr(error) if isinstance(error, KeyError) else str(error)
    return " ".join(text.split()) or type(error).__name__


def after_file_name(error: Exception) -> str:
    """Returns the text of an error of a library that writes "file name: text".

    Example:
        >>> after_file_name(OSError("/home/a.wav: unknown format"))
        'unknown format'
    """
    return one_line(error).rpartition(": ")[2]


@contextmanager
def decoding(
    expected: str,
    reader: str,
    remedy: str = "get it again",
    errors: Errors = Exception,
    says: Callable[[Exception], str] = one_line,
) -> Iterator[None]:
    """Turns what a library raises on a damaged file, which may be anything, into a SampleError.

    Errors of this package pass unchanged, and so does the lack of memory. The library's warnings
    are silenced: they tell of less than damage.

    Args:
        expected, remedy: of the error.
        reader: the name of the library, for the error.
        errors: what the library raises.
        says: extracts the text of the library's error.

    Raises:
        SampleError: the block raised one of `errors`.
    """
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    except (ImpastoError, MemoryError):
        raise
    except errors as error:
        raise SampleError(
            expected=expected,
            found=f"an error of {reader}: {says(error)[:120]}",
            remedy=remedy,
        ) from error


@contextmanager
def encoding(expected: str, writer: str, remedy: str, errors: Errors) -> Iterator[None]:
    """Turns what a library raises on a sample that a format cannot hold into an OutputError.

    The library's warnings, such as of names that it cuts off, are silenced.

    Args:
        expected, remedy: of the error.
        writer: the name of the library, for the error.
        errors: what the library raises.

    Raises:
        OutputError: the block raised one of `errors`.
    """
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    except errors as error:
        raise OutputError(
            expected=expected,
            found=f"an error of {writer}: {one_line(error)[:120]}",
            remedy=remedy,
        ) from error
