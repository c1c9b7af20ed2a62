"""Signals as text: CSV files with a row of names, a column of time and one for each channel.

Python's csv splits the rows. Ours is what it does not know: which column is the time, what the
brackets and the decimal commas mean, the rate behind times that were rounded, gaps, and the row
where a table is wrong.
"""

from __future__ import annotations

import csv
import io
import math
import re
from array import array
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import dropwhile
from typing import NamedTuple

import numpy as np
from jaxtyping import Float64

from impasto.errors import SampleError
from impasto.media.files import StrPath, atomic_write, open_regular
from impasto.media.signals.gaps import with_gaps, without_gaps
from impasto.media.signals.preambles import Preamble, preamble_of, split_row
from impasto.media.signals.signal import Signal, Source, with_recipe

SUFFIXES = (".csv",)

# What a column of time may be called, and the seconds that its numbers count where that says so.
_TIMES = {"time": 1.0, "t": 1.0, "s": 1.0, "sec": 1.0, "second": 1.0, "seconds": 1.0, "ms": 1e-3}
_SECONDS = {"s": 1.0, "sec": 1.0, "seconds": 1.0, "ms": 1e-3, "us": 1e-6, "min": 60.0, "h": 3600.0}
_LABEL = re.compile(r"(?P<name>.*?)\s*(?:\[(?P<square>[^\]]*)\]|\((?P<round>[^)]*)\))\s*")
_ADVICE = "name a column time, in seconds, or put one of equal steps first"
_LONGEST_LINE = 2**20


@dataclass(frozen=True)
class TableSource(Source):
    """The layout of a table.

    Attributes:
        delimiter: stands between columns.
        comma: whether numbers have a decimal comma.
        line_end: stands after each row.
        comments: the lines above the table, without "#".
        header: whether there is a row of names.
        brackets: stand around the units in it.
        time: the name of the column of time.
        column: its number, from 0.
        seconds: that one unit of time lasts.
        first: the first time.
        decimals: the digits of a time after the point.
        rate: in Hz, where there is no column of time.
        above: the lines above the names that are no comments.
        ends: whether each row of values ends with a delimiter.
    """

    delimiter: str = ","
    comma: bool = False
    line_end: str = "\n"
    comments: tuple[str, ...] = ()
    header: bool = True
    brackets: str = "[]"
    time: str = "time [s]"
    column: int = 0
    seconds: float = 1.0
    first: float = 0.0
    decimals: int = 9
    rate: float | None = None
    above: tuple[str, ...] = ()
    ends: bool = False


class _Times(NamedTuple):
    """The times of a table: the first, from each to the next, how many, and the rate in Hz."""

    first: float
    step: float
    length: int
    rate: float
    decimals: int


def open_table(path: StrPath) -> Signal:
    """Reads a CSV file: a row of names, with units in brackets, and rows of time and values.

    The delimiter is a comma, a semicolon or a tab. The time is in the column called time, t,
    seconds, s or ms, or else in the first; its steps are equal. Empty fields and NaN are gaps.
    Lines above the table that begin with # are comments. The tables of watches have no time: the
    rate is among the lines above the values (`preambles`).

    Raises:
        SampleError: the file is no such table.
    """
    source, labels = _layout(path)
    times = _times(path, source)
    timed = source.rate is None
    with _rows(path, source) as rows:
        values = _values(rows, len(labels) + timed + source.ends, source)
    if timed:
        _check_steps(values[:, source.column], times)
        values = np.delete(values, source.column, axis=1)
    data, gaps = without_gaps(values[:, : len(labels)].T)
    names, units = zip(*map(_name_and_unit, labels), strict=True)
    return Signal(
        data=data,
        rate=times.rate,
        names=names,
        units=units,
        gaps=gaps,
        source=replace(source, first=times.first, decimals=times.decimals),
    )


def table_grid(path: StrPath) -> tuple[int, tuple[int, ...]]:
    """Returns the channels and the space of what `open_table` would give; counts the rows."""
    source, labels = _layout(path)
    return len(labels), (_times(path, source).length,)


def save_table(signal: Signal, path: StrPath, recipe: str | None = None) -> None:
    """Writes a signal as CSV, whole or not at all, in the layout it came in.

    Args:
        signal: its values get the digits that tell them apart as float32; gaps are empty fields.
        path: of the file.
        recipe: kept in a comment above the names.

    Raises:
        OutputError: the file cannot be written.
    """
    layout = signal.source if isinstance(signal.source, TableSource) else TableSource()
    step = 1 / (signal.rate * layout.seconds)
    decimals = layout.decimals
    if abs(step * 10**decimals - round(step * 10**decimals)) > 1e-6 or step < 10**-decimals:
        decimals = max(decimals, math.ceil(-math.log10(0.4 * step)))
    point = "," if layout.comma else "."
    with atomic_write(path) as file:
        text = io.TextIOWrapper(file, "utf-8", "surrogateescape", newline="")
        for comment in with_recipe(layout.comments, recipe):
            text.write(f"# {comment}{layout.line_end}")
        writer = csv.writer(text, delimiter=layout.delimiter, lineterminator=layout.line_end)
        text.writelines(f"{line}{layout.line_end}" for line in layout.above)
        if layout.header:
            before, after = tuple(layout.brackets)
            pairs = zip(signal.names, signal.units, strict=True)
            labels = [f"{name} {before}{unit}{after}" if unit else name for name, unit in pairs]
            if layout.rate is None:
                labels.insert(layout.column, layout.time)
            writer.writerow([" ".join(label.split()) for label in labels])
        # Text in float32 has the fewest digits that tell its values apart.
        for number, values in enumerate(with_gaps(signal).T.astype(np.float32)):
            row = [each.removesuffix(".0") for each in values.astype(str).tolist()]
            row = ["" if each == "nan" else each for each in row]
            if layout.rate is None:
                row.insert(layout.column, f"{layout.first + number * step:.{decimals}f}")
            row += [""] * layout.ends
            writer.writerow([each.replace(".", point) for each in row])
        text.detach()


def _layout(path: StrPath) -> tuple[TableSource, list[str]]:
    """Returns how a table is laid out, but for its times, and the labels of its channels."""
    with _text(path) as text:
        preamble = preamble_of(iter(lambda: text.readline(_LONGEST_LINE), ""))
    if preamble and (found := _untimed(path, preamble)):
        return found
    above = preamble.lines if preamble and _has_time(preamble.names) else ()
    if preamble and above and _has_time(split_row(above[-1], preamble.delimiter)):
        above = ()  # two rows of names, of which the second has units
    comments: list[str] = []
    lines: list[str] = []
    with _text(path) as text:
        comments += [line[1:].strip() for line in _skip(text, len(above)) if line[:1] == "#"]
        while len(lines) < 2 and (line := text.readline(_LONGEST_LINE)):
            if not lines and line.startswith("#"):
                comments.append(line[1:].strip())
            elif line.strip():
                lines.append(line)
        if not lines:
            raise SampleError(expected="a table", found="an empty file", remedy="get it again")
        delimiter = max(",;\t", key=lines[0].count)
        first, *rest = (next(csv.reader([line], delimiter=delimiter)) for line in lines)
    values = rest[0] if rest else first
    source = TableSource(
        delimiter=delimiter,
        comma=delimiter != "," and any(re.search(r"\d,\d", each) for each in values),
        line_end="\r\n" if lines[0].endswith("\r\n") else "\n",
        comments=tuple(comments),
        above=above,
    )
    header = any(not math.isfinite(_number(each, source, 0.0)) for each in first)
    if len(first) < 2 or (header and not rest):
        raise SampleError(
            expected="a row of names, then rows of time and one value or more",
            found=f"{len(first)} columns and {len(rest)} rows of values",
            remedy=_ADVICE,
        )
    if not header:
        labels = [str(number) for number in range(1, len(first))]
        return replace(source, header=False), labels
    column, seconds = _column_of_time(first)
    labels = [label for place, label in enumerate(first) if place != column]
    rounds = any(_LABEL.fullmatch(label) and label.rstrip().endswith(")") for label in first)
    source = replace(source, brackets="()" if rounds else "[]", time=first[column])
    return replace(source, column=column, seconds=seconds), labels


def _untimed(path: StrPath, preamble: Preamble) -> tuple[TableSource, list[str]] | None:
    """Returns how a table with a preamble is laid out; None if it has a column of time."""
    labels = list(preamble.names)
    if preamble.rate is None or _has_time(labels):
        return None
    with _text(path) as text:
        head = _skip(text, len(preamble.lines) + bool(labels))
        comments = [line[1:].strip() for line in head if line[:1] == "#"]
        while (value := text.readline(_LONGEST_LINE)).startswith("#"):
            comments.append(value[1:].strip())
    if not labels:
        only = f"{preamble.name} [{preamble.unit}]" if preamble.unit else preamble.name
        labels = [only] if preamble.columns == 1 else []
        labels = labels or [str(number) for number in range(1, preamble.columns + 1)]
    comma = any(re.search(r"\d,\d", each) for each in split_row(value, preamble.delimiter))
    source = TableSource(
        delimiter=preamble.delimiter,
        comma=comma,
        line_end="\r\n" if value.endswith("\r\n") else "\n",
        comments=tuple(comments),
        header=bool(preamble.names),
        rate=preamble.rate,
        above=preamble.lines,
        ends=preamble.ends,
    )
    return source, labels


def _has_time(labels: Sequence[str]) -> bool:
    return any(_name_and_unit(label)[0].lower() in _TIMES for label in labels)


def _skip(text: io.TextIOBase, count: int) -> Iterator[str]:
    """Gives so many lines, and the comments among them."""
    while count and (line := text.readline(_LONGEST_LINE)):
        count -= not line.startswith("#")
        yield line


def _column_of_time(labels: Sequence[str]) -> tuple[int, float]:
    """Returns the number of the column of time, and the seconds that its unit lasts."""
    pairs = [_name_and_unit(label) for label in labels]
    for column, (name, unit) in enumerate(pairs):
        if name.lower() not in _TIMES:
            continue
        if not unit:
            return column, _TIMES[name.lower()]
        if unit.lower() in _SECONDS:
            return column, _SECONDS[unit.lower()]
        raise SampleError(
            expected=f"time in {', '.join(_SECONDS)}",
            found=f"the column {labels[column]!r}",
            remedy="convert it to seconds",
        )
    return 0, 1.0


def _name_and_unit(label: str) -> tuple[str, str]:
    """Splits a label such as "II [mV]"."""
    if match := _LABEL.fullmatch(label):
        return match["name"].strip(), (match["square"] or match["round"] or "").strip()
    return label.strip(), ""


def _times(path: StrPath, source: TableSource) -> _Times:
    """Returns what the column of time says in its first, second and last row."""
    if source.rate is not None:
        with _rows(path, source) as rows:
            return _Times(0.0, 1 / source.rate, sum(1 for _ in rows), source.rate, 0)
    with _rows(path, source) as rows:
        times = (row[source.column] if source.column < len(row) else "" for row in rows)
        first = second = last = next(times)
        length = 1
        for length, last in enumerate(times, start=2):
            second = last if length == 2 else second
    begin, end = _number(first, source), _number(last, source)
    if not -math.inf < begin < end < math.inf:
        raise SampleError(
            expected="times that increase over two rows or more",
            found=f"{first!r} in the first and {last!r} in the last of {length}",
            remedy=_ADVICE,
        )
    decimals = max(_decimals(text.replace(",", ".")) for text in (first, second, last))
    steps = length - 1
    seconds, rounding = (end - begin) * source.seconds, 10.0**-decimals * source.seconds
    rate = steps / seconds
    # The times were rounded: the roundest rate that they can stand for.
    rounder = (round(rate, digits) for digits in range(10))
    fitting = (each for each in rounder if each and abs(steps / each - seconds) <= rounding)
    return _Times(begin, (end - begin) / steps, length, next(fitting, rate), decimals)


def _values(
    rows: Iterator[list[str]], columns: int, source: TableSource
) -> Float64[np.ndarray, "time column"]:
    """Returns all the numbers of a table, the times among them; NaN for an empty field."""
    numbers = array("d")
    for number, row in enumerate(rows, start=1):
        if len(row) != columns:
            raise SampleError(
                expected=f"{columns} fields in each row",
                found=f"{len(row)} in row {number} of values",
                remedy="correct the table",
            )
        if source.comma:
            row = [each.replace(",", ".") for each in row]
        try:
            numbers.extend([float(each) if each.strip() else math.nan for each in row])
        except ValueError as error:
            wrong = str(error).partition(": ")[2].strip("'\" ")
            raise SampleError(
                expected="numbers",
                found=f"{wrong[:50]!r} in row {number} of values",
                remedy="replace it, or leave the field empty where there is no value",
            ) from error
    return np.asarray(numbers).reshape(-1, columns)


def _check_steps(values: Float64[np.ndarray, " time"], times: _Times) -> None:
    """Refuses times that are not in equal steps, but for their rounding."""
    allowed = min(0.1 * times.step + 10.0**-times.decimals, 0.45 * times.step)
    even = times.first + times.step * np.arange(times.length)
    within = np.abs(values - even) <= allowed
    if not within.all():
        row = int(np.argmin(within))
        raise SampleError(
            expected=f"times in equal steps, some {times.step:.6g} apart",
            found=f"'{values[row]:.{times.decimals}f}' in row {row + 1} of values",
            remedy=f"resample the values to equal steps, or {_ADVICE}",
        )


def _number(text: str, source: TableSource, empty: float = math.nan) -> float:
    """Returns the number in a field; infinity where it is none."""
    text = text.strip().replace(",", ".") if source.comma else text.strip()
    try:
        return float(text) if text else empty
    except ValueError:
        return math.inf


def _decimals(text: str) -> int:
    """Counts the digits after the point; nine where there is an exponent."""
    return 9 if "e" in text.lower() else len(text.strip().partition(".")[2])


@contextmanager
def _rows(path: StrPath, source: TableSource) -> Iterator[Iterator[list[str]]]:
    """Gives the rows of values, without comments, the names and what is empty."""
    with _text(path) as text:
        deque(_skip(text, len(source.above)), maxlen=0)
        lines = dropwhile(lambda line: line.startswith("#") or not line.strip(), text)
        rows = filter(None, csv.reader(lines, delimiter=source.delimiter))
        if source.header:
            next(rows)
        yield rows


@contextmanager
def _text(path: StrPath) -> Iterator[io.TextIOWrapper]:
    with open_regular(path, "a table") as file:
        try:
            yield io.TextIOWrapper(file, "utf-8-sig", "surrogateescape", newline="")
        except csv.Error as error:
            raise SampleError(
                expected="a table of text", found=f"an error of csv: {error}", remedy="correct it"
            ) from error
