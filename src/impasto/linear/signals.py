"""Signals brought to the second-order statistics of a style: by one filter, and band by band."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float64
from torch import Tensor

from impasto.errors import SampleError
from impasto.linear.bands import LEVELS, STRONGEST, centers, levels, quantiles, split, with_levels
from impasto.linear.beats import find
from impasto.linear.spectra import Density, Response, density, filtered, gain, mixed
from impasto.media.signals.leads import is_audio, lead
from impasto.media.signals.signal import Signal
from impasto.media.signals.spectrum import longest_run
from impasto.optimizers.loop import Precondition

SECONDS = 3.0
"""The length of the windows of spectra, for one filter."""

HEARD = 0.065
"""That for sounds. Longer filters would ring, and their echo blurs notes and syllables."""

SMOOTHING = 1.0
"""Hz over which the densities of the filters beside a map of levels are averaged. Finer filters
would make the rhythm of the style's beats ring in the content's."""

SHORTEST = 8
"""The fewest positions in a row that have a spectrum."""

LEAST = 4.0
"""The lowest frequency in Hz that the last filter changes. Below it there is power enough for J to
see, and an even filter would take the rhythm of beats away again, and spread rare artifacts over
all slow waves."""

QUIETEST = 1e-6
"""Of the density of a style over its largest one, for the length of steps."""

MOST = 0.7
"""The change of a level in nepers, 6 dB, that beats and what is between them take together. More
would raise noise to beats where the style's heart is faster, and make T waves go."""


def equalized(content: Signal, styles: Sequence[Signal], shares: Sequence[float]) -> Signal:
    """Filters the content by the one filter that gives it the style's power spectrum.

    It is what a style transfer has to beat: no shift in time, the gain at each frequency the root
    of the ratio of Welch's densities (1967) over windows of `SECONDS` (of `HEARD` for sounds), the
    mean the style's.

    Args:
        content: the content.
        styles: styles of the content's leads, units and rate.
        shares: the weight of each; they add up to 1.

    Returns:
        A signal like the content; its gaps stay.

    Example:
        >>> noise = np.random.default_rng(0).normal(size=(1, 4000)).astype(np.float32)
        >>> quiet = Signal(noise, rate=100.0, names=("",), units=("",))
        >>> found = equalized(quiet, [quiet.with_data(3 * noise)], [1.0])
        >>> np.allclose(found.data.std(), 3, atol=0.01)
        True
    """
    job = _Job.of(content, styles, shares)
    return job.like(job.filtered(job.x, gain(job.density(job.x), job.target)))


def linear_signal(
    content: Signal, styles: Sequence[Signal], shares: Sequence[float], amount: float = 1.0
) -> Signal:
    """Gives the content the style's spectrum and the distribution of the power in each band.

    Each band is multiplied by a gain that changes with its own power, so that the levels of its
    amplitude are distributed as the style's, in the content's order. One filter follows.
    A second round would bring bursts nearer to the style's, and raise noise until it looks like
    beats.

    Where the content and the styles have beats (`beats.find`), that is done to what is left without
    them; the waves are those of the styles' usual beats, at the content's places. The levels of
    both together are then brought to the style's, by `MOST` at most.

    Args:
        content, styles, shares: as for `equalized`.
        amount: how far to go from the content's statistics to the styles', in [0, 1].
    """
    job, samples = _Job.of(content, styles, shares, amount), [content, *styles]
    weights = [1 - amount, *(amount * share for share in shares)]
    waves, rests = _separated(samples, weights)
    total = _centered_rows(_leveled(rests[0], rests, weights))
    beating = waves.any(1)
    if beating.any():
        rest = _Job.of(rests[0], rests[1:], shares, amount).evened(total, LEAST)
        both = _leveled(_like(content, waves + rest), samples, weights, MOST)
        both = job.evened(_centered_rows(both), LEAST)
        return job.like(torch.where(beating[:, None], both, job.evened(total)))
    return job.like(job.evened(total))


def _separated(
    samples: Sequence[Signal], weights: Sequence[float]
) -> tuple[Float64[Tensor, "channel time"], list[Signal]]:
    """Takes the beats out of the channels in which all samples have some.

    Args:
        samples: the content, then the styles.
        weights: of the content and of each style in the result.

    Returns:
        The waves of the samples at the content's places, 0 where there are none, and what is left
        of each sample.
    """
    left = [_centered(sample) for sample in samples]
    waves = torch.zeros_like(left[0])
    for channel in range(len(waves)):
        values = [x[channel].numpy().copy() for x in left]
        beats = []
        for sample, value in zip(samples, values, strict=True):
            found = None if _is_other(sample, channel) else find(value, sample.rate)
            if found is None:
                break
            beats.append(found)
        if len(beats) < len(samples):
            continue
        for each, weight in zip(beats, weights, strict=True):
            waves[channel] += weight * torch.from_numpy(beats[0].waves(values[0], each))
        for x, value, each in zip(left, values, beats, strict=True):
            x[channel] = torch.from_numpy(value - each.waves(value, each))
    return waves, [_like(sample, x) for sample, x in zip(samples, left, strict=True)]


def _is_other(signal: Signal, channel: int) -> bool:
    """Whether a channel is no ECG: a sound, or in another unit than a voltage's."""
    return is_audio(signal) or lead(signal, channel, 0, 1).unit not in ("mV", "")


def _leveled(
    content: Signal, samples: Sequence[Signal], weights: Sequence[float], most: float = STRONGEST
) -> Float64[Tensor, "channel time"]:
    """Brings the levels of each band to the mixture of those of the samples.

    Args:
        content: what to change.
        samples, weights: as for `_separated`.
        most: the largest change of a level, in nepers.
    """
    rate, x = content.rate, _centered(content)
    middles = centers(rate, min(signal.space[0] for signal in samples) / rate)
    if not middles:
        return x
    reach = max(2 * _window(samples), round(4 * rate / middles[0]))
    goals = [torch.zeros(len(x), LEVELS, dtype=torch.float64) for _ in middles]
    for sample, weight in zip(samples, weights, strict=True):
        bands = split(_centered(sample), rate, middles, reach)
        for goal, band, middle in zip(goals, bands, middles, strict=True):
            goal += weight * quantiles(_counted(levels(band, rate, middle), sample))
    total = torch.zeros_like(x)
    for goal, band, middle in zip(goals, split(x, rate, middles, reach), middles, strict=True):
        total += with_levels(band, rate, middle, goal, most)
    return total


def with_spectrum(
    g: Signal,
    content: Signal,
    styles: Sequence[Signal],
    shares: Sequence[float],
    amount: float = 1.0,
) -> Signal:
    """Filters a signal for the spectrum that `linear_signal` gives the content.

    Nothing changes below `LEAST`.

    Args:
        g: the signal, like the content.
        content, styles, shares, amount: as for `linear_signal`.
    """
    job = _Job.of(content, styles, shares, amount)
    x = torch.from_numpy(g.data.astype(np.float64)) - job.means
    return job.like(job.evened(x, LEAST))


def coordinates(styles: Sequence[Signal], shares: Sequence[float], rate: float) -> Precondition:
    """Returns a filter of a gradient, after which steps are as large as the style is loud.

    Its gain is the fourth root of the style's density. Without it, steps of Adam are white, and
    drown what is quiet.

    Args:
        styles, shares: as for `equalized`.
        rate: that of the signals to filter, in Hz.
    """
    window = _window(styles)
    target = mixed([density(_with_gaps(s), s.rate, window) for s in styles], shares)
    loudest = target.values.amax(1, keepdim=True)
    target = Density((target.values / loudest + QUIETEST).sqrt(), target.step)
    flat = Density(torch.ones_like(target.values), target.step)
    response = gain(flat, target)

    def apply(x: Tensor) -> None:
        for channel in range(x.shape[1]):
            row = x[0, channel]
            length = len(row) + window  # so that the two ends do not see each other
            frequencies = torch.fft.rfftfreq(length, 1 / rate, dtype=torch.float64)
            level = response(frequencies)[channel]
            level = (level / level.square().mean().sqrt()).to(row)
            row.copy_(torch.fft.irfft(torch.fft.rfft(row, length) * level, length)[: len(row)])

    return apply


@dataclass(frozen=True, eq=False)
class _Job:
    """A content, and the statistics of its styles.

    Attributes:
        content: the content.
        x: its values less their mean.
        means: the styles' mean.
        target: the styles' density.
        window: the positions of the windows of all densities.
    """

    content: Signal
    x: Float64[Tensor, "channel time"]
    means: Float64[Tensor, "channel 1"]
    target: Density
    window: int

    @classmethod
    def of(
        cls,
        content: Signal,
        styles: Sequence[Signal],
        shares: Sequence[float],
        amount: float = 1.0,
    ) -> _Job:
        window = _window((content, *styles))
        target = mixed([density(_with_gaps(s), s.rate, window) for s in styles], shares)
        if amount < 1:
            own = density(_with_gaps(content), content.rate, window)
            target = Density(own.values ** (1 - amount) * target.values**amount, target.step)
        means = np.average([_means(style) for style in styles], axis=0, weights=shares)
        means = (1 - amount) * _means(content) + amount * means
        return cls(content, _centered(content), torch.from_numpy(means), target, window)

    def density(self, x: Float64[Tensor, "channel time"]) -> Density:
        """Measures the content with other values."""
        gaps, values = self.content.gaps, x.numpy()
        known = values if gaps is None else np.where(gaps, np.nan, values)
        return density(known, self.content.rate, self.window)

    def filtered(
        self, x: Float64[Tensor, "channel time"], response: Response
    ) -> Float64[Tensor, "channel time"]:
        """Filters values of the content."""
        return filtered(x, self.content.rate, response, 2 * self.window)

    def evened(
        self, x: Float64[Tensor, "channel time"], least: float = 0.0
    ) -> Float64[Tensor, "channel time"]:
        """Gives values the styles' density, averaged over `SMOOTHING`."""
        own, target = (each.smoothed(SMOOTHING) for each in (self.density(x), self.target))
        return self.filtered(x, gain(own, target, least))

    def like(self, x: Float64[Tensor, "channel time"]) -> Signal:
        """Returns the content with values whose mean is the styles'."""
        return self.content.with_data((x + self.means).float().numpy())


def _window(signals: Sequence[Signal]) -> int:
    """The positions of a window: half the longest stretch without a gap at most.

    Raises SampleError where that is too short.
    """
    shortest = longest_stretch(signals)
    if shortest < SHORTEST:
        raise SampleError(
            expected=f"signals with {SHORTEST} positions in a row, for filters",
            found=str(shortest),
            remedy="pass longer ones, or --init content",
        )
    seconds = HEARD if is_audio(signals[0]) else SECONDS
    return min(round(seconds * signals[0].rate), shortest // 2)


def longest_stretch(signals: Sequence[Signal]) -> int:
    """Returns the positions of the longest stretch without a gap that every channel has."""
    return min(longest_run(x) for signal in signals for x in _with_gaps(signal))


def _with_gaps(signal: Signal) -> Float64[np.ndarray, "channel time"]:
    """The values, NaN in the gaps."""
    values = signal.data.astype(np.float64)
    return values if signal.gaps is None else np.where(signal.gaps, np.nan, values)


def _means(signal: Signal) -> Float64[np.ndarray, "channel 1"]:
    return np.asarray(np.nanmean(_with_gaps(signal), axis=1, keepdims=True))


def _centered(signal: Signal) -> Float64[Tensor, "channel time"]:
    return torch.from_numpy(signal.data.astype(np.float64) - _means(signal))


def _centered_rows(x: Float64[Tensor, "channel time"]) -> Float64[Tensor, "channel time"]:
    return x - x.mean(1, keepdim=True)


def _like(signal: Signal, x: Float64[Tensor, "channel time"]) -> Signal:
    return signal.with_data(x.float().numpy())


def _counted(
    found: tuple[Float64[Tensor, "channel window"], int], signal: Signal
) -> Float64[Tensor, "channel other"]:
    """The levels that are in no gap; all where no other are left."""
    values, hop = found
    if signal.weight is None:
        return values
    whole = signal.weight[np.arange(values.shape[1]) * hop] > 0
    return values[:, torch.from_numpy(whole)] if whole.any() else values
