"""The steps of a run, scale by scale: what is told and kept of each, and when they end."""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from dataclasses import dataclass, field, fields
from functools import partial
from typing import Any

import torch

from impasto.engine.gradient import Evaluation
from impasto.engine.plan import worth_threads
from impasto.grids.geometry import Space
from impasto.grids.patch import Values
from impasto.media.sample import Sample
from impasto.optimizers.loop import Step
from impasto.runs.checkpoints import Checkpoint
from impasto.runs.folder import RunFolder
from impasto.system.interrupts import Interrupted, Interrupts
from impasto.system.threads import Team
from impasto.transfer.scale import Scale
from impasto.transfer.setup import Setup

RISE = 2.0
"""J at the end over J at the beginning, from which on a run has diverged. Runs of 20 steps end at
0.2 to 0.7, those that are ended after their first steps at up to 1.6 (Adam's are rough), those with
a learning rate of 10 at 4 and more.
"""

FEWEST = 3
"""Steps of a run before it can have diverged: the first one may leave a content that is its style.
"""

Scales = list[tuple[Space, int]]
"""The grids of a run, coarse to fine, and the steps on each."""


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

    def line(self) -> dict[str, Any]:
        """All but the samples, as a line of JSON has it."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.repr}


Callback = Callable[[Progress], bool | None]
"""Told of each step; the run ends with that step where it returns False or raises
KeyboardInterrupt."""


class Stopwatch:
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


class Descent:
    """The way of G down J.

    scale: the last that was reached, on the way. done: steps of the whole run. finished: whether
    none is left. folder, resumed: where checkpoints go, and the one to go on from. team: the
    threads. interrupts: what ends it early; of processes that share the sample, one that is told
    to ends all at the same step. before: J where the run began and where its last scale did.
    """

    def __init__(
        self,
        setup: Setup,
        scales: Scales,
        folder: RunFolder | None,
        resumed: Checkpoint | None,
        team: Team,
        interrupts: Interrupts,
    ) -> None:
        self.setup, self.scales, self.folder = setup, scales, folder
        self.resumed, self.team, self.interrupts = resumed, team, interrupts
        self.first = resumed.scalars["scale"] if resumed else 1
        self.done = sum(count for _, count in scales[: self.first - 1])
        self.scale: Scale | None = None
        self.finished = False
        self.before: tuple[float, ...] = tuple(resumed.scalars["before"]) if resumed else ()

    def run(self, watch: Stopwatch, callback: Callback | None) -> tuple[Values, dict[str, float]]:
        """Takes the steps; the G that they came to, and the terms of J there.

        Raises KeyboardInterrupt where there is none.
        """
        try:
            self.finished = self._all(watch, callback)
        except Interrupted:
            raise
        except KeyboardInterrupt:  # of a handler that is not ours, in the midst of a step
            if self.scale is None or self.scale.torn or self.setup.group.size > 1:
                raise
            watch.lap(f"steps {_name(self.scale.space)}")
        scale, self.scale = self.scale, None  # its arrays go: what follows needs a few of its own
        assert scale is not None
        return scale.whole(), scale.terms()

    def diverged(self, value: float) -> bool:
        """Whether J has come to more than it was before, by the first rough steps at least."""
        return self.done >= FEWEST and value > RISE * min(self.before, default=math.inf) + 1e-3

    def _all(self, watch: Stopwatch, callback: Callback | None) -> bool:
        """The steps of all scales; whether no one ended them."""
        goes_on = True
        for number, (space, _) in enumerate(self.scales[self.first - 1 :], start=self.first):
            layers = self.setup.config.objective.layers
            self.team.take(worth_threads(self.setup.network, space, layers))
            here = Scale.begin(self.setup, space, self.scale, self.resumed)
            self.resumed = None
            watch.lap(f"targets {_name(space)}")
            goes_on = self._steps(number, here, watch, callback)
            watch.lap(f"steps {_name(space)}")
            if not goes_on:
                break
        self._agree(False)  # on the last checkpoint
        return goes_on

    def _steps(self, number: int, here: Scale, watch: Stopwatch, callback: Callback | None) -> bool:
        """Those of a scale, by its number; whether the run goes on after them."""
        before, count = self.done, self.scales[number - 1][1]
        for step in here.steps(count):
            self.scale, self.done = here, before + here.taken
            self.interrupts.stepped = True
            if not self.before or here.taken == 1:
                self.before = (*self.before[:1], step.evaluation.value)
            progress = self._progress(number, here, step, watch.seconds)
            if self.folder:
                self.folder.tell(progress.line())
            stop, due = self._agree(_ends(callback, progress))
            if stop or due or here.taken == count:
                self._keep(number, here, ended=False)
            if stop:
                return False
        if self.scale is here and here.taken < count:
            self._keep(number, here, ended=True)
        # L-BFGS may end a scale early, even before its first step: where G is optimal already.
        self.scale, self.done = here, before + count
        return True

    def _progress(
        self, number: int, here: Scale, step: Step[Evaluation], seconds: float
    ) -> Progress:
        return Progress(
            scale=number,
            scales=len(self.scales),
            space=here.space,
            step=self.done,
            steps=sum(count for _, count in self.scales),
            value=step.evaluation.value,
            terms=step.evaluation.terms,
            seconds=seconds,
            note=step.note,
            g=step.sample,
            sample=partial(_sample, here),
        )

    def _agree(self, stop: bool) -> tuple[bool, bool]:
        """Whether the run ends here, and whether a checkpoint is due: the same for all processes.

        Any of them may end it; the first one has the clock. What one could not write is of no use
        to the others: then none writes more.
        """
        folder, group = self.folder, self.setup.group
        due = folder is not None and group.rank == 0 and folder.due()
        lost = folder is not None and folder.lost
        flags = torch.tensor([stop or self.interrupts.pending, due, lost], dtype=torch.float64)
        stop, due, lost = (count > 0 for count in group.total(flags).tolist())
        if folder and lost:
            folder.lose("another process could not write its part of a checkpoint")
        return stop, due

    def _keep(self, number: int, here: Scale, *, ended: bool) -> None:
        """Writes the checkpoint of a scale, by its number. ended: whether the scale has ended
        before all of its steps."""
        if self.folder:
            numbers: dict[str, Any] = {"scale": number, "ended": ended, "before": self.before}
            numbers |= {"memory": here.setup.memory, "threads": self.team.most}
            self.folder.save(self.done, here.tensors(), here.scalars() | numbers)


def restore(setup: Setup, g: Values) -> Sample:
    """G, over the grid of any scale, as a sample of the content's kind, brought back into what was
    given."""
    sample = setup.units.sample(g, setup.arrays)
    return setup.kind.restore(sample, setup.given, setup.config, setup.arrays.numpy)


def _sample(scale: Scale) -> Sample:
    return restore(scale.setup, scale.whole())


def _ends(callback: Callback | None, progress: Progress) -> bool:
    """Whether what is told of the step ends the run with it."""
    try:
        return callback is not None and callback(progress) is False
    except Interrupted:
        raise
    except KeyboardInterrupt:
        return True


def _name(space: Space) -> str:
    return " x ".join(map(str, space))
