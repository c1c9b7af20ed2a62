"""One scale of a run: J on its grid, the optimizer's loop, the average that is its result."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice
from math import prod
from typing import Any

import torch
from torch import Tensor

from impasto import optimizers
from impasto.arrays import Arrays
from impasto.config import Config
from impasto.geometry import Region, Space
from impasto.gradient import Evaluation, terms_of, value_and_grad
from impasto.media.sample import Sample
from impasto.networks import Network
from impasto.objective import Objective, build_objective
from impasto.parallel import ALONE, Group, agreed, gather
from impasto.patch import Patch, give_back
from impasto.plan import between, choose_plan, works
from impasto.prepare import Units, Values, initial, rate_of, style_spaces
from impasto.resample import Kernel, averaged, resample
from impasto.runs import Checkpoint
from impasto.walk import Plan

FOR_ARRAYS = 0.6
"""The most of the memory that arrays take: samples, G, the optimizer's, those between the stages;
the rest is for tiles at work. Arrays beyond are in files, which cost little while memory is free.
"""

_COPIES = {"adam": 12, "lbfgs": 36, "gradient-descent": 10}
"""Arrays of the size of G that a run with that optimizer comes to hold, the samples included."""

_SHARED = 2**17
"""Positions from which on processes share a scale; below, talking takes longer than the work."""


@dataclass(frozen=True)
class Engine:
    """What all scales share. memory: bytes of it, for arrays and for tiles at work."""

    config: Config
    network: Network
    units: Units
    styles: list[Sample]
    memory: float
    arrays: Arrays
    group: Group

    def scale(self, space: Space, before: Scale | None, resumed: Checkpoint | None) -> Scale:
        """The run at a scale: from where a checkpoint has it, from the scale before, or anew."""
        give_back()  # what the scale before has freed
        group = self.group if prod(space) >= _SHARED else ALONE
        slab = group.slabs(space)[group.rank]
        plan = self._plan(slab.space, group)
        spaces = style_spaces(self.units.content, self.styles, space)
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
            _weight(self.units.content, space),
            [_weight(style, grid) for style, grid in zip(self.styles, spaces, strict=True)],
            rate_of(self.units.content) * space[0] / self.units.content.space[0],
        )
        if resumed:
            return Scale.resumed(self, objective, plan, resumed)
        if before:
            g = before.whole()
            if before.plan.group is not self.group:
                g = agreed(self.group, g)
        else:
            g = initial(self.config, self.units, space, self.arrays)
        start = self.units.over(g, space, plan.new)[slab.slices].contiguous()
        scale = Scale(self, objective, plan, start)
        if before and before.state and self.config.optimizer.optimizer == "adam":
            scale.state = self._carried(before, before.state, start, slab, plan)
        return scale

    def _carried(
        self, before: Scale, state: optimizers.State, start: Values, slab: Region, plan: Plan
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
            learning_rate=self.config.optimizer.learning_rate,
            best=start,
            count=state.count,
            moments=(moments,),
        )

    def _part(self, sample: Sample, space: Space, plan: Plan) -> Patch:
        """This process's part of a sample brought to a grid."""
        slab = plan.group.slabs(space)[plan.group.rank]
        return Patch(self.units.values(sample, space, plan.new)[slab.slices], slab)

    def _plan(self, space: Space, group: Group) -> Plan:
        """For the part of a sample that this process has."""
        reaches = frozenset((layer, 0) for layer in self.config.objective.layers)
        base = Plan(group=group, new=self.arrays.new)
        copies = _COPIES[self.config.optimizer.optimizer]
        values = copies * self.network.channels * prod(space)
        targets = self.network.grids(space, self.config.objective.content_layers)
        values += sum(prod(grid) * self.network.widths[layer] for layer, grid in targets.items())
        arrays = 4 * values + between(works(self.network, space, reaches))
        room = self.memory - min(arrays, FOR_ARRAYS * self.memory)
        return choose_plan(self.network, space, reaches, self.config.engine.plan, room, base)


class Scale:
    """The run at one scale: the optimizer's loop and the running average of G.

    Adam circles its goal, the average sits in it; the other two go down and are not averaged.
    """

    def __init__(self, engine: Engine, objective: Objective, plan: Plan, start: Values) -> None:
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
        cls, engine: Engine, objective: Objective, plan: Plan, checkpoint: Checkpoint
    ) -> Scale:
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
        for step in islice(self._loop(count), count - self.taken):
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
        own = self.plan.new(tuple(self.total.shape), self.total.dtype)
        for mean, total in optimizers.blocks(own, self.total):
            mean.copy_(self.engine.units.clipped(total / self.weight))
        return own

    def _inner(self, a: Tensor, b: Tensor) -> float:
        dot = torch.tensor([optimizers.dot(a, b)], dtype=torch.float64)
        return self.plan.group.total(dot).item()

    def _loop(self, count: int) -> Iterator[optimizers.Step[Evaluation]]:
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
            decay=settings.annealing ** (1 / count),
            inner=self._inner,
            project=self.engine.units.clipped if settings.clip else optimizers.identity,
            new=self.plan.new,
            state=self.state,
        )


def _weight(sample: Sample, space: Space) -> Tensor | None:
    """How much each position of a grid counts."""
    weight = sample.weight
    return None if weight is None else averaged(torch.from_numpy(weight)[None, None], space)
