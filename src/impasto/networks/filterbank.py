"""A network without training: oriented waves and colors, octave by octave, over 1 to 3 axes."""

from __future__ import annotations

import math
from functools import reduce
from itertools import product

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from impasto.networks.operations import Each
from impasto.networks.stage import INPUT, Network, Stage
from impasto.networks.vgg import CONVOLUTION, TORCH_PADDING, Padding

OCTAVES = (8, 5, 5)
_KERNEL = (11, 9, 5)
_DIRECTIONS = (1, 8, 9)
"""Octaves, filter size and wave directions in 1, 2 and 3 dimensions."""

_COLORS = 24
_WAVELENGTH, _ALONG, _ACROSS = 5 / 11, 1.8 / 11, 3 / 11
"""The wavelength, and the envelope's deviations along and across the wave, in filter sizes."""


class Octave(Stage):
    """The layers of one resolution; the last one is the sample, blurred and halved.

    - color: random projections of the channels, rectified.
    - wave: short waves of many directions, in the channels' mean and in their differences; positive
      and negative halves are rectified separately.
    - stroke: waves in the strength of the mean's waves of each direction; they see long strokes and
      how these turn.
    - edge: gentle waves of the mean, not rectified; they keep the content and leave colors free.
    """

    def __init__(
        self, index: int, channels: int, dims: int, padding: Padding, seed: int, size: int
    ) -> None:
        count = _DIRECTIONS[dims - 1]
        generator = torch.Generator().manual_seed(1000 * seed + index)
        directions = torch.randn(_COLORS, channels, generator=generator)
        directions /= directions.norm(dim=1, keepdim=True)
        thresholds = (directions * torch.rand(_COLORS, channels, generator=generator)).sum(1)
        color = directions.reshape(_COLORS, channels, *(1,) * dims)
        mean, *differences = cosines(channels)
        few = waves(max(1, count // 2), dims, size)
        banks = [over_channels(waves(count, dims, size), mean)]
        banks += [over_channels(few, difference) for difference in differences]
        binomial = reduce(_outer, [torch.tensor([1.0, 4.0, 6.0, 4.0, 1.0]) / 16] * dims)[None, None]
        super().__init__(
            [
                (f"_color{index}", bank(color, padding, -thresholds)),
                (f"color{index}", nn.ReLU()),
                (f"_waves{index}", bank(torch.cat(banks), padding)),
                (f"wave{index}", Halves()),
                (f"_amplitude{index}", Amplitude(count)),
                (f"_strength{index}", Each(bank(binomial, padding, stride=2))),
                (f"_strokes{index}", Each(bank(few[:, None], padding))),
                (f"stroke{index}", Halves()),
                (f"edge{index}", bank(over_channels(edges(dims, size), mean), padding)),
                (f"octave{index + 1}", Each(bank(binomial, padding, stride=2))),
            ],
            dims=dims,
            sources={
                f"_waves{index}": INPUT,
                f"_amplitude{index}": f"_waves{index}",
                f"edge{index}": INPUT,
                f"octave{index + 1}": INPUT,
            },
        )


class Halves(nn.Module):
    """Returns max(x, 0) and max(-x, 0) of each channel: shape (1, 2 channel, *space)."""

    def forward(self, x: Float[Tensor, "1 channel *space"]) -> Float[Tensor, "1 twice *space"]:
        return torch.cat([x, -x], dim=1).relu()


class Amplitude(nn.Module):
    """Returns sqrt(cosine^2 + sine^2) of each of the first pairs of channels.

    It is smooth below a contrast of 0.01.
    """

    def __init__(self, pairs: int) -> None:
        super().__init__()
        self.pairs = pairs

    def forward(self, x: Float[Tensor, "1 channel *space"]) -> Float[Tensor, "1 pair *space"]:
        cosine, sine = x[:, : 2 * self.pairs : 2], x[:, 1 : 2 * self.pairs : 2]
        return torch.sqrt(cosine.square() + sine.square() + 1e-4)


def filterbank(
    *, dims: int, channels: int, padding: Padding, seed: int, kernel: int = 0
) -> Network:
    """Returns the network of the layers color1, wave1, stroke1, edge1, octave2, color2, ...

    It is the multi-scale bank of Ustyuzhaninov et al. 2016, with two changes: each scale is
    computed at its own resolution, and oriented waves replace random patches. The strokes are the
    second order of the scattering transform (Bruna and Mallat 2013).

    Args:
        dims: how many axes the samples have, 1 to 3.
        channels: how many channels they have.
        padding: as in `vgg.vgg`.
        seed: the seed of the color projections; nothing else is random.
        kernel: positions along each side of a filter; 0 for 11, 9 and 5 in 1, 2 and 3 dimensions.

    Example:
        >>> network = filterbank(dims=1, channels=2, padding="reflect", seed=0)
        >>> network(torch.zeros(1, 2, 64), ["edge1"])["edge1"].shape
        torch.Size([1, 3, 64])
    """
    size = kernel or _KERNEL[dims - 1]
    stages = [
        Octave(index, channels, dims, padding, seed, size)
        for index in range(1, OCTAVES[dims - 1] + 1)
    ]
    return Network("filterbank", stages, dims=dims, channels=channels)


def waves(count: int, dims: int, size: int) -> Float[Tensor, "wave *space"]:
    """Returns a cosine and a sine under a long envelope for each of `count` directions.

    They have zero mean and unit norm; shape (2 count, size, ...), one `size` per dimension.
    """
    axis = torch.arange(size) - (size - 1) / 2
    grid = torch.stack(torch.meshgrid(*[axis] * dims, indexing="ij"), dim=-1)
    filters = []
    for direction in directions(count, dims):
        along = grid @ direction
        across = (grid.square().sum(-1) - along.square()).clamp_min(0)
        envelope = torch.exp(
            -(along.square() / (_ALONG * size) ** 2 + across / (_ACROSS * size) ** 2) / 2
        )
        for phase in (0.0, math.pi / 2):
            wave = envelope * torch.cos(2 * math.pi * along / (_WAVELENGTH * size) + phase)
            wave = wave - envelope * (wave.sum() / envelope.sum())
            filters.append(wave / wave.norm())
    return torch.stack(filters)


def edges(dims: int, size: int) -> Float[Tensor, "edge *space"]:
    """Returns tapered cosines of up to three half periods, of zero mean and unit norm."""
    basis = cosines(size)
    taper = reduce(_outer, [torch.hann_window(size + 2, periodic=False)[1:-1]] * dims)
    filters = []
    for orders in product(range(4), repeat=dims):
        if 0 < sum(order**2 for order in orders) <= 9:
            wave = taper * reduce(_outer, [basis[order] for order in orders])
            wave = wave - taper * (wave.sum() / taper.sum())
            filters.append(wave / wave.norm())
    return torch.stack(filters)


def directions(count: int, dims: int) -> Float[Tensor, "direction dims"]:
    """Returns unit vectors, evenly over half the circle or (Fibonacci's spiral) half the sphere."""
    index = torch.arange(count)
    if dims == 1:
        return torch.ones(count, 1)
    if dims == 2:
        angle = math.pi * index / count
        return torch.stack([angle.sin(), angle.cos()], dim=1)
    height = (index + 0.5) / count
    turn = index * math.pi * (3 - math.sqrt(5))
    radius = (1 - height.square()).sqrt()
    return torch.stack([height, radius * turn.sin(), radius * turn.cos()], dim=1)


def cosines(size: int) -> Float[Tensor, "size size"]:
    """Returns the orthonormal cosine basis (DCT-II), one row each, the constant first.

    Over the channels of RGB it is brightness, then two opponent colors.
    """
    order, position = torch.arange(size)[:, None], torch.arange(size)
    basis = torch.cos(math.pi * (position + 0.5) * order / size) * math.sqrt(2 / size)
    basis[0] /= math.sqrt(2)
    return basis


def over_channels(
    filters: Float[Tensor, "filter *space"], weights: Float[Tensor, " channel"]
) -> Float[Tensor, "filter channel *space"]:
    """Returns the filters applied to a weighted sum of the channels."""
    return filters[:, None] * weights.reshape(-1, *(1,) * (filters.ndim - 1))


def _outer(a: Tensor, b: Tensor) -> Tensor:
    return a[..., None] * b


def bank(
    filters: Float[Tensor, "filter channel *space"],
    padding: Padding,
    bias: Tensor | None = None,
    *,
    stride: int = 1,
) -> _ConvNd:
    """Returns a convolution with the given filters, padded so that stride 1 keeps the size."""
    count, channels, size = filters.shape[:3]
    convolution: _ConvNd = CONVOLUTION[filters.ndim - 3](
        channels,
        count,
        size,
        stride=stride,
        padding=size // 2,
        padding_mode=TORCH_PADDING[padding],
        bias=bias is not None,
    )
    convolution.weight = nn.Parameter(filters)
    if bias is not None:
        convolution.bias = nn.Parameter(bias)
    return convolution
