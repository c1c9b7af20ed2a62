"""stylize: from a content and its styles to the sample that minimizes J, coarse to fine."""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, fields, replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from impasto import media
from impasto.arrays import Arrays
from impasto.colors import colored, recolored
from impasto.config import PRESETS, Config
from impasto.errors import about
from impasto.geometry import Space
from impasto.guidance import guided
from impasto.media.picture import as_pil
from impasto.media.sample import Sample
from impasto.networks import Report
from impasto.origin import Origin, file_hash, fingerprint, origin_of, settings_files
from impasto.parallel import current_group
from impasto.plan import worth_threads
from impasto.prepare import (
    SampleLike,
    configured_network,
    content_size,
    decoded,
    grids,
    in_terms,
    memory_left,
    memory_limit,
    open_sample,
    open_styles,
    shared_out,
)
from impasto.runs import Checkpoint, RunFolder
from impasto.scale import FOR_ARRAYS, Engine, Scale
from impasto.signals import fitted, part, restored
from impasto.spectrograms import heard, spectrograms
from impasto.threads import Team, given_back
from impasto.units import Units, Values
from impasto.version import __version__
from impasto.volumes import counted

logger = logging.getLogger(__name__)

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
"""Called at every step; False ends the run with what it has."""


@dataclass(frozen=True)
class Result:
    """What a run came to.

    sample: G, with the content's metadata. value, terms: J of G at the last scale reached, and its
    parts; a `color` that keeps the content's chroma gives it to the sample after that. seconds:
    the run's time. timings: where it went, in order, the parts adding up to it. finished: False
    when it was interrupted. recipe: the settings, as kept in the saved file's metadata.
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

    def pil(self) -> Any:
        """The picture as a PIL image, RGB or RGBA, in sRGB.

        Raises SampleError where the sample is no picture, MissingExtraError without Pillow.
        """
        return as_pil(self.sample)

    def tensor(self) -> Float[Tensor, "channel *space"]:
        """The values, channels first: float32 (channel, *space)."""
        return torch.from_numpy(self.sample.data)


@given_back()
def stylize(
    content: SampleLike,
    styles: SampleLike | Sequence[SampleLike],
    config: Config | None = None,
    *,
    run: str | Path | None = None,
    origin: Origin | None = None,
    callback: Callback | None = None,
    download: Report | None = None,
) -> Result:
    """The sample G that minimizes J(G): the content of one sample in the style of others.

    content, styles: paths, the bytes of a file or a file that is open, Samples, NumPy pictures
    (height, width[, channel]), tensors (channel, height, width) of uint8 or with values in [0, 1],
    or PIL pictures; one style or several, a folder being all pictures in it.
    run: a folder for checkpoints; where it has some of the same run, that goes on from the last.
    origin: what that folder tells of where the run comes from, if not from this call. callback:
    called at every step; False from it ends the run as Ctrl-C does. download: called with the bytes
    done and in all while weights are fetched.
    Ctrl-C ends the run early: what it has is returned, with `finished` False.

    Started by torchrun, the processes share the sample; each calls this with the same arguments,
    and each gets the whole result.
    Raises InputError for what cannot be used, NumericalError when J stays non-finite.
    """
    watch = _Stopwatch()
    config = config or PRESETS["standard"]
    team = Team(config.engine.threads)
    origin = origin or origin_of(content, styles, config)
    engine, scales = engine_for(content, styles, config, download)
    folder = _run_folder(run, origin, engine)
    resumed = folder.latest() if folder else None
    if folder:
        folder.go_on(resumed.step if resumed else 0)
    if resumed:
        engine = replace(engine, memory=_as_before(engine.memory, resumed, scales))
        team.before = resumed.scalars.get("threads", 0)
    watch.lap("load")
    scale, done, finished = _descend(engine, scales, folder, resumed, team, watch, callback)
    g, terms = scale.whole(), scale.terms()
    del scale  # and with them the optimizer's arrays: what follows needs a few of its own
    recipe = {
        "impasto": __version__,
        "config": asdict(engine.config),
        "value": sum(terms.values()),
        "steps": done,
        "finished": finished,
    }
    sample = finished_sample(engine, g)
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


def engine_for(
    content: SampleLike,
    styles: SampleLike | Sequence[SampleLike],
    config: Config,
    download: Report | None = None,
) -> tuple[Engine, Scales]:
    """What a run needs before its first step, its settings completed; arguments as of `stylize`."""
    memory = memory_left(memory_limit(config.engine.memory))
    arrays = Arrays(FOR_ARRAYS * memory)
    content = decoded(content, "content")
    content = open_sample(content, "content", content_size(content, config), arrays)
    if isinstance(content, media.Signal):
        with about("content"):
            content = part(content, config.signal.leads, config.signal.span)
    config = config.completed(content.dims, len(content.data))
    things, shares = shared_out(styles, config.objective)
    styles = open_styles(things, content, config, arrays)
    content, styles = counted(content, styles, config.volume, config.guidance.mask)
    content, guides = guided(content, styles, shares, config.guidance)
    given = content
    content, styles = colored(content, styles, shares, config.guidance.color, arrays.numpy)
    if config.signal.representation == "spectrogram":
        content, *styles = spectrograms([content, *styles])
    network = configured_network(config, content, download, styles)
    content, *styles = fitted([content, *styles], network)
    scales = grids(config, network, content, styles)
    units, style_units = Units.of_all(content, styles, config.volume.window)
    network = in_terms(network, units)
    group = current_group()
    engine = Engine(
        config, network, given, units, styles, style_units, guides, memory, arrays, group
    )
    return engine, scales


def finished_sample(engine: Engine, g: Values) -> Sample:
    """G, over the grid of any scale, as the sample of the content's kind that a run gives."""
    space = engine.units.content.space
    return _as_given(engine, engine.units.over(g, space, engine.arrays.new))


def _descend(
    engine: Engine,
    scales: Scales,
    folder: RunFolder | None,
    resumed: Checkpoint | None,
    team: Team,
    watch: _Stopwatch,
    callback: Callback | None,
) -> tuple[Scale, int, bool]:
    """The steps of all scales: the last scale that was reached, steps done, whether all were."""
    first = resumed.scalars["scale"] if resumed else 1
    done = sum(count for _, count in scales[: first - 1])
    scale: Scale | None = None
    finished = True
    try:
        for number, (space, count) in enumerate(scales[first - 1 :], start=first):
            name = " x ".join(map(str, space))
            team.take(worth_threads(engine.network, space, engine.config.objective.layers))
            here = engine.scale(space, scale, resumed)
            before, resumed = done, None
            watch.lap(f"targets {name}")
            for step in here.steps(count):
                scale, done = here, before + here.taken
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
                    sample=partial(_sample, here),
                )
                if folder:
                    folder.tell(progress.line())
                    if folder.due() or here.taken == count:
                        _keep(folder, done, number, here, team, ended=False)
                if callback and callback(progress) is False:
                    raise KeyboardInterrupt
            if folder and scale is here and here.taken < count:
                _keep(folder, done, number, here, team, ended=True)
            # L-BFGS may end a scale early, even before its first step: where G is optimal already.
            scale, done = here, before + count
            watch.lap(f"steps {name}")
    except KeyboardInterrupt:
        if scale is None:
            raise
        finished = False
        watch.lap(f"steps {' x '.join(map(str, scale.space))}")
    assert scale is not None
    return scale, done, finished


def _keep(
    folder: RunFolder, done: int, number: int, scale: Scale, team: Team, *, ended: bool
) -> None:
    """Writes the checkpoint of a scale, by its number, after so many steps of the run. ended:
    whether the scale has ended before all of its steps."""
    memory = scale.engine.memory
    numbers = {"scale": number, "memory": memory, "threads": team.most, "ended": ended}
    folder.save(done, scale.tensors(), scale.scalars() | numbers)


def _sample(scale: Scale) -> Sample:
    return _as_given(scale.engine, scale.whole())


def _as_given(engine: Engine, g: Values) -> Sample:
    """G as what was given: sound from its spectrogram, at its own rate; pictures with the content's
    colors, where they are kept."""
    sample = restored(heard(engine.units.sample(g, engine.arrays)))
    return recolored(sample, engine.given, engine.config.guidance.color, engine.arrays.numpy)


def _run_folder(run: str | Path | None, origin: Origin, engine: Engine) -> RunFolder | None:
    """The folder for checkpoints, where one is asked for."""
    if run is None:
        return None
    files = settings_files(engine.config)
    identity = {
        "impasto": __version__,
        "config": asdict(engine.config),
        "content": fingerprint(engine.given),
        "styles": [fingerprint(style) for style in engine.styles],
        "shares": [guide.share for guide in engine.guides],
        "files": {role: file_hash(path) for role, path in files.items()},
        "processes": engine.group.size,
    }
    every = engine.config.engine.checkpoint_every
    return RunFolder(Path(run), origin, identity, engine.group, every)


def _as_before(memory: float, resumed: Checkpoint, scales: Scales) -> float:
    """The memory that the run began with, of which the plans depend, and with them the last bits;
    what there is now where that is much less."""
    logger.info("going on after step %d of %d", resumed.step, sum(count for _, count in scales))
    before: float = resumed.scalars["memory"]
    if 0.8 * before <= memory:
        return before
    logger.info("less memory is free than when the run began: its last bits may differ")
    return memory


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
