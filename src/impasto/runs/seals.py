"""A checksum inside a checkpoint's file, of all its bytes: damage shows wherever it is."""

from __future__ import annotations

import re
import zlib
from pathlib import Path
from typing import BinaryIO

_EMPTY = b"00000000"
UNSEALED = {"crc32": _EMPTY.decode()}
"""Goes into the metadata of a safetensors file that is to be sealed."""

_SEAL = re.compile(rb'"crc32": ?"([0-9a-f]{8})"')

_HEAD = 2**16
"""Bytes from the beginning of the file in which it is to be found."""

_PIECE = 2**22


def seal(file: BinaryIO) -> None:
    """Puts the checksum into a file that is written to its end.

    file: open for writing; the system lets it be read too. Raises OSError where it does not,
    ValueError where there is no room for a checksum.
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
    """Whether a file has the checksum that its bytes come to. Raises OSError."""
    with open(path, "rb", buffering=0) as file:
        checksum, place = _checksum(file)
        return place is not None and place[1] == checksum


def _checksum(file: BinaryIO) -> tuple[bytes, re.Match[bytes] | None]:
    """That of all bytes, zeros in its own place; and that place."""
    file.seek(0)
    piece = file.read(_PIECE)
    if place := _SEAL.search(piece, 0, _HEAD):
        piece = piece[: place.start(1)] + _EMPTY + piece[place.end(1) :]
    total = 0
    while piece:
        total = zlib.crc32(piece, total)
        piece = file.read(_PIECE)
    return f"{total:08x}".encode(), place
