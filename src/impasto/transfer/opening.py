"""Opening the content and the styles of a run."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from impasto import media
from impasto.config.config import Config
from impasto.config.settings import ObjectiveConfig
from impasto.errors import SampleError, about
from impasto.grids.arrays import Arrays
from impasto.grids.geometry import Space
from impasto.kinds import Kind, content_size, kind_of
from impasto.media.sample import Sample

SampleLike = Any
"""A path, bytes, a Sample, a NumPy array, a tensor or a PIL picture: what media.as_sample takes."""


@dataclass(frozen=True, eq=False)
class Inputs:
    """What a run is given, opened.

    kind: of the content. styles: in the content's terms. shares: of each style, adding up to 1
    where they are to. config: completed for such a content.
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
) -> Inputs:
    """Opens the content, and then the styles at its size, rate or spacing.

    Raises SampleError where one cannot be used, ConfigError for settings of another kind.
    """
    given = decoded(content, "content")
    sample = open_sample(given, "content", content_size(given, config), arrays)
    kind = kind_of(sample)
    with about("content"):
        sample = kind.part(sample, config.signal.leads, config.signal.span)
    config = config.complete(sample.dims, len(sample.data))
    things, shares = split_shares(styles, config.objective)
    return Inputs(kind, sample, open_styles(things, sample, config, arrays), shares, config)


def decoded(thing: SampleLike, role: str) -> SampleLike:
    """What is in bytes, or in a file that is open, as a sample; anything else as it is."""
    with about(role):
        return media.decoded(thing)


def open_sample(thing: SampleLike, role: str, size: Space, arrays: Arrays) -> Sample:
    """Anything accepted as a Sample; errors say which one it was."""
    with about(str(thing) if isinstance(thing, str | Path) else role):
        return media.as_sample(thing, size, new=arrays.numpy)


def split_shares(
    styles: SampleLike | Sequence[SampleLike], objective: ObjectiveConfig
) -> tuple[list[SampleLike], list[float]]:
    """The styles, and the share of each; a folder is all pictures in it, in equal parts.

    Raises ConfigError for weights of another number of styles, SampleError for a folder without
    pictures.
    """
    given = list(styles) if isinstance(styles, list | tuple) else [styles]
    things: list[SampleLike] = []
    shares: list[float] = []
    for thing, share in zip(given, objective.style_shares(len(given)), strict=True):
        path = isinstance(thing, str | Path) and Path(thing)
        parts = media.pictures_in(path) if path and media.is_plain_folder(path) else [thing]
        things += parts
        shares += [share / len(parts)] * len(parts)
    return things, shares


def open_styles(
    things: Sequence[SampleLike], content: Sample, config: Config, arrays: Arrays
) -> list[Sample]:
    """The styles at the content's scale: the same long side, or the same exact grid.

    A style with fewer pixels stays as it is.
    """
    kind = kind_of(content)
    kind.check_styles(content, len(things), config)
    samples = []
    for number, given in enumerate(things, start=1):
        role = f"style {number}"
        thing = decoded(given, role)
        sample = open_sample(thing, role, kind.style_size(thing, role, content, config), arrays)
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
