"""What a run needs before its first step: samples, the network, the grids, G to start from."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import torch

from impasto import media
from impasto.config.config import Config
from impasto.config.settings import ObjectiveConfig
from impasto.errors import ConfigError, SampleError, about
from impasto.grids.arrays import Arrays
from impasto.grids.geometry import Space, coarse_to_fine, scaled_space
from impasto.grids.resample import resample
from impasto.kinds import signals, volumes
from impasto.kinds.signals import part
from impasto.kinds.units import Units, Values
from impasto.media.sample import Sample
from impasto.networks import (
    RATE,
    Network,
    Report,
    calibrate,
    open_network,
    unit_layers,
    user_layers,
)

CALIBRATED_ON = 512
"""The most pixels of the long side that a network is calibrated on: means over a picture hardly
depend on its size, and the network holds all activations of a layer at once."""

SampleLike = Any
"""A path, bytes, a Sample, a NumPy array, a tensor or a PIL picture: what media.as_sample takes."""


def decoded(thing: SampleLike, role: str) -> SampleLike:
    """What is in bytes, or in a file that is open, as a sample; anything else as it is."""
    with about(role):
        return media.decoded(thing)


def open_sample(thing: SampleLike, role: str, size: Space, arrays: Arrays) -> Sample:
    """Any of the accepted kinds as a Sample; errors say which one it was."""
    with about(str(thing) if isinstance(thing, str | Path) else role):
        return media.as_sample(thing, size, new=arrays.numpy)


def rate_of(sample: Sample) -> float:
    """Positions a second of a signal."""
    return sample.rate if isinstance(sample, media.Signal) else RATE


def content_size(content: SampleLike, config: Config) -> Space:
    """The size to open the content at."""
    return config.schedule.size or ((512,) if media.is_picture(content) else (0,))


def shared_out(
    styles: SampleLike | Sequence[SampleLike], objective: ObjectiveConfig
) -> tuple[list[SampleLike], list[float]]:
    """The styles, and the share of each; a folder is all pictures in it, in equal parts.

    Raises ConfigError for weights of another number of styles, SampleError for a folder without
    pictures.
    """
    given = list(styles) if isinstance(styles, list | tuple) else [styles]
    things: list[SampleLike] = []
    shares: list[float] = []
    for thing, share in zip(given, objective.style_shares(len(given)), strict=True):
        path = isinstance(thing, str | Path) and Path(thing)
        found = media.pictures_in(path) if path and media.is_plain_folder(path) else [thing]
        things += found
        shares += [share / len(found)] * len(found)
    return things, shares


def open_styles(
    things: Sequence[SampleLike], content: Sample, config: Config, arrays: Arrays
) -> list[Sample]:
    """The styles at the content's scale: the same long side, or the same exact grid.

    A style with fewer pixels stays as it is.
    """
    if config.schedule.style_scale != 1 and not isinstance(content, media.Picture):
        raise ConfigError(
            subject="--style-scale",
            expected="1 for all but pictures",
            found=f"{config.schedule.style_scale:g}",
            remedy="leave it out",
        )
    if config.volume.style_axes and (content.dims, len(things)) != (3, 3):
        raise ConfigError(
            subject="--style-axes",
            expected="a volume and three styles",
            found=f"a sample over {content.dims} axes and {len(things)}",
            remedy="pass one for each axis, or leave it out",
        )
    samples = []
    for number, given in enumerate(things, start=1):
        role = f"style {number}"
        thing = decoded(given, role)
        sample = open_sample(thing, role, _style_size(thing, role, content, config), arrays)
        with about(role):
            sample = _alike(sample, content, config)
        if (sample.dims, len(sample.data)) != (content.dims, len(content.data)):
            raise SampleError(
                subject=role,
                expected=f"{len(content.data)} channels over {content.dims} axes, as the content",
                found=f"{len(sample.data)} over {sample.dims}",
                remedy="pass a content and styles of the same kind",
            )
        samples.append(sample)
    return samples


def _alike(style: Sample, content: Sample, config: Config) -> Sample:
    """A style in the content's terms."""
    match style, content:
        case media.Signal(), media.Signal():
            signal = part(style, config.signal.style_leads, config.signal.style_span)
            found = signals.alike(signal, content)
            if config.objective.statistics:
                signals.check_varies(found)
            return found
        case media.Volume(), media.Volume():
            return volumes.alike(style, content)
        case media.Picture(), Sample(dims=3):
            return volumes.as_plane(style, len(content.data))
    return style


def _style_size(thing: SampleLike, role: str, content: Sample, config: Config) -> Space:
    """The size to open a style at."""
    scale = config.schedule.style_scale
    if len(config.schedule.size) > 1 and scale == 1:
        return config.schedule.size
    if not media.is_picture(thing) or content.dims > 2 or not scale:
        return (0,)
    path = isinstance(thing, str | Path)
    with about(str(thing) if path else role):
        own = media.grid(thing)[1] if path else media.as_sample(thing).space
    return (min(max(own), max(1, round(scale * max(content.space)))),)


def configured_network(
    config: Config, content: Sample, download: Report | None, styles: Sequence[Sample] = ()
) -> Network:
    """The configured network, for samples like the content; calibrated on it and the styles."""
    settings, (dims, channels) = config.network, (content.dims, len(content.data))
    if ":" in settings.network:
        _check_layers_given(config, dims, channels, rate_of(content))
    network = open_network(
        settings.network,
        dims=dims,
        channels=channels,
        weights=Path(settings.weights) if settings.weights else None,
        values=settings.weights_input,
        padding=settings.padding,
        pooling=settings.pooling,
        filters=settings.filters,
        kernel=settings.kernel,
        offline=settings.offline,
        seed=config.schedule.seed,
        rate=rate_of(content),
        widths=settings.widths,
        layers=config.objective.layers,
        report=download or (lambda done, total: None),
    )
    _bring_to_one_scale(network, config, content, styles)
    if config.volume.style_axes and not network.turning:
        raise ConfigError(
            subject="--style-axes",
            expected="lite, vgg16 or vgg19 as the network",
            found=f"{network.name}, which looks along all axes at once",
            remedy="leave it out, or pass --network lite",
        )
    if network.by_slices and config.volume.slices and config.optimizer.optimizer != "adam":
        raise ConfigError(
            subject="--slices",
            expected=f"0, all of them, with {config.optimizer.optimizer}",
            found=str(config.volume.slices),
            remedy="pass --slices 0, or --optimizer adam",
        )
    if _bfloat16(config.engine.precision, settings.network):
        network.in_bfloat16()
    for flag, layers in (
        ("--content-layers", config.objective.content_layers),
        ("--style-layers", dict(config.objective.style_layers)),
    ):
        with about(flag):
            network.check(layers)
    return network


def _bring_to_one_scale(
    network: Network, config: Config, content: Sample, styles: Sequence[Sample]
) -> None:
    """Calibrates filters where that is asked for, and layers where weights of the user's are
    compared by means, on the content and the styles."""
    settings = config.network
    if settings.calibrated and (
        not isinstance(content, media.Picture) or not network.name.startswith(("lite", "vgg"))
    ):
        raise ConfigError(
            subject="--calibrated",
            expected="a picture, and lite, vgg16 or vgg19 as the network",
            found=f"{network.name} and a sample over {content.dims} axes",
            remedy="pass --no-calibrated",
        )
    own = network.name == "vgg16" and settings.weights is None
    if settings.calibrated:
        network.metrics.clear()
        bring = calibrate
    elif network.name.startswith("vgg") and not own and config.objective.normalization == "mean":
        bring = unit_layers
    else:
        return
    seen = [("content", content), *(("style", style) for style in styles)]
    bring(network, [_thumbnail(sample, network, role) for role, sample in seen])


def in_terms(network: Network, units: Units) -> Network:
    """The same network for G in those units, where it expects values in units of its own."""
    if network.terms.units is None or not isinstance(units.content, media.Signal):
        return network
    return network.taking(units.low, units.span)


def _check_layers_given(config: Config, dims: int, channels: int, rate: float) -> None:
    """Raises ConfigError, which tells the layers, where those of a user's network are wanted."""
    if config.objective.content_layers and config.objective.style_layers:
        return
    name = config.network.network
    layers = user_layers(name, dims=dims, channels=channels, rate=rate)
    raise ConfigError(
        subject="--network",
        expected="--content-layers and --style-layers with a network of your own",
        found=f"none for {name}, whose layers are {', '.join(layers)}",
        remedy="name some of them",
    )


def _thumbnail(picture: Sample, network: Network, role: str) -> Values:
    """What a network is calibrated on: the picture, brought to CALIBRATED_ON; of a slender one, its
    short side to what the network needs. Raises SampleError where it has not that much."""
    deepest = {network.layers[-1]}
    check_sides(network, deepest, picture.space, role)
    least = network.smallest_side(deepest) / min(picture.space)
    scale = min(1.0, max(CALIBRATED_ON / max(picture.space), least))
    space = scaled_space(picture.space, scale)
    return resample(torch.from_numpy(picture.data)[None], space).clamp(0, 1)


def _bfloat16(precision: str, network: str) -> bool:
    """Whether that precision means bfloat16, for that network on this machine."""
    if precision == "auto":
        if network == "filterbank" or ":" in network:  # no faster; rough on signals and volumes
            return False
        capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
        return bool(capabilities.get("avx512_bf16"))
    return precision == "bf16"


def grids(
    config: Config, network: Network, content: Sample, styles: Sequence[Sample]
) -> list[tuple[Space, int]]:
    """The grids of the run, coarse to fine, and the steps on each.

    Scales too small for the network are left out. Raises SampleError when even the last one is.
    """
    if any(map(volumes.is_plane, styles)) and not network.by_slices:
        raise ConfigError(
            subject="--filters",
            expected="a network that takes slices, for pictures as styles of volumes",
            found=f"{network.name} with filters over three axes",
            remedy="pass --network lite --filters slices",
        )
    smallest = network.smallest_side(config.objective.layers)
    for sample, role in ((content, "content"), *((style, "style") for style in styles)):
        check_sides(network, config.objective.layers, _sides(sample, sample.space), role)
    coarsest = config.schedule.coarsest or max(content.space)
    scale = config.schedule.style_scale
    spaces = [
        space
        for space in _tiling(coarse_to_fine(content.space, coarsest), config, network)
        if min(space) >= smallest
        and all(
            min(_sides(style, style_space(content, style, space, axis, scale))) >= smallest
            for style in styles
            for axis in range(content.dims)
        )
    ]
    return [(space, config.schedule.steps_at(index)) for index, space in enumerate(spaces)]


def check_sides(network: Network, layers: Collection[str], sides: Space, role: str) -> None:
    """Raises SampleError where sides are too short for the layers; role: whose they are."""
    smallest = network.smallest_side(layers)
    if min(sides) < smallest:
        raise SampleError(
            subject=role,
            expected=f"at least {smallest} positions along each axis for {network.name}",
            found=" x ".join(map(str, sides)),
            remedy="pass a larger sample or --size, or shallower layers",
        )


def _tiling(spaces: list[Space], config: Config, network: Network) -> list[Space]:
    """The grids, whose sides with periodic borders are multiples of the network's stride."""
    if config.network.padding != "periodic":
        return spaces
    stride = network.stride(config.objective.layers)
    if any(side % stride for side in spaces[-1]):
        raise ConfigError(
            subject="--size",
            expected=f"multiples of {stride} with periodic borders",
            found=" x ".join(map(str, spaces[-1])),
            remedy="pass such a size, or another --padding",
        )
    rounded = (tuple(stride * max(1, round(n / stride)) for n in space) for space in spaces)
    return list(dict.fromkeys(rounded))


def _sides(sample: Sample, space: Space) -> Space:
    """The sides that have to be long enough for the network."""
    return space[1:] if volumes.is_plane(sample) else space


def style_space(
    content: Sample, style: Sample, space: Space, axis: int = 0, scale: float = 1.0
) -> Space:
    """The grid of a style for a scale of the content.

    Pictures have `scale` times its long side, or for 0 what of their own pixels it has of the
    content's, but are never enlarged: their blur, and the blocks of their JPEG, would be the
    texture. Anything else is scaled as the content is. A picture that is the style of slices across
    `axis` of a volume has square pixels in mm. Where the whole grids are the same, so are these.
    """
    if style.space == content.space and scale == 1:
        return space
    factor = max(space) / max(content.space)
    if isinstance(content, media.Picture) and scale:
        side = min(scale * max(space), max(style.space))
        return scaled_space(style.space, side / max(style.space))
    if volumes.is_plane(style):
        spacing = content.spacing if isinstance(content, media.Volume) else (1.0,) * 3
        plane = [side for other, side in enumerate(spacing) if other != axis]
        sides = zip(style.space[1:], plane, strict=True)
        return (1, *(max(1, round(n * factor * min(spacing) / mm)) for n, mm in sides))
    return scaled_space(style.space, factor)


def initial(config: Config, units: Units, space: Space, arrays: Arrays) -> Values:
    """What G starts as, on the coarsest grid."""
    content, init = units.content, config.schedule.init
    if init == "content":
        return units.values(content, space, arrays.new)
    if init != "noise":
        start = open_sample(init, "init", content.space, arrays)
        if isinstance(start, media.Signal) and isinstance(content, media.Signal):
            with about(init):
                start = signals.alike(start, content)
        if start.data.shape != content.data.shape:
            raise SampleError(
                subject=init,
                expected=f"{content.data.shape}, the content's channels and grid",
                found=f"{start.data.shape}",
                remedy="pass a sample of the content's kind and size",
            )
        return units.values(start, space, arrays.new)
    generator = torch.Generator().manual_seed(config.schedule.seed)
    noise = arrays.new((1, len(content.data), *space), torch.float32)
    if units.limited:
        return noise.uniform_(generator=generator)
    return noise.normal_(generator=generator).div_(6).add_(0.5)
