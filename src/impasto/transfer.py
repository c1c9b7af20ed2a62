"""stylize: from a content and its styles to the sample that minimizes J, coarse to fine."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from jaxtyping import Float
from torch import Tensor

from impasto import media, optimizers
from impasto.config import PRESETS, Config
from impasto.errors import MemoryLimitError, SampleError, about
from impasto.geometry import Space, coarse_to_fine, scaled_space
from impasto.gradient import Evaluation, value_and_grad
from impasto.media.sample import Sample
from impasto.networks import Network, Report, open_network
from impasto.objective import Objective, build_objective
from impasto.resample import resample
from impasto.version import __version__

SampleLike = Any
"""A path, a Sample, a NumPy array, a tensor or a PIL picture: what media.as_sample takes."""

Values = Float[Tensor, "1 channel *space"]

_BYTES_PER_FLOAT = 8
"""Memory of an evaluation over the floats that its layers produce, measured on VGG-19."""

_PROBE = (1024, 64, 16)
"""Positions along an axis of the small grid that those floats are counted on, in 1, 2, 3-D."""


@dataclass(frozen=True)
class Progress:
    """One step of a run.

    scale, scales: which grid of how many, from 1. space: that grid. step, steps: which step of
    how many over the whole run, from 1. value: J at g, the G of this step, shape
    (1, channel, *space). terms: the content, style and tv parts, which add up to J. seconds:
    since the run began. note: what a user should know of the step, otherwise empty. sample: makes
    the sample as it would be saved now, at this scale.
    """

    scale: int
    scales: int
    space: Space
    step: int
    steps: int
    value: float
    terms: dict[str, float]
    seconds: float
    note: str
    g: Values = field(repr=False)
    sample: Callable[[], Sample] = field(repr=False)


Callback = Callable[[Progress], None]


@dataclass(frozen=True)
class Result:
    """What a run came to.

    sample: G, with the content's metadata. value, terms: J of that very sample, at the last scale
    reached, and its parts. seconds: the run's time. timings: where it went, in order, the parts
    adding up to it. finished: False when it was interrupted. recipe: the settings, as kept in the
    saved file's metadata.
    """

    sample: Sample
    value: float
    terms: dict[str, float]
    seconds: float
    timings: dict[str, float]
    finished: bool
    recipe: dict[str, Any]

    def save(self, path: str | Path) -> None:
        """Writes the sample, the format chosen by the suffix; the file is whole or not there.

        Raises OutputError when it cannot be written.
        """
        media.save(self.sample, Path(path), json.dumps(self.recipe))

    def numpy(self) -> np.ndarray:
        """The values, channels last as pictures are in NumPy: float32 (*space, channel)."""
        return np.moveaxis(self.sample.data, 0, -1)

    def tensor(self) -> Float[Tensor, "channel *space"]:
        """The values, channels first: float32 (channel, *space)."""
        return torch.from_numpy(self.sample.data)


def stylize(
    content: SampleLike,
    styles: SampleLike | Sequence[SampleLike],
    config: Config | None = None,
    *,
    callback: Callback | None = None,
    download: Report | None = None,
) -> Result:
    """The sample G that minimizes J(G): the content of one sample in the style of others.

    content, styles: paths, Samples, NumPy pictures (height, width[, channel]), tensors
    (channel, height, width) with values in [0, 1], or PIL pictures; one style or several.
    callback: called at every step. download: called with the bytes done and in all while weights
    are fetched. Ctrl-C ends the run early: what it has is returned, with `finished` False.

    Raises InputError for what cannot be used, NumericalError when J stays non-finite.
    """
    watch = _Stopwatch()
    config = config or PRESETS["standard"]
    content = _sample(content, "content", config.schedule.size)
    config = config.completed(content.dims, len(content.data))
    styles = _styles(styles, content, config)
    network = _network(config, content, download)
    units = _Units.of(content)
    grids = _grids(config, network, content, styles)
    g = _initial(config, units, grids[0][0])
    watch.lap("load")
    steps = sum(steps for _, steps in grids)
    latest: tuple[Objective, Values] | None = None
    finished = True
    done = 0
    try:
        for scale, (space, count) in enumerate(grids, start=1):
            factor = max(space) / max(content.space)
            name = " x ".join(map(str, space))
            objective = build_objective(
                units.values(content, space),
                [units.values(style, scaled_space(style.space, factor)) for style in styles],
                network,
                config.objective,
            )
            g = units.clipped(resample(g, space))
            watch.lap(f"targets {name}")
            loop = _optimizer(config, objective, g, units)
            for step, average in _averaged(loop, count, config):
                g = average
                latest = (objective, g)
                done += 1
                if callback:
                    progress = Progress(
                        scale=scale,
                        scales=len(grids),
                        space=space,
                        step=done,
                        steps=steps,
                        value=step.evaluation.value,
                        terms=step.evaluation.terms,
                        seconds=watch.seconds,
                        note=step.note,
                        g=step.sample.clone(),
                        sample=partial(units.sample, g),
                    )
                    callback(progress)
            # L-BFGS may end a scale early, even before its first step: where G is optimal already.
            latest = (objective, g)
            done = sum(count for _, count in grids[:scale])
            watch.lap(f"steps {name}")
    except KeyboardInterrupt:
        if latest is None:
            raise
        finished = False
    assert latest is not None
    objective, g = latest
    evaluation = value_and_grad(objective, units.clipped(g))
    recipe = {
        "impasto": __version__,
        "config": asdict(config),
        "value": evaluation.value,
        "steps": done,
        "finished": finished,
    }
    sample = units.sample(resample(g, content.space))
    watch.lap("result")
    return Result(
        sample=sample,
        value=evaluation.value,
        terms=evaluation.terms,
        seconds=sum(watch.laps.values()),
        timings=watch.laps,
        finished=finished,
        recipe=recipe,
    )


class _Stopwatch:
    """Seconds since it was made, and those of each lap by its name."""

    def __init__(self) -> None:
        self.began = self.last = time.perf_counter()
        self.laps: dict[str, float] = {}

    @property
    def seconds(self) -> float:
        return time.perf_counter() - self.began

    def lap(self, name: str) -> None:
        now = time.perf_counter()
        self.laps[name] = now - self.last
        self.last = now


def _sample(thing: SampleLike, role: str, size: Space) -> Sample:
    """Any of the accepted kinds as a Sample; errors say which one it was."""
    with about(str(thing) if isinstance(thing, str | Path) else role):
        return media.as_sample(thing, size)


def _styles(
    styles: SampleLike | Sequence[SampleLike], content: Sample, config: Config
) -> list[Sample]:
    """The styles at the content's scale: the same long side, or the same exact grid."""
    size = config.schedule.size if len(config.schedule.size) > 1 else (max(content.space),)
    things = styles if isinstance(styles, list | tuple) else [styles]
    config.objective.style_shares(len(things))
    samples = []
    for number, thing in enumerate(things, start=1):
        role = f"style {number}"
        sample = _sample(thing, role, size)
        if (sample.dims, len(sample.data)) != (content.dims, len(content.data)):
            raise SampleError(
                subject=role,
                expected=f"{len(content.data)} channels over {content.dims} axes, as the content",
                found=f"{len(sample.data)} over {sample.dims}",
                remedy="pass a content and styles of the same kind",
            )
        samples.append(sample)
    return samples


def _network(config: Config, content: Sample, download: Report | None) -> Network:
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
        report=download or (lambda done, total: None),
    )
    network.autocast = _bfloat16(config.engine.precision, settings.network)
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
        if network == "filterbank":  # no faster, and rough on signals and volumes
            return False
        capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
        return bool(capabilities.get("avx512_bf16"))
    return precision == "bf16"


def _grids(
    config: Config, network: Network, content: Sample, styles: Sequence[Sample]
) -> list[tuple[Space, int]]:
    """The grids of the run, coarse to fine, and the steps on each.

    Scales too small for the network are left out. Raises SampleError when even the last one is,
    MemoryLimitError when it does not fit in the free memory.
    """
    layers = config.objective.layers
    smallest = network.smallest_side(layers)
    for sample, role in ((content, "content"), *((style, "style") for style in styles)):
        if min(sample.space) < smallest:
            raise SampleError(
                subject=role,
                expected=f"at least {smallest} positions along each axis for {network.name}",
                found=" x ".join(map(str, sample.space)),
                remedy="pass a larger sample or --size, or shallower layers",
            )
    probe = (max(smallest, _PROBE[network.dims - 1]),) * network.dims
    floats = network.floats(probe, layers) * prod(content.space) / prod(probe)
    needed = floats * _BYTES_PER_FLOAT
    free = psutil.virtual_memory().available
    if needed > free:
        raise MemoryLimitError(
            subject="--size",
            expected=f"about {needed / 1e9:.1f} GB of memory for {content.space}",
            found=f"{free / 1e9:.1f} GB free",
            remedy="pass a smaller --size",
        )
    shortest = min(min(sample.space) / max(content.space) for sample in (content, *styles))
    spaces = [
        space
        for space in coarse_to_fine(content.space, config.schedule.coarsest or max(content.space))
        if max(space) * shortest >= smallest - 1e-6
    ]
    return [
        (space, config.schedule.steps_at(index, len(spaces))) for index, space in enumerate(spaces)
    ]


@dataclass(frozen=True)
class _Units:
    """What the network is given: values in [0, 1], about.

    content: whose kind and metadata the result has. low, span: value = low + span * G. A range
    becomes [0, 1]; where there is none, each channel's mean becomes 1/2 and the three deviations
    to either side 0 and 1, the content's for the styles too, so that units stay comparable.
    """

    content: Sample
    low: Tensor
    span: Tensor

    @classmethod
    def of(cls, content: Sample) -> _Units:
        """The units for a content."""
        if content.value_range:
            low, high = map(torch.tensor, content.value_range)
            return cls(content, low, high - low)
        axes = tuple(range(1, content.data.ndim))
        mean = torch.from_numpy(content.data.mean(axes, keepdims=True))
        deviation = torch.from_numpy(content.data.std(axes, keepdims=True))
        span = 6 * torch.where(deviation > 0, deviation, 1.0)
        return cls(content, mean - span / 2, span)

    def values(self, sample: Sample, space: Space) -> Values:
        """The sample's values over a grid."""
        g = (torch.from_numpy(sample.data) - self.low) / self.span
        return self.clipped(resample(g[None], space))

    def clipped(self, g: Values) -> Values:
        """G inside the content's range, where it has one."""
        return g.clamp(0, 1) if self.content.value_range else g

    def sample(self, g: Values) -> Sample:
        """G as a sample of the content's kind, with its metadata."""
        data = self.low + self.span * self.clipped(g)[0]
        return self.content.with_data(data.contiguous().numpy())


def _initial(config: Config, units: _Units, space: Space) -> Values:
    """What G starts as, on the coarsest grid."""
    content, init = units.content, config.schedule.init
    if init == "content":
        return units.values(content, space)
    if init != "noise":
        start = _sample(init, "init", content.space)
        if start.data.shape != content.data.shape:
            raise SampleError(
                subject=init,
                expected=f"{content.data.shape}, the content's channels and grid",
                found=f"{start.data.shape}",
                remedy="pass a sample of the content's kind and size",
            )
        return units.values(start, space)
    generator = torch.Generator().manual_seed(config.schedule.seed)
    shape = (1, len(content.data), *space)
    if content.value_range:
        return torch.rand(shape, generator=generator)
    return 0.5 + torch.randn(shape, generator=generator) / 6


def _optimizer(
    config: Config, objective: Objective, g: Values, units: _Units
) -> Iterator[optimizers.Step[Evaluation]]:
    """The configured loop on J from g."""
    settings = config.optimizer
    evaluate = partial(value_and_grad, objective)
    rate = settings.learning_rate
    clip = settings.clip and units.content.value_range
    project = partial(torch.clamp, min=0, max=1) if clip else optimizers.identity
    match settings.optimizer:
        case "adam":
            return optimizers.adam(evaluate, g, learning_rate=rate, project=project)
        case "lbfgs":
            return optimizers.lbfgs(evaluate, g, learning_rate=rate, project=project)
        case "gradient-descent":
            return optimizers.gradient_descent(evaluate, g, learning_rate=rate, project=project)


def _averaged(
    steps: Iterator[optimizers.Step[Evaluation]], count: int, config: Config
) -> Iterator[tuple[optimizers.Step[Evaluation], Values]]:
    """The first `count` steps, each with the running average of G after it.

    Adam circles its goal, the average sits in it; the other two go down and are not averaged. A
    step into what is not finite, from which the optimizer will retreat, is left out.
    """
    decay = config.schedule.average if config.optimizer.optimizer == "adam" else 0.0
    total, weight = None, 0.0
    for step in islice(steps, count):
        x = step.state.x if step.state.x.isfinite().all() else step.sample
        total = x * (1 - decay) if total is None else torch.lerp(x, total, decay)
        weight = decay * weight + 1 - decay
        yield step, total / weight
