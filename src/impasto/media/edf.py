"""EDF and BDF files, plain and plus, by pyedflib, a few data records at a time.

EDF has no sample that means none: across a gap the straight line is written.
"""

from __future__ import annotations

import errno
import math
import os
import re
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, time
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from impasto.errors import ImpastoError, OutputError, SampleError, about
from impasto.media.blocks import New, in_memory
from impasto.media.files import StrPath, atomic_set, check_writable, open_regular
from impasto.media.gaps import Block, gathered, spans
from impasto.media.sample import check_own_space
from impasto.media.signal import Annotation, Signal, Source, library

SUFFIXES = (".edf", ".bdf")

_MARK = "not_for_diagnosis"
_IDENTITY = slice(8, 168)  # of the header: the patient and the recording, 80 bytes each
_DATED = re.compile(rb"Startdate \d\d-[A-Z]{3}-\d{4}")
_NO_DATE = datetime(1985, 1, 1)  # the first that EDF has, which stands for none
# Seconds of a data record, and their fractions that the library can write.
_SHORTEST, _LONGEST, _STEP = 0.1, 10, Fraction(1, 100_000)
_MOST_ANNOTATION_SIGNALS = 64


class Channel(NamedTuple):
    """How a channel's values are stored: `digital` values stand evenly for `physical` ones."""

    physical: tuple[float, float]
    digital: tuple[int, int]
    transducer: str = ""
    prefilter: str = ""


@dataclass(frozen=True)
class EdfSource(Source):
    """What an EDF file says beside the signal.

    channels: of each. identity: the header's 160 bytes about the patient and the recording.
    record: the positions in a data record, which lasts `seconds`. plus: whether it is EDF+.
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


def open_edf(
    path: StrPath,
    size: tuple[int, ...] = (0,),
    new: New = in_memory,
    *,
    names: Sequence[str] | None = None,
) -> Signal:
    """Reads an EDF, EDF+C, BDF or BDF+C file, with its annotations.

    size: (0,), or what the signal has; signals are not resized. new: makes the array of shape
    (channel, time). names: of the channels to read, all without; they must have one rate.
    Raises SampleError when the file is damaged, truncated or discontinuous, or the channels have
    several rates; ConfigError when size is another; MissingExtraError without pyedflib.
    """
    with about(os.fspath(path)), _opened(path) as file:
        channels, length = _shape(file, names)
        check_own_space((length,), size, "a signal")
        data, gaps = gathered(len(channels), length, _blocks(file, channels, length), new)
        labels = [file.getLabel(i).strip() for i in channels]
        with open_regular(path, "an EDF file") as header:
            identity = header.read(256)[_IDENTITY]
        record = int(file.samples_in_datarecord(channels[0]))
        seconds = Fraction(file.datarecord_duration).limit_denominator(100_000)
        return Signal(
            data=data,
            rate=float(record / seconds),
            names=tuple(labels),
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


def edf_grid(path: StrPath, size: tuple[int, ...] = (0,)) -> tuple[int, tuple[int, ...]]:
    """The channels and the space that `open_edf` would give, from the header alone."""
    with about(os.fspath(path)), _opened(path, annotations=False) as file:
        channels, length = _shape(file, None)
        check_own_space((length,), size, "a signal")
        return len(channels), (length,)


def save_edf(signal: Signal, path: StrPath, recipe: str | None = None) -> None:
    """Writes a signal as EDF+ (or plain EDF, where it came so), or BDF+, whole or not at all.

    Ranges stay as they came, so that steps do: values outside become the nearest in them. A
    signal from elsewhere is written with the range of its values. Data records are as long as
    they came, or so long that they divide the signal; where none does, the last value fills the
    last one. Annotations are kept to 0.1 ms and 40 bytes of text, in EDF+.
    recipe: kept in the recording's description with "not for diagnosis", where those fit in its
    80 bytes.
    Raises OutputError when the file cannot be written or cannot hold the signal; MissingExtraError
    without pyedflib.
    """
    with about(os.fspath(path)):
        library_ = _pyedflib()
    source = signal.source if isinstance(signal.source, EdfSource) else None
    bits = 24 if Path(path).suffix.lower() == ".bdf" else 16
    with atomic_set(path) as folder:
        channels = _channels(signal, source, bits)
        record, seconds = _record(signal, source)
        records = -(-signal.space[0] // record)
        plus = source is None or source.plus or bool(signal.annotations)
        target = folder / Path(path).name
        with _encoding():
            kind = (2 if bits == 24 else 0) + plus
            with library_.EdfWriter(str(target), len(channels), kind) as file:
                _write_header(library_, file, signal, channels, record, seconds)
                if plus:
                    _prepare_annotations(file, signal, records)
                _write_records(file, signal, channels, record, records)
                for annotation in signal.annotations:
                    _write_annotation(file, annotation)
        _check_written(target)
        _identify(target, source, recipe)


def check_edf_target(path: StrPath) -> None:
    """Raises where `save_edf` would for the path alone, before any work is done."""
    with about(os.fspath(path)):
        _pyedflib()
    check_writable(path)


@contextmanager
def _opened(path: StrPath, annotations: bool = True) -> Iterator[Any]:
    with open_regular(path, "an EDF file") as file:
        size = os.fstat(file.fileno()).st_size
        if not size:
            raise SampleError(expected="an EDF file", found="an empty file", remedy="get it again")
        needed = _claimed(file.read(256), file)
    if size < needed:
        raise SampleError(expected=f"{needed} bytes", found=f"{size}", remedy="get the file again")
    pyedflib = _pyedflib()
    with _decoding():
        wanted = pyedflib.READ_ALL_ANNOTATIONS if annotations else pyedflib.DO_NOT_READ_ANNOTATIONS
        # Its own check of the size prints; the one above does not.
        with pyedflib.EdfReader(os.fspath(path), wanted, pyedflib.DO_NOT_CHECK_FILE_SIZE) as reader:
            yield reader


def _claimed(head: bytes, file: Any) -> int:
    """The bytes that a file has by its header."""
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
            found="another, or damage",
            remedy="get the file again",
        ) from error
    return header + records * samples * (3 if head[:1] == b"\xff" else 2)


def _shape(file: Any, names: Sequence[str] | None) -> tuple[list[int], int]:
    """The channels to read, and the positions in each."""
    labels = [file.getLabel(i).strip() for i in range(file.signals_in_file)]
    own = [label.lower() for label in labels]
    chosen = list(range(len(own)))
    if names is not None:
        if missing := [name for name in names if name.strip().lower() not in own]:
            raise SampleError(
                expected=f"some of the channels {', '.join(labels)}",
                found=", ".join(missing),
                remedy="choose among those",
            )
        chosen = [own.index(name.strip().lower()) for name in names]
    if not chosen:
        raise SampleError(
            expected="one channel or more", found="annotations alone", remedy="name another file"
        )
    rates = {labels[i]: float(file.getSampleFrequency(i)) for i in chosen}
    if len(set(rates.values())) > 1:
        found = ", ".join(f"{name} at {rate:g}" for name, rate in rates.items())
        raise SampleError(
            expected="channels of one rate",
            found=f"{found} Hz",
            remedy="read those of one: impasto.media.edf.open_edf(path, names=[...])",
        )
    return chosen, int(file.samples_in_file(chosen[0]))


def _blocks(file: Any, channels: Sequence[int], length: int) -> Iterator[Block]:
    for start, stop in spans(len(channels), length):
        yield np.stack([file.readSignal(i, start, stop - start) for i in channels])


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


def _channels(signal: Signal, source: EdfSource | None, bits: int) -> list[Channel]:
    if source is not None and all(_fits(channel, bits) for channel in source.channels):
        return list(source.channels)
    low, high = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    channels = []
    for values, name in zip(signal.data, signal.names, strict=True):
        ends = float(values.min()), float(values.max())
        if ends[0] == ends[1]:
            ends = ends[0] - max(1.0, abs(ends[0])), ends[1] + max(1.0, abs(ends[1]))
        physical = _eight(ends[0], math.floor), _eight(ends[1], math.ceil)
        if max(map(abs, physical)) >= 10**7:
            raise OutputError(
                expected="values below 10,000,000, which a header has room for",
                found=f"{ends[0]:g} to {ends[1]:g} in {name!r}",
                remedy="use a larger unit",
            )
        channels.append(Channel(physical, (low, high)))
    return channels


def _fits(channel: Channel, bits: int) -> bool:
    return -(2 ** (bits - 1)) <= min(channel.digital) and max(channel.digital) < 2 ** (bits - 1)


def _eight(value: float, rounded: Any) -> float:
    """The nearest number beyond, in eight characters."""
    for digits in range(6, 0, -1):
        scaled = rounded(value * 10**digits)
        if len(f"{scaled / 10**digits:.{digits}f}") <= 8:
            return float(scaled / 10**digits)
    return float(rounded(value))


def _record(signal: Signal, source: EdfSource | None) -> tuple[int, Fraction]:
    """The positions in a data record and its seconds, which give exactly the rate."""
    length, rate = signal.space[0], Fraction(signal.rate).limit_denominator(10**6)
    if source and source.record / source.seconds == rate and not length % source.record:
        return source.record, source.seconds
    exact = {
        record: record / rate
        for record in range(1, int(_LONGEST * rate) + 1)
        if not (record / rate / _STEP).denominator > 1 and record / rate >= Fraction(_SHORTEST)
    }
    if not exact:
        raise OutputError(
            expected="a rate that gives whole positions in some multiple of 0.01 ms below 10 s",
            found=f"{signal.rate:g} Hz",
            remedy=f"bring it there with resampled({max(1, round(signal.rate))})",
        )
    dividing = [record for record in exact if not length % record] or list(exact)
    record = min(dividing, key=lambda record: abs(exact[record] - 1))
    return record, exact[record]


def _write_header(
    library_: ModuleType,
    file: Any,
    signal: Signal,
    channels: Sequence[Channel],
    record: int,
    seconds: Fraction,
) -> None:
    headers = [
        {
            "label": name,
            "dimension": unit,
            "sample_frequency": record / float(seconds),
            "physical_min": channel.physical[0],
            "physical_max": channel.physical[1],
            "digital_min": channel.digital[0],
            "digital_max": channel.digital[1],
            "transducer": channel.transducer,
            "prefilter": channel.prefilter,
        }
        for name, unit, channel in zip(signal.names, signal.units, channels, strict=True)
    ]
    # The library cuts off what is below a hundredth of a millisecond.
    file.setDatarecordDuration(float(seconds) + float(_STEP) / 4)
    file.setSignalHeaders(headers)
    start = signal.start or _NO_DATE
    if isinstance(start, time):
        start = datetime.combine(_NO_DATE, start)
    file.setStartdatetime(start.replace(microsecond=0))
    if start.microsecond:
        library_.edfwriter.set_starttime_subsecond(file.handle, start.microsecond * 10)


def _prepare_annotations(file: Any, signal: Signal, records: int) -> None:
    """Makes room: the library puts one annotation in each annotation signal of a data record."""
    needed = max(1, -(-len(signal.annotations) // records))
    if needed > _MOST_ANNOTATION_SIGNALS:
        raise OutputError(
            expected=f"at most {_MOST_ANNOTATION_SIGNALS * records} annotations in this EDF file",
            found=f"{len(signal.annotations)}",
            remedy="save it as a WFDB record (.hea)",
        )
    file.set_number_of_annotation_signals(needed)


def _write_records(
    file: Any, signal: Signal, channels: Sequence[Channel], record: int, records: int
) -> None:
    low = np.array([[channel.physical[0]] for channel in channels])
    steps = np.array([[c.digital[1] - c.digital[0]] for c in channels])
    scale = steps / (np.array([[channel.physical[1]] for channel in channels]) - low)
    zero = np.array([[channel.digital[0]] for channel in channels])
    length = signal.space[0]
    many = max(1, next(spans(len(channels), length))[1] // record)
    for first in range(0, records, many):
        stop = min(first + many, records) * record
        block = signal.data[:, first * record : stop].astype(np.float64)
        block = np.pad(block, ((0, 0), (0, max(0, stop - length))), mode="edge")
        digital = np.clip(np.rint((block - low) * scale), 0, steps).astype(np.int32) + zero
        parts = digital.astype(np.int32).reshape(len(channels), -1, record).swapaxes(0, 1)
        for part in parts:
            if file.blockWriteDigitalSamples(np.ascontiguousarray(part).ravel()):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _write_annotation(file: Any, annotation: Annotation) -> None:
    code = "" if annotation.symbol == '"' else annotation.symbol
    text = (
        f"{code} {annotation.text}".replace("\0", "").strip().encode()[:40].decode(errors="ignore")
    )
    duration = -1.0 if annotation.duration is None else annotation.duration
    file.writeAnnotation(np.float64(max(0.0, annotation.time)), np.float64(duration), text)


def _check_written(target: Path) -> None:
    """The library does not say when the disk is full."""
    with open(target, "rb") as file:
        head = file.read(256)
        whole = len(head) == 256 and _claimed(head, file) <= target.stat().st_size
    if not whole:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _identify(target: Path, source: EdfSource | None, recipe: str | None) -> None:
    """Puts the patient and the recording of the source in the header, and the mark."""
    with open(target, "rb+") as file:
        written = file.read(256)[_IDENTITY]
        identity = source.identity if source else written
        recording = identity[80:].rstrip()
        if _DATED.match(recording) and _DATED.match(written[80:]):
            recording = written[80:101] + recording[21:]
        for text in (_MARK, recipe or ""):
            added = text.replace(" ", "").encode("ascii", "replace")
            longer = recording + b" " + added
            if added not in recording and len(longer) <= 80:
                recording = longer
        file.seek(_IDENTITY.start)
        file.write(identity[:80] + recording.ljust(80))


@contextmanager
def _decoding() -> Iterator[None]:
    """What damaged files make pyedflib raise, which is anything, as one error."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    except ImpastoError:
        raise
    except Exception as error:
        raise SampleError(
            expected="an EDF or BDF file whole to its end, without interruptions",
            found=f"that pyedflib says: {str(error).rpartition(': ')[2][:120]}",
            remedy="get it again, or convert it to EDF+C",
        ) from error


@contextmanager
def _encoding() -> Iterator[None]:
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # that names of more than 16 bytes are cut off
            yield
    except (ValueError, AssertionError, TypeError) as error:
        raise OutputError(
            expected="a signal that EDF can hold",
            found=f"that pyedflib says: {str(error)[:120]}",
            remedy="save it as a WFDB record (.hea)",
        ) from error


def _pyedflib() -> ModuleType:
    return library("pyedflib", "for EDF files")
