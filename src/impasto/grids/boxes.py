"""Means over boxes of a grid, and the way back of their gradient, any number of dimensions."""

from __future__ import annotations

from dataclasses import dataclass

from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from impasto.grids.geometry import Region, Space
from impasto.grids.parallel import ALONE, Group


@dataclass(frozen=True)
class Boxes:
    """Boxes of `side` positions along each axis; those at the far ends have what is left.

    Attributes:
        side: positions along each axis of a box.
        region: the part of the finer grid that this process has.
        group: the processes that share that grid.
    """

    side: int
    region: Region
    group: Group = ALONE

    @property
    def space(self) -> Space:
        """The grid of the boxes."""
        return tuple(-(-length // self.side) for length in self.region.whole)

    def means(self, own: Float[Tensor, "1 channel *space"]) -> Float[Tensor, "1 channel *boxes"]:
        """Returns the means of all boxes, the same on each process.

        Sums add over disjoint regions, so a box may lie in the regions of several processes.

        Args:
            own: the values that this process has.
        """
        found = own.new_zeros((*own.shape[:2], *self.space))
        if not self.region.empty:
            for channel in range(own.shape[1]):
                plane = slice(channel, channel + 1)
                sums = self._sums(own[:, plane])
                found[:, plane][self._touched.slices] = sums
        return self._divided(self.group.total(found))

    def add_spread(
        self,
        gradient: Float[Tensor, "1 channel *boxes"],
        to: Float[Tensor, "1 channel *space"],
    ) -> None:
        """Adds the gradient by the values to `to`: each position of a box gets its share.

        Args:
            gradient: the gradient by the means of all boxes.
            to: the gradient by the values that this process has; it is changed.
        """
        if self.region.empty:
            return
        shares = self._divided(gradient)[self._touched.slices]
        for channel in range(to.shape[1]):
            plane = shares[:, channel : channel + 1]
            for axis in range(to.ndim - 2):
                plane = plane.repeat_interleave(self.side, axis + 2)
                before = self.region.start[axis] % self.side
                plane = plane.narrow(axis + 2, before, self.region.space[axis])
            to[:, channel : channel + 1] += plane.to(to.device)

    @property
    def _touched(self) -> Region:
        """The boxes in which this process has a position."""
        start = tuple(n // self.side for n in self.region.start)
        return Region(start, tuple(-(-n // self.side) for n in self.region.stop), self.space)

    def _sums(self, plane: Tensor) -> Tensor:
        """Returns the sums of this process's values over the boxes that they touch."""
        for axis, (start, stop) in enumerate(
            zip(self.region.start, self.region.stop, strict=True), start=2
        ):
            beyond = [0, 0] * (plane.ndim - 1 - axis) + [start % self.side, -stop % self.side]
            padded = functional.pad(plane, beyond)
            shape = list(padded.shape)
            shape[axis : axis + 1] = [shape[axis] // self.side, self.side]
            plane = padded.reshape(shape).sum(axis + 1)
        return plane

    def _divided(self, sums: Tensor) -> Tensor:
        """Returns sums over boxes divided by the number of positions of each box."""
        for axis, length in enumerate(self.region.whole):
            counts = sums.new_full((self.space[axis],), self.side)
            counts[-1] = length - self.side * (self.space[axis] - 1)
            sums = sums / counts.reshape(-1, *[1] * (sums.ndim - 3 - axis))
        return sums
