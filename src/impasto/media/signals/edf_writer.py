"""EDF, EDF+ and BDF+ files, written by pyedflib.

Ours is what pyedflib does not do: choose the length of a data record so that the rate is exact and
the records divide the signal, choose the range of the values, round it to the eight characters of
a header, round values rather than cut them off, keep the patient and the recording as they came,
and say when the disk is full. EDF has no sample that means a gap: the straight line is written.
"""

from __future__ import annotations

import errno
import math
import os
import re
import unicodedata
from collections.abc import Sequence
from datetime import datetime, time
from fractions import Fraction
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np

from impasto.errors import OutputError, SampleError
from impasto.media.coding import encoding
from impasto.media.files import StrPath
from impasto.media.folders import atomic_set
from impasto.media.signals.edf import IDENTITY, Channel, EdfSource, pyedflib_library
from impasto.media.signals.edf_headers import read_header
from impasto.media.signals.signal import Annotation, Signal

_MARK = "not_for_diagnosis"
_DATED = re.compile(rb"Startdate \d\d-[A-Z]{3}-\d{4}")
_NO_DATE = datetime(1985, 1, 1)  # the first that EDF has, which stands for none
# The least and the most seconds of a data record, and the fractions that pyedflib can write.
_SHORTEST, _LONGEST, _STEP = 0.1, 10, Fraction(1, 100_000)
_MOST_ANNOTATION_SIGNALS = 64


def save_edf(signal: Signal, path: StrPath, recipe: str | None = None) -> None:
    """Writes a signal as EDF+ or BDF+ (as plain EDF where it came so), whole or not at all.

    Args:
        signal: one from an EDF file keeps its ranges, so that its steps stay; values outside
            become the nearest in them. Another is written with the range of its values. Data
            records are as long as they came, or so long that they divide the signal; where none
            does, the last value fills the last record. Annotations keep 0.1 ms and 40 bytes of
            text, in EDF+.
        path: of the file.
        recipe: kept in the recording's description with "not for diagnosis", where both fit into
            its 80 bytes.

    Raises:
        OutputError: the file cannot be written, or EDF cannot hold the signal.
        MissingExtraError: pyedflib is not installed.
    """
    pyedflib = pyedflib_library()
    source = signal.source if isinstance(signal.source, EdfSource) else None
    bits = 24 if Path(path).suffix.lower() == ".bdf" else 16
    name = Path(path).name
    with atomic_set(path, name, lambda header: ()) as folder:  # of one file, the one that is named
        channels = _channels(signal, source, bits)
        record, seconds = _record(signal, source)
        records = -(-signal.space[0] // record)
        plus = source is None or source.plus or bool(signal.annotations)
        target = folder / name
        with encoding(
            "a signal that EDF can hold",
            "pyedflib",
            "save it as a WFDB record (.hea)",
            (ValueError, AssertionError, TypeError),
        ):
            kind = (2 if bits == 24 else 0) + plus
            with pyedflib.EdfWriter(str(target), len(channels), kind) as file:
                _write_header(pyedflib, file, signal, channels, record, seconds)
                if plus:
                    _prepare_annotations(file, signal, records)
                _write_records(file, signal, channels, record)
                for annotation in signal.annotations:
                    _write_annotation(file, annotation)
        _check_written(target)
        _identify(target, source, recipe)


def _channels(signal: Signal, source: EdfSource | None, bits: int) -> list[Channel]:
    """Returns how each channel is stored: as it came, or over the range of its values."""
    if source is not None and all(_fits(channel, bits) for channel in source.channels):
        return [_headed(channel) for channel in source.channels]
    digital = -(2 ** (bits - 1)), 2 ** (bits - 1) - 1
    channels = []
    for values, name in zip(signal.data, signal.names, strict=True):
        ends = float(values.min()), float(values.max())
        if ends[0] == ends[1]:
            around = max(1.0, abs(ends[0]) / 10)
            ends = ends[0] - around, ends[1] + around
        physical = _eight(ends[0], math.floor), _eight(ends[1], math.ceil)
        if max(map(abs, physical)) >= 10**7:
            raise OutputError(
                expected="values below 10,000,000, which a header has room for",
                found=f"{ends[0]:g} to {ends[1]:g} in {name!r}",
                remedy="use a larger unit",
            )
        channels.append(Channel(physical, digital))
    return channels


def _headed(channel: Channel) -> Channel:
    """Returns the channel with its range rounded to what a header can say."""
    low, high = channel.physical
    return channel._replace(physical=(_eight(low, round), _eight(high, round)))


def _fits(channel: Channel, bits: int) -> bool:
    """Whether the format has the bits for the channel's digital values."""
    limit = 1 << (bits - 1)
    return -limit <= min(channel.digital) and max(channel.digital) < limit


def _eight(value: float, rounded: Any) -> float:
    """Rounds a number, by `rounded`, to what the eight characters of a header can say."""
    for digits in range(6, 0, -1):
        scaled = rounded(value * 10**digits)
        if len(f"{scaled / 10**digits:.{digits}f}") <= 8:
            return float(scaled / 10**digits)
    return float(rounded(value))


def _record(signal: Signal, source: EdfSource | None) -> tuple[int, Fraction]:
    """Returns the positions in a data record and its seconds, which give exactly the rate."""
    length, rate = signal.space[0], Fraction(signal.rate).limit_denominator(10**6)
    if source and source.record / source.seconds == rate and not length % source.record:
        return source.record, source.seconds
    fewest = (rate * _STEP).numerator  # positions that last a whole number of steps
    exact = {
        record: record / rate
        for record in range(fewest, int(_LONGEST * rate) + 1, fewest)
        if record / rate >= Fraction(_SHORTEST)
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
    pyedflib: ModuleType,
    file: Any,
    signal: Signal,
    channels: Sequence[Channel],
    record: int,
    seconds: Fraction,
) -> None:
    headers = [
        {
            "label": _ascii(name),
            "dimension": _ascii(unit),
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
    # pyedflib cuts off what is below a hundredth of a millisecond.
    file.setDatarecordDuration(float(seconds) + float(_STEP) / 4)
    file.setSignalHeaders(headers)
    start = signal.start or _NO_DATE
    if isinstance(start, time):
        start = datetime.combine(_NO_DATE, start)
    file.setStartdatetime(start.replace(microsecond=0))
    if start.microsecond:
        pyedflib.edfwriter.set_starttime_subsecond(file.handle, start.microsecond * 10)


def _ascii(text: str) -> str:
    """Returns a text in the letters that EDF has: uV for µV, e for é."""
    plain = unicodedata.normalize("NFKD", re.sub("[µμ]", "u", text))
    return plain.encode("ascii", "ignore").decode()


def _prepare_annotations(file: Any, signal: Signal, records: int) -> None:
    """Makes room: pyedflib puts one annotation in each annotation signal of a data record."""
    needed = max(1, -(-len(signal.annotations) // records))
    if needed > _MOST_ANNOTATION_SIGNALS:
        raise OutputError(
            expected=f"at most {_MOST_ANNOTATION_SIGNALS * records} annotations in this EDF file",
            found=f"{len(signal.annotations)}",
            remedy="save it as a WFDB record (.hea)",
        )
    file.set_number_of_annotation_signals(needed)


def _write_records(file: Any, signal: Signal, channels: Sequence[Channel], record: int) -> None:
    low = np.array([[channel.physical[0]] for channel in channels])
    high = np.array([[channel.physical[1]] for channel in channels])
    zero = np.array([[channel.digital[0]] for channel in channels])
    steps = np.array([[channel.digital[1]] for channel in channels]) - zero
    values = signal.data.astype(np.float64)
    values -= low
    values *= steps / (high - low)
    np.clip(np.rint(values, out=values), 0, steps, out=values)
    digital = values.astype(np.int32) + zero.astype(np.int32)
    digital = np.pad(digital, ((0, 0), (0, -digital.shape[1] % record)), mode="edge")
    for one in digital.reshape(len(channels), -1, record).swapaxes(0, 1):
        if file.blockWriteDigitalSamples(np.ascontiguousarray(one).ravel()):
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


def _write_annotation(file: Any, annotation: Annotation) -> None:
    code = "" if annotation.symbol == '"' else annotation.symbol
    text = (
        f"{code} {annotation.text}".replace("\0", "").strip().encode()[:40].decode(errors="ignore")
    )
    duration = -1.0 if annotation.duration is None else annotation.duration
    file.writeAnnotation(np.float64(max(0.0, annotation.time)), np.float64(duration), text)


def _check_written(target: Path) -> None:
    """Finds out by the size whether the disk was full, which pyedflib does not say."""
    try:
        with open(target, "rb") as file:
            read_header(file)
    except SampleError as error:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC)) from error


def _identify(target: Path, source: EdfSource | None, recipe: str | None) -> None:
    """Puts the patient and the recording of the source into the header, and the mark."""
    with open(target, "rb+") as file:
        written = file.read(256)[IDENTITY]
        identity = source.identity if source else written
        recording = identity[80:].rstrip()
        if _DATED.match(recording) and _DATED.match(written[80:]):
            recording = written[80:101] + recording[21:]
        for text in (_MARK, recipe or ""):
            added = text.replace(" ", "").encode("ascii", "replace")
            longer = recording + b" " + added
            if added not in recording and len(longer) <= 80:
                recording = longer
        file.seek(IDENTITY.start)
        file.write(identity[:80] + recording.ljust(80))
