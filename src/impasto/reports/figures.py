"""Samples as figures of a page: pictures as they are, all else as `plots` draws it."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import numpy as np

from impasto import media
from impasto.kinds.volumes import is_plane
from impasto.media.pictures.picture import Picture, fit_picture
from impasto.media.sample import Sample
from impasto.media.volumes.orientation import is_volume
from impasto.networks import RATE
from impasto.plots import MOST, View, plot
from impasto.reports.findings import Findings, Shown

LONGEST = 1600
"""Pixels of a picture's long side; larger ones are shown smaller."""

_VIEWS: tuple[Literal["auto", "spectrum"], ...] = ("auto", "spectrum")
_TYPES = {".jpg": "image/jpeg", ".png": "image/png", ".svg": "image/svg+xml"}


@dataclass(frozen=True)
class Figure:
    """An image in a page.

    role: "content", "style" or "result" of a picture, empty for a plot of several samples. source:
    a data URL.
    """

    role: str
    caption: str
    source: str


def figures_of(findings: Findings) -> list[Figure]:
    """The content, the styles and the result: a figure for each, or plots of them together."""
    flat = [each for each in findings.shown if each.sample.dims > 1 and not _volume(each)]
    figures = [Figure(each.role, _caption(each), _source(_picture(each.sample))) for each in flat]
    # What is looked at comes first, then what it is compared with.
    order = sorted(findings.shown, key=lambda each: each.role != "result")
    signals = [each for each in order if each.sample.dims == 1]
    volumes = [each for each in order if _volume(each)]
    if signals:
        figures += [_plot(signals[: MOST["ecg"]], View(kind), ".svg") for kind in _VIEWS]
    view = View(window=findings.run.origin.config.volume.window)
    if any(each.role == "content" for each in volumes):
        figures.append(_plot(volumes[: MOST["planes"]], view, ".png"))
    else:  # a texture lies nowhere: there is nothing to compare it with place by place
        figures += [_plot([each], view, ".png") for each in volumes]
    return figures


def _caption(shown: Shown) -> str:
    """The name, and what of the sample is shown."""
    solid = shown.sample.dims == 3 and not is_plane(shown.sample)
    return f"{shown.name}, its middle slice" if solid else shown.name


def _volume(shown: Shown) -> bool:
    """Whether it is drawn by planes."""
    return is_volume(shown.sample) and not is_plane(shown.sample)


def _plot(shown: Sequence[Shown], view: View, suffix: str) -> Figure:
    samples = [_signal(each.sample) if each.sample.dims == 1 else each.sample for each in shown]
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


def _picture(sample: Sample) -> Picture:
    """The sample; of a solid in colors its middle slice; of what is no color its mean, in gray."""
    if isinstance(sample, Picture):
        return sample
    data = sample.data
    if data.ndim == 4:
        data = data[:, 0] if is_plane(sample) else data[..., data.shape[3] // 2]
    if len(data) != 3 or data.min() < 0 or data.max() > 1:
        low, high = np.percentile(data.mean(0), (0.5, 99.5))
        gray = np.clip((data.mean(0) - low) / max(high - low, 1e-12), 0, 1)
        data = np.broadcast_to(gray, (3, *gray.shape))
    return Picture(np.ascontiguousarray(data, np.float32))


def _signal(sample: Sample) -> media.Signal:
    """An array at the rate that it was worked on at."""
    if isinstance(sample, media.Signal):
        return sample
    names = tuple(str(number) for number in range(1, len(sample.data) + 1))
    return media.Signal(sample.data, rate=RATE, names=names, units=("",) * len(names))
