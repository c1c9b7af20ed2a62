"""`texture`: make a picture or a solid that looks like an exemplar everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from impasto import media
from impasto.config.config import Config
from impasto.config.presets import PRESETS
from impasto.errors import ConfigError
from impasto.grids.geometry import Space
from impasto.kinds import kind_of
from impasto.media.sample import Sample
from impasto.networks import Report
from impasto.networks.stage import INPUT
from impasto.runs.origin import Origin, origin_of
from impasto.transfer.descent import Callback
from impasto.transfer.opening import SampleLike, list_styles, split_shares
from impasto.transfer.stylize import Result, stylize

PRESETS_BY_DIMS = {2: "texture", 3: "texture3d"}
"""The preset of a texture, by its number of dimensions."""


def texture(
    styles: SampleLike | Sequence[SampleLike],
    size: tuple[int, ...],
    config: Config | None = None,
    *,
    gray: bool = False,
    run: str | Path | None = None,
    origin: Origin | None = None,
    callback: Callback | None = None,
    download: Report | None = None,
) -> Result:
    """Makes a sample that has the texture of one or more exemplars everywhere.

    Gatys, Ecker and Bethge 2015, "Texture synthesis using convolutional neural networks". In a
    solid, the slices across each axis look like the exemplar, as in Kopf et al. 2007 and Gutierrez
    et al. 2020. If no style layers are given, the values themselves are a style layer beside those
    of the network, because a network hardly responds to the color of single positions.

    Args:
        styles: one exemplar or several, as for `stylize`: pictures, folders of pictures or volumes.
        size: height and width, or x, y and z, in pixels or voxels of the exemplar.
        config: the settings; None takes the preset "texture" for a picture and "texture3d" for a
            solid.
        gray: makes a solid of one channel from the luminance of pictures, as the file formats of
            volumes need.
        run: a folder for checkpoints, as for `stylize`.
        origin: what the run folder records as the origin of the run, as for `stylize`.
        callback: called after each step, as for `stylize`.
        download: called while weights are downloaded, as for `stylize`.

    Returns:
        The texture, with J, as from `stylize`.

    Raises:
        ConfigError: the size does not have two or three sides of at least 1.
        InputError: an exemplar or a setting cannot be used; and all that `stylize` raises.

    Example:
        >>> import impasto
        >>> import numpy as np
        >>> exemplar = np.random.default_rng(0).random((48, 48, 3))
        >>> config = impasto.configure("texture", steps=2)
        >>> impasto.texture(exemplar, (32, 40), config).numpy().shape
        (32, 40, 3)
    """
    preset = PRESETS_BY_DIMS.get(len(size), "texture3d")
    config = config or PRESETS[preset]
    requested = replace(config, schedule=replace(config.schedule, size=size))
    origin = origin or origin_of(None, styles, requested, preset=preset, texture=True, gray=gray)
    content, samples, config = texture_inputs(styles, size, config, gray=gray)
    return stylize(
        content, samples, config, run=run, origin=origin, callback=callback, download=download
    )


def texture_inputs(
    styles: SampleLike | Sequence[SampleLike],
    size: tuple[int, ...],
    config: Config,
    *,
    gray: bool,
) -> tuple[Sample, list[Sample], Config]:
    """Returns the content, the styles and the settings with which `stylize` makes a texture.

    The arguments are those of `texture`.
    """
    check_size(size)
    things, shares = split_shares(list_styles(styles), config.objective)
    exemplars = [media.as_sample(thing) for thing in things]
    samples = [kind_of(each).exemplar(each, len(size), gray) for each in exemplars]
    if len(size) != samples[0].dims:
        raise _bad_size(size)
    content, config = kind_of(samples[0]).blank(samples[0], size, config)
    objective = replace(config.objective, style_weights=tuple(shares))
    if not objective.style_layers:
        layers = config.complete(content.dims, len(content.data)).objective.style_layers
        objective = replace(objective, style_layers=((INPUT, 0.2), *layers))
    schedule = replace(config.schedule, size=(0,))
    return content, samples, replace(config, objective=objective, schedule=schedule)


def check_size(size: Space) -> None:
    """Checks the size of a texture, whatever the exemplar is.

    Raises:
        ConfigError: the size has neither two numbers nor three, or one that is below 1.
    """
    if len(size) not in {2, 3} or min(size) < 1:
        raise _bad_size(size)


def _bad_size(size: Space) -> ConfigError:
    return ConfigError(
        subject="--size",
        expected="two numbers for a picture or three for a solid, each at least 1",
        found=" ".join(map(str, size)),
        remedy="give for example --size 256 256, or --size 128 128 128",
    )
