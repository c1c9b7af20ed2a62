"""Folders, and formats of several files, that are written whole or not at all."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager
from pathlib import Path

from impasto.errors import OutputError, about
from impasto.media.files import (
    StrPath,
    as_output_error,
    check_not_protected,
    check_writable,
    checked_mode,
    hidden_name,
)

Ours = Callable[[Path], Collection[str]]
"""Takes the path of the header of a format of several files; returns the names of all files of the
result, the header among them, where this package wrote it, and none where another program did."""


@contextmanager
def atomic_folder(path: StrPath, replaceable: Callable[[Path], bool]) -> Iterator[Path]:
    """Makes an empty folder that takes the place of `path` when the block ends well.

    Until then, `path` stays as it was. If the block raises, it stays so for ever, and nothing is
    left beside it; a killed process leaves a hidden folder. A symbolic link is followed.

    Args:
        path: of the folder.
        replaceable: tells whether a folder that is there already may go, with all that is in it.
            It is asked before the block, and again at its end, for others may have put something
            there meanwhile.

    Raises:
        OutputError: the old folder may not go, or the folder or a file in it cannot be written.
    """
    with about(os.fspath(path)), as_output_error(path):
        target = Path(os.path.realpath(path))
        _check_folder(target, replaceable)
        folder = hidden_name(target.parent)
        folder.mkdir()
        try:
            yield folder
            _sync(folder)
            _put_in_place(folder, target, replaceable)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def atomic_set(path: StrPath, header: str, ours: Ours) -> Iterator[Path]:
    """Makes an empty folder whose files take their places beside `path` when the block ends well.

    This serves a format of several files. If the block or a move raises, all stays as it was and
    nothing is left beside it; a killed process leaves a hidden folder.

    Args:
        path: the file that the user named.
        header: the name of the file that names the others. It is moved last, so that where it
            stands, the others do.
        ours: as for `check_set_writable`.

    Raises:
        OutputError: a file cannot be written there, or another program wrote the one in its place.
    """
    with about(os.fspath(path)), as_output_error(path):
        parent = Path(os.path.realpath(Path(path).parent))
        folder = hidden_name(parent)
        folder.mkdir()
        try:
            yield folder
            _sync(folder)
            names = sorted(os.listdir(folder), key=lambda name: name == header)
            _check_set(parent, Path(path).name, header, names, ours)
            _exchange(folder, parent, names)
        finally:
            shutil.rmtree(folder, ignore_errors=True)


def check_set_writable(path: StrPath, header: str, names: Collection[str], ours: Ours) -> None:
    """Raises where `atomic_set` would for files of these names, before any work is done.

    Args:
        path: the file that the user named, which may be replaced whatever it is.
        header: the name of the file that names the others.
        names: of all files.
        ours: tells which of the others may be replaced, those of an earlier result.

    Raises:
        OutputError: a file cannot be written there, or another program wrote the one in its place.
    """
    parent = Path(path).parent
    for name in names:
        check_writable(parent / name)
    with about(os.fspath(path)), as_output_error(path):
        _check_set(Path(os.path.realpath(parent)), Path(path).name, header, names, ours)


def check_folder_writable(path: StrPath, replaceable: Callable[[Path], bool]) -> None:
    """Raises where `atomic_folder` would, before any work is done.

    Raises:
        OutputError: the folder cannot be written there.
    """
    with about(os.fspath(path)), as_output_error(path):
        target = Path(os.path.realpath(path))
        _check_folder(target, replaceable)
        folder = hidden_name(target.parent)
        folder.mkdir()
        folder.rmdir()


def _check_folder(target: Path, replaceable: Callable[[Path], bool]) -> None:
    if not os.path.lexists(target):
        return
    if not target.is_dir() or not replaceable(target):
        folder = target.is_dir()
        raise _occupied(target, "a folder that holds something else" if folder else "a file")
    check_not_protected(target)


def _occupied(target: Path, by: str) -> OutputError:
    return OutputError(
        expected=f"nothing there, or an earlier {target.suffix} that may be replaced",
        found=by,
        remedy="choose another name",
    )


def _check_set(parent: Path, named: str, header: str, names: Collection[str], ours: Ours) -> None:
    """Refuses to replace files that nobody asked to replace."""
    others = [name for name in names if name != named and os.path.lexists(parent / name)]
    if not others:
        return
    earlier = ours(parent / header) if os.path.isfile(parent / header) else ()
    if strange := sorted(set(others) - set(earlier)):
        raise OutputError(
            expected="nothing there, or an earlier result that may be replaced",
            found=f"{strange[0]}, which is something else's and would be written too",
            remedy="choose another name",
        )


def _sync(folder: Path) -> None:
    """Brings all files of the folder to the disk; some systems say only now that it is full."""
    for root, _, names in os.walk(folder):
        for name in names:
            with open(os.path.join(root, name), "rb+") as file:
                os.fsync(file.fileno())


def _put_in_place(folder: Path, target: Path, replaceable: Callable[[Path], bool]) -> None:
    if not target.exists():
        folder.rename(target)
        return
    shutil.copymode(target, folder)
    # Python has no system call that puts one folder in the place of another.
    old = hidden_name(target.parent)
    try:
        target.rename(old)
        if not replaceable(old):
            raise _occupied(target, "a folder that holds something else by now")
        folder.rename(target)
    except BaseException:
        if not target.exists():
            old.rename(target)
        raise
    shutil.rmtree(old, ignore_errors=True)


def _exchange(folder: Path, parent: Path, names: list[str]) -> None:
    """Moves files of a folder to its parent, in order; old files leave first, in reverse order."""
    modes = {name: checked_mode(parent / name) for name in names}
    earlier = folder / "earlier"
    earlier.mkdir()
    try:
        for name in reversed(names):
            if modes[name] is not None:
                (parent / name).rename(earlier / name)
        for name in names:
            (folder / name).rename(parent / name)
            if (mode := modes[name]) is not None:
                (parent / name).chmod(mode)
    except BaseException:
        for name in names:
            if not (folder / name).exists():
                (parent / name).rename(folder / name)
            if (earlier / name).exists():
                (earlier / name).rename(parent / name)
        raise
