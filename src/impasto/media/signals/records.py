"""WFDB records: a header (.hea), its signal files (.dat) and annotation files (.atr and others).

The library wfdb decodes them; `record_writer` writes them. Ours are the checks before: wfdb follows
names out of the folder, and takes a file that is shorter than its header says for an error of
arrays. Comments are read here, for wfdb does not keep those that are not UTF-8.
"""

from __future__ import annotations

import os
import shlex
from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from impasto.errors import SampleError, about
from impasto.media.blocks import check_memory
from impasto.media.coding import decoding
from impasto.media.files import StrPath, open_regular
from impasto.media.signals.annotators import annotations_beside, wfdb_library
from impasto.media.signals.gaps import without_gaps
from impasto.media.signals.record_headers import readable
from impasto.media.signals.signal import Signal, Source, places

SUFFIXES = (".hea", ".dat")
_MATLAB = (
    ".mat"  # of values after a header of MATLAB's, as the challenges of 2020 and 2021 have them
)

# Bits of a sample, for the formats whose files have a known length.
_BITS = {"8": 8, "80": 8, "212": 12, "310": 32 / 3, "311": 32 / 3, "24": 24, "32": 32}
_BITS |= dict.fromkeys(("16", "61", "160"), 16)
_COMPRESSED = ("508", "516", "524")
LONGEST_HEADER = 2**24


class Lead(NamedTuple):
    """How a channel's values are stored: digital = gain * physical + baseline, in a format.

    Attributes:
        format: WFDB's number of it, such as "212".
        gain: digital units per physical unit.
        baseline: the digital value that stands for 0.
        resolution, zero: of the analog-digital converter, in bits and in digital units.
        block_size: that the medium of the recording asked for, in bytes.
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

    Attributes:
        leads: how each channel is stored; () where the writer chooses.
        comments: the comments of the header, without "#".
        counter: the frequency of a counter and its value at the start.
        labels: of each annotator, the code, symbol and description of its own annotations.
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

    Attributes:
        stem: the path without a suffix.
        record: wfdb's description of it.
        leading: the record, or the one of its segments, that describes the signals.
        channels: the numbers of the signals to read.
        frame: the positions of each signal in a frame.
        frames: how many there are.
        comments: without "#".
    """

    stem: str
    record: Any
    leading: Any
    channels: list[int]
    frame: int
    frames: int
    comments: tuple[str, ...]


def is_record(path: StrPath) -> bool:
    """Whether the name is of a record: .hea, .dat, or .mat or none where its .hea exists.

    Example:
        >>> is_record("recordings/100.dat"), is_record("100.csv")
        (True, False)
    """
    name = Path(path)
    if name.suffix.lower() in SUFFIXES:
        return True
    if name.suffix.lower() == _MATLAB:
        return os.path.isfile(name.with_suffix(".hea"))
    return not os.path.exists(name) and os.path.isfile(f"{name}.hea")


def open_record(path: StrPath, *, names: Sequence[str] | None = None) -> Signal:
    """Reads a WFDB record, with all the annotations beside it.

    Skewed signals are aligned. Samples that are marked invalid are gaps. A record of several
    segments is one signal.

    Args:
        path: of the .hea, of the .dat or .mat, or without a suffix.
        names: of the signals to read, which must have one rate; None reads all.

    Raises:
        SampleError: a file is missing, damaged or shorter than the header says, or the signals
            have several rates.
        MemoryLimitError: the values do not fit into the free memory.
        MissingExtraError: wfdb is not installed.
    """
    with about(os.fspath(path)), _opened(path, names) as header:
        check_memory((len(header.channels), header.frames * header.frame), np.dtype(np.float64))
        leading, chosen = header.leading, header.channels
        names = tuple((leading.sig_name[i] or "").strip() for i in chosen)
        with _decoding():
            record = wfdb_library().rdrecord(header.stem, channels=chosen, smooth_frames=False)
            data, gaps = without_gaps(record.e_p_signal, names)
        del record  # it holds the values twice more, in 64 bits
        _check_values(data.shape[1], header)
        annotations, labels = annotations_beside(str(_stem(path)), header.record.fs)
        return Signal(
            data=data,
            rate=float(header.record.fs * header.frame),
            names=names,
            units=tuple(leading.units[i] for i in chosen),
            gaps=gaps,
            annotations=annotations,
            start=_start(header.record),
            source=_source(header, labels),
        )


def record_grid(
    path: StrPath, *, names: Sequence[str] | None = None
) -> tuple[int, tuple[int, ...]]:
    """Returns the channels and the space of what `open_record` would give, from the header."""
    with _opened(path, names) as header:
        return len(header.channels), (header.frames * header.frame,)


def _stem(path: StrPath) -> Path:
    name = Path(os.path.abspath(path))
    return name.with_suffix("") if name.suffix.lower() in (*SUFFIXES, _MATLAB) else name


@contextmanager
def _opened(path: StrPath, names: Sequence[str] | None) -> Iterator[_Header]:
    """Reads a header, and gives it while wfdb can read the record at its stem."""
    stem = _stem(path)
    with open_regular(f"{stem}.hea", "a WFDB header") as file:
        lines = file.read(LONGEST_HEADER).decode("utf-8", "surrogateescape").splitlines()
    _check_lines(lines)
    with readable(stem, lines) as known:
        yield _header(known, lines, names)


def _header(stem: Path, lines: Sequence[str], names: Sequence[str] | None) -> _Header:
    """Reads a header, and checks it and the sizes of its files."""
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
    """Refuses an empty header, and one that names files outside its folder."""
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
    """Returns the positions in a frame, which must be as many for all the channels."""
    lengths = [leading.samps_per_frame[i] for i in channels]
    if len(set(lengths)) == 1:
        return int(lengths[0])
    pairs = zip(channels, lengths, strict=True)
    rates = ", ".join(f"{leading.sig_name[i]} at {record.fs * frame:g}" for i, frame in pairs)
    raise SampleError(
        expected="signals of one rate",
        found=f"{rates} Hz",
        remedy=f"choose those of one, as in --leads {shlex.quote(leading.sig_name[channels[0]])}",
    )


def _checked_length(stem: Path, record: Any) -> int:
    """Returns the number of frames, after a check that the signal files have as many."""
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


def _check_values(length: int, header: _Header) -> None:
    """Refuses a record of segments, or compressed, that has fewer values than it says."""
    if length < (needed := header.frames * header.frame):
        raise SampleError(
            expected=f"{needed} values a channel",
            found=f"{length}",
            remedy="get the file again",
        )


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
