"""Signals as text: CSV files with a row of names, a column of time and one for each channel."""

from __future__ import annotations

import csv
import io
import math
import os
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import dropwhile, islice
from typing import IO, NamedTuple

import numpy as np

from impasto.errors import SampleError, about
from impasto.media.blocks import New, in_memory
from impasto.media.files import StrPath, atomic_write, open_regular
from impasto.media.sample import check_own_space
from impasto.media.signals.gaps import Block, gathered, pieces, spans
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

    delimiter: between columns. comma: whether numbers have a decimal comma. line_end: after each
    row. comments: the lines above, without "#". header: whether there is a row of names; brackets:
    around its units. time: what it calls the column of time; column: which one that is. seconds:
    that time counts. first, decimals: its first number, and the digits after the point.
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


class _Table(NamedTuple):
    """What is known of a table before its values are read.

    labels: of the channels, with their units. length, rate: of the signal. step: of time.
    """

    source: TableSource
    labels: list[str]
    length: int
    rate: float
    step: float


def open_table(path: StrPath, size: tuple[int, ...] = (0,), new: New = in_memory) -> Signal:
    """Reads a CSV file: a row of names, with units in brackets, and rows of time and values.

    The delimiter is a comma, a semicolon or a tab. Time is in the column called time, t, seconds,
    s or ms, or in the first; its steps are equal. Empty fields and NaN are gaps. Lines above that
    begin with # are comments.
    size: (0,), or what the signal has; signals are not resized. new: makes the array of shape
    (channel, time); beside it, reading takes a block of memory.
    Raises SampleError when the file is no such table; ConfigError when size is another.
    """
    with about(os.fspath(path)):
        table = _scanned(path)
        check_own_space((table.length,), size, "a signal")
        with _rows(path) as rows:
            if table.source.header:
                next(rows)
            blocks = _blocks(rows, table)
            data, gaps = gathered(len(table.labels), table.length, blocks, new)
        matches = [_LABEL.fullmatch(label) for label in table.labels]
        pairs = [
            (match["name"].strip(), (match["square"] or match["round"] or "").strip())
            if match
            else (label.strip(), "")
            for match, label in zip(matches, table.labels, strict=True)
        ]
        return Signal(
            data=data,
            rate=table.rate,
            names=tuple(name for name, _ in pairs),
            units=tuple(unit for _, unit in pairs),
            gaps=gaps,
            source=table.source,
        )


def table_grid(path: StrPath, size: tuple[int, ...] = (0,)) -> tuple[int, tuple[int, ...]]:
    """The channels and the space that `open_table` would give; the rows are counted."""
    with about(os.fspath(path)):
        table = _scanned(path)
        check_own_space((table.length,), size, "a signal")
        return len(table.labels), (table.length,)


def save_table(signal: Signal, path: StrPath, recipe: str | None = None) -> None:
    """Writes a signal as CSV, whole or not at all, a block at a time, in the layout it came in.

    Values have the digits that tell them apart as float32; gaps are empty fields. recipe: kept in
    a comment above the names.
    Raises OutputError when the file cannot be written.
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
        if layout.header:
            before, after = tuple(layout.brackets)
            pairs = zip(signal.names, signal.units, strict=True)
            labels = [f"{name} {before}{unit}{after}" if unit else name for name, unit in pairs]
            labels.insert(layout.column, layout.time)
            writer.writerow([" ".join(label.split()) for label in labels])
        start = 0
        for block in pieces(signal):
            for number, row in enumerate(block.T.astype(np.float32).astype(str).tolist(), start):
                row = ["" if each == "nan" else each.removesuffix(".0") for each in row]
                row.insert(layout.column, f"{layout.first + number * step:.{decimals}f}")
                writer.writerow([each.replace(".", point) for each in row])
            start += block.shape[1]
        text.detach()


def _scanned(path: StrPath) -> _Table:
    """The layout, from the first rows, and the length and the rate, from all the times."""
    source, labels = _layout(path)
    with _rows(path) as rows:
        if source.header:
            next(rows)
        first = last = second = next(rows)
        length = 1
        for length, last in enumerate(rows, start=2):
            second = last if length == 2 else second
    texts = [_field(row, source.column) for row in (first, second, last)]
    begin, _, end = (_number(text, source) for text in texts)
    if not -math.inf < begin < end < math.inf:
        raise SampleError(
            expected="times that increase over two rows or more",
            found=f"{texts[0]!r} in the first and {texts[2]!r} in the last of {length}",
            remedy=_ADVICE,
        )
    decimals = max(_decimals(text.replace(",", ".")) for text in texts)
    source = replace(source, first=begin, decimals=decimals)
    step = (end - begin) / (length - 1)
    return _Table(source, labels, length, _rate(length, end - begin, source), step)


def _layout(path: StrPath) -> tuple[TableSource, list[str]]:
    """How a table is laid out, but for its times, and the labels of its channels."""
    comments: list[str] = []
    lines: list[str] = []
    with _text(path) as text:
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
    matches = [_LABEL.fullmatch(label) for label in first]
    names = [
        (match["name"] if match else label).strip().lower()
        for match, label in zip(matches, first, strict=True)
    ]
    column = next((place for place, name in enumerate(names) if name in _TIMES), 0)
    match, seconds = matches[column], _TIMES.get(names[column], 1.0)
    if names[column] in _TIMES and match and (unit := match["square"] or match["round"]):
        if unit.strip().lower() not in _SECONDS:
            raise SampleError(
                expected=f"time in {', '.join(_SECONDS)}",
                found=f"the column {first[column]!r}",
                remedy="convert it to seconds",
            )
        seconds = _SECONDS[unit.strip().lower()]
    labels = [label for place, label in enumerate(first) if place != column]
    rounds = any(_LABEL.fullmatch(label) and label.rstrip().endswith(")") for label in first)
    source = replace(source, brackets="()" if rounds else "[]", time=first[column])
    return replace(source, column=column, seconds=seconds), labels


def _rate(length: int, span: float, source: TableSource) -> float:
    """The roundest rate in Hz that the times, which were rounded, can stand for."""
    span, rounding = span * source.seconds, 10.0**-source.decimals * source.seconds
    rate = (length - 1) / span
    rounder = (round(rate, digits) for digits in range(10))
    fits = (each for each in rounder if each and abs((length - 1) / each - span) <= rounding)
    return next(fits, rate)


def _blocks(rows: Iterator[list[str]], table: _Table) -> Iterator[Block]:
    """The values of the channels; SampleError where times are not in equal steps."""
    source, columns = table.source, len(table.labels) + 1
    allowed = min(0.1 * table.step + 10.0**-source.decimals, 0.45 * table.step)
    for start, stop in spans(columns, table.length):
        block = list(islice(rows, stop - start))
        values = _numbers(block, columns, start, source)
        times = values[:, source.column] - source.first
        apart = np.abs(times - table.step * np.arange(start, stop))
        if not (wrong := apart <= allowed).all():
            row = int(np.argmin(wrong))
            raise SampleError(
                expected=f"times in equal steps, some {table.step:.6g} apart",
                found=f"{block[row][source.column]!r} in row {start + row + 1} of values",
                remedy=f"resample the values to equal steps, or {_ADVICE}",
            )
        yield np.delete(values, source.column, axis=1).T


def _numbers(
    rows: Sequence[list[str]], columns: int, start: int, source: TableSource
) -> np.ndarray:
    if source.comma:
        rows = [[each.replace(",", ".") for each in row] for row in rows]
    try:
        filled = [[each.strip() or "nan" for each in row] for row in rows]
        values = np.array(filled, np.float64)
        if values.shape[1] == columns:
            return values
    except (ValueError, IndexError):
        pass
    for number, row in enumerate(rows, start + 1):
        if len(row) != columns:
            raise SampleError(
                expected=f"{columns} fields in each row",
                found=f"{len(row)} in row {number} of values",
                remedy="correct the table",
            )
        for each in row:
            if each.strip() and math.isinf(_number(each, source)) and "inf" not in each.lower():
                raise SampleError(
                    expected="numbers",
                    found=f"{each.strip()[:50]!r} in row {number} of values",
                    remedy="replace it, or leave the field empty where there is no value",
                )
    raise SampleError(expected="numbers", found="something else", remedy="correct the table")


def _number(text: str, source: TableSource, empty: float = math.nan) -> float:
    """A field's number; infinity where it is none."""
    text = text.strip().replace(",", ".") if source.comma else text.strip()
    try:
        return float(text) if text else empty
    except ValueError:
        return math.inf


def _decimals(text: str) -> int:
    """Digits after the point; nine where there is an exponent."""
    return 9 if "e" in text.lower() else len(text.strip().partition(".")[2])


def _field(row: list[str], column: int) -> str:
    return row[column] if column < len(row) else ""


@contextmanager
def _rows(path: StrPath) -> Iterator[Iterator[list[str]]]:
    """The rows of a table that are no comment and not empty, the names among them."""
    source, _ = _layout(path)
    with _text(path) as text:
        lines = dropwhile(lambda line: line.startswith("#") or not line.strip(), text)
        yield filter(None, csv.reader(lines, delimiter=source.delimiter))


@contextmanager
def _text(path: StrPath) -> Iterator[IO[str]]:
    with open_regular(path, "a table") as file:
        try:
            yield io.TextIOWrapper(file, "utf-8-sig", "surrogateescape", newline="")
        except csv.Error as error:
            raise SampleError(
                expected="a table of text", found=f"that it has {error}", remedy="correct it"
            ) from error
