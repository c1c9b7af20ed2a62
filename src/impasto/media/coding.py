"""What libraries say of a file that they cannot read or write, as one kind of error."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from impasto.errors import ImpastoError, OutputError, SampleError

Errors = type[Exception] | tuple[type[Exception], ...]


def in_one_line(error: Exception) -> str:
    """The words of an error, or its name where it has none."""
    words = repr(error) if isinstance(error, KeyError) else str(error)
    return " ".join(words.split()) or type(error).__name__


def after_the_name(error: Exception) -> str:
    """The words of an error of a library that puts the name of the file before them."""
    return in_one_line(error).rpartition(": ")[2]


@contextmanager
def decoding(
    expected: str,
    reader: str,
    remedy: str = "get it again",
    errors: Errors = Exception,
    says: Callable[[Exception], str] = in_one_line,
) -> Iterator[None]:
    """What damaged files make a library raise, which may be anything, as a SampleError.

    Our own errors pass. Warnings, which tell of less than damage, are left out.
    """
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    except ImpastoError:
        raise
    except errors as error:
        found = f"that {reader} says: {says(error)[:120]}"
        raise SampleError(expected=expected, found=found, remedy=remedy) from error


@contextmanager
def encoding(expected: str, writer: str, remedy: str, errors: Errors) -> Iterator[None]:
    """What samples that a format cannot hold make a library raise, as an OutputError.

    Warnings, such as of names that are cut off, are left out.
    """
    try:
        with warnings.catch_warnings(action="ignore"):
            yield
    except errors as error:
        found = f"that {writer} says: {in_one_line(error)[:120]}"
        raise OutputError(expected=expected, found=found, remedy=remedy) from error
