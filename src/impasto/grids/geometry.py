"""Grids, regions and scales as tuples of integers, for any number of axes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from math import prod
from types import EllipsisType

from impasto.errors import ConfigError

Space = tuple[int, ...]
"""Positions along each axis of a grid."""


@dataclass(frozen=True)
class Region:
    """A box of positions in a grid.

    In a periodic grid, a region may go beyond the ends: it continues at the other end.

    Attributes:
        start: the first position along each axis.
        stop: the position after the last one along each axis.
        whole: positions along each axis of the grid.

    Example:
        >>> left = Region((0, 0), (4, 3), whole=(4, 6))
        >>> left.space, left.count
        ((4, 3), 12)
        >>> left.grow(1)
        Region(start=(0, 0), stop=(4, 4), whole=(4, 6))
    """

    start: Space
    stop: Space
    whole: Space

    @classmethod
    def all_of(cls, space: Space) -> Region:
        """Returns the region that is the whole grid."""
        return cls((0,) * len(space), space, space)

    @property
    def space(self) -> Space:
        """Positions of the region along each axis."""
        return tuple(stop - start for start, stop in zip(self.start, self.stop, strict=True))

    @property
    def count(self) -> int:
        """The number of positions."""
        return prod(self.space)

    @property
    def slices(self) -> tuple[EllipsisType | slice, ...]:
        """The index of the region in a tensor whose last axes are those of the grid."""
        pairs = zip(self.start, self.stop, strict=True)
        return (..., *(slice(start, stop) for start, stop in pairs))

    @property
    def empty(self) -> bool:
        """Whether the region has no position."""
        return 0 in self.space

    @property
    def unwound(self) -> Region:
        """The region inside the grid: all of an axis wherever it goes beyond the ends."""
        axes = [
            (start, stop) if start >= 0 and stop <= length else (0, length)
            for start, stop, length in zip(self.start, self.stop, self.whole, strict=True)
        ]
        start, stop = zip(*axes, strict=True)
        return Region(start, stop, self.whole)

    def turned(self, axis: int) -> Region:
        """Returns the region with one of the axes moved to the front."""

        def first(side: Space) -> Space:
            return (side[axis], *side[:axis], *side[axis + 1 :])

        return Region(first(self.start), first(self.stop), first(self.whole))

    def offsets_of(self, kept: Sequence[int]) -> list[int]:
        """Returns which of the `kept` positions of the first axis are inside the region.

        They are counted from `start`.
        """
        return [place - self.start[0] for place in kept if self.start[0] <= place < self.stop[0]]

    def thin(self, kept: Sequence[int]) -> Region:
        """Returns the region in a grid that has only the `kept` positions of the first axis."""
        start, stop = (sum(place < side[0] for place in kept) for side in (self.start, self.stop))
        return Region(
            (start, *self.start[1:]), (stop, *self.stop[1:]), (len(kept), *self.whole[1:])
        )

    def grow(self, after: int) -> Region:
        """Returns the region with more positions at the far end of each axis.

        It stays inside the grid.

        Args:
            after: how many more positions.
        """
        stop = tuple(min(s + after, w) for s, w in zip(self.stop, self.whole, strict=True))
        return Region(self.start, stop, self.whole)

    def hull(self, other: Region) -> Region:
        """Returns the smallest region that holds both; an empty one adds nothing."""
        if self.empty or other.empty:
            return other if self.empty else self
        start = tuple(map(min, self.start, other.start))
        return Region(start, tuple(map(max, self.stop, other.stop)), self.whole)

    def common(self, other: Region) -> Region:
        """Returns the intersection; it is empty where no position is in both."""
        start = tuple(map(max, self.start, other.start))
        stop = tuple(map(min, self.stop, other.stop))
        return Region(start, tuple(map(max, start, stop)), self.whole)

    def inside(self, outer: Region) -> bool:
        """Whether all of this region is in the other one."""
        starts, stops = (
            zip(self.start, outer.start, strict=True),
            zip(self.stop, outer.stop, strict=True),
        )
        return all(a >= b for a, b in starts) and all(a <= b for a, b in stops)

    def within(self, outer: Region) -> tuple[EllipsisType | slice, ...]:
        """Returns the index of this region in a tensor whose last axes are those of `outer`."""
        bounds = zip(self.start, self.stop, outer.start, strict=True)
        return (..., *(slice(start - first, stop - first) for start, stop, first in bounds))

    def shrink(self, stride: Space, whole: Space) -> Region:
        """Returns the region's share of a grid that is `stride` times coarser.

        Shares of disjoint regions are disjoint, and the shares of a partition are a partition.

        Args:
            stride: positions of this grid for one of the coarser grid, along each axis.
            whole: positions along each axis of the coarser grid.
        """
        start, stop = (
            tuple(
                w if cut == full else min(cut // s, w)
                for cut, s, full, w in zip(cuts, stride, self.whole, whole, strict=True)
            )
            for cuts in (self.start, self.stop)
        )
        return Region(start, stop, whole)

    def tiles(self, space: Space, multiple: int = 1) -> list[Region]:
        """Cuts the region into boxes of about `space`; the last ones may be smaller.

        Args:
            space: the largest side of a box along each axis, before rounding.
            multiple: the sides are multiples of this number.
        """
        axes = []
        for start, stop, side in zip(self.start, self.stop, space, strict=True):
            count = -(-(stop - start) // side)
            even = -(-(stop - start) // max(1, count * multiple)) * multiple
            cuts = [*range(start, stop, max(1, even)), stop]
            axes.append(list(pairwise(cuts)))
        boxes = (tuple(zip(*box, strict=True)) for box in product(*axes))
        return [Region(start, stop, self.whole) for start, stop in boxes]


@dataclass(frozen=True)
class Extent:
    """The positions that one output of a convolution or pooling is computed from.

    Output o is computed from the inputs o stride - padding to o stride - padding + kernel - 1.

    Attributes:
        kernel: how many inputs along each axis, dilation included.
        stride: inputs between two outputs along each axis.
        padding: inputs beyond each border along each axis.
        least: the fewest inputs along each axis that the operation accepts; () for 1.
        periodic: whether inputs beyond a border are those at the other end.
    """

    kernel: Space
    stride: Space
    padding: Space
    least: Space = ()
    periodic: bool = False

    def grid(self, source: Space) -> Space:
        """Returns the grid of the outputs; 0 along an axis that is too short."""
        least = self.least or (1,) * len(source)
        axes = zip(source, self.kernel, self.stride, self.padding, least, strict=True)
        return tuple(
            max(0, (length + 2 * p - k) // s + 1) if length >= few else 0
            for length, k, s, p, few in axes
        )

    def source(self, region: Region, source: Space) -> tuple[Region, list[tuple[int, int]]]:
        """Returns the part of the input that a region of the output is computed from.

        Args:
            region: a region of the output.
            source: the grid of the input.

        Returns:
            The part, and for each axis how many positions to pad before and after it. Nothing is
            padded in a periodic grid, where the part goes beyond the ends instead.
        """
        if region.empty:
            return Region((0,) * len(source), (0,) * len(source), source), []
        axes = zip(region.start, region.stop, self.kernel, self.stride, self.padding, strict=True)
        first, last = zip(
            *((a * s - p, (b - 1) * s - p + k) for a, b, k, s, p in axes), strict=True
        )
        if self.periodic or not any(self.padding):
            return Region(first, last, source), [(0, 0)] * len(source)
        start = tuple(max(0, low) for low in first)
        stop = tuple(map(min, last, source))
        padding = [
            (a - low, high - b) for a, low, b, high in zip(start, first, stop, last, strict=True)
        ]
        return Region(start, stop, source), padding


def fitted_space(space: Space, size: Space) -> Space:
    """Returns the grid to which a sample is resampled.

    Args:
        space: the grid of the sample.
        size: one number for the long side, where 0 keeps the grid; or one number for each axis.

    Raises:
        ConfigError: `size` is neither of the two.

    Example:
        >>> fitted_space((400, 600), (300,))
        (200, 300)
    """
    if any(side < 0 for side in size) or len(size) not in {1, len(space)}:
        raise ConfigError(
            subject="--size",
            expected=f"one number (the long side, 0 for the content's own) or {len(space)}",
            found=" ".join(map(str, size)) or "none",
            remedy="give for example --size 512",
        )
    if size == (0,):
        return space
    if len(size) > 1 or len(space) == 1:
        if 0 in size:
            raise ConfigError(
                subject="--size",
                expected="at least one position along each axis",
                found=" ".join(map(str, size)),
                remedy="give for example --size 100 100",
            )
        return size
    return scaled_space(space, size[0] / max(space))


def scaled_space(space: Space, scale: float) -> Space:
    """Returns the grid that is `scale` times as fine, with at least one position per axis."""
    return tuple(max(1, round(side * scale)) for side in space)


def coarse_to_fine(space: Space, smallest: int, doubling: float = math.inf) -> list[Space]:
    """Returns the grids of a coarse-to-fine run.

    Each is sqrt 2 times as fine as the one before, or 2 times where both are fine.

    Every grid has the proportions of `space`, and the last one is `space`.

    Args:
        space: the finest grid.
        smallest: the long side of the first grid is at least this number of positions, or that of
            `space` where it is smaller.
        doubling: the long side from which on grids are fine.

    Example:
        >>> coarse_to_fine((200, 300), smallest=150)
        [(100, 150), (141, 212), (200, 300)]
        >>> coarse_to_fine((200, 300), smallest=100, doubling=150)
        [(71, 106), (100, 150), (200, 300)]
    """
    spaces, halvings = [space], 0.0
    while True:
        fine = max(space) * 2 ** (-halvings - 1) >= doubling * 0.99
        halvings += 1 if fine else 0.5
        if max(space) * 2**-halvings < smallest * 0.99:
            return spaces
        spaces.insert(0, scaled_space(space, 2**-halvings))
