"""How samples are shown: which ones are drawn or compared together, and as which kind."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from impasto import media
from impasto.config.config import RATE
from impasto.errors import SampleError
from impasto.grids.geometry import Space
from impasto.media.pictures.picture import Picture
from impasto.media.sample import Sample
from impasto.media.signals.signal import Signal
from impasto.media.small import on_white
from impasto.media.volumes.orientation import is_plane, is_volume

Look = Literal["picture", "signal", "volume"]


def common_look(samples: Sequence[Sample]) -> Look | None:
    """Returns the kind as which all samples can be drawn and compared; None if there is none.

    An array of one channel over three axes is shown as a volume.
    """
    if all(isinstance(sample, Signal) for sample in samples):
        return "signal"
    if all(isinstance(sample, Picture) for sample in samples):
        return "picture"
    return "volume" if all(map(is_volume, samples)) else None


def look_of(sample: Sample) -> Look:
    """Returns the kind as which a page shows a sample; a solid in colors is shown as a picture."""
    if sample.dims == 1:
        return "signal"
    return "volume" if is_volume(sample) and not is_plane(sample) else "picture"


def is_sliced(sample: Sample) -> bool:
    """Returns whether `as_picture` shows one slice out of many."""
    return sample.dims == 3 and not is_plane(sample)


def as_picture(sample: Sample) -> Picture:
    """Returns a picture of the sample: of a solid, its middle slice.

    A sample that does not have three channels in [0, 1] becomes gray: the mean of its channels,
    from the 0.5th to the 99.5th percentile.
    """
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


def opaque(sample: Sample) -> Picture:
    """Returns a picture of the sample without alpha, on white."""
    return on_white(as_picture(sample))


def as_signal(sample: Sample) -> Signal:
    """Returns the sample as a signal; an array gets the nominal rate that runs give it."""
    if isinstance(sample, Signal):
        return sample
    names = tuple(str(number) for number in range(1, len(sample.data) + 1))
    return Signal(sample.data, rate=RATE, names=names, units=("",) * len(names))


def select_drawn(samples: Sequence[Sample]) -> list[Sample]:
    """Returns the samples that can be drawn with the first one, a result.

    The style of a volume may be a picture, which is left out.
    """
    return [s for s in samples if is_volume(s)] if is_volume(samples[0]) else list(samples)


def stand_in(path: Path, leads: Sequence[str] = ()) -> Sample:
    """Returns a small sample of a file's kind, with which a plot is checked before its run.

    A signal is small enough to be loaded itself.
    """
    if media.is_picture(path):
        return Picture(np.zeros((3, 1, 1), np.float32))
    channels, space = media.grid(path, leads=leads)
    return _one_position(channels, 3) if len(space) == 3 else media.load(path, leads=leads)


def open_to_show(path: Path, side: int) -> Sample:
    """Opens a file to show it small: a picture at a long side of so many pixels, others whole."""
    return media.load(path, (side,) if media.is_picture(path) else (0,))


def texture_stand_in(output: Path, size: Space, channels: int) -> Sample:
    """Returns a small sample of a texture's kind, with which a plot is checked before its run."""
    return stand_in(output) if media.is_picture(output) else _one_position(channels, len(size))


def check_picture_file(path: str | Path) -> None:
    """Raises SampleError if a file is not a picture."""
    if not media.is_picture(path):
        raise SampleError(
            subject=str(path),
            expected="a picture, such as JPEG or PNG",
            found="another kind of file",
            remedy="signals and volumes are for `impasto stylize`",
        )


def _one_position(channels: int, dims: int) -> Sample:
    return Sample(np.zeros((channels, *(1,) * dims), np.float32))
