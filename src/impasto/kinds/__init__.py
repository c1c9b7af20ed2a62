"""What differs between a picture, a signal and a volume."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

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
    """The kind of a sample."""
    match sample:
        case Picture():
            return PICTURE
        case Signal():
            return SIGNAL
        case Volume():
            return VOLUME
    return ARRAY


def content_size(content: Any, config: Config) -> Space:
    """The size to open a content at, as `media.load` takes it."""
    kind = PICTURE if media.is_picture(content) else ARRAY
    return config.schedule.size or kind.default_size


def samples_to_show(content: Any, styles: Sequence[Any], config: Config) -> list[Sample]:
    """The content and the styles as the result is to be looked at beside them."""
    first = media.as_sample(content, content_size(content, config))
    kind, settings = kind_of(first), config.signal
    size = kind.look_size(first)
    others = [media.as_sample(s, size if media.is_picture(s) else (0,)) for s in styles]
    return [
        kind.part(first, settings.leads, settings.span),
        *(kind_of(s).part(s, settings.style_leads, settings.style_span) for s in others),
    ]


def preset_of_folder(path: Path) -> str | None:
    """The preset for what a folder holds; None where it is no sample."""
    return "ct" if media.holds_volume(path) else None


def solids_are_gray(output: Path) -> bool:
    """Whether a solid written there has one channel, as the formats of volumes have."""
    return media.is_volume_file(output)
