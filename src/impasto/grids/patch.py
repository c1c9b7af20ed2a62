"""Values over a region of a grid: what one tile, or one process, holds of a whole."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.grids.geometry import Region, Space

Values = Float[Tensor, "1 channel *space"]

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
        """The values over a region inside this one, as a view; a copy where it goes around."""
        if region == self.region:
            return self.values
        if region.inside(self.region):
            return self.values[region.within(self.region)]
        values = self.values[region.unwound.within(self.region)]
        for dim, index in _turns(region):
            values = values.index_select(dim, index)
        return values

    def thin(self, kept: Sequence[int]) -> Patch:
        """Those at some of the positions along the grid's first axis."""
        index = torch.tensor(self.region.chosen(kept), dtype=torch.long)
        values = self.values.movedim(1, -1).index_select(1, index).movedim(-1, 1)
        return Patch(values, self.region.thin(kept))


def _turns(region: Region) -> list[tuple[int, Tensor]]:
    """Of the axes whose ends it goes beyond, the tensor's dimension and the places inside."""
    sides = zip(region.start, region.stop, region.whole, strict=True)
    return [
        (dim, torch.arange(start, stop) % whole)
        for dim, (start, stop, whole) in enumerate(sides, start=2)
        if start < 0 or stop > whole
    ]


class Assembly:
    """A patch in the making, from the patches of tiles.

    new: makes the array, unless one part is all of it. last: whether channels are to be last in
    memory, as convolutions over two axes like them.
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
        """Adds values, to zeros at first; those from beyond the ends where they belong."""
        for dim, index in _turns(part.region):
            shape = list(part.values.shape)
            shape[dim] = part.region.whole[dim - 2]
            folded = part.values.new_zeros(shape).index_add_(dim, index, part.values)
            part = Patch(folded, part.region)
        part = Patch(part.values, part.region.unwound)
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
        if self.last and (like.ndim == 4 or like.stride(1) == 1 < like.shape[1]):
            shape = (1, *self.region.space, like.shape[1])
            return self.new(shape, like.dtype).movedim(-1, 1)
        return self.new((1, like.shape[1], *self.region.space), like.dtype)
