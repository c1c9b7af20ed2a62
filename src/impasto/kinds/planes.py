"""Pictures as styles of solids: a picture is one slice, whichever axis the solid is cut across."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

from impasto.errors import ConfigError
from impasto.grids.geometry import Space
from impasto.kinds.colors import LUMINANCE
from impasto.media.pictures.alpha import filled
from impasto.media.pictures.picture import Picture
from impasto.media.sample import Sample
from impasto.media.volumes.orientation import is_plane
from impasto.networks.stage import Network


def as_plane(picture: Picture, channels: int) -> Sample:
    """Converts a picture to the style of a solid: one slice across the first axis.

    Args:
        picture: values in [0, 1], shape (3, height, width).
        channels: the channels of the solid; for 1, the slice is the picture's luminance.

    Returns:
        A sample of shape (channels, 1, height, width).
    """
    picture, counts = filled(picture), picture.weight
    data = picture.data
    if channels == 1:
        data = np.tensordot(LUMINANCE, data, 1)[None]
    return Weighted(
        np.ascontiguousarray(data[:, None]),
        picture.value_range,
        counts=None if counts is None else counts[None],
    )


@dataclass(frozen=True, eq=False)
class Weighted(Sample):
    """A plain array of which some positions count less than others.

    Attributes:
        counts: how much each position counts, in [0, 1], shape (*space); None for all of them.
    """

    counts: Float32[np.ndarray, "*space"] | None = None

    @property
    def weight(self) -> Float32[np.ndarray, "*space"] | None:
        """How much each position counts."""
        return self.counts

    @property
    def free(self) -> Bool[np.ndarray, "*space"] | None:
        """The positions that count."""
        return None if self.counts is None else np.asarray(self.counts > 0)


def unit_axis(sample: Sample) -> int | None:
    """Returns the axis along which a solid is one slice; None if there is none, or several."""
    units = [axis for axis, side in enumerate(sample.space) if side == 1]
    return units[0] if sample.dims == 3 and len(units) == 1 else None


def sides_of(sample: Sample, space: Space) -> Space:
    """Returns the sides of a sample's grid that must be long enough for a network.

    The side across a slice is one position long and does not count.
    """
    alone = unit_axis(sample)
    return tuple(side for axis, side in enumerate(space) if axis != alone)


def check_filters(styles: Sequence[Sample], network: Network) -> None:
    """Raises ConfigError if a style is a slice and the network's filters span all axes."""
    if any(map(is_plane, styles)) and not network.by_slices:
        raise ConfigError(
            subject="--filters",
            expected="a network that takes slices, for pictures as styles of volumes",
            found=f"{network.name} with filters over three axes",
            remedy="pass --network lite --filters slices",
        )


def plane_space(
    plane: Sample, factor: float, axis: int, spacing: tuple[float, float, float]
) -> Space:
    """Returns the grid of a slice that is the style of a solid's slices.

    Args:
        plane: the slice, from `as_plane`.
        factor: the size of this scale's grid over the size of the whole solid.
        axis: the axis that the solid is cut across.
        spacing: mm between the solid's voxels. The pixels of the slice are squares in mm.
    """
    across = [side for other, side in enumerate(spacing) if other != axis]
    sides = zip(plane.space[1:], across, strict=True)
    return (1, *(max(1, round(n * factor * min(spacing) / mm)) for n, mm in sides))
