"""Files that come as bytes, without a name: their first bytes tell the format."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from impasto.errors import ImpastoError, SampleError
from impasto.media.pictures.formats import FORMATS

_BEGINNINGS = (
    *((form.magic, form.suffixes[0]) for form in FORMATS),
    (re.compile(rb"RIFF.{4}WAVE", re.DOTALL), ".wav"),
    (re.compile(rb"fLaC"), ".flac"),
    (re.compile(rb"OggS"), ".ogg"),
    (re.compile(rb"ID3|\xff[\xfb\xf3\xf2]"), ".mp3"),
    (re.compile(rb"\x93NUMPY"), ".npy"),
    (re.compile(rb"PK\x03\x04"), ".npz"),
    (re.compile(rb"NRRD\d{4}"), ".nrrd"),
    (re.compile(rb"(?:ObjectType|NDims|Comment) *="), ".mha"),
    (re.compile(rb"\x1f\x8b"), ".nii.gz"),
    (re.compile(rb".{344}(n\+1|ni1)\0", re.DOTALL), ".nii"),
    (re.compile(rb"0 {7}"), ".edf"),
    (re.compile(rb"\xffBIOSEMI"), ".bdf"),
)
_LONGEST = 348
"""The number of bytes that the longest beginning takes."""


def suffix_for(data: bytes) -> str:
    """Returns the suffix of the format that bytes are in.

    Example:
        >>> suffix_for(b"\\x89PNG\\r\\n\\x1a\\n")
        '.png'

    Raises:
        SampleError: the first bytes are of no format that they tell.
    """
    head = bytes(data[:_LONGEST])
    for beginning, suffix in _BEGINNINGS:
        if beginning.match(head):
            return suffix
    raise SampleError(
        expected="the bytes of a picture, a sound, a recording, a volume or an array",
        found="bytes of another format" if head else "no bytes",
        remedy="save them under a name with the format's suffix, and pass that",
    )


def suffix_of_file(path: Path) -> str:
    """Returns the suffix of the format that a file's contents are in; raises as `suffix_for`."""
    with open(path, "rb") as file:
        return suffix_for(file.read(_LONGEST))


@contextmanager
def spool(data: bytes | bytearray | memoryview) -> Iterator[Path]:
    """Gives a file with these bytes and the suffix of their format; it is gone after the block."""
    data = memoryview(data).cast("B")
    with tempfile.TemporaryDirectory(prefix="impasto-", ignore_cleanup_errors=True) as folder:
        path = Path(folder) / f"bytes{suffix_for(bytes(data[:_LONGEST]))}"
        path.write_bytes(data)
        try:
            yield path
        except ImpastoError as error:
            if error.subject == str(path):  # a name that nobody gave
                error.subject = ""
            raise
