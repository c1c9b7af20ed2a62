"""A matplotlib page: a heading and a drawing area. All lengths are in mm."""

from __future__ import annotations

from typing import Any

from impasto.plots.page import DISCLAIMER, GRAY, Heading, new_figure, short, write

SMALL = 7.5
"""The size of numbers and labels in points."""

_LEFT, _RIGHT, _TOP, _BOTTOM = 18.0, 8.0, 20.0, 16.0


class Sheet:
    """A page with a heading around a drawing area.

    Args:
        heading: the heading.
        width: the width of the drawing area.
        height: the height of the drawing area.
    """

    def __init__(self, heading: Heading, width: float, height: float) -> None:
        self.top = _BOTTOM + height
        self.size = _LEFT + width + _RIGHT, self.top + _TOP
        self.figure = new_figure(*self.size)
        end, top = self.size
        canvas = self.figure.add_axes((0, 0, 1, 1), xlim=(0, end), ylim=(0, top))
        canvas.set_axis_off()
        self._canvas = canvas
        write(canvas, _LEFT, top - 6, short(heading.title, 90), 10, weight="bold")
        write(canvas, _LEFT, top - 11, heading.subtitle, 8)
        x = end - _RIGHT
        for label, color in reversed(heading.legend):
            write(canvas, x, top - 11, short(label, 24), 8, ha="right")
            x -= 2 + 1.5 * len(short(label, 24))
            canvas.plot([x - 5, x], [top - 10.2] * 2, color=color, linewidth=1.5)
            x -= 10
        if heading.medical:
            write(canvas, end - _RIGHT, 3, DISCLAIMER, 6.5, color=GRAY, ha="right")

    def write(self, x: float, y: float, text: str, size: float, **style: Any) -> None:
        """Writes text whose baseline begins at x, y from the upper left corner of the drawing area.

        size: in points.
        """
        write(self._canvas, _LEFT + x, self.top - y, text, size, **style)

    def axes(self, x: float, y: float, width: float, height: float) -> Any:
        """Adds axes whose upper left corner is at x, y from that of the drawing area."""
        left, bottom = _LEFT + x, self.top - y - height
        across, up = self.size
        axes = self.figure.add_axes((left / across, bottom / up, width / across, height / up))
        axes.tick_params(labelsize=SMALL, width=0.5, length=2.5, which="both", color=GRAY)
        axes.spines[:].set(linewidth=0.5, color=GRAY)
        axes.spines[["top", "right"]].set_visible(False)
        return axes
