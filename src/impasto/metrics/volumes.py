"""The metrics of a stylized volume."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from impasto.errors import SampleError, about
from impasto.kinds.volume import style_window
from impasto.media.volumes.orientation import Codes, axis_codes, oriented, same_grid
from impasto.media.volumes.volume import Volume
from impasto.media.volumes.windows import window_of
from impasto.metrics import Comparison, Row
from impasto.metrics.grams import gram_distance, slice_grams
from impasto.metrics.noise import noise_distance
from impasto.metrics.regions import check_region, even_region, part
from impasto.metrics.series import amplitude_distance
from impasto.metrics.texture import flicker, roughness
from impasto.system.libraries import library

BODY: Codes = ("R", "A", "S")

AXIAL, ALL = (0, 1), (0, 1, 2)

_SMALLEST = 7  # voxels a side, of SSIM's windows
_LOOKED_AT = 1 << 22


def compare_volumes(
    out: Volume,
    content: Volume,
    style: Volume,
    region: Sequence[int],
    style_region: Sequence[int],
    window: Sequence[str],
) -> Comparison:
    """What is left of the content, and in a region of each how near noise and texture are to the
    style.

    Axes are the body's: z runs toward the head. region, style_region: as `regions.check_region`
    has them, of the content's and the style's voxels as they are stored; found by `even_region`
    where they are empty. window: the content's (`windows.window_of`), which Gram matrices are
    looked at in; a style whose values stand for others (`volumes.style_window`) is first brought
    to the content's.
    Raises SampleError when the result is not over the content's voxels, ConfigError when a region
    or the window is not to be had, MissingExtraError when a library is not installed.
    """
    out = oriented(out, axis_codes(content))
    if not same_grid(out, content):
        raise SampleError(
            expected=f"a result over the content's {content.space} voxels",
            found=f"one of {out.space}, or that lies elsewhere",
            remedy="compare it with the volume it was made from",
        )
    limits, theirs = window_of(window, content), style_window(style, content, window)
    if theirs != limits:
        style = _brought(style, theirs, limits)
    with about("--region"):
        box = check_region(region, content) if region else even_region(content)
    with about("--style-region"):
        style_box = check_region(style_region, style) if style_region else even_region(style)
    bodies = oriented(out, BODY), oriented(content, BODY), oriented(style, BODY)
    rows = [*_content_rows(*bodies[:2]), _histogram(*bodies), *_gram_rows(*bodies, limits)]
    pieces = [
        oriented(part(volume, found), BODY)
        for volume, found in ((out, box), (content, box), (style, style_box))
    ]
    rows += _region_rows(*pieces)
    return Comparison((), tuple(rows), (box, style_box))


def _content_rows(out: Volume, content: Volume) -> list[Row]:
    one, other = content.data[0], out.data[0]
    span = float(one.max() - one.min())
    similarity = same = ratio = most = np.nan
    if span > 0:
        metrics = library("skimage.metrics", "to compare volumes", "volumes")
        with np.errstate(divide="ignore"):
            ratio = float(metrics.peak_signal_noise_ratio(one, other, data_range=span))
        most = np.inf
        if min(one.shape) >= _SMALLEST:
            similarity = float(metrics.structural_similarity(one, other, data_range=span))
            same = 1.0
    own = flicker(one)
    times, once = (flicker(other) / own, 1.0) if own > 0 else (np.nan, np.nan)
    return [
        Row("SSIM", "", "content", "higher", similarity, same, np.nan),
        Row("PSNR", "dB", "content", "higher", ratio, most, np.nan),
        Row("flicker along z", "", "content", "lower", times, once, np.nan),
    ]


def _histogram(out: Volume, content: Volume, style: Volume) -> Row:
    """Wasserstein's distance of all values."""
    left, right = _halves(style)
    distances = [
        amplitude_distance(_values(one), _values(other))
        for one, other in ((out, style), (content, style), (left, right))
    ]
    unit = style.unit if style.unit == out.unit else ""
    return Row("histogram distance", unit, "style", "lower", *distances)


def _gram_rows(
    out: Volume, content: Volume, style: Volume, window: tuple[float, float]
) -> list[Row]:
    """Of slices across each axis; styles are brought to the result's spacing."""
    styles = [volume.resampled(out.spacing) for volume in (style, *_halves(style))]
    ours, own, theirs, left, right = (
        [slice_grams(volume, window, axis) for axis in ALL] for volume in (out, content, *styles)
    )
    distances = np.array(
        [
            [gram_distance(one[axis], other[axis]) for axis in ALL]
            for one, other in ((ours, theirs), (own, theirs), (left, right))
        ]
    )
    return _by_axis("Gram", "distance across", "lower", distances)


def _by_axis(what: str, how: str, better: Literal["lower", "one"], found: np.ndarray) -> list[Row]:
    """A row for each axis, and how uneven these are; found: (result, no-op, floor) by axes."""
    rows = [
        Row(f"{what} {how} {axis}", "", "style", better, *found[:, n].tolist())
        for n, axis in enumerate("xyz")
    ]
    uneven = f"{what}, largest over smallest"
    return [*rows, Row(uneven, "", "style", "lower", *map(_unevenness, found))]


def _region_rows(out: Volume, content: Volume, style: Volume) -> list[Row]:
    left, right = _halves(style)
    pairs = (out, style), (content, style), (left, right)
    rows = [
        Row(name, "dB", "style", "lower", *(noise_distance(*pair, axes) for pair in pairs))
        for name, axes in (
            ("noise power spectrum, axial", AXIAL),
            ("noise power spectrum, 3-D", ALL),
        )
    ]
    values = [(one.data[0], other.resampled(one.spacing).data[0]) for one, other in pairs]
    rows += _by_axis(
        "roughness",
        "along",
        "one",
        np.array([_over(roughness(one), roughness(other)) for one, other in values]),
    )
    flickers = [float(_over(flicker(one), flicker(other))) for one, other in values]
    rows.append(Row("flicker in the region", "", "style", "one", *flickers))
    return rows


def _over(one: np.ndarray | float, other: np.ndarray | float) -> np.ndarray:
    """one / other; NaN where that is 0, or there is none."""
    none = np.full(np.shape(other), np.nan)
    return np.asarray(np.divide(one, other, out=none, where=np.asarray(other) > 0))


def _unevenness(ratios: np.ndarray) -> float:
    """The largest over the smallest: 1 where the axes are as alike as the style's."""
    return float(ratios.max() / ratios.min()) if ratios.min() > 0 else np.nan


def _halves(volume: Volume) -> tuple[Volume, Volume]:
    """To both sides of the body: as alike as halves can be. One of one voxel is both."""
    x, y, z = volume.space
    middle = max(1, x // 2)
    return (
        part(volume, (0, middle, 0, y, 0, z)),
        part(volume, (min(middle, x - 1), x, 0, y, 0, z)),
    )


def _values(volume: Volume) -> np.ndarray:
    """Every so many values where there are millions."""
    values = volume.data.ravel(order="K")
    return values[:: values.size // _LOOKED_AT | 1].astype(np.float64)


def _brought(volume: Volume, ours: tuple[float, float], theirs: tuple[float, float]) -> Volume:
    """The values, with one window where the other is."""
    scale = (theirs[1] - theirs[0]) / (ours[1] - ours[0])
    shift = theirs[0] - scale * ours[0]
    return volume.with_data(volume.data * np.float32(scale) + np.float32(shift))
