"""Pictures side by side."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from impasto import media
from impasto.media.pictures.picture import Picture, fit_picture


def plot_pictures(pictures: Sequence[Picture], output: Path) -> None:
    """Saves pictures side by side as PNG, at the height of the first one.

    Raises:
        OutputError: the file cannot be written.
    """
    media.save(side_by_side(pictures, pictures[0].space[0]), output)


def side_by_side(pictures: Sequence[Picture], height: int) -> Picture:
    """Joins pictures in a row, `height` pixels high, with white gaps between them."""
    gap = np.ones((3, height, max(1, height // 40)), np.float32)
    parts: list[np.ndarray] = []
    for picture in pictures:
        rows, columns = picture.space
        size = height, max(1, round(columns * height / rows))
        parts += [fit_picture(picture, size).data, gap]
    return Picture(np.concatenate(parts[:-1], axis=2))
