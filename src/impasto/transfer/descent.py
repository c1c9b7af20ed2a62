"""The steps of a run over all scales: its progress, its checkpoints and how it ends."""

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
from impasto.errors import MemoryLimitError, amount
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
"""A run has diverged if J at the end is more than this many times J at the beginning.

Measured ratios: 0.2 to 0.7 after 20 steps; up to 1.6 if the run ends after its first steps, which
are rough with Adam; 4 and more with a learning rate of 10.
"""

SMALL = 0.01
"""A J below this is small: steps from a G that is right already end there."""

FEWEST = 3
"""A run with fewer steps counts as not diverged. If the content is the style, J begins near 0, and
any first step raises it.
"""

LEAST_MEMORY = 1e6
"""Bytes below which no plan needs less memory than the one before."""

Scales = list[tuple[Space, int]]
"""The grids of a run, coarse to fine, each with its number of steps."""


@dataclass(frozen=True)
class Progress:
    """One step of a run, as a callback receives it.

    Attributes:
        scale: the number of the scale, from 1 to `scales`.
        scales: the number of scales in the run.
        space: the grid of this scale, in positions along each axis.
        step: the number of the step, counted over all scales, from 1 to `steps`.
        steps: the number of steps in the run.
        value: J(G).
        terms: the content, style and tv terms; their sum is `value`.
        seconds: the time since the run began.
        note: a message for the user about this step; usually empty.
        g: G at this step, shape (1, channel, *space), on the device of the run or in memory. It is
            valid only while the callback runs: the next step overwrites it.
        sample: a function that returns G as a sample, at this scale. It is valid only while the
            callback runs.

    Example:
        >>> def show(progress: Progress) -> None:
        ...     print(f"{progress.step}/{progress.steps}: J = {progress.value:.3g}")
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
        """Returns all fields that JSON can hold: all but `g` and `sample`."""
        return {f.name: getattr(self, f.name) for f in fields(self) if f.repr}


Callback = Callable[[Progress], bool | None]
"""A function that receives each step. The run ends after a step for which it returns False or
raises KeyboardInterrupt."""


class Stopwatch:
    """Measures the time since its creation and the time of each named lap.

    Attributes:
        laps: seconds by the name of the lap; laps of the same name add up.
    """

    def __init__(self) -> None:
        self.began = self.last = time.perf_counter()
        self.laps: dict[str, float] = {}

    @property
    def seconds(self) -> float:
        """The seconds since the creation."""
        return time.perf_counter() - self.began

    def lap(self, name: str) -> None:
        """Adds the time since the last lap to the lap of this name."""
        now = time.perf_counter()
        self.laps[name] = self.laps.get(name, 0.0) + now - self.last
        self.last = now


class Descent:
    """Takes the steps that minimize J, over all scales.

    Several processes that share a sample all stop at the same step, even if only one of them is
    interrupted.

    Attributes:
        folder: the run folder for checkpoints, or None.
        resumed: the checkpoint from which the run goes on; None once its scale has begun.
        team: the threads.
        interrupts: the signals that end the run early.
        scale: the scale at work; None before the first step and after the last.
        done: the number of steps taken over the whole run.
        finished: whether the run took all of its steps.
        before: J at the first step of the run and J at the first step of the current scale.
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
        """Takes the steps and returns the final G and its terms of J.

        Raises:
            KeyboardInterrupt: the run was interrupted before its first step.
        """
        try:
            self.finished = self._run_scales(watch, callback)
        except Interrupted:
            raise
        except KeyboardInterrupt:  # another program's handler raised it in the middle of a step
            if self.scale is None or self.scale.torn or self.setup.group.size > 1:
                raise
            watch.lap(f"steps {_grid_name(self.scale.space)}")
        scale, self.scale = self.scale, None  # frees its arrays for the work that follows
        assert scale is not None
        return scale.finished()

    def diverged(self, value: float) -> bool:
        """Returns whether J has risen by more than the factor RISE. value: J at the end."""
        return self.done >= FEWEST and value > RISE * min(self.before, default=math.inf) + SMALL

    def _run_scales(self, watch: Stopwatch, callback: Callback | None) -> bool:
        """Takes the steps of all scales; returns False if something ended the run early."""
        goes_on = True
        for number, (space, _) in enumerate(self.scales[self.first - 1 :], start=self.first):
            layers = self.setup.config.objective.layers
            self.team.take(worth_threads(self.setup.network, space, layers))
            here: Scale | None = None
            while True:
                try:
                    here = self._begun(space, here)
                    self.resumed = None
                    watch.lap(f"targets {_grid_name(space)}")
                    goes_on = self._run_scale(number, here, watch, callback)
                    break
                except torch.OutOfMemoryError as error:
                    self._check_again(here, error)
                # Here, where the error no longer holds the arrays of what was being computed.
                self.setup = self.setup.with_half_the_memory()
            watch.lap(f"steps {_grid_name(space)}")
            if not goes_on:
                break
        self._agree_on_stop(False)  # tells all processes if one could not write the last checkpoint
        return goes_on

    def _begun(self, space: Space, here: Scale | None) -> Scale:
        """Begins a scale, or plans one again whose work has not fitted on the device.

        Args:
            space: the grid of the scale.
            here: the scale that has begun; None to begin it.
        """
        if here:
            here.plan_again(self.setup)
            return here
        return Scale.begin(self.setup, space, self.scale, self.resumed)

    def _check_again(self, here: Scale | None, error: torch.OutOfMemoryError) -> None:
        """Raises an error if a scale cannot go on in less of the device's memory."""
        if self.setup.memory < LEAST_MEMORY:
            raise error
        if self.setup.group.size == 1 and (here is None or here.intact):
            return
        raise MemoryLimitError(
            subject="--memory",
            expected=f"work that fits into the memory of {self.setup.device}",
            found=str(error).splitlines()[0],
            remedy=f"pass --memory {amount(self.setup.memory / 2)}, or a smaller --size",
        ) from error

    def _run_scale(
        self, number: int, here: Scale, watch: Stopwatch, callback: Callback | None
    ) -> bool:
        """Takes the steps of one scale; returns False if something ended the run early.

        number: the number of the scale, from 1.
        """
        before = sum(count for _, count in self.scales[: number - 1])
        count = self.scales[number - 1][1]
        for step in here.steps(count):
            self.scale, self.done = here, before + here.taken
            self.interrupts.stepped = True
            if not self.before or here.taken == 1:
                self.before = (*self.before[:1], step.evaluation.value)
            progress = self._progress(number, here, step, watch.seconds)
            if self.folder:
                self.folder.tell(progress.line())
            stop, due = self._agree_on_stop(_asks_to_stop(callback, progress))
            if stop or due or here.taken == count:
                self._save_checkpoint(number, here, ended=False)
            if stop:
                return False
        if self.scale is here and here.taken < count:
            self._save_checkpoint(number, here, ended=True)
        # L-BFGS ends a scale early, even before its first step, if G is already optimal.
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

    def _agree_on_stop(self, stop: bool) -> tuple[bool, bool]:
        """Returns whether the run ends here and whether a checkpoint is due.

        All processes get the same answer. Any process may end the run; the clock of the first one
        decides when a checkpoint is due. If one process cannot write its part of a checkpoint, all
        of them stop writing, because the other parts are useless without it.
        """
        folder, group = self.folder, self.setup.group
        due = folder is not None and group.rank == 0 and folder.due()
        lost = folder is not None and folder.lost
        flags = torch.tensor([stop or self.interrupts.pending, due, lost], dtype=torch.float64)
        stop, due, lost = (count > 0 for count in group.total(flags).tolist())
        if folder and lost:
            folder.lose("another process could not write its part of a checkpoint")
        return stop, due

    def _save_checkpoint(self, number: int, here: Scale, *, ended: bool) -> None:
        """Writes a checkpoint.

        number: the number of the scale, from 1. ended: whether the scale ended early, before it
        took all of its steps.
        """
        if self.folder:
            numbers: dict[str, Any] = {"scale": number, "ended": ended, "before": self.before}
            numbers |= {"memory": here.setup.memory, "threads": self.team.most}
            numbers["device"] = str(here.setup.device)
            self.folder.save(self.done, here.tensors(), here.scalars() | numbers)


def restore(setup: Setup, g: Values) -> Sample:
    """Converts G, on the grid of any scale, to a sample like the given content.

    The sample has the content's kind, units, rate and colors, as the configuration asks.
    """
    sample = setup.units.sample(g, setup.arrays)
    return setup.kind.restore(sample, setup.given, setup.config, setup.arrays.numpy)


def _sample(scale: Scale) -> Sample:
    return restore(scale.setup, scale.whole())


def _asks_to_stop(callback: Callback | None, progress: Progress) -> bool:
    """Calls the callback; returns whether it asks the run to stop."""
    try:
        return callback is not None and callback(progress) is False
    except Interrupted:
        raise
    except KeyboardInterrupt:
        return True


def _grid_name(space: Space) -> str:
    return " x ".join(map(str, space))
