"""Draw samples and results for the page."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from impasto import media
from impasto.media import Sample
from impasto.media.looks import as_signal, common_look, look_of, opaque
from impasto.media.small import save_small
from impasto.plots import MOST, View, plot


def draw(samples: Sequence[Sample], labels: Sequence[str], output: Path) -> None:
    """Draws signals or volumes together into a PNG: the first one over the others.

    Raises:
        MissingExtraError: the library that draws is not installed.
    """
    first = look_of(samples[0])
    if first == "signal":
        samples = [as_signal(s) for s in samples if look_of(s) == "signal"][: MOST["ecg"]]
    elif first == "volume":
        samples = [s for s in samples if look_of(s) == "volume"][: MOST["planes"]]
    if common_look(samples) is None or first == "picture":
        media.save(opaque(samples[0]), output)
        return
    plot(samples, labels[: len(samples)], output, View())


def shrink(source: Path, target: Path, side: int) -> None:
    """Writes a picture at a long side of at most so many pixels, as JPEG without alpha."""
    save_small(opaque(media.load(source)), target, side)
