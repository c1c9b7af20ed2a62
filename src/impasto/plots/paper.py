"""The layout of ECG paper: 25 mm per second and 10 mm per millivolt on the printed page.

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
"""The paper speed in mm/s."""

GAIN = 10.0
"""The gain in mm/mV."""

LONGEST = 60.0
"""Up to this many seconds are drawn at SPEED."""

WIDTH = 250.0
"""A longer stretch is drawn this wide, in mm."""

PULSE = 0.2
"""The length of the calibration pulse in seconds."""

LEAD_IN = 10.0
"""The width of the grid before the first second, which holds the calibration pulse, in mm."""

MINOR, MAJOR = "#f8dedb", "#eeb0aa"
"""The colors of the grid lines each mm and each 5 mm."""

_NARROWEST = 100.0
_TALLEST = 60.0  # above and below the baseline; a longer line runs over its neighbors
_SPANS_FOR_GAIN = 0.3, 10.0  # mV from the lowest to the highest value, for which GAIN is used

Lines = Sequence[tuple[Trace, str]]
"""The traces of one lead with their colors; the last one is drawn on top."""


@dataclass(frozen=True)
class Row:
    """One strip of the paper.

    Attributes:
        lines: the traces.
        unit: the unit; "" if it is unknown.
        scale: mm per unit.
        zero: the value on the baseline.
        up: mm above the baseline, a multiple of 5.
        down: mm below the baseline, a multiple of 5.
    """

    lines: Lines
    unit: str
    scale: float
    zero: float
    up: float
    down: float

    @property
    def name(self) -> str:
        """The name of the lead."""
        return self.lines[-1][0].name

    @property
    def note(self) -> str:
        """The value of 10 mm, for units other than millivolts."""
        if self.unit == "mV":
            return ""
        return f"10 mm = {10 / self.scale:g} {self.unit or '(unit unknown)'}"


@dataclass(frozen=True)
class Paper:
    """A page of ECG paper.

    Attributes:
        title: the title.
        legend: the label and the color of each sample.
        rows: the strips, from top to bottom.
        start: the first second.
        seconds: the number of seconds.
    """

    title: str
    legend: Sequence[tuple[str, str]]
    rows: Sequence[Row]
    start: float
    seconds: float

    @property
    def speed(self) -> float:
        """The paper speed in mm/s: SPEED, unless the page would be too long."""
        return SPEED if self.seconds <= LONGEST else WIDTH / self.seconds

    @property
    def width(self) -> float:
        """The width of the grid in mm, a multiple of 5."""
        return max(_NARROWEST, LEAD_IN + _fives(self.seconds * self.speed))

    @property
    def height(self) -> float:
        """The height of the grid in mm, a multiple of 5."""
        return sum(row.up + row.down for row in self.rows)

    @property
    def end(self) -> float:
        """The last second."""
        return self.start + self.seconds

    @property
    def subtitle(self) -> str:
        """The stretch of time and the scales."""
        gains = dict.fromkeys(f"{row.scale:g} mm/mV" for row in self.rows if row.unit == "mV")
        shown = f"{clock(self.start, self.end)} to {clock(self.end, self.end)}"
        return "   ".join((shown, f"{self.speed:.3g} mm/s", *gains))

    @property
    def ticks(self) -> list[float]:
        """The seconds with a number: all at 25 mm/s, or round ones at least 25 mm apart."""
        step = 1.0 if self.speed == SPEED else _round_time(25 / self.speed)
        first = ceil(self.start / step - 1e-9)
        return [step * n for n in range(first, floor(self.end / step + 1e-9) + 1)]


def rows_of(groups: Sequence[Lines]) -> list[Row]:
    """Makes a row for each group of lines.

    All rows in millivolts have one gain; other rows each have their own. The baseline is the median
    of the lowest line, as on a recorder without DC.
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
    """Chooses the gain in mm/mV for a span from lowest to highest value in mV."""
    least, most = _SPANS_FOR_GAIN
    return GAIN if span == 0 or least <= span <= most else round_down(40 / span)


def _unit(lines: Lines) -> str:
    units = {each.unit for each, _ in lines}
    return units.pop() if len(units) == 1 else ""


def _bounds(lines: Lines) -> tuple[float, float]:
    """Returns the lowest and the highest value, without one in a thousand at each end."""
    values = np.concatenate([each.values for each, _ in lines])
    known = values[np.isfinite(values)]
    if not len(known):
        return 0.0, 0.0
    low, high = np.quantile(known, (0.001, 0.999))
    return float(low), float(high)


def _fives(length: float) -> float:
    """Rounds up to a multiple of 5 mm."""
    return 5.0 * ceil(length / 5 - 1e-9)


def _round_time(seconds: float) -> float:
    """Rounds up to a time that clocks use, such as 15 s or 5 min."""
    steps = (5, 10, 15, 30, 60, 120, 300, 600, 900, 1800, 3600, 7200, 10800, 21600, 43200)
    return float(next((step for step in steps if step >= seconds), 86400 * ceil(seconds / 86400)))
