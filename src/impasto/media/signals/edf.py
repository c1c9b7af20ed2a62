"""EDF and BDF files, plain and plus, read by pyedflib. `edf_writer` writes them.

Ours is what pyedflib does not do: it prints where a file is shorter than its header says, and it
gives the bytes about the patient and the recording only in parts.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from functools import partial
from typing import Any, BinaryIO, NamedTuple

import numpy as np

from impasto.errors import SampleError, about
from impasto.media.blocks import check_memory
from impasto.media.coding import after_file_name, decoding
from impasto.media.files import StrPath, open_regular
from impasto.media.signals.gaps import without_gaps
from impasto.media.signals.signal import Annotation, Signal, Source, places
from impasto.system.libraries import library

pyedflib_library = partial(library, "pyedflib", "for EDF files", "signals")

SUFFIXES = (".edf", ".bdf")

IDENTITY = slice(8, 168)
"""The bytes of a header on the patient and the recording, 80 each."""


class Channel(NamedTuple):
    """How a channel's values are stored: `digital` values stand evenly for `physical` ones."""

    physical: tuple[float, float]
    digital: tuple[int, int]
    transducer: str = ""
    prefilter: str = ""


@dataclass(frozen=True)
class EdfSource(Source):
    """What an EDF file says beside the signal.

    Attributes:
        channels: of each, how it is stored.
        identity: the header's 160 bytes about the patient and the recording.
        record: the positions of a channel in one data record.
        seconds: that a data record lasts.
        plus: whether the file is EDF+ or BDF+.
    """

    channels: tuple[Channel, ...]
    identity: bytes
    record: int
    seconds: Fraction
    plus: bool = True

    def select(self, channels: Sequence[int]) -> EdfSource:
        return replace(self, channels=tuple(self.channels[i] for i in channels))

    def scaled(self, factors: Sequence[float]) -> EdfSource:
        pairs = zip(self.channels, factors, strict=True)
        scaled = (
            channel._replace(physical=(channel.physical[0] * by, channel.physical[1] * by))
            for channel, by in pairs
        )
        return replace(self, channels=tuple(scaled))


def open_edf(path: StrPath, *, names: Sequence[str] | None = None) -> Signal:
    """Reads an EDF, EDF+C, BDF or BDF+C file, with its annotations.

    Args:
        path: of the file.
        names: of the channels to read, which must have one rate; None reads all.

    Raises:
        SampleError: the file is damaged, truncated or discontinuous, or the channels have several
            rates.
        MemoryLimitError: the values do not fit into the free memory.
        MissingExtraError: pyedflib is not installed.
    """
    with about(os.fspath(path)), _opened(path) as file:
        channels, length = _shape(file, names)
        check_memory((len(channels), length), np.dtype(np.float64))
        data, gaps = without_gaps([file.readSignal(i) for i in channels])
        with open_regular(path, "an EDF file") as header:
            identity = header.read(256)[IDENTITY]
        record = int(file.samples_in_datarecord(channels[0]))
        seconds = Fraction(file.datarecord_duration).limit_denominator(100_000)
        return Signal(
            data=data,
            rate=float(record / seconds),
            names=tuple(file.getLabel(i).strip() for i in channels),
            units=tuple(file.getPhysicalDimension(i).strip() for i in channels),
            gaps=gaps,
            annotations=_annotations(file),
            start=_start(file),
            source=EdfSource(
                channels=tuple(_channel(file, i) for i in channels),
                identity=identity,
                record=record,
                seconds=seconds,
                plus=file.filetype in (1, 3),
            ),
        )


def edf_grid(path: StrPath) -> tuple[int, tuple[int, ...]]:
    """Returns the channels and the space of what `open_edf` would give, from the header."""
    with _opened(path, annotations=False) as file:
        channels, length = _shape(file, None)
        return len(channels), (length,)


def check_length(file: BinaryIO) -> None:
    """Refuses a file that is shorter than its header says, or has no such header.

    Args:
        file: open, anywhere.

    Raises:
        SampleError: the header is damaged, or the file ends too early.
    """
    file.seek(0)
    head = file.read(256)
    try:
        signals, header = int(head[252:256]), int(head[184:192])
        records = int(head[236:244])
        file.seek(256 + 216 * signals)
        samples = sum(int(file.read(8)) for _ in range(signals))
        if min(signals, header, records, samples) < 1:
            raise ValueError
    except ValueError as error:
        raise SampleError(
            expected="an EDF or BDF header with its numbers of signals, records and samples",
            found="a damaged one, or another file",
            remedy="get the file again",
        ) from error
    needed = header + records * samples * (3 if head[:1] == b"\xff" else 2)
    if (size := os.fstat(file.fileno()).st_size) < needed:
        raise SampleError(expected=f"{needed} bytes", found=f"{size}", remedy="get the file again")


@contextmanager
def _opened(path: StrPath, annotations: bool = True) -> Iterator[Any]:
    with open_regular(path, "an EDF file") as file:
        if not os.fstat(file.fileno()).st_size:
            raise SampleError(expected="an EDF file", found="an empty file", remedy="get it again")
        check_length(file)
    pyedflib = pyedflib_library()
    with decoding(
        "an EDF or BDF file whole to its end, without interruptions",
        "pyedflib",
        "get it again, or convert it to EDF+C",
        says=after_file_name,
    ):
        wanted = pyedflib.READ_ALL_ANNOTATIONS if annotations else pyedflib.DO_NOT_READ_ANNOTATIONS
        # Its own check of the size prints; the one above does not.
        with pyedflib.EdfReader(os.fspath(path), wanted, pyedflib.DO_NOT_CHECK_FILE_SIZE) as reader:
            yield reader


def _shape(file: Any, names: Sequence[str] | None) -> tuple[list[int], int]:
    """Returns the numbers of the channels to read, and the positions in each."""
    labels = [file.getLabel(i).strip() for i in range(file.signals_in_file)]
    chosen = places(labels, names)
    if not chosen:
        raise SampleError(
            expected="one channel or more", found="annotations alone", remedy="name another file"
        )
    rates = [float(file.getSampleFrequency(i)) for i in chosen]
    if len(set(rates)) > 1:
        pairs = zip(chosen, rates, strict=True)
        several = ", ".join(f"{labels[i]} at {rate:g}" for i, rate in pairs)
        raise SampleError(
            expected="channels of one rate",
            found=f"{several} Hz",
            remedy="read those of one: impasto.media.signals.edf.open_edf(path, names=[...])",
        )
    return chosen, int(file.samples_in_file(chosen[0]))


def _channel(file: Any, number: int) -> Channel:
    return Channel(
        physical=(file.getPhysicalMinimum(number), file.getPhysicalMaximum(number)),
        digital=(int(file.getDigitalMinimum(number)), int(file.getDigitalMaximum(number))),
        transducer=file.getTransducer(number).strip(),
        prefilter=file.getPrefilter(number).strip(),
    )


def _annotations(file: Any) -> tuple[Annotation, ...]:
    times, durations, texts = file.readAnnotations()
    return tuple(
        Annotation(float(at), str(text), None if duration < 0 else float(duration))
        for at, duration, text in zip(times, durations, texts, strict=True)
    )


def _start(file: Any) -> datetime:
    whole: datetime = file.getStartdatetime()
    return whole.replace(microsecond=file.starttime_subsecond // 10)
