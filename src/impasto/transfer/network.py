"""The network of a run: opened, brought to the scale of its samples, and checked."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from pathlib import Path
from typing import Any

import torch

from impasto.config.config import Config
from impasto.errors import ConfigError, SampleError, about
from impasto.grids.geometry import Space, scaled_space
from impasto.grids.patch import Values
from impasto.grids.resample import resample
from impasto.kinds import Kind, kind_of
from impasto.media.sample import Sample
from impasto.networks import (
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


def network_for(
    config: Config,
    content: Sample,
    download: Report | None,
    styles: Sequence[Sample] = (),
    kind: Kind | None = None,
) -> Network:
    """The configured network, for samples like the content; calibrated on it and the styles.

    kind: the content's, where that is no more what it was given as.
    """
    kind = kind or kind_of(content)
    settings, (dims, channels) = config.network, (content.dims, len(content.data))
    rate = kind.rate(content)
    if ":" in settings.network:
        _require_layers(config, dims, channels, rate)
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
        rate=rate,
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
    if settings.calibrated and not (network.trained and kind_of(content).calibrates):
        raise ConfigError(
            subject="--calibrated",
            expected="a picture, and lite, vgg16 or vgg19 as the network",
            found=f"{network.name} and a sample over {content.dims} axes",
            remedy="pass --no-calibrated",
        )
    if settings.calibrated:
        network.metrics.clear()
        bring = calibrate
    elif network.uneven and config.objective.normalization == "mean":
        bring = unit_layers
    else:
        return
    seen = [("content", content), *(("style", style) for style in styles)]
    bring(network, [_thumbnail(sample, network, role) for role, sample in seen])


def _require_layers(config: Config, dims: int, channels: int, rate: float) -> None:
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
