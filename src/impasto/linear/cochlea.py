"""Cochlear bands: the envelopes of a sound, and a sound with other envelopes.

A band's envelope says when it is loud, and what is left, its fine structure, says of which pitch it
is (McDermott and Simoncelli 2011, Sound texture perception via statistics of the auditory
periphery, synthesize textures in these terms).
"""

from __future__ import annotations

import math
from collections.abc import Iterator

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from impasto.linear.spectra import interpolated

BANDS = 30
"""Bands of a sound."""

LOWEST = 50.0
"""The middle of the lowest band in Hz."""

TOP = 0.475
"""The middle of the highest band, over the sampling rate."""

FRAMES = 100.0
"""Positions of an envelope in a second."""

WIDTH = 0.15
"""Seconds over which the power of a band is averaged. Narrower ones bring the texture nearer to the
style's, and lose onsets of the content."""

ROUNDS = 2
"""How often `with_envelopes` changes the envelopes. Bands overlap, so one change is not enough."""

STRONGEST = 1e3
"""The largest gain: 60 dB."""

FAINT = 1e-30
"""A power that is none."""


def envelopes(x: Float[Tensor, "channel time"], rate: float) -> Float[Tensor, "channel band frame"]:
    """Returns the amplitudes of bands over time.

    Args:
        x: a sound, of mean 0.
        rate: in Hz.

    Returns:
        The root of the mean power of each band in windows `WIDTH` wide, `FRAMES` a second.

    Example:
        >>> tone = torch.sin(2 * math.pi * 440 * torch.arange(8000) / 8000)[None]
        >>> found = envelopes(tone, 8000.0)
        >>> found.shape
        torch.Size([1, 30, 100])
        >>> int(found[0, :, 50].argmax())
        10
    """
    found = [_amplitude(band, rate) for band, _ in _bands(x, rate)]
    return torch.stack(found, 1)


def with_envelopes(
    x: Float[Tensor, "channel time"], rate: float, target: Float[Tensor, "channel band frame"]
) -> Float[Tensor, "channel time"]:
    """Returns a sound of nearly these envelopes, with the fine structure of another.

    Each band is multiplied by what its envelope lacks, at most `STRONGEST`; then the bands are
    filtered once more and added up.

    Args:
        x: the other sound, of mean 0.
        rate: in Hz.
        target: as `envelopes` gives them.
    """
    length = x.shape[1]
    for _ in range(ROUNDS):
        total = torch.zeros(len(x), length // 2 + 1, dtype=torch.complex128)
        for number, (band, weights) in enumerate(_bands(x, rate)):
            own = _amplitude(band, rate)
            change = (target[:, number] / own.clamp_min(math.sqrt(FAINT))).clamp(max=STRONGEST)
            place = torch.arange(length, dtype=torch.float64) * (FRAMES / rate)
            total += torch.fft.rfft(band.real * interpolated(change, place[None])) * weights
        x = torch.fft.irfft(total, length)
    return x


def _bands(
    x: Float[Tensor, "channel time"], rate: float
) -> Iterator[tuple[Complex[Tensor, "channel time"], Float[Tensor, " frequency"]]]:
    """Yields the analytic signal of each band, and the weights of its frequencies.

    The weights are half periods of a cosine over the number of equivalent rectangular bandwidths
    (Glasberg and Moore 1990), whose squares add up to 1 over the bands. The first and the last band
    take all that is beyond.
    """
    length = x.shape[1]
    frequencies = torch.fft.rfftfreq(length, 1 / rate, dtype=torch.float64)
    low, high = (9.265 * math.log1p(f / 228.85) for f in (LOWEST, TOP * rate))
    place = (9.265 * (frequencies / 228.85).log1p() - low) / (high - low) * (BANDS - 1)
    place = place.clamp(0, BANDS - 1)
    spectrum = torch.fft.rfft(x.double())
    both = torch.zeros(len(x), length, dtype=torch.complex128)
    twice = torch.full_like(frequencies, 2.0)
    twice[0] = 1
    if length % 2 == 0:
        twice[-1] = 1
    for number in range(BANDS):
        weights = (math.pi / 2 * (place - number).abs().clamp(max=1)).cos()
        both[:, : len(frequencies)] = spectrum * (weights * twice)
        yield torch.fft.ifft(both), weights


def _amplitude(
    band: Complex[Tensor, "channel time"], rate: float
) -> Float[Tensor, "channel frame"]:
    """Returns the root of a band's mean power around each frame."""
    power = band.abs().square()
    reach = max(1, round(WIDTH * rate / 2))
    sums = torch.nn.functional.pad(power.cumsum(1), (1, 0))
    count = max(1, round(band.shape[1] * FRAMES / rate))
    middles = (torch.arange(count) * (rate / FRAMES)).round().long()
    first, last = (middles - reach).clamp(min=0), (middles + reach).clamp(max=band.shape[1])
    means = (sums[:, last] - sums[:, first]) / (last - first)
    return means.clamp_min(0).sqrt()
