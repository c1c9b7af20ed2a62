"""Tiles of a picture, and what of it each of them has to see.

All is counted in pixels of the padded picture, whose sides are multiples of `STRIDE`; so are those
of every tile, so that a tile halves exactly as the whole does.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from impasto.grids.geometry import Region, Space
from impasto.grids.patch import Values
from impasto.instant.decoder import Stage
from impasto.instant.encoder import STRIDE, Tap
from impasto.instant.pyramid import Plain, Source

BYTES = 900
"""Of memory that a pixel of a tile takes, at most."""

LEAST, MOST = 64, 1024
"""The smallest and the largest side of a tile."""

WHOLE = 2048 * 2048
"""Pixels of the largest picture that is one tile."""


def padded(space: Space) -> Space:
    """Returns the sides, rounded up to multiples of `STRIDE`."""
    return tuple(math.ceil(side / STRIDE) * STRIDE for side in space)


def tiles_of(space: Space, halo: int, memory: float) -> list[Region]:
    """Returns tiles that cover a padded picture.

    Args:
        space: the sides of the padded picture.
        halo: how far around itself a tile sees.
        memory: bytes that one may take with its halo.
    """
    pixels = memory / BYTES
    if math.prod(space) <= min(pixels, WHOLE):
        return [Region.all_of(space)]
    side = int(math.sqrt(max(pixels, 0))) - 2 * halo
    side = max(LEAST, min(MOST, side)) // STRIDE * STRIDE
    return [
        Region((top, left), (min(top + side, space[0]), min(left + side, space[1])), space)
        for top in range(0, space[0], side)
        for left in range(0, space[1], side)
    ]


def around(tile: Region, halo: int) -> Region:
    """Returns the tile with what is around it inside the picture."""
    halo = math.ceil(halo / STRIDE) * STRIDE
    start = tuple(max(0, first - halo) for first in tile.start)
    return Region(start, tile.stop, tile.whole).grow(halo)


def read(source: Source, region: Region, device: torch.device) -> Values:
    """Returns a region of a padded picture; the border is repeated beyond the picture itself."""
    stop = tuple(min(last, side) for last, side in zip(region.stop, source.space, strict=True))
    part = source.read(region.start, stop).to(device)
    down, across = (side - have for side, have in zip(region.space, part.shape[2:], strict=True))
    if down or across:
        part = functional.pad(part, (0, across, 0, down), mode="replicate")
    return part.contiguous(memory_format=torch.channels_last)


def cells(
    space: Space,
    region: Region,
    stride: int,
    place: Float[Tensor, "1 1 height width"] | None,
    device: torch.device,
) -> Float[Tensor, "1 1 h w"] | None:
    """Returns how much each position of that stride counts: 0 where its first pixel is padding.

    Args:
        space: the sides of the picture without padding.
        region: of the padded picture.
        stride: of the positions.
        place: how much each pixel counts; None for 1.

    Returns:
        None where each counts as 1.
    """
    within = all(last <= side for last, side in zip(region.stop, space, strict=True))
    if place is None and within:
        return None
    inside = [
        (torch.arange(first, last, stride, device=device) < side).float()
        for first, last, side in zip(region.start, region.stop, space, strict=True)
    ]
    counts = (inside[0][:, None] * inside[1])[None, None]
    return counts if place is None else counts * shrunk(place, region, stride, device)


def shrunk(
    place: Float[Tensor, "1 1 height width"],
    region: Region,
    stride: int,
    device: torch.device,
) -> Float[Tensor, "1 1 h w"]:
    """Returns the means of a map over the pixels that each position stands for."""
    return functional.avg_pool2d(read(Plain(place), region, device).contiguous(), stride)


def inner(part: Tensor, seen: Region, tile: Region, stride: int) -> Tensor:
    """Returns a tile's positions out of those of what it has seen."""
    rows, columns = (
        slice((first - begin) // stride, (last - begin) // stride)
        for first, last, begin in zip(tile.start, tile.stop, seen.start, strict=True)
    )
    return part[..., rows, columns]


def halo_of(stages: Sequence[Stage], last: int) -> int:
    """Returns how many pixels around a tile some stages need to be exact inside it.

    Args:
        stages: consecutive ones, from coarse to fine.
        last: how many pixels around the tile their result is needed.
    """
    most, halo = 0, last
    for stage in reversed(stages):
        halo += stage.reach
        most = max(most, *(halo + tap.reach for tap in stage.taps))
        halo += 2 * stage.stride  # enlarging sees one position more of the stage before
    return max(most, halo)


def taps_of(stages: Sequence[Stage]) -> list[Tap]:
    """Returns the taps that stages take."""
    return [tap for stage in stages for tap in stage.taps]
