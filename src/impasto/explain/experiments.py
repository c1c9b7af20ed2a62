"""`explain`: runs that show what each layer keeps of two pictures, and what each setting does.

They reproduce the first figure of Gatys, Ecker and Bethge 2015 (A neural algorithm of artistic
style) with the user's own pictures, and show the effects of alpha/beta, of the initial G and of the
optimizer. Every run is a call of `stylize` with ordinary settings.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from impasto import media
from impasto.config.config import Config
from impasto.config.presets import configure
from impasto.config.settings import NetworkConfig
from impasto.errors import ConfigError
from impasto.grids.geometry import Region, Space
from impasto.kinds import PICTURE
from impasto.media.looks import as_picture, check_picture_file
from impasto.media.pictures.picture import Picture, open_picture
from impasto.networks import Network, Report
from impasto.networks.stage import INPUT
from impasto.transfer.descent import Callback, Progress
from impasto.transfer.network import network_for
from impasto.transfer.scales import grids
from impasto.transfer.stylize import Result, stylize

SUPPORTED = ("vgg16", "vgg19")
"""Networks with five blocks; the first one is the default."""

BETAS = (0.5, 2.0, 8.0, 32.0, 128.0)
"""The values of beta that are compared, with alpha = 1."""
MIXTURE = 10.0
"""The beta of the other runs, with alpha = 1."""

# If L-BFGS finds no lower J, Adam goes on, with steps small enough to stay near that minimum.
_LBFGS = {"optimizer": "lbfgs", "precision": "fp32", "learning_rate": 1e-4}


@dataclass(frozen=True)
class Experiment:
    """One run.

    Attributes:
        chapter: the part of the page: content, style, ratio, start or optimizer.
        name: what distinguishes it from the others in its chapter.
        config: the settings.
    """

    chapter: str
    name: str
    config: Config


@dataclass(frozen=True)
class Outcome:
    """The outcome of an experiment.

    Attributes:
        experiment: the experiment.
        result: the result of the run.
        curve: J at each step.
    """

    experiment: Experiment
    result: Result
    curve: tuple[float, ...]

    @property
    def picture(self) -> Picture:
        """G as a picture."""
        return as_picture(self.result.sample)


@dataclass(frozen=True)
class Layer:
    """A layer of the network.

    Attributes:
        name: the name.
        stage: the number of its block, from 1.
        channels: the channels of its activations.
        space: the grid of its activations.
        field: the side of its receptive field in pixels.
    """

    name: str
    stage: int
    channels: int
    space: Space
    field: int


@dataclass(frozen=True)
class Explanation:
    """Everything that the page shows.

    Attributes:
        names: the file names of the content and the style.
        content: the content.
        style: the style.
        network: the name of the network.
        layers: the layers of the network after a rectifier.
        depths: the layers that the experiments use.
        experiments: the planned runs.
        outcomes: the outcomes of the runs before an interrupt, or of all runs.
    """

    names: tuple[str, str]
    content: Picture
    style: Picture
    network: str
    layers: tuple[Layer, ...]
    depths: tuple[str, ...]
    experiments: tuple[Experiment, ...]
    outcomes: tuple[Outcome, ...]


def explain(
    content: str | Path,
    style: str | Path,
    size: int = 256,
    network: NetworkConfig | None = None,
    *,
    quick: bool = False,
    callback: Callback | None = None,
    download: Report | None = None,
) -> Explanation:
    """Runs all experiments on a content and a style.

    Ctrl-C ends the experiments; the outcomes of the runs before are returned.

    Args:
        content: the file of a picture.
        style: the file of a picture.
        size: the long side in pixels.
        network: the settings of vgg16 or vgg19; None takes vgg16.
        quick: takes a tenth of the steps.
        callback: called after each step. Steps count over all runs, and the note of the first step
            of a run names the run.
        download: called with the bytes done and the total bytes while weights are downloaded.

    Raises:
        InputError: a file is not a picture, or a setting cannot be used.
    """
    network = _with_default_network(network or NetworkConfig())
    depths = depths_of(network)
    planned = experiments(style, size, network, quick=quick)
    for path in (content, style):
        check_picture_file(path)
    picture = open_picture(content, (size,))
    longest = min(max(picture.space), max(media.grid(style)[1]))  # a style is never enlarged
    pictures = picture, open_picture(style, (longest,))
    opened = network_for(planned[0].config.complete(), picture, download)
    lengths = [
        sum(
            steps
            for _, steps in grids(each.config.complete(), opened, PICTURE, picture, pictures[1:])
        )
        for each in planned
    ]
    outcomes: list[Outcome] = []
    for number, experiment in enumerate(planned):
        title = f"run {number + 1} of {len(planned)}: {experiment.chapter}, {experiment.name}"
        counted = _count_over_runs(callback, title, sum(lengths[:number]), sum(lengths))
        outcome = run(experiment, *pictures, callback=counted)
        if not outcome.result.finished:
            break
        outcomes.append(outcome)
    layers = tuple(layers_of(opened, picture.space))
    names = Path(content).name, Path(style).name
    return Explanation(names, *pictures, opened.name, layers, depths, planned, tuple(outcomes))


def experiments(
    style: str | Path, size: int, network: NetworkConfig, *, quick: bool = False
) -> tuple[Experiment, ...]:
    """Lists the runs in the order of the page.

    style: the file of the style, because one run starts from it. The other arguments are those of
    `explain`.

    Example:
        >>> planned = experiments("style.jpg", 256, NetworkConfig())
        >>> len(planned), planned[0].chapter, planned[0].name
        (27, 'content', 'relu1_1')
    """
    network = _with_default_network(network)
    depths = depths_of(network)

    def experiment(chapter: str, name: str, *steps: int, **settings: Any) -> Experiment:
        few = tuple(max(1, count // 10) if quick else count for count in steps)
        config = configure(size=(size,), steps=few, style_losses=("gram",), **settings)
        return Experiment(chapter, name, replace(config, network=network))

    ratios = [
        experiment("ratio", layer, 130, 25, beta=beta, gamma=0.3, content_layers=(layer,))
        for layer in (depths[1], depths[3])
        for beta in BETAS
    ]
    one_scale = {
        "coarsest": 0,
        "beta": MIXTURE,
        "gamma": 1.0,
        "content_layers": (depths[3],),
    }
    starts = [
        experiment("start", name, 200, init=init, seed=seed, **one_scale)
        for name, init, seed in (
            ("the content", "content", 0),
            ("the style", str(style), 0),
            ("noise", "noise", 0),
            ("other noise", "noise", 1),
        )
    ]
    optimizers = [
        experiment("optimizer", name, 200, init="noise", **settings, **one_scale)
        for name, settings in (
            ("gradient descent", {"optimizer": "gradient-descent", "learning_rate": 10.0}),
            ("Adam", {"optimizer": "adam"}),
            ("L-BFGS", _LBFGS),
        )
    ]
    return (*_reconstructions(experiment, depths), *ratios, *starts, *optimizers)


def _reconstructions(
    experiment: Callable[..., Experiment], depths: Sequence[str]
) -> list[Experiment]:
    """Lists the runs that reconstruct the content from each layer, and the style from each layer
    and those before it."""
    contents = [
        experiment(
            "content",
            layer,
            60,
            beta=0.0,
            gamma=1.0,
            content_layers=(layer,),
            init="noise",
            coarsest=32,
            **_LBFGS,
        )
        for layer in depths
    ]
    styles = []
    for count in range(1, len(depths) + 1):
        layers = tuple((layer, 1 / count) for layer in depths[:count])
        deeper = (layer.removeprefix("relu") for layer in depths[1:count])
        name = " + ".join((depths[0], *deeper))
        styles.append(
            experiment(
                "style",
                name,
                150,
                alpha=0.0,
                beta=1.0,
                gamma=0.1,
                style_layers=layers,
                init="noise",
                coarsest=0,
                **_LBFGS,
            )
        )
    return [*contents, *styles]


def run(
    experiment: Experiment, content: Picture, style: Picture, callback: Callback | None = None
) -> Outcome:
    """Runs an experiment. Ctrl-C ends it early, as it ends `stylize`."""
    curve: list[float] = []

    def record(progress: Progress) -> None:
        curve.append(progress.value)
        if callback:
            callback(progress)

    result = stylize(content, style, experiment.config, callback=record)
    return Outcome(experiment, result, tuple(curve))


def _with_default_network(network: NetworkConfig) -> NetworkConfig:
    return replace(network, network=SUPPORTED[0]) if network.network == "auto" else network


def depths_of(network: NetworkConfig) -> tuple[str, ...]:
    """Returns the first layer of each of the network's five blocks.

    Raises:
        ConfigError: the network is not one of SUPPORTED.
    """
    chosen = Config(network=network).complete()
    name = chosen.network.network
    if name not in SUPPORTED:
        raise ConfigError(
            subject="--network",
            expected=f"{', '.join(SUPPORTED)}, which have five blocks of layers",
            found=name,
            remedy="leave it out, or choose one of them",
        )
    return tuple(dict(chosen.objective.style_layers))


def layers_of(network: Network, space: Space) -> Iterator[Layer]:
    """Lists the layers after a rectifier. space: the grid of a picture."""
    for number, stage in enumerate(network.stages, start=1):
        for name in stage.layers:
            if name.startswith("relu"):
                grid = network.grids(space, {name})[name]
                yield Layer(name, number, network.widths[name], grid, field_of(network, name))


def field_of(network: Network, layer: str) -> int:
    """Returns the side of a layer's receptive field in pixels, away from the border."""
    stages = [stage for stage, _, _ in network.path({layer})]
    spaces: list[Space] = [(4096,) * network.dims]
    for stage in stages[:-1]:
        spaces.append(stage.grids(spaces[-1])[stage.output])
    grid = stages[-1].grids(spaces[-1])[layer]
    middle = tuple(side // 2 for side in grid)
    region = Region(middle, tuple(place + 1 for place in middle), grid)
    names = [*(stage.output for stage in stages[:-1]), layer]
    for stage, name, space in zip(reversed(stages), reversed(names), reversed(spaces), strict=True):
        region = stage.needed({name: region}, space)[INPUT]
    return region.space[0]


def _count_over_runs(
    callback: Callback | None, title: str, before: int, total: int
) -> Callable[[Progress], None] | None:
    """Wraps a callback so that its steps count over all runs.

    Args:
        callback: the callback.
        title: the note of the first step.
        before: the number of steps in the runs before.
        total: the number of steps in all runs.
    """
    if callback is None:
        return None

    def call(progress: Progress) -> None:
        note = title if progress.step == 1 else ""
        callback(replace(progress, step=before + progress.step, steps=total, note=note))

    return call
