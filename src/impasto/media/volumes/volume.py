"""Volumes: values over a grid of voxels, and where in space those lie."""

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

# Sides of the boxes that are resampled one by one, and how far around one its values reach: cubic
# splines forget by a factor of 0.27 a voxel.
_BOX = (64, 64, 64)
_REACH = 12


@dataclass(frozen=True, eq=False)
class Volume(Sample):
    """One value a voxel: a CT, an MRI, a stack of microscopy.

    data: float32, shape (1, x, y, z), the axes in the order of the affine's columns: those of a
    NIfTI or NRRD file as they are stored, columns, rows and slices of DICOM, and x, y and z of
    OME-Zarr. affine: 4 x 4, from the place (x, y, z, 1) of a voxel's center to mm toward the
    right, anterior and superior (RAS+). unit: "HU" where the file says so, else "". dtype, slope,
    intercept: data = slope * stored + intercept, in the file. source: what the file needs beside
    these to be written as it came. inside: the voxels that count, None for all; files keep none.
    Raises SampleError when these do not fit together.
    """

    affine: Float64[np.ndarray, "4 4"] = field(default_factory=lambda: np.eye(4))
    unit: str = ""
    dtype: np.dtype[Any] = _FLOAT32
    slope: float = 1.0
    intercept: float = 0.0
    source: Any = None
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
        """1 inside, 0 elsewhere; None where all voxels count."""
        return None if self.inside is None else self.inside.astype(np.float32)

    @property
    def free(self) -> Bool[np.ndarray, "x y z"] | None:
        """Where it counts."""
        return self.inside

    def with_data(self, data: Float32[np.ndarray, "1 x y z"]) -> Volume:
        """The same volume with other values; over more or fewer voxels in the same box."""
        if data.shape == self.data.shape:
            return replace(self, data=data)
        theirs = np.array(data.shape[1:])
        affine = scaled(self.affine, self.space / theirs)
        return replace(self, data=data, affine=affine, inside=None)

    def resampled(self, spacing: float | tuple[float, float, float]) -> Volume:
        """The same volume with voxels of this size in mm, along the axes that it has.

        As `onto`; the box that the voxels fill keeps its center and, but for rounding, its size.
        Raises SampleError when the spacing is not above 0.
        """
        wanted = np.broadcast_to(np.asarray(spacing, np.float64), 3)
        if not (np.isfinite(wanted).all() and (wanted > 0).all()):
            raise SampleError(
                expected="a spacing above 0 mm", found=f"{spacing}", remedy="pass another"
            )
        factors = wanted / self.spacing
        space = np.maximum(1, np.rint(self.space / factors)).astype(int)
        affine = scaled(self.affine, factors)
        excess = (np.array(self.space) - space * factors) / 2
        affine[:3, 3] += self.affine[:3, :3] @ excess
        return self._over(affine, tuple(space.tolist()))

    def onto(self, other: Volume) -> Volume:
        """The same volume over the voxels of another, wherever those lie.

        By cubic splines; where voxels become larger, a Gaussian comes first, against aliasing.
        Beyond the border its values go on. Takes a few boxes of memory beside the result.
        Raises MissingExtraError without scipy.
        """
        return self._over(other.affine, other.space)

    def _over(self, affine: Float64[np.ndarray, "4 4"], space: tuple[int, ...]) -> Volume:
        if space == self.space and np.array_equal(affine, self.affine):
            return self
        ndimage = library("scipy.ndimage", "to resample volumes", "volumes")
        # From a voxel's place over there to one here.
        mapping = np.linalg.solve(self.affine, affine)
        matrix, offset = mapping[:3, :3], mapping[:3, 3]
        # What a voxel there covers of each axis here; the sigma is scikit-image's.
        sigmas = np.maximum(0, np.abs(matrix).max(axis=1) - 1) / 2
        reach = _REACH + np.ceil(4 * sigmas).astype(int)
        data = np.empty((1, *space), np.float32)
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
        return replace(self, data=data, affine=affine, inside=None)


def scaled(
    affine: Float64[np.ndarray, "4 4"], factors: Float64[np.ndarray, "3"]
) -> Float64[np.ndarray, "4 4"]:
    """The affine of voxels so many times as large, the corner of the first where it was."""
    bigger = np.diag([*factors, 1.0])
    bigger[:3, 3] = (factors - 1) / 2
    return np.asarray(affine @ bigger, np.float64)


def check_affine(affine: Float64[np.ndarray, "4 4"]) -> None:
    """Raises SampleError where voxels would be flat, or nowhere."""
    edges = affine[:3, :3]
    # Of directions of length one, so that tiny voxels are as good as large ones.
    lengths = np.linalg.norm(edges, axis=0)
    whole = np.isfinite(affine).all() and np.array_equal(affine[3], (0, 0, 0, 1))
    if not (whole and lengths.all() and abs(np.linalg.det(edges / lengths)) > 1e-6):
        rows = "; ".join(" ".join(f"{value:g}" for value in row) for row in affine[:3])
        raise SampleError(
            expected="an affine that places voxels in space",
            found=f"one that is singular or not finite: {rows}",
            remedy="correct the orientation in the header",
        )
