"""Every error a user can meet, in one tree.

    ImpastoError
    ├── InputError            an input cannot be used (exit code 2)
    │   ├── SampleError       a picture, signal or volume is unreadable, non-finite or too small
    │   ├── WeightsError      a weights file is missing, truncated or for another network
    │   ├── LayerError        the network does not have the layer
    │   ├── ConfigError       a setting is outside its range or does not fit the inputs
    │   ├── MemoryLimitError  the work does not fit in the free memory
    │   └── MissingExtraError an optional dependency is not installed
    ├── OutputError           the result cannot be written (exit code 2)
    ├── ProcessError          another process that shares the sample has ended (exit code 1)
    └── NumericalError        J stays non-finite even after the optimizer retreats (exit code 1)

A message is one line. It says what was expected, what was found and what to do. The code that finds
a problem knows these three. The code that knows which file or flag the problem concerns adds that
subject with `about`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any


class ImpastoError(Exception):
    """The base class of all errors of this package. `str(error)` is the whole message, on one line.

    Attributes:
        expected: what was expected.
        found: what was found instead.
        remedy: what the user can do.
        subject: the file or flag that the error concerns; "" if it is not known yet.

    Example:
        >>> str(ImpastoError(expected="a picture", found="a folder", remedy="name a file"))
        'expected a picture, found a folder; name a file'
    """

    def __init__(self, *, expected: str, found: str, remedy: str, subject: str = "") -> None:
        super().__init__(expected, found, remedy)
        self.expected = expected
        self.found = found
        self.remedy = remedy
        self.subject = subject

    def __reduce__(self) -> tuple[Any, ...]:
        """Lets errors travel between processes."""
        return _rebuilt, (type(self), self.expected, self.found, self.remedy, self.subject)

    def __str__(self) -> str:
        prefix = f"{self.subject}: " if self.subject else ""
        line = f"{prefix}expected {self.expected}, found {self.found}; {self.remedy}"
        return " ".join(line.split())


class InputError(ImpastoError):
    """An input cannot be used."""


class SampleError(InputError):
    """A picture, signal or volume is unreadable, empty, non-finite or too small."""


class WeightsError(InputError):
    """A weights file is missing, truncated or for another network."""


class LayerError(InputError):
    """The network does not have the layer."""


class ConfigError(InputError):
    """A setting is outside its range or does not fit the inputs."""


class MemoryLimitError(InputError):
    """The work does not fit in the free memory."""


class MissingExtraError(InputError):
    """An optional dependency is not installed."""


class OutputError(ImpastoError):
    """The result cannot be written."""


class ProcessError(ImpastoError):
    """Another process that shares the sample has ended."""


class NumericalError(ImpastoError):
    """J stays non-finite even after the optimizer retreats and takes smaller steps."""


def _rebuilt(
    kind: type[ImpastoError], expected: str, found: str, remedy: str, subject: str
) -> ImpastoError:
    return kind(expected=expected, found=found, remedy=remedy, subject=subject)


def amount(size: float) -> str:
    """Formats a number of bytes, such as "340 MB" or "1.50 GB"; negative numbers become "0 MB"."""
    megabytes = max(0.0, size) / 1e6
    if megabytes >= 1000:
        return f"{megabytes / 1000:.2f} GB"
    return f"{megabytes:.0f} MB" if megabytes >= 10 else f"{megabytes:.2g} MB"


@contextmanager
def about(subject: str) -> Iterator[None]:
    """Sets the subject, such as a file or flag, of errors from this block that have none yet.

    Example:
        >>> with about("style.jpg"):
        ...     raise SampleError(expected="a picture", found="a folder", remedy="name a file")
        Traceback (most recent call last):
        impasto.errors.SampleError: style.jpg: expected a picture, found a folder; name a file
    """
    try:
        yield
    except ImpastoError as error:
        error.subject = error.subject or subject
        raise
