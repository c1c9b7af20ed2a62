"""Plots of signals: choose the kind of plot, the leads and the stretch of time."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from impasto.errors import ConfigError
from impasto.media.signals.leads import is_audio, lead, matched
from impasto.media.signals.signal import Signal, place
from impasto.plots import View, drawn_as
from impasto.plots.page import Heading, clock, colors, list_names, save_figure, save_page
from impasto.plots.paper import Lines, Paper, rows_of
from impasto.plots.paper_print import paper_figure
from impasto.plots.paper_screen import paper_page
from impasto.plots.spectra import Band, Panel, Spectra, Spectrograms, band, curve
from impasto.plots.spectra_print import spectrogram_figure, spectrum_figure
from impasto.plots.spectra_screen import spectrogram_page, spectrum_page
from impasto.plots.traces import stretch, trace

SECONDS, AUDIO_SECONDS = 10.0, 60.0
"""The seconds of a signal and of a sound to draw by default."""

SPECTRUM_WINDOW, AUDIO_SPECTRUM_WINDOW = 4.0, 0.2
SPECTROGRAM_WINDOW, AUDIO_SPECTROGRAM_WINDOW = 0.5, 0.093
"""The lengths of spectrum windows and STFT windows in seconds."""

_COLUMNS = 6000  # in an envelope: 0.05 mm each on paper

Stretches = Sequence[tuple[int, int]]


def plot_signals(
    signals: Sequence[Signal], labels: Sequence[str], output: Path, view: View
) -> None:
    """Draws signals on ECG paper, as spectra, or as waveforms and spectrograms.

    The arguments and the errors are those of `plots.plot`.
    """
    audio = all(map(is_audio, signals))
    screen = output.suffix.lower() == ".html"
    match drawn_as(signals, view):
        case "ecg":
            paper = _paper(signals, labels, view)
            figure = paper_page(paper) if screen else paper_figure(paper)
        case "spectrum":
            spectra = _spectra(signals, labels, view, audio)
            figure = spectrum_page(spectra) if screen else spectrum_figure(spectra)
        case "spectrogram":
            bands = _spectrograms(signals, labels, view, audio)
            figure = spectrogram_page(bands) if screen else spectrogram_figure(bands)
    if screen:
        save_page(figure, ", ".join(labels), output)
    else:
        save_figure(figure, output)


def _paper(signals: Sequence[Signal], labels: Sequence[str], view: View) -> Paper:
    """Lays out ECG paper: the first signal over the second in each row, the third below."""
    parts = _stretches(signals, labels, view.start, view.seconds or SECONDS)
    groups: list[Lines] = []
    tints = colors(len(signals))
    for channels in _channels(signals, view.leads):
        lines = [
            None if channel is None else (trace(signal, channel, part, _COLUMNS), tint)
            for signal, channel, part, tint in zip(signals, channels, parts, tints, strict=True)
        ]
        groups.append([line for line in reversed(lines[:2]) if line])
        groups += [[line] for line in lines[2:] if line]
    title = " over ".join(labels[:2])
    if len(labels) > 2:
        title += f", {labels[2]} below"
    legend = list(zip(labels, tints, strict=True))
    return Paper(title, legend, rows_of(groups), view.start, _longest(signals, parts))


def _spectra(signals: Sequence[Signal], labels: Sequence[str], view: View, audio: bool) -> Spectra:
    parts = _stretches(signals, labels, view.start, view.seconds or float("inf"))
    tints = colors(len(signals))
    window = AUDIO_SPECTRUM_WINDOW if audio else SPECTRUM_WINDOW
    panels = []
    for channels in _channels(signals, view.leads):
        leads = [
            None if channel is None else lead(signal, channel, *part)
            for signal, channel, part in zip(signals, channels, parts, strict=True)
        ]
        curves = [
            curve(each, label, tint, window, audio)
            for each, label, tint in zip(leads, labels, tints, strict=True)
            if each
        ]
        first = leads[0]
        assert first is not None
        name = "" if audio and len(signals[0].data) == 1 else first.name
        level = "dBFS/Hz" if audio else f"dB re 1 {first.unit or 'unknown unit'}²/Hz"
        panels.append(Panel(name, f"PSD ({level})", curves))
    legend = list(zip(labels, tints, strict=True)) if len(labels) > 1 else []
    title = f"Power spectral density of {list_names(labels)}"
    return Spectra(Heading(title, _shown(signals, parts, view), legend, not audio), panels)


def _spectrograms(
    signals: Sequence[Signal], labels: Sequence[str], view: View, audio: bool
) -> Spectrograms:
    seconds = view.seconds or (AUDIO_SECONDS if audio else SECONDS)
    parts = _stretches(signals, labels, view.start, seconds)
    window = AUDIO_SPECTROGRAM_WINDOW if audio else SPECTROGRAM_WINDOW
    rows: list[list[Band | None]] = []
    units: set[str] = set()
    for channels in _channels(signals, view.leads):
        row: list[Band | None] = []
        for signal, channel, part, label in zip(signals, channels, parts, labels, strict=True):
            if channel is None:
                row.append(None)
                continue
            each = lead(signal, channel, *part)
            units.add(each.unit)
            name = f"{label}  {each.name}" if len(signal.data) > 1 else label
            wave = trace(signal, channel, part, _COLUMNS)
            row.append(band(each, wave, name, part[0] / signal.rate, window, audio))
        rows.append(row)
    unit = units.pop() if len(units) == 1 else ""
    level = "dBFS" if audio else f"dB re 1 {unit or 'unknown unit'}²"
    heading = Heading(
        f"Waveform and spectrogram of {list_names(labels)}",
        _shown(signals, parts, view),
        [],
        not audio,
    )
    end = view.start + _longest(signals, parts)
    return Spectrograms(heading, rows, (view.start, end), level)


def _channels(signals: Sequence[Signal], names: Sequence[str]) -> list[list[int | None]]:
    """Lists the chosen channels of the first signal with the matching channels of the others.

    A signal without a matching channel has None.
    """
    first = signals[0]
    partners = [dict(matched(first, other)) for other in signals[1:]]
    chosen = []
    for name in names or map(str, range(1, len(first.data) + 1)):
        channel = place(first.names, name) if names else int(name) - 1
        if channel is None:
            known = " ".join(each for each in first.names if each)
            raise ConfigError(
                subject="--leads",
                expected=f"names from {known}" if known else f"numbers up to {len(first.data)}",
                found=name,
                remedy="choose some of these names, or numbers from 1 up",
            )
        chosen.append([channel, *(partner.get(channel) for partner in partners)])
    return chosen


def _stretches(
    signals: Sequence[Signal], labels: Sequence[str], start: float, seconds: float
) -> Stretches:
    pairs = zip(signals, labels, strict=True)
    return [stretch(signal, label, start, seconds) for signal, label in pairs]


def _longest(signals: Sequence[Signal], parts: Stretches) -> float:
    """Returns the length of the longest stretch in seconds."""
    pairs = zip(signals, parts, strict=True)
    return max((stop - first) / signal.rate for signal, (first, stop) in pairs)


def _shown(signals: Sequence[Signal], parts: Stretches, view: View) -> str:
    """Describes the stretch of time and the sampling rates."""
    end = view.start + _longest(signals, parts)
    rates = " and ".join(dict.fromkeys(f"{signal.rate:g} Hz" for signal in signals))
    return f"{clock(view.start, end)} to {clock(end, end)}   {rates}"
