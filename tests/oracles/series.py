"""The losses on signals again in NumPy float64, with plain loops.

Shapes: a signal is (channel, time), a weight (time).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Array = NDArray[np.float64]

FAINT = 1e-6  # a count or a mean square that is nothing
FLOOR = 1e-8  # a part of a signal's power that is nothing


def autocovariances(x: Array, weight: Array, lags: int) -> Array:
    """Of one channel, at the lags 0, 1, ..., `lags`: mean products less the squared mean."""
    mean = (weight * x).sum() / max(weight.sum(), FAINT)
    found = []
    for lag in range(lags + 1):
        products = pairs = 0.0
        for i in range(len(x) - lag):
            both = weight[i] * weight[i + lag]
            products += both * x[i] * x[i + lag]
            pairs += both
        found.append(products / max(pairs, FAINT) - mean**2)
    return np.array(found)


def autocorrelation(style: Array, g: Array, style_weight: Array, weight: Array, lags: int) -> float:
    """The squared distance of autocovariances over the style's squared norm, a mean."""
    scores = []
    for channel_style, channel_g in zip(style, g, strict=True):
        own = autocovariances(channel_style, style_weight, lags)
        distance = ((autocovariances(channel_g, weight, lags) - own) ** 2).sum()
        scores.append(distance / max((own**2).sum(), FAINT**2))
    return float(np.mean(scores))


def log_density(x: Array, weight: Array, window: int) -> Array:
    """Of one channel: Welch's mean of the windows' powers, their lowest frequency left out;
    half a window at either end is one more window with its mirror image."""
    hann = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(window) / window)
    total, count = np.zeros(window // 2), 0.0
    hop = window // 2
    places = [np.arange(start, start + window) for start in range(0, len(x) - window + 1, hop)]
    near = np.arange(hop)
    places += [np.concatenate([near[::-1], near])]
    places += [len(x) - 1 - np.concatenate([near[::-1], near])]
    for place in places:
        part = x[place]
        power = np.abs(np.fft.rfft((part - part.mean()) * hann)) ** 2 / (hann**2).sum()
        least = weight[place].min()
        total += least * power[1:]
        count += least
    density = total / max(count, FAINT)
    return np.asarray(np.log(density + FLOOR * max(density.mean(), FAINT)))


def spectrum(style: Array, g: Array, style_weight: Array, weight: Array, window: int) -> float:
    """The mean squared difference of log densities, over the lower 96 of 100 frequencies."""
    kept = round(0.96 * (window // 2))
    scores = []
    for channel_style, channel_g in zip(style, g, strict=True):
        own = log_density(channel_style, style_weight, window)
        difference = log_density(channel_g, weight, window) - own
        scores.append((difference[:kept] ** 2).mean())
    return float(np.mean(scores))


def distribution(x: Array, weight: Array, low: float, high: float) -> Array:
    """Of one channel: the part of the positions up to each of 256 amplitudes.

    A value between two of them is shared by both, one beyond the last is the last.
    """
    counts = np.zeros(256)
    for value, own in zip(x, weight, strict=True):
        place = min(max((value - low) / (high - low) * 255, 0.0), 255.0)
        below = min(int(place), 254)
        counts[below] += own * (below + 1 - place)
        counts[below + 1] += own * (place - below)
    return np.asarray(counts.cumsum() / max(counts.sum(), FAINT))


def amplitude(style: Array, g: Array, style_weight: Array, weight: Array) -> float:
    """The Cramér distance, over ten of the style's deviations to each side of its mean, relative
    to that of the style from its mean."""
    scores = []
    for channel_style, channel_g in zip(style, g, strict=True):
        mean = (style_weight * channel_style).sum() / max(style_weight.sum(), FAINT)
        variance = autocovariances(channel_style, style_weight, 0)[0]
        reach = 10 * max(variance, FAINT) ** 0.5
        own = distribution(channel_style, style_weight, mean - reach, mean + reach)
        found = distribution(channel_g, weight, mean - reach, mean + reach)
        scores.append(((found - own) ** 2).sum() / max((own * (1 - own)).sum(), FAINT))
    return float(np.mean(scores))
