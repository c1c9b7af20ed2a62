"""Grids, regions and scales: tuples of integers, any number of dimensions."""

from __future__ import annotations

from dataclasses import dataclass
from math import prod
from types import EllipsisType

from impasto.errors import ConfigError

Space = tuple[int, ...]


@dataclass(frozen=True)
class Region:
    """A box of positions, from `start` to before `stop`, of a grid of shape `whole`."""

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

    def grown(self, after: int) -> Region:
        """The region with `after` more positions at the far end of each axis, inside the grid."""
        stop = tuple(min(s + after, w) for s, w in zip(self.stop, self.whole, strict=True))
        return Region(self.start, stop, self.whole)


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
