"""Every error a user can meet, in one tree.

    ImpastoError
    ├── InputError            something given cannot be used; the command exits with 2
    │   ├── SampleError       a picture, signal or volume: unreadable, empty, non-finite, too small
    │   ├── WeightsError      a weights file: missing, truncated, another network's
    │   ├── LayerError        a layer the network does not have
    │   ├── ConfigError       a setting outside its range
    │   ├── MemoryLimitError  the work does not fit in the free memory
    │   └── MissingExtraError an optional dependency is not installed
    ├── OutputError           the result cannot be written; the command exits with 2
    ├── ProcessError          another of the processes that share the sample has ended; 1
    └── NumericalError        J stays non-finite whatever the step; the command exits with 1

A message is one line: what was expected, what was found, what to do. The code that finds the
problem knows these three; the code that knows whose problem it is (which file, which flag) adds
the subject with `about`.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager


class ImpastoError(Exception):
    """The root of the tree; `str(error)` is the whole message, on one line."""

    def __init__(self, *, expected: str, found: str, remedy: str, subject: str = "") -> None:
        super().__init__(expected, found, remedy)
        self.expected = expected
        self.found = found
        self.remedy = remedy
        self.subject = subject

    def __str__(self) -> str:
        prefix = f"{self.subject}: " if self.subject else ""
        line = f"{prefix}expected {self.expected}, found {self.found}; {self.remedy}"
        return " ".join(line.split())


class InputError(ImpastoError):
    """Something given cannot be used."""


class SampleError(InputError):
    """A picture, signal or volume is unreadable, empty, non-finite or too small."""


class WeightsError(InputError):
    """A weights file is missing, truncated or another network's."""


class LayerError(InputError):
    """A layer that the network does not have."""


class ConfigError(InputError):
    """A setting is outside its range."""


class MemoryLimitError(InputError):
    """The work does not fit in the free memory."""


class MissingExtraError(InputError):
    """An optional dependency is not installed."""


class OutputError(ImpastoError):
    """The result cannot be written."""


class ProcessError(ImpastoError):
    """Another of the processes that share the sample has ended."""


class NumericalError(ImpastoError):
    """J stays non-finite whatever the step."""


def amount(size: float) -> str:
    """Bytes as people say them: "340 MB", "1.50 GB"; less than none is none."""
    megabytes = max(0.0, size) / 1e6
    if megabytes >= 1000:
        return f"{megabytes / 1000:.2f} GB"
    return f"{megabytes:.0f} MB" if megabytes >= 10 else f"{megabytes:.2g} MB"


@contextmanager
def about(subject: str) -> Iterator[None]:
    """Names the subject (a file, a flag) of the errors raised inside that do not name one yet."""
    try:
        yield
    except ImpastoError as error:
        error.subject = error.subject or subject
        raise
