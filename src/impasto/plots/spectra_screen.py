"""Spectra and spectrograms with plotly."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from math import log10
from typing import Any

from impasto.plots.page import INK, Heading, plotly, set_layout
from impasto.plots.spectra import (
    COLORS,
    OCTAVES,
    Band,
    Spectra,
    Spectrograms,
    amplitudes,
    hertz,
)

_PANEL = 110.0, 75.0  # mm
_BAND = 120.0, 90.0


def spectrum_page(page: Spectra) -> Any:
    """Draws a panel for each lead, with the curves of all samples."""
    across = min(3, len(page.panels))
    down = -(-len(page.panels) // across)
    width, height = across * _PANEL[0], down * _PANEL[1]
    figure = plotly().subplots.make_subplots(
        rows=down,
        cols=across,
        subplot_titles=[escape(panel.name) for panel in page.panels],
        horizontal_spacing=15 / width,
        vertical_spacing=20 / height if down > 1 else 0,
    )
    ranks = {color: rank for rank, (_, color) in enumerate(page.heading.legend)}
    unnamed = set(ranks)
    for place, panel in enumerate(page.panels):
        cell = {"row": 1 + place // across, "col": 1 + place % across}
        for curve in reversed(panel.curves):
            figure.add_scatter(
                x=curve.frequencies,
                y=curve.levels,
                mode="lines",
                line={"color": curve.color, "width": 1.3},
                name=escape(curve.label),
                legendgroup=curve.color,
                legendrank=ranks.get(curve.color),
                showlegend=curve.color in unnamed,
                hovertemplate="%{x:.4g} Hz, %{y:.1f} dB<extra></extra>",
                **cell,
            )
            unnamed.discard(curve.color)
        if cell["col"] == 1:
            figure.update_yaxes(title=escape(panel.unit), **cell)
    figure.update_xaxes(type="log", title={"text": "Hz", "standoff": 4}, gridcolor="#e4e4e4")
    figure.update_yaxes(range=page.levels, gridcolor="#e4e4e4")
    return _add_heading(figure, page.heading, width, height)


def spectrogram_page(page: Spectrograms) -> Any:
    """Draws waveforms over spectrograms: a row for each lead, a column for each sample."""
    across, down = len(page.rows[0]), len(page.rows)
    width, height = across * _BAND[0], down * _BAND[1]
    figure = plotly().subplots.make_subplots(
        rows=2 * down,
        cols=across,
        shared_xaxes="all",
        shared_yaxes="rows",
        row_heights=[22, 60] * down,
        horizontal_spacing=6 / width,
        vertical_spacing=8 / height,
        subplot_titles=[
            title
            for row in page.rows
            for title in [*(escape(band.label) if band else " " for band in row), *([""] * across)]
        ],
    )
    for down, row in enumerate(page.rows):
        for across, band in enumerate(row):
            if not band:
                continue
            upper, lower = ({"row": 2 * down + n, "col": across + 1} for n in (1, 2))
            _draw_band(figure, page, row, band, upper, lower)
            if across == 0:
                figure.update_yaxes(title=escape(band.wave.unit), **upper)
                figure.update_yaxes(title="Hz", **lower)
    figure.update_xaxes(range=page.stretch, showgrid=False)
    figure.update_xaxes(title={"text": "s", "standoff": 4}, row=2 * len(page.rows))
    figure.update_layout(
        coloraxis={
            "colorscale": COLORS,
            "cmin": page.levels[0],
            "cmax": page.levels[1],
            "colorbar": {"title": {"text": escape(page.unit), "side": "right"}, "thickness": 14},
        },
    )
    return _add_heading(figure, page.heading, width, height)


def _draw_band(
    figure: Any,
    page: Spectrograms,
    row: Sequence[Band | None],
    band: Band,
    upper: dict[str, int],
    lower: dict[str, int],
) -> None:
    """Draws a waveform and its spectrogram. upper, lower: their cells in the figure."""
    figure.add_scatter(
        x=band.wave.seconds,
        y=band.wave.values,
        mode="lines",
        line={"color": INK, "width": 0.8},
        showlegend=False,
        hovertemplate="%{x:.3f} s, %{y:.3g}<extra></extra>",
        **upper,
    )
    figure.add_heatmap(
        x=band.seconds,
        y=band.frequencies,
        z=band.levels.round(1).astype("float32"),
        coloraxis="coloraxis",
        hovertemplate="%{x:.3f} s, %{y:.4g} Hz, %{z:.1f} dB<extra></extra>",
        **lower,
    )
    figure.update_yaxes(range=amplitudes(row), showgrid=False, **upper)
    figure.update_yaxes(range=page.frequencies, showgrid=False, **lower)
    if not page.heading.medical:
        figure.update_yaxes(
            type="log",
            range=[log10(frequency) for frequency in page.frequencies],
            tickvals=OCTAVES,
            ticktext=[hertz(frequency) for frequency in OCTAVES],
            **lower,
        )


def _add_heading(figure: Any, heading: Heading, width: float, height: float) -> Any:
    """Adds the heading, and moves the names of panels to their upper left corners."""
    for name, axis in zip(figure.layout.annotations, figure.select_xaxes(), strict=False):
        name.update(x=axis.domain[0], xanchor="left", font={"size": 12, "weight": "bold"})
    return set_layout(
        figure, heading.title, heading.subtitle, width, height, medical=heading.medical
    )
