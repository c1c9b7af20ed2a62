"""Files that are written whole or not at all; checks of files to read."""

from __future__ import annotations

import errno
import logging
import os
import secrets
import stat
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import BinaryIO

from impasto.errors import OutputError, SampleError

# Warnings of libvips and notes of pyvips are for those who ask for them: our errors say what a
# decoder says of a file. This module comes before those that load pyvips.
if logging.getLogger("pyvips").level == logging.NOTSET:
    logging.getLogger("pyvips").setLevel(logging.ERROR)

StrPath = str | os.PathLike[str]

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
    with as_output_error(path):
        target = Path(os.path.realpath(path))
        mode = checked_mode(target)
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
    with as_output_error(path):
        target = Path(os.path.realpath(path))
        checked_mode(target)
        with _scratch(target.parent):
            pass


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


def checked_mode(target: Path) -> int | None:
    """Returns the mode of the file that is there, None where there is none."""
    try:
        mode = target.stat().st_mode
    except FileNotFoundError:
        return None
    if stat.S_ISDIR(mode):
        raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(target))
    if not stat.S_ISREG(mode):
        raise OSError(errno.EINVAL, "a device, pipe or socket", str(target))
    check_not_protected(target)
    return stat.S_IMODE(mode)


def check_not_protected(target: Path) -> None:
    """Raises PermissionError where a file or a folder is write-protected."""
    # Renaming onto a write-protected file would succeed, against the will of its owner.
    effective = os.access in os.supports_effective_ids
    if not os.access(target, os.W_OK, effective_ids=effective):
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(target))


@contextmanager
def _scratch(folder: Path) -> Iterator[tuple[BinaryIO, Callable[[Path], None]]]:
    """Gives a new file in the folder and what moves it to its place; deletes it if nothing does."""
    nameless = _open_nameless(folder)
    if nameless is not None:
        with nameless as file:
            yield file, lambda target: _link(file.fileno(), target)
        return
    hidden = hidden_name(folder)
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
            hidden = hidden_name(target.parent)
            os.link(source, hidden.name, dst_dir_fd=folder, follow_symlinks=True)
            try:
                os.replace(hidden, target)
            except BaseException:
                hidden.unlink()
                raise
        os.fsync(folder)
    finally:
        os.close(folder)


def hidden_name(folder: Path) -> Path:
    """Returns a path in a folder that no other process has."""
    return folder / f".{secrets.token_hex(8)}.tmp"


@contextmanager
def as_output_error(path: StrPath) -> Iterator[None]:
    """Turns what the system says against writing a path into an OutputError."""
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
