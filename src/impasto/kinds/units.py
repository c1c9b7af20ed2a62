"""What the network is given of samples, and samples again of G."""

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

Free = Bool[Tensor, "1 1 *space"]


@dataclass(frozen=True)
class Units:
    """What the network is given: values in [0, 1], about.

    content: whose kind and metadata the result has. low, span: value = low + span * G, of each
    channel. A range becomes [0, 1], and so does the window of a volume, outside which there are no
    others then, or what an array over three axes has; of signals, each channel's mean becomes 1/2
    and the three deviations to either side 0 and 1.
    """

    content: Sample
    low: tuple[float, ...]
    span: tuple[float, ...]

    @classmethod
    def of(cls, content: Sample, window: tuple[float, float] | None = None) -> Units:
        """The units for a content."""
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
        """The sample's values over a grid, in an array that `new` makes."""
        values = new((1, len(sample.data), *space), torch.float32)
        for channel, (low, span) in enumerate(zip(self.low, self.span, strict=True)):
            plane = torch.from_numpy(sample.data[channel])[None, None]
            target = values[:, channel : channel + 1]
            target.copy_(resample(plane, space)).sub_(low).div_(span)  # no copies: it may be large
            if self.limited:
                target.clamp_(0, 1)
        return values

    def over(
        self, g: Values, space: Space, new: Allocate = allocate
    ) -> Float[Tensor, "1 channel *other"]:
        """G over another grid; itself over its own."""
        if tuple(g.shape[2:]) == space:
            return g
        values = new((1, g.shape[1], *space), g.dtype)
        for channel in range(g.shape[1]):
            plane = slice(channel, channel + 1)
            values[:, plane] = self.clipped(resample(g[:, plane], space))
        return values

    @property
    def limited(self) -> bool:
        """Whether G stays in [0, 1]."""
        return self.content.dims == 3 or self.content.value_range is not None

    def clipped(self, g: Tensor) -> Tensor:
        """G inside its range, where it has one."""
        return g.clamp(0, 1) if self.limited else g

    def free(self, space: Space) -> Free | None:
        """Where G may change; None for everywhere."""
        if self.content.free is None:
            return None
        return weights_over(self.content.free.astype(np.float32), space) > 0

    def sample(self, g: Values, arrays: Arrays) -> Sample:
        """G as a sample of the content's kind, with its metadata; where it was not free to change,
        the very values of the content."""
        data = arrays.numpy(tuple(g.shape[1:]))
        for channel, (low, span) in enumerate(zip(self.low, self.span, strict=True)):
            data[channel] = (low + span * self.clipped(g[0, channel])).numpy()
        if (
            data.shape == self.content.data.shape
            and (free := self.free(self.content.space)) is not None
        ):
            np.copyto(data, self.content.data, where=~free[0].numpy())
        return self.content.with_data(data)


def _mean_and_deviation(plane: np.ndarray) -> tuple[float, float]:
    """In float64, without an array of them: the plane may be large."""
    mean = float(plane.mean(dtype=np.float64))
    squares = 0.0
    for block in blocks(plane.shape):
        centered = np.subtract(plane[block], mean, dtype=np.float64).ravel()
        squares += float(centered @ centered)
    return mean, math.sqrt(squares / plane.size)


def weights_over(weights: Float32[np.ndarray, "*own"], space: Space) -> Float[Tensor, "1 1 *space"]:
    """How much each position counts, over another grid."""
    return average_over(torch.from_numpy(weights)[None, None], space)
