"""Values over a region of a grid: what one tile, or one process, holds of a whole."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from impasto.geometry import Region, Space

Allocate = Callable[[Space, torch.dtype], Tensor]
"""Makes a tensor of a shape and type, its values left open: `allocate`, or one on disk."""


def allocate(shape: Space, dtype: torch.dtype) -> Tensor:
    """A tensor in memory."""
    return torch.empty(shape, dtype=dtype)


def give_back() -> None:
    """Gives freed memory back to the system, which the C library otherwise keeps for later.

    Tiles of many sizes leave holes in it that come to as much as the tiles. Nothing happens where
    the library has no way to do so.
    """
    trim = getattr(_LIBC, "malloc_trim", None)
    if trim:
        trim(0)


_LIBC = ctypes.CDLL(None) if os.name == "posix" else None


@dataclass(frozen=True, eq=False)
class Patch:
    """Values over a region; shape (1, channel, *region.space)."""

    values: Tensor
    region: Region

    @classmethod
    def whole(cls, values: Tensor) -> Patch:
        """Values over all of their grid."""
        return cls(values, Region.all_of(tuple(values.shape[2:])))

    def over(self, region: Region) -> Tensor:
        """The values over a region inside this one, as a view."""
        if region == self.region:
            return self.values
        return self.values[region.within(self.region)]


class Assembly:
    """A patch in the making, from the patches of tiles.

    new: makes the array, unless one part is all of it. last: whether channels are to be last in
    memory over two axes, as convolutions like them.
    """

    def __init__(self, region: Region, new: Allocate, *, last: bool = True) -> None:
        self.region = region
        self.new = new
        self.last = last
        self.values: Tensor | None = None

    def put(self, part: Patch) -> None:
        """Takes over values."""
        if self.values is None and part.region == self.region:
            self.values = part.values
            return
        if self.values is None:
            self.values = self._array(part.values)
        self.values[part.region.within(self.region)] = part.values

    def add(self, part: Patch) -> None:
        """Adds values, to zeros at first."""
        if self.values is None and part.region == self.region:
            self.values = part.values
            return
        if self.values is None:
            self.values = self._array(part.values).zero_()
        self.values[part.region.within(self.region)] += part.values

    def patch(self, like: Tensor | None = None) -> Patch:
        """What has come together; where nothing has, zeros with the channels and type of `like`."""
        if self.values is None:
            like = torch.empty((1, 0)) if like is None else like
            self.values = like.new_zeros((1, like.shape[1], *self.region.space))
        return Patch(self.values, self.region)

    def _array(self, like: Tensor) -> Tensor:
        if self.last and like.ndim == 4:
            shape = (1, *self.region.space, like.shape[1])
            return self.new(shape, like.dtype).movedim(-1, 1)
        return self.new((1, like.shape[1], *self.region.space), like.dtype)
