"""One scale of a run: J on its grid, the optimizer's steps and the average of G."""

from __future__ import annotations

import math
from collections.abc import Iterator
from functools import partial
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.engine.ensemble import Ensemble, carry_state
from impasto.engine.gradient import Evaluation
from impasto.grids.geometry import Space
from impasto.grids.parallel import broadcast, gather
from impasto.grids.patch import Patch, Values, give_back
from impasto.grids.refine import refine_g
from impasto.optimizers.adam import adam
from impasto.optimizers.gradient_descent import gradient_descent
from impasto.optimizers.lbfgs import lbfgs
from impasto.optimizers.loop import (
    Precondition,
    State,
    Step,
    allocator,
    blocks,
    dot,
    identity,
    plain,
)
from impasto.runs.checkpoints import Checkpoint
from impasto.transfer.setup import Setup
from impasto.transfer.start import coordinates, finished, first_g

_LEAST_FALL = 1e-3
"""J has fallen if it is lower than its lowest value so far by at least this fraction."""


class Scale:
    """Runs the optimizer at one scale and averages G.

    Adam circles around the minimum, and the average of its steps lies nearer to it. The other two
    optimizers descend steadily, so their last step is the result.

    Attributes:
        space: the positions along each axis of the whole grid, over all processes.
        start: this process's part of G when the scale began, shape (1, channel, *space).
        decay: the decay of the running average of G; 0 takes the last G.
        average: the running average of this process's part of G.
        weight: the sum of the weights in `average`; 0 before the first step.
        taken: the number of steps taken at this scale.
        torn: True while `average` is being updated, so that an interrupt leaves it unusable.
        evaluating: True while J is being computed, which leaves everything else as it was.
        lowest: the lowest J so far.
        stale: the number of steps since J last fell.
        state: the optimizer's state after the last step.
    """

    def __init__(self, setup: Setup, ensemble: Ensemble, start: Values) -> None:
        self.setup, self.ensemble = setup, ensemble
        self.group, self.new = ensemble.plan.group, ensemble.plan.new
        self.space, self.start = ensemble.region.whole, start
        config = setup.config
        self.decay = config.schedule.average if config.optimizer.optimizer == "adam" else 0.0
        self.average = self.new(tuple(start.shape), start.dtype).zero_()
        self.weight = 0.0
        self.taken, self.torn, self.evaluating = 0, False, False
        self.lowest, self.stale = math.inf, 0
        self.state: State | None = None

    @classmethod
    def begin(
        cls, setup: Setup, space: Space, before: Scale | None, resumed: Checkpoint | None
    ) -> Scale:
        """Begins a scale: from a checkpoint, from the scale before, or from the first G.

        Args:
            setup: what all scales share.
            space: the grid of this scale.
            before: the scale before; None for the first.
            resumed: the checkpoint to go on from; None to begin the scale.

        Raises:
            ConfigError: the checkpoint belongs to another grid.
        """
        give_back()  # frees the memory of the scale before
        _, slab = setup.slab(space)
        if resumed:
            resumed.check_shape((1, len(setup.units.content.data), *slab.space))
            ensemble = setup.ensemble(space, resumed.tensors.get("start"))
            return cls.resumed(setup, ensemble, resumed)
        if before:
            g = before.whole()
            if before.group is not setup.group:
                g = broadcast(setup.group, g)
            g = _refine(setup, g, space)
        else:
            g = first_g(setup, space)
        if (free := setup.units.free(space, g.device)) is not None:
            g = torch.where(free, g, setup.units.values(setup.units.content, space, allocator(g)))
        start = g[slab.slices].contiguous()
        scale = cls(setup, setup.ensemble(space, start), start)
        settings = setup.config.optimizer
        if before and before.state and settings.optimizer == "adam":
            ensembles = before.ensemble, scale.ensemble
            scale.state = carry_state(before.state, *ensembles, start, settings.learning_rate)
        return scale

    @classmethod
    def resumed(cls, setup: Setup, ensemble: Ensemble, checkpoint: Checkpoint) -> Scale:
        """Rebuilds the scale that a checkpoint describes."""
        tensors, scalars = checkpoint.copied(setup.arrays.new), checkpoint.scalars
        average, start = tensors.pop("average"), tensors.pop("start", None)
        state = State.rebuilt(tensors, scalars["state"])
        scale = cls(setup, ensemble, state.x if start is None else start)
        scale.average, scale.state = average, state
        scale.weight, scale.taken = scalars["weight"], scalars["taken"]
        scale.lowest, scale.stale = scalars["lowest"], scalars["stale"]
        return scale

    def plan_again(self, setup: Setup) -> None:
        """Plans and builds J anew for another setup; the scale stays where it stands."""
        self.setup = setup
        self.__dict__.pop("ensemble", None)  # frees its arrays before new ones are made
        self.ensemble = setup.ensemble(self.space, self.start)

    @property
    def intact(self) -> bool:
        """Whether the scale could go on if its work ended here."""
        return not self.torn and (self.evaluating or self.state is None)

    def steps(self, count: int) -> Iterator[Step[Evaluation]]:
        """Takes the steps that are left of `count`; each one is valid until the next.

        The scale ends early if J has not fallen for `patience` steps.
        """
        patience = self.setup.config.schedule.patience
        loop = self._loop(count)
        while self.taken < count and not self._out_of_patience(patience):
            if (step := next(loop, None)) is None:
                return
            # The optimizer retreats from a step to non-finite values; the average leaves it out.
            finite = math.isfinite(self._inner(step.state.x, step.state.x))
            self.torn = True
            self.weight = self.decay * self.weight + 1 - self.decay
            share = (1 - self.decay) / self.weight  # so that a constant G averages to itself
            following = step.state.x if finite else step.sample
            for average, x in blocks(self.average, following):
                average.lerp_(x.to(average.device), share)
            self.taken += 1
            self.stale += 1
            if step.evaluation.value < (1 - _LEAST_FALL) * self.lowest:
                self.lowest, self.stale = step.evaluation.value, 0
            self.state, self.torn = step.state, False
            yield step

    def _out_of_patience(self, patience: int) -> bool:
        """Returns whether J has not fallen for `patience` steps; 0 waits for ever.

        The first process decides for all: each process computes a small scale by itself, and the
        last bits of J may differ between them.
        """
        if not patience:
            return False
        stale = torch.tensor([float(self.stale >= patience and self.setup.group.rank == 0)])
        return bool(self.setup.group.total(stale))

    def whole(self) -> Values:
        """Returns the average of G over the whole grid, clipped to its range."""
        own = self._own_average()
        return gather(self.group, Patch(own, self.ensemble.region))

    def finished(self) -> tuple[Values, dict[str, float]]:
        """Returns G as the run returns it, over the whole grid, and the terms of J there."""
        own = self._own_average()
        g = gather(self.group, Patch(own, self.ensemble.region))
        final = finished(self.setup, g)
        if final is not g:
            own = final[self.ensemble.region.slices].contiguous()
        return final, self.ensemble.terms(own)

    def tensors(self) -> dict[str, Tensor]:
        """Returns the arrays of a checkpoint, by name."""
        assert self.state is not None
        arrays = self.state.tensors() | {"average": self.average}
        if (
            self.setup.config.objective.nearest_layers
        ):  # a resumed run matches positions to it again
            arrays["start"] = self.start
        return arrays

    def scalars(self) -> dict[str, Any]:
        """Returns the numbers of a checkpoint, by name."""
        assert self.state is not None
        return {
            "taken": self.taken,
            "weight": self.weight,
            "lowest": self.lowest,
            "stale": self.stale,
            "state": self.state.scalars(),
        }

    def _own_average(self) -> Values:
        """Returns this process's part of the average, clipped to its range."""
        if not self.weight:
            return self.start
        own = self.new(tuple(self.average.shape), self.average.dtype)
        for clipped, average in blocks(own, self.average):
            clipped.copy_(self.setup.units.clipped(average))
        return own

    def _inner(self, a: Tensor, b: Tensor) -> float:
        """Returns the inner product of two arrays, summed over all processes."""
        total = torch.tensor([dot(a, b)], dtype=torch.float64)
        return self.group.total(total).item()

    def _loop(self, count: int) -> Iterator[Step[Evaluation]]:
        config, settings = self.setup.config, self.setup.config.optimizer
        # The preconditioner favors large forms, so it removes noise slowly unless J has a TV term.
        rough = config.schedule.init == "noise" and not config.objective.gamma
        precondition = plain if rough else self.ensemble.precondition
        loop: Any = {
            "adam": partial(adam, coordinates=self._coordinates()),
            "lbfgs": partial(lbfgs, precondition=precondition),
            "gradient-descent": gradient_descent,
        }[settings.optimizer]

        def evaluate(g: Values) -> Evaluation:
            self.evaluating = True
            seed = config.schedule.seed, *self.space, self.taken
            evaluation = self.ensemble.value_and_grad(g, seed)
            self.evaluating = False
            return evaluation

        steps: Iterator[Step[Evaluation]] = loop(
            evaluate,
            self.start,
            learning_rate=settings.learning_rate,
            decay=settings.annealing ** (1 / max(1, count)),
            inner=self._inner,
            project=self.setup.units.clipped if settings.clip else identity,
            new=self.new,
            state=self.state,
        )
        return steps

    def _coordinates(self) -> Precondition | None:
        """Returns the matrix of Adam's steps, for this process's part of G."""
        whole, region = coordinates(self.setup, self.space), self.ensemble.region
        if whole is None or self.group.size == 1:
            return whole

        def apply(x: Tensor) -> None:
            everything = gather(self.group, Patch(x, region))
            whole(everything)
            x.copy_(everything[region.slices])

        return apply


def _refine(setup: Setup, g: Values, space: Space) -> Float[Tensor, "1 channel *finer"]:
    """Brings G to the next finer grid, with the content's details if the content counts in J."""
    units, new = setup.units, setup.arrays.new
    if not setup.config.objective.alpha:
        return units.over(g, space, new)
    content = units.values(units.content, tuple(g.shape[2:]), new)
    finer = refine_g(g, content, units.values(units.content, space, new))
    for (part,) in blocks(finer):
        part.copy_(units.clipped(part))
    return finer
