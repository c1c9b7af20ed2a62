"""`stylize`: make the sample G that minimizes J from a content and its styles."""

from __future__ import annotations

import json
import logging
import signal
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from copy import copy
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from jaxtyping import Float
from torch import Tensor

from impasto import media
from impasto.config.config import Config
from impasto.config.presets import PRESETS
from impasto.errors import MemoryLimitError
from impasto.grids.arrays import Arrays
from impasto.grids.parallel import current_group
from impasto.grids.patch import Values
from impasto.kinds.kind import Style
from impasto.media.pictures.picture import as_pil
from impasto.media.sample import Sample
from impasto.networks import Report
from impasto.runs.origin import Origin, origin_of
from impasto.runs.recipes import recipe_of
from impasto.system.devices import choose_device, device_room, repeatable, tell_device
from impasto.system.interrupts import catch_interrupts
from impasto.system.machine import memory_left, memory_limit
from impasto.system.threads import Team, restore_threads
from impasto.transfer.descent import Callback, Descent, Scales, Stopwatch, restore
from impasto.transfer.folders import memory_to_plan, run_folder
from impasto.transfer.kept import Kept
from impasto.transfer.network import network_for
from impasto.transfer.opening import SampleLike, list_styles, open_inputs
from impasto.transfer.scales import grids
from impasto.transfer.setup import FOR_ARRAYS, Setup
from impasto.transfer.start import settle_start

if TYPE_CHECKING:
    from PIL.Image import Image

logger = logging.getLogger(__name__)


@dataclass(frozen=True)
class Result:
    """The result of a run.

    Attributes:
        sample: G, with the content's metadata.
        value: J(G) at the last scale of the run, before the content's chroma is restored.
        terms: the content, style and tv terms of J; their sum is `value`.
        seconds: the time that the run took.
        timings: seconds by phase, in order; their sum is `seconds`.
        finished: False if the run was interrupted.
        diverged: True if J rose over the run, for example because the learning rate is too high.
        checkpoints_lost: True if the run folder could not be written to the end, so that the run
            cannot be resumed from this point.
        recipe: the settings, as `save` writes them into the metadata of a file.

    Example:
        >>> import impasto
        >>> content, style = np.random.default_rng(0).random((2, 48, 64, 3))
        >>> result = impasto.stylize(content, style, impasto.configure(size=64, steps=2))
        >>> result.numpy().shape
        (48, 64, 3)
        >>> result.save("out.png")
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
        """Writes the sample; the suffix of the path chooses the format.

        If writing fails, no partial file is left behind.

        Raises:
            MissingExtraError: the library for the format is not installed.
            OutputError: the format is unknown or cannot hold the sample, or the file cannot be
                written.
        """
        media.save(self.sample, Path(path), json.dumps(self.recipe))

    def numpy(self) -> np.ndarray:
        """Returns the values as float32, shape (*space, channel).

        A picture has values in [0, 1]; a signal or a volume keeps the content's units.
        """
        return np.moveaxis(self.sample.data, 0, -1)

    def pil(self) -> Image:
        """Returns the picture as a PIL image of mode RGB or RGBA, 8 bits a channel, in sRGB.

        Raises:
            MissingExtraError: Pillow is not installed.
            SampleError: the sample is not a picture.
        """
        image: Image = as_pil(self.sample)
        return image

    def tensor(self) -> Float[Tensor, "channel *space"]:
        """Returns the values as float32, shape (channel, *space), in the range of `numpy`."""
        return torch.from_numpy(self.sample.data)


class Stylizer:
    """Stylizes many contents with the same settings and styles.

    Between calls it keeps the network, the styles as they were opened and, for the result of one
    pass, what was measured on them. Each call gives what `stylize` gives, byte for byte.

    Several threads may call it at once. The last bits of a result depend on PyTorch's number of
    threads, so set `threads`, or OMP_NUM_THREADS, where the bytes have to be the same.

    A style that is a file is read when it is first needed; that the file changes afterwards is not
    noticed. A network that is calibrated on its samples is calibrated anew for each content.

    Args:
        config: the settings; None takes the preset "standard".
        styles: one style or several, as for `stylize`.
        networks: where networks are kept; stylizers with other styles may share it. None keeps
            them in this stylizer.
        most: how many opened styles and measurements are kept, at most; more where there are more
            styles.

    Example:
        >>> import impasto
        >>> one, other, style = np.random.default_rng(0).random((3, 48, 64, 3))
        >>> stylizer = impasto.Stylizer(impasto.configure(size=64, steps=2), style)
        >>> [stylizer(content).sample.space for content in (one, other)]
        [(48, 64), (48, 64)]
    """

    def __init__(
        self,
        config: Config | None,
        styles: SampleLike | Sequence[SampleLike],
        *,
        networks: Kept | None = None,
        most: int = 32,
    ) -> None:
        self.config = config or PRESETS["standard"]
        self.styles = list_styles(styles)
        self.networks = networks or Kept(min(4, most))
        self.kept = Kept(most)

    def with_settings(self, config: Config) -> Stylizer:
        """Returns a stylizer with other settings for the guidance, the objective and the size.

        Both share the network and the styles; the leads of signals have to be the same.
        """
        other = copy(self)
        other.config = config
        return other

    @restore_threads()
    def __call__(
        self,
        content: SampleLike,
        *,
        run: str | Path | None = None,
        origin: Origin | None = None,
        callback: Callback | None = None,
        download: Report | None = None,
    ) -> Result:
        """Makes the sample G that minimizes J(G) for a content.

        The arguments, the result and the errors are those of `stylize`.
        """
        config = self.config
        origin = origin or origin_of(content, self.styles, config)
        watch = Stopwatch()
        team = Team(config.engine.threads)
        with ExitStack() as ending:
            ending.enter_context(_memory_errors())
            setup, scales = prepare(content, self.styles, config, download, self)
            folder = run_folder(run, origin, setup, ending)
            resumed = folder.latest() if folder else None
            if folder:
                folder.go_on(resumed.step if resumed else 0)
            if resumed:
                setup = replace(setup, memory=memory_to_plan(setup, resumed, scales))
                team.before = resumed.scalars.get("threads", 0)
            watch.lap("load")
            tell_device(config.engine.device, setup.device)
            ending.enter_context(repeatable(setup.device, tf32=config.engine.precision == "tf32"))
            with catch_interrupts(signal.SIGINT) as interrupts:
                descent = Descent(setup, scales, folder, resumed, team, interrupts)
                del resumed  # frees its arrays once the optimizer has copied them
                g, terms = descent.run(watch, callback)
                sample = finished_sample(setup, g)
            watch.lap("result")
            return _result(descent, sample, terms, watch, origin)


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
    """Makes the sample G that minimizes J(G): the content of one sample in the style of others.

    J(G) = alpha J_content(C, G) + beta J_style(S, G) + gamma TV(G), as in Gatys, Ecker and Bethge
    2016, "Image style transfer using convolutional neural networks", equation 7. The TV term is an
    addition; most presets do without it.

    Ctrl-C ends the run after the step at hand: the G so far is returned, with `finished` False, and
    a run folder gets a checkpoint. Before the first step, or if pressed twice, Ctrl-C raises
    KeyboardInterrupt. If the run folder can no longer be written, the run warns and goes on, and
    the result has `checkpoints_lost`.

    If torchrun starts several processes, they share the sample. Each calls this function with the
    same arguments and gets the whole result.

    Args:
        content: a path, the bytes of a file, an open binary file, a Sample, a PIL image, a NumPy
            picture of shape (height, width) or (height, width, channel), or a tensor of shape
            (channel, height, width). Integers are colors from 0 to the largest of their type,
            floats are colors in [0, 1].
        styles: one style or several, in the same forms. A folder stands for all pictures in it.
        config: the settings; None takes the preset "standard".
        run: a folder for checkpoints. If it already holds checkpoints of the same run, that run
            goes on from the last one.
        origin: what the run folder records as the origin of the run; None records this call.
        callback: called after each step. It ends the run by returning False.
        download: called with the bytes done and the total bytes while weights are downloaded.

    Returns:
        G and the values of J.

    Raises:
        InputError: an input or a setting cannot be used.
        KeyboardInterrupt: the run was interrupted before its first step, or twice.
        NumericalError: J stays non-finite.
        OutputError: the run folder cannot be made.
        ProcessError: another process that shares the sample has ended.

    Example:
        >>> import impasto
        >>> content, style = np.random.default_rng(0).random((2, 48, 64, 3))
        >>> config = impasto.configure(size=64, steps=2, beta=10)
        >>> result = impasto.stylize(content, style, config)
        >>> result.sample.space, result.finished
        ((48, 64), True)
    """
    stylizer = Stylizer(config, styles, most=0)
    return stylizer(content, run=run, origin=origin, callback=callback, download=download)


def _result(
    descent: Descent, sample: Sample, terms: dict[str, float], watch: Stopwatch, origin: Origin
) -> Result:
    """Collects the result of a run and warns if the run has diverged."""
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
    """Converts G of any scale to the sample that a run returns, on the content's grid."""
    return restore(setup, setup.units.over(g, setup.units.content.space, setup.arrays.new))


def prepare(
    content: SampleLike,
    styles: SampleLike | Sequence[SampleLike],
    config: Config,
    download: Report | None = None,
    stylizer: Stylizer | None = None,
) -> tuple[Setup, Scales]:
    """Opens the inputs and the network of a run and lists its scales.

    The arguments are those of `stylize`. stylizer: keeps what is of the styles and of the network;
    None keeps nothing.
    """
    stylizer = stylizer or Stylizer(config, styles, most=0)
    device = choose_device(config.engine.device)
    arrays, memory = arrays_on(device, config.engine.memory)
    inputs = open_inputs(content, styles, config, arrays, stylizer.kept)
    kind, config = inputs.kind, inputs.config
    config = settle_start(kind, inputs.content, inputs.styles, config)
    prepared = kind.prepare(inputs.content, inputs.styles, inputs.shares, config, arrays.numpy)
    network = network_for(
        *(config, prepared.content, download, prepared.styles, kind, device),
        networks=stylizer.networks,
    )
    fitted, fitted_styles = kind.fit(prepared.content, prepared.styles, network)
    if config.schedule.init == "linear" and kind.filters_content:
        fitted = kind.linear(fitted, fitted_styles, inputs.shares, config.amount)
    scales = grids(config, network, kind, fitted, fitted_styles)
    units, style_units = kind.units(fitted, fitted_styles, config)
    setup = Setup(
        config=config,
        network=kind.in_units(network, units).to(device),
        kind=kind,
        given=prepared.given,
        units=units,
        styles=[Style(*pair) for pair in zip(fitted_styles, style_units, strict=True)],
        guides=prepared.guides,
        memory=memory,
        arrays=arrays,
        group=current_group(),
        limit=memory_limit(config.engine.memory if device.type == "cpu" else "auto"),
        kept=stylizer.kept,
        networks=stylizer.networks,
    )
    return setup, scales


def arrays_on(device: torch.device, setting: str) -> tuple[Arrays, float]:
    """Returns what allocates the arrays of a run, and the bytes that the run plans with.

    Args:
        device: where the run computes.
        setting: the setting `memory`, which counts on the device.
    """
    if device.type == "cpu":
        memory = memory_left(memory_limit(setting))
        return Arrays(FOR_ARRAYS * memory), memory
    beside, memory = memory_left(memory_limit("auto")), device_room(device, setting)
    room = FOR_ARRAYS * memory
    return Arrays(FOR_ARRAYS * beside, device=device, device_room=room), memory


@contextmanager
def _memory_errors() -> Iterator[None]:
    """Raises MemoryLimitError where a device has no room for what cannot be cut into tiles."""
    try:
        yield
    except torch.OutOfMemoryError as error:
        raise MemoryLimitError(
            subject="--memory",
            expected="room on the device for the network and what a run begins and ends with",
            found=str(error).splitlines()[0],
            remedy="free memory of the device, or pass --device cpu or a smaller --memory",
        ) from error
