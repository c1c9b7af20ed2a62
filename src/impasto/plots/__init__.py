"""Pictures of samples: what each kind looks like is a module of its own."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from impasto.config import windows
from impasto.errors import ConfigError, OutputError, SampleError
from impasto.kinds.looks import as_picture, as_signal, common_look
from impasto.media.files import check_writable
from impasto.media.sample import Sample
from impasto.media.signals.leads import is_audio
from impasto.media.volumes.orientation import volumes_together
from impasto.plots.page import matplotlib, plotly

__all__ = ["MOST", "SUFFIXES", "View", "check_plot", "check_target", "drawn_as", "plot"]

SUFFIXES = (".png", ".svg", ".pdf", ".html")

Kind = Literal["ecg", "spectrum", "spectrogram", "pictures", "planes"]

MOST = {"ecg": 3, "spectrum": 6, "spectrogram": 6, "planes": 6}
"""Samples in one plot."""


@dataclass(frozen=True)
class View:
    """What of the samples is drawn, and how.

    kind: auto is spectrogram for sounds and ecg for other signals. start, seconds: the stretch,
    from the beginning of each sample; None is 10 s, of sounds 60 s. leads: names, or numbers from
    1 up; all where there are none. Pictures take none of these.
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
    """Draws samples of one kind in a file whose suffix chooses the format.

    samples: what is looked at, then what it is compared with: the content, the style. Pictures
    come side by side, volumes below one another. labels: a name for each.
    Raises as `check_plot` does, SampleError when a sample cannot be drawn, ConfigError when the
    view is not to be had of it, and OutputError when the file cannot be written.
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
    """Raises where `plot` would for the path, and for what the samples are and their number.

    That is SampleError for samples of several kinds, ConfigError for too many, OutputError for
    another suffix or a file that cannot be written, MissingExtraError where the library that draws
    is not installed.
    """
    check_target(output)
    suffix = Path(output).suffix.lower()
    kind = drawn_as(samples, view)
    if kind == "pictures" and suffix != ".png":
        raise OutputError(
            subject=os.fspath(output),
            expected="a name that ends in .png, for pictures",
            found=suffix,
            remedy="choose one that does",
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
    """What a plot of the samples is. Raises SampleError where they are of several kinds."""
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
    """Raises OutputError where `plot` would for the path alone, before any work is done."""
    suffix = Path(output).suffix.lower()
    if suffix not in SUFFIXES:
        raise OutputError(
            subject=os.fspath(output),
            expected=f"a name that ends in {', '.join(SUFFIXES)}",
            found=suffix or "no suffix",
            remedy="choose one of those",
        )
    check_writable(output)
