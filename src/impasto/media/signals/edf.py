"""EDF and BDF files, plain and plus, read by pyedflib. `edf_writer` writes them.

Ours is what pyedflib does not do: it prints where a file is shorter than its header says, it gives
the bytes about the patient and the recording only in parts, and it refuses headers that
`edf_headers` mends.
"""

from __future__ import annotations

import logging
import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Float64

from impasto.errors import SampleError, about
from impasto.media.blocks import check_memory
from impasto.media.coding import after_file_name, decoding
from impasto.media.files import StrPath, open_regular
from impasto.media.signals.edf_headers import Header, is_blank, read_header, readable, text
from impasto.media.signals.gaps import without_gaps
from impasto.media.signals.signal import Annotation, Signal, Source, places
from impasto.system.libraries import library

logger = logging.getLogger(__name__)

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


class _File(NamedTuple):
    """A file that is open: pyedflib's reader, and the header as it stands in the file."""

    reader: Any
    header: Header


def open_edf(path: StrPath, *, names: Sequence[str] | None = None) -> Signal:
    """Reads an EDF, EDF+, BDF or BDF+ file without a pause, with its annotations.

    A channel whose range is a single value is blank: it has that value throughout, which is logged.

    Args:
        path: of the file.
        names: of the channels to read, which must have one rate; None reads all.

    Raises:
        SampleError: the file is damaged, truncated or has a pause, or the channels have several
            rates.
        MemoryLimitError: the values do not fit into the free memory.
        MissingExtraError: pyedflib is not installed.
    """
    with about(os.fspath(path)), _opened(path) as file:
        channels, length = _shape(file, names)
        check_memory((len(channels), length), np.dtype(np.float64))
        plain = [file.header.plain[i] for i in channels]
        names = [text(fields["label"]) for fields in plain]
        data, gaps = without_gaps([_values(file, i) for i in channels], names)
        with open_regular(path, "an EDF file") as header:
            identity = header.read(256)[IDENTITY]
        reader = file.reader
        record = int(reader.samples_in_datarecord(channels[0]))
        seconds = Fraction(reader.datarecord_duration).limit_denominator(100_000)
        return Signal(
            data=data,
            rate=float(record / seconds),
            names=tuple(names),
            units=tuple(text(fields["unit"]) for fields in plain),
            gaps=gaps,
            annotations=_annotations(reader),
            start=_start(reader),
            source=EdfSource(
                channels=tuple(_channel(file, i) for i in channels),
                identity=identity,
                record=record,
                seconds=seconds,
                plus=reader.filetype in (1, 3),
            ),
        )


def edf_grid(path: StrPath, *, names: Sequence[str] | None = None) -> tuple[int, tuple[int, ...]]:
    """Returns the channels and the space of what `open_edf` would give, from the header."""
    with _opened(path, annotations=False) as file:
        channels, length = _shape(file, names)
        return len(channels), (length,)


@contextmanager
def _opened(path: StrPath, annotations: bool = True) -> Iterator[_File]:
    with open_regular(path, "an EDF file") as file:
        if not os.fstat(file.fileno()).st_size:
            raise SampleError(expected="an EDF file", found="an empty file", remedy="get it again")
        header = read_header(file)
    pyedflib = pyedflib_library()
    with (
        readable(path, header) as known,
        decoding(
            "an EDF or BDF file whole to its end, without interruptions",
            "pyedflib",
            "get it again, or convert it to EDF+C",
            says=after_file_name,
        ),
    ):
        wanted = pyedflib.READ_ALL_ANNOTATIONS if annotations else pyedflib.DO_NOT_READ_ANNOTATIONS
        # Its own check of the size prints; the one above does not.
        with pyedflib.EdfReader(
            os.fspath(known), wanted, pyedflib.DO_NOT_CHECK_FILE_SIZE
        ) as reader:
            yield _File(reader, header)


def _shape(file: _File, names: Sequence[str] | None) -> tuple[list[int], int]:
    """Returns the numbers of the channels to read, and the positions in each."""
    labels = [text(fields["label"]) for fields in file.header.plain]
    if not labels:
        raise SampleError(
            expected="one channel or more", found="annotations alone", remedy="name another file"
        )
    chosen = places(labels, names)
    reader = file.reader
    rates = [float(reader.getSampleFrequency(i)) for i in chosen]
    if len(set(rates)) > 1:
        pairs = zip(chosen, rates, strict=True)
        several = ", ".join(f"{labels[i]} at {rate:g}" for i, rate in pairs)
        raise SampleError(
            expected="channels of one rate",
            found=f"{several} Hz",
            remedy=f"choose those of one, as in --leads {shlex.quote(labels[chosen[0]])}",
        )
    return chosen, int(reader.samples_in_file(chosen[0]))


def _values(file: _File, number: int) -> Float64[np.ndarray, " time"]:
    """Returns the values of a channel; of a blank one, the one value that it can have."""
    fields = file.header.plain[number]
    values: np.ndarray = file.reader.readSignal(number)
    if is_blank(fields):
        logger.info("channel %s is blank: its range is a single value", text(fields["label"]))
        values = np.full(values.shape, float(fields["physical_min"]))
    return values


def _channel(file: _File, number: int) -> Channel:
    fields, reader = file.header.plain[number], file.reader
    physical = (reader.getPhysicalMinimum(number), reader.getPhysicalMaximum(number))
    if is_blank(fields):
        value = float(fields["physical_min"])
        physical = value - 1, value + 1
    return Channel(
        physical=physical,
        digital=(int(reader.getDigitalMinimum(number)), int(reader.getDigitalMaximum(number))),
        transducer=reader.getTransducer(number).strip(),
        prefilter=reader.getPrefilter(number).strip(),
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
