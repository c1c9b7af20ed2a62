"""Filters of signals: power spectral densities, and the filter from one density to another.

Everything is in float64. A style stands for itself, or several styles for their mixture: densities
are averaged by their shares.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64
from torch import Tensor
from torch.nn import functional

from impasto.media.signals.spectrum import power_spectrum

FAINTEST = 1e-12
"""Power at any frequency, as a share of the mean power: digital silence has no logarithm."""

STRONGEST = 1e6
"""The largest gain: a channel without any power stays without."""

EVEN = 1024
"""Signals are continued to a multiple of this many positions, where they are long enough."""

Response = Callable[[Tensor], Tensor]
"""The gain at frequencies in Hz: one for each channel, or one for all."""


@dataclass(frozen=True, eq=False)
class Density:
    """The power of each channel at equally spaced frequencies above 0.

    Attributes:
        values: in units^2, up to a factor that all densities of one window share.
        step: the first frequency, and the distance of the others, in Hz.
    """

    values: Float64[Tensor, "channel frequency"]
    step: float

    def smoothed(self, width: float) -> Density:
        """Returns geometric means over so many Hz, weighted by a Hann function."""
        reach = min(max(1, round(width / self.step)), self.values.shape[1] - 1)
        hann = torch.hann_window(2 * reach + 3, periodic=False, dtype=torch.float64)[1:-1]
        logs = functional.pad(self.values.log()[:, None], (reach, reach), mode="reflect")
        means = functional.conv1d(logs, (hann / hann.sum())[None, None])[:, 0]
        return Density(means.exp(), self.step)


def density(values: Float64[np.ndarray, "channel time"], rate: float, window: int) -> Density:
    """Measures the power spectral density of channels (Welch 1967).

    Args:
        values: NaN in gaps.
        rate: in Hz.
        window: positions of a window, at most those of the longest stretch without a gap.

    Raises:
        MissingExtraError: scipy is not installed.

    Example:
        >>> noise = np.random.default_rng(0).normal(size=(1, 4000))
        >>> found = density(noise, 100.0, 100)
        >>> found.values.shape, found.step
        (torch.Size([1, 50]), 1.0)
    """
    found = np.stack([power_spectrum(channel, rate, window)[1][1:] for channel in values])
    floor = (FAINTEST * found.mean(1, keepdims=True)).clip(np.finfo(float).tiny)
    return Density(torch.from_numpy(found + floor), rate / window)


def mixed(densities: Sequence[Density], shares: Sequence[float]) -> Density:
    """Returns the density of a mixture."""
    parts = [share * each.values for each, share in zip(densities, shares, strict=True)]
    return Density(torch.stack(parts).sum(0), densities[0].step)


def gain(own: Density, target: Density, least: float = 0.0) -> Response:
    """Returns the gain at any frequencies of the filter that gives one density the other.

    Args:
        own: the density before.
        target: the density after, over the same frequencies.
        least: frequencies in Hz below which the gain is 1.
    """
    levels = (target.values / own.values).sqrt().clamp(max=STRONGEST)

    def at(frequencies: Float64[Tensor, " frequency"]) -> Float64[Tensor, "channel frequency"]:
        found = interpolated(levels, (frequencies / own.step - 1)[None])
        return torch.where(frequencies < least, 1.0, found)

    return at


def interpolated(
    curve: Float64[Tensor, "channel point"], place: Float64[Tensor, "#channel other"]
) -> Float64[Tensor, "channel other"]:
    """Interpolates curves between their points; beyond the ends they go on as they end.

    Args:
        curve: the values at 0, 1, 2 and so on.
        place: where to read them.

    Example:
        >>> curve = torch.tensor([[0.0, 10.0, 40.0]], dtype=torch.float64)
        >>> interpolated(curve, torch.tensor([[-1.0, 0.5, 1.5]], dtype=torch.float64)).tolist()
        [[0.0, 5.0, 25.0]]
    """
    last = curve.shape[1] - 1
    place = place.clamp(0, last).expand(len(curve), -1)
    below = place.floor().long().clamp(max=max(0, last - 1))
    above = (below + 1).clamp(max=last)
    return torch.lerp(curve.gather(1, below), curve.gather(1, above), place - below)


def filtered(
    x: Float[Tensor, "channel time"],
    rate: float,
    response: Response,
    reach: int,
) -> Float64[Tensor, "channel time"]:
    """Filters channels without a shift in time.

    Beyond its ends, the signal goes on turned about them, so that neither its value nor its slope
    jumps there.

    Args:
        x: the values, of mean 0.
        rate: in Hz.
        response: the gain.
        reach: positions of continuation at either end.
    """
    return next(filtered_by([response], x, rate, reach))


def filtered_by(
    responses: Iterable[Response], x: Float[Tensor, "channel time"], rate: float, reach: int
) -> Iterator[Float64[Tensor, "channel time"]]:
    """Yields what `filtered` gives, for several gains."""
    x, length = x.double(), x.shape[1]
    reach = min(reach, length - 1)
    more = min(reach + -(length + 2 * reach) % EVEN, length - 1)  # FFTs of odd lengths are slow
    head = 2 * x[:, :1] - x[:, 1 : reach + 1].flip(1)
    tail = 2 * x[:, -1:] - x[:, length - more - 1 : -1].flip(1)
    wide = torch.cat([head, x, tail], 1)
    frequencies = torch.fft.rfftfreq(wide.shape[1], 1 / rate, dtype=torch.float64)
    spectrum = torch.fft.rfft(wide)
    for response in responses:
        back: Tensor = torch.fft.irfft(spectrum * response(frequencies), wide.shape[1])
        yield back[:, reach : reach + length]
