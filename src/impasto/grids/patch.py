"""Values over a region of a grid: the part of a sample that one tile or one process has."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.grids.geometry import Region, Space
from impasto.system.devices import CPU
from impasto.system.machine import held

Values = Float[Tensor, "1 channel *space"]

Allocate = Callable[[Space, torch.dtype], Tensor]
"""Makes a tensor of a shape and a type, whose values are not set, in memory or on a disk."""


def allocate(shape: Space, dtype: torch.dtype) -> Tensor:
    """Returns a tensor in memory whose values are not set."""
    return torch.empty(shape, dtype=dtype, device=CPU)


CROWDED = 0.7
"""The part of the memory that a process may hold, above which freed memory goes back at once."""


def give_back(limit: float = 0.0) -> None:
    """Returns freed memory to the system; the C library would keep it.

    Tiles of many sizes leave holes in that memory, which add up to as much as the tiles. But fresh
    pages are slow, so where memory is plenty the holes stay. Does nothing where the C library has
    no such function.

    Args:
        limit: bytes that the process may hold; 0 to return the memory in any case.
    """
    if limit and held() < CROWDED * limit:
        return
    trim = getattr(_LIBC, "malloc_trim", None)
    if trim:
        trim(0)


_LIBC = ctypes.CDLL(None) if os.name == "posix" else None


@dataclass(frozen=True, eq=False)
class Patch:
    """Values over a region of a grid.

    Attributes:
        values: shape (1, channel, *region.space).
        region: the positions of the values.

    Example:
        >>> import torch
        >>> patch = Patch.whole(torch.arange(6.0).reshape(1, 1, 6))
        >>> patch.over(Region((2,), (4,), whole=(6,)))
        tensor([[[2., 3.]]])
    """

    values: Tensor
    region: Region

    @classmethod
    def whole(cls, values: Tensor) -> Patch:
        """Returns the patch of values over their whole grid."""
        return cls(values, Region.all_of(tuple(values.shape[2:])))

    def over(self, region: Region) -> Tensor:
        """Returns the values over a region inside this one.

        They are a view, or a copy where the region goes beyond the ends of a periodic grid.
        """
        if region == self.region:
            return self.values
        if region.inside(self.region):
            return self.values[region.within(self.region)]
        values = self.values[region.unwound.within(self.region)]
        for dim, index in _wraps(region, values.device):
            values = values.index_select(dim, index)
        return values

    def thin(self, kept: Sequence[int]) -> Patch:
        """Returns the patch at the `kept` positions along the grid's first axis."""
        own = self.region.offsets_of(kept)
        index = torch.tensor(own, dtype=torch.long, device=self.values.device)
        values = self.values.movedim(1, -1).index_select(1, index).movedim(-1, 1)
        return Patch(values, self.region.thin(kept))


def _wraps(region: Region, device: torch.device) -> list[tuple[int, Tensor]]:
    """Returns where a region goes beyond the ends of its grid.

    Returns:
        For each such axis the tensor's dimension and the positions inside the grid.
    """
    sides = zip(region.start, region.stop, region.whole, strict=True)
    return [
        (dim, torch.arange(start, stop, device=device) % whole)
        for dim, (start, stop, whole) in enumerate(sides, start=2)
        if start < 0 or stop > whole
    ]


class Assembly:
    """Puts a patch together from the patches of tiles.

    Args:
        region: the region of the patch.
        new: makes the array; it is not called where one tile covers the region.
        last: whether channels come last in memory, which convolutions over two axes prefer.
    """

    def __init__(self, region: Region, new: Allocate, *, last: bool = True) -> None:
        self.region = region
        self.new = new
        self.last = last
        self.values: Tensor | None = None

    def put(self, part: Patch) -> None:
        """Writes a tile's values."""
        if self.values is None and part.region == self.region:
            self.values = part.values
            return
        if self.values is None:
            self.values = self._array(part.values)
        self.values[part.region.within(self.region)] = part.values.to(self.values.device)

    def add(self, part: Patch) -> None:
        """Adds a tile's values to what is there, which is 0 at first.

        Values beyond the ends of a periodic grid are added at the other end.
        """
        for dim, index in _wraps(part.region, part.values.device):
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
        self.values[part.region.within(self.region)] += part.values.to(self.values.device)

    def patch(self, like: Tensor | None = None) -> Patch:
        """Returns the patch.

        Args:
            like: where no tile has come, the patch is 0 with the channels and the type of this
                tensor.
        """
        if self.values is None:
            like = torch.empty((1, 0), device=CPU) if like is None else like
            self.values = like.new_zeros((1, like.shape[1], *self.region.space))
        return Patch(self.values, self.region)

    def _array(self, like: Tensor) -> Tensor:
        if self.last and (like.ndim == 4 or like.stride(1) == 1 < like.shape[1]):
            shape = (1, *self.region.space, like.shape[1])
            return self.new(shape, like.dtype).movedim(-1, 1)
        return self.new((1, like.shape[1], *self.region.space), like.dtype)
