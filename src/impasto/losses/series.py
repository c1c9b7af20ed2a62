"""Losses on signals themselves: autocorrelation, spectrum and amplitudes.

Each compares every channel on its own. A weight, shape (1, 1, time), is how much each position
counts. `impasto.losses.loss` explains sums and scores.
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
"""Power added at every frequency, as a share of the mean power.

Without it, frequencies with no power at all would make the logarithm infinite.
"""

BAND = 0.96
"""Share of the frequencies compared; the filters of resampling act on those above."""

AMPLITUDES = 256
"""Number of amplitudes in a histogram."""


@dataclass(frozen=True, eq=False)
class Autocorrelation:
    """The distance of autocovariances at the lags 0, 1, ..., `reach`.

    Attributes:
        target: the style's `covariances`.
        reach: the longest lag, in positions.
    """

    target: Float[Tensor, "channel lag"]
    reach: int

    @classmethod
    def of(cls, sums: Float[Tensor, "row column"]) -> Autocorrelation:
        """Returns the loss for a style with these sums."""
        return cls(covariances(sums), sums.shape[1] - 2)

    @property
    def shape(self) -> tuple[int, ...]:
        """(channel + 1, lag + 1)."""
        channels, lags = self.target.shape
        return channels + 1, lags + 1

    def sums(
        self, activation: Float[Tensor, "1 channel time"], region: Region, weight: Weight = None
    ) -> Float[Tensor, "row column"]:
        """Returns the sums that means and covariances are computed from.

        Returns:
            For each channel the sum of x_i, then the sums of x_i x_(i + lag), over the i in the
            region. The last row has the same sums of the weights: the number of positions and of
            pairs.
        """
        return products(activation, region, weight, self.reach)

    def score(self, sums: Float[Tensor, "row column"], count: float) -> Float[Tensor, ""]:
        """Returns the squared distance over the style's squared norm, a mean over channels."""
        distance = (covariances(sums) - self.target).square().sum(1)
        return (distance / self.target.square().sum(1).clamp_min(FAINT**2)).mean()


@dataclass(frozen=True, eq=False)
class Spectrum:
    """The distance of the logarithms of two power spectral densities (Welch 1967).

    Attributes:
        target: the style's `log_density`.
    """

    target: Float[Tensor, "channel frequency"]

    @classmethod
    def of(cls, sums: Float[Tensor, "row column"]) -> Spectrum:
        """Returns the loss for a style with these sums."""
        return cls(log_density(sums))

    @property
    def window(self) -> int:
        """Positions of a window."""
        return 2 * self.target.shape[1]

    @property
    def reach(self) -> int:
        """How many positions beyond a region its last window reaches."""
        return self.window - 1

    @property
    def shape(self) -> tuple[int, ...]:
        """(channel + 1, frequency)."""
        channels, frequencies = self.target.shape
        return channels + 1, frequencies

    def sums(
        self, activation: Float[Tensor, "1 channel time"], region: Region, weight: Weight = None
    ) -> Float[Tensor, "row column"]:
        """Returns the power in the windows that start in the region.

        Returns:
            For each channel the sum over the windows of the power at each frequency. The last row
            has the number of windows.
        """
        return powers(activation, region, weight, self.window)

    def score(self, sums: Float[Tensor, "row column"], count: float) -> Float[Tensor, ""]:
        """Returns the mean squared difference of the log densities, in nepers of power."""
        difference = log_density(sums) - self.target
        return difference[:, : round(BAND * difference.shape[1])].square().mean()


@dataclass(frozen=True, eq=False)
class Amplitude:
    """The Cramér distance of the distributions of amplitudes.

    It is divided by the distance of the style's distribution from that of its mean.

    Attributes:
        target: the style's `distribution`.
        low: the smallest amplitude of the histogram of each channel.
        high: the largest one.
    """

    target: Float[Tensor, "channel step"]
    low: Float[Tensor, " channel"]
    high: Float[Tensor, " channel"]
    reach: ClassVar[int] = 0

    @classmethod
    def range_of(
        cls, sums: Float[Tensor, "row column"]
    ) -> tuple[Float[Tensor, " channel"], Float[Tensor, " channel"]]:
        """Returns the range of the histograms for a style: its mean -/+ 10 deviations.

        Args:
            sums: those of `Autocorrelation`, with any number of lags.
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
        """Returns the number of positions at each amplitude.

        A position between two of these amplitudes is shared by both.
        """
        low, high = self.low.to(activation), self.high.to(activation)
        return histogram(activation, weight, low, high)

    def score(self, sums: Float[Tensor, "channel step"], count: float) -> Float[Tensor, ""]:
        """Returns the integral of the squared difference, normalized, a mean over channels."""
        distance = (distribution(sums) - self.target).square().sum(1)
        own = (self.target * (1 - self.target)).sum(1)
        return (distance / own.clamp_min(FAINT)).mean()


def products(
    x: Float[Tensor, "1 channel time"], region: Region, weight: Weight, lags: int
) -> Float[Tensor, "row column"]:
    """Returns the sums of `Autocorrelation`, by the Fourier transform."""
    ones = torch.ones_like(x[0, :1])
    w = ones if weight is None else weight[0]
    rows = torch.cat([x[0] * w, w])
    near = rows[:, : region.space[0]]
    length = rows.shape[1] + lags
    spectrum = torch.fft.rfft(near, length).conj() * torch.fft.rfft(rows, length)
    pairs = torch.fft.irfft(spectrum, length)[:, : lags + 1]
    return torch.cat([near.sum(1, keepdim=True), pairs], 1)


def covariances(sums: Float[Tensor, "row column"]) -> Float[Tensor, "channel lag"]:
    """Returns the mean of (x_i - mean) (x_(i + lag) - mean), from the sums of `products`."""
    means = sums[:-1] / sums[-1].clamp_min(FAINT)
    return means[:, 1:] - means[:, :1].square()


def powers(
    x: Float[Tensor, "1 channel time"], region: Region, weight: Weight, window: int
) -> Float[Tensor, "row column"]:
    """Returns the sums of `Spectrum`: Hann windows, half a window apart, each less its mean.

    Half a window at either end is used once more, together with its mirror image. A Hann window
    hardly sees its own ends, so slow changes would otherwise collect at the ends of the signal. A
    window counts as much as its position of the smallest weight.
    """
    rows = x[0] if weight is None else torch.cat([x[0], weight[0]])
    parts = _windows(rows, region, window)
    if not parts:
        nothing = x[..., :0].sum()  # a sum over nothing, which has a gradient
        return nothing.expand(x.shape[1] + 1, window // 2)
    windows = torch.cat(parts, 1)
    hann = torch.hann_window(window, dtype=x.dtype, device=x.device)
    own = windows[: x.shape[1]]
    centered = own - own.mean(2, keepdim=True)
    power = torch.fft.rfft(centered * hann)[..., 1:].abs().square() / hann.square().sum()
    ones = power.new_ones((power.shape[1], 1))
    w = ones if weight is None else windows[-1].amin(1)[:, None]
    return torch.cat([(power * w).sum(1), w.sum().expand(1, window // 2)])


def count_windows(weight: Float[Tensor, "1 1 time"], window: int) -> Float[Tensor, "1"]:
    """Returns the number of windows, each counted by its smallest weight.

    It is the last row of the sums of `Spectrum`.
    """
    windows = _windows(weight[0], Region.all_of(tuple(weight.shape[2:])), window)
    return torch.stack([each.amin(2).sum(1) for each in windows]).sum(0)


def _windows(
    rows: Float[Tensor, "row time"], region: Region, window: int
) -> list[Float[Tensor, "row window position"]]:
    """Cuts the windows that start in the region, and those at the ends with their mirror images."""
    hop = window // 2
    (start,), (stop,), (whole,) = region.start, region.stop, region.whole
    parts = []
    first = -start % hop
    last = min(stop + window - 1, whole) - start
    if last - first >= window:
        parts.append(rows[:, first:last].unfold(1, window, hop))
    if start == 0 < stop and whole >= window:
        head = rows[:, :hop]
        parts.append(torch.cat([head.flip(1), head], 1)[:, None])
    if start <= whole - hop < stop and whole >= window:
        tail = rows[:, whole - hop - start : whole - start]
        parts.append(torch.cat([tail, tail.flip(1)], 1)[:, None])
    return parts


def log_density(sums: Float[Tensor, "row column"]) -> Float[Tensor, "channel frequency"]:
    """Returns the logarithm of the mean power at each frequency, from the sums of `powers`."""
    density = sums[:-1] / sums[-1].clamp_min(FAINT)
    return (density + FLOOR * density.detach().mean(1, keepdim=True).clamp_min(FAINT)).log()


def histogram(
    x: Float[Tensor, "1 channel time"],
    weight: Weight,
    low: Float[Tensor, " channel"],
    high: Float[Tensor, " channel"],
) -> Float[Tensor, "channel step"]:
    """Returns the sums of `Amplitude`."""
    place = (x[0] - low[:, None]) / (high - low)[:, None] * (AMPLITUDES - 1)
    place = place.clamp(0, AMPLITUDES - 1)
    below = place.detach().floor().clamp(max=AMPLITUDES - 2)
    above = place - below
    w = torch.ones_like(place) if weight is None else weight[0].expand_as(place)
    counts = x.new_zeros((x.shape[1], AMPLITUDES))
    counts = counts.scatter_add(1, below.long(), (1 - above) * w)
    return counts.scatter_add(1, below.long() + 1, above * w)


def distribution(sums: Float[Tensor, "channel step"]) -> Float[Tensor, "channel step"]:
    """Returns the share of the positions up to each amplitude, from the sums of `histogram`."""
    return sums.cumsum(1) / sums.sum(1, keepdim=True).clamp_min(FAINT)
