"""Small pictures of files, and a few words on them, for lists and pages."""

from __future__ import annotations

from pathlib import Path

from impasto import media
from impasto.media.pictures.picture import Picture, fit_picture
from impasto.media.sample import Sample
from impasto.media.signals.signal import Signal


def small_picture(path: Path, side: int) -> Picture | None:
    """Returns a picture file at a long side of at most so many pixels; None for other files.

    Raises:
        SampleError: it cannot be read.
    """
    if not media.is_picture(path):
        return None
    _, space = media.grid(path)
    picture = media.load(path, (min(side, max(space)),))
    assert isinstance(picture, Picture)
    return on_white(picture)


def on_white(picture: Picture) -> Picture:
    """Returns a picture without its alpha: what is transparent is white."""
    if picture.alpha is None:
        return Picture(picture.data)
    return Picture(picture.data * picture.alpha + (1 - picture.alpha))


def save_small(picture: Picture, path: Path, side: int) -> None:
    """Writes a picture at a long side of at most so many pixels.

    Raises:
        OutputError: it cannot be written.
    """
    media.save(fit_picture(picture, (side,)) if max(picture.space) > side else picture, path)


def described(sample: Sample, space: tuple[int, ...]) -> str:
    """Says in a few words how large a sample is. space: its own grid, where it was shrunk.

    Example:
        >>> import numpy as np
        >>> described(Picture(np.zeros((3, 4, 6), np.float32)), (400, 600))
        '600 x 400 pixels'
    """
    grid = " x ".join(map(str, space))
    match sample:
        case Picture():
            return f"{space[1]} x {space[0]} pixels"
        case Signal() if sample.rate:
            leads = "1 lead" if len(sample.data) == 1 else f"{len(sample.data)} leads"
            return f"{space[0] / sample.rate:.4g} s at {sample.rate:g} Hz, {leads}"
    return f"{grid} voxels" if len(space) == 3 else f"{grid} positions"
