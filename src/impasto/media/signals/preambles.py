"""What stands above the numbers in the tables of watches and apps: keys and values, and the rate.

Such a table has no column of time. Its first lines say who recorded it, when and by what, and among
that the sampling rate, in words such as "512 hertz".
"""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable
from itertools import islice
from typing import NamedTuple

_MOST_LINES = 200
_RATE = re.compile(r"(\d+(?:[.,]\d+)?)\s*(k?)(?:hz|hertz|samples?(?: per |/)s)", re.IGNORECASE)
_RATE_KEY = re.compile(r"sampl\w* ?(?:rate|freq)|abtastrate|\bfs\b", re.IGNORECASE)
_NUMBER = re.compile(r"[+-]?(?:\d+(?:[.,]\d*)?|[.,]\d+)(?:e[+-]?\d+)?|nan", re.IGNORECASE)


class Preamble(NamedTuple):
    """What stands above the numbers of a table.

    Attributes:
        lines: as they stand in the file, without their ends, the row of names and comments.
        rate: in Hz; None where no line says it.
        name, unit: of the only channel; "" where the lines do not say.
        delimiter: stands between fields.
        names: the row of names; () where there is none.
        columns: how many numbers are in a row.
        ends: whether each row ends with a delimiter.
    """

    lines: tuple[str, ...]
    rate: float | None
    name: str
    unit: str
    delimiter: str
    names: tuple[str, ...]
    columns: int
    ends: bool


def preamble_of(text: Iterable[str]) -> Preamble | None:
    """Reads the lines above the numbers of a table.

    Args:
        text: the lines of the table.

    Returns:
        None for an ordinary table, whose first line is a row of names or of numbers.
    """
    lines: list[str] = []
    first = None
    for line in islice(text, _MOST_LINES):
        if _holds_numbers(line):
            first = line
            break
        lines.append(line.rstrip("\r\n"))
    own = [line for line in lines if not line.startswith("#")]
    filled = [line for line in own if line.strip()]
    if first is None or not lines:
        return None
    delimiter = _delimiter([*filled, first])
    numbers = split_row(first, delimiter)
    ends = len(numbers) > 1 and not numbers[-1].strip()
    columns = len(numbers) - ends
    if columns > 1 and len(filled) < 2:
        return None
    names: tuple[str, ...] = ()
    last = own[-1] if own and not _RATE.search(own[-1]) else ""
    if last.strip() and len(row := split_row(last, delimiter)) == columns:
        own, names = own[:-1], tuple(row)
    return Preamble(
        lines=tuple(own),
        rate=_rate(lines, delimiter),
        name=_value(filled, delimiter, ("lead", "channel", "ableitung")),
        unit=_value(filled, delimiter, ("unit", "units", "einheit")),
        delimiter=delimiter,
        names=names,
        columns=columns,
        ends=ends,
    )


def _holds_numbers(line: str) -> bool:
    if line.startswith("#"):
        return False
    fields = [field.strip(' "\r\n') for field in re.split(r"[;\t]|,(?!\d)|(?<=\"),", line)]
    filled = [field for field in fields if field]
    return bool(filled) and all(
        _NUMBER.fullmatch(part.strip()) for field in filled for part in _parts(field)
    )


def _parts(field: str) -> list[str]:
    """Returns the numbers in a field that may be several, between commas without a blank."""
    return [field] if _NUMBER.fullmatch(field) else field.split(",")


def _delimiter(lines: list[str]) -> str:
    """Returns the delimiter: a semicolon or a tab where most lines have it, else a comma."""
    for delimiter in ";\t":
        if 2 * sum(delimiter in line for line in lines) >= len(lines):
            return delimiter
    return ","


def split_row(line: str, delimiter: str) -> list[str]:
    """Returns the fields of a line."""
    return next(csv.reader([line.rstrip("\r\n")], delimiter=delimiter), [])


def _rate(lines: list[str], delimiter: str) -> float | None:
    for line in lines:
        found = _RATE.search(line)
        if found:
            return float(found[1].replace(",", ".")) * (1000 if found[2] else 1)
    for line in lines:
        key, *values = split_row(line.lstrip("# ").replace(":", delimiter), delimiter) or [""]
        if _RATE_KEY.search(key) and values and _NUMBER.fullmatch(values[0].strip()):
            return float(values[0].strip().replace(",", "."))
    return None


def _value(lines: list[str], delimiter: str, keys: tuple[str, ...]) -> str:
    """Returns the value of the first of the keys that stands above."""
    for line in lines:
        key, *values = split_row(line, delimiter)
        if values and key.strip(" :").lower() in keys:
            return values[0].strip()
    return ""
