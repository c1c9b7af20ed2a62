"""ECG paper with matplotlib. All coordinates are in mm from the lower left corner of the page."""

from __future__ import annotations

from typing import Any

import numpy as np

from impasto.plots.page import DISCLAIMER, GRAY, INK, clock, new_figure, short, write
from impasto.plots.paper import LEAD_IN, MAJOR, MINOR, PULSE, SPEED, Paper, Row

_SIDE, _TOP, _LEGEND, _BOTTOM = 10.0, 15.0, 5.0, 12.0
_POINT = 25.4 / 72  # mm


def paper_figure(paper: Paper) -> Any:
    """Draws the page as a matplotlib figure, in one axes that covers all of it."""
    width, height = paper.width + 2 * _SIDE, _BOTTOM + paper.height + _TOP
    if len(paper.legend) > 1:
        height += _LEGEND
    figure = new_figure(width, height)
    axes = figure.add_axes((0, 0, 1, 1), xlim=(0, width), ylim=(0, height))
    axes.set_axis_off()
    _draw_grid(axes, paper)
    _draw_head(axes, paper, height)
    baseline = _BOTTOM + paper.height
    for row in paper.rows:
        baseline -= row.up
        _draw_row(axes, paper, row, baseline)
        baseline -= row.down
    for second in paper.ticks:
        x = _across(paper, second)
        write(axes, x, _BOTTOM - 1.5, clock(second, paper.end), 7, ha="center", va="top")
    write(axes, width - _SIDE, 3, DISCLAIMER, 6.5, color=GRAY, ha="right")
    return figure


def _draw_grid(axes: Any, paper: Paper) -> None:
    """Draws grid lines each mm and stronger ones each 5 mm.

    At a lower paper speed, vertical lines are drawn at the ticks only.
    """
    left, right, bottom, top = _SIDE, _SIDE + paper.width, _BOTTOM, _BOTTOM + paper.height
    across, up = np.arange(left, right + 0.5), np.arange(bottom, top + 0.5)
    if paper.speed == SPEED:
        axes.vlines(across, bottom, top, MINOR, linewidth=0.1 / _POINT, gid="grid-1mm")
        axes.hlines(up, left, right, MINOR, linewidth=0.1 / _POINT, gid="grid-1mm")
        axes.vlines(across[::5], bottom, top, MAJOR, linewidth=0.2 / _POINT, gid="grid-5mm")
    else:
        ticks = [_across(paper, second) for second in paper.ticks]
        axes.vlines(ticks, bottom, top, MAJOR, linewidth=0.2 / _POINT, gid="grid-time")
    axes.hlines(up[::5], left, right, MAJOR, linewidth=0.2 / _POINT, gid="grid-5mm")


def _draw_head(axes: Any, paper: Paper, height: float) -> None:
    write(axes, _SIDE, height - 6, short(paper.title, 90), 10, weight="bold")
    write(axes, _SIDE, height - 11, paper.subtitle, 8)
    if len(paper.legend) > 1:
        share = paper.width / len(paper.legend)
        for place, (label, color) in enumerate(paper.legend):
            x = _SIDE + place * share
            axes.plot([x, x + 6], [height - 15.2] * 2, color=color, linewidth=1.5)
            write(axes, x + 8, height - 16, short(label, int(share / 2)), 7.5)


def _draw_row(axes: Any, paper: Paper, row: Row, baseline: float) -> None:
    left = _SIDE
    if row.unit == "mV":
        rise = LEAD_IN / 4 + PULSE * SPEED
        x = left + np.array([0, LEAD_IN / 4, LEAD_IN / 4, rise, rise, LEAD_IN])
        y = baseline + np.array([0, 0, 10, 10, 0, 0])
        axes.plot(x, y, color=INK, linewidth=0.8, gid="calibration")
    else:
        axes.plot([left + 5] * 2, [baseline, baseline + 10], color=INK, linewidth=0.8, gid="bar")
    for trace, color in row.lines:
        x = _across(paper, trace.seconds)
        y = baseline + (trace.values - row.zero) * row.scale
        thickness = 0.8 if paper.speed == SPEED else 0.4
        axes.plot(x, y, color=color, linewidth=thickness, solid_joinstyle="round", gid="trace")
    write(axes, left + 1, baseline + row.up - 1, row.name, 9, va="top", weight="bold")
    write(axes, left + 4 + 2.4 * len(row.name), baseline + row.up - 1.6, row.note, 6.5, va="top")


def _across(paper: Paper, seconds: Any) -> Any:
    """Returns the x coordinate of a time, or of an array of times, in seconds."""
    return _SIDE + LEAD_IN + (seconds - paper.start) * paper.speed
