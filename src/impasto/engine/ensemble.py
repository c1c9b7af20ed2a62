"""J as the sum of several objectives, each with another axis of the sample first.

A network for pictures sees the slices of a volume across each of its three axes. A step may look at
some of the slices; on those, each objective is exact.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from math import prod

import numpy as np
import torch
from jaxtyping import Bool, Float
from torch import Tensor

from impasto.engine.gradient import Evaluation, terms_of, value_and_grad
from impasto.engine.objective import Objective
from impasto.engine.walk import Plan
from impasto.grids.boxes import Boxes
from impasto.grids.geometry import Region
from impasto.grids.parallel import gather, with_slabs
from impasto.grids.patch import Patch, Values
from impasto.grids.resample import Kernel, resample
from impasto.optimizers.loop import State
from impasto.optimizers.preconditioner import favor_large_forms


@dataclass(frozen=True)
class Draw:
    """How the slices of a step are drawn: evenly spaced, from a random start.

    Each candidate has the same chance.

    Attributes:
        count: how many slices are drawn.
        candidates: the positions of the slices to draw from.
        plan: how the engine evaluates that many slices.
    """

    count: int
    candidates: tuple[int, ...]
    plan: Plan

    def slices(self, seed: Sequence[int]) -> tuple[int, ...]:
        """Returns the drawn slices in order; the same seed draws the same ones."""
        start = np.random.default_rng(seed).random()
        places = (np.arange(self.count) + start) * len(self.candidates) / self.count
        return tuple(self.candidates[int(place)] for place in places)


@dataclass(frozen=True)
class Member:
    """One of the objectives.

    Attributes:
        objective: J of the sample with `axis` first.
        plan: how the engine evaluates all slices.
        axis: the axis across which the slices lie.
        draw: how the slices of a step are drawn; None to look at all of them.
    """

    objective: Objective
    plan: Plan
    axis: int = 0
    draw: Draw | None = None

    def value_and_grad(self, g: Values, seed: Sequence[int]) -> tuple[Evaluation, Tensor | None]:
        """Returns J and its gradient, and the slices that they are for.

        Args:
            g: G with `axis` first.
            seed: the seed of the draw.

        Returns:
            J and the gradient over the drawn slices; then their positions, None for all slices.
        """
        if self.draw is None:
            return value_and_grad(self.objective, g, self.plan), None
        kept = self.draw.slices([*seed, self.axis])
        objective = self.objective.thin(kept, len(self.draw.candidates))
        slabs = [slab.thin(kept) for slab in self.plan.group.slabs(self.objective.region.whole)]
        plan = replace(self.draw.plan, group=with_slabs(self.plan.group, slabs))
        places = self.objective.region.offsets_of(kept)
        own = torch.tensor(places, dtype=torch.long, device=g.device)
        return value_and_grad(objective, g.index_select(2, own), plan), own


@dataclass(frozen=True, eq=False)
class Coarse:
    """An objective of the means of G over boxes.

    Attributes:
        objective: J over the grid of the boxes, of which each process has a part of its own.
        plan: how the engine evaluates it.
        boxes: the boxes, and the part of G that this process has.
    """

    objective: Objective
    plan: Plan
    boxes: Boxes

    def add(self, g: Values, gradient: Values) -> dict[str, float]:
        """Adds its gradient to `gradient`, and returns its weighted terms."""
        evaluation = value_and_grad(self.objective, self._seen(g), self.plan)
        own = Patch(evaluation.gradient, self.objective.region)
        self.boxes.add_spread(gather(self.plan.group, own), gradient)
        return evaluation.terms

    def terms(self, g: Values) -> dict[str, float]:
        """Returns its weighted terms."""
        return terms_of(self.objective, self._seen(g), self.plan)

    def _seen(self, g: Values) -> Float[Tensor, "1 channel *boxes"]:
        return self.boxes.means(g)[self.objective.region.slices].contiguous()


@dataclass(frozen=True, eq=False)
class Ensemble:
    """J, and everything that its evaluation needs.

    Attributes:
        members: the objectives.
        region: the part of G that this process has.
        plan: its group shares G, and it makes the arrays.
        free: where G may change, shape (1, #channel, *space); None for everywhere.
        coarse: the objectives of means of G.
    """

    members: tuple[Member, ...]
    region: Region
    plan: Plan
    free: Bool[Tensor, "1 #channel *space"] | None = None
    coarse: tuple[Coarse, ...] = ()

    def value_and_grad(self, g: Values, seed: Sequence[int] = ()) -> Evaluation:
        """Returns J(G) and dJ/dG, which is 0 where G may not change.

        Args:
            g: the part of G that this process has, shape (1, channel, *space).
            seed: the seed of the slices.
        """
        first = self.members[0] if len(self.members) == 1 else None
        if first and first.draw is None and first.axis == 0:
            evaluation = value_and_grad(first.objective, g, first.plan)
            terms, gradient = evaluation.terms, evaluation.gradient
        else:
            terms, gradient = {}, self.plan.new(tuple(g.shape), g.dtype).zero_()
            for member in self.members:
                dim = member.axis + 2
                evaluation, slices = member.value_and_grad(g.movedim(dim, 2), seed)
                total = gradient.movedim(dim, 2)
                part = evaluation.gradient.to(total.device)
                if slices is None:
                    total += part
                else:
                    total.index_add_(2, slices.to(total.device), part)
                _add(terms, evaluation.terms)
        for coarse in self.coarse:
            _add(terms, coarse.add(g, gradient))
        if self.free is not None:
            gradient.mul_(self.free.to(gradient.device))
        return Evaluation(sum(terms.values()), terms, gradient)

    def precondition(self, x: Values) -> None:
        """Turns a gradient into a step, in place, larger for large forms and 0 where G is fixed."""
        favor_large_forms(x)
        if self.free is not None:
            x.mul_(self.free.to(x.device))

    def terms(self, g: Values) -> dict[str, float]:
        """Returns the weighted terms of J(G) over all slices."""
        terms: dict[str, float] = {}
        for member in self.members:
            x = g.movedim(member.axis + 2, 2)
            _add(terms, terms_of(member.objective, x, member.plan))
        for coarse in self.coarse:
            _add(terms, coarse.terms(g))
        return terms


def _add(terms: dict[str, float], more: dict[str, float]) -> None:
    for kind, part in more.items():
        terms[kind] = terms.get(kind, 0.0) + part


def carry_state(
    state: State,
    before: Ensemble,
    here: Ensemble,
    start: Float[Tensor, "1 channel *finer"],
    learning_rate: float,
) -> State:
    """Returns Adam's state on the grid of the next scale.

    Without it, Adam would begin with steps of full length. Gradients are smaller there by about the
    factor by which there are more positions.

    Args:
        state: the state at the end of a scale.
        before: J at that scale.
        here: J at the next scale.
        start: G at the next scale.
        learning_rate: the step size there.
    """
    slab, plan = here.region, here.plan
    ((m, v),) = state.moments
    ratio = prod(before.region.whole) / prod(slab.whole)

    def over(moment: Tensor, kernel: Kernel) -> Tensor:
        whole = gather(before.plan.group, Patch(moment, before.region))
        finer = plan.new(tuple(start.shape), moment.dtype)
        for channel in range(finer.shape[1]):
            plane = slice(channel, channel + 1)
            part = resample(whole[:, plane], slab.whole, kernel)[slab.slices]
            finer[:, plane] = part.to(finer.device)
        return finer if here.free is None else finer.mul_(here.free.to(finer.device))

    moments = over(m, "bicubic").mul_(ratio), over(v, "bilinear").mul_(ratio**2)
    return State(
        x=start, learning_rate=learning_rate, best=start, count=state.count, moments=(moments,)
    )
