"""What is transported and decoded: activations of `lite` at three sizes of a picture.

relu3_1 of the picture at a quarter of its size sees what deep layers see at its own size, as coarse
scales do in the optimization (docs/decisions.md).
"""

from __future__ import annotations

from collections.abc import Collection
from typing import NamedTuple

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.networks.lite import WIDTHS, load_lite
from impasto.networks.stage import INPUT, Network

LAYERS = ("relu1_1", "relu2_1", "relu3_1")

SIZES = 3
"""The picture's own size, half of it, a quarter."""

_STRIDES = {INPUT: 1, "detail": 1, "relu1_1": 1, "relu2_1": 2, "relu3_1": 4}
_WIDTHS = {INPUT: 3, "detail": 3} | {
    layer: block[0] for layer, block in zip(LAYERS, WIDTHS, strict=True)
}
_REACH = {INPUT: 0, "detail": 3, "relu1_1": 1, "relu2_1": 4, "relu3_1": 10}
"""How far a layer sees beyond what its position stands for, in positions of its input."""


class Tap(NamedTuple):
    """A layer at one of the sizes of a picture.

    Attributes:
        size: 0 for the picture's own size, 1 for half of it, and so on.
        layer: one of `LAYERS`, or what `COLOR` and `DETAIL` have.
    """

    size: int
    layer: str

    @property
    def stride(self) -> int:
        """The distance of neighbors, in pixels of the picture."""
        return int(2**self.size * _STRIDES[self.layer])

    @property
    def reach(self) -> int:
        """How far a position sees beyond the pixels that it stands for, in pixels."""
        return int(2**self.size * _REACH[self.layer])

    @property
    def width(self) -> int:
        """The number of channels."""
        return _WIDTHS[self.layer]


COLOR = Tap(0, INPUT)
"""The colors of the picture itself. They are transported last, in what the decoder painted."""

DETAIL = Tap(0, "detail")
"""What the picture has that its half, enlarged, does not. Transported after the decoder, too."""

TAPS = tuple(Tap(size, layer) for size in range(SIZES) for layer in LAYERS)
"""What the decoder takes."""

STRIDE = max(tap.stride for tap in TAPS)
"""Sides of pictures that are encoded are multiples of this."""

Activations = dict[Tap, Tensor]


def encoder() -> Network:
    """Returns `lite` as the decoder was trained for it."""
    return load_lite(padding="replicate", pooling="max")


def halved(x: Float[Tensor, "batch channel height width"]) -> Tensor:
    """Returns the means over boxes of 2 x 2 positions; both sides must be even."""
    return torch.nn.functional.avg_pool2d(x, 2)


def encode(
    network: Network,
    x: Float[Tensor, "batch 3 height width"],
    taps: Collection[Tap] = TAPS,
) -> Activations:
    """Returns the activations of pictures.

    Args:
        network: from `encoder`.
        x: values in [0, 1], sides that are multiples of `STRIDE`.
        taps: which of them.

    Returns:
        By tap, shape (batch, tap.width, height / tap.stride, width / tap.stride).

    Example:
        >>> found = encode(encoder(), torch.zeros(1, 3, 32, 48))
        >>> found[Tap(2, "relu3_1")].shape
        torch.Size([1, 96, 2, 3])
    """
    found: Activations = {}
    for size in range(SIZES):
        layers = [tap.layer for tap in taps if tap.size == size]
        if layers:
            given = network(x, layers)
            found |= {Tap(size, layer): given[layer] for layer in layers}
        if size + 1 < SIZES:
            x = halved(x)
    return found
