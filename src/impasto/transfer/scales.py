"""The grids of a run, from coarse to fine."""

from __future__ import annotations

import math
from collections.abc import Sequence

from impasto.config.config import Config
from impasto.errors import ConfigError
from impasto.grids.geometry import Space, coarse_to_fine
from impasto.kinds import Kind
from impasto.kinds.planes import check_filters, sides_of
from impasto.media.sample import Sample
from impasto.networks import Network
from impasto.transfer.network import check_sides


def grids(
    config: Config, network: Network, kind: Kind, content: Sample, styles: Sequence[Sample]
) -> list[tuple[Space, int]]:
    """Lists the grids of the run, from coarse to fine, each with its number of steps.

    Grids that are too small for the network are left out.

    Raises:
        ConfigError: the size does not fit periodic borders, or the network does not take slices.
        SampleError: even the finest grid is too small.
    """
    check_filters(styles, network)
    smallest = network.smallest_side(config.objective.layers)
    for sample, role in ((content, "content"), *((style, "style") for style in styles)):
        check_sides(network, config.objective.layers, sides_of(sample, sample.space), role)
    coarsest = config.schedule.coarsest or max(content.space)
    doubling = kind.fine_above if config.objective.coarse_share else math.inf
    scale = config.schedule.style_scale
    spaces = [
        space
        for space in _round_for_tiling(
            coarse_to_fine(content.space, coarsest, doubling), config, network
        )
        if min(sides_of(content, space)) >= smallest
        and all(
            min(sides_of(style, kind.style_space(content, style, space, axis, scale))) >= smallest
            for style in styles
            for axis in kind.axes(content)
        )
    ]
    finer = [round(2 * math.log2(max(space) / max(spaces[0]))) for space in spaces]
    steps = [config.schedule.steps_at(scale, finer[-1] + 1) for scale in finer]
    return list(zip(spaces, steps, strict=True))


def _round_for_tiling(spaces: list[Space], config: Config, network: Network) -> list[Space]:
    """Rounds the sides of the grids to multiples of the network's stride, for periodic borders.

    Raises ConfigError if the finest grid, which is the result, would have to be rounded.
    """
    if config.network.padding != "periodic":
        return spaces
    stride = network.stride(config.objective.layers)
    if any(side % stride for side in spaces[-1]):
        raise ConfigError(
            subject="--size",
            expected=f"multiples of {stride} with periodic borders",
            found=" x ".join(map(str, spaces[-1])),
            remedy="pass a --size of such sides, or another --padding",
        )
    rounded = (tuple(stride * max(1, round(n / stride)) for n in space) for space in spaces)
    return list(dict.fromkeys(rounded))
