"""stylize: from a content and its styles to the sample that minimizes J, coarse to fine."""

from __future__ import annotations

import json
import logging
import signal
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from impasto import media
from impasto.config.config import Config
from impasto.config.presets import PRESETS
from impasto.grids.arrays import Arrays
from impasto.grids.parallel import current_group
from impasto.grids.patch import Values
from impasto.kinds.kind import Style
from impasto.media.pictures.picture import as_pil
from impasto.media.sample import Sample
from impasto.networks import Report
from impasto.runs.checkpoints import Checkpoint
from impasto.runs.folder import RunFolder, check_no_strangers
from impasto.runs.holding import hold
from impasto.runs.origin import Origin, file_hash, fingerprint, origin_of, settings_files
from impasto.runs.recipes import recipe_of
from impasto.system.interrupts import catch_interrupts
from impasto.system.machine import memory_left, memory_limit
from impasto.system.threads import Team, restore_threads
from impasto.transfer.descent import Callback, Descent, Scales, Stopwatch, restore
from impasto.transfer.network import network_for
from impasto.transfer.opening import SampleLike, open_inputs
from impasto.transfer.scales import grids
from impasto.transfer.setup import FOR_ARRAYS, Setup
from impasto.version import __version__

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """What a run came to.

    sample: G, with the content's metadata. value, terms: J of G at the last scale reached, and its
    parts; a `color` that keeps the content's chroma gives it to the sample after that. seconds:
    the run's time. timings: where it went, in order, the parts adding up to it. finished: False
    when it was interrupted. diverged: whether J has come to more than it began with, as by too high
    a learning rate. checkpoints_lost: whether the run's folder could not be written any
    more, so that only this is left of the run. recipe: the settings, as kept in the saved file's
    metadata.
    """

    sample: Sample
    value: float
    terms: dict[str, float]
    seconds: float
    timings: dict[str, float]
    finished: bool
    diverged: bool
    checkpoints_lost: bool
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


@restore_threads()
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
    Ctrl-C ends the run with the step at hand, which goes into a checkpoint where there is a folder:
    what it has is returned, with `finished` False. Before the first step, or pressed twice, it
    raises KeyboardInterrupt. A folder that cannot be written any more is a warning, and
    `checkpoints_lost`.

    Started by torchrun, the processes share the sample; each calls this with the same arguments,
    and each gets the whole result.
    Raises InputError for what cannot be used, NumericalError when J stays non-finite.
    """
    config = config or PRESETS["standard"]
    origin = origin or origin_of(content, styles, config)
    watch = Stopwatch()
    team = Team(config.engine.threads)
    with ExitStack() as ending:
        setup, scales = prepare(content, styles, config, download)
        folder = _run_folder(run, origin, setup, ending)
        resumed = folder.latest() if folder else None
        if folder:
            folder.go_on(resumed.step if resumed else 0)
        if resumed:
            setup = replace(setup, memory=_as_before(setup.memory, resumed, scales))
            team.before = resumed.scalars.get("threads", 0)
        watch.lap("load")
        with catch_interrupts(signal.SIGINT) as interrupts:
            descent = Descent(setup, scales, folder, resumed, team, interrupts)
            del resumed  # and with it arrays that the optimizer lets go of
            g, terms = descent.run(watch, callback)
            sample = finished_sample(setup, g)
        watch.lap("result")
        return _result(descent, sample, terms, watch, origin)


def _result(
    descent: Descent, sample: Sample, terms: dict[str, float], watch: Stopwatch, origin: Origin
) -> Result:
    """What the run came to; a warning where it has diverged."""
    setup, folder, value = descent.setup, descent.folder, sum(terms.values())
    diverged = descent.diverged(value)
    if diverged and setup.group.rank == 0:
        logger.warning(
            "the run diverged: J rose from %.3g to %.3g; lower --learning-rate",
            min(descent.before),
            value,
        )
    return Result(
        sample=sample,
        value=value,
        terms=terms,
        seconds=sum(watch.laps.values()),
        timings=watch.laps,
        finished=descent.finished,
        diverged=diverged,
        checkpoints_lost=folder is not None and folder.lost,
        recipe=recipe_of(origin, setup.config, value, descent.done, finished=descent.finished),
    )


def finished_sample(setup: Setup, g: Values) -> Sample:
    """G of any scale over the content's grid, as the sample that a run gives."""
    return restore(setup, setup.units.over(g, setup.units.content.space, setup.arrays.new))


def prepare(
    content: SampleLike,
    styles: SampleLike | Sequence[SampleLike],
    config: Config,
    download: Report | None = None,
) -> tuple[Setup, Scales]:
    """What a run needs before its first step, its settings completed; arguments as of `stylize`."""
    memory = memory_left(memory_limit(config.engine.memory))
    arrays = Arrays(FOR_ARRAYS * memory)
    inputs = open_inputs(content, styles, config, arrays)
    kind, config = inputs.kind, inputs.config
    prepared = kind.prepare(inputs.content, inputs.styles, inputs.shares, config, arrays.numpy)
    network = network_for(config, prepared.content, download, prepared.styles, kind)
    seen, brought = kind.fit(prepared.content, prepared.styles, network)
    scales = grids(config, network, kind, seen, brought)
    units, style_units = kind.units(seen, brought, config)
    setup = Setup(
        config=config,
        network=kind.in_units(network, units),
        kind=kind,
        given=prepared.given,
        units=units,
        styles=[Style(*pair) for pair in zip(brought, style_units, strict=True)],
        guides=prepared.guides,
        memory=memory,
        arrays=arrays,
        group=current_group(),
    )
    return setup, scales


HOW = ("memory", "threads", "checkpoint_every")
"""Settings that say how a run is done, not what comes of it: it may go on with others."""


def _run_folder(
    run: str | Path | None, origin: Origin, setup: Setup, ending: ExitStack
) -> RunFolder | None:
    """The folder for checkpoints, where one is asked for; this run's alone until the ending."""
    if run is None:
        return None
    check_no_strangers(Path(run))
    ending.enter_context(hold(Path(run), setup.group))
    files = settings_files(setup.config)
    config = asdict(setup.config)
    for name in HOW:
        del config["engine"][name]
    identity = {
        "impasto": __version__,
        "config": config,
        "content": fingerprint(setup.given),
        "styles": [fingerprint(style.sample) for style in setup.styles],
        "shares": [guide.share for guide in setup.guides],
        "files": {role: file_hash(path) for role, path in files.items()},
        "processes": setup.group.size,
    }
    every = setup.config.engine.checkpoint_every
    return RunFolder(Path(run), origin, identity, setup.group, every)


def _as_before(memory: float, resumed: Checkpoint, scales: Scales) -> float:
    """The memory that the run began with, of which the plans depend, and with them the last bits;
    what there is now where that is much less."""
    logger.info("going on after step %d of %d", resumed.step, sum(count for _, count in scales))
    before: float = resumed.scalars["memory"]
    if 0.8 * before <= memory:
        return before
    logger.info("less memory is free than when the run began: its last bits may differ")
    return memory
