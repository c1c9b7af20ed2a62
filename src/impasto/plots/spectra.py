"""The layout of spectra and spectrograms of signals, for any drawing library."""

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
"""The level of exact silence in dB."""

SPECTRUM_RANGE, SPECTROGRAM_RANGE = 100.0, 80.0
"""The range to draw, in dB below the loudest."""

COLORS = "magma"
"""The color map of levels, perceptually uniform for any color vision. Gaps are white."""

OCTAVES = (50.0, 100.0, 200.0, 500.0, 1e3, 2e3, 5e3, 10e3, 20e3, 50e3)
"""The frequencies in Hz with a number on a logarithmic axis."""

_ROWS, _COLUMNS = 256, 1200
_LOWEST = 40.0  # Hz, in the spectrogram of a sound


@dataclass(frozen=True)
class Curve:
    """The power spectral density of one lead of one sample, in dB over 1 unit^2/Hz."""

    label: str
    color: str
    frequencies: Float64[np.ndarray, " frequency"]
    levels: Float64[np.ndarray, " frequency"]


@dataclass(frozen=True)
class Panel:
    """The curves of one lead."""

    name: str
    unit: str
    curves: Sequence[Curve]


@dataclass(frozen=True)
class Spectra:
    """A page of panels with one scale."""

    heading: Heading
    panels: Sequence[Panel]

    @property
    def levels(self) -> tuple[float, float]:
        """The lowest and the highest level of the scale in dB."""
        curves = [curve.levels for panel in self.panels for curve in panel.curves]
        levels = np.concatenate(curves)
        top = 10.0 * ceil(levels.max(initial=LEAST) / 10 + 0.1)
        least = 10.0 * floor(levels.min(initial=top - 20) / 10)
        return max(top - SPECTRUM_RANGE, least), top


@dataclass(frozen=True)
class Band:
    """The waveform and the spectrogram of one lead of one sample.

    Attributes:
        label: the label.
        wave: the waveform.
        frequencies: the edges of the rows in Hz.
        seconds: the edges of the columns in seconds.
        levels: the levels in dB; NaN in gaps.
    """

    label: str
    wave: Trace
    frequencies: Float64[np.ndarray, " row_edge"]
    seconds: Float64[np.ndarray, " column_edge"]
    levels: Float64[np.ndarray, "row column"]


@dataclass(frozen=True)
class Spectrograms:
    """A page of bands with one scale: a row for each lead and a column for each sample.

    Attributes:
        heading: the heading.
        rows: the bands; None where a sample does not have the lead.
        stretch: the first and the last second.
        unit: the unit of the levels.
    """

    heading: Heading
    rows: Sequence[Sequence[Band | None]]
    stretch: tuple[float, float]
    unit: str

    @property
    def bands(self) -> list[Band]:
        """All bands."""
        return [band for row in self.rows for band in row if band]

    @property
    def levels(self) -> tuple[float, float]:
        """The levels of the darkest and the lightest color in dB."""
        loudest = max(
            np.max(band.levels, initial=LEAST, where=np.isfinite(band.levels))
            for band in self.bands
        )
        top = 5.0 * ceil(loudest / 5)
        return top - SPECTROGRAM_RANGE, top

    @property
    def frequencies(self) -> tuple[float, float]:
        """The lowest and the highest frequency in Hz."""
        edges = [band.frequencies for band in self.bands]
        return float(min(each[0] for each in edges)), float(max(each[-1] for each in edges))


def amplitudes(row: Sequence[Band | None]) -> tuple[float, float]:
    """Returns the lowest and the highest amplitude to draw for the waveforms of a row."""
    values = np.concatenate([band.wave.values for band in row if band])
    known = values[np.isfinite(values)] if np.isfinite(values).any() else np.zeros(1)
    margin = 0.05 * np.ptp(known) or 1.0
    return float(known.min() - margin), float(known.max() + margin)


def curve(lead: Lead, label: str, color: str, seconds: float, audio: bool) -> Curve:
    """Computes the spectrum of a lead.

    Levels of a sound are relative to a full-scale sine, whose power is 1/2; other levels are
    relative to 1 unit^2.

    Args:
        lead: the lead.
        label: the label of the curve.
        color: the color of the curve.
        seconds: the length of a spectrum window; less if the stretches between gaps are shorter.
        audio: whether the lead is a sound.
    """
    window = min(round(seconds * lead.rate), longest_run(lead.values))
    if window < 4:
        return Curve(label, color, np.zeros(0), np.zeros(0))
    frequencies, power = power_spectrum(lead.values, lead.rate, window)
    return Curve(label, color, frequencies[1:], decibels(power[1:] * (2 if audio else 1)))


def band(lead: Lead, wave: Trace, label: str, start: float, seconds: float, audio: bool) -> Band:
    """Computes the spectrogram of a lead.

    The rows of a sound are equal fractions of an octave, as in hearing; other rows are equally
    wide. Levels are relative to the same power as in `curve`.

    Args:
        lead: the lead.
        wave: its waveform.
        label: the label of the band.
        start: the time of its first position in seconds.
        seconds: the length of an STFT window.
        audio: whether the lead is a sound.
    """
    window = max(4, round(seconds * lead.rate))
    frequencies, edges, power = spectrogram(lead.values, lead.rate, window, _COLUMNS)
    top = frequencies[-1]
    if audio:
        rows = np.geomspace(min(_LOWEST, top / 2), top, _ROWS + 1)
    elif len(frequencies) > _ROWS:
        rows = np.linspace(0, top, _ROWS + 1)
    else:  # a row around each frequency
        middles = (frequencies[1:] + frequencies[:-1]) / 2
        rows = np.concatenate([[0], middles, [top]])
    levels = decibels(_in_rows(frequencies, power, rows) * (2 if audio else 1))
    return Band(label, wave, rows, start + edges, levels)


def decibels(power: Float64[np.ndarray, "*shape"]) -> Float64[np.ndarray, "*shape"]:
    """Returns 10 log10 of a power, at least LEAST."""
    return np.asarray(10 * np.log10(np.maximum(power, 10 ** (LEAST / 10))))


def _in_rows(
    frequencies: Float64[np.ndarray, " frequency"],
    power: Float64[np.ndarray, "frequency column"],
    edges: Float64[np.ndarray, " edge"],
) -> Float64[np.ndarray, "row column"]:
    """Returns the largest power between two edges, so that a pure tone keeps its level.

    If no frequency lies between them, the power is interpolated.
    """
    starts = np.searchsorted(frequencies, edges)
    largest = np.maximum.reduceat(power, np.minimum(starts[:-1], len(frequencies) - 1), axis=0)
    place = (edges[:-1] + edges[1:]) / 2 / frequencies[1]
    low = np.minimum(place.astype(int), len(frequencies) - 2)
    share = (place - low)[:, None]
    between = power[low] * (1 - share) + power[low + 1] * share
    return np.where((np.diff(starts) > 0)[:, None], largest, between)


def hertz(frequency: float, _: int = 0) -> str:
    """Formats a frequency for an axis, such as "200" or "5k"."""
    return f"{frequency / 1000:g}k" if frequency >= 1000 else f"{frequency:g}"
