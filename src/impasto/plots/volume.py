"""Plots of volumes: choose the rows, the point in which planes cross and the intensity window."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from impasto.config.windows import AUTO
from impasto.media.volumes.orientation import same_grid
from impasto.media.volumes.volume import Volume
from impasto.media.volumes.windows import style_window, window_of
from impasto.plots import View
from impasto.plots.page import Heading, list_names, save_figure
from impasto.plots.planes import Page, Row, corresponding_place, place_of, turned
from impasto.plots.planes_print import planes_figure
from impasto.plots.planes_screen import save_planes


def plot_volumes(
    volumes: Sequence[Volume], labels: Sequence[str], output: Path, view: View
) -> None:
    """Draws three planes of each volume.

    A result is drawn below its content and its style, and the change from the content below it. The
    arguments and the errors are those of `plots.plot`.
    """
    page = page_of(volumes, labels, view)
    if output.suffix.lower() == ".html":
        save_planes(page, output)
    else:
        save_figure(planes_figure(page), output)


def page_of(volumes: Sequence[Volume], labels: Sequence[str], view: View) -> Page:
    """Lays out the rows.

    If the first volume has the grid of the second, it is a result. It is drawn in the content's
    intensity window, and its difference from the content is drawn too. Styles are drawn in the
    intensity windows that correspond to the content's.
    """
    bodies = [turned(volume) for volume in volumes]
    first, *others = bodies
    result = bool(others) and same_grid(first, others[0])
    content = others[0] if result else first
    place = place_of(first, view.at)
    rows = [
        Row(
            label,
            body,
            corresponding_place(place, first, body),
            style_window(body, content, view.window),
        )
        for label, body in zip(labels, bodies, strict=True)
    ]
    if result:
        change = first.with_data(first.data - content.data)
        most = max(np.abs(window_of(AUTO, change)))
        rows = [
            *rows[1:],
            Row(labels[0], first, place, rows[1].limits),
            Row(f"{labels[0]} less {labels[1]}", change, place, (-most, most), difference=True),
        ]
    window = _describe_window(view, rows)
    return Page(Heading(f"Planes of {list_names(labels)}", window, [], True), rows)


def _describe_window(view: View, rows: Sequence[Row]) -> str:
    """Describes the intensity window of the first row."""
    low, high = rows[0].limits
    name = view.window[0] if len(view.window) == 1 else "window"
    return f"{name}: level {(low + high) / 2:.4g}, width {high - low:.4g}"
