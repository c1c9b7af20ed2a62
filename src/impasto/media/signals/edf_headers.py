"""Headers of EDF files that pyedflib refuses though their values can be read, mended in a copy.

Recorders write units in Latin-1, blank channels without a range, and call recordings without a
pause interrupted. pyedflib reads none of these; it gets a copy of the file whose header is as it
asks for, and what the header said before is kept.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO, NamedTuple

from impasto.errors import SampleError
from impasto.media.files import StrPath, open_regular

# The widths of a header's fields, for each signal.
_WIDTHS = {
    "label": 16,
    "transducer": 80,
    "unit": 8,
    "physical_min": 8,
    "physical_max": 8,
    "digital_min": 8,
    "digital_max": 8,
    "prefilter": 80,
    "samples": 8,
    "reserved": 32,
}
_ANNOTATIONS = ("EDF Annotations", "BDF Annotations")
_KIND = slice(192, 236)
_RECORDS = slice(236, 244)
_LARGEST_PAUSE = 1e-3
"""Onsets of data records are rounded; what is later than this many seconds is a pause."""


class Header(NamedTuple):
    """The header of an EDF or BDF file.

    Attributes:
        head: its first 256 bytes.
        fields: of each signal, annotations among them, its fields as they stand in the file.
    """

    head: bytes
    fields: list[dict[str, bytes]]

    @property
    def plain(self) -> list[dict[str, bytes]]:
        """The fields of the signals that are no annotations."""
        return [each for each in self.fields if text(each["label"]) not in _ANNOTATIONS]

    @property
    def sample_bytes(self) -> int:
        """The bytes of a sample."""
        return 3 if self.head[:1] == b"\xff" else 2

    @property
    def samples(self) -> list[int]:
        """The samples of each signal in a data record."""
        return [int(each["samples"]) for each in self.fields]

    @property
    def raw(self) -> bytes:
        """The header as it stands in a file."""
        columns = (each[name] for name in _WIDTHS for each in self.fields)
        return self.head + b"".join(columns)


def read_header(file: BinaryIO) -> Header:
    """Reads the header of a file; refuses one that is damaged, or longer than the file.

    Args:
        file: open, anywhere.

    Raises:
        SampleError: the header is damaged, or the file ends too early.
    """
    file.seek(0)
    head = file.read(256)
    try:
        signals, length = int(head[252:256]), int(head[184:192])
        fields: list[dict[str, bytes]] = [{} for _ in range(signals)]
        for name, width in _WIDTHS.items():
            for each in fields:
                each[name] = file.read(width)
        header = Header(head, fields)
        size = os.fstat(file.fileno()).st_size
        one = sum(header.samples) * header.sample_bytes
        if int(head[_RECORDS]) == -1 and one > 0:  # the recorder never came to its end
            records = b"%-8d" % ((size - length) // one)
            header = header._replace(head=head[: _RECORDS.start] + records + head[_RECORDS.stop :])
        records_there = int(header.head[_RECORDS])
        if min(signals, length, records_there, one) < 1:
            raise ValueError
    except ValueError as error:
        raise SampleError(
            expected="an EDF or BDF header with its numbers of signals, records and samples",
            found="a damaged one, or another file",
            remedy="get the file again",
        ) from error
    if size < (needed := length + records_there * one):
        raise SampleError(expected=f"{needed} bytes", found=f"{size}", remedy="get the file again")
    return header


def text(field: bytes) -> str:
    """Returns the text of a field, in UTF-8 or else in Latin-1, as older programs wrote it.

    Example:
        >>> text(b"\\xb5V      ")
        'µV'
    """
    try:
        return field.decode("utf-8").strip(" \0")
    except UnicodeDecodeError:
        return field.decode("latin-1").strip(" \0")


def is_blank(fields: dict[str, bytes]) -> bool:
    """Whether the range of a signal is a single value, so that its samples mean nothing."""
    ranges = [(fields[f"{kind}_min"], fields[f"{kind}_max"]) for kind in ("physical", "digital")]
    try:
        return any(float(low) == float(high) for low, high in ranges)
    except ValueError:
        return False


@contextmanager
def readable(path: StrPath, header: Header) -> Iterator[StrPath]:
    """Gives the path of a file that pyedflib reads: the file itself, or a copy that was mended.

    Raises:
        SampleError: the recording has a pause.
    """
    mended = _mended(path, header)
    with open_regular(path, "an EDF file") as file:
        own = file.read(len(mended))
        if mended == own:
            yield path
            return
        with tempfile.TemporaryDirectory(prefix="impasto-") as folder:
            copy = Path(folder) / f"copy{Path(path).suffix}"
            with open(copy, "wb") as target:
                target.write(mended)
                shutil.copyfileobj(file, target, 2**20)
            yield copy


def _mended(path: StrPath, header: Header) -> bytes:
    head = header.head
    if head[_KIND][3:5] == b"+D":
        _check_continuous(path, header)
        head = head[: _KIND.start + 4] + b"C" + head[_KIND.start + 5 :]
    limit = 1 << (8 * header.sample_bytes - 1)
    fields = []
    for each in header.fields:
        if text(each["label"]) not in _ANNOTATIONS and is_blank(each):
            each = each | {
                "physical_min": b"%-8d" % -1,
                "physical_max": b"%-8d" % 1,
                "digital_min": b"%-8d" % -limit,
                "digital_max": b"%-8d" % (limit - 1),
            }
        fields.append(each)
    raw = Header(head, fields).raw
    # Byte 0 of BDF is 255; pyedflib asks for ASCII everywhere else.
    return raw[:1] + re.sub(rb"[^ -~]", lambda found: _ASCII.get(found[0], b"?"), raw[1:])


_ASCII = {b"\xb5": b"u", b"\0": b" "}


def _check_continuous(path: StrPath, header: Header) -> None:
    """Refuses a recording whose data records do not follow each other without a pause.

    The first annotation of each record says when it begins.
    """
    head, sizes = header.head, [count * header.sample_bytes for count in header.samples]
    labels = [text(each["label"]) for each in header.fields]
    where = next((i for i, label in enumerate(labels) if label in _ANNOTATIONS), None)
    begin = None
    try:
        seconds = float(head[244:252])
    except ValueError as error:
        raise _interrupted("no length of its records") from error
    if where is None:
        raise _interrupted("no marks of when its records begin")
    with open_regular(path, "an EDF file") as file:
        for record in range(int(head[_RECORDS])):
            file.seek(int(head[184:192]) + record * sum(sizes) + sum(sizes[:where]))
            onset = re.match(rb"([+-]\d+(?:\.\d*)?)[\x14\x15]", file.read(sizes[where]))
            if onset is None:
                raise _interrupted(f"no mark of when its record {record + 1} begins")
            begin = float(onset[1]) if begin is None else begin
            pause = float(onset[1]) - begin - record * seconds
            if abs(pause) > _LARGEST_PAUSE:
                raise _interrupted(f"a pause of {pause:g} s after {record * seconds:g} s")


def _interrupted(found: str) -> SampleError:
    return SampleError(
        expected="a recording without interruptions",
        found=f"an EDF+D file with {found}",
        remedy="cut it there into files of their own, or convert it to EDF+C",
    )
