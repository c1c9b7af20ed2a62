"""Choose the colors of the result: those of the content, kept in one of four ways, or the style's.

Gatys et al. 2016 (Preserving color in neural style transfer) describe `match` and `luminance`.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial

import numpy as np
import torch
from jaxtyping import Float, Float32, Float64

from impasto.config.settings import ColorMode
from impasto.errors import ConfigError
from impasto.grids.resample import resample
from impasto.media.blocks import New, blocks, in_memory
from impasto.media.pictures.picture import Picture
from impasto.media.sample import Sample

Colors = Float32[np.ndarray, "3 height width"]
AnyColors = Float[np.ndarray, "3 *space"]
Moments = tuple[Float64[np.ndarray, "3"], Float64[np.ndarray, "3 3"]]

LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)
"""The weights of red, green and blue in the luminance (ITU-R BT.709)."""

_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
"""Converts red, green and blue to luminance and two channels of chroma (NTSC)."""

# Ottosson 2020, A perceptual color space for image processing
_LMS = np.array(
    [
        [0.4122214708, 0.5363325363, 0.0514459929],
        [0.2119034982, 0.6806995451, 0.1073969566],
        [0.0883024619, 0.2817188376, 0.6299787005],
    ]
)
_LAB = np.array(
    [
        [0.2104542553, 0.7936177850, -0.0040720468],
        [1.9779984951, -2.4285922050, 0.4505937099],
        [0.0259040371, 0.7827717662, -0.8086757660],
    ]
)


def prepare_colors(
    content: Sample,
    styles: Sequence[Sample],
    shares: Sequence[float],
    mode: ColorMode,
    new: New = in_memory,
) -> tuple[Sample, list[Sample]]:
    """Recolors the content and the styles before a run, as the color mode asks.

    Args:
        content: the content.
        styles: the styles.
        shares: the weight of each style in the mixed palette; they add up to 1.
        mode: the color mode, --color.
        new: allocates large arrays.

    Returns:
        The content and the styles for the run; samples that do not change are returned themselves.

    Raises:
        ConfigError: the mode is not "style" and a sample is not a picture.
    """
    if mode == "style":
        return content, list(styles)
    pictures = [sample for sample in (content, *styles) if isinstance(sample, Picture)]
    if len(pictures) != 1 + len(styles):
        raise ConfigError(
            subject="--color",
            expected="style, for all but pictures",
            found=mode,
            remedy="leave it out",
        )
    first, *others = pictures
    match mode:
        case "match":
            return first, [
                replace(style, data=match_colors(style, [first], [1.0], new)) for style in others
            ]
        case "palette":
            return replace(first, data=match_colors(first, others, shares, new)), list(others)
        case "luminance":
            mean, deviation = _luminance(first)
            grays: list[Sample] = []
            for style in others:
                own, spread = _luminance(style)
                scale = deviation / max(spread, 1e-3)
                grays.append(replace(style, data=_gray(style, scale, mean - scale * own, new)))
            return replace(first, data=_gray(first, 1.0, 0.0, new)), grays
        case _:
            return first, list(others)


def restore_colors(
    result: Sample, content: Sample, mode: ColorMode, new: New = in_memory
) -> Sample:
    """Gives the result the content's chroma after a run, if the color mode keeps it.

    Args:
        result: G as a sample.
        content: the content before `prepare_colors`. Where it is not free to change, the result
            takes its values.
        mode: the color mode, --color.
        new: allocates large arrays.
    """
    if mode in {"luminance", "oklab"}:
        own = resample(torch.from_numpy(content.data)[None], result.space)[0].numpy()
        mixed = _in_blocks(partial(_with_lightness, mode=mode), [own, result.data], new)
        result = result.with_data(mixed)
    if content.free is not None and mode != "style" and content.space == result.space:
        parts = [content.free[None], result.data, content.data]
        result = result.with_data(_in_blocks(np.where, parts, new))
    return result


def match_colors(
    picture: Picture, likes: Sequence[Picture], shares: Sequence[float], new: New = in_memory
) -> Colors:
    """Gives a picture's colors the mean and the covariance of other pictures' colors.

    x -> Cov_like^1/2 Cov^-1/2 (x - mean) + mean_like, the image-analogies form of Gatys et al. 2016
    (Preserving color in neural style transfer), section 3.

    Args:
        picture: the picture to recolor.
        likes: the pictures whose colors it gets.
        shares: the weight of each of `likes`, whatever its size; they add up to 1.
        new: allocates large arrays.

    Returns:
        The recolored values, clipped to [0, 1].
    """
    mean, target = _mixture([_moments(like) for like in likes], shares)
    own, covariance = _moments(picture)
    matrix = _root(target, 0.5) @ _root(covariance, -0.5)
    shift = (mean - matrix @ own).astype(np.float32)[:, None, None]
    return _in_blocks(lambda data: np.clip(_mix(matrix, data) + shift, 0, 1), [picture.data], new)


def to_oklab(data: AnyColors) -> AnyColors:
    """Converts sRGB in [0, 1] to Oklab: lightness in [0, 1], green to red, and blue to yellow.

    The result has the precision of `data`.
    """
    linear = np.where(data <= 0.04045, data / 12.92, ((data + 0.055) / 1.055) ** 2.4)
    return _mix(_LAB, np.cbrt(_mix(_LMS, linear)))


def from_oklab(lab: AnyColors) -> AnyColors:
    """Converts Oklab to sRGB, some values of which may lie outside [0, 1].

    The result has the precision of `lab`.
    """
    linear = _mix(np.linalg.inv(_LMS), _mix(np.linalg.inv(_LAB), lab) ** 3)
    curve = 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
    srgb: AnyColors = np.where(linear <= 0.0031308, 12.92 * linear, curve)
    return srgb


def _with_lightness(data: Colors, other: Colors, mode: ColorMode) -> Colors:
    """Combines the chroma of `data` with the lightness of `other`."""
    if mode == "oklab":
        lab = to_oklab(np.clip(data, 0, 1))
        lab[0] = to_oklab(other)[0]
        mixed = from_oklab(lab)
    else:
        yiq = _mix(_YIQ, np.clip(data, 0, 1))
        yiq[:1] = _mix(_YIQ[:1], other)
        mixed = _mix(np.linalg.inv(_YIQ), yiq)
    return mixed.clip(0, 1)


def _luminance(picture: Picture) -> tuple[float, float]:
    """Returns the mean and the standard deviation of a picture's luminance."""
    mean, covariance = _moments(picture)
    return float(_YIQ[0] @ mean), max(float(_YIQ[0] @ covariance @ _YIQ[0]), 0.0) ** 0.5


def _gray(picture: Picture, scale: float, shift: float, new: New) -> Colors:
    """Returns `scale` times the luminance plus `shift`, clipped to [0, 1], in three channels."""

    def gray(data: Colors) -> Float32[np.ndarray, "1 height width"]:
        return np.clip(scale * _mix(_YIQ[:1], data) + shift, 0, 1)

    return _in_blocks(gray, [picture.data], new)


def _moments(picture: Picture) -> Moments:
    """Returns the mean and the covariance of a picture's colors; what is transparent has none."""
    data, weight = picture.data, picture.weight
    if weight is not None and not weight.any():
        weight = None
    count, first, second = 0.0, np.zeros(3), np.zeros((3, 3))
    for block in blocks(data.shape[1:]):
        rows = data[:, *block].reshape(3, -1).astype(np.float64)
        weighted = rows if weight is None else rows * weight[block].reshape(1, -1)
        count += rows.shape[1] if weight is None else float(weight[block].sum(dtype=np.float64))
        first += weighted.sum(1)
        second += weighted @ rows.T
    mean = first / count
    return mean, second / count - np.outer(mean, mean)


def _mixture(parts: Sequence[Moments], shares: Sequence[float]) -> Moments:
    """Returns the mean and the covariance of a mixture with these shares."""
    means, covariances = zip(*parts, strict=True)
    mean = np.average(means, axis=0, weights=shares)
    spread = [np.outer(each - mean, each - mean) for each in means]
    return mean, np.average(np.add(covariances, spread), axis=0, weights=shares)


def _root(covariance: Float[np.ndarray, "3 3"], power: float) -> Float[np.ndarray, "3 3"]:
    """Returns a symmetric power of a covariance.

    Each eigenvalue is at least the variance of one level in 255, so that inverses stay bounded.
    """
    values, vectors = np.linalg.eigh(covariance)
    root: np.ndarray = (vectors * np.maximum(values, 255.0**-2) ** power) @ vectors.T
    return root


def _mix(matrix: Float[np.ndarray, "row 3"], data: AnyColors) -> Float[np.ndarray, "row *space"]:
    """Multiplies the color at each position by a matrix."""
    mixed: np.ndarray = np.tensordot(matrix.astype(data.dtype), data, 1)
    return mixed


def _in_blocks(
    function: Callable[..., np.ndarray], pictures: Sequence[np.ndarray], new: New
) -> Colors:
    """Applies a function to pictures on one grid, some rows at a time.

    The functions here make many temporary copies, which would be large for a whole picture.
    """
    result = new((3, *pictures[0].shape[1:]))
    for block in blocks(result.shape[1:]):
        result[:, *block] = function(*(picture[:, *block] for picture in pictures))
    return result
