"""Pictures as styles of solids: each is one slice, across whichever axis it is compared with."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from impasto.errors import ConfigError
from impasto.grids.geometry import Space
from impasto.kinds.colors import LUMINANCE
from impasto.media.pictures.picture import Picture
from impasto.media.sample import Sample
from impasto.networks.stage import Network


def as_plane(picture: Picture, channels: int) -> Sample:
    """A picture as the style of a solid: one slice across the first axis.

    Args:
        picture: values in [0, 1], shape (3, height, width).
        channels: those of the solid; where it has one, the slice is the picture's luminance.

    Returns:
        A sample of shape (channels, 1, height, width).
    """
    data = picture.data
    if channels == 1:
        data = np.tensordot(LUMINANCE, data, 1)[None]
    return Sample(np.ascontiguousarray(data[:, None]), value_range=picture.value_range)


def is_plane(sample: Sample) -> bool:
    """Whether it is one slice, as from `as_plane`."""
    return sample.dims == 3 and sample.space[0] == 1


def sides_of(sample: Sample, space: Space) -> Space:
    """The sides of a sample's grid that have to be long enough for a network: not the first of a
    slice, which is one position long."""
    return space[1:] if is_plane(sample) else space


def check_filters(styles: Sequence[Sample], network: Network) -> None:
    """Raises ConfigError where a slice is a style and the network's filters look along all axes."""
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
    """The grid of a slice that is the style of slices across an axis of a solid.

    Args:
        plane: from `as_plane`.
        factor: positions of the grid over those of the whole solid, along each axis.
        axis: the one that the solid is cut across.
        spacing: mm between the solid's voxels. The pixels of the slice are squares in mm.
    """
    across = [side for other, side in enumerate(spacing) if other != axis]
    sides = zip(plane.space[1:], across, strict=True)
    return (1, *(max(1, round(n * factor * min(spacing) / mm)) for n, mm in sides))
