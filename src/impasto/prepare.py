"""What a run needs before its first step: samples, their units, the network, the grids."""

from __future__ import annotations

import math
import os
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from jaxtyping import Float
from torch import Tensor

from impasto import media
from impasto.arrays import Arrays
from impasto.config import Config
from impasto.errors import ConfigError, SampleError, about
from impasto.geometry import Space, coarse_to_fine, scaled_space
from impasto.media.blocks import blocks
from impasto.media.sample import Sample
from impasto.networks import Network, Report, open_network
from impasto.patch import Allocate, allocate
from impasto.resample import resample
from impasto.signals import alike, check_varies, part

SampleLike = Any
"""A path, a Sample, a NumPy array, a tensor or a PIL picture: what media.as_sample takes."""

Values = Float[Tensor, "1 channel *space"]

RATE = 360.0
"""Positions a second of signals whose file gives no rate: that of many an ECG."""


def open_sample(thing: SampleLike, role: str, size: Space, arrays: Arrays) -> Sample:
    """Any of the accepted kinds as a Sample; errors say which one it was."""
    with about(str(thing) if isinstance(thing, str | Path) else role):
        return media.as_sample(thing, size, new=arrays.numpy)


def rate_of(sample: Sample) -> float:
    """Positions a second of a signal."""
    return sample.rate if isinstance(sample, media.Signal) else RATE


def content_size(content: SampleLike, config: Config) -> Space:
    """The size to open the content at."""
    return config.schedule.size or ((512,) if media.is_picture(content) else (0,))


def open_styles(
    styles: SampleLike | Sequence[SampleLike], content: Sample, config: Config, arrays: Arrays
) -> list[Sample]:
    """The styles at the content's scale: the same long side, or the same exact grid.

    A style with fewer pixels stays as it is.
    """
    things = styles if isinstance(styles, list | tuple) else [styles]
    config.objective.style_shares(len(things))
    samples = []
    for number, thing in enumerate(things, start=1):
        role = f"style {number}"
        sample = open_sample(thing, role, _style_size(thing, role, content, config), arrays)
        if isinstance(sample, media.Signal) and isinstance(content, media.Signal):
            with about(role):
                signal = part(sample, config.signal.style_leads, config.signal.style_span)
                sample = alike(signal, content)
                if config.objective.statistics:
                    check_varies(sample)
        if (sample.dims, len(sample.data)) != (content.dims, len(content.data)):
            raise SampleError(
                subject=role,
                expected=f"{len(content.data)} channels over {content.dims} axes, as the content",
                found=f"{len(sample.data)} over {sample.dims}",
                remedy="pass a content and styles of the same kind",
            )
        samples.append(sample)
    return samples


def _style_size(thing: SampleLike, role: str, content: Sample, config: Config) -> Space:
    """The size to open a style at."""
    if len(config.schedule.size) > 1:
        return config.schedule.size
    if not media.is_picture(thing):
        return (0,)
    path = isinstance(thing, str | Path)
    with about(str(thing) if path else role):
        own = media.grid(thing)[1] if path else media.as_sample(thing).space
    return (min(max(own), max(content.space)),)


def configured_network(config: Config, content: Sample, download: Report | None) -> Network:
    """The configured network, for samples like the content."""
    settings = config.network
    network = open_network(
        settings.network,
        dims=content.dims,
        channels=len(content.data),
        weights=Path(settings.weights) if settings.weights else None,
        values=settings.weights_input,
        padding=settings.padding,
        pooling=settings.pooling,
        offline=settings.offline,
        seed=config.schedule.seed,
        rate=rate_of(content),
        widths=settings.widths,
        layers=config.objective.layers,
        report=download or (lambda done, total: None),
    )
    if _bfloat16(config.engine.precision, settings.network):
        network.in_bfloat16()
    for flag, layers in (
        ("--content-layers", config.objective.content_layers),
        ("--style-layers", dict(config.objective.style_layers)),
    ):
        with about(flag):
            network.check(layers)
    return network


def _bfloat16(precision: str, network: str) -> bool:
    """Whether that precision means bfloat16, for that network on this machine."""
    if precision == "auto":
        if network == "filterbank" or ":" in network:  # no faster; rough on signals and volumes
            return False
        capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
        return bool(capabilities.get("avx512_bf16"))
    return precision == "bf16"


def grids(
    config: Config, network: Network, content: Sample, styles: Sequence[Sample]
) -> list[tuple[Space, int]]:
    """The grids of the run, coarse to fine, and the steps on each.

    Scales too small for the network are left out. Raises SampleError when even the last one is.
    """
    smallest = network.smallest_side(config.objective.layers)
    for sample, role in ((content, "content"), *((style, "style") for style in styles)):
        if min(sample.space) < smallest:
            raise SampleError(
                subject=role,
                expected=f"at least {smallest} positions along each axis for {network.name}",
                found=" x ".join(map(str, sample.space)),
                remedy="pass a larger sample or --size, or shallower layers",
            )
    spaces = [
        space
        for space in coarse_to_fine(content.space, config.schedule.coarsest or max(content.space))
        if min(map(min, (space, *style_spaces(content, styles, space)))) >= smallest
    ]
    return [
        (space, config.schedule.steps_at(index, len(spaces))) for index, space in enumerate(spaces)
    ]


def style_spaces(content: Sample, styles: Sequence[Sample], space: Space) -> list[Space]:
    """The grids of the styles for a scale of the content.

    Pictures have the scale's long side, but are never enlarged: their blur, and the blocks of
    their JPEG, would be the texture. Anything else is scaled as the content is.
    """
    if isinstance(content, media.Picture):
        sides = [min(max(space), max(style.space)) for style in styles]
        return [
            scaled_space(style.space, side / max(style.space))
            for style, side in zip(styles, sides, strict=True)
        ]
    factor = max(space) / max(content.space)
    return [scaled_space(style.space, factor) for style in styles]


def memory_limit(setting: str) -> float:
    """Bytes that the process may come to hold: "4GB", "500 MB"; "auto": most of what is free,
    in equal parts for the processes that torchrun started on this machine.

    Raises ConfigError when the setting is neither.
    """
    if setting == "auto":
        free: float = psutil.virtual_memory().available
        return _held() + 0.8 * free / int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([KMGT]?)B?\s*", setting, re.IGNORECASE)
    if not found or not float(found[1]):
        raise ConfigError(
            subject="--memory",
            expected="auto or an amount of memory",
            found=repr(setting),
            remedy="give for example --memory 4GB",
        )
    return float(found[1]) * 1000.0 ** " KMGT".index(found[2].upper() or " ")


def memory_left(limit: float) -> float:
    """Bytes that may still be taken."""
    return limit - _held()


def _held() -> int:
    memory = psutil.Process().memory_info()
    # Pages of files, those of Arrays among them, are not held: the system takes them back.
    held: int = memory.rss - getattr(memory, "shared", 0)
    return held


@dataclass(frozen=True)
class Units:
    """What the network is given: values in [0, 1], about.

    content: whose kind and metadata the result has. low, span: value = low + span * G, of each
    channel. A range becomes [0, 1]; where there is none, each channel's mean becomes 1/2 and the
    three deviations to either side 0 and 1, the content's for the styles too, so that units stay
    comparable.
    """

    content: Sample
    low: tuple[float, ...]
    span: tuple[float, ...]

    @classmethod
    def of(cls, content: Sample) -> Units:
        """The units for a content."""
        channels = len(content.data)
        if content.value_range:
            low, high = content.value_range
            return cls(content, (low,) * channels, (high - low,) * channels)
        moments = [_mean_and_deviation(plane) for plane in content.data]
        spans = [6 * (deviation or 1.0) for _, deviation in moments]
        lows = [mean - span / 2 for (mean, _), span in zip(moments, spans, strict=True)]
        return cls(content, tuple(lows), tuple(spans))

    def values(self, sample: Sample, space: Space, new: Allocate = allocate) -> Values:
        """The sample's values over a grid, in an array that `new` makes."""
        values = new((1, len(sample.data), *space), torch.float32)
        for channel, (low, span) in enumerate(zip(self.low, self.span, strict=True)):
            plane = torch.from_numpy(sample.data[channel])[None, None]
            target = values[:, channel : channel + 1]
            target.copy_(resample(plane, space)).sub_(low).div_(span)  # no copies: it may be large
            if self.content.value_range:
                target.clamp_(0, 1)
        return values

    def over(
        self, g: Values, space: Space, new: Allocate = allocate
    ) -> Float[Tensor, "1 channel *other"]:
        """G over another grid; itself over its own."""
        if tuple(g.shape[2:]) == space:
            return g
        values = new((1, g.shape[1], *space), g.dtype)
        for channel in range(g.shape[1]):
            plane = slice(channel, channel + 1)
            values[:, plane] = self.clipped(resample(g[:, plane], space))
        return values

    def clipped(self, g: Tensor) -> Tensor:
        """G inside the content's range, where it has one."""
        return g.clamp(0, 1) if self.content.value_range else g

    def sample(self, g: Values, arrays: Arrays) -> Sample:
        """G as a sample of the content's kind, with its metadata."""
        data = arrays.numpy(tuple(g.shape[1:]))
        for channel, (low, span) in enumerate(zip(self.low, self.span, strict=True)):
            data[channel] = (low + span * self.clipped(g[0, channel])).numpy()
        return self.content.with_data(data)


def _mean_and_deviation(plane: np.ndarray) -> tuple[float, float]:
    """In float64, without an array of them: the plane may be large."""
    mean = float(plane.mean(dtype=np.float64))
    squares = 0.0
    for block in blocks(plane.shape):
        centered = np.subtract(plane[block], mean, dtype=np.float64).ravel()
        squares += float(centered @ centered)
    return mean, math.sqrt(squares / plane.size)


def initial(config: Config, units: Units, space: Space, arrays: Arrays) -> Values:
    """What G starts as, on the coarsest grid."""
    content, init = units.content, config.schedule.init
    if init == "content":
        return units.values(content, space, arrays.new)
    if init != "noise":
        start = open_sample(init, "init", content.space, arrays)
        if isinstance(start, media.Signal) and isinstance(content, media.Signal):
            with about(init):
                start = alike(start, content)
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
    if content.value_range:
        return noise.uniform_(generator=generator)
    return noise.normal_(generator=generator).div_(6).add_(0.5)
