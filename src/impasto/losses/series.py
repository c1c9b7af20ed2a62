"""Losses for series, on the signal itself: autocorrelation, spectrum and amplitudes.

Each is of every channel by itself. As in `losses`, sums over positions and a score of those sums;
a weight, shape (1, 1, time), is how much each position counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.grids.geometry import Region
from impasto.losses.loss import FAINT, Weight

FLOOR = 1e-8
"""Part of a signal's power, spread evenly over frequencies, below which none is told from none."""

BAND = 0.96
"""Part of the frequencies looked at: above are the slopes of filters that resampling needs."""

AMPLITUDES = 256
"""Steps between the least and the largest amplitude that are told apart."""


@dataclass(frozen=True, eq=False)
class Autocorrelation:
    """The distance of autocovariances at the lags 0, 1, ..., `reach`, over the style's own.

    target: the style's `covariances`.
    """

    target: Float[Tensor, "channel lag"]
    reach: int

    @classmethod
    def of(cls, sums: Float[Tensor, "row column"]) -> Autocorrelation:
        """The loss for a style of those sums."""
        return cls(covariances(sums), sums.shape[1] - 2)

    @property
    def shape(self) -> tuple[int, ...]:
        """(channel + 1, lag + 1)."""
        channels, lags = self.target.shape
        return channels + 1, lags + 1

    def sums(
        self, activation: Float[Tensor, "1 channel time"], region: Region, weight: Weight = None
    ) -> Float[Tensor, "row column"]:
        """For each channel the sum of x_i, then those of x_i x_(i + lag), of the i in the region;
        in the last row the same of the weights: how many positions and pairs there were."""
        return products(activation, region, weight, self.reach)

    def score(self, sums: Float[Tensor, "row column"], count: float) -> Float[Tensor, ""]:
        """The squared distance over the style's squared norm, a mean over channels."""
        distance = (covariances(sums) - self.target).square().sum(1)
        return (distance / self.target.square().sum(1).clamp_min(FAINT**2)).mean()


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The distance of the logarithms of two power spectral densities (Welch 1967).

    target: the style's `log_density`.
    """

    target: Float[Tensor, "channel frequency"]

    @classmethod
    def of(cls, sums: Float[Tensor, "row column"]) -> Spectrum:
        """The loss for a style of those sums."""
        return cls(log_density(sums))

    @property
    def window(self) -> int:
        """Positions of a window."""
        return 2 * self.target.shape[1]

    @property
    def reach(self) -> int:
        """How far a window that starts in a region reaches beyond it."""
        return self.window - 1

    @property
    def shape(self) -> tuple[int, ...]:
        """(channel + 1, frequency)."""
        channels, frequencies = self.target.shape
        return channels + 1, frequencies

    def sums(
        self, activation: Float[Tensor, "1 channel time"], region: Region, weight: Weight = None
    ) -> Float[Tensor, "row column"]:
        """For each channel the sum of the power in the windows that start in the region; in the
        last row how many there were."""
        return powers(activation, region, weight, self.window)

    def score(self, sums: Float[Tensor, "row column"], count: float) -> Float[Tensor, ""]:
        """The mean over channels and frequencies of the squared difference, in nepers of power."""
        difference = log_density(sums) - self.target
        return difference[:, : round(BAND * difference.shape[1])].square().mean()


@dataclass(frozen=True, eq=False)
class Amplitude:
    """The Cramér distance of the amplitudes' distributions, over that of the style from its mean.

    target: the style's `distribution`. low, high: the amplitudes looked at, a number a channel.
    """

    target: Float[Tensor, "channel step"]
    low: Float[Tensor, " channel"]
    high: Float[Tensor, " channel"]
    reach: ClassVar[int] = 0

    @classmethod
    def range_of(
        cls, sums: Float[Tensor, "row column"]
    ) -> tuple[Float[Tensor, " channel"], Float[Tensor, " channel"]]:
        """The amplitudes to look at for a style: ten deviations around the mean.

        sums: those of `Autocorrelation`, of any lags.
        """
        mean = sums[:-1, 0] / sums[-1, 0].clamp_min(FAINT)
        deviation = covariances(sums)[:, 0].clamp_min(FAINT).sqrt()
        return mean - 10 * deviation, mean + 10 * deviation

    @property
    def shape(self) -> tuple[int, ...]:
        """(channel, step)."""
        return tuple(self.target.shape)

    def sums(
        self, activation: Float[Tensor, "1 channel time"], region: Region, weight: Weight = None
    ) -> Float[Tensor, "channel step"]:
        """How many positions of the region are at each of the amplitudes; those in between are
        shared by the two beside them."""
        low, high = self.low.to(activation.dtype), self.high.to(activation.dtype)
        return histogram(activation, weight, low, high)

    def score(self, sums: Float[Tensor, "channel step"], count: float) -> Float[Tensor, ""]:
        """The integral of the squared difference of the distributions, relative, a mean over
        channels."""
        distance = (distribution(sums) - self.target).square().sum(1)
        own = (self.target * (1 - self.target)).sum(1)
        return (distance / own.clamp_min(FAINT)).mean()


def products(
    x: Float[Tensor, "1 channel time"], region: Region, weight: Weight, lags: int
) -> Float[Tensor, "row column"]:
    """The sums of `Autocorrelation`, by way of the Fourier transform."""
    ones = torch.ones_like(x[0, :1])
    w = ones if weight is None else weight[0]
    rows = torch.cat([x[0] * w, w])
    near = rows[:, : region.space[0]]
    length = rows.shape[1] + lags
    spectrum = torch.fft.rfft(near, length).conj() * torch.fft.rfft(rows, length)
    pairs = torch.fft.irfft(spectrum, length)[:, : lags + 1]
    return torch.cat([near.sum(1, keepdim=True), pairs], 1)


def covariances(sums: Float[Tensor, "row column"]) -> Float[Tensor, "channel lag"]:
    """The mean of (x_i - mean) (x_(i + lag) - mean), from those sums."""
    means = sums[:-1] / sums[-1].clamp_min(FAINT)
    return means[:, 1:] - means[:, :1].square()


def powers(
    x: Float[Tensor, "1 channel time"], region: Region, weight: Weight, window: int
) -> Float[Tensor, "row column"]:
    """The sums of `Spectrum`: Hann windows, half a window apart, each less its mean.

    Half a window at either end is seen once more, beside its mirror image: Hann windows hardly
    look at their ends, and slow swings of the signal would all gather there. A window counts as
    much as the one of its positions that counts least.
    """
    rows = x[0] if weight is None else torch.cat([x[0], weight[0]])
    found = _windows(rows, region, window)
    if not found:
        nothing = x[..., :0].sum()  # which has a gradient, as the sums of other regions do
        return nothing.expand(x.shape[1] + 1, window // 2)
    windows = torch.cat(found, 1)
    hann = torch.hann_window(window, dtype=x.dtype)
    own = windows[: x.shape[1]]
    centered = own - own.mean(2, keepdim=True)
    power = torch.fft.rfft(centered * hann)[..., 1:].abs().square() / hann.square().sum()
    ones = power.new_ones((power.shape[1], 1))
    w = ones if weight is None else windows[-1].amin(1)[:, None]
    return torch.cat([(power * w).sum(1), w.sum().expand(1, window // 2)])


def count_windows(weight: Float[Tensor, "1 1 time"], window: int) -> Float[Tensor, "1"]:
    """How many windows count, from what each position does: the last of the sums of `Spectrum`."""
    windows = _windows(weight[0], Region.all_of(tuple(weight.shape[2:])), window)
    return torch.stack([each.amin(2).sum(1) for each in windows]).sum(0)


def _windows(
    rows: Float[Tensor, "row time"], region: Region, window: int
) -> list[Float[Tensor, "row window position"]]:
    """Those that start in the region, and those at the ends, with their mirror images."""
    hop = window // 2
    (start,), (stop,), (whole,) = region.start, region.stop, region.whole
    found = []
    first = -start % hop
    last = min(stop + window - 1, whole) - start
    if last - first >= window:
        found.append(rows[:, first:last].unfold(1, window, hop))
    if start == 0 < stop and whole >= window:
        head = rows[:, :hop]
        found.append(torch.cat([head.flip(1), head], 1)[:, None])
    if start <= whole - hop < stop and whole >= window:
        tail = rows[:, whole - hop - start : whole - start]
        found.append(torch.cat([tail, tail.flip(1)], 1)[:, None])
    return found


def log_density(sums: Float[Tensor, "row column"]) -> Float[Tensor, "channel frequency"]:
    """The logarithm of the mean power at each frequency, from those sums."""
    density = sums[:-1] / sums[-1].clamp_min(FAINT)
    return (density + FLOOR * density.detach().mean(1, keepdim=True).clamp_min(FAINT)).log()


def histogram(
    x: Float[Tensor, "1 channel time"],
    weight: Weight,
    low: Float[Tensor, " channel"],
    high: Float[Tensor, " channel"],
) -> Float[Tensor, "channel step"]:
    """The sums of `Amplitude`."""
    place = (x[0] - low[:, None]) / (high - low)[:, None] * (AMPLITUDES - 1)
    place = place.clamp(0, AMPLITUDES - 1)
    below = place.detach().floor().clamp(max=AMPLITUDES - 2)
    above = place - below
    w = torch.ones_like(place) if weight is None else weight[0].expand_as(place)
    counts = x.new_zeros((x.shape[1], AMPLITUDES))
    counts = counts.scatter_add(1, below.long(), (1 - above) * w)
    return counts.scatter_add(1, below.long() + 1, above * w)


def distribution(sums: Float[Tensor, "channel step"]) -> Float[Tensor, "channel step"]:
    """The part of the positions up to each amplitude, from those sums."""
    return sums.cumsum(1) / sums.sum(1, keepdim=True).clamp_min(FAINT)
