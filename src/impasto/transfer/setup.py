"""What all scales of a run share, and J on the grid of each scale."""

from __future__ import annotations

import logging
import math
from dataclasses import dataclass, field, replace
from math import prod

import torch
from torch import Tensor

from impasto.config.config import Config
from impasto.config.settings import ObjectiveConfig
from impasto.engine.ensemble import Coarse, Draw, Ensemble, Member
from impasto.engine.objective import Objective, StylePatch, build_objective
from impasto.engine.plan import between, choose_plan, works
from impasto.engine.walk import Plan, Reaches
from impasto.errors import amount
from impasto.grids.arrays import Arrays
from impasto.grids.boxes import Boxes
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
from impasto.system.devices import CPU, free_cache
from impasto.transfer.kept import Kept

logger = logging.getLogger(__name__)

FOR_ARRAYS = 0.6
"""Arrays (samples, G, the optimizer's state, activations between stages) take at most this fraction
of the memory; the tiles at work take the rest. Further arrays are kept in mapped files, which are
hardly slower while memory is free.
"""

_COPIES = {"adam": 12, "lbfgs": 36, "gradient-descent": 10}
"""How many arrays of the size of G a run holds with each optimizer, samples included."""

_WEIGHTS = 3
"""How many values for each position the weights take, over the sample and all layers. They stay in
memory."""

_LEAST_SHARED = 2**17
"""Processes share a scale of at least this many positions. On a smaller one, communication would
take longer than the work."""


@dataclass(frozen=True)
class Setup:
    """What all scales of a run share.

    Attributes:
        config: the settings, completed for the content.
        network: the network.
        kind: the kind of the content.
        given: the content before its colors were changed.
        units: the content, and the values that G holds for it.
        styles: the styles, each with its units.
        guides: the places that take each style.
        memory: the bytes for arrays and for tiles at work, on the device.
        arrays: allocates large arrays.
        group: the processes that share the sample.
        limit: bytes that this process may hold; 0 for as few as it can.
        kept: keeps what is of the styles alone for further runs.
        networks: keeps networks for further runs.
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
    limit: float = field(default=0.0, kw_only=True)
    kept: Kept = field(default_factory=Kept, kw_only=True)
    networks: Kept = field(default_factory=Kept, kw_only=True)

    @property
    def device(self) -> torch.device:
        """Where the run computes."""
        return self.arrays.device

    def with_half_the_memory(self) -> Setup:
        """Returns the setup for a device that has had less room than was planned with."""
        free_cache(self.device)
        self.arrays.device_room = min(self.arrays.device_room, FOR_ARRAYS * self.memory / 2)
        logger.info(
            "%s has run out of memory; planning again with %s", self.device, amount(self.memory / 2)
        )
        return replace(self, memory=self.memory / 2)

    def slab(self, space: Space) -> tuple[Group, Region]:
        """Returns the processes that share a grid and the part of this process."""
        group = self.group if prod(space) >= _LEAST_SHARED else ALONE
        return group, group.slabs(space)[group.rank]

    def ensemble(self, space: Space, start: Values | None = None) -> Ensemble:
        """Builds J on a grid.

        start: this process's part of the G that the scale begins with, shape (1, channel, *space).
        The nearest-neighbor loss matches its positions to the styles; None takes the content.
        """
        group, slab = self.slab(space)
        base = Plan(group=group, new=self.arrays.new, device=self.device, limit=self.limit)
        free = self.units.free(space, self.device)
        own_free = None if free is None else free[slab.slices]
        members = self._members(space, slab, base, start)
        return Ensemble(members, slab, base, own_free, self._coarse(slab, base, start))

    def _members(
        self, space: Space, slab: Region, base: Plan, start: Values | None
    ) -> tuple[Member, ...]:
        """Builds the objectives whose sum is J.

        A network of slices needs one objective for each axis, all of the same weight. Their total
        variation is an objective of its own.
        """
        config, content = self.config.objective, self.units.content
        if self._fine(space):
            config = config.fine_part
        values = self.units.values(content, space, base.new)
        weight = None
        if content.weight is not None:
            weight = weights_over(content.weight, space, self.device)
        room = self._room(slab.space)
        axes = self.kind.axes(content) if self.network.turning else (0,)
        turns = len(axes)
        members = []
        share = replace(config, alpha=config.alpha / turns, beta=config.beta / turns)
        if turns > 1:
            share = replace(share, gamma=0.0)
        if share.alpha + share.beta + share.gamma > 0 or share.statistics:
            members += [
                self._member(axis, share, values, weight, slab, base, room, start) for axis in axes
            ]
        if turns > 1 and config.gamma:
            plain = Network("none", [], dims=content.dims, channels=len(content.data))
            smooth = replace(config, alpha=0.0, beta=0.0, content_layers=(), style_layers=())
            plan = self._plan(plain, slab.space, base, room)
            own = Patch(values[slab.slices], slab)
            tv = build_objective(own, [], plain, smooth, plan, weight=weight)
            members.append(Member(tv, plan))
        return tuple(members)

    def _fine(self, space: Space) -> bool:
        """Returns whether the grid is fine: means of G over boxes have a share of J."""
        return max(space) > self.kind.fine_above

    def _coarse(self, slab: Region, base: Plan, start: Values | None) -> tuple[Coarse, ...]:
        """Builds the objective of the means of G over boxes, at a fine scale."""
        config, content, space = self.config.objective.coarse_part, self.units.content, slab.whole
        if not self._fine(space) or not config.coarse_share:
            return ()
        side = 2 ** math.ceil(math.log2(max(space) / self.kind.fine_above))
        boxes = Boxes(side, slab, base.group)
        own = base.group.slabs(boxes.space)[base.group.rank]
        whole = replace(boxes, region=Region.all_of(space), group=ALONE)
        values = whole.means(self.units.values(content, space, base.new))
        weight = None
        if content.weight is not None:
            weight = weights_over(content.weight, boxes.space, self.device)
        begun = None if start is None else boxes.means(start)[own.slices]
        room = self._room(slab.space)
        member = self._member(0, config, values, weight, own, base, room, begun, boxes)
        return (Coarse(member.objective, member.plan, boxes),)

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
        boxes: Boxes | None = None,
    ) -> Member:
        """Builds the objective of the sample with the axis `axis` moved to the front.

        values, weight: those of the content, on the whole grid. boxes: the boxes of a coarse grid.
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
            self._style_patch(guide, axis, slab, base, room, planes, boxes)
            for guide in self._guides(axis)
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
        boxes: Boxes | None,
    ) -> StylePatch:
        """Returns a style on its grid at this scale, with the axis `axis` moved to the front.

        base: the plan of the content. planes: a cache for `_place`.
        """
        style = self.styles[guide.style]
        sample, front = style.sample, style.front(axis)
        values = self.style_values(style, slab.whole, axis, boxes)
        space = tuple(values.shape[2:])
        values = values.movedim(front + 2, 2)
        group = base.group if boxes else self.slab(slab.whole)[0]
        part = group.slabs(tuple(values.shape[2:]))[group.rank]
        less = min(room, self._room(part.space))
        plan = self._plan(self.network, part.space, replace(base, group=group), less)
        of_style = sample.weight if guide.source is None else guide.source
        weight = None
        if of_style is not None:
            weight = weights_over(of_style, space, self.device).movedim(front + 2, 2)
        share, place = _place(guide, slab.whole, planes, self.device)
        return StylePatch(Patch(values[part.slices], part), plan, share, weight, place)

    def style_values(
        self, style: Style, space: Space, axis: int = 0, boxes: Boxes | None = None
    ) -> Values:
        """Returns a style where the grid of the content is `space`.

        For a grid of boxes these are the style's means over boxes too, so that a content that is
        its own style comes back; unless the style was enlarged: then its own values are sharper.
        """
        sample, new, finest = style.sample, self.arrays.new, boxes.region.whole if boxes else space
        grows = self._fine(finest) and self.config.objective.coarse_share > 0
        stroke = self.config.schedule.style_scale

        def over(grid: Space, grows: bool) -> Space:
            content = self.units.content
            return self.kind.style_space(content, sample, grid, axis, stroke, grows=grows)

        fine = over(finest, grows)
        if not boxes:
            return style.units.values(sample, fine, new)
        if max(fine) > max(sample.space):
            return style.units.values(sample, over(space, grows=False), new)
        return Boxes(boxes.side, Region.all_of(fine)).means(style.units.values(sample, fine, new))

    def _guides(self, axis: int) -> list[Guide]:
        """Returns the guides for the slices across an axis."""
        return [Guide(axis, 1.0)] if self.config.volume.style_axes else self.guides

    def _draw(
        self, objective: Objective, weight: Tensor | None, base: Plan, room: float
    ) -> Draw | None:
        """Returns how each step draws its slices; None if each step takes all of them.

        Slices in which no position counts are never drawn.
        """
        if not self.network.by_slices:
            return None
        whole, count = objective.region.whole, self.config.volume.slices
        counts = (
            torch.ones(whole[0], device=CPU)
            if weight is None
            else weight.flatten(3).amax(3).flatten()
        )
        candidates = tuple(torch.nonzero(counts).flatten().tolist())
        if not 0 < count < len(candidates):
            return None
        some = objective.region.thin(candidates[:count])
        space = (count, *some.space[1:])
        return Draw(count, candidates, self._plan(self.network, space, base, room))

    def _room(self, space: Space) -> float:
        """Returns the bytes left for tiles. space: the part of the sample that this process has."""
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
        """Plans the work on this process's part of a sample."""
        reaches = self._reaches if network.stages else frozenset({(INPUT, 1)})
        return choose_plan(network, space, reaches, self.config.engine.plan, room, base)

    @property
    def _reaches(self) -> Reaches:
        return frozenset((layer, 0) for layer in self.config.objective.layers)


def _place(
    guide: Guide, space: Space, planes: dict[int, Tensor], device: torch.device
) -> tuple[float, Tensor | None]:
    """Returns the share of a guide in J and the weight of each position, or None for equal weights.

    planes: caches the weights by the guide's place, because styles may share a place.
    """
    if guide.place is None:
        return guide.share, None
    if id(guide.place) not in planes:
        planes[id(guide.place)] = weights_over(guide.place, space, device)
    place = planes[id(guide.place)]
    # The share in J is proportional to the area, so each position is drawn to the style as strongly
    # as it would be if the style covered all of G.
    return guide.share * place.mean().item(), place
