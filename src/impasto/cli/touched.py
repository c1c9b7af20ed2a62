"""Check that a command writes over no file that it reads, nor over what a run keeps."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from impasto.errors import ConfigError, OutputError
from impasto.media.parts import parts
from impasto.runs.names import RECORD, is_kept, kept_in

_INPUTS = "a file that is not one of the inputs"
_EXPECTED = {
    "--output": _INPUTS,
    "--plot": "a file that is neither one of the inputs nor the result",
    "--preview": "previews that are not one of the inputs",
    "--run": "a folder that is neither an input nor the result",
}
_STDIO = Path("-")


@dataclass(frozen=True)
class Target:
    """A file to write.

    Attributes:
        flag: the flag that names it.
        path: the file.
        suffixes: the allowed suffixes, also of the file that a link leads to; empty allows all.
    """

    flag: str
    path: Path
    suffixes: tuple[str, ...] = ()


@dataclass(frozen=True)
class Touched:
    """The files that a command reads and writes.

    Attributes:
        reads: the role and the path of each input.
        writes: the files to write.
        folders: the folders of which all pictures are read.
        run: the run folder, or None.
    """

    reads: Sequence[tuple[str, Path]] = ()
    writes: Sequence[Target] = ()
    folders: Sequence[Path] = ()
    run: Path | None = None


def check_touched(touched: Touched) -> None:
    """Checks the files that a command would write, as `check_files` does."""
    for target in touched.writes:
        _check_suffix(target)
        _check_folders(target, touched.folders)
        _check_records(target, touched.run)
    _check_reads(touched)
    _check_writes(touched)


def _check_suffix(target: Target) -> None:
    """Raises OutputError if a page or plot has a wrong suffix, or links to a file that has one."""
    suffix = Path(os.path.realpath(target.path)).suffix.lower()
    if target.suffixes and suffix not in target.suffixes:
        raise OutputError(
            subject=target.flag,
            expected=f"a name that ends in {', '.join(target.suffixes)}",
            found=f"{target.path}, which leads to {os.path.realpath(target.path)}"
            if target.path.suffix.lower() in target.suffixes
            else str(target.path),
            remedy=f"give for example {target.flag} page{target.suffixes[-1]}",
        )


def _check_folders(target: Target, folders: Sequence[Path]) -> None:
    for folder in folders:
        if same_file(target.path.parent, folder):
            raise ConfigError(
                subject=target.flag,
                expected="a file outside the style's folder, whose pictures are all styles",
                found=str(target.path),
                remedy="write it to another folder",
            )


def _check_records(target: Target, run: Path | None) -> None:
    """Raises ConfigError for the record, the steps and the checkpoints of any run."""
    real = Path(os.path.realpath(target.path))
    ours = run is not None and _identities(run) & _identities(real.parent)
    if is_kept(real.name) and (ours or os.path.exists(real.parent / RECORD)):
        raise ConfigError(
            subject=target.flag,
            expected="a file that no run keeps",
            found=f"{target.path}, which is {real.name} of the run in {real.parent}",
            remedy="choose another name",
        )


def _check_reads(touched: Touched) -> None:
    """Raises ConfigError for a target that is an input, a part of one, or a folder around one."""
    reads: dict[object, str] = {}
    for role, path in (*touched.reads, *_kept(touched.run)):
        for part in parts(path) if path != _STDIO else ():
            reads |= dict.fromkeys(_identities(part), role)
            reads |= {("around", parent): role for parent in Path(_place(part)).parents[:-1]}
    for target in touched.writes:
        for part in parts(target.path):
            here = {*_identities(part), ("around", Path(_place(part)))}
            for role in (reads[identity] for identity in here if identity in reads):
                raise ConfigError(
                    subject=target.flag,
                    expected=_EXPECTED[target.flag],
                    found=f"{target.path}, the {role}"
                    if part == target.path
                    else f"{target.path}, which writes {part.name} too, the {role}",
                    remedy="choose another name",
                )


def _kept(run: Path | None) -> list[tuple[str, Path]]:
    """Lists the files that a run keeps in its folder, which no other output may overwrite."""
    return [] if run is None else [("record of the run", path) for path in kept_in(run)]


def _check_writes(touched: Touched) -> None:
    """Raises ConfigError for two targets in one place, and for a run folder in a target."""
    targets = [target for target in touched.writes if target.path != _STDIO]
    written: dict[object, Target] = {}
    for other in targets:
        here = {identity for part in parts(other.path) for identity in _identities(part)}
        for one in (written[identity] for identity in here if identity in written):
            raise ConfigError(
                subject=other.flag,
                expected=_EXPECTED[other.flag],
                found=f"{other.path}, which {one.flag} writes",
                remedy="choose another name",
            )
        written |= dict.fromkeys(here, other)
    if touched.run is None:
        return
    run = Path(_place(touched.run))
    for target in targets:
        if run.is_relative_to(_place(target.path)):
            raise ConfigError(
                subject="--run",
                expected=_EXPECTED["--run"],
                found=f"{touched.run}, where {target.flag} writes {target.path}",
                remedy="choose another folder",
            )


def same_file(one: Path, other: Path) -> bool:
    """Returns whether two names lead to one file or folder."""
    try:
        return os.path.samefile(one, other)
    except OSError:  # one of them does not exist or cannot be read
        return False


def _identities(path: Path) -> set[object]:
    """Returns keys of a file: two names lead to the same file if they have a key in common."""
    keys: set[object] = {_place(path)}
    try:
        status = os.stat(path)
    except (OSError, ValueError):  # the file does not exist, or the name is not valid
        return keys
    return keys | {(status.st_dev, status.st_ino)}


def _place(path: Path) -> str:
    """Returns the real path of a name; in lower case if the file system ignores letter case."""
    real = os.path.realpath(path)
    return real.casefold() if _ignores_case(Path(real)) else real


def _ignores_case(path: Path) -> bool:
    """Returns whether the file system ignores letter case in this path."""
    for place in (path, *path.parents):
        if place.name.swapcase() != place.name and os.path.exists(place):
            return same_file(place, place.with_name(place.name.swapcase()))
    return False
