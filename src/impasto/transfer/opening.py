"""Open the content and the styles of a run."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Protocol, TypeVar, cast, runtime_checkable

import numpy as np
from torch import Tensor

from impasto import media
from impasto.config.config import Config
from impasto.config.settings import ObjectiveConfig
from impasto.errors import SampleError, about
from impasto.grids.arrays import Arrays
from impasto.grids.geometry import Space
from impasto.kinds import Kind, content_size, kind_of
from impasto.media.sample import Sample
from impasto.transfer.kept import Kept


@runtime_checkable
class BinaryFile(Protocol):
    """An open binary file, or anything else with its `read`."""

    def read(self) -> bytes:
        """Returns the rest of the file."""


@runtime_checkable
class PilImage(Protocol):
    """A PIL image: Pillow is optional, so its own type cannot be named here."""

    def getexif(self) -> object:
        """Returns the EXIF data."""


SampleLike = (
    str
    | os.PathLike[str]
    | bytes
    | bytearray
    | memoryview
    | BinaryFile
    | Sample
    | np.ndarray
    | Tensor
    | PilImage
)
"""A path, the bytes of a file, an open binary file, a Sample, a picture as a NumPy array of shape
(height, width) or (height, width, channel), a picture as a tensor of shape (channel, height,
width), or a PIL image."""

Item = TypeVar("Item")


@dataclass(frozen=True, eq=False)
class Inputs:
    """The opened inputs of a run.

    Attributes:
        kind: the kind of the content.
        content: the content at the size of the run.
        styles: the styles, with the content's rate or spacing, units and axes.
        shares: the weight of each style. They add up to 1, unless the settings say otherwise.
        config: the settings, completed for this content.
    """

    kind: Kind
    content: Sample
    styles: list[Sample]
    shares: list[float]
    config: Config


def open_inputs(
    content: SampleLike,
    styles: SampleLike | Sequence[SampleLike],
    config: Config,
    arrays: Arrays,
    kept: Kept | None = None,
) -> Inputs:
    """Opens the content, then the styles at the size, rate or spacing of the content.

    kept: keeps the opened styles for further contents; None keeps nothing.

    Raises:
        ConfigError: a setting is meant for another kind of sample.
        SampleError: an input cannot be used.
    """
    given = decoded(content, "content")
    leads, first = config.signal.leads, next(iter(list_styles(styles)), None)
    sample = open_sample(given, "content", content_size(given, config), arrays, leads, first)
    kind = kind_of(sample)
    with about("content"):
        sample = kind.part(sample, (), config.signal.span)
    config = config.complete(sample.dims, len(sample.data))
    kept = kept or Kept()
    things, shares = kept.get(
        ("shares", config.objective.style_weights),
        lambda: split_shares(list_styles(styles), config.objective),
    )
    kept.make_room(4 * len(things))
    opened = open_styles(things, sample, config, arrays, kept)
    return Inputs(kind, sample, opened, shares, kind.settle(sample, opened, config))


def decoded(thing: SampleLike, role: str) -> SampleLike:
    """Decodes bytes and open files into a sample; returns anything else unchanged.

    role: what errors call it, such as "content".
    """
    with about(role):
        sample: SampleLike = media.decoded(thing)
        return sample


def open_sample(
    thing: SampleLike,
    role: str,
    size: Space,
    arrays: Arrays,
    leads: Sequence[str] = (),
    like: object = None,
) -> Sample:
    """Opens a sample.

    Args:
        thing: anything that `stylize` accepts.
        role: what errors call it, such as "style 1"; for a path, errors name the path.
        size: the size to open a picture at, in pixels; (0,) keeps its own.
        arrays: allocates large arrays.
        leads: names or numbers of the channels of a signal; all if empty.
        like: a path or a sample that it goes with, for an error about its name.

    Raises:
        SampleError: it cannot be used.
    """
    with about(str(thing) if isinstance(thing, str | Path) else role):
        return media.as_sample(thing, size, new=arrays.numpy, leads=leads, like=like)


def list_styles(styles: SampleLike | Sequence[SampleLike]) -> list[SampleLike]:
    """Returns one style or several as a list."""
    return list(styles) if isinstance(styles, list | tuple) else [cast(SampleLike, styles)]


def split_shares(
    styles: Sequence[Item], objective: ObjectiveConfig
) -> tuple[list[Item | Path], list[float]]:
    """Lists the styles and the share of each.

    A folder stands for all pictures in it, which divide its share equally.

    Raises:
        ConfigError: the number of weights is not the number of styles.
        SampleError: a folder holds no pictures.
    """
    things: list[Item | Path] = []
    shares: list[float] = []
    for style, share in zip(styles, objective.style_shares(len(styles)), strict=True):
        parts: Sequence[Item | Path] = [style]
        if isinstance(style, str | Path) and media.is_plain_folder(Path(style)):
            parts = media.pictures_in(Path(style))
        things += parts
        shares += [share / len(parts)] * len(parts)
    return things, shares


def open_styles(
    things: Sequence[SampleLike],
    content: Sample,
    config: Config,
    arrays: Arrays,
    kept: Kept | None = None,
) -> list[Sample]:
    """Opens the styles at the content's scale.

    A picture gets the content's long side; it is never enlarged. A signal gets the content's
    sampling rate, a volume its spacing.

    kept: keeps each style as it is opened at a size; None keeps nothing.

    Raises:
        ConfigError: a setting does not fit the content or the number of styles.
        SampleError: a style cannot be used, or it has other channels or axes than the content.
    """
    kind, kept = kind_of(content), kept or Kept()
    kind.check_styles(content, len(things), config)
    samples = []
    for number, given in enumerate(things, start=1):
        role = f"style {number}"
        thing = kept.get(("given", number), partial(decoded, given, role))
        size = kind.style_size(thing, role, content, config)
        sample = kept.get(
            ("style", number, size),
            partial(open_sample, thing, role, size, arrays, config.signal.style_leads, content),
        )
        with about(role):
            sample = kind.bring(sample, content, config)
        if (sample.dims, len(sample.data)) != (content.dims, len(content.data)):
            raise SampleError(
                subject=role,
                expected=f"{len(content.data)} channels over {content.dims} axes, as the content",
                found=f"{len(sample.data)} over {sample.dims}",
                remedy="pass a content and styles of the same kind",
            )
        samples.append(sample)
    return samples
