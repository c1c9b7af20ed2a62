"""A network for signals without training: random filters of many widths, given in seconds."""

from __future__ import annotations

import math

import torch
from jaxtyping import Float
from torch import Tensor, nn

from impasto.networks.filterbank import bank
from impasto.networks.operations import Each
from impasto.networks.stage import INPUT, Network, Stage
from impasto.networks.vgg import Padding

WIDTHS = 8
FILTERS = 32
WIDE, TAPS = 4096, 11

LONGEST = 32
"""The most taps of a filter.

Wider filters see the signal at half the rate, at a quarter, and so on.
"""

BLUR = torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16


def series_bank(
    channels: int, rate: float, widths: tuple[float, float], *, padding: Padding, seed: int
) -> Network:
    """Returns the network of the layers width1, ..., width8: filters and a ReLU each.

    It is the network of Antognini et al. 2018 (Synthesizing diverse, high-quality audio textures)
    on the waveform: 32 random filters of each width over all channels, half of them of zero mean.

    Args:
        channels: how many channels the signals have.
        rate: positions per second.
        widths: the shortest and the longest filter, in seconds; the others lie between in equal
            ratios.
        padding: as in `vgg.vgg`.
        seed: the seed of all filters.
    """
    ratio = widths[1] / widths[0]
    seconds = [widths[0] * ratio ** (index / (WIDTHS - 1)) for index in range(WIDTHS)]
    generator = torch.Generator().manual_seed(seed)
    stages: list[Stage] = []
    number = 0
    while number < WIDTHS:
        here = rate / 2 ** len(stages)
        operations: list[tuple[str, nn.Module]] = []
        sources: dict[str, str] = {}
        while number < WIDTHS and seconds[number] * here <= LONGEST:
            taps = 2 * math.floor(max(3.0, seconds[number] * here) / 2) + 1
            number += 1
            filters = noise(channels, taps, generator)
            operations += [
                (f"_filters{number}", bank(filters, padding)),
                (f"width{number}", nn.ReLU()),
            ]
            sources[f"_filters{number}"] = INPUT
        half = f"half{len(stages) + 1}"
        operations.append((half, Each(bank(BLUR[None, None], padding, stride=2))))
        stages.append(Stage(operations, dims=1, sources=sources | {half: INPUT}))
    return Network("filterbank", stages, dims=1, channels=channels)


def wide(*, channels: int, padding: Padding, seed: int) -> Network:
    """Returns the network of Ulyanov and Lebedev 2016 for spectrograms.

    Its layer `wide` has 4096 random filters over 11 frames and all frequencies, which are the
    channels.
    """
    generator = torch.Generator().manual_seed(seed)
    deviation = 2 / math.sqrt((channels + WIDE) * TAPS)
    filters = deviation * torch.randn(WIDE, channels, TAPS, generator=generator)
    stage = Stage([("_filters", bank(filters, padding)), ("wide", nn.ReLU())], dims=1)
    return Network("wide", [stage], dims=1, channels=channels)


def noise(
    channels: int, taps: int, generator: torch.Generator
) -> Float[Tensor, "filter channel tap"]:
    """Returns white noise under a Hann window, of unit norm; every other filter has zero mean."""
    hann = torch.hann_window(taps + 2, periodic=False)[1:-1]
    filters = torch.randn(FILTERS, channels, taps, generator=generator) * hann
    means = filters.sum(2, keepdim=True) / hann.sum() * hann
    filters[::2] -= means[::2]
    norms: Tensor = filters.flatten(1).norm(dim=1)
    return filters / norms[:, None, None]
