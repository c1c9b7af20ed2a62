"""What differs between a picture, a signal and a volume."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from impasto import media
from impasto.config.config import Config
from impasto.grids.geometry import Space
from impasto.kinds.kind import Kind
from impasto.kinds.picture import PictureKind
from impasto.kinds.signal import SignalKind
from impasto.kinds.volume import VolumeKind
from impasto.media.pictures.picture import Picture
from impasto.media.sample import Sample
from impasto.media.signals.signal import Signal
from impasto.media.volumes.volume import Volume

__all__ = [
    "ARRAY",
    "PICTURE",
    "SIGNAL",
    "VOLUME",
    "Kind",
    "content_size",
    "kind_of",
    "preset_of_folder",
    "samples_to_show",
    "solids_are_gray",
]

ARRAY, PICTURE, SIGNAL, VOLUME = Kind(), PictureKind(), SignalKind(), VolumeKind()


def kind_of(sample: Sample) -> Kind:
    """Returns the kind of a sample.

    Example:
        >>> import numpy as np
        >>> kind_of(Picture(np.zeros((3, 8, 8), np.float32))) is PICTURE
        True
    """
    match sample:
        case Picture():
            return PICTURE
        case Signal():
            return SIGNAL
        case Volume():
            return VOLUME
    return ARRAY


def content_size(content: object, config: Config) -> Space:
    """Returns the size to open a content at, as `media.load` takes it: (0,) keeps its own."""
    kind = PICTURE if media.is_picture(content) else ARRAY
    return config.schedule.size or kind.default_size


def samples_to_show(content: object, styles: Sequence[object], config: Config) -> list[Sample]:
    """Opens the content and the styles at the size at which a plot shows them with the result.

    Of signals, only the leads and seconds of the run are shown.
    """
    settings = config.signal
    first = media.as_sample(content, content_size(content, config), leads=settings.leads)
    kind = kind_of(first)
    size = kind.look_size(first)
    others = [
        media.as_sample(s, size if media.is_picture(s) else (0,), leads=settings.style_leads)
        for s in styles
    ]
    return [
        kind.part(first, (), settings.span),
        *(kind_of(other).part(other, (), settings.style_span) for other in others),
    ]


def preset_of_folder(path: Path) -> str | None:
    """Returns the preset for the sample in a folder; None if the folder is not a sample."""
    return "ct" if media.holds_volume(path) else None


def solids_are_gray(output: Path) -> bool:
    """Returns whether a solid written to this file has one channel, as in formats of volumes."""
    return media.is_volume_file(output)
