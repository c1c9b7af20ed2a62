"""Files and folders that are written whole or not at all; checks of files to read."""

from __future__ import annotations

import errno
import logging
import os
import secrets
import shutil
import stat
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from impasto.errors import OutputError, SampleError, about

# Warnings of libvips and notes of pyvips are for those who ask for them: our errors say what a
# decoder says of a file. This module comes before those that load pyvips.
if logging.getLogger("pyvips").level == logging.NOTSET:
    logging.getLogger("pyvips").setLevel(logging.ERROR)

StrPath = str | os.PathLike[str]

Ours = Callable[[Path], Collection[str]]
"""Takes the path of the header of a format of several files; returns the names of all files of the
result, the header among them, where this package wrote it, and none where another program did."""

# Zero where the system has no files without a name.
_O_TMPFILE: int = getattr(os, "O_TMPFILE", 0)


@contextmanager
def atomic_write(path: StrPath) -> Iterator[BinaryIO]:
    """Opens a file for writing that takes the place of `path` when the block ends well.

    Until then, `path` stays as it was. If the block raises or the process is killed, it stays so
    for ever, and nothing is left beside it. A symbolic link is followed. The mode is the old
    file's, or what `open` would give a new one.

        with atomic_write("out.png") as file:
            file.write(data)

    Raises:
        OutputError: the file cannot be written there, or not to its end.
    """
    with _as_output_error(path):
        target = Path(os.path.realpath(path))
        mode = _checked_mode(target)
        with _scratch(target.parent) as (file, publish):
            yield file
            file.flush()
            if mode is not None:
                os.chmod(file.fileno() if os.chmod in os.supports_fd else file.name, mode)
            os.fsync(file.fileno())
            publish(target)


def check_writable(path: StrPath) -> None:
    """Raises where `atomic_write(path)` would, before any work is done.

    Raises:
        OutputError: the file cannot be written there.
    """
    with _as_output_error(path):
        target = Path(os.path.realpath(path))
        _checked_mode(target)
        with _scratch(target.parent):
            pass


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
    with about(os.fspath(path)), _as_output_error(path):
        target = Path(os.path.realpath(path))
        _check_folder(target, replaceable)
        folder = _hidden_name(target.parent)
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
    with about(os.fspath(path)), _as_output_error(path):
        parent = Path(os.path.realpath(Path(path).parent))
        folder = _hidden_name(parent)
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
    with about(os.fspath(path)), _as_output_error(path):
        _check_set(Path(os.path.realpath(parent)), Path(path).name, header, names, ours)


def check_folder_writable(path: StrPath, replaceable: Callable[[Path], bool]) -> None:
    """Raises where `atomic_folder` would, before any work is done.

    Raises:
        OutputError: the folder cannot be written there.
    """
    with about(os.fspath(path)), _as_output_error(path):
        target = Path(os.path.realpath(path))
        _check_folder(target, replaceable)
        folder = _hidden_name(target.parent)
        folder.mkdir()
        folder.rmdir()


def suffix_of(path: StrPath) -> str:
    """Returns the suffix that tells the format, in lower case.

    Example:
        >>> suffix_of("Scan.1.NII.gz"), suffix_of("a.b.png"), suffix_of("none")
        ('.nii.gz', '.png', '')
    """
    suffixes = [suffix.lower() for suffix in Path(path).suffixes]
    return "".join(suffixes[-2:] if suffixes[-1:] == [".gz"] else suffixes[-1:])


def open_regular(path: StrPath, what: str) -> BinaryIO:
    """Opens a file to read.

    Args:
        path: of the file.
        what: it should be, for the error.

    Raises:
        SampleError: there is no such file, it is no regular file, or it cannot be read.
    """
    try:
        # Opening a pipe would wait for someone to write to it.
        mode = os.stat(path).st_mode
        if not stat.S_ISREG(mode):
            other = "a folder" if stat.S_ISDIR(mode) else "a device, pipe or socket"
            raise SampleError(expected=what, found=other, remedy="name a file")
        return open(path, "rb")
    except OSError as error:
        raise unreadable(what, error) from error


def unreadable(what: str, error: OSError) -> SampleError:
    """Makes the error for a file that the system does not let us read.

    Args:
        what: the file should be.
        error: of the system.
    """
    missing = isinstance(error, FileNotFoundError)
    return SampleError(
        expected=what,
        found="none there" if missing else f"one that cannot be read ({error.strerror})",
        remedy="check the path" if missing else "check its permissions",
    )


def _checked_mode(target: Path) -> int | None:
    """Returns the mode of the file that is there, None where there is none."""
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "a device, pipe or socket", str(target))
    _check_not_protected(target)
    return stat.S_IMODE(mode)


def _check_not_protected(target: Path) -> None:
    # Renaming onto a write-protected file would succeed, against the will of its owner.
    effective = os.access in os.supports_effective_ids
    if not os.access(target, os.W_OK, effective_ids=effective):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(target))


def _check_folder(target: Path, replaceable: Callable[[Path], bool]) -> None:
    if not os.path.lexists(target):
        return
    if not target.is_dir() or not replaceable(target):
        folder = target.is_dir()
        raise _occupied(target, "a folder that holds something else" if folder else "a file")
    _check_not_protected(target)


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
    old = _hidden_name(target.parent)
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
    modes = {name: _checked_mode(parent / name) for name in names}
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


@contextmanager
def _scratch(folder: Path) -> Iterator[tuple[BinaryIO, Callable[[Path], None]]]:
    """Gives a new file in the folder and what moves it to its place; deletes it if nothing does."""
    nameless = _open_nameless(folder)
    if nameless is not None:
        with nameless as file:
            yield file, lambda target: _link(file.fileno(), target)
        return
    hidden = _hidden_name(folder)
    try:
        with open(hidden, "x+b") as file:  # a TIFF is read while it is written

            def publish(target: Path) -> None:
                file.close()  # an open file cannot be renamed on Windows
                os.replace(hidden, target)

            yield file, publish
    finally:
        with suppress(FileNotFoundError):
            hidden.unlink()


def _open_nameless(folder: Path) -> BinaryIO | None:
    """Opens a file that vanishes with the process; None where the system has no such thing."""
    if not _O_TMPFILE or not os.path.isdir("/proc/self/fd"):
        return None
    try:
        descriptor = os.open(folder, _O_TMPFILE | os.O_RDWR, 0o666)
    except OSError as error:
        if error.errno in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
            return None
        raise
    return os.fdopen(descriptor, "wb")


def _link(descriptor: int, target: Path) -> None:
    """Gives a nameless file the name `target` in one step."""
    source = f"/proc/self/fd/{descriptor}"
    # A directory descriptor makes os.link call linkat with AT_SYMLINK_FOLLOW: without, it would
    # link the symbolic link in /proc.
    folder = os.open(target.parent, os.O_RDONLY | os.O_DIRECTORY)
    try:
        try:
            os.link(source, target.name, dst_dir_fd=folder, follow_symlinks=True)
        except FileExistsError:
            hidden = _hidden_name(target.parent)
            os.link(source, hidden.name, dst_dir_fd=folder, follow_symlinks=True)
            try:
                os.replace(hidden, target)
            except BaseException:
                hidden.unlink()
                raise
        os.fsync(folder)
    finally:
        os.close(folder)


def _hidden_name(folder: Path) -> Path:
    return folder / f".{secrets.token_hex(8)}.tmp"


@contextmanager
def _as_output_error(path: StrPath) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        expected, reason, remedy = _explain(error, path)
        raise OutputError(
            subject=os.fspath(path), expected=expected, found=reason, remedy=remedy
        ) from error


def _explain(error: OSError, path: StrPath) -> tuple[str, str, str]:
    """Returns what was expected, what was found and what to do."""
    target = os.path.realpath(path)
    folder = os.path.dirname(target)
    match error.errno:
        case errno.ENOENT | errno.ENOTDIR:
            return "a folder to write in", f"no folder {folder}", "create it or choose another"
        case errno.EISDIR:
            return "the name of a file", "a folder", "add a file name to it"
        case errno.EINVAL:
            return "a regular file", str(error.strerror), "choose another name"
        case errno.EACCES | errno.EPERM | errno.EROFS:
            return (
                "permission to write",
                f"that {target if error.filename == target else folder} is write-protected",
                "choose another place or change its permissions",
            )
        case errno.ENOSPC | errno.EDQUOT | errno.EFBIG:
            return (
                "room for the whole file",
                f"none left in {folder} ({error.strerror})",
                "free some space or choose another place",
            )
        case _:
            return "a file that can be written", str(error.strerror or error), "choose another"
