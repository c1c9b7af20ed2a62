"""What a reconstruction kernel changes in a CT: tissues, noise, edges, and features made of them.

Tissues are told by HU on a smoothed copy, so that noise does not choose the voxels, and without the
voxels beside other tissues. The result is measured on the voxels of the content's tissues.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np
from jaxtyping import Bool, Float32

from impasto.linear.volumes import body_of
from impasto.media.volumes.orientation import axis_codes, oriented
from impasto.media.volumes.volume import Volume
from impasto.metrics.noise import noise_distance
from impasto.metrics.regions import even_region, part
from impasto.metrics.volumes import AXIAL, BODY
from impasto.system.libraries import library

Values = Float32[np.ndarray, "x y z"]
Voxels = Bool[np.ndarray, "x y z"]
Masks = dict[str, Voxels]

TISSUES = {
    "air in the body": (-np.inf, -500.0),
    "fat": (-150.0, -30.0),
    "soft tissue": (0.0, 110.0),
    "bone": (180.0, np.inf),
}
"""HU of each tissue, on the smoothed copy. Air in the body is lung, but for airways and bowel."""

_AIR, _SOFT = "air in the body", "soft tissue"
_EMPHYSEMA = -950.0
_FEWEST = 50  # voxels or profiles that a value is made of
_MOST = 4000  # profiles
_REACH, _STEP = 8.0, 0.1  # of a profile across an edge, in mm
_LUNG, _WALL = -700.0, -200.0
"""A profile leads from below the first to above the second of these."""
_GRAYS = np.arange(-150.0, 251.0, 25.0)
"""Ends of the grays of co-occurrence matrices, in HU."""
_FEATURES = "contrast", "homogeneity", "energy", "correlation"


@dataclass(frozen=True)
class Trait:
    """One value of a CT; NaN where there is too little of what it is measured on.

    Attributes:
        name: of the value.
        unit: "" if there is none.
        before: of the content.
        after: of the result.
        style: of the style.
    """

    name: str
    unit: str
    before: float
    after: float
    style: float


def compare_kernels(content: Volume, out: Volume, style: Volume) -> tuple[Trait, ...]:
    """Measures what has changed in a CT, and what its style has.

    Mean and standard deviation of each tissue; the distance of the axial noise power spectrum to
    the style's in the most even region; the distance in which the mean profile across the surface
    of lungs rises from 10 to 90 %; LAA-950, the percentage of voxels of lungs below -950 HU
    (Gevenois et al. 1996); and features of gray-level co-occurrence matrices of soft tissue in
    axial slices, at a distance of one voxel, in grays of 25 HU (Haralick et al. 1973).

    Args:
        content: before, in HU.
        out: after, over the content's voxels.
        style: of the other kernel, in HU, with the content's spacing.

    Raises:
        MissingExtraError: scipy or scikit-image is not installed.

    Example:
        >>> ct = Volume(np.full((1, 20, 20, 5), 40, np.float32), unit="HU")
        >>> [trait.after for trait in compare_kernels(ct, ct, ct) if trait.name == "soft tissue"]
        [40.0]
    """
    before, after, other = (
        oriented(volume, BODY) for volume in (content, oriented(out, axis_codes(content)), style)
    )
    ours, theirs = tissues(before), tissues(other)
    columns = [
        dict(_measured(volume, masks))
        for volume, masks in ((before, ours), (after, ours), (other, theirs))
    ]
    one, two, three = columns
    traits = [Trait(*key, one[key], two[key], three[key]) for key in one]
    box, reference = even_region(before), part(other, even_region(other))
    first, second = (noise_distance(part(each, box), reference, AXIAL) for each in (before, after))
    return (*traits, Trait("noise power spectrum, off the style's", "dB", first, second, 0.0))


def tissues(volume: Volume) -> Masks:
    """Returns the voxels of each tissue of a CT in HU, without those beside other tissues.

    The last axis runs across slices; within them a voxel's neighbors are of its tissue.
    """
    ndimage = library("scipy.ndimage", "to find tissues", "volumes")
    body = body_of(volume)
    smooth = ndimage.gaussian_filter(volume.data[0], 1.0)
    cross = ndimage.generate_binary_structure(2, 1)[..., None]
    return {
        name: ndimage.binary_erosion(body & (smooth >= low) & (smooth < high), cross)
        for name, (low, high) in TISSUES.items()
    }


def _measured(volume: Volume, masks: Masks) -> Iterator[tuple[tuple[str, str], float]]:
    """Yields the name, the unit and the value of each trait."""
    values = volume.data[0]
    for name, mask in masks.items():
        enough = mask.sum() >= _FEWEST
        some = values[mask].astype(np.float64) if enough else np.array([np.nan])
        yield (name, "HU"), float(some.mean())
        yield (f"{name}, spread", "HU"), float(some.std())
    lungs = values[masks[_AIR]]
    emphysema = 100 * np.mean(lungs < _EMPHYSEMA) if lungs.size >= _FEWEST else np.nan
    yield ("LAA-950", "%"), float(emphysema)
    yield ("edge width, 10 to 90 %", "mm"), edge_width(volume, masks[_AIR])
    for feature, value in zip(_FEATURES, _cooccurrence(values, masks[_SOFT]), strict=True):
        yield (f"GLCM {feature} of soft tissue", ""), value


def edge_width(volume: Volume, lungs: Voxels) -> float:
    """Returns the distance in which the mean profile out of the lungs rises from 10 to 90 %, in mm.

    Profiles run within slices, along the gradient, and are laid over one another where they cross
    the middle between lung and wall.

    Args:
        volume: in HU; the last axis runs across slices.
        lungs: its voxels in lungs.

    Returns:
        The distance; NaN where there are too few profiles.
    """
    ndimage = library("scipy.ndimage", "to measure edges", "volumes")
    values = volume.data[0]
    surface = lungs & ~ndimage.binary_erosion(lungs, np.ones((3, 3, 1)))
    places = np.argwhere(surface)
    places = places[:: len(places) // _MOST + 1]
    spacing = np.array(volume.spacing[:2])
    gradient = [
        ndimage.gaussian_filter(values, (2, 2, 0), order)[tuple(places.T)] / side
        for order, side in zip(((1, 0, 0), (0, 1, 0)), spacing, strict=True)
    ]
    normal = np.stack(gradient, 1)
    normal /= np.maximum(np.linalg.norm(normal, axis=1, keepdims=True), 1e-9)
    distances = np.arange(-_REACH, _REACH + _STEP / 2, _STEP)
    paths = places[:, :, None].astype(np.float64) + np.zeros(len(distances))
    paths[:, :2] += normal[:, :, None] * distances / spacing[:, None]
    profiles = ndimage.map_coordinates(values, paths.swapaxes(0, 1), order=1, mode="nearest")
    quarter = len(distances) // 4
    low, high = profiles[:, :quarter].mean(1), profiles[:, -quarter:].mean(1)
    profiles = profiles[(low < _LUNG) & (high > _WALL)]
    if len(profiles) < _FEWEST:
        return np.nan
    return _rise(profiles, distances)


def _rise(profiles: np.ndarray, distances: np.ndarray) -> float:
    """Lays profiles over one another where they cross the middle; returns 10 to 90 % of the mean's
    rise."""
    third = len(distances) // 3
    low, high = profiles[:, :third].mean(), profiles[:, -third:].mean()
    crossing = np.abs(profiles - (low + high) / 2)[:, third:-third].argmin(1) + third
    reach = np.arange(-third, third)
    mean = np.median(np.take_along_axis(profiles, crossing[:, None] + reach, 1), 0)
    heights = (np.maximum.accumulate(mean) - mean[0]) / (mean.max() - mean[0])
    first, last = np.interp((0.1, 0.9), heights, reach * _STEP)
    return float(last - first)


def _cooccurrence(values: Values, mask: Voxels) -> list[float]:
    """Returns features of the co-occurrence of grays at neighbors in a slice, within the mask."""
    feature = library("skimage.feature", "to compare textures", "volumes")
    if mask.sum() < _FEWEST:
        return [np.nan] * len(_FEATURES)
    levels = len(_GRAYS)
    grays = np.clip(np.digitize(values, _GRAYS), 1, levels - 1)
    grays = np.where(mask, grays, 0).astype(np.uint8)  # 0 stands for what is no soft tissue
    angles = np.arange(4) * np.pi / 4
    counts = sum(
        feature.graycomatrix(grays[..., z], [1], angles, levels, symmetric=True).astype(np.float64)
        for z in range(grays.shape[2])
        if mask[..., z].any()
    )[1:, 1:]
    shares = counts / np.maximum(counts.sum(axis=(0, 1), keepdims=True), 1)
    return [float(feature.graycoprops(shares, name).mean()) for name in _FEATURES]
