"""From coarse to fine: each size of a picture starts from what was painted at half of it.

Forms and strokes come from coarse sizes, as in the optimization (docs/decisions.md).
"""

from __future__ import annotations

from typing import Protocol, runtime_checkable

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from impasto.grids.geometry import Space
from impasto.grids.patch import Allocate, Values

ROWS = 512
"""Rows of a picture that are halved together, an even number."""


@runtime_checkable
class Source(Protocol):
    """A picture that is read region by region."""

    @property
    def space(self) -> Space:
        """Height and width."""

    def read(self, start: Space, stop: Space) -> Values:
        """Returns the values from `start` to `stop` along each axis."""


class Plain:
    """A picture in memory or in a file."""

    def __init__(self, x: Values) -> None:
        self.x = x

    @property
    def space(self) -> Space:
        return tuple(self.x.shape[2:])

    def read(self, start: Space, stop: Space) -> Values:
        return self.x[..., start[0] : stop[0], start[1] : stop[1]].float()


class Sharpened:
    """A painted picture, enlarged, with the details of the content.

    Args:
        content: the content.
        small: the content, halved.
        painted: what was painted of it.
    """

    def __init__(
        self,
        content: Float[Tensor, "1 channel height width"],
        small: Float[Tensor, "1 channel h w"],
        painted: Float[Tensor, "1 channel h w"],
    ) -> None:
        self.content, self.small, self.painted = content, small, painted

    @property
    def space(self) -> Space:
        return tuple(self.content.shape[2:])

    def read(self, start: Space, stop: Space) -> Values:
        """Returns the values; the starts must be even."""
        content = self.content[..., start[0] : stop[0], start[1] : stop[1]].float()
        painted, small = (
            enlarged(x, start, stop, content.device) for x in (self.painted, self.small)
        )
        change = painted - small
        return (content + change).clamp(0, 1)


def enlarged(
    small: Float[Tensor, "1 channel h w"], start: Space, stop: Space, device: torch.device
) -> Values:
    """Returns a part of a picture enlarged twice, on a device; the starts must be even."""
    own = [max(0, first // 2 - 1) for first in start]
    end = [min(side, -(-last // 2) + 1) for last, side in zip(stop, small.shape[2:], strict=True)]
    part = doubled(small[..., own[0] : end[0], own[1] : end[1]].to(device))
    rows, columns = (
        slice(first - 2 * before, last - 2 * before)
        for first, last, before in zip(start, stop, own, strict=True)
    )
    return part[..., rows, columns]


def sharpened(
    content: Float[Tensor, "1 channel height width"],
    small: Float[Tensor, "1 channel h w"],
    painted: Float[Tensor, "1 channel h w"],
) -> Float[Tensor, "1 channel height width"]:
    """Returns all of what `Sharpened` reads."""
    source = Sharpened(content, small, painted)
    return source.read((0, 0), source.space)


def doubled(x: Float[Tensor, "batch channel height width"]) -> Tensor:
    """Returns a picture enlarged twice, bilinearly."""
    return functional.interpolate(x, scale_factor=2, mode="bilinear", align_corners=False)


def levels_of(space: Space, smallest: int) -> int:
    """Returns how many sizes a picture has: until a long side is at most `smallest`."""
    count, side = 1, max(space)
    while side > smallest:
        count, side = count + 1, -(-side // 2)
    return count


def pyramid(x: Float[Tensor, "1 channel height width"], count: int, new: Allocate) -> list[Tensor]:
    """Returns a picture and its halves, each of means over 2 x 2 pixels of the one before.

    Where a side is odd, its border counts twice.
    """
    found = [x]
    for _ in range(count - 1):
        height, width = found[-1].shape[2:]
        half = new((1, x.shape[1], -(-height // 2), -(-width // 2)), torch.float32)
        for first in range(0, height, ROWS):
            rows = found[-1][..., first : first + ROWS, :].float()
            even = functional.pad(rows, (0, width % 2, 0, rows.shape[2] % 2), mode="replicate")
            small = functional.avg_pool2d(even, 2)
            half[..., first // 2 : first // 2 + small.shape[2], :] = small
        found.append(half)
    return found
