"""The first G of a run: the content, noise, a file, a filtered content, or one pass's result."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import partial
from pathlib import Path

import torch
from torch import Tensor

from impasto.config.config import Config
from impasto.errors import ConfigError, SampleError, about
from impasto.grids.geometry import Space
from impasto.grids.patch import Values
from impasto.instant.decoder import EMBEDDED, load_decoder
from impasto.instant.encoder import encoder
from impasto.instant.instant import Goal, Instant
from impasto.instant.statistics import Statistics
from impasto.kinds import Kind
from impasto.kinds.units import weights_over
from impasto.media.sample import Sample
from impasto.optimizers.loop import Precondition
from impasto.transfer.opening import open_sample
from impasto.transfer.setup import FOR_ARRAYS, Setup


def settle_start(kind: Kind, content: Sample, styles: Sequence[Sample], config: Config) -> Config:
    """Returns the settings with the start that `auto` stands for.

    Raises:
        ConfigError: the content cannot be made in one pass, and the settings ask for that.
    """
    init, first = config.schedule.init, kind.first(content, styles)
    if init == "auto":
        return replace(config, schedule=replace(config.schedule, init=first))
    if init == "instant" != first:
        raise ConfigError(
            subject="--init instant",
            expected="a picture as the content",
            found="another kind of sample",
            remedy="pass --init content or noise, and a preset of that kind",
        )
    return config


def first_g(setup: Setup, space: Space) -> Values:
    """Makes the first G, on the grid of the first scale.

    Raises:
        SampleError: the sample from the file does not have the content's channels and grid.
        WeightsError: the decoder's file cannot be read.
    """
    units, styles = setup.units, _styles(setup)[0]
    init = settle_start(setup.kind, units.content, styles, setup.config).schedule.init
    if init == "content":
        return units.values(units.content, space, setup.arrays.new)
    if init == "noise":
        return _noise(setup, space)
    if init == "instant":
        return one_pass(setup, space)
    content = units.content
    if init == "linear":
        if not setup.kind.filters_content:
            content = setup.kind.linear(content, *_styles(setup), setup.config.amount)
        return units.values(content, space, setup.arrays.new)
    start = open_sample(init, "init", content.space, setup.arrays)
    with about(init):
        start = setup.kind.start(start, content)
    if start.data.shape != content.data.shape:
        raise SampleError(
            subject=init,
            expected=f"{content.data.shape}, the content's channels and grid",
            found=f"{start.data.shape}",
            remedy="pass a sample of the content's kind and size",
        )
    return units.values(start, space, setup.arrays.new)


def finished(setup: Setup, g: Values) -> Values:
    """Gives G, after its last step, the statistics again that the start has by filters."""
    units, space = setup.units, tuple(g.shape[2:])
    if setup.config.schedule.init != "linear" or space != units.content.space:
        return g
    sample = units.sample(g, setup.arrays)
    sample = setup.kind.finish(sample, units.content, *_styles(setup), setup.config.amount)
    return units.values(sample, space, setup.arrays.new)


def coordinates(setup: Setup, space: Space) -> Precondition | None:
    """Returns the matrix of Adam's steps on a grid, for the whole of G."""
    if setup.config.schedule.init != "linear":
        return None
    return setup.kind.coordinates(*_styles(setup), space[0] / setup.units.content.space[0])


def _styles(setup: Setup) -> tuple[list[Sample], tuple[float, ...]]:
    """The styles and the share of each; a folder's pictures have divided its share."""
    samples = [style.sample for style in setup.styles]
    return samples, tuple(guide.share for guide in setup.guides)


def _noise(setup: Setup, space: Space) -> Values:
    """Draws noise in memory, so that each device gets the same numbers."""
    units, arrays = setup.units, setup.arrays
    generator = torch.Generator().manual_seed(setup.config.schedule.seed)
    noise = arrays.in_memory((1, len(units.content.data), *space), torch.float32)
    if units.limited:
        noise.uniform_(generator=generator)
    else:
        noise.normal_(generator=generator).div_(6).add_(0.5)
    if arrays.device.type == "cpu":
        return noise
    return arrays.new(tuple(noise.shape), noise.dtype).copy_(noise)


def one_pass(setup: Setup, space: Space) -> Values:
    """Makes G in one pass: encode, transport, decode.

    The transport goes `Config.amount` of the way from the content's statistics to the style's.
    """
    config, new = setup.config, setup.arrays.new
    instant = setup.networks.get(
        ("instant", config.schedule.decoder, setup.device), partial(_instant, setup)
    )
    content = setup.units.values(setup.units.content, space, new)
    goals = _goals(setup, space, instant)
    return instant.render(content, goals, config.amount, _for_tiles(setup), new)


def _for_tiles(setup: Setup) -> float:
    """The bytes that a tile may take, beside the arrays of the run."""
    return (1 - FOR_ARRAYS) * setup.memory


def _instant(setup: Setup) -> Instant:
    """Opens the decoder and the encoder on the device."""
    decoder = load_decoder(Path(setup.config.schedule.decoder or EMBEDDED))
    return Instant(decoder.to(setup.device), encoder().to(setup.device))


def _statistics(
    setup: Setup, instant: Instant, style: Sample, values: Values, source: Tensor | None
) -> Statistics:
    """Measures a style, once for all contents that leave it as it was opened."""

    def measured() -> tuple[Sample, Statistics]:  # the sample is kept, so that its id stays its own
        return style, instant.statistics(values, source, _for_tiles(setup), setup.arrays.new)

    if source is not None or not setup.kept.holds(style):
        return measured()[1]
    return setup.kept.get(("statistics", id(style), tuple(values.shape)), measured)[1]


def _goals(setup: Setup, space: Space, instant: Instant) -> list[Goal]:
    """Returns the styles of each place of G; guides for the same place share it."""
    places: dict[int, Tensor | None] = {}
    found: dict[int, list[tuple[float, Statistics]]] = {}
    for guide in setup.guides:
        key = id(guide.place)
        if key not in places:
            places[key] = None
            if guide.place is not None:
                places[key] = weights_over(guide.place, space, setup.device)[0, 0]
            found[key] = []
        style = setup.styles[guide.style]
        values = setup.style_values(style, space)
        counts = style.sample.weight if guide.source is None else guide.source
        source = None
        if counts is not None:
            source = weights_over(counts, tuple(values.shape[2:]), setup.device)[0, 0]
        statistics = _statistics(setup, instant, style.sample, values, source)
        found[key].append((guide.share, statistics))
    goals = []
    for key, place in places.items():
        shares, styles = zip(*found[key], strict=True)
        goals.append(Goal(styles, shares, place))
    return goals
