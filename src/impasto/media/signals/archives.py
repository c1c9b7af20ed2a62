"""NPZ archives of a signal: `signal` (time, channel), `fs`, `names` and `units`."""

from __future__ import annotations

import io
import os
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from math import prod
from typing import Any, NamedTuple

import numpy as np

from impasto.errors import SampleError, about
from impasto.media.arrays import npy_header
from impasto.media.blocks import New, in_memory
from impasto.media.coding import decoding
from impasto.media.files import StrPath, atomic_write, open_regular
from impasto.media.sample import check_own_space
from impasto.media.signals.gaps import Block, gathered, pieces, spans
from impasto.media.signals.signal import Signal, Source

SUFFIXES = (".npz",)

# Of the arrays beside the signal, which no sensible file reaches.
_LARGEST = 2**20


@dataclass(frozen=True)
class ArchiveSource(Source):
    """dtype: the type of an archive's values, in which they are saved."""

    dtype: np.dtype[Any]


class _Stored(NamedTuple):
    """An archive and what is known of its signal: the shape is (time, channel)."""

    archive: zipfile.ZipFile
    shape: tuple[int, int]
    dtype: np.dtype[Any]
    fortran: bool


def open_archive(path: StrPath, size: tuple[int, ...] = (0,), new: New = in_memory) -> Signal:
    """Reads an .npz file of `signal`, shape (time,) or (time, channel), and `fs` in Hz.

    `names` and `units` may be left out. NaN is a gap. Nothing is unpickled.
    size: (0,), or what the signal has; signals are not resized. new: makes the array of shape
    (channel, time); beside it, reading takes a block of memory.
    Raises SampleError when the file is damaged or holds something else; ConfigError when size is
    another.
    """
    with about(os.fspath(path)), _stored(path) as stored:
        length, channels = stored.shape
        check_own_space((length,), size, "a signal")
        rate = _array(stored, "fs", "a number of Hz")
        if rate is None or rate.size != 1 or rate.dtype.kind not in "iuf":
            raise SampleError(
                expected="the sampling rate as one number named fs",
                found="none" if rate is None else f"{rate.dtype} of shape {rate.shape}",
                remedy="write it with numpy.savez(path, signal=..., fs=...)",
            )
        numbers = tuple(str(n) for n in range(1, channels + 1))
        names = _texts(stored, "names", numbers)
        units = _texts(stored, "units", ("",) * channels)
        data, gaps = gathered(channels, length, _blocks(stored), new)
        return Signal(
            data=data,
            rate=float(rate.item()),
            names=names,
            units=units,
            gaps=gaps,
            source=ArchiveSource(stored.dtype),
        )


def archive_grid(path: StrPath, size: tuple[int, ...] = (0,)) -> tuple[int, tuple[int, ...]]:
    """The channels and the space that `open_archive` would give, from the header alone."""
    with about(os.fspath(path)), _stored(path) as stored:
        length, channels = stored.shape
        check_own_space((length,), size, "a signal")
        return channels, (length,)


def save_archive(signal: Signal, path: StrPath, recipe: str | None = None) -> None:
    """Writes a signal as .npz, whole or not at all, a block at a time; NaN stands in the gaps.

    Values are float32, or floats of the type that they came in. recipe: kept as `impasto`.
    Raises OutputError when the file cannot be written.
    """
    dtype = np.dtype(np.float32)
    if isinstance(signal.source, ArchiveSource) and signal.source.dtype.kind == "f":
        dtype = signal.source.dtype
    channels, length = signal.data.shape
    header = {
        "descr": np.lib.format.dtype_to_descr(dtype),
        "fortran_order": False,
        "shape": (length, channels),
    }
    beside = {"fs": signal.rate, "names": signal.names, "units": signal.units}
    if recipe is not None:
        beside["impasto"] = recipe
    with atomic_write(path) as file, zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED) as archive:
        with archive.open("signal.npy", "w", force_zip64=True) as member:
            np.lib.format.write_array_header_1_0(member, header)
            for block in pieces(signal):
                member.write(block.T.astype(dtype).tobytes())
        for name, values in beside.items():
            array = io.BytesIO()
            np.save(array, np.array(values))
            archive.writestr(f"{name}.npy", array.getvalue())


@contextmanager
def _stored(path: StrPath) -> Iterator[_Stored]:
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
                    remedy="write it with numpy.savez(path, signal=..., fs=...)",
                )
            with archive.open("signal.npy") as member:
                shape, fortran, dtype = _npy_header(member)
            claimed = archive.getinfo("signal.npy").file_size
            if claimed < prod(shape) * dtype.itemsize:
                raise SampleError(
                    expected=f"{prod(shape) * dtype.itemsize} bytes for a signal of shape {shape}",
                    found=f"{claimed}",
                    remedy="get the file again",
                )
            length, channels = (*shape, 1)[:2]
            yield _Stored(archive, (length, channels), dtype, fortran and len(shape) == 2)


def _npy_header(member: Any) -> tuple[tuple[int, ...], bool, np.dtype[Any]]:
    shape, fortran, dtype = npy_header(member)
    if dtype.kind not in "iuf" or len(shape) not in (1, 2) or min(shape) < 1:
        raise SampleError(
            expected="a signal of numbers, shape (time,) or (time, channel), neither of them 0",
            found=f"{dtype} of shape {shape}",
            remedy="write it with numpy.savez(path, signal=..., fs=...)",
        )
    return shape, fortran, dtype


def _blocks(stored: _Stored) -> Iterator[Block]:
    length, channels = stored.shape
    with stored.archive.open("signal.npy") as member:
        _npy_header(member)
        if stored.fortran:
            # Channel after channel in the file, which is inflated once for each.
            yield from _columns(stored)
            return
        for start, stop in spans(channels, length):
            values = _read(member, (stop - start) * channels, stored.dtype)
            yield values.reshape(-1, channels).T


def _columns(stored: _Stored) -> Iterator[Block]:
    length, channels = stored.shape
    members = [stored.archive.open("signal.npy") for _ in range(channels)]
    for number, member in enumerate(members):
        _npy_header(member)
        member.seek(number * length * stored.dtype.itemsize, io.SEEK_CUR)
    for start, stop in spans(channels, length):
        yield np.stack([_read(member, stop - start, stored.dtype) for member in members])


def _read(member: Any, count: int, dtype: np.dtype[Any]) -> np.ndarray:
    return np.frombuffer(member.read(count * dtype.itemsize), dtype, count)


def _array(stored: _Stored, name: str, what: str) -> np.ndarray | None:
    """A small array beside the signal, None where there is none."""
    try:
        info = stored.archive.getinfo(f"{name}.npy")
    except KeyError:
        return None
    if info.file_size > _LARGEST:
        raise SampleError(
            expected=f"{what} named {name}",
            found=f"an array of {info.file_size} bytes",
            remedy="write it with numpy.savez",
        )
    return np.asarray(np.load(io.BytesIO(stored.archive.read(info)), allow_pickle=False))


def _texts(stored: _Stored, name: str, missing: tuple[str, ...]) -> tuple[str, ...]:
    """The strings of an array, one for each channel."""
    texts = _array(stored, name, "a text for each channel")
    if texts is None:
        return missing
    if texts.dtype.kind != "U" or texts.shape != (len(missing),):
        raise SampleError(
            expected=f"{len(missing)} {name}, one for each channel",
            found=f"{texts.dtype} of shape {texts.shape}",
            remedy="correct them",
        )
    return tuple(map(str, texts))
