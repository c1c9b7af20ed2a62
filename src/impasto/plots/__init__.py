"""Plots of samples; each kind of plot has modules of its own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from impasto.config import windows
from impasto.errors import ConfigError, OutputError, SampleError
from impasto.media.files import check_writable
from impasto.media.looks import as_picture, as_signal, common_look
from impasto.media.sample import Sample
from impasto.media.signals.leads import is_audio
from impasto.media.volumes.orientation import volumes_together
from impasto.plots.page import matplotlib, plotly

__all__ = ["MOST", "SUFFIXES", "View", "check_plot", "check_target", "drawn_as", "plot"]

SUFFIXES = (".png", ".svg", ".pdf", ".html")

Kind = Literal["ecg", "spectrum", "spectrogram", "pictures", "planes"]

MOST = {"ecg": 3, "spectrum": 6, "spectrogram": 6, "planes": 6}
"""The largest number of samples in one plot, by kind of plot."""


@dataclass(frozen=True)
class View:
    """Which part of the samples a plot shows, and how. Pictures ignore the view.

    Attributes:
        kind: for signals, the kind of plot; "auto" is spectrogram for sounds and ecg for others.
        start: for signals, the first second, from the beginning of each sample.
        seconds: for signals, the number of seconds; None is 60 for sounds, 10 for other signals and
            everything for a spectrum.
        leads: for signals, names or numbers of leads, from 1 up; all if empty.
        window: for volumes, the intensity window, as --window takes it.
        at: for volumes, the point in which the planes cross, in mm to the right, anterior and
            superior; None is the middle.

    Raises:
        ConfigError: a value is outside its range.
    """

    kind: Literal["auto", "ecg", "spectrum", "spectrogram"] = "auto"
    start: float = 0.0
    seconds: float | None = None
    leads: tuple[str, ...] = ()
    window: tuple[str, ...] = windows.AUTO
    at: tuple[float, float, float] | None = None

    def __post_init__(self) -> None:
        windows.window(self.window)
        if not 0 <= self.start < float("inf"):
            raise ConfigError(
                subject="--from",
                expected="seconds from 0 up",
                found=str(self.start),
                remedy="give for example --from 60",
            )
        if self.seconds is not None and not 0 < self.seconds < float("inf"):
            raise ConfigError(
                subject="--seconds",
                expected="more than 0 seconds",
                found=str(self.seconds),
                remedy="give for example --seconds 10",
            )


def plot(
    samples: Sequence[Sample], labels: Sequence[str], output: str | os.PathLike[str], view: View
) -> None:
    """Draws samples of one kind into a file.

    Pictures are drawn side by side, volumes one below the other.

    Args:
        samples: a sample alone, or a result and then its content and its style.
        labels: a name for each sample.
        output: the file: .png, .svg, .pdf or .html; pictures only .png.
        view: which part to draw, and how.

    Raises:
        ConfigError: there are too many samples, or the view does not fit them.
        MissingExtraError: the library that draws the plot is not installed.
        OutputError: the suffix is unknown, or the file cannot be written.
        SampleError: the samples are of several kinds, or one cannot be drawn.

    Example:
        >>> import numpy as np
        >>> from impasto.media import Signal
        >>> values = np.sin(np.arange(2000) / 9)[None].astype(np.float32)
        >>> ecg = Signal(values, rate=250.0, names=("II",), units=("mV",))
        >>> plot([ecg], ["ecg"], "ecg.png", View(seconds=5.0))
    """
    check_plot(samples, output, view)
    match common_look(samples):
        case "signal":
            from impasto.plots.signal import plot_signals

            plot_signals(list(map(as_signal, samples)), labels, Path(output), view)
        case "picture":
            from impasto.plots.picture import plot_pictures

            plot_pictures(list(map(as_picture, samples)), Path(output))
        case _:
            from impasto.plots.volume import plot_volumes

            plot_volumes(volumes_together(samples), labels, Path(output), view)


def check_plot(samples: Sequence[Sample], output: str | os.PathLike[str], view: View) -> None:
    """Checks the path, the number and the kind of the samples, before `plot` draws them.

    Raises:
        ConfigError: there are too many samples.
        MissingExtraError: the library that draws the plot is not installed.
        OutputError: the suffix does not fit, or the file cannot be written.
        SampleError: the samples are of several kinds.
    """
    check_target(output)
    suffix = Path(output).suffix.lower()
    kind = drawn_as(samples, view)
    if kind == "pictures" and suffix != ".png":
        raise OutputError(
            subject=os.fspath(output),
            expected="a name that ends in .png, for pictures",
            found=suffix,
            remedy="choose a name that ends in .png",
        )
    if len(samples) > MOST.get(kind, len(samples)):
        raise ConfigError(
            subject="plot",
            expected=f"at most {MOST[kind]} samples drawn as {kind}",
            found=str(len(samples)),
            remedy="plot fewer at a time",
        )
    if suffix != ".html" and kind != "pictures":
        matplotlib()
    elif suffix == ".html" and kind != "planes":
        plotly()


def drawn_as(samples: Sequence[Sample], view: View) -> Kind:
    """Returns the kind of plot for samples; raises SampleError if they are of several kinds."""
    match common_look(samples):
        case "signal":
            if view.kind != "auto":
                return view.kind
            return "spectrogram" if all(map(is_audio, map(as_signal, samples))) else "ecg"
        case "picture":
            return "pictures"
        case "volume":
            return "planes"
    raise SampleError(
        expected="signals with a sampling rate only, pictures only, or volumes only",
        found=", ".join(type(sample).__name__ for sample in samples),
        remedy="plot each kind by itself",
    )


def check_target(output: str | os.PathLike[str]) -> None:
    """Raises OutputError if `plot` cannot write this file. It only looks at the path."""
    suffix = Path(output).suffix.lower()
    if suffix not in SUFFIXES:
        raise OutputError(
            subject=os.fspath(output),
            expected=f"a name that ends in {', '.join(SUFFIXES)}",
            found=suffix or "no suffix",
            remedy="choose one of those",
        )
    check_writable(output)
