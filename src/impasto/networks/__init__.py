"""Networks: what turns a sample into activations."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import suppress
from pathlib import Path

import torch

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

RATE = 360.0
"""Positions a second of signals whose file gives no rate: that of many an ECG."""

NETWORKS = ("lite", "filterbank", "wide", *PUBLISHED)


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
    """The network of that name, ready for samples of `channels` over `dims` axes.

    rate: positions a second, of signals; widths: of the shortest and the longest filter for them,
    in seconds. filters: how a network for pictures looks at volumes. kernel: positions along each
    side of the filterbank's filters, 0 for its own. layers: those that a network
    of the user's own is wanted for. In volumes, networks see values in [0, 1] only.
    VGG-16 is the package's own where no weights are named. Other published weights come from the
    cache, and the first time from their publisher, `report` being
    called as they come. Raises ConfigError when the network does not take such samples,
    WeightsError when its weights cannot be had.
    """
    if name == "filterbank" and dims == 1:
        return series_bank(channels, rate, widths, padding=padding, seed=seed)
    if name == "wide" and dims == 1:
        return wide(channels=channels, padding=padding, seed=seed)
    if name == "filterbank":
        network = filterbank(
            dims=dims, channels=channels, padding=padding, seed=seed, kernel=kernel
        )
    elif ":" in name:
        network = user_network(name, dims=dims, channels=channels, rate=rate, wanted=layers)
    else:
        if (dims, channels) not in {(2, 3), (3, 1), (3, 3)}:
            raise ConfigError(
                subject="--network",
                expected="filterbank for anything but pictures of three channels and volumes",
                found=f"{name} for {channels} channels over {dims} axes",
                remedy="pass --network filterbank",
            )
        network = _for_pictures(name, weights, values, padding, pooling, offline, report)
        if dims == 3:
            network = sliced(network) if filters == "slices" else inflate(network)
    return shown(network, channels) if dims == 3 else network


def _for_pictures(
    name: str,
    weights: Path | None,
    values: Preprocessing,
    padding: Padding,
    pooling: Pooling,
    offline: bool,
    report: Report,
) -> Network:
    """One with weights, for pictures of three channels."""
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
    """The layers of a network, stage by stage; weights are not needed. Those of a user's network
    are of one for pictures, or for a signal or a volume of one channel where it is none of these.

    Raises ConfigError, for a network that cannot be.
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
    "RATE",
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
