"""The grids of a run, coarse to fine, and G on the first of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch

from impasto.config.config import Config
from impasto.errors import ConfigError, SampleError, about
from impasto.grids.arrays import Arrays
from impasto.grids.geometry import Space, coarse_to_fine
from impasto.grids.patch import Values
from impasto.kinds import Kind
from impasto.kinds.planes import check_filters, sides_of
from impasto.kinds.units import Units
from impasto.media.sample import Sample
from impasto.networks import Network
from impasto.transfer.network import check_sides
from impasto.transfer.opening import open_sample


def grids(
    config: Config, network: Network, kind: Kind, content: Sample, styles: Sequence[Sample]
) -> list[tuple[Space, int]]:
    """The grids of the run, coarse to fine, and the steps on each.

    Scales too small for the network are left out. Raises SampleError when even the last one is.
    """
    check_filters(styles, network)
    smallest = network.smallest_side(config.objective.layers)
    for sample, role in ((content, "content"), *((style, "style") for style in styles)):
        check_sides(network, config.objective.layers, sides_of(sample, sample.space), role)
    coarsest = config.schedule.coarsest or max(content.space)
    scale = config.schedule.style_scale
    spaces = [
        space
        for space in _tiling(coarse_to_fine(content.space, coarsest), config, network)
        if min(space) >= smallest
        and all(
            min(sides_of(style, kind.style_space(content, style, space, axis, scale))) >= smallest
            for style in styles
            for axis in range(content.dims)
        )
    ]
    return [(space, config.schedule.steps_at(index)) for index, space in enumerate(spaces)]


def _tiling(spaces: list[Space], config: Config, network: Network) -> list[Space]:
    """The grids, whose sides with periodic borders are multiples of the network's stride."""
    if config.network.padding != "periodic":
        return spaces
    stride = network.stride(config.objective.layers)
    if any(side % stride for side in spaces[-1]):
        raise ConfigError(
            subject="--size",
            expected=f"multiples of {stride} with periodic borders",
            found=" x ".join(map(str, spaces[-1])),
            remedy="pass such a size, or another --padding",
        )
    rounded = (tuple(stride * max(1, round(n / stride)) for n in space) for space in spaces)
    return list(dict.fromkeys(rounded))


def initial(config: Config, kind: Kind, units: Units, space: Space, arrays: Arrays) -> Values:
    """What G starts as, on the coarsest grid."""
    content, init = units.content, config.schedule.init
    if init == "content":
        return units.values(content, space, arrays.new)
    if init != "noise":
        start = open_sample(init, "init", content.space, arrays)
        with about(init):
            start = kind.start(start, content)
        if start.data.shape != content.data.shape:
            raise SampleError(
                subject=init,
                expected=f"{content.data.shape}, the content's channels and grid",
                found=f"{start.data.shape}",
                remedy="pass a sample of the content's kind and size",
            )
        return units.values(start, space, arrays.new)
    generator = torch.Generator().manual_seed(config.schedule.seed)
    noise = arrays.new((1, len(content.data), *space), torch.float32)
    if units.limited:
        return noise.uniform_(generator=generator)
    return noise.normal_(generator=generator).div_(6).add_(0.5)
