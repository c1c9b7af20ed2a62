"""ECG paper with plotly. It is true to scale on a screen of 96 pixels per inch."""

from __future__ import annotations

from html import escape
from typing import Any

import numpy as np

from impasto.plots.page import INK, plotly, set_layout
from impasto.plots.paper import LEAD_IN, MAJOR, MINOR, PULSE, SPEED, Paper, Row


def paper_page(paper: Paper) -> Any:
    """Draws the page as a plotly figure with a subplot for each row.

    The values in a row count from its baseline.
    """
    figure = plotly().subplots.make_subplots(
        rows=len(paper.rows),
        shared_xaxes=True,
        vertical_spacing=0,
        row_heights=[row.up + row.down for row in paper.rows],
    )
    ranks = {color: rank for rank, (_, color) in enumerate(paper.legend)}
    unnamed = {color: escape(label) for label, color in paper.legend if len(ranks) > 1}
    for place, row in enumerate(paper.rows, start=1):
        if row.unit == "mV":
            _add_pulse(figure, paper, row, place)
        for trace, color in row.lines:
            figure.add_scatter(
                x=trace.seconds,
                y=trace.values - row.zero,
                mode="lines",
                line={"color": color, "width": 1.3},
                legendgroup=color,
                legendrank=ranks[color],
                showlegend=color in unnamed,
                name=unnamed.pop(color, ""),
                hovertemplate=f"%{{x:.3f}} s, %{{y:.4g}} {escape(row.unit)}<extra></extra>",
                row=place,
                col=1,
            )
        _label(figure, row, place, paper.speed == SPEED)
    _draw_time_grid(figure, paper)
    return set_layout(figure, paper.title, paper.subtitle, paper.width, paper.height, medical=True)


def _add_pulse(figure: Any, paper: Paper, row: Row, place: int) -> None:
    across = np.array([0, LEAD_IN / 4, LEAD_IN / 4] + [LEAD_IN / 4 + PULSE * SPEED] * 2 + [LEAD_IN])
    figure.add_scatter(
        x=paper.start + (across - LEAD_IN) / paper.speed,
        y=np.array([0, 0, 10, 10, 0, 0]) / row.scale,
        mode="lines",
        line={"color": INK, "width": 1.3},
        name="calibration",
        showlegend=False,
        hoverinfo="skip",
        row=place,
        col=1,
    )


def _label(figure: Any, row: Row, place: int, millimeters: bool) -> None:
    """Writes the name and the scale of a lead, and draws the grid of its values.

    millimeters: whether to draw the lines of each mm.
    """
    figure.add_annotation(
        text=f"<b>{escape(row.name)}</b>  {escape(row.note)}",
        showarrow=False,
        x=0,
        y=1,
        xref="x domain",
        yref=f"y{place} domain" if place > 1 else "y domain",
        xanchor="left",
        yanchor="top",
    )
    # The range stops just before its lower end, whose number would cover the next row's first one.
    figure.update_yaxes(
        range=(-0.999 * row.down / row.scale, row.up / row.scale),
        dtick=5 / row.scale,
        ticklabelstep=2,
        minor={"dtick": 1 / row.scale, "showgrid": millimeters, "gridcolor": MINOR},
        gridcolor=MAJOR,
        title={"text": escape(row.unit), "font": {"size": 10}},
        row=place,
    )


def _draw_time_grid(figure: Any, paper: Paper) -> None:
    first = paper.start - LEAD_IN / paper.speed
    figure.update_xaxes(range=(first, first + paper.width / paper.speed), gridcolor=MAJOR)
    if paper.speed == SPEED:
        minor = {"dtick": 1 / SPEED, "showgrid": True, "gridcolor": MINOR}
        figure.update_xaxes(dtick=5 / SPEED, ticklabelstep=5, minor=minor)
    figure.update_xaxes(title={"text": "s", "standoff": 4}, row=len(paper.rows))
