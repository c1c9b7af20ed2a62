"""Open, calibrate and check the network of a run."""

from __future__ import annotations

from collections.abc import Collection, Hashable, Sequence
from copy import deepcopy
from functools import partial
from pathlib import Path

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
from impasto.system.devices import CPU, has_bfloat16
from impasto.transfer.kept import Kept

CALIBRATED_ON = 512
"""Calibration shrinks pictures to a long side of this many pixels. Means over a picture hardly
depend on its size, and calibration holds all activations of a layer in memory at once."""


def network_for(
    config: Config,
    content: Sample,
    download: Report | None,
    styles: Sequence[Sample] = (),
    kind: Kind | None = None,
    device: torch.device = CPU,
    *,
    networks: Kept | None = None,
) -> Network:
    """Opens the configured network for samples like the content and calibrates it.

    Args:
        config: the settings.
        content: the content; its channels and axes decide the network's.
        download: called with the bytes done and the total bytes while weights are downloaded.
        styles: the styles; the network is calibrated on them and on the content.
        kind: the kind of the content before it was prepared; None takes the content's own.
        device: where the run computes, which decides the precision. The network is returned on the
            CPU, or where an earlier run has put the one that is kept.
        networks: keeps networks for further contents; None keeps nothing.

    Raises:
        ConfigError: a setting does not fit the network or the kind of the content.
        LayerError: the network does not have a layer that is asked for.
        SampleError: a sample is too small for the network.
        WeightsError: the weights cannot be used.
    """
    kind = kind or kind_of(content)
    settings, (dims, channels) = config.network, (content.dims, len(content.data))
    rate = kind.rate(content)
    if ":" in settings.network:
        _require_layers(config, dims, channels, rate)
    in_bfloat16 = _uses_bfloat16(config.engine.precision, settings.network, device)
    networks = networks or Kept()
    network = networks.get(
        _key(config, dims, channels, rate, in_bfloat16, device),
        partial(_opened, config, dims, channels, rate, download),
    )
    if networks.holds(network) and _is_calibrated(network, config):
        network = deepcopy(network)  # for calibration changes it
    _calibrate(network, config, kind, content, styles)
    if config.volume.style_axes and not network.turning:
        raise ConfigError(
            subject="--style-axes",
            expected="lite, vgg16 or vgg19 as the network",
            found=f"{network.name}, whose filters span all axes",
            remedy="leave it out, or pass --network lite",
        )
    if network.by_slices and config.volume.slices and config.optimizer.optimizer != "adam":
        raise ConfigError(
            subject="--slices",
            expected=f"0, which takes all slices, with {config.optimizer.optimizer}",
            found=str(config.volume.slices),
            remedy="pass --slices 0, or --optimizer adam",
        )
    if in_bfloat16:
        network.in_bfloat16()
    for flag, layers in (
        ("--content-layers", config.objective.content_layers),
        ("--style-layers", dict(config.objective.style_layers)),
    ):
        with about(flag):
            network.check(layers)
    return network


def _opened(
    config: Config, dims: int, channels: int, rate: float, download: Report | None
) -> Network:
    """Opens the configured network."""
    settings = config.network
    return open_network(
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


def _key(config: Config, *others: Hashable) -> Hashable:
    """Returns all that a network depends on before it is calibrated."""
    settings = config.network
    own = getattr(settings.network, "network", None)  # two modules may have one name
    return (settings, own, config.schedule.seed, config.objective.layers, *others)


def _is_calibrated(network: Network, config: Config) -> bool:
    """Returns whether the settings ask for a network that fits its samples."""
    uneven = network.uneven and config.objective.normalization == "mean"
    return config.network.calibrated or uneven


def _calibrate(
    network: Network, config: Config, kind: Kind, content: Sample, styles: Sequence[Sample]
) -> None:
    """Calibrates the network on the content and the styles, if the settings ask for it.

    --calibrated scales each filter. With --normalization mean, the user's own weights are scaled
    layer by layer instead.
    """
    settings = config.network
    if settings.calibrated and not (network.trained and kind.calibrates):
        raise ConfigError(
            subject="--calibrated",
            expected="a picture, and lite, vgg16 or vgg19 as the network",
            found=f"{network.name} and a sample over {content.dims} axes",
            remedy="pass --no-calibrated",
        )
    if settings.calibrated:
        network.metrics.clear()
        scale = calibrate
    elif network.uneven and config.objective.normalization == "mean":
        scale = unit_layers
    else:
        return
    samples = [("content", content), *(("style", style) for style in styles)]
    scale(network, [_thumbnail(sample, network, role) for role, sample in samples])


def _require_layers(config: Config, dims: int, channels: int, rate: float) -> None:
    """Raises ConfigError if no layers are chosen for a user's network; the message lists them."""
    if config.objective.content_layers and config.objective.style_layers:
        return
    name = config.network.network
    layers = user_layers(name, dims=dims, channels=channels, rate=rate)
    raise ConfigError(
        subject="--network",
        expected="--content-layers and --style-layers with a network of your own",
        found=f"none for {name}, whose layers are {', '.join(layers)}",
        remedy="name some of these layers",
    )


def _thumbnail(picture: Sample, network: Network, role: str) -> Values:
    """Returns the picture, shrunk to a long side of CALIBRATED_ON pixels, for calibration.

    A slender picture is shrunk less, so that its short side stays long enough for the network.
    Raises SampleError if the picture itself is too small.
    """
    deepest = {network.layers[-1]}
    check_sides(network, deepest, picture.space, role)
    least = network.smallest_side(deepest) / min(picture.space)
    scale = min(1.0, max(CALIBRATED_ON / max(picture.space), least))
    space = scaled_space(picture.space, scale)
    return resample(torch.from_numpy(picture.data)[None], space).clamp(0, 1)


def _uses_bfloat16(precision: str, network: str, device: torch.device) -> bool:
    """Returns whether the network computes in bfloat16 on this device."""
    if precision == "auto":
        # bfloat16 does not speed these up, and it is too coarse for signals and volumes.
        if network == "filterbank" or ":" in network:
            return False
        return has_bfloat16(device)
    return precision == "bf16"


def check_sides(network: Network, layers: Collection[str], sides: Space, role: str) -> None:
    """Checks that a grid is large enough for the layers.

    Args:
        network: the network.
        layers: the names of the layers.
        sides: the positions along each axis.
        role: what the error calls the sample, such as "content".

    Raises:
        SampleError: a side is too short.
    """
    smallest = network.smallest_side(layers)
    if min(sides) < smallest:
        raise SampleError(
            subject=role,
            expected=f"at least {smallest} positions along each axis for {network.name}",
            found=" x ".join(map(str, sides)),
            remedy="pass a larger sample or --size, or shallower layers",
        )
