"""Grids, regions and scales: tuples of integers, any number of dimensions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise, product
from math import prod
from types import EllipsisType

from impasto.errors import ConfigError

Space = tuple[int, ...]


@dataclass(frozen=True)
class Region:
    """A box of positions, from `start` to before `stop`, of a grid of shape `whole`.

    Of a periodic grid it may go on beyond the ends.
    """

    start: Space
    stop: Space
    whole: Space

    @classmethod
    def all_of(cls, space: Space) -> Region:
        """The region that is the whole grid."""
        return cls((0,) * len(space), space, space)

    @property
    def space(self) -> Space:
        """Positions along each axis."""
        return tuple(stop - start for start, stop in zip(self.start, self.stop, strict=True))

    @property
    def count(self) -> int:
        """Positions in all."""
        return prod(self.space)

    @property
    def slices(self) -> tuple[EllipsisType | slice, ...]:
        """What selects the region from a tensor whose last axes are the grid's."""
        pairs = zip(self.start, self.stop, strict=True)
        return (..., *(slice(start, stop) for start, stop in pairs))

    @property
    def empty(self) -> bool:
        """Whether there is no position in it."""
        return 0 in self.space

    @property
    def unwound(self) -> Region:
        """The same inside the grid: all of an axis whose ends it goes beyond."""
        axes = [
            (start, stop) if start >= 0 and stop <= length else (0, length)
            for start, stop, length in zip(self.start, self.stop, self.whole, strict=True)
        ]
        start, stop = zip(*axes, strict=True)
        return Region(start, stop, self.whole)

    def turned(self, axis: int) -> Region:
        """The same with one of the axes first."""

        def first(side: Space) -> Space:
            return (side[axis], *side[:axis], *side[axis + 1 :])

        return Region(first(self.start), first(self.stop), first(self.whole))

    def chosen(self, kept: Sequence[int]) -> list[int]:
        """Of some positions along the grid's first axis, those inside, counted from `start`."""
        return [place - self.start[0] for place in kept if self.start[0] <= place < self.stop[0]]

    def thin(self, kept: Sequence[int]) -> Region:
        """The region of a grid that has only some of the positions along its first axis."""
        start, stop = (sum(place < side[0] for place in kept) for side in (self.start, self.stop))
        return Region(
            (start, *self.start[1:]), (stop, *self.stop[1:]), (len(kept), *self.whole[1:])
        )

    def grown(self, after: int) -> Region:
        """The region with `after` more positions at the far end of each axis, inside the grid."""
        stop = tuple(min(s + after, w) for s, w in zip(self.stop, self.whole, strict=True))
        return Region(self.start, stop, self.whole)

    def hull(self, other: Region) -> Region:
        """The smallest region of the grid that holds both; an empty one adds nothing."""
        if self.empty or other.empty:
            return other if self.empty else self
        start = tuple(map(min, self.start, other.start))
        return Region(start, tuple(map(max, self.stop, other.stop)), self.whole)

    def common(self, other: Region) -> Region:
        """The positions of both; empty where there are none."""
        start = tuple(map(max, self.start, other.start))
        stop = tuple(map(min, self.stop, other.stop))
        return Region(start, tuple(map(max, start, stop)), self.whole)

    def inside(self, outer: Region) -> bool:
        """Whether all of it is in the other."""
        starts, stops = (
            zip(self.start, outer.start, strict=True),
            zip(self.stop, outer.stop, strict=True),
        )
        return all(a >= b for a, b in starts) and all(a <= b for a, b in stops)

    def within(self, outer: Region) -> tuple[EllipsisType | slice, ...]:
        """What selects the region from a tensor whose last axes are those of `outer`."""
        bounds = zip(self.start, self.stop, outer.start, strict=True)
        return (..., *(slice(start - first, stop - first) for start, stop, first in bounds))

    def shrunk(self, stride: Space, whole: Space) -> Region:
        """The region's share of a grid `stride` times coarser.

        Shares of disjoint regions are disjoint, and those of a partition are one of `whole`.
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
        """The region cut into equal boxes of about `space`, the last ones smaller.

        Their sides are multiples of `multiple`.
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
class Window:
    """What a convolution or pooling looks at, one number an axis.

    Position o of its result is made of the positions from o stride - padding to before
    o stride - padding + kernel of its source, where those outside are padded. least: the fewest
    positions along each axis that it can work on; none says 1. periodic: whether those outside
    are the ones at the other end.
    """

    kernel: Space
    stride: Space
    padding: Space
    least: Space = ()
    periodic: bool = False

    def grid(self, source: Space) -> Space:
        """The grid of the result, 0 along an axis that is too short."""
        least = self.least or (1,) * len(source)
        axes = zip(source, self.kernel, self.stride, self.padding, least, strict=True)
        return tuple(
            max(0, (length + 2 * p - k) // s + 1) if length >= few else 0
            for length, k, s, p, few in axes
        )

    def source(self, region: Region, source: Space) -> tuple[Region, list[tuple[int, int]]]:
        """The part of the source that a region of the result is made of.

        Then, for each axis, how many positions before and after it are to be padded: none of a
        periodic grid, beyond whose ends the part goes on instead.
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
    """The grid that a sample over `space` is brought to.

    size: one number is the long side, 0 the sample's own; one number an axis is the exact grid.
    Raises ConfigError when size is neither.
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
    """The grid `scale` times as fine along each axis, at least one position each."""
    return tuple(max(1, round(side * scale)) for side in space)


def coarse_to_fine(space: Space, smallest: int) -> list[Space]:
    """Grids from about `smallest` positions on the long side up to `space`, by steps of sqrt 2.

    Every grid has the proportions of `space`; the last one is `space`. The first is the coarsest
    whose long side is still at least `smallest`, or `space` itself where that is smaller.
    """
    spaces = [space]
    while max(space) * 2 ** (-len(spaces) / 2) >= smallest * 0.99:
        spaces.insert(0, scaled_space(space, 2 ** (-len(spaces) / 2)))
    return spaces
