"""WFDB records: a header (.hea), its signal files (.dat) and annotation files (.atr and others).

`record_writer` writes them.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from impasto.errors import SampleError, about
from impasto.media.blocks import New, in_memory
from impasto.media.coding import decoding
from impasto.media.files import StrPath, open_regular
from impasto.media.sample import check_own_space
from impasto.media.signals.annotators import annotations_beside, wfdb_library
from impasto.media.signals.gaps import Block, gathered, spans
from impasto.media.signals.signal import Signal, Source, places

SUFFIXES = (".hea", ".dat")

# Bits of a sample, for the formats whose files have a known length.
_BITS = {"8": 8, "80": 8, "212": 12, "310": 32 / 3, "311": 32 / 3, "24": 24, "32": 32}
_BITS |= dict.fromkeys(("16", "61", "160"), 16)
_COMPRESSED = ("508", "516", "524")
LONGEST_HEADER = 2**24


class Lead(NamedTuple):
    """How a signal's values are stored: digital = gain * physical + baseline, in a format.

    gain: digital units per physical unit. resolution, zero: of the analog-digital converter, in
    bits and digital units. block_size: that the medium asked for, in bytes.
    """

    format: str
    gain: float
    baseline: int
    resolution: int
    zero: int
    block_size: int = 0


@dataclass(frozen=True)
class RecordSource(Source):
    """What a record's header and annotation files say beside the signal.

    leads: of each channel; () where they are to be chosen. comments: without "#". counter: the
    frequency of a counter and its value at the start. labels: of each annotator, the (code,
    symbol, description) of its own kinds of annotation.
    """

    leads: tuple[Lead, ...] = ()
    comments: tuple[str, ...] = ()
    counter: tuple[float, float] | None = None
    labels: tuple[tuple[str, tuple[tuple[int, str, str], ...]], ...] = ()

    def select(self, channels: Sequence[int]) -> RecordSource:
        return replace(self, leads=tuple(self.leads[i] for i in channels) if self.leads else ())

    def scaled(self, factors: Sequence[float]) -> RecordSource:
        leads = zip(self.leads, factors, strict=bool(self.leads))
        scaled = tuple(lead._replace(gain=lead.gain / factor) for lead, factor in leads)
        return replace(self, leads=scaled)


class _Header(NamedTuple):
    """What is known of a record before its values are read.

    record: wfdb's. leading: the record, or the segment, that describes the signals. channels:
    which signals. frame: positions of each in a frame. frames: how many there are.
    """

    stem: str
    record: Any
    leading: Any
    channels: list[int]
    frame: int
    frames: int
    comments: tuple[str, ...]

    @property
    def shape(self) -> tuple[int, int]:
        return len(self.channels), self.frames * self.frame


def is_record(path: StrPath) -> bool:
    """Whether the name is of a record: .hea, .dat, or without a suffix where its .hea exists."""
    name = Path(path)
    if name.suffix.lower() in SUFFIXES:
        return True
    return not os.path.exists(name) and os.path.isfile(f"{name}.hea")


def open_record(
    path: StrPath,
    size: tuple[int, ...] = (0,),
    new: New = in_memory,
    *,
    names: Sequence[str] | None = None,
) -> Signal:
    """Reads a WFDB record by its .hea, its .dat or its name, with all annotations beside it.

    Skewed signals are aligned. Samples marked invalid are gaps. A record of several segments is
    one signal.
    size: (0,), or what the record has; signals are not resized. new: makes the array of shape
    (channel, time). names: of the signals to read, all without; they must have one rate.
    Raises SampleError when a file is missing, damaged or shorter than the header says, or the
    signals have several rates; ConfigError when size is another; MissingExtraError without wfdb.
    """
    with about(os.fspath(path)):
        header = _header(path, names)
        check_own_space(header.shape[1:], size, "a signal")
        data, gaps = gathered(*header.shape, _blocks(header), new)
        leading, chosen = header.leading, header.channels
        annotations, labels = annotations_beside(header.stem, header.record.fs)
        return Signal(
            data=data,
            rate=float(header.record.fs * header.frame),
            names=tuple((leading.sig_name[i] or "").strip() for i in chosen),
            units=tuple(leading.units[i] for i in chosen),
            gaps=gaps,
            annotations=annotations,
            start=_start(header.record),
            source=_source(header, labels),
        )


def record_grid(path: StrPath, size: tuple[int, ...] = (0,)) -> tuple[int, tuple[int, ...]]:
    """The channels and the space that `open_record` would give, from the header alone."""
    with about(os.fspath(path)):
        channels, length = _header(path, None).shape
        check_own_space((length,), size, "a signal")
        return channels, (length,)


def _header(path: StrPath, names: Sequence[str] | None) -> _Header:
    name = Path(os.path.abspath(path))
    stem = name.with_suffix("") if name.suffix.lower() in SUFFIXES else name
    with open_regular(f"{stem}.hea", "a WFDB header") as file:
        lines = file.read(LONGEST_HEADER).decode("utf-8", "surrogateescape").splitlines()
    _check_lines(lines)
    with _decoding():
        record = wfdb_library().rdheader(str(stem), rd_segments=True)
    leading = record
    if hasattr(record, "n_seg"):
        leading = next((part for part in record.segments if part is not None), record)
    signals = len(getattr(leading, "sig_name", None) or ())
    if not signals or signals != record.n_sig or not record.fs > 0:
        raise SampleError(
            expected="a header of one signal or more, at a rate above 0 Hz",
            found=f"{record.n_sig} signals at {record.fs} Hz, {signals} of them described",
            remedy="correct the header",
        )
    channels = places([(name or "") for name in leading.sig_name], names)
    frame = _frame(record, leading, channels)
    frames = record.sig_len if leading is not record else _checked_length(stem, record)
    if not frames:
        raise SampleError(
            expected="one sample or more", found="a record of none", remedy="name another"
        )
    comments = tuple(line.lstrip()[1:].strip() for line in lines if line.lstrip()[:1] == "#")
    return _Header(str(stem), record, leading, channels, frame, frames, comments)


def _check_lines(lines: Sequence[str]) -> None:
    """Refuses headers of nothing, and those that point out of their folder."""
    lines = [line for line in lines if line.strip() and line.lstrip()[:1] != "#"]
    if not lines:
        raise SampleError(
            expected="a WFDB header", found="an empty file", remedy="get the file again"
        )
    for line in lines[1:]:
        name = line.split()[0]
        if "/" in name or "\\" in name:
            raise SampleError(
                expected="signal files in the header's folder",
                found=f"the name {name[:100]}",
                remedy="put the file there and correct the header",
            )


def _frame(record: Any, leading: Any, channels: Sequence[int]) -> int:
    """The positions in a frame, which must be as many for all the channels."""
    lengths = [leading.samps_per_frame[i] for i in channels]
    if len(set(lengths)) == 1:
        return int(lengths[0])
    pairs = zip(channels, lengths, strict=True)
    rates = ", ".join(f"{leading.sig_name[i]} at {record.fs * frame:g}" for i, frame in pairs)
    raise SampleError(
        expected="signals of one rate",
        found=f"{rates} Hz",
        remedy="read those of one: impasto.media.signals.records.open_record(path, names=[...])",
    )


def _checked_length(stem: Path, record: Any) -> int:
    """The number of frames, where the signal files have as many."""
    length = record.sig_len
    for name in dict.fromkeys(record.file_name):
        its = [i for i, other in enumerate(record.file_name) if other == name]
        first = its[0]
        with open_regular(stem.with_name(name), f"the signal file {name} beside it") as file:
            size = os.fstat(file.fileno()).st_size
        formats = {record.fmt[i] for i in its}
        if len(formats) > 1 or not formats <= {*_BITS, *_COMPRESSED}:
            raise SampleError(
                expected=f"one format of {', '.join((*_BITS, *_COMPRESSED))} in {name}",
                found=", ".join(sorted(formats)),
                remedy="correct the header",
            )
        if formats & {*_COMPRESSED}:
            continue
        size -= record.byte_offset[first] or 0
        bits = _BITS[record.fmt[first]] * sum(record.samps_per_frame[i] for i in its)
        length = int(size * 8 / bits) if length is None else length
        if size < int(length * bits / 8):
            raise SampleError(
                expected=f"{int(length * bits / 8)} bytes of samples in {name}",
                found=f"{max(size, 0)}",
                remedy="get the file again",
            )
    return length or 0


def _blocks(header: _Header) -> Iterator[Block]:
    wfdb = wfdb_library()
    parts: Any = spans(len(header.channels) * header.frame, header.frames)
    if header.record.sig_len is None:
        parts = [(0, None)]  # without a length, wfdb reads all or nothing
    for start, stop in parts:
        with _decoding():
            part = wfdb.rdrecord(
                header.stem,
                sampfrom=start,
                sampto=stop,
                channels=header.channels,
                smooth_frames=False,
            )
            block = np.stack(part.e_p_signal)
        yield block


def _source(header: _Header, labels: Any) -> RecordSource:
    record = header.record
    leads: tuple[Lead, ...] = ()
    if header.leading is record:
        leads = tuple(
            Lead(
                format=record.fmt[i],
                gain=float(record.adc_gain[i]),
                baseline=record.baseline[i],
                resolution=record.adc_res[i] or 0,
                zero=record.adc_zero[i] or 0,
                block_size=record.block_size[i] or 0,
            )
            for i in header.channels
        )
    counter = record.counter_freq and (record.counter_freq, record.base_counter or 0.0)
    return RecordSource(leads, header.comments, counter, labels)


def _start(record: Any) -> Any:
    if record.base_date and record.base_time:
        return datetime.combine(record.base_date, record.base_time)
    return record.base_time


def _decoding() -> AbstractContextManager[None]:
    return decoding("a WFDB record whole to its end", "wfdb")
