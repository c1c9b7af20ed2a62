"""Samples as figures of a page: pictures themselves, and plots of other samples."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

from impasto import media
from impasto.media.looks import Look, as_picture, as_signal, is_sliced, look_of
from impasto.media.pictures.picture import Picture, fit_picture
from impasto.plots import MOST, View, plot
from impasto.reports.findings import Findings, Shown

LONGEST = 1600
"""The longest side of a picture in pixels; larger pictures are shrunk."""

_VIEWS: tuple[Literal["auto", "spectrum"], ...] = ("auto", "spectrum")
_TYPES = {".jpg": "image/jpeg", ".png": "image/png", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class Figure:
    """An image in a page.

    Attributes:
        role: "content", "style" or "result" for a picture; "" for a plot of several samples.
        caption: the caption.
        source: the image as a data URL.
    """

    role: str
    caption: str
    source: str


def figures_of(findings: Findings) -> list[Figure]:
    """Makes figures of the content, the styles and the result, or plots that show them together."""
    # A plot shows the result first, and then the samples to compare it with.
    order = sorted(findings.shown, key=lambda each: each.role != "result")
    looks: dict[Look, list[Shown]] = {"picture": [], "signal": [], "volume": []}
    for each in order:
        looks[look_of(each.sample)].append(each)
    flat = [each for each in findings.shown if each in looks["picture"]]
    figures = [Figure(each.role, _caption(each), _source(as_picture(each.sample))) for each in flat]
    signals, volumes = looks["signal"], looks["volume"]
    if signals:
        figures += [_plot(signals[: MOST["ecg"]], View(kind), ".svg") for kind in _VIEWS]
    view = View(window=findings.run.origin.config.volume.window)
    if any(each.role == "content" for each in volumes):
        figures.append(_plot(volumes[: MOST["planes"]], view, ".png"))
    else:  # a texture and its exemplar have no positions in common, so each is drawn by itself
        figures += [_plot([each], view, ".png") for each in volumes]
    return figures


def _caption(shown: Shown) -> str:
    """Names the file and the part of it that is shown."""
    return f"{shown.name}, its middle slice" if is_sliced(shown.sample) else shown.name


def _plot(shown: Sequence[Shown], view: View, suffix: str) -> Figure:
    samples = [
        as_signal(each.sample) if look_of(each.sample) == "signal" else each.sample
        for each in shown
    ]
    with TemporaryDirectory() as folder:
        path = Path(folder) / f"plot{suffix}"
        plot(samples, [each.role for each in shown], path, view)
        return Figure("", ", ".join(each.name for each in shown), _url(path))


def _source(picture: Picture) -> str:
    longest = max(picture.space)
    if longest > LONGEST:
        picture = fit_picture(picture, (LONGEST,))
    with TemporaryDirectory() as folder:
        path = Path(folder) / "picture.jpg"
        media.save(Picture(picture.data), path)
        return _url(path)


def _url(path: Path) -> str:
    data = base64.b64encode(path.read_bytes()).decode()
    return f"data:{_TYPES[path.suffix]};base64,{data}"
