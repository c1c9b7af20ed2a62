"""Convert samples to the values that the network takes, and G back to samples."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Bool, Float, Float32
from torch import Tensor

from impasto.grids.arrays import Arrays
from impasto.grids.geometry import Space
from impasto.grids.patch import Allocate, Values, allocate
from impasto.grids.resample import average_over, resample
from impasto.media.blocks import blocks
from impasto.media.sample import Sample
from impasto.system.devices import CPU

Free = Bool[Tensor, "1 1 *space"]


@dataclass(frozen=True)
class Units:
    """The affine map between a sample's values and the network's: value = low + span * G.

    G is in [0, 1] for a sample with a value range, for a volume in its intensity window and for an
    array over three axes between its extremes; values outside are clipped. In a signal, the mean of
    each channel becomes 1/2, and three standard deviations below and above become 0 and 1; these
    values are not clipped.

    Attributes:
        content: the sample whose kind and metadata the result has.
        low: the value that becomes 0, for each channel.
        span: the difference between the values that become 1 and 0, for each channel.

    Example:
        >>> content = Sample(np.full((1, 8, 8), 20.0, np.float32), value_range=(10.0, 30.0))
        >>> units = Units.of(content)
        >>> float(units.values(content, (8, 8)).mean())
        0.5
    """

    content: Sample
    low: tuple[float, ...]
    span: tuple[float, ...]

    @classmethod
    def of(cls, content: Sample, window: tuple[float, float] | None = None) -> Units:
        """Chooses the units of a content. window: a volume's intensity window, or None."""
        channels = len(content.data)
        if limits := window or content.value_range:
            low, high = limits
            return cls(content, (low,) * channels, (high - low,) * channels)
        if content.dims == 3:
            ends = [(float(plane.min()), float(plane.max())) for plane in content.data]
            spans = [high - low or 1.0 for low, high in ends]
            return cls(content, tuple(low for low, _ in ends), tuple(spans))
        moments = [_mean_and_deviation(plane) for plane in content.data]
        spans = [6 * (deviation or 1.0) for _, deviation in moments]
        lows = [mean - span / 2 for (mean, _), span in zip(moments, spans, strict=True)]
        return cls(content, tuple(lows), tuple(spans))

    def values(self, sample: Sample, space: Space, new: Allocate = allocate) -> Values:
        """Converts a sample to the network's values on a grid.

        Args:
            sample: the sample, whose channels are the content's.
            space: the grid.
            new: allocates the result, shape (1, channel, *space).
        """
        values = new((1, len(sample.data), *space), torch.float32)
        for channel, (low, span) in enumerate(zip(self.low, self.span, strict=True)):
            target = values[:, channel : channel + 1]
            plane = torch.from_numpy(sample.data[channel])[None, None].to(target.device)
            target.copy_(resample(plane, space)).sub_(low).div_(span)  # in place, to save memory
            if self.limited:
                target.clamp_(0, 1)
        return values

    def over(
        self, g: Values, space: Space, new: Allocate = allocate
    ) -> Float[Tensor, "1 channel *other"]:
        """Resamples G to another grid; returns G itself if it already has that grid."""
        if tuple(g.shape[2:]) == space:
            return g
        values = new((1, g.shape[1], *space), g.dtype)
        for channel in range(g.shape[1]):
            plane = slice(channel, channel + 1)
            values[:, plane] = self.clipped(resample(g[:, plane], space)).to(values.device)
        return values

    @property
    def limited(self) -> bool:
        """Whether G is clipped to [0, 1]."""
        return self.content.dims == 3 or self.content.value_range is not None

    def clipped(self, g: Tensor) -> Tensor:
        """Clips G to [0, 1], if it has a range."""
        return g.clamp(0, 1) if self.limited else g

    def free(self, space: Space, device: torch.device = CPU) -> Free | None:
        """Returns where G may change, shape (1, 1, *space); None if everywhere."""
        if self.content.free is None:
            return None
        return weights_over(self.content.free.astype(np.float32), space, device) > 0

    def sample(self, g: Values, arrays: Arrays) -> Sample:
        """Converts G to a sample of the content's kind, with its metadata.

        On the content's own grid, positions that must not change take the content's exact values.

        Args:
            g: G, shape (1, channel, *space).
            arrays: allocates the values.
        """
        data = arrays.numpy(tuple(g.shape[1:]))
        for channel, (low, span) in enumerate(zip(self.low, self.span, strict=True)):
            data[channel] = (low + span * self.clipped(g[0, channel])).cpu().numpy()
        if (
            data.shape == self.content.data.shape
            and (free := self.free(self.content.space)) is not None
        ):
            np.copyto(data, self.content.data, where=~free[0].numpy())
        return self.content.with_data(data)


def _mean_and_deviation(plane: np.ndarray) -> tuple[float, float]:
    """Computes in float64 block by block, because a float64 copy of the plane may be too large."""
    mean = float(plane.mean(dtype=np.float64))
    squares = 0.0
    for block in blocks(plane.shape):
        centered = np.subtract(plane[block], mean, dtype=np.float64).ravel()
        squares += float(centered @ centered)
    return mean, math.sqrt(squares / plane.size)


def weights_over(
    weights: Float32[np.ndarray, "*own"], space: Space, device: torch.device = CPU
) -> Float[Tensor, "1 1 *space"]:
    """Averages the weights of positions over another grid, on a device."""
    return average_over(torch.from_numpy(weights)[None, None].to(device), space)
