"""Whose colors the result has: the content's, kept in one of three ways, or all of the style's.

Gatys et al. 2016 (Preserving color in neural style transfer) describe `match` and `luminance`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import torch
from jaxtyping import Float, Float32

from impasto.errors import ConfigError
from impasto.media.picture import Picture
from impasto.media.sample import Sample
from impasto.resample import resample
from impasto.settings import ColorMode

Colors = Float32[np.ndarray, "3 height width"]

_YIQ = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
"""From red, green and blue to luminance and two of chroma (NTSC)."""

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


def colored(
    content: Sample, styles: Sequence[Sample], mode: ColorMode
) -> tuple[Sample, list[Sample]]:
    """The content and the styles that the run is to see.

    Raises ConfigError for another mode than "style" of samples that are no pictures.
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
            return first, [replace(style, data=matched(style, [first])) for style in others]
        case "palette":
            return replace(first, data=matched(first, others)), list(others)
        case "luminance":
            gray = _gray(first.data)
            mean, deviation = gray.mean(), gray.std()
            found: list[Sample] = []
            for style in others:
                other = _gray(style.data)
                scale = deviation / max(float(other.std()), 1e-3)
                found.append(replace(style, data=_in_all((other - other.mean()) * scale + mean)))
            return replace(first, data=_in_all(gray)), found
        case _:
            return first, list(others)


def recolored(result: Sample, content: Sample, mode: ColorMode) -> Sample:
    """The result with the content's chroma, where the mode keeps that; content: as it was given,
    and left so where it is not free."""
    data = result.data
    if mode in {"luminance", "oklab"}:
        own = resample(torch.from_numpy(content.data)[None], result.space)[0].clamp(0, 1).numpy()
        data = np.clip(_with_lightness(own, data, mode), 0, 1)
    if content.free is not None and mode != "style" and content.space == result.space:
        data = np.where(content.free, data, content.data)
    return result if data is result.data else result.with_data(data)


def _with_lightness(data: Colors, other: Colors, mode: ColorMode) -> Colors:
    """The chroma of the one with the lightness of the other."""
    if mode == "luminance":
        yiq = _mixed(_YIQ, data)
        yiq[0] = _gray(other)
        return _mixed(np.linalg.inv(_YIQ), yiq)
    lab = to_oklab(data)
    lab[0] = to_oklab(other)[0]
    return from_oklab(lab)


def matched(picture: Picture, likes: Sequence[Picture]) -> Colors:
    """The colors of a picture with the mean and the covariance of others (Gatys 2016, section 3).

    x -> Cov_like^1/2 Cov^-1/2 (x - mean) + mean_like, the paper's image-analogies form. Each of
    the likes counts as much as the others. Values are clipped to [0, 1].
    """
    means, covariances = zip(*(_moments(like.data) for like in likes), strict=True)
    mean = np.mean(means, axis=0)
    spread = [np.outer(each - mean, each - mean) for each in means]
    target = _root(np.mean(covariances, axis=0) + np.mean(spread, axis=0), 0.5)
    own, covariance = _moments(picture.data)
    matrix = target @ _root(covariance, -0.5)
    centered = picture.data - own[:, None, None].astype(np.float32)
    data = _mixed(matrix, centered) + mean[:, None, None].astype(np.float32)
    found: Colors = np.clip(data, 0, 1)
    return found


def to_oklab(data: Colors) -> Colors:
    """Lightness, green to red and blue to yellow, of sRGB in [0, 1]."""
    linear = np.where(data <= 0.04045, data / 12.92, ((data + 0.055) / 1.055) ** 2.4)
    return _mixed(_LAB, np.cbrt(_mixed(_LMS, linear.astype(np.float32))))


def from_oklab(lab: Colors) -> Colors:
    """sRGB, of which some may lie outside [0, 1]."""
    linear = _mixed(np.linalg.inv(_LMS), _mixed(np.linalg.inv(_LAB), lab) ** 3)
    curve = 1.055 * np.maximum(linear, 0.0031308) ** (1 / 2.4) - 0.055
    return np.where(linear <= 0.0031308, 12.92 * linear, curve).astype(np.float32)


def _moments(data: Colors) -> tuple[Float[np.ndarray, "3"], Float[np.ndarray, "3 3"]]:
    rows = data.reshape(3, -1).astype(np.float64)
    return rows.mean(1), np.cov(rows, bias=True)


def _root(covariance: Float[np.ndarray, "3 3"], power: float) -> Float[np.ndarray, "3 3"]:
    """The symmetric power of a covariance, no direction being fainter than a level of 255."""
    values, vectors = np.linalg.eigh(covariance)
    found: np.ndarray = (vectors * np.maximum(values, 255.0**-2) ** power) @ vectors.T
    return found


def _mixed(matrix: np.ndarray, data: Colors) -> Colors:
    found: Colors = np.tensordot(matrix.astype(np.float32), data, 1)
    return found


def _gray(data: Colors) -> Float32[np.ndarray, "height width"]:
    gray: np.ndarray = np.tensordot(_YIQ[0].astype(np.float32), data, 1)
    return gray


def _in_all(gray: np.ndarray) -> Colors:
    """Gray in three channels."""
    return np.ascontiguousarray(np.broadcast_to(np.clip(gray, 0, 1), (3, *gray.shape)))
