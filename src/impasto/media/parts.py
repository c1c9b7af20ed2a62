"""The files that a sample of one name is made of."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator
from pathlib import Path

from impasto.media.files import suffix_of
from impasto.media.signals.annotators import ANNOTATORS
from impasto.media.signals.records import SUFFIXES as RECORDS
from impasto.media.signals.records import is_record
from impasto.media.volumes.dicom_folders import files_in
from impasto.media.volumes.dicom_headers import SUFFIXES as DICOM
from impasto.media.volumes.dicom_headers import has_magic

_LONGEST_HEADER = 2**24
_DATA_FILE = re.compile(rb"^data ?file: *(\S.*?)\s*$", re.MULTILINE | re.IGNORECASE)
_META_FILE = re.compile(rb"^ElementDataFile *= *(\S.*?)\s*$", re.MULTILINE)
_SIGNAL_FILE = re.compile(rb"^([^#\s]\S*)\s", re.MULTILINE)


def parts(path: Path) -> list[Path]:
    """Lists the files that loading a sample reads, or that saving one may replace.

    Example:
        >>> [path.name for path in parts(Path("head.hdr"))]
        ['head.hdr', 'head.img']

    Args:
        path: of the sample.

    Returns:
        The path itself. For a format of several files, and for a DICOM series by one of its
        images, also the others: those that the header names and those that are there.
    """
    return list(dict.fromkeys([path, *_others(path)]))


def _others(path: Path) -> Iterator[Path]:
    suffix = suffix_of(path)
    if suffix in (".hdr", ".img"):
        yield from (path.with_suffix(other) for other in (".hdr", ".img"))
    elif suffix == ".nhdr":
        yield from (path.with_suffix(other) for other in (".raw", ".raw.gz"))
        yield from _named(path, _DATA_FILE)
    elif suffix == ".mhd":
        yield path.with_suffix(".raw")
        yield from _named(path, _META_FILE)
    elif is_record(path):
        stem = path.with_suffix("") if suffix in RECORDS else path
        header = stem.with_name(f"{stem.name}.hea")
        yield from (header, stem.with_name(f"{stem.name}.dat"), *_named(header, _SIGNAL_FILE))
        yield from (stem.with_name(f"{stem.name}.{annotator}") for annotator in ANNOTATORS)
        yield from _beside(stem, re.compile(re.escape(stem.name) + r"_\d+\.dat"))
    elif os.path.isfile(path) and (suffix in DICOM or has_magic(path)):
        yield from files_in(path.parent)


def _named(header: Path, pattern: re.Pattern[bytes]) -> list[Path]:
    """Returns the files beside a header that it names."""
    try:
        with open(header, "rb") as file:
            names = pattern.findall(file.read(_LONGEST_HEADER))
    except OSError:
        return []
    return [header.parent / os.fsdecode(name) for name in names if b"\0" not in name]


def _beside(stem: Path, pattern: re.Pattern[str]) -> list[Path]:
    try:
        return [stem.parent / name for name in os.listdir(stem.parent) if pattern.fullmatch(name)]
    except OSError:
        return []
