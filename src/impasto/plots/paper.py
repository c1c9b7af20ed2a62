"""The layout of ECG paper: 25 mm a second and 10 mm a millivolt, true on the printed page.

All lengths are in mm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor

import numpy as np

from impasto.plots.page import clock, round_down
from impasto.plots.traces import Trace

SPEED = 25.0
"""mm/s."""

GAIN = 10.0
"""mm/mV."""

LONGEST = 60.0
"""Seconds that are drawn at SPEED; a longer stretch is drawn WIDTH mm wide."""

WIDTH = 250.0

PULSE = 0.2
"""Seconds of the calibration pulse."""

LEAD_IN = 10.0
"""Grid before the first second, where the pulse stands."""

MINOR, MAJOR = "#f8dedb", "#eeb0aa"
"""Colors of the grid's millimeters and fives."""

_NARROWEST = 100.0
_TALLEST = 60.0  # above the baseline, and below: beyond it a line runs over its neighbors
_SERVED = 0.3, 10.0  # mV from lowest to highest that GAIN is right for

Lines = Sequence[tuple[Trace, str]]
"""Traces of one lead and their colors, the last one on top."""


@dataclass(frozen=True)
class Row:
    """One strip of the paper.

    unit: "" where it is unknown. scale: mm per unit. zero: the value on the baseline. up, down:
    the strip above and below the baseline, multiples of 5.
    """

    lines: Lines
    unit: str
    scale: float
    zero: float
    up: float
    down: float

    @property
    def name(self) -> str:
        """That of the lead."""
        return self.lines[-1][0].name

    @property
    def note(self) -> str:
        """What 10 mm stand for, where it is not millivolts."""
        if self.unit == "mV":
            return ""
        return f"10 mm = {10 / self.scale:g} {self.unit or '(unit unknown)'}"


@dataclass(frozen=True)
class Paper:
    """A page: rows from top to bottom, from second `start` on, at `speed` mm/s.

    legend: label and color of each sample.
    """

    title: str
    legend: Sequence[tuple[str, str]]
    rows: Sequence[Row]
    start: float
    seconds: float

    @property
    def speed(self) -> float:
        """mm a second: SPEED, unless the page would be too long."""
        return SPEED if self.seconds <= LONGEST else WIDTH / self.seconds

    @property
    def width(self) -> float:
        """Of the grid, a multiple of 5."""
        return max(_NARROWEST, LEAD_IN + _fives(self.seconds * self.speed))

    @property
    def height(self) -> float:
        """Of the grid, a multiple of 5."""
        return sum(row.up + row.down for row in self.rows)

    @property
    def end(self) -> float:
        """The last second."""
        return self.start + self.seconds

    @property
    def subtitle(self) -> str:
        """The stretch and the scales."""
        gains = dict.fromkeys(f"{row.scale:g} mm/mV" for row in self.rows if row.unit == "mV")
        shown = f"{clock(self.start, self.end)} to {clock(self.end, self.end)}"
        return "   ".join((shown, f"{self.speed:.3g} mm/s", *gains))

    @property
    def ticks(self) -> list[float]:
        """Seconds that are numbered: each at 25 mm/s, else round ones at least 25 mm apart."""
        step = 1.0 if self.speed == SPEED else _round_time(25 / self.speed)
        first = ceil(self.start / step - 1e-9)
        return [step * n for n in range(first, floor(self.end / step + 1e-9) + 1)]


def rows_of(groups: Sequence[Lines]) -> list[Row]:
    """A row for each group of lines: millivolts at one gain, any other unit at its own scale.

    The baseline is at the median of the lowest line, as a recorder without DC has it.
    """
    units = [_unit(lines) for lines in groups]
    bounds = [_bounds(lines) for lines in groups]
    volts = [high - low for (low, high), unit in zip(bounds, units, strict=True) if unit == "mV"]
    gain = _gain(max(volts, default=0.0))
    rows = []
    for lines, unit, (low, high) in zip(groups, units, bounds, strict=True):
        scale = gain if unit == "mV" else round_down(25 / (high - low)) if high > low else GAIN
        known = lines[0][0].values[np.isfinite(lines[0][0].values)]
        zero = float(np.median(known)) if len(known) else 0.0
        up, down = (high - zero) * scale, (zero - low) * scale
        head = 2 if unit == "mV" else 6  # the scale is written above the line
        rows.append(
            Row(
                lines,
                unit,
                scale,
                zero,
                up=min(_TALLEST, max(15.0, _fives(up + head))),
                down=min(_TALLEST, max(5.0, _fives(down + 2))),
            )
        )
    return rows


def _gain(span: float) -> float:
    least, most = _SERVED
    return GAIN if span == 0 or least <= span <= most else round_down(40 / span)


def _unit(lines: Lines) -> str:
    units = {each.unit for each, _ in lines}
    return units.pop() if len(units) == 1 else ""


def _bounds(lines: Lines) -> tuple[float, float]:
    """Lowest and highest value, but for one in a thousand at each end."""
    values = np.concatenate([each.values for each, _ in lines])
    known = values[np.isfinite(values)]
    if not len(known):
        return 0.0, 0.0
    low, high = np.quantile(known, (0.001, 0.999))
    return float(low), float(high)


def _fives(length: float) -> float:
    """The next multiple of 5 mm."""
    return 5.0 * ceil(length / 5 - 1e-9)


def _round_time(seconds: float) -> float:
    """The next longer time that clocks number by."""
    steps = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200)
    return float(next((step for step in steps if step >= seconds), 86400 * ceil(seconds / 86400)))
