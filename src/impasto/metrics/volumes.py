"""The metrics of a stylized volume."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import numpy as np

from impasto.errors import SampleError, about
from impasto.kinds.volume import match_to_content
from impasto.linear.volumes import linear_volume
from impasto.media.volumes.orientation import Codes, axis_codes, oriented, same_grid
from impasto.media.volumes.volume import Volume
from impasto.media.volumes.windows import style_window, window_of
from impasto.metrics import Comparison, Row
from impasto.metrics.grams import gram_distance, slice_grams
from impasto.metrics.noise import noise_distance
from impasto.metrics.regions import check_region, even_region, part
from impasto.metrics.series import amplitude_distance
from impasto.metrics.texture import flicker, roughness
from impasto.system.libraries import library

BODY: Codes = ("R", "A", "S")

AXIAL, ALL = (0, 1), (0, 1, 2)

_SSIM_WINDOW = 7  # voxels a side
_LOOKED_AT = 1 << 22

Made = tuple[Volume, Volume, Volume]
"""The result, the content, and the content through a filter."""


def compare_volumes(
    out: Volume,
    content: Volume,
    style: Volume,
    region: Sequence[int],
    style_region: Sequence[int],
    window: Sequence[str],
) -> Comparison:
    """Measures how much of the content a result keeps, and how near its texture is to the style.

    Noise and roughness are compared in one region of each volume. The axes in the rows are those of
    the body: z runs toward the head.

    Args:
        out: the result.
        content: the content.
        style: the style. If its values mean something else than the content's, they are mapped
            from its own intensity window to the content's.
        region: x0, x1, y0, y1, z0, z1 in the content's voxels, as they are stored; if empty,
            `even_region` chooses one.
        style_region: the same in the style's voxels.
        window: the intensity window for Gram matrices, as --window takes it.

    Raises:
        ConfigError: a region or the intensity window does not fit.
        MissingExtraError: a library is not installed.
        SampleError: the result does not have the content's voxels.
    """
    out = oriented(out, axis_codes(content))
    if not same_grid(out, content):
        raise SampleError(
            expected=f"a result over the content's {content.space} voxels",
            found=f"one of {out.space} voxels, or at another position",
            remedy="compare it with the volume it was made from",
        )
    limits, theirs = window_of(window, content), style_window(style, content, window)
    if theirs != limits:
        style = _map_window(style, theirs, limits)
    with about("--region"):
        box = check_region(region, content) if region else even_region(content)
    with about("--style-region"):
        style_box = check_region(style_region, style) if style_region else even_region(style)
    filtered = linear_volume(content, [match_to_content(style, content)], [1.0])
    samples = out, content, filtered, style
    one, own, through, other = (oriented(volume, BODY) for volume in samples)
    made = one, own, through
    rows = [*_content_rows(*made), _histogram(made, other), *_gram_rows(made, other, limits)]
    boxes = box, box, box, style_box
    *pieces, piece = (
        oriented(part(volume, own_box), BODY)
        for volume, own_box in zip(samples, boxes, strict=True)
    )
    rows += _region_rows((pieces[0], pieces[1], pieces[2]), piece)
    return Comparison((), tuple(rows), (box, style_box))


def _content_rows(out: Volume, content: Volume, filtered: Volume) -> list[Row]:
    found = [_kept(content.data[0], volume.data[0]) for volume in (out, filtered)]
    (similarity, ratio, times), linear = found
    same = np.nan if np.isnan(similarity) else 1.0
    most = np.nan if np.isnan(ratio) else np.inf
    once = np.nan if np.isnan(times) else 1.0
    return [
        Row("SSIM", "", "content", "higher", similarity, same, np.nan, linear[0]),
        Row("PSNR", "dB", "content", "higher", ratio, most, np.nan, linear[1]),
        Row("flicker along z", "", "content", "lower", times, once, np.nan, linear[2]),
    ]


def _kept(content: np.ndarray, other: np.ndarray) -> tuple[float, float, float]:
    """Returns SSIM, PSNR and how many times the content's flicker the other values have."""
    span = float(content.max() - content.min())
    similarity = ratio = np.nan
    if span > 0:
        metrics = library("skimage.metrics", "to compare volumes", "volumes")
        with np.errstate(divide="ignore"):
            ratio = float(metrics.peak_signal_noise_ratio(content, other, data_range=span))
        if min(content.shape) >= _SSIM_WINDOW:
            similarity = float(metrics.structural_similarity(content, other, data_range=span))
    own = flicker(content)
    return similarity, ratio, flicker(other) / own if own > 0 else np.nan


def _pairs(made: Made, style: Volume) -> list[tuple[Volume, Volume]]:
    """What is compared for the result, the no-op, the floor and the filter."""
    out, content, filtered = made
    return [(out, style), (content, style), _halves(style), (filtered, style)]


def _histogram(made: Made, style: Volume) -> Row:
    """Computes the Wasserstein-1 distance between all values."""
    distances = [
        amplitude_distance(_values(one), _values(other)) for one, other in _pairs(made, style)
    ]
    unit = style.unit if style.unit == made[0].unit else ""
    return Row("histogram distance", unit, "style", "lower", *distances)


def _gram_rows(made: Made, style: Volume, window: tuple[float, float]) -> list[Row]:
    """Compares the Gram matrices of slices across each axis, at the result's spacing."""
    styles = [volume.resampled(made[0].spacing) for volume in (style, *_halves(style))]
    ours, own, through, theirs, left, right = (
        [slice_grams(volume, window, axis) for axis in ALL] for volume in (*made, *styles)
    )
    distances = np.array(
        [
            [gram_distance(one[axis], other[axis]) for axis in ALL]
            for one, other in ((ours, theirs), (own, theirs), (left, right), (through, theirs))
        ]
    )
    return _by_axis("Gram", "distance across", "lower", distances)


def _by_axis(what: str, how: str, better: Literal["lower", "one"], values: np.ndarray) -> list[Row]:
    """Makes a row for each axis, and one for the ratio of the largest to the smallest.

    values: shape (result, no-op, floor, filter; x, y, z).
    """
    rows = [
        Row(f"{what} {how} {axis}", "", "style", better, *values[:, n].tolist())
        for n, axis in enumerate("xyz")
    ]
    uneven = f"{what}, largest over smallest"
    return [*rows, Row(uneven, "", "style", "lower", *map(_unevenness, values))]


def _region_rows(made: Made, style: Volume) -> list[Row]:
    pairs = _pairs(made, style)
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
        np.array([_ratio(roughness(one), roughness(other)) for one, other in values]),
    )
    flickers = [float(_ratio(flicker(one), flicker(other))) for one, other in values]
    rows.append(Row("flicker in the region", "", "style", "one", *flickers))
    return rows


def _ratio(one: np.ndarray | float, other: np.ndarray | float) -> np.ndarray:
    """Returns one / other; NaN where `other` is 0 or NaN."""
    none = np.full(np.shape(other), np.nan)
    return np.asarray(np.divide(one, other, out=none, where=np.asarray(other) > 0))


def _unevenness(ratios: np.ndarray) -> float:
    """Returns the largest ratio over the smallest: 1 if the axes differ as much as the style's."""
    return float(ratios.max() / ratios.min()) if ratios.min() > 0 else np.nan


def _halves(volume: Volume) -> tuple[Volume, Volume]:
    """Returns the right and the left half of the body, which are nearly symmetric.

    If the volume is one voxel wide, both halves are the whole.
    """
    x, y, z = volume.space
    middle = max(1, x // 2)
    return (
        part(volume, (0, middle, 0, y, 0, z)),
        part(volume, (min(middle, x - 1), x, 0, y, 0, z)),
    )


def _values(volume: Volume) -> np.ndarray:
    """Returns the values in float64; from a large volume, evenly spaced ones."""
    values = volume.data.ravel(order="K")
    return values[:: values.size // _LOOKED_AT | 1].astype(np.float64)


def _map_window(volume: Volume, own: tuple[float, float], target: tuple[float, float]) -> Volume:
    """Maps the values linearly, so that the intensity window `own` becomes `target`."""
    scale = (target[1] - target[0]) / (own[1] - own[0])
    shift = target[0] - scale * own[0]
    return volume.with_data(volume.data * np.float32(scale) + np.float32(shift))
