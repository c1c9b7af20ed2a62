"""The layout of three planes through a point of a volume, for any drawing library.

The planes are seen as radiologists see them: axial planes from the feet, coronal ones from the
front, sagittal ones from the left. The patient's right, or front, is on the left of the picture.
All lengths are in mm.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import radians, sin
from typing import NamedTuple

import numpy as np
from jaxtyping import Float32

from impasto.errors import ConfigError
from impasto.media.volumes.orientation import Codes, oriented
from impasto.media.volumes.volume import Volume
from impasto.plots.page import Heading, round_down

ORIENTATION: Codes = ("L", "P", "I")
"""The direction in which each axis runs in its planes: to the right or to the bottom."""

DIVERGING = "#2166ac", "#92c5de", "#f7f7f7", "#f4a582", "#b2182b"
"""The colors of differences, from negative to positive (ColorBrewer's RdBu), interpolated linearly.
"""

CROSS = "#ffd400"
CROSS_ON_WHITE = "#404040"

_SLANT = sin(radians(10))  # a more oblique axis is labeled with a second letter
_OPPOSITE = str.maketrans("RLAPSI", "LRPAIS")
_MOST_RATIO = 3.0  # of sizes; more different volumes are drawn at different scales

Place = tuple[int, int, int]


class Plane(NamedTuple):
    """An anatomical plane.

    Attributes:
        name: the name.
        columns: the axis from left to right.
        rows: the axis from top to bottom.
        through: the axis across the plane.
    """

    name: str
    columns: int
    rows: int
    through: int


PLANES = Plane("axial", 0, 1, 2), Plane("coronal", 0, 2, 1), Plane("sagittal", 1, 2, 0)


@dataclass(frozen=True)
class Row:
    """The planes of one volume.

    Attributes:
        title: the title.
        volume: the volume, with its axes in ORIENTATION.
        place: the voxel in which the planes cross.
        limits: the values drawn black and white, or in the end colors of DIVERGING.
        difference: whether the values are a difference, which is drawn in DIVERGING.
    """

    title: str
    volume: Volume
    place: Place
    limits: tuple[float, float]
    difference: bool = False

    @property
    def extent(self) -> tuple[float, float, float]:
        """The size of the volume along each axis in mm."""
        x, y, z = np.multiply(self.volume.space, self.volume.spacing).tolist()
        return x, y, z

    @property
    def width(self) -> float:
        """The width of the three planes together in mm."""
        return sum(self.extent[plane.columns] for plane in PLANES)

    @property
    def height(self) -> float:
        """The height of the tallest plane in mm."""
        return max(self.extent[plane.rows] for plane in PLANES)

    @property
    def bar(self) -> float:
        """The length of the scale bar in mm: round, at most a quarter of the axial plane."""
        return round_down(self.extent[0] / 4)

    @property
    def cross(self) -> tuple[float, float, float]:
        """The distances in mm from the upper left corners of the planes to the crossing."""
        x, y, z = np.multiply(np.add(self.place, 0.5), self.volume.spacing).tolist()
        return x, y, z

    @property
    def ends(self) -> list[tuple[str, str]]:
        """The letters at the beginning and at the end of each axis, such as ("R", "L").

        An axis that is more than 10 degrees oblique has several letters, such as ("AS", "PI").
        """
        letters = []
        for direction in (self.volume.affine[:3, :3] / self.volume.spacing).T:
            first, *others = np.argsort(-np.abs(direction), kind="stable")
            axes = [first, *(axis for axis in others if abs(direction[axis]) > _SLANT)]
            end = "".join(("RAS" if direction[axis] > 0 else "LPI")[axis] for axis in axes)
            letters.append((end.translate(_OPPOSITE), end))
        return letters

    @property
    def grid(self) -> str:
        """The size of the volume and of its voxels, in words."""
        space = " x ".join(map(str, self.volume.space))
        spacing = " x ".join(f"{length:.3g}" for length in self.volume.spacing)
        return f"{space} voxels of {spacing} mm"

    @property
    def position(self) -> str:
        """The point in which the planes cross, such as "R 12, A 30, I 55 mm"."""
        point = np.rint((self.volume.affine @ [*self.place, 1])[:3]).astype(int).tolist()
        sides = zip(point, "RAS", "LPI", strict=True)
        return ", ".join(f"{up if x >= 0 else down} {abs(x)}" for x, up, down in sides) + " mm"

    def image(self, plane: Plane) -> Float32[np.ndarray, "row column"]:
        """Returns the values in a plane, from top to bottom and from left to right."""
        place = self.place[plane.through]
        return np.asarray(self.volume.data[0].take(place, axis=plane.through).T)


@dataclass(frozen=True)
class Page:
    """A page of volumes.

    Attributes:
        heading: the heading.
        rows: the rows from top to bottom.
    """

    heading: Heading
    rows: Sequence[Row]

    @property
    def scales(self) -> list[float]:
        """The scale of each row relative to the first row.

        It is 1, unless a volume would be drawn far smaller or larger than the first.
        """
        first = self.rows[0].width
        ratios = [first / row.width for row in self.rows]
        return [1.0 if 1 / _MOST_RATIO <= ratio <= _MOST_RATIO else ratio for ratio in ratios]


def turned(volume: Volume) -> Volume:
    """Returns the volume with its axes in ORIENTATION."""
    return oriented(volume, ORIENTATION)


def place_of(volume: Volume, at: tuple[float, float, float] | None) -> Place:
    """Returns the voxel at a point.

    Args:
        volume: the volume.
        at: the point in mm to the right, anterior and superior; None is the middle of the volume.

    Raises:
        ConfigError: the point lies outside the volume.
    """
    space = np.array(volume.space)
    if at is None:
        return _as_place(space // 2)
    place = np.rint(np.linalg.solve(volume.affine, [*at, 1])[:3])
    if not ((place >= 0) & (place < space)).all():
        ends = volume.affine[:3] @ np.array([[0, 0, 0, 1], [*(space - 1), 1]]).T
        ranges = (f"{min(end):.0f} to {max(end):.0f}" for end in ends)
        raise ConfigError(
            subject="--at",
            expected=f"a point in the volume: x, y and z of about {', '.join(ranges)} mm",
            found=" ".join(f"{x:g}" for x in at),
            remedy="choose a point in these ranges",
        )
    return _as_place(place)


def corresponding_place(place: Place, volume: Volume, other: Volume) -> Place:
    """Returns the voxel of `other` at the same fraction of each axis as `place` in `volume`."""
    fractions = (np.array(place) + 0.5) / volume.space
    return _as_place(np.floor(fractions * other.space))


def _as_place(numbers: np.ndarray) -> Place:
    x, y, z = numbers.astype(int).tolist()
    return x, y, z
