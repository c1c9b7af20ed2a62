"""texture: a picture or a solid that looks like an exemplar everywhere, out of noise."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from impasto import media
from impasto.config.config import Config
from impasto.config.presets import PRESETS
from impasto.errors import ConfigError
from impasto.kinds import kind_of
from impasto.media.sample import Sample
from impasto.networks.stage import INPUT
from impasto.runs.origin import origin_of
from impasto.transfer.opening import SampleLike, split_shares
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
    things, shares = split_shares(styles, config.objective)
    exemplars = [media.as_sample(thing) for thing in things]
    samples = [kind_of(each).exemplar(each, len(size), gray) for each in exemplars]
    if len(size) != samples[0].dims or min(size) < 1:
        raise ConfigError(
            subject="--size",
            expected="two numbers for a picture, or three for a solid, from 1 up",
            found=" ".join(map(str, size)),
            remedy="give for example --size 128 128 128",
        )
    content, config = kind_of(samples[0]).blank(samples[0], size, config)
    objective = replace(config.objective, style_weights=tuple(shares))
    if not objective.style_layers:
        layers = config.complete(content.dims, len(content.data)).objective.style_layers
        objective = replace(objective, style_layers=((INPUT, 0.2), *layers))
    schedule = replace(config.schedule, size=(0,))
    return content, samples, replace(config, objective=objective, schedule=schedule)
