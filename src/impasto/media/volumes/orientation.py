"""Which way the axes of a volume run through the body."""

from __future__ import annotations

from collections.abc import Sequence
from types import ModuleType

import numpy as np
from jaxtyping import Float64

from impasto.media.sample import Sample
from impasto.media.volumes.volume import Volume
from impasto.system.libraries import library

Codes = tuple[str, ...]
"""Where each axis increases to, as nearly as one letter can say: ("R", "A", "S")."""


def is_volume(sample: Sample) -> bool:
    """Whether it has one value a voxel: a volume, or an array that may be one."""
    return sample.dims == 3 and len(sample.data) == 1


def as_volume(sample: Sample, like: Volume | None = None) -> Volume:
    """An array of `is_volume`, which lies nowhere, where the other volume of that shape does; else
    its voxels are 1 mm."""
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
    """Those of the axes as they are.

    Raises MissingExtraError without nibabel.
    """
    return tuple(_orientations().aff2axcodes(volume.affine))


def oriented(volume: Volume, codes: Codes) -> Volume:
    """The values with their axes exchanged and reversed, so that they increase that way, and where
    they are.

    Nothing is resampled: what is tilted stays tilted. The values are a view; what only files need
    is left out.
    Raises MissingExtraError without nibabel.
    """
    orientations = _orientations()
    turn = orientations.ornt_transform(
        orientations.io_orientation(volume.affine), orientations.axcodes2ornt(codes)
    )
    return Volume(
        orientations.apply_orientation(volume.data[0], turn)[None],
        affine=np.asarray(volume.affine @ orientations.inv_ornt_aff(turn, volume.space)),
        unit=volume.unit,
    )


def same_grid(one: Volume, other: Volume) -> bool:
    """Whether voxels lie at the same places, to a tenth of their size."""
    if one.space != other.space:
        return False
    apart = np.abs(_corners(one) - _corners(other)).max()
    return bool(apart < 0.1 * min(other.spacing))


def _corners(volume: Volume) -> Float64[np.ndarray, "3 8"]:
    """Their places in mm."""
    ends = [(0, side - 1) for side in volume.space]
    corners = np.stack(np.meshgrid(*ends, indexing="ij")).reshape(3, 8)
    return np.asarray(volume.affine[:3, :3] @ corners + volume.affine[:3, 3:])


def _orientations() -> ModuleType:
    return library("nibabel.orientations", "to orient volumes", "volumes")
