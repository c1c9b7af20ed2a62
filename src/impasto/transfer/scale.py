"""One scale of a run: J on its grid, the optimizer's loop, the average that is its result."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass, replace
from functools import partial
from math import prod
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.config.config import Config
from impasto.config.settings import ObjectiveConfig
from impasto.engine.ensemble import Draw, Ensemble, Member, carried
from impasto.engine.gradient import Evaluation
from impasto.engine.objective import Objective, StylePatch, build_objective
from impasto.engine.plan import between, choose_plan, works
from impasto.engine.walk import Plan, Reaches
from impasto.grids.arrays import Arrays
from impasto.grids.geometry import Region, Space
from impasto.grids.parallel import ALONE, Group, agreed, gather, shared
from impasto.grids.patch import Patch, give_back
from impasto.grids.refine import refined
from impasto.kinds.guidance import Guide
from impasto.kinds.units import Units, Values, weights_over
from impasto.kinds.volumes import is_plane
from impasto.media.sample import Sample
from impasto.networks import Network
from impasto.networks.stage import INPUT
from impasto.optimizers.adam import adam
from impasto.optimizers.gradient_descent import gradient_descent
from impasto.optimizers.lbfgs import lbfgs
from impasto.optimizers.loop import State, Step, blocks, dot, identity, plain
from impasto.runs.checkpoints import Checkpoint
from impasto.transfer.prepare import initial, rate_of, style_space

FOR_ARRAYS = 0.6
"""The most of the memory that arrays take: samples, G, the optimizer's, those between the stages;
the rest is for tiles at work. Arrays beyond are in files, which cost little while memory is free.
"""

_COPIES = {"adam": 12, "lbfgs": 36, "gradient-descent": 10}
"""Arrays of the size of G that a run with that optimizer comes to hold, the samples included."""

_WEIGHTS = 3
"""Values a position that weights take, over the sample and the layers; they are never in files."""

_FALL = 1e-3
"""Of J, in proportion: less is none."""

_SHARED = 2**17
"""Positions from which on processes share a scale; below, talking takes longer than the work."""


@dataclass(frozen=True)
class Engine:
    """What all scales share.

    given: the content before its colors were changed, where they were. units, style_units: of the
    content and of each style. guides: which style goes where. memory: bytes of it, for arrays and
    for tiles at work.
    """

    config: Config
    network: Network
    given: Sample
    units: Units
    styles: list[Sample]
    style_units: list[Units]
    guides: list[Guide]
    memory: float
    arrays: Arrays
    group: Group

    def scale(self, space: Space, before: Scale | None, resumed: Checkpoint | None) -> Scale:
        """The run at a scale: from where a checkpoint has it, from the scale before, or anew."""
        give_back()  # what the scale before has freed
        _, slab = self._slab(space)
        if resumed:
            resumed.check_shape((1, len(self.units.content.data), *slab.space))
            ensemble = self.ensemble(space, resumed.tensors.get("start"))
            return Scale.resumed(self, ensemble, resumed)
        if before:
            g = before.whole()
            if before.group is not self.group:
                g = agreed(self.group, g)
            g = self._refined(g, space)
        else:
            g = initial(self.config, self.units, space, self.arrays)
        if (free := self.units.free(space)) is not None:
            g = torch.where(free, g, self.units.values(self.units.content, space))
        start = g[slab.slices].contiguous()
        scale = Scale(self, self.ensemble(space, start), start)
        settings = self.config.optimizer
        if before and before.state and settings.optimizer == "adam":
            ensembles = before.ensemble, scale.ensemble
            scale.state = carried(before.state, *ensembles, start, settings.learning_rate)
        return scale

    def _refined(self, g: Values, space: Space) -> Float[Tensor, "1 channel *finer"]:
        """G over the next finer grid."""
        units, new = self.units, self.arrays.new
        if not self.config.objective.alpha:
            return units.over(g, space, new)
        content = units.values(units.content, tuple(g.shape[2:]), new)
        finer = refined(g, content, units.values(units.content, space, new))
        for (part,) in blocks(finer):
            part.copy_(units.clipped(part))
        return finer

    def _slab(self, space: Space) -> tuple[Group, Region]:
        """Who shares a grid, and the part that this process has."""
        group = self.group if prod(space) >= _SHARED else ALONE
        return group, group.slabs(space)[group.rank]

    def ensemble(self, space: Space, start: Values | None = None) -> Ensemble:
        """J over a grid. start: this process's part of G as it is when the scale begins, of which
        nearest places depend; the content if None."""
        group, slab = self._slab(space)
        base = Plan(group=group, new=self.arrays.new)
        free = self.units.free(space)
        own_free = None if free is None else free[slab.slices]
        return Ensemble(self._members(space, slab, base, start), slab, base, own_free)

    def _members(
        self, space: Space, slab: Region, base: Plan, start: Values | None
    ) -> tuple[Member, ...]:
        """The objectives: one, or one with each axis first, all of the same weight."""
        config, content = self.config.objective, self.units.content
        values = self.units.values(content, space, base.new)
        weight = None if content.weight is None else weights_over(content.weight, space)
        room = self._room(slab.space)
        turns = content.dims if self.network.turning else 1
        members = []
        share = replace(config, alpha=config.alpha / turns, beta=config.beta / turns)
        if turns > 1:
            share = replace(share, gamma=0.0)
        if share.alpha + share.beta + share.gamma > 0 or share.statistics:
            members += [
                self._member(axis, share, values, weight, slab, base, room, start)
                for axis in range(turns)
            ]
        if turns > 1 and config.gamma:
            plain = Network("none", [], dims=content.dims, channels=len(content.data))
            smooth = replace(config, alpha=0.0, beta=0.0, content_layers=(), style_layers=())
            plan = self._plan(plain, slab.space, base, room)
            own = Patch(values[slab.slices], slab)
            tv = build_objective(own, [], plain, smooth, plan, weight=weight)
            members.append(Member(tv, plan))
        return tuple(members)

    def _member(
        self,
        axis: int,
        config: ObjectiveConfig,
        values: Values,
        weight: Tensor | None,
        slab: Region,
        base: Plan,
        room: float,
        start: Values | None,
    ) -> Member:
        """The objective of the sample with that axis first.

        values, weight: the content's, over all of the grid.
        """
        group, turned = base.group, slab.turned(axis)
        slabs = [each.turned(axis) for each in group.slabs(slab.whole)]
        base = replace(base, group=shared(group, slabs))
        plan = self._plan(self.network, turned.space, base, room)
        values = values.movedim(axis + 2, 2)
        if weight is not None:
            weight = weight.movedim(axis + 2, 2)
        planes: dict[int, Tensor] = {}
        styles = [
            self._style_patch(guide, axis, slab, base, room, planes) for guide in self._guides(axis)
        ]
        own = Patch(values[turned.slices], turned)
        begun = None if start is None else Patch(start.movedim(axis + 2, 2), turned)
        objective = build_objective(
            own,
            styles,
            self.network,
            config,
            plan,
            weight=weight,
            rate=rate_of(self.units.content) * slab.whole[0] / self.units.content.space[0],
            begun=begun,
        )
        return Member(objective, plan, axis, self._draw(objective, weight, base, room))

    def _style_patch(
        self,
        guide: Guide,
        axis: int,
        slab: Region,
        base: Plan,
        room: float,
        planes: dict[int, Tensor],
    ) -> StylePatch:
        """A style on its grid at this scale, with that axis first. base: of the content."""
        sample, units = self.styles[guide.style], self.style_units[guide.style]
        stroke = self.config.schedule.style_scale
        space = style_space(self.units.content, sample, slab.whole, axis, stroke)
        front = 0 if is_plane(sample) else axis
        values = units.values(sample, space, base.new).movedim(front + 2, 2)
        group = self._slab(slab.whole)[0]
        part = group.slabs(tuple(values.shape[2:]))[group.rank]
        less = min(room, self._room(part.space))
        plan = self._plan(self.network, part.space, replace(base, group=group), less)
        of_style = sample.weight if guide.source is None else guide.source
        weight = None if of_style is None else weights_over(of_style, space).movedim(front + 2, 2)
        share, place = _place(guide, slab.whole, planes)
        return StylePatch(Patch(values[part.slices], part), plan, share, weight, place)

    def _guides(self, axis: int) -> list[Guide]:
        """Those for the slices across an axis."""
        return [Guide(axis, 1.0)] if self.config.volume.style_axes else self.guides

    def _draw(
        self, objective: Objective, weight: Tensor | None, base: Plan, room: float
    ) -> Draw | None:
        """Of slices in which something counts, where there are more than a step looks at."""
        if not self.network.by_slices:
            return None
        whole, count = objective.region.whole, self.config.volume.slices
        counts = torch.ones(whole[0]) if weight is None else weight.flatten(3).amax(3).flatten()
        candidates = tuple(torch.nonzero(counts).flatten().tolist())
        if not 0 < count < len(candidates):
            return None
        some = objective.region.thinned(candidates[:count])
        space = (count, *some.space[1:])
        return Draw(count, candidates, self._plan(self.network, space, base, room))

    def _room(self, space: Space) -> float:
        """Bytes for the work on tiles, where this process has so much of a sample."""
        turns = len(space) if self.network.turning else 1
        copies = _COPIES[self.config.optimizer.optimizer] + (turns > 1)
        values = copies * self.network.channels * prod(space)
        objective, widths = self.config.objective, self.network.widths
        targets = (*objective.content_layers, *objective.nearest_layers)
        grids = self.network.grids(space, targets)
        values += turns * sum(prod(grids[layer]) * widths[layer] for layer in targets)
        arrays = 4 * values + between(works(self.network, space, self._reaches))
        masks = {id(guide.place) for guide in self.guides if guide.place is not None}
        count = len(masks) + (self.units.content.weight is not None)
        weights = count * _WEIGHTS * 4 * prod(space)
        return self.memory - min(arrays, FOR_ARRAYS * self.memory) - weights

    def _plan(self, network: Network, space: Space, base: Plan, room: float) -> Plan:
        """For the part of a sample that this process has."""
        reaches = self._reaches if network.stages else frozenset({(INPUT, 1)})
        return choose_plan(network, space, reaches, self.config.engine.plan, room, base)

    @property
    def _reaches(self) -> Reaches:
        return frozenset((layer, 0) for layer in self.config.objective.layers)


def _place(guide: Guide, space: Space, planes: dict[int, Tensor]) -> tuple[float, Tensor | None]:
    """A guide's part of J, and how much each position takes of it. planes: the ones so far, one for
    all styles that share it."""
    if guide.place is None:
        return guide.share, None
    if id(guide.place) not in planes:
        planes[id(guide.place)] = weights_over(guide.place, space)
    place = planes[id(guide.place)]
    # So much of J as of G it is: each position is drawn to the style as if alone.
    return guide.share * place.mean().item(), place


class Scale:
    """The run at one scale: the optimizer's loop and the running average of G.

    Adam circles its goal, the average sits in it; the other two go down and are not averaged.
    torn: whether the average is between two steps.
    """

    def __init__(self, engine: Engine, ensemble: Ensemble, start: Values) -> None:
        self.engine, self.ensemble = engine, ensemble
        self.group, self.new = ensemble.plan.group, ensemble.plan.new
        self.start = start
        config = engine.config
        self.decay = config.schedule.average if config.optimizer.optimizer == "adam" else 0.0
        self.average = self.new(tuple(start.shape), start.dtype).zero_()
        self.weight = 0.0
        self.taken, self.torn = 0, False
        self.lowest, self.stale = math.inf, 0
        self.state: State | None = None

    @classmethod
    def resumed(cls, engine: Engine, ensemble: Ensemble, checkpoint: Checkpoint) -> Scale:
        """Where a checkpoint has left it."""
        tensors, scalars = checkpoint.copied(engine.arrays.new), checkpoint.scalars
        average, start = tensors.pop("average"), tensors.pop("start", None)
        state = State.rebuilt(tensors, scalars["state"])
        scale = cls(engine, ensemble, state.x if start is None else start)
        scale.average, scale.state = average, state
        scale.weight, scale.taken = scalars["weight"], scalars["taken"]
        scale.lowest, scale.stale = scalars["lowest"], scalars["stale"]
        return scale

    @property
    def space(self) -> Space:
        """The grid."""
        return self.ensemble.region.whole

    def steps(self, count: int) -> Iterator[Step[Evaluation]]:
        """The steps that are left of `count`; a step is valid until the next one."""
        patience = self.engine.config.schedule.patience
        loop = self._loop(count)
        while self.taken < count and not self._ended(patience):
            if (step := next(loop, None)) is None:
                return
            # A step into what is not finite, from which the optimizer will retreat, is left out.
            finite = math.isfinite(self._inner(step.state.x, step.state.x))
            self.torn = True
            self.weight = self.decay * self.weight + 1 - self.decay
            share = (1 - self.decay) / self.weight  # so that what does not change stays the same
            following = step.state.x if finite else step.sample
            for average, x in blocks(self.average, following):
                average.lerp_(x, share)
            self.taken += 1
            self.stale += 1
            if step.evaluation.value < (1 - _FALL) * self.lowest:
                self.lowest, self.stale = step.evaluation.value, 0
            self.state, self.torn = step.state, False
            yield step

    def _ended(self, patience: int) -> bool:
        """Whether J has not fallen for so many steps, as the first process sees it: where each has
        all of a small scale, the last bits may differ."""
        if not patience:
            return False
        stale = torch.tensor([float(self.stale >= patience and self.engine.group.rank == 0)])
        return bool(self.engine.group.total(stale))

    def whole(self) -> Values:
        """The average so far, inside its range, of all processes."""
        own = self._own()
        return gather(self.group, Patch(own, self.ensemble.region))

    def terms(self) -> dict[str, float]:
        """The terms of J of that average."""
        return self.ensemble.terms(self._own())

    def tensors(self) -> dict[str, Tensor]:
        """The arrays of a checkpoint."""
        assert self.state is not None
        found = self.state.tensors() | {"average": self.average}
        if self.engine.config.objective.nearest_layers:  # places are found for it once more
            found["start"] = self.start
        return found

    def scalars(self) -> dict[str, Any]:
        """The numbers of a checkpoint."""
        assert self.state is not None
        return {
            "taken": self.taken,
            "weight": self.weight,
            "lowest": self.lowest,
            "stale": self.stale,
            "state": self.state.scalars(),
        }

    def _own(self) -> Values:
        if not self.weight:
            return self.start
        own = self.new(tuple(self.average.shape), self.average.dtype)
        for clipped, average in blocks(own, self.average):
            clipped.copy_(self.engine.units.clipped(average))
        return own

    def _inner(self, a: Tensor, b: Tensor) -> float:
        total = torch.tensor([dot(a, b)], dtype=torch.float64)
        return self.group.total(total).item()

    def _loop(self, count: int) -> Iterator[Step[Evaluation]]:
        config, settings = self.engine.config, self.engine.config.optimizer
        # What favors large forms is slow to take noise out, unless the total variation does that.
        rough = config.schedule.init == "noise" and not config.objective.gamma
        precondition = plain if rough else self.ensemble.precondition
        loop: Any = {
            "adam": adam,
            "lbfgs": partial(lbfgs, precondition=precondition),
            "gradient-descent": gradient_descent,
        }[settings.optimizer]

        def evaluate(g: Values) -> Evaluation:
            return self.ensemble.value_and_grad(g, (config.schedule.seed, *self.space, self.taken))

        steps: Iterator[Step[Evaluation]] = loop(
            evaluate,
            self.start,
            learning_rate=settings.learning_rate,
            decay=settings.annealing ** (1 / count),
            inner=self._inner,
            project=self.engine.units.clipped if settings.clip else identity,
            new=self.new,
            state=self.state,
        )
        return steps
