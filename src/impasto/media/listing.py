"""The samples that names, patterns and folders stand for."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import NamedTuple

from impasto.errors import SampleError
from impasto.media.files import suffix_of
from impasto.media.parts import parts
from impasto.media.suffixes import known_format

_HEADERS = (".hea", ".hdr", ".nhdr")
"""Of a sample in several files, the one that names the others."""


class Found(NamedTuple):
    """A sample that a name stands for.

    Attributes:
        path: of its file or folder.
        below: its place in the folder that was named, or below the part of a pattern that has no
            wildcards; its own name for a file that was named itself.
    """

    path: Path
    below: Path


def list_samples(names: Sequence[str]) -> list[Found]:
    """Lists the samples that names stand for, in order and each once.

    A pattern such as `photos/**/*.jpg` stands for what matches it, and a folder for what is in it:
    files in formats that are known here, and folders that are samples themselves, such as a DICOM
    series. A sample in several files, such as a WFDB record, is listed once. Names that begin with
    a dot match no pattern. A file that is named itself is listed whatever it is.

    Args:
        names: of files and folders, and patterns as `glob` takes them.

    Raises:
        SampleError: a pattern matches nothing, or a folder has no samples in it.

    Example:
        >>> [found.path.name for found in list_samples(["missing.jpg"])]
        ['missing.jpg']
    """
    found: dict[Path, Found] = {}
    for name in names:
        path = Path(name)
        if _is_pattern(name):
            root = _root_of(path)
            samples = _samples(sorted(map(Path, glob.glob(name, recursive=True))))
        elif path.is_dir() and known_format(path) is None:
            root, samples = path, _samples(sorted(path.glob("[!.]*")))
        else:
            root, samples = path.parent, [path]
        if not samples:
            raise SampleError(
                subject=name,
                expected="pictures, signals or volumes",
                found="none there",
                remedy="name files, a folder of them, or a pattern in quotes, as 'photos/**/*.jpg'",
            )
        for sample in samples:
            found.setdefault(sample, Found(sample, sample.relative_to(root)))
    return list(found.values())


def files_of(path: Path) -> list[Path]:
    """Lists the files that are there of a sample: of a folder all of them, by name."""
    if path.is_dir():
        return sorted(file for file in path.rglob("*") if file.is_file())
    return [part for part in parts(path) if part.is_file()]


def _is_pattern(name: str) -> bool:
    return glob.has_magic(name) and not os.path.exists(name)


def _root_of(pattern: Path) -> Path:
    """Returns the folder before the first part of a pattern that has a wildcard."""
    plain = []
    for part in pattern.parts:
        if glob.has_magic(part):
            break
        plain.append(part)
    return Path(*plain)


def _samples(paths: Iterable[Path]) -> list[Path]:
    """Chooses the samples among files and folders; each has one of its files in the list."""
    known = [path for path in paths if known_format(path) is not None]
    folders = {path for path in known if path.is_dir()}
    chosen: list[Path] = []
    taken: set[Path] = set()
    for path in sorted(known, key=lambda path: suffix_of(path) not in _HEADERS):
        inside = not folders.isdisjoint(path.parents)
        if path in taken or inside:
            continue
        chosen.append(path)
        taken.update(parts(path))
    return sorted(chosen)
