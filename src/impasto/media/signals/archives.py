"""NPZ archives of a signal: `signal` (time, channel), `fs`, `names` and `units`."""

from __future__ import annotations

import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import numpy as np

from impasto.errors import SampleError
from impasto.media.arrays import npy_header
from impasto.media.blocks import check_memory
from impasto.media.coding import decoding
from impasto.media.files import StrPath, atomic_write, open_regular
from impasto.media.signals.gaps import with_gaps, without_gaps
from impasto.media.signals.signal import Signal, Source

SUFFIXES = (".npz",)

_HOW_TO_WRITE = "write it with numpy.savez(path, signal=..., fs=...)"
_LARGEST = 2**20
"""Bytes of `fs`, `names` or `units`; a file with more is a mistake or an attack."""


@dataclass(frozen=True)
class ArchiveSource(Source):
    """The type of an archive's values, in which they are saved again."""

    dtype: np.dtype[Any]


class _Archive(NamedTuple):
    """An open archive, and the shape (time, channel) and type of its signal."""

    zip: zipfile.ZipFile
    shape: tuple[int, int]
    dtype: np.dtype[Any]


def open_archive(path: StrPath) -> Signal:
    """Reads an .npz file of `signal`, shape (time,) or (time, channel), and `fs` in Hz.

    `names` and `units`, one text for each channel, may be missing. NaN is a gap. Nothing is
    unpickled.

    Raises:
        SampleError: the file is damaged, or holds something else.
        MemoryLimitError: the values do not fit into the free memory.
    """
    with _opened(path) as archive:
        length, channels = archive.shape
        rate = _array(archive, "fs", "a number of Hz")
        if rate is None or rate.size != 1 or rate.dtype.kind not in "iuf":
            raise SampleError(
                expected="the sampling rate as one number named fs",
                found="none" if rate is None else f"{rate.dtype} of shape {rate.shape}",
                remedy=_HOW_TO_WRITE,
            )
        numbers = tuple(str(number) for number in range(1, channels + 1))
        names = _texts(archive, "names", numbers)
        units = _texts(archive, "units", ("",) * channels)
        check_memory(archive.shape, archive.dtype)
        values = _load(archive, "signal").reshape(length, channels)
        data, gaps = without_gaps(values.T)
        return Signal(
            data=data,
            rate=float(rate.item()),
            names=names,
            units=units,
            gaps=gaps,
            source=ArchiveSource(archive.dtype),
        )


def archive_grid(path: StrPath) -> tuple[int, tuple[int, ...]]:
    """Returns the channels and the space of what `open_archive` would give, from the header."""
    with _opened(path) as archive:
        length, channels = archive.shape
        return channels, (length,)


def save_archive(signal: Signal, path: StrPath, recipe: str | None = None) -> None:
    """Writes a signal as .npz, whole or not at all; NaN stands in the gaps.

    Args:
        signal: saved in float32, or in the floats of the archive it came from.
        path: of the file.
        recipe: kept as the array `impasto`.

    Raises:
        OutputError: the file cannot be written.
    """
    dtype = np.dtype(np.float32)
    if isinstance(signal.source, ArchiveSource) and signal.source.dtype.kind == "f":
        dtype = signal.source.dtype
    arrays: dict[str, Any] = {
        "signal": with_gaps(signal).T.astype(dtype),
        "fs": signal.rate,
        "names": signal.names,
        "units": signal.units,
    }
    if recipe is not None:
        arrays["impasto"] = recipe
    with atomic_write(path) as file:
        np.savez_compressed(file, **arrays)


@contextmanager
def _opened(path: StrPath) -> Iterator[_Archive]:
    """Opens an archive and checks the header of its signal.

    numpy.load takes memory for whatever a header claims, and knows nothing of what a signal needs.
    """
    whole = "an .npz file whole to its end, of plain numbers and text"
    with (
        open_regular(path, "an archive of arrays") as file,
        decoding(whole, "its reader", "write it with numpy.savez"),
    ):
        if not os.fstat(file.fileno()).st_size:
            raise SampleError(
                expected="an archive of arrays", found="an empty file", remedy="get it again"
            )
        with zipfile.ZipFile(file) as archive:
            names = archive.namelist()
            if "signal.npy" not in names:
                raise SampleError(
                    expected="an array named signal, of shape (time, channel)",
                    found=", ".join(name.removesuffix(".npy") for name in names)[:100] or "none",
                    remedy=_HOW_TO_WRITE,
                )
            yield _Archive(archive, *_signal_header(archive))


def _signal_header(archive: zipfile.ZipFile) -> tuple[tuple[int, int], np.dtype[Any]]:
    with archive.open("signal.npy") as member:
        shape, _, dtype = npy_header(member)
    if dtype.kind not in "iuf" or len(shape) not in (1, 2) or min(shape) < 1:
        raise SampleError(
            expected="a signal of numbers, shape (time,) or (time, channel), neither of them 0",
            found=f"{dtype} of shape {shape}",
            remedy=_HOW_TO_WRITE,
        )
    needed, size = prod(shape) * dtype.itemsize, archive.getinfo("signal.npy").file_size
    if size < needed:
        raise SampleError(
            expected=f"{needed} bytes for a signal of shape {shape}",
            found=f"{size}",
            remedy="get the file again",
        )
    return (shape[0], shape[1] if len(shape) > 1 else 1), dtype


def _load(archive: _Archive, name: str) -> np.ndarray:
    with archive.zip.open(f"{name}.npy") as member:
        array: np.ndarray = np.lib.format.read_array(member, allow_pickle=False)
        return array


def _array(archive: _Archive, name: str, what: str) -> np.ndarray | None:
    """Returns a small array beside the signal, None where there is none."""
    try:
        size = archive.zip.getinfo(f"{name}.npy").file_size
    except KeyError:
        return None
    if size > _LARGEST:
        raise SampleError(
            expected=f"{what} named {name}",
            found=f"an array of {size} bytes",
            remedy="write it with numpy.savez",
        )
    return _load(archive, name)


def _texts(archive: _Archive, name: str, missing: tuple[str, ...]) -> tuple[str, ...]:
    """Returns the texts of an array, one for each channel; `missing` where there is no array."""
    texts = _array(archive, name, "a text for each channel")
    if texts is None:
        return missing
    if texts.dtype.kind != "U" or texts.shape != (len(missing),):
        raise SampleError(
            expected=f"{len(missing)} {name}, one for each channel",
            found=f"{texts.dtype} of shape {texts.shape}",
            remedy="correct them",
        )
    return tuple(map(str, texts))
