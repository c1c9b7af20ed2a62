"""Three planes through a place in a volume, as radiologists look at them: what is drawn, by any
library.

Axial planes are seen from the feet, coronal ones from the front, sagittal ones from the left: the
patient's right, or front, is on the left of the picture. All lengths are in mm.
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
"""Of the axes: from left to right, or from top to bottom, of the planes that they lie in."""

DIVERGING = "#2166ac", "#92c5de", "#f7f7f7", "#f4a582", "#b2182b"
"""Colors of differences from below zero to above (ColorBrewer's RdBu), even between these."""

CROSS = "#ffd400"
CROSS_ON_WHITE = "#404040"

_SLANT = sin(radians(10))  # from which a second letter says so
_OPPOSITE = str.maketrans("RLAPSI", "LRPAIS")
_UNLIKE = 3.0  # times as large: volumes that are drawn at a scale of their own

Place = tuple[int, int, int]


class Plane(NamedTuple):
    """Which axis a plane's columns and rows lie along, and which one goes through it."""

    name: str
    columns: int
    rows: int
    through: int


PLANES = Plane("axial", 0, 1, 2), Plane("coronal", 0, 2, 1), Plane("sagittal", 1, 2, 0)


@dataclass(frozen=True)
class Row:
    """The planes of one volume.

    volume: with its axes in ORIENTATION. place: the voxel they go through. limits: the values
    drawn black and white, or at the ends of DIVERGING where it is a difference.
    """

    title: str
    volume: Volume
    place: Place
    limits: tuple[float, float]
    difference: bool = False

    @property
    def extent(self) -> tuple[float, float, float]:
        """Along each axis."""
        x, y, z = np.multiply(self.volume.space, self.volume.spacing).tolist()
        return x, y, z

    @property
    def width(self) -> float:
        """Of the three planes together."""
        return sum(self.extent[plane.columns] for plane in PLANES)

    @property
    def height(self) -> float:
        """Of the tallest."""
        return max(self.extent[plane.rows] for plane in PLANES)

    @property
    def bar(self) -> float:
        """The length of a scale bar: round, a quarter of the axial plane's width at most."""
        return round_down(self.extent[0] / 4)

    @property
    def cross(self) -> tuple[float, float, float]:
        """From the upper left corner of the planes to the middle of `place`."""
        x, y, z = np.multiply(np.add(self.place, 0.5), self.volume.spacing).tolist()
        return x, y, z

    @property
    def ends(self) -> list[tuple[str, str]]:
        """What lies at the beginning and at the end of each axis: ("R", "L"); ("AS", "PI") where
        it is more than 10 degrees off."""
        found = []
        for direction in (self.volume.affine[:3, :3] / self.volume.spacing).T:
            first, *others = np.argsort(-np.abs(direction), kind="stable")
            axes = [first, *(axis for axis in others if abs(direction[axis]) > _SLANT)]
            end = "".join(("RAS" if direction[axis] > 0 else "LPI")[axis] for axis in axes)
            found.append((end.translate(_OPPOSITE), end))
        return found

    @property
    def grid(self) -> str:
        """The voxels in words."""
        space = " x ".join(map(str, self.volume.space))
        spacing = " x ".join(f"{length:.3g}" for length in self.volume.spacing)
        return f"{space} voxels of {spacing} mm"

    @property
    def position(self) -> str:
        """Where the planes cross: "R 12, A 30, I 55 mm"."""
        found = np.rint((self.volume.affine @ [*self.place, 1])[:3]).astype(int).tolist()
        sides = zip(found, "RAS", "LPI", strict=True)
        return ", ".join(f"{up if x >= 0 else down} {abs(x)}" for x, up, down in sides) + " mm"

    def image(self, plane: Plane) -> Float32[np.ndarray, "row column"]:
        """The values in a plane, as they are seen."""
        place = self.place[plane.through]
        return np.asarray(self.volume.data[0].take(place, axis=plane.through).T)


@dataclass(frozen=True)
class Page:
    """Rows from top to bottom."""

    heading: Heading
    rows: Sequence[Row]

    @property
    def scales(self) -> list[float]:
        """How many times as large a mm is in each row as in the first: 1, unless the volume would
        be far too small or too large."""
        first = self.rows[0].width
        ratios = [first / row.width for row in self.rows]
        return [1.0 if 1 / _UNLIKE <= ratio <= _UNLIKE else ratio for ratio in ratios]


def turned(volume: Volume) -> Volume:
    """The volume with its axes in ORIENTATION."""
    return oriented(volume, ORIENTATION)


def place_of(volume: Volume, at: tuple[float, float, float] | None) -> Place:
    """The voxel that holds a place in mm toward the right, anterior and superior; the middle one
    where there is none.

    Raises ConfigError when that lies outside.
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
            expected=f"a place in the volume: x, y and z of about {', '.join(ranges)} mm",
            found=" ".join(f"{x:g}" for x in at),
            remedy="choose one in there",
        )
    return _as_place(place)


def likewise(place: Place, volume: Volume, other: Volume) -> Place:
    """The voxel of the other volume at the same share of the way along each axis."""
    shares = (np.array(place) + 0.5) / volume.space
    return _as_place(np.floor(shares * other.space))


def _as_place(numbers: np.ndarray) -> Place:
    x, y, z = numbers.astype(int).tolist()
    return x, y, z
