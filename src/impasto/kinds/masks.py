"""Masks: the regions in a picture that somebody has painted, and how much each pixel is of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import combinations

import numpy as np
from jaxtyping import Float32

from impasto import media
from impasto.errors import SampleError
from impasto.media.pictures.picture import Picture, from_array
from impasto.media.sample import Sample

Color = tuple[int, int, int]
Plane = Float32[np.ndarray, "height width"]

BLACK, WHITE = (0, 0, 0), (255, 255, 255)

_LEAST_REGION = 0.002
"""A color is a region if areas of it cover at least this fraction of a mask."""
_MOST_REGIONS = 16
"""A mask has at most this many regions; a picture with more colors is a gradient."""
_MOST_ELSE = 0.05
"""At most this fraction of a mask is neither of its colors nor between two of them."""
SAME_REGION = 24
"""Colors in two masks that differ by at most this, of 255, are the same region."""
_SAME_COLOR = 8
"""Pixels in one region differ by at most this, of 255."""
_EVEN = 2
"""Neighbors in an area differ by at most this, of 255."""
_ASPECT = 0.03
"""The aspect ratio of a mask may differ from that of its picture by this fraction."""


def open_mask(path: str, sample: Sample) -> Picture:
    """Opens a mask. What is transparent is black; a black shape on transparent ground is white.

    Args:
        path: of the mask.
        sample: its picture.

    Raises:
        SampleError: it is not a picture of its picture's aspect ratio.
    """
    mask = media.load(path)
    if not isinstance(mask, Picture):
        raise SampleError(
            expected="a picture", found=type(mask).__name__.lower(), remedy="pass a PNG"
        )
    (height, width), (rows, columns) = sample.space, mask.space
    if abs(height * columns / (width * rows) - 1) > _ASPECT and min(rows, columns) > 1:
        raise SampleError(
            expected=f"a mask with the aspect ratio of its picture, {width} x {height}",
            found=f"{columns} x {rows}",
            remedy="draw it over the picture, with the same crop",
        )
    return _without_alpha(mask)


def _without_alpha(mask: Picture) -> Picture:
    """Returns the mask on black: its shape may be in the alpha channel alone."""
    alpha = mask.alpha
    if alpha is None or alpha.min() == 1:
        return mask
    visible = mask.data[:, alpha > 0.5]
    black = visible.size and 255 * visible.max() <= SAME_REGION
    data = np.stack([alpha] * 3) if black else mask.data * alpha
    return replace(mask, data=data, alpha=None)


def gray(mask: Picture, sample: Sample) -> Plane:
    """Returns how light a mask is, on its picture's grid."""
    return over(mask.data.mean(0), sample)


def over(plane: np.ndarray, sample: Sample) -> Plane:
    """Resamples a plane of a mask to its picture's grid."""
    resampled: Plane = from_array(np.clip(plane, 0, 1), sample.space).data[0]
    return resampled


def regions(mask: Picture) -> dict[Color, Plane]:
    """Splits a mask into regions, the darkest first.

    In a mask of a few colors, each color that has areas is a region, and a pixel whose color lies
    between two of them, as on blurred and antialiased edges, belongs to both. A mask of many grays
    is two regions: a pixel of value v belongs to the white one by v and to the black one by 1 - v.

    Returns:
        How much each pixel belongs to each region, in [0, 1], shape (height, width).

    Raises:
        SampleError: the mask has many colors.
    """
    colors = _colors(mask.data)
    shares, fits = _shares(mask, colors)
    if np.ptp(mask.data, axis=0).max() < SAME_REGION / 255:
        if set(colors) <= {BLACK, WHITE} or not fits or _is_soft(mask, colors):
            light = mask.data.mean(0)
            return {BLACK: 1 - light, WHITE: light}
    elif not fits:
        raise SampleError(
            expected="a mask of a few even colors, or of grays",
            found="a mask of many colors",
            remedy="paint each region in one color and save it as PNG",
        )
    return dict(zip(colors, shares, strict=True))


def region_like(found: dict[Color, Plane], color: Color) -> Plane | None:
    """Returns the region whose color is nearest, or None if no color is near enough."""
    distances = {near: np.abs(np.subtract(near, color)).max() for near in found}
    nearest = min(distances, key=lambda near: distances[near])
    return found[nearest] if distances[nearest] <= SAME_REGION else None


def _colors(data: np.ndarray) -> list[Color]:
    """Returns the colors of areas, the darkest first; edges have none."""
    levels = np.rint(255 * data).astype(np.int32)
    even = np.ones(levels.shape[1:], np.bool_)
    for axis in (1, 2):
        step = np.abs(np.diff(levels, axis=axis)).max(0) <= _EVEN
        lead, last = [[(0, 0), (0, 0)] for _ in range(2)]
        lead[axis - 1], last[axis - 1] = (1, 0), (0, 1)
        even &= np.pad(step, lead, constant_values=True) & np.pad(step, last, constant_values=True)
    packed = (levels[0] << 16 | levels[1] << 8 | levels[2])[even]
    codes, counts = np.unique(packed, return_counts=True)
    colors: list[Color] = []
    for code in codes[np.argsort(-counts, kind="stable")].tolist():
        color = code >> 16, code >> 8 & 255, code & 255
        near = np.abs(levels - np.reshape(color, (3, 1, 1))).max(0) <= _SAME_COLOR
        if (near & even).sum() < _LEAST_REGION * even.size:
            break
        color = _snap(color)
        if all(np.abs(np.subtract(color, other)).max() > SAME_REGION for other in colors):
            colors.append(color)
        if len(colors) > _MOST_REGIONS:
            break
    return sorted(colors, key=lambda color: (sum(color), color))


def _snap(color: Color) -> Color:
    """Replaces a color that is nearly black or nearly white by black or white."""
    if max(color) <= SAME_REGION:
        return BLACK
    return WHITE if min(color) >= 255 - SAME_REGION else color


def _shares(mask: Picture, colors: Sequence[Color]) -> tuple[list[Plane], bool]:
    """Returns how much each pixel is of each color, and whether nearly all are of some or of two.

    A pixel that is of no color is the mixture of two that comes nearest to it.
    """
    shares = np.zeros((len(colors), *mask.space), np.float32)
    if not 0 < len(colors) <= _MOST_REGIONS:
        return list(shares), False
    levels = 255 * mask.data
    apart = np.stack([np.abs(levels - np.reshape(c, (3, 1, 1))).max(0) for c in colors])
    nearest, far = apart.argmin(0), apart.min(0) > _SAME_COLOR
    np.put_along_axis(shares, nearest[None], 1.0, 0)
    values = levels[:, far]
    best, left = np.zeros((len(colors), values.shape[1]), np.float32), apart.min(0)[far]
    best[nearest[far], np.arange(values.shape[1])] = 1.0
    for one, other in combinations(range(len(colors)), 2):
        start, end = (np.reshape(colors[i], (3, 1)).astype(np.float32) for i in (one, other))
        along = np.clip(
            ((values - start) * (end - start)).sum(0) / ((end - start) ** 2).sum(), 0, 1
        )
        distance = np.abs(start + along * (end - start) - values).max(0)
        nearer = distance < left
        left = np.where(nearer, distance, left)
        mixed = np.zeros_like(best)
        mixed[one], mixed[other] = 1 - along, along
        best = np.where(nearer, mixed, best)
    shares[:, far] = best
    return list(shares), bool((left > SAME_REGION).sum() <= _MOST_ELSE * far.size)


def _is_soft(mask: Picture, colors: Sequence[Color]) -> bool:
    """Whether more of a gray mask is between its colors than edges take."""
    levels = 255 * mask.data.mean(0)
    apart = np.stack([np.abs(levels - np.mean(color)) for color in colors]).min(0)
    return bool((apart > _SAME_COLOR).mean() > _MOST_ELSE)
