"""A checksum of a whole checkpoint, inside its own file, that reveals any damage."""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import BinaryIO

_EMPTY = b"00000000"
UNSEALED = {"crc32": _EMPTY.decode()}
"""Metadata that makes room for the checksum in a safetensors file."""

_SEAL = re.compile(rb'"crc32": ?"([0-9a-f]{8})"')

_HEAD = 2**16
"""The checksum lies within this many bytes from the beginning of the file."""

_PIECE = 2**22


def seal(file: BinaryIO) -> None:
    """Writes the checksum into a file that is complete otherwise.

    file: the file, open for writing.

    Raises:
        OSError: the file cannot be read back.
        ValueError: the file has no room for a checksum.
    """
    file.flush()
    with open(file.fileno(), "rb+", buffering=0, closefd=False) as again:
        checksum, place = _checksum(again)
        if place is None:
            raise ValueError("the file has no room for its checksum")
        again.seek(place.start(1))
        again.write(checksum)
    file.seek(0, 2)


def is_whole(path: Path) -> bool:
    """Returns whether a file's checksum is right; raises OSError if it cannot be read."""
    with open(path, "rb", buffering=0) as file:
        checksum, place = _checksum(file)
        return place is not None and place[1] == checksum


def _checksum(file: BinaryIO) -> tuple[bytes, re.Match[bytes] | None]:
    """Returns the checksum of all bytes, with zeros in its place, and the match of that place."""
    file.seek(0)
    piece = file.read(_PIECE)
    if place := _SEAL.search(piece, 0, _HEAD):
        piece = piece[: place.start(1)] + _EMPTY + piece[place.end(1) :]
    total = 0
    while piece:
        total = zlib.crc32(piece, total)
        piece = file.read(_PIECE)
    return f"{total:08x}".encode(), place
