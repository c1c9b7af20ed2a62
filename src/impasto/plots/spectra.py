"""Spectra and spectrograms of signals: what is drawn, by any library."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil, floor

import numpy as np
from jaxtyping import Float64

from impasto.media.signals.leads import Lead
from impasto.media.signals.spectrum import longest_run, power_spectrum, spectrogram
from impasto.plots.page import Heading
from impasto.plots.traces import Trace

LEAST = -200.0
"""dB that exact silence counts as."""

SPECTRUM_RANGE, SPECTROGRAM_RANGE = 100.0, 80.0
"""dB below the loudest that are drawn."""

COLORS = "magma"
"""Levels from dark to light, evenly for any color vision; white where there are none."""

OCTAVES = (50.0, 100.0, 200.0, 500.0, 1e3, 2e3, 5e3, 10e3, 20e3, 50e3)
"""Hz that are numbered on a logarithmic axis."""

_ROWS, _COLUMNS = 256, 1200
_LOWEST = 40.0  # Hz, of a sound's spectrogram


@dataclass(frozen=True)
class Curve:
    """The power spectral density of one lead of one sample, in dB over 1 unit^2/Hz."""

    label: str
    color: str
    frequencies: Float64[np.ndarray, " frequency"]
    levels: Float64[np.ndarray, " frequency"]


@dataclass(frozen=True)
class Panel:
    """One lead's curves."""

    name: str
    unit: str
    curves: Sequence[Curve]


@dataclass(frozen=True)
class Spectra:
    """A page of panels; one scale for all."""

    heading: Heading
    panels: Sequence[Panel]

    @property
    def levels(self) -> tuple[float, float]:
        """From the least that is drawn to the loudest, in dB."""
        curves = [curve.levels for panel in self.panels for curve in panel.curves]
        levels = np.concatenate(curves)
        top = 10.0 * ceil(levels.max(initial=LEAST) / 10 + 0.1)
        least = 10.0 * floor(levels.min(initial=top - 20) / 10)
        return max(top - SPECTRUM_RANGE, least), top


@dataclass(frozen=True)
class Band:
    """One lead of one sample: its waveform and its spectrogram.

    levels: in dB, NaN in gaps, for rows between `frequencies` (Hz) and columns between `seconds`.
    """

    label: str
    wave: Trace
    frequencies: Float64[np.ndarray, " row_edge"]
    seconds: Float64[np.ndarray, " column_edge"]
    levels: Float64[np.ndarray, "row column"]


@dataclass(frozen=True)
class Spectrograms:
    """A page of bands: a row for each lead, a column for each sample; one scale for all.

    rows: None where a sample has no such lead. stretch: the first and the last second. unit: that
    of the levels.
    """

    heading: Heading
    rows: Sequence[Sequence[Band | None]]
    stretch: tuple[float, float]
    unit: str

    @property
    def bands(self) -> list[Band]:
        """All of them."""
        return [band for row in self.rows for band in row if band]

    @property
    def levels(self) -> tuple[float, float]:
        """From what is drawn as silence to the loudest, in dB."""
        loudest = max(
            np.max(band.levels, initial=LEAST, where=np.isfinite(band.levels))
            for band in self.bands
        )
        top = 5.0 * ceil(loudest / 5)
        return top - SPECTROGRAM_RANGE, top

    @property
    def frequencies(self) -> tuple[float, float]:
        """Lowest and highest, in Hz."""
        edges = [band.frequencies for band in self.bands]
        return float(min(each[0] for each in edges)), float(max(each[-1] for each in edges))


def amplitudes(row: Sequence[Band | None]) -> tuple[float, float]:
    """What the waveforms of a row lie between."""
    values = np.concatenate([band.wave.values for band in row if band])
    known = values[np.isfinite(values)] if np.isfinite(values).any() else np.zeros(1)
    margin = 0.05 * np.ptp(known) or 1.0
    return float(known.min() - margin), float(known.max() + margin)


def curve(lead: Lead, label: str, color: str, seconds: float, audio: bool) -> Curve:
    """The spectrum of a lead by windows of so many seconds, or of what there is between gaps.

    Levels of a sound are over a sine of full scale, whose power is 1/2, others over 1 unit^2.
    """
    window = min(round(seconds * lead.rate), longest_run(lead.values))
    if window < 4:
        return Curve(label, color, np.zeros(0), np.zeros(0))
    frequencies, power = power_spectrum(lead.values, lead.rate, window)
    return Curve(label, color, frequencies[1:], decibels(power[1:] * (2 if audio else 1)))


def band(lead: Lead, wave: Trace, label: str, start: float, seconds: float, audio: bool) -> Band:
    """The spectrogram of a lead that begins at second `start`, by windows of so many seconds.

    Rows are a part of an octave each in a sound, which ears go by, and equally wide elsewhere.
    Levels are over the same as those of `curve`.
    """
    window = max(4, round(seconds * lead.rate))
    frequencies, edges, power = spectrogram(lead.values, lead.rate, window, _COLUMNS)
    top = frequencies[-1]
    if audio:
        rows = np.geomspace(min(_LOWEST, top / 2), top, _ROWS + 1)
    elif len(frequencies) > _ROWS:
        rows = np.linspace(0, top, _ROWS + 1)
    else:  # one around each frequency
        middles = (frequencies[1:] + frequencies[:-1]) / 2
        rows = np.concatenate([[0], middles, [top]])
    levels = decibels(_in_rows(frequencies, power, rows) * (2 if audio else 1))
    return Band(label, wave, rows, start + edges, levels)


def decibels(power: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
    """10 log10 of a power, not below LEAST."""
    return np.asarray(10 * np.log10(np.maximum(power, 10 ** (LEAST / 10))))


def _in_rows(
    frequencies: Float64[np.ndarray, " frequency"],
    power: Float64[np.ndarray, "frequency column"],
    edges: Float64[np.ndarray, " edge"],
) -> Float64[np.ndarray, "row column"]:
    """The largest power between edges, so that a pure tone keeps its level; where no frequency
    lies between them, that on a line between its neighbors."""
    starts = np.searchsorted(frequencies, edges)
    largest = np.maximum.reduceat(power, np.minimum(starts[:-1], len(frequencies) - 1), axis=0)
    place = (edges[:-1] + edges[1:]) / 2 / frequencies[1]
    low = np.minimum(place.astype(int), len(frequencies) - 2)
    share = (place - low)[:, None]
    between = power[low] * (1 - share) + power[low + 1] * share
    return np.where((np.diff(starts) > 0)[:, None], largest, between)


def hertz(frequency: float, _: int = 0) -> str:
    """A frequency on an axis: "200", "5k"."""
    return f"{frequency / 1000:g}k" if frequency >= 1000 else f"{frequency:g}"
