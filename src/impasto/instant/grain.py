"""White noise that is the same wherever a tile begins.

In an even sky there is nothing that a style could be painted with, and a network that sees nothing
paints nothing. So the decoder is also given noise, with the covariance of the style's activations.
"""

from __future__ import annotations

from functools import cache

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.grids.geometry import Region
from impasto.instant.encoder import Tap

SIDES = (127, 113, 101)
"""Positions after which the noise of each size repeats itself."""


def grain(
    tap: Tap, region: Region, start: tuple[int, int] = (0, 0)
) -> Float[Tensor, "1 width h w"]:
    """Returns standard normal noise over a region of a picture.

    Args:
        tap: one of `GRAINS`.
        region: of the padded picture, in pixels.
        start: where in the noise the picture begins.
    """
    table = noise_of(tap)
    rows, columns = (
        (torch.arange(first // tap.stride, last // tap.stride) + shift) % len(table)
        for first, last, shift in zip(region.start, region.stop, start, strict=True)
    )
    return table[rows][:, columns].permute(2, 0, 1)[None]


@cache
def noise_of(tap: Tap) -> Float[Tensor, "side side width"]:
    generator = torch.Generator().manual_seed(tap.size)
    side = SIDES[tap.size]
    return torch.randn((side, side, tap.width), generator=generator)
