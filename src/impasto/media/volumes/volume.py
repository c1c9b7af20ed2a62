"""Volumes: values over a grid of voxels, and the place of those in space."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32, Float64

from impasto.errors import SampleError
from impasto.media.blocks import blocks
from impasto.media.sample import Sample
from impasto.system.libraries import library

_FLOAT32 = np.dtype(np.float32)

# Resampling goes box by box, for SciPy takes several copies in float64. The sides of a box, and how
# far around it the values matter: those of cubic splines fall by a factor of 0.27 a voxel.
_BOX = (64, 64, 64)
_REACH = 12
# A voxel that takes more than this of its value from holes is a hole.
_NEAR_HOLE = 0.01


@dataclass(frozen=True, eq=False)
class Volume(Sample):
    """One value a voxel: a CT, an MRI, a stack of microscopy.

    Example:
        >>> volume = Volume(np.zeros((1, 4, 5, 6), np.float32), affine=np.diag([1.0, 1, 2, 1]))
        >>> volume.spacing
        (1.0, 1.0, 2.0)

    Attributes:
        data: float32, shape (1, x, y, z). The axes are those of a NIfTI or NRRD file as they are
            stored, the columns, rows and slices of DICOM, and x, y and z of OME-Zarr.
        affine: 4 x 4, from the index (x, y, z, 1) of a voxel to the place of its center, in mm
            toward right, anterior and superior (RAS+).
        unit: "HU" where the file says so, else "".
        dtype: of the stored values in the file.
        slope, intercept: data = slope * stored + intercept.
        source: what the file needs beside these to be written as it came.
        holes: the voxels without a value, where a file has NaN or padding; None for none of them.
            Files of floats have NaN there again, files of integers what `data` has.
        around: the voxels around the body, None for none of them; files keep none.
        inside: the voxels that count, None for all of them; files keep none.

    Raises:
        SampleError: these do not fit together.
    """

    affine: Float64[np.ndarray, "4 4"] = field(default_factory=lambda: np.eye(4))
    unit: str = ""
    dtype: np.dtype[Any] = _FLOAT32
    slope: float = 1.0
    intercept: float = 0.0
    source: Any = None
    holes: Bool[np.ndarray, "x y z"] | None = None
    around: Bool[np.ndarray, "x y z"] | None = None
    inside: Bool[np.ndarray, "x y z"] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.dims != 3 or len(self.data) != 1:
            raise SampleError(
                expected="a volume of shape (1, x, y, z)",
                found=f"{self.data.shape}",
                remedy="give one value a voxel",
            )
        check_affine(self.affine)
        if not (np.isfinite([self.slope, self.intercept]).all() and self.slope):
            raise SampleError(
                expected="a finite slope other than 0 and a finite intercept",
                found=f"{self.slope:g} and {self.intercept:g}",
                remedy="correct them",
            )

    @property
    def spacing(self) -> tuple[float, float, float]:
        """From each voxel to the next along x, y and z, in mm."""
        x, y, z = np.linalg.norm(self.affine[:3, :3], axis=0).tolist()
        return x, y, z

    @property
    def weight(self) -> Float32[np.ndarray, "x y z"] | None:
        """1 where `inside`, 0 elsewhere; None where all voxels count."""
        return None if self.inside is None else self.inside.astype(np.float32)

    @property
    def free(self) -> Bool[np.ndarray, "x y z"] | None:
        """Where a result may differ from this volume: `inside`."""
        return self.inside

    def with_data(self, data: Float32[np.ndarray, "1 x y z"]) -> Volume:
        """Returns the volume with other values; more or fewer voxels fill the same box."""
        if data.shape == self.data.shape:
            return replace(self, data=data)
        theirs = np.array(data.shape[1:])
        affine = scale_affine(self.affine, self.space / theirs)
        holes = self.holes
        if holes is not None:
            nearest = [
                ((np.arange(side) + 0.5) * own // side).astype(np.int64)
                for own, side in zip(self.space, data.shape[1:], strict=True)
            ]
            holes = holes[np.ix_(*nearest)]
        return replace(self, data=data, affine=affine, holes=holes, around=None, inside=None)

    def resampled(self, spacing: float | tuple[float, float, float]) -> Volume:
        """Brings the volume to voxels of another size, along its own axes, as `onto` does.

        The box that the voxels fill keeps its center and, but for rounding, its size.

        Args:
            spacing: in mm; one number, or one an axis.

        Raises:
            SampleError: the spacing is not above 0.
            MissingExtraError: scipy is not installed.
        """
        wanted = np.broadcast_to(np.asarray(spacing, np.float64), 3)
        if not (np.isfinite(wanted).all() and (wanted > 0).all()):
            raise SampleError(
                expected="a spacing above 0 mm", found=f"{spacing}", remedy="pass another"
            )
        factors = wanted / self.spacing
        space = np.maximum(1, np.rint(self.space / factors)).astype(int)
        affine = scale_affine(self.affine, factors)
        excess = (np.array(self.space) - space * factors) / 2
        affine[:3, 3] += self.affine[:3, :3] @ excess
        return self._over(affine, tuple(space.tolist()))

    def onto(self, other: Volume) -> Volume:
        """Brings the volume to the voxels of another, wherever those lie.

        By cubic splines; where voxels become larger, a Gaussian comes first, against aliasing.
        Beyond the border, the values at the border go on.

        Raises:
            MissingExtraError: scipy is not installed.
        """
        return self._over(other.affine, other.space)

    def _over(self, affine: Float64[np.ndarray, "4 4"], space: tuple[int, ...]) -> Volume:
        if space == self.space and np.array_equal(affine, self.affine):
            return self
        ndimage = library("scipy.ndimage", "to resample volumes", "volumes")
        # From the index of a voxel of the result to an index here.
        mapping = np.linalg.solve(self.affine, affine)
        matrix, offset = mapping[:3, :3], mapping[:3, 3]
        # By how much a voxel of the result is larger; the sigma is scikit-image's.
        sigmas = np.maximum(0, np.abs(matrix).max(axis=1) - 1) / 2
        reach = _REACH + np.ceil(4 * sigmas).astype(int)
        data = np.empty((1, *space), np.float32)
        holes = None if self.holes is None else np.empty(space, np.bool_)
        for box in blocks(space, _BOX):
            ends = np.array([(side.start, side.stop - 1) for side in box])
            corners = np.stack(np.meshgrid(*ends, indexing="ij")).reshape(3, -1)
            places = matrix @ corners + offset[:, None]
            low = np.floor(places.min(axis=1)).astype(int) - reach
            high = np.ceil(places.max(axis=1)).astype(int) + reach + 1
            low = np.clip(low, 0, np.array(self.space) - 1)
            high = np.clip(high, low + 1, self.space)
            part = self.data[0][tuple(map(slice, low, high))]
            if sigmas.any():
                part = ndimage.gaussian_filter(part, sigmas, mode="nearest")
            inside = matrix @ ends[:, 0] + offset - low
            ndimage.affine_transform(
                part, matrix, inside, output=data[0][box], order=3, mode="nearest"
            )
            if holes is not None and self.holes is not None:
                part = self.holes[tuple(map(slice, low, high))].astype(np.float32)
                near = ndimage.affine_transform(
                    part, matrix, inside, output_shape=holes[box].shape, order=1, mode="nearest"
                )
                holes[box] = near > _NEAR_HOLE
        return replace(self, data=data, affine=affine, holes=holes, around=None, inside=None)


def scale_affine(
    affine: Float64[np.ndarray, "4 4"], factors: Float64[np.ndarray, "3"]
) -> Float64[np.ndarray, "4 4"]:
    """Returns the affine of larger voxels; the corner of the first voxel stays where it was.

    Example:
        >>> scale_affine(np.eye(4), np.array([2.0, 2.0, 2.0])).diagonal().tolist()
        [2.0, 2.0, 2.0, 1.0]

    Args:
        affine: of the voxels.
        factors: how many times as large the voxels become along each axis.
    """
    bigger = np.diag([*factors, 1.0])
    bigger[:3, 3] = (factors - 1) / 2
    return np.asarray(affine @ bigger, np.float64)


def check_affine(affine: Float64[np.ndarray, "4 4"]) -> None:
    """Refuses an affine that gives voxels no volume, or no place.

    Raises:
        SampleError: the affine is singular or not finite.
    """
    edges = affine[:3, :3]
    # The directions are brought to length one, so that tiny voxels are as good as large ones.
    lengths = np.linalg.norm(edges, axis=0)
    whole = np.isfinite(affine).all() and np.array_equal(affine[3], (0, 0, 0, 1))
    if not (whole and lengths.all() and abs(np.linalg.det(edges / lengths)) > 1e-6):
        rows = "; ".join(" ".join(f"{value:g}" for value in row) for row in affine[:3])
        raise SampleError(
            expected="an affine that places voxels in space",
            found=f"one that is singular or not finite: {rows}",
            remedy="correct the orientation in the header",
        )
