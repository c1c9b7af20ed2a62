"""Spectra and spectrograms with matplotlib. All lengths are in mm."""

from __future__ import annotations

from typing import Any

from impasto.plots.page import INK
from impasto.plots.sheet import SMALL, Sheet
from impasto.plots.spectra import (
    COLORS,
    OCTAVES,
    Spectra,
    Spectrograms,
    amplitudes,
    hertz,
)

_PANELS = (180.0, 95.0), (120.0, 80.0), (90.0, 65.0)  # with one, two and three panels in a row
_WIDTHS = 180.0, 120.0, 100.0  # with one, two and more bands in a row
_WAVE, _SPECTROGRAM, _BAR = 22.0, 60.0, 4.0


def spectrum_figure(page: Spectra) -> Any:
    """Draws a panel for each lead, with the curves of all samples."""
    across = min(3, len(page.panels))
    down = -(-len(page.panels) // across)
    width, height = _PANELS[across - 1]
    step = width + 18, height + 20
    sheet = Sheet(page.heading, across * step[0] - 18, down * step[1] - 20)
    for place, panel in enumerate(page.panels):
        x, y = place % across * step[0], place // across * step[1]
        axes = sheet.axes(x, y, width, height)
        for curve in reversed(panel.curves):  # the result is drawn on top
            axes.plot(curve.frequencies, curve.levels, color=curve.color, linewidth=1.0)
        axes.set(xscale="log", ylim=page.levels)
        axes.margins(x=0)
        axes.xaxis.set_major_formatter(hertz)
        axes.grid(color="#e4e4e4", linewidth=0.5)
        axes.set_axisbelow(True)
        axes.set_title(panel.name, fontsize=9, loc="left", weight="bold", parse_math=False)
        axes.set_xlabel("Hz", fontsize=SMALL)
        if x == 0:
            axes.set_ylabel(panel.unit, fontsize=SMALL, parse_math=False)
    return sheet.figure


def spectrogram_figure(page: Spectrograms) -> Any:
    """Draws waveforms over spectrograms: a row for each lead, a column for each sample."""
    across, down = len(page.rows[0]), len(page.rows)
    width = _WIDTHS[min(across, 3) - 1]
    step = width + 5, _WAVE + 2 + _SPECTROGRAM + 19
    sheet = Sheet(page.heading, across * step[0] + _BAR + 12, down * step[1] - 19)
    for down, row in enumerate(page.rows):
        y = down * step[1]
        for across, band in enumerate(row):
            if not band:
                continue
            x = across * step[0]
            wave = sheet.axes(x, y, width, _WAVE)
            wave.plot(band.wave.seconds, band.wave.values, color=INK, linewidth=0.4)
            wave.set(xlim=page.stretch, ylim=amplitudes(row))
            wave.set_title(band.label, fontsize=9, loc="left", weight="bold", parse_math=False)
            wave.tick_params(labelbottom=False, labelleft=x == 0)
            axes = sheet.axes(x, y + _WAVE + 2, width, _SPECTROGRAM)
            levels = dict(zip(("vmin", "vmax"), page.levels, strict=True))
            edges = band.seconds, band.frequencies
            mesh = axes.pcolormesh(*edges, band.levels, cmap=COLORS, rasterized=True, **levels)
            axes.set(xlim=page.stretch)
            if not page.heading.medical:
                axes.set_yscale("log")
                axes.set_yticks(OCTAVES, minor=False)
                axes.set_yticks([], minor=True)
                axes.yaxis.set_major_formatter(hertz)
            axes.set_ylim(page.frequencies)
            axes.set_xlabel("s", fontsize=SMALL)
            axes.tick_params(labelleft=x == 0)
            if x == 0:
                wave.set_ylabel(band.wave.unit, fontsize=SMALL, parse_math=False)
                axes.set_ylabel("Hz", fontsize=SMALL)
        end = (len(row) - 1) * step[0] + width
        bar = sheet.axes(end + 4, y + _WAVE + 2, _BAR, _SPECTROGRAM)
        sheet.figure.colorbar(mesh, cax=bar, label=page.unit).outline.set_visible(False)
        bar.yaxis.label.set_size(SMALL)
        bar.tick_params(labelsize=SMALL)
    return sheet.figure
