"""stylize: from a content and its styles to the sample that minimizes J, coarse to fine."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass, field
from functools import partial
from itertools import islice
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from impasto import media, optimizers
from impasto.arrays import Arrays
from impasto.config import PRESETS, Config
from impasto.geometry import Region, Space, scaled_space
from impasto.gradient import Evaluation, terms_of, value_and_grad
from impasto.media.sample import Sample
from impasto.networks import Network, Report
from impasto.objective import Objective, build_objective
from impasto.parallel import ALONE, Group, agreed, current_group, gather
from impasto.patch import Patch
from impasto.plan import between, choose_plan
from impasto.prepare import (
    SampleLike,
    Units,
    Values,
    configured_network,
    grids,
    initial,
    memory_left,
    memory_limit,
    open_sample,
    open_styles,
)
from impasto.resample import Kernel, resample
from impasto.runs import Checkpoint, RunFolder, fingerprint
from impasto.version import __version__
from impasto.walk import Plan

_SHARED = 2**17
"""Positions from which on processes share a scale; below, talking takes longer than the work."""

_ARRAYS = {"adam": 8, "lbfgs": 30, "gradient-descent": 6}
"""Arrays of G's size in a run: those that the optimizer keeps, its gradient, the average, what a
scale starts from."""


@dataclass(frozen=True)
class Progress:
    """One step of a run.

    scale, scales: which grid of how many, from 1. space: that grid. step, steps: which step of
    how many over the whole run, from 1. value: J at g, the G of this step, shape
    (1, channel, *space). terms: the content, style and tv parts, which add up to J. seconds:
    since the run began. note: what a user should know of the step, otherwise empty. sample: makes
    the sample as it would be saved now, at this scale. Both g and sample are those of this step
    for as long as the callback runs; g is overwritten later.
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
    run: str | Path | None = None,
    callback: Callback | None = None,
    download: Report | None = None,
) -> Result:
    """The sample G that minimizes J(G): the content of one sample in the style of others.

    content, styles: paths, Samples, NumPy pictures (height, width[, channel]), tensors
    (channel, height, width) with values in [0, 1], or PIL pictures; one style or several.
    run: a folder for checkpoints; where it has some of the same run, that goes on from the last.
    callback: called at every step. download: called with the bytes done and in all while weights
    are fetched. Ctrl-C ends the run early: what it has is returned, with `finished` False.

    Started by torchrun, the processes share the sample; each calls this with the same arguments,
    and each gets the whole result.
    Raises InputError for what cannot be used, NumericalError when J stays non-finite.
    """
    watch = _Stopwatch()
    config = config or PRESETS["standard"]
    limit = memory_limit(config.engine.memory)
    content = open_sample(content, "content", config.schedule.size)
    config = config.completed(content.dims, len(content.data))
    styles = open_styles(styles, content, config)
    network = configured_network(config, content, download)
    scales = grids(config, network, content, styles)
    units = Units.of(content)
    engine = _Engine(config, network, units, styles, limit, current_group())
    folder, resumed = _run_folder(run, config, content, styles, engine.group)
    g = None if resumed else initial(config, units, scales[0][0])
    watch.lap("load")
    scale: _Scale | None = None
    done = 0
    finished = True
    try:
        for number, (space, count) in enumerate(scales, start=1):
            before = done
            if resumed and number < resumed.scalars["scale"]:
                done += count
                continue
            name = " x ".join(map(str, space))
            here = engine.scale(space, g, resumed, scale)
            taken, resumed = here.taken, None
            done += taken
            watch.lap(f"targets {name}")
            for step in here.steps(count):
                done += 1
                scale = here
                if folder and (folder.due() or done == before + count):
                    folder.save(done, here.tensors(), here.scalars() | {"scale": number})
                if callback:
                    progress = Progress(
                        scale=number,
                        scales=len(scales),
                        space=space,
                        step=done,
                        steps=sum(count for _, count in scales),
                        value=step.evaluation.value,
                        terms=step.evaluation.terms,
                        seconds=watch.seconds,
                        note=step.note,
                        g=step.sample,
                        sample=partial(_sample, units, here),
                    )
                    callback(progress)
            # L-BFGS may end a scale early, even before its first step: where G is optimal already.
            scale = here
            done = before + count
            g = here.whole()
            if here.plan.group is not engine.group:
                g = agreed(engine.group, g)
            watch.lap(f"steps {name}")
    except KeyboardInterrupt:
        if scale is None:
            raise
        finished = False
        watch.lap(f"steps {' x '.join(map(str, scale.space))}")
    assert scale is not None
    terms = scale.terms()
    recipe = {
        "impasto": __version__,
        "config": asdict(config),
        "value": sum(terms.values()),
        "steps": done,
        "finished": finished,
    }
    sample = units.sample(units.over(scale.whole(), content.space))
    watch.lap("result")
    return Result(
        sample=sample,
        value=sum(terms.values()),
        terms=terms,
        seconds=sum(watch.laps.values()),
        timings=watch.laps,
        finished=finished,
        recipe=recipe,
    )


def _sample(units: Units, scale: _Scale) -> Sample:
    return units.sample(scale.whole())


def _run_folder(
    run: str | Path | None, config: Config, content: Sample, styles: list[Sample], group: Group
) -> tuple[RunFolder | None, Checkpoint | None]:
    """The folder for checkpoints, and the one to go on from, where there are any."""
    if run is None:
        return None, None
    identity = {
        "impasto": __version__,
        "config": asdict(config),
        "content": fingerprint(content),
        "styles": [fingerprint(style) for style in styles],
        "processes": group.size,
    }
    folder = RunFolder(Path(run), identity, group, config.engine.checkpoint_every)
    return folder, folder.latest()


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
        self.laps[name] = self.laps.get(name, 0.0) + now - self.last
        self.last = now


@dataclass(frozen=True)
class _Engine:
    """What all scales share. limit: bytes that the process may hold."""

    config: Config
    network: Network
    units: Units
    styles: list[Sample]
    limit: float
    group: Group

    def scale(
        self, space: Space, g: Values | None, resumed: Checkpoint | None, before: _Scale | None
    ) -> _Scale:
        """The run at a scale, from a G over any grid or from where a checkpoint has it.

        before: the scale that G comes from.
        """
        group = self.group if prod(space) >= _SHARED else ALONE
        slab = group.slabs(space)[group.rank]
        plan = self._plan(slab.space, group)
        factor = max(space) / max(self.units.content.space)
        spaces = [scaled_space(style.space, factor) for style in self.styles]
        objective = build_objective(
            self._part(self.units.content, space, plan),
            [
                self._part(style, grid, plan)
                for style, grid in zip(self.styles, spaces, strict=True)
            ],
            self.network,
            self.config.objective,
            plan,
            [self._plan(group.slabs(grid)[group.rank].space, group) for grid in spaces],
        )
        if resumed:
            return _Scale.resumed(self, objective, plan, resumed)
        assert g is not None
        start = self.units.clipped(self.units.over(g, space, plan.new)[slab.slices].contiguous())
        scale = _Scale(self, objective, plan, start)
        if before and before.state and self.config.optimizer.optimizer == "adam":
            scale.state = self._carried(before, before.state, start, slab, plan)
        return scale

    def _carried(
        self, before: _Scale, state: optimizers.State, start: Values, slab: Region, plan: Plan
    ) -> optimizers.State:
        """Adam's state at the next scale, where it would else begin with steps of full length.

        Gradients are smaller there, about as many times as there are more positions.
        """
        ((m, v),) = state.moments
        ratio = prod(before.space) / prod(slab.whole)

        def carried(moment: Tensor, kernel: Kernel) -> Tensor:
            whole = gather(before.plan.group, Patch(moment, before.objective.region))
            finer = plan.new(tuple(start.shape), moment.dtype)
            for channel in range(finer.shape[1]):
                plane = slice(channel, channel + 1)
                finer[:, plane] = resample(whole[:, plane], slab.whole, kernel)[slab.slices]
            return finer

        moments = carried(m, "bicubic").mul_(ratio), carried(v, "bilinear").mul_(ratio**2)
        return optimizers.State(
            x=start,
            learning_rate=state.learning_rate,
            best=start,
            count=state.count,
            moments=(moments,),
        )

    def _part(self, sample: Sample, space: Space, plan: Plan) -> Patch:
        """This process's part of a sample brought to a grid."""
        slab = plan.group.slabs(space)[plan.group.rank]
        return Patch(self.units.values(sample, space, plan.new)[slab.slices], slab)

    def _plan(self, space: Space, group: Group) -> Plan:
        """For the part of a sample that this process has.

        Half of the memory, or what the large arrays leave, is for the work on tiles; arrays that
        do not fit into the rest are in files.
        """
        left = memory_left(self.limit)
        objective = self.config.objective
        reaches = frozenset((layer, 0) for layer in objective.layers)
        grids = self.network.grids(space, objective.content_layers)
        numbers = sum(self.network.widths[layer] * prod(grid) for layer, grid in grids.items())
        numbers += _ARRAYS[self.config.optimizer.optimizer] * self.network.channels * prod(space)
        arrays = 4 * numbers + between(self.network, space, reaches)
        base = Plan(group=group, new=Arrays(left / 2).new)
        room = max(left / 2, left - arrays)
        return choose_plan(self.network, space, reaches, self.config.engine.plan, room, base)


class _Scale:
    """The run at one scale: the optimizer's loop and the running average of G.

    Adam circles its goal, the average sits in it; the other two go down and are not averaged.
    """

    def __init__(self, engine: _Engine, objective: Objective, plan: Plan, start: Values) -> None:
        self.engine, self.objective, self.plan = engine, objective, plan
        self.start = start
        config = engine.config
        self.decay = config.schedule.average if config.optimizer.optimizer == "adam" else 0.0
        self.total = plan.new(tuple(start.shape), start.dtype).zero_()
        self.weight = 0.0
        self.taken = 0
        self.state: optimizers.State | None = None

    @classmethod
    def resumed(
        cls, engine: _Engine, objective: Objective, plan: Plan, checkpoint: Checkpoint
    ) -> _Scale:
        """Where a checkpoint has left it."""
        tensors, scalars = dict(checkpoint.tensors), checkpoint.scalars
        total = tensors.pop("average")
        state = optimizers.State.rebuilt(tensors, scalars["state"])
        scale = cls(engine, objective, plan, state.x)
        scale.total, scale.state = total, state
        scale.weight, scale.taken = scalars["weight"], scalars["taken"]
        return scale

    @property
    def space(self) -> Space:
        """The grid."""
        return self.objective.region.whole

    def steps(self, count: int) -> Iterator[optimizers.Step[Evaluation]]:
        """The steps that are left of `count`; a step is valid until the next one."""
        for step in islice(self._loop(), count - self.taken):
            # A step into what is not finite, from which the optimizer will retreat, is left out.
            finite = math.isfinite(self._inner(step.state.x, step.state.x))
            for total, x in optimizers.blocks(self.total, step.state.x if finite else step.sample):
                total.lerp_(x, 1 - self.decay)
            self.weight = self.decay * self.weight + 1 - self.decay
            self.taken += 1
            self.state = step.state
            yield step

    def whole(self) -> Values:
        """The average so far, inside its range, of all processes."""
        own = self._own()
        return gather(self.plan.group, Patch(own, self.objective.region))

    def terms(self) -> dict[str, float]:
        """The terms of J of that average."""
        return terms_of(self.objective, self._own(), self.plan)

    def tensors(self) -> dict[str, Tensor]:
        """The arrays of a checkpoint."""
        assert self.state is not None
        return self.state.tensors() | {"average": self.total}

    def scalars(self) -> dict[str, Any]:
        """The numbers of a checkpoint."""
        assert self.state is not None
        return {"taken": self.taken, "weight": self.weight, "state": self.state.scalars()}

    def _own(self) -> Values:
        if not self.weight:
            return self.start
        return self.engine.units.clipped(self.total / self.weight)

    def _inner(self, a: Tensor, b: Tensor) -> float:
        dot = torch.tensor([optimizers.dot(a, b)], dtype=torch.float64)
        return self.plan.group.total(dot).item()

    def _loop(self) -> Iterator[optimizers.Step[Evaluation]]:
        settings = self.engine.config.optimizer
        loop = {
            "adam": optimizers.adam,
            "lbfgs": optimizers.lbfgs,
            "gradient-descent": optimizers.gradient_descent,
        }[settings.optimizer]
        return loop(
            lambda g: value_and_grad(self.objective, g, self.plan),
            self.start,
            learning_rate=settings.learning_rate,
            inner=self._inner,
            project=self.engine.units.clipped if settings.clip else optimizers.identity,
            new=self.plan.new,
            state=self.state,
        )
