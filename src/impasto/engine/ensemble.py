"""J as the sum of several objectives, each of which sees the sample with another axis first.

A network for pictures sees a volume slice by slice, across each of its three axes. A step may look
at some of the slices: on those each objective is exact.
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
from impasto.grids.geometry import Region
from impasto.grids.parallel import gather, with_slabs
from impasto.grids.patch import Patch, Values
from impasto.grids.resample import Kernel, resample
from impasto.optimizers.loop import State
from impasto.optimizers.preconditioner import favor_large_forms


@dataclass(frozen=True)
class Draw:
    """Slices for a step to look at: `count` of the candidates, evenly spaced from a random start,
    so that each has the same chance. plan: for that many."""

    count: int
    candidates: tuple[int, ...]
    plan: Plan

    def slices(self, seed: Sequence[int]) -> tuple[int, ...]:
        """The same for the same seed, in their order."""
        start = np.random.default_rng(seed).random()
        places = (np.arange(self.count) + start) * len(self.candidates) / self.count
        return tuple(self.candidates[int(place)] for place in places)


@dataclass(frozen=True)
class Member:
    """An objective of the sample with one of its axes first.

    plan: for all of it. draw: of the slices across that axis, where steps look at some only.
    """

    objective: Objective
    plan: Plan
    axis: int = 0
    draw: Draw | None = None

    def value_and_grad(self, g: Values, seed: Sequence[int]) -> tuple[Evaluation, Tensor | None]:
        """J and its gradient, G having this axis first; of which of its slices, None for all."""
        if self.draw is None:
            return value_and_grad(self.objective, g, self.plan), None
        kept = self.draw.slices([*seed, self.axis])
        objective = self.objective.thin(kept, len(self.draw.candidates))
        slabs = [slab.thin(kept) for slab in self.plan.group.slabs(self.objective.region.whole)]
        plan = replace(self.draw.plan, group=with_slabs(self.plan.group, slabs))
        own = torch.tensor(self.objective.region.offsets_of(kept), dtype=torch.long)
        return value_and_grad(objective, g.index_select(2, own), plan), own


@dataclass(frozen=True, eq=False)
class Ensemble:
    """J, and all that it takes to evaluate it.

    region: of the grid of G, the part that this process has. plan: whose group shares G, and whose
    arrays are used. free: where G may change; None for everywhere.
    """

    members: tuple[Member, ...]
    region: Region
    plan: Plan
    free: Bool[Tensor, "1 #channel *space"] | None = None

    def value_and_grad(self, g: Values, seed: Sequence[int] = ()) -> Evaluation:
        """J(G) and dJ/dG, which is 0 where G is not free. seed: of the slices to look at."""
        if len(self.members) == 1 and self.members[0].draw is None:
            evaluation = value_and_grad(self.members[0].objective, g, self.members[0].plan)
            terms, gradient = evaluation.terms, evaluation.gradient
        else:
            terms, gradient = {}, self.plan.new(tuple(g.shape), g.dtype).zero_()
            for member in self.members:
                dim = member.axis + 2
                evaluation, slices = member.value_and_grad(g.movedim(dim, 2), seed)
                total = gradient.movedim(dim, 2)
                if slices is None:
                    total += evaluation.gradient
                else:
                    total.index_add_(2, slices, evaluation.gradient)
                _add(terms, evaluation.terms)
        if self.free is not None:
            gradient.mul_(self.free)
        return Evaluation(sum(terms.values()), terms, gradient)

    def precondition(self, x: Values) -> None:
        """A step in place of a gradient x: larger for large forms, 0 where G is not free."""
        favor_large_forms(x)
        if self.free is not None:
            x.mul_(self.free)

    def terms(self, g: Values) -> dict[str, float]:
        """The weighted terms of J(G), all slices looked at."""
        terms: dict[str, float] = {}
        for member in self.members:
            x = g.movedim(member.axis + 2, 2)
            _add(terms, terms_of(member.objective, x, member.plan))
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
    """Adam's state at the next scale, where it would else begin with steps of full length.

    Gradients are smaller there, about as many times as there are more positions.
    """
    slab, plan = here.region, here.plan
    ((m, v),) = state.moments
    ratio = prod(before.region.whole) / prod(slab.whole)

    def over(moment: Tensor, kernel: Kernel) -> Tensor:
        whole = gather(before.plan.group, Patch(moment, before.region))
        finer = plan.new(tuple(start.shape), moment.dtype)
        for channel in range(finer.shape[1]):
            plane = slice(channel, channel + 1)
            finer[:, plane] = resample(whole[:, plane], slab.whole, kernel)[slab.slices]
        return finer if here.free is None else finer.mul_(here.free)

    moments = over(m, "bicubic").mul_(ratio), over(v, "bilinear").mul_(ratio**2)
    return State(
        x=start, learning_rate=learning_rate, best=start, count=state.count, moments=(moments,)
    )
