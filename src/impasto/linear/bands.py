"""Power in bands over time: where a style has bursts of noise, and how strong they are.

A filter gives a band the style's mean power. What its power does over time is told by the
distribution of its levels, which a monotone map carries over: a band is loud where it was loud in
the content, and as loud as in the style (McDermott and Simoncelli 2011 call these the statistics of
cochlear envelopes).
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from functools import partial

import torch
from jaxtyping import Float, Float64
from torch import Tensor

from impasto.linear.spectra import filtered_by, interpolated

LOWEST = 0.5
"""The center of the lowest band in Hz."""

RATIO = math.sqrt(2)
"""Of the centers of neighboring bands."""

TOP = 0.475
"""The highest frequency of a center, over the sampling rate."""

ENVELOPE = 0.2
"""Seconds over which the power of a band is averaged; two periods where those are longer."""

FAINT = 1e-14
"""A power that is none, as a share of the square of the channel's deviation."""

STRONGEST = 7.0
"""The largest change of a level, in nepers: 60 dB."""

LEVELS = 4096
"""Quantiles of a distribution of levels."""


def centers(rate: float, seconds: float) -> list[float]:
    """Returns the centers of the bands of a signal in Hz, each of which it shows ten times.

    Example:
        >>> [round(center, 2) for center in centers(8.0, 60.0)]
        [0.5, 0.71, 1.0, 1.41, 2.0, 2.83]
    """
    lowest = max(LOWEST, 20 / seconds)
    count = math.floor(math.log(TOP * rate / lowest, RATIO)) + 1 if TOP * rate > lowest else 0
    return [lowest * RATIO**number for number in range(count)]


def split(
    x: Float[Tensor, "channel time"], rate: float, middles: Sequence[float], reach: int
) -> Iterator[Float64[Tensor, "channel time"]]:
    """Returns the bands around these centers, whose sum is the signal.

    The weights of a band are triangles over the logarithm of the frequency; the first and the last
    take all that is beyond.
    """

    def share(number: int, frequencies: Tensor) -> Tensor:
        place = (frequencies.clamp_min(1e-9) / middles[0]).log() / math.log(RATIO)
        place = place.clamp(0, len(middles) - 1)
        return (1 - (place - number).abs()).clamp_min(0)[None]

    responses = [partial(share, number) for number in range(len(middles))]
    return filtered_by(responses, x, rate, reach)


def levels(
    band: Float64[Tensor, "channel time"], rate: float, middle: float
) -> tuple[Float64[Tensor, "channel window"], int]:
    """Returns the logarithm of the amplitude of a band over time.

    Returns:
        The levels, and how many positions lie between them.
    """
    width = min(round(max(ENVELOPE, 2 / middle) * rate), band.shape[1])
    hop = max(1, width // 4)
    hann = torch.hann_window(width + 2, periodic=False, dtype=torch.float64)[1:-1]
    count = max(1, band.shape[1] // hop)
    sides = width // 2, max(0, (count - 1) * hop + width - width // 2 - band.shape[1])
    power = torch.nn.functional.pad(band.square()[:, None], sides)
    ones = torch.nn.functional.pad(torch.ones_like(band[:1, None]), sides)
    sums, weights = (
        torch.nn.functional.conv1d(each, hann[None, None], stride=hop)[:, 0]
        for each in (power, ones)
    )
    floor = FAINT * band.square().mean(1, keepdim=True).clamp_min(FAINT)
    return (sums / weights + floor).log() / 2, hop


def quantiles(values: Float64[Tensor, "channel window"]) -> Float64[Tensor, "channel level"]:
    """Returns `LEVELS` evenly spaced quantiles of each channel."""
    ordered = values.sort(1).values
    return interpolated(
        ordered, torch.linspace(0, ordered.shape[1] - 1, LEVELS, dtype=torch.float64)[None]
    )


def mapped(
    values: Float64[Tensor, "channel window"], target: Float64[Tensor, "channel level"]
) -> Float64[Tensor, "channel window"]:
    """Returns values in the same order that have these quantiles."""
    ranks = values.argsort(dim=1, stable=True).argsort(dim=1, stable=True).double()
    return interpolated(target, ranks * ((target.shape[1] - 1) / max(1, values.shape[1] - 1)))


def with_levels(
    band: Float64[Tensor, "channel time"],
    rate: float,
    middle: float,
    target: Float64[Tensor, "channel level"],
    most: float = STRONGEST,
) -> Float64[Tensor, "channel time"]:
    """Returns a band whose levels have a distribution; the order of the levels stays.

    Args:
        band: the band.
        rate: in Hz.
        middle: its center in Hz.
        target: the quantiles.
        most: the largest change of a level, in nepers.
    """
    own, hop = levels(band, rate, middle)
    change = (mapped(own, target) - own).clamp(-most, most)
    place = torch.arange(band.shape[1], dtype=torch.float64) / hop
    return band * interpolated(change, place[None]).exp()
