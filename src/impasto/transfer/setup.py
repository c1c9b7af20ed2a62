"""What all scales of a run share, and J over the grid of any of them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod

import torch
from torch import Tensor

from impasto.config.config import Config
from impasto.config.settings import ObjectiveConfig
from impasto.engine.ensemble import Draw, Ensemble, Member
from impasto.engine.objective import Objective, StylePatch, build_objective
from impasto.engine.plan import between, choose_plan, works
from impasto.engine.walk import Plan, Reaches
from impasto.grids.arrays import Arrays
from impasto.grids.geometry import Region, Space
from impasto.grids.parallel import ALONE, Group, with_slabs
from impasto.grids.patch import Patch, Values
from impasto.kinds import Kind
from impasto.kinds.guidance import Guide
from impasto.kinds.kind import Style
from impasto.kinds.units import Units, weights_over
from impasto.media.sample import Sample
from impasto.networks import Network
from impasto.networks.stage import INPUT

FOR_ARRAYS = 0.6
"""The most of the memory that arrays take: samples, G, the optimizer's, those between the stages;
the rest is for tiles at work. Arrays beyond are in files, which cost little while memory is free.
"""

_COPIES = {"adam": 12, "lbfgs": 36, "gradient-descent": 10}
"""Arrays of the size of G that a run with that optimizer comes to hold, the samples included."""

_WEIGHTS = 3
"""Values a position that weights take, over the sample and the layers; they are never in files."""

_SHARED = 2**17
"""Positions from which on processes share a scale; below, talking takes longer than the work."""


@dataclass(frozen=True)
class Setup:
    """What all scales of a run share.

    kind: of the content. given: the content before its colors were changed, where they were.
    units: of the content. styles: each with its units. guides: which style goes where. memory:
    bytes of it, for arrays and for tiles at work.
    """

    config: Config
    network: Network
    kind: Kind
    given: Sample
    units: Units
    styles: list[Style]
    guides: list[Guide]
    memory: float
    arrays: Arrays
    group: Group

    def slab(self, space: Space) -> tuple[Group, Region]:
        """Who shares a grid, and the part that this process has."""
        group = self.group if prod(space) >= _SHARED else ALONE
        return group, group.slabs(space)[group.rank]

    def ensemble(self, space: Space, start: Values | None = None) -> Ensemble:
        """J over a grid. start: this process's part of G as it is when the scale begins, of which
        nearest places depend; the content if None."""
        group, slab = self.slab(space)
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
        base = replace(base, group=with_slabs(group, slabs))
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
            rate=self.kind.rate(self.units.content) * slab.whole[0] / self.units.content.space[0],
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
        style, content = self.styles[guide.style], self.units.content
        sample, front = style.sample, style.front(axis)
        stroke = self.config.schedule.style_scale
        space = self.kind.style_space(content, sample, slab.whole, axis, stroke)
        values = style.units.values(sample, space, base.new).movedim(front + 2, 2)
        group = self.slab(slab.whole)[0]
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
        some = objective.region.thin(candidates[:count])
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
