"""Networks: they turn a sample into activations."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

import torch

from impasto.config.config import RATE
from impasto.errors import ConfigError
from impasto.networks.calibration import calibrate, unit_layers
from impasto.networks.embedded import load_embedded, vgg16
from impasto.networks.filterbank import filterbank
from impasto.networks.lite import EMBEDDED, lite, load_lite
from impasto.networks.published import PUBLISHED, Report, fetch, verify
from impasto.networks.series import series_bank, wide
from impasto.networks.stage import Network
from impasto.networks.user import user_layers, user_network
from impasto.networks.vgg import WIDTHS, Padding, Pooling, vgg
from impasto.networks.volumetric import Filters, inflate, shown, sliced
from impasto.networks.weights import Preprocessing, load_vgg

NETWORKS = ("lite", "filterbank", "wide", *PUBLISHED)
"""The built-in networks."""


def open_network(
    name: str,
    *,
    dims: int,
    channels: int,
    weights: Path | None,
    values: Preprocessing,
    padding: Padding,
    pooling: Pooling,
    filters: Filters,
    kernel: int,
    offline: bool,
    seed: int,
    rate: float,
    widths: tuple[float, float],
    layers: Collection[str],
    report: Report,
) -> Network:
    """Returns a network for samples of so many channels and axes.

    VGG-16 has the package's own weights where no file is given. Other published weights come from
    the cache, after a download the first time. In volumes, networks see values in [0, 1] only.

    Args:
        name: one of `NETWORKS`, or `module:callable`.
        dims: how many axes the samples have, 1 to 3.
        channels: how many channels they have.
        weights: a file with weights.
        values: the input of these weights.
        padding: what the network sees beyond the border, as in `vgg.vgg`.
        pooling: how VGG and lite downsample.
        filters: how a network for pictures sees volumes.
        kernel: positions along each side of the filterbank's filters; 0 for its own.
        offline: whether to raise WeightsError instead of downloading.
        seed: the seed of random filters.
        rate: positions per second of signals.
        widths: the shortest and the longest filter for signals, in seconds.
        layers: the layers to compute; a network of the user's own is cut to them.
        report: is called as a download arrives.

    Raises:
        ConfigError: the network does not accept such samples.
        WeightsError: its weights are missing.
    """
    if name == "filterbank" and dims == 1:
        return series_bank(channels, rate, widths, padding=padding, seed=seed)
    if name == "wide" and dims == 1:
        return wide(channels=channels, padding=padding, seed=seed)
    if name == "filterbank":
        bank = {"dims": dims, "channels": channels, "seed": seed, "kernel": kernel}
        network = filterbank(padding=padding, **bank)
    elif ":" in name:
        network = user_network(name, dims=dims, channels=channels, rate=rate, wanted=layers)
    else:
        _check_samples(name, dims, channels)
        network = _for_pictures(name, weights, values, padding, pooling, offline, report)
        network = _for_volumes(network, filters) if dims == 3 else network
    return shown(network, channels) if dims == 3 else network


def _check_samples(name: str, dims: int, channels: int) -> None:
    """Raises ConfigError unless a network for pictures accepts such samples."""
    if (dims, channels) not in {(2, 3), (3, 1), (3, 3)}:
        raise ConfigError(
            subject="--network",
            expected="filterbank for anything but pictures of three channels and volumes",
            found=f"{name} for {channels} channels over {dims} axes",
            remedy="pass --network filterbank",
        )


def _for_volumes(network: Network, filters: Filters) -> Network:
    return sliced(network) if filters == "slices" else inflate(network)


def _for_pictures(
    name: str,
    weights: Path | None,
    values: Preprocessing,
    padding: Padding,
    pooling: Pooling,
    offline: bool,
    report: Report,
) -> Network:
    """Returns a network with weights, for pictures of three channels."""
    if name == "lite":
        return load_lite(weights or EMBEDDED, padding=padding, pooling=pooling)
    if name == "vgg16" and weights is None:
        return load_embedded(padding=padding, pooling=pooling)
    if weights is None:
        if offline:
            verify(name)
        weights = PUBLISHED[name].path if offline else fetch(name, report)
    return load_vgg(name, path=weights, values=values, padding=padding, pooling=pooling)


def layer_names(name: str) -> list[tuple[str, ...]]:
    """Returns the layers of a network, stage by stage, without its weights.

    A network of the user's own is asked for pictures; where it accepts none, for signals and then
    volumes of one channel.

    Raises:
        ConfigError: there is no such network.

    Example:
        >>> layer_names("lite")[0]
        ('conv1_1', 'relu1_1', 'conv1_2', 'relu1_2', 'pool1')
    """
    if ":" in name:
        for dims, channels in ((2, 3), (1, 1), (3, 1)):
            with suppress(ConfigError):
                return [user_layers(name, dims=dims, channels=channels, rate=RATE)]
        return [user_layers(name, dims=2, channels=3, rate=RATE)]
    with torch.device("meta"):
        if name == "lite":
            network = lite(padding="replicate", pooling="max")
        elif name == "filterbank":
            network = filterbank(dims=2, channels=3, padding="replicate", seed=0)
        elif name == "wide":
            network = wide(channels=1025, padding="replicate", seed=0)
        elif name == "vgg16":
            network = vgg16(padding="replicate", pooling="max")
        else:
            network = vgg(name, PUBLISHED[name].blocks, WIDTHS, dims=2)
    return [stage.layers for stage in network.stages]


__all__ = [
    "NETWORKS",
    "PUBLISHED",
    "Filters",
    "Network",
    "Report",
    "calibrate",
    "fetch",
    "layer_names",
    "open_network",
    "unit_layers",
    "user_layers",
    "verify",
]
