"""The directions in which the axes of a volume run through the body."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

import numpy as np
from jaxtyping import Float64

from impasto.media.sample import Sample
from impasto.media.volumes.volume import Volume
from impasto.system.libraries import library

Codes = tuple[str, ...]
"""The side of the body that each axis runs to, as nearly as one letter can say: ("R", "A", "S")."""


def is_volume(sample: Sample) -> bool:
    """Whether a sample has one value a voxel: a volume, or an array that may be one."""
    return sample.dims == 3 and len(sample.data) == 1


def is_plane(sample: Sample) -> bool:
    """Whether a sample over three axes is one slice across the first."""
    return sample.dims == 3 and sample.space[0] == 1


def as_volume(sample: Sample, like: Volume | None = None) -> Volume:
    """Returns a sample of `is_volume` as a volume.

    Args:
        sample: a volume, which is returned as it is, or an array, which has no place in space.
        like: a volume; an array of its shape gets its place. Another array gets voxels of 1 mm.
    """
    if isinstance(sample, Volume):
        return sample
    if like and sample.space == like.space:
        return like.with_data(sample.data)
    return Volume(sample.data)


def volumes_together(samples: Sequence[Sample]) -> list[Volume]:
    """The samples as volumes; arrays lie where the first volume of their shape does."""
    like = next((sample for sample in samples if isinstance(sample, Volume)), None)
    return [as_volume(sample, like) for sample in samples]


def axis_codes(volume: Volume) -> Codes:
    """Returns the sides of the body that the axes of a volume run to.

    Example:
        >>> axis_codes(Volume(np.zeros((1, 4, 5, 6), np.float32)))
        ('R', 'A', 'S')

    Raises:
        MissingExtraError: nibabel is not installed.
    """
    return tuple(_orientations().aff2axcodes(volume.affine))


def oriented(volume: Volume, codes: Codes) -> Volume:
    """Exchanges and reverses the axes of a volume, so that they run to the sides asked for.

    Example:
        >>> oriented(Volume(np.zeros((1, 4, 5, 6), np.float32)), ("S", "A", "L")).space
        (6, 5, 4)

    Args:
        volume: stays as it is.
        codes: the side that each axis of the result runs to.

    Returns:
        A volume over the same voxels in the same places: nothing is resampled, and what is tilted
        stays tilted. Its values are a view; what only files need is left out.

    Raises:
        MissingExtraError: nibabel is not installed.
    """
    orientations = _orientations()
    turn = orientations.ornt_transform(
        orientations.io_orientation(volume.affine), orientations.axcodes2ornt(codes)
    )
    return Volume(
        orientations.apply_orientation(volume.data[0], turn)[None],
        affine=np.asarray(volume.affine @ orientations.inv_ornt_aff(turn, volume.space)),
        unit=volume.unit,
        holes=None if volume.holes is None else orientations.apply_orientation(volume.holes, turn),
    )


def same_grid(one: Volume, other: Volume) -> bool:
    """Whether the voxels of two volumes lie at the same places, to a tenth of their size."""
    if one.space != other.space:
        return False
    apart = np.abs(_corners(one) - _corners(other)).max()
    return bool(apart < 0.1 * min(other.spacing))


def _corners(volume: Volume) -> Float64[np.ndarray, "3 8"]:
    """Returns the places of a volume's corners, in mm."""
    ends = [(0, side - 1) for side in volume.space]
    corners = np.stack(np.meshgrid(*ends, indexing="ij")).reshape(3, 8)
    return np.asarray(volume.affine[:3, :3] @ corners + volume.affine[:3, 3:])


def _orientations() -> ModuleType:
    return library("nibabel.orientations", "to orient volumes", "volumes")
