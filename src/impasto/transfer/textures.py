"""texture: a picture or a solid that looks like an exemplar everywhere, out of noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from impasto import media
from impasto.config.config import Config
from impasto.config.presets import PRESETS
from impasto.errors import ConfigError, SampleError
from impasto.kinds.volumes import as_plane, in_hounsfield
from impasto.media.pictures.picture import Picture
from impasto.media.sample import Sample
from impasto.media.volumes.volume import Volume
from impasto.media.volumes.windows import window_of
from impasto.networks.stage import INPUT
from impasto.runs.origin import origin_of
from impasto.transfer.prepare import SampleLike, shared_out
from impasto.transfer.stylize import Result, stylize

PRESETS_BY_DIMS = {2: "texture", 3: "texture3d"}
"""Where the settings come from that are not given, by the dimensions of what is made."""


def texture(
    styles: SampleLike | Sequence[SampleLike],
    size: tuple[int, ...],
    config: Config | None = None,
    *,
    gray: bool = False,
    **others: Any,
) -> Result:
    """A sample of that size with the texture of one or more exemplars.

    Gatys et al. 2015 (Texture synthesis using convolutional neural networks); of solids, the slices
    across each axis look like the exemplar, as in Kopf et al. 2007 and Gutierrez et al. 2020.

    styles: as for `stylize`: pictures, folders of them, or volumes. size: height and width, or x, y
    and z, in positions, one to a pixel or voxel of the exemplar. gray: of pictures, take the
    luminance; a solid of one channel goes into the formats of volumes. others: run, origin,
    callback and download, as for `stylize`. Beside the network's style layers, where none are
    given, the values themselves are compared: a network hardly sees the color of single positions.
    Raises ConfigError for a size of other dimensions, and as `stylize` does.
    """
    preset = PRESETS_BY_DIMS.get(len(size), "texture3d")
    config = config or PRESETS[preset]
    asked = replace(config, schedule=replace(config.schedule, size=size))
    origin = others.pop("origin", None) or origin_of(
        None, styles, asked, preset=preset, texture=True, gray=gray
    )
    content, samples, config = texture_inputs(styles, size, config, gray=gray)
    return stylize(content, samples, config, origin=origin, **others)


def texture_inputs(
    styles: SampleLike | Sequence[SampleLike],
    size: tuple[int, ...],
    config: Config,
    *,
    gray: bool,
) -> tuple[Sample, list[Sample], Config]:
    """What `stylize` is given for a texture: a content, the styles, the settings."""
    things, shares = shared_out(styles, config.objective)
    samples = [_exemplar(media.as_sample(thing), len(size), gray) for thing in things]
    content, config = _blank(samples[0], size, config)
    objective = replace(config.objective, style_weights=tuple(shares))
    if not objective.style_layers:
        layers = config.completed(content.dims, len(content.data)).objective.style_layers
        objective = replace(objective, style_layers=((INPUT, 0.2), *layers))
    schedule = replace(config.schedule, size=(0,))
    return content, samples, replace(config, objective=objective, schedule=schedule)


def _exemplar(sample: Sample, dims: int, gray: bool) -> Sample:
    """A style that keeps its size, whatever that of the result."""
    if isinstance(sample, Picture) and dims == 3:
        return as_plane(sample, 1 if gray else 3)
    return Sample(sample.data, sample.value_range) if isinstance(sample, Picture) else sample


def _blank(style: Sample, size: tuple[int, ...], config: Config) -> tuple[Sample, Config]:
    """A content of that size, of which only the kind matters, and its settings."""
    if len(size) != style.dims or min(size) < 1:
        raise ConfigError(
            subject="--size",
            expected="two numbers for a picture, or three for a solid, from 1 up",
            found=" ".join(map(str, size)),
            remedy="give for example --size 128 128 128",
        )
    shape = (len(style.data), *size)
    if not isinstance(style, Volume):
        if style.value_range is None:
            raise SampleError(
                expected="a picture or a volume as the exemplar",
                found=type(style).__name__,
                remedy="convert it to one of those",
            )
        return Sample(np.full(shape, 0.5, np.float32), style.value_range), config
    low, high = window_of(config.volume.window, style)
    window = (f"{(low + high) / 2!r}", f"{high - low!r}")
    content = Volume(
        np.full(shape, (low + high) / 2, np.float32),
        affine=np.diag([*style.spacing, 1.0]),
        unit="HU" if in_hounsfield(style) else style.unit,
        dtype=style.dtype,
        slope=style.slope,
        intercept=style.intercept,
    )
    return content, replace(config, volume=replace(config.volume, window=window))
