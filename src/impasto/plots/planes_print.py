"""Planes of volumes with matplotlib. All lengths are in mm on the page."""

from __future__ import annotations

from typing import Any

from impasto.plots.page import INK
from impasto.plots.planes import CROSS, CROSS_ON_WHITE, DIVERGING, PLANES, Page, Plane, Row
from impasto.plots.sheet import SMALL, Sheet

_WIDEST, _TALLEST = 240.0, 110.0  # for the planes of a row
_GAP, _HEAD, _BELOW = 3.0, 9.0, 4.0
_BAR, _NUMBERS = 3.0, 16.0
_HOLE, _MARGIN = 3.0, 5.0  # the gaps of the cross around its point and at the labels
_LEGIBLE = 12.0  # the shortest side of a plane with labels


def planes_figure(page: Page) -> Any:
    """Draws a row for each volume: its axial, coronal and sagittal plane, and a color bar."""
    scale = min(_WIDEST / page.rows[0].width, _TALLEST / page.rows[0].height)
    scales = [scale * times for times in page.scales]
    pairs = list(zip(page.rows, scales, strict=True))
    width = max(row.width * scale for row, scale in pairs) + 3 * _GAP + _BAR + _NUMBERS
    height = sum(_HEAD + row.height * scale + _BELOW for row, scale in pairs) - _BELOW
    sheet = Sheet(page.heading, width, height)
    y = 0.0
    for row, scale in pairs:
        sheet.write(0, y + 3, row.title, 9, weight="bold")
        sheet.write(0, y + 7, f"{row.grid}, crossed at {row.position}", SMALL)
        y += _HEAD
        x = 0.0
        for plane in PLANES:
            axes = _draw_plane(sheet, row, plane, x, y, scale)
            x += row.extent[plane.columns] * scale + _GAP
        bar = sheet.axes(x, y, _BAR, row.height * scale)
        sheet.figure.colorbar(axes.images[0], cax=bar).outline.set_visible(False)
        bar.set_title(row.volume.unit, fontsize=SMALL, parse_math=False)
        y += row.height * scale + _BELOW
    return sheet.figure


def _draw_plane(sheet: Sheet, row: Row, plane: Plane, x: float, y: float, scale: float) -> Any:
    from matplotlib.colors import LinearSegmentedColormap

    width, height = row.extent[plane.columns], row.extent[plane.rows]
    axes = sheet.axes(x, y, width * scale, height * scale)
    axes.set(xlim=(0, width), ylim=(height, 0))
    axes.set_axis_off()
    low, high = row.limits
    axes.imshow(
        row.image(plane),
        cmap=LinearSegmentedColormap.from_list("", DIVERGING) if row.difference else "gray",
        vmin=low,
        vmax=high,
        extent=(0, width, height, 0),
        aspect="auto",
        interpolation="hanning",
        gid=plane.name,
    )
    legible = min(width, height) * scale >= _LEGIBLE
    place = row.cross[plane.columns], row.cross[plane.rows]
    _add_cross(axes, *place, _HOLE / scale, legible * _MARGIN / scale, row.difference)
    if legible:
        _label(axes, row, plane, scale)
    return axes


def _add_cross(axes: Any, x: float, y: float, gap: float, inset: float, on_white: bool) -> None:
    """Draws lines to all sides, with gaps around the point itself and at the labels."""
    style = {"color": CROSS_ON_WHITE if on_white else CROSS, "linewidth": 0.5, "alpha": 0.8}
    for draw, along, across, end in (
        (axes.hlines, x, y, axes.get_xlim()[1]),
        (axes.vlines, y, x, axes.get_ylim()[0]),
    ):
        for start, stop in ((inset, along - gap), (along + gap, end - inset)):
            if start < stop:
                draw(across, start, stop, gid="cross", **style)


def _label(axes: Any, row: Row, plane: Plane, scale: float) -> None:
    """Labels the sides of a plane, and draws a scale bar on the axial one."""
    from matplotlib.patheffects import withStroke

    width, height = row.extent[plane.columns], row.extent[plane.rows]
    ink, edge = (INK, "white") if row.difference else ("white", "black")
    style = {
        "color": ink,
        "fontsize": SMALL,
        "path_effects": [withStroke(linewidth=1.5, foreground=edge)],
    }
    inset = 1.2 / scale
    (left, right), (top, bottom) = row.ends[plane.columns], row.ends[plane.rows]
    axes.text(inset, height / 2, left, va="center", **style)
    axes.text(width - inset, height / 2, right, va="center", ha="right", **style)
    axes.text(width / 2, inset, top, va="top", ha="center", **style)
    axes.text(width / 2, height - inset, bottom, ha="center", **style)
    if plane.name == "axial":
        foot = height - inset
        for color, thickness in ((edge, 2.8), (ink, 1.4)):
            axes.plot([inset, inset + row.bar], [foot, foot], color=color, linewidth=thickness)
        axes.lines[-1].set_gid("scale")
        axes.text(inset, foot - 1.2 / scale, f"{row.bar:g} mm", **style)
