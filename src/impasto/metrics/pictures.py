"""The metrics of a stylized picture."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
from torch import Tensor

from impasto.config.config import Config
from impasto.engine.gradient import terms_of
from impasto.engine.objective import build_objective
from impasto.errors import ConfigError
from impasto.grids.patch import Patch, Values
from impasto.kinds import PICTURE
from impasto.kinds.units import Units
from impasto.losses.gram import Gram, MetricGram
from impasto.losses.loss import FAINT
from impasto.media.pictures.picture import Picture, fit_picture
from impasto.metrics import Comparison, Row
from impasto.metrics.activations import moments, plan_for
from impasto.metrics.color import color_distance
from impasto.metrics.lpips import Lpips
from impasto.metrics.matching import coverage, features, precision
from impasto.metrics.wasserstein import Gaussian, wasserstein2
from impasto.networks import Network
from impasto.system.libraries import library
from impasto.transfer.network import check_sides, network_for

REACH = 5
"""An SSIM window reaches this many pixels from its center: it is a Gaussian of standard deviation
1.5, cut off at 3.5 standard deviations."""

_PIXELS = 1 << 22  # in one strip for SSIM


def compare_pictures(
    out: Picture, content: Picture, style: Picture, config: Config, lpips: Sequence[Path]
) -> Comparison:
    """Measures distances of activations, colors and structure at the size of the result.

    The content is resized to the result and cropped to its aspect ratio, as in `stylize`. The style
    gets the result's long side, but is never enlarged. The floor compares the left and the right
    half of the style.

    Args:
        out: the result.
        content: the content.
        style: the style.
        config: the network, and the layers with their lambda.
        lpips: the files for `lpips.Lpips.of`; empty leaves LPIPS out.

    Raises:
        ConfigError: there are more than two files for LPIPS.
        LayerError: the network does not have a layer.
        MissingExtraError: scikit-image is not installed.
        SampleError: a picture is too small for the network.
        WeightsError: weights are missing.
    """
    perceptual = _lpips(lpips)
    config = config.complete()
    # Weights are not downloaded here, since only `impasto networks fetch` shows the progress.
    config = replace(
        config,
        network=replace(config.network, offline=True),
        engine=replace(config.engine, precision="fp32"),
    )
    network = network_for(config, out, None)
    grid = PICTURE.style_space(out, style, out.space)
    check_sides(network, config.objective.layers, out.space, "result")
    check_sides(network, config.objective.layers, grid, "style")
    units = Units.of(out)
    content = fit_picture(content, out.space)
    x, c = (units.values(picture, out.space) for picture in (out, content))
    s = units.values(style, grid)
    rows = [
        _content_row(network, config, x, c),
        Row(
            "SSIM", "", "content", "higher", ssim(out.data, content.data), _no_op_ssim(out), np.nan
        ),
    ]
    if perceptual:
        distance = perceptual.distance(x, c)
        rows.append(Row("LPIPS", "", "content", "lower", distance, 0.0, np.nan))
    rows += _style_rows(network, config, x, c, s)
    rows += _matching_rows(network, config, x, c, s)
    left, right = _halves(s)
    pairs = (x, s), (c, s), (left, right)
    colors = [color_distance(one[0].numpy(), other[0].numpy()) for one, other in pairs]
    rows.append(Row("color distance", "", "style", "lower", *colors))
    return Comparison((), tuple(rows), network=network.name)


def _lpips(files: Sequence[Path]) -> Lpips | None:
    if len(files) > 2:
        raise ConfigError(
            subject="--lpips",
            expected="the weights of LPIPS, and those of VGG-16 if they are not in the cache",
            found=f"{len(files)} files",
            remedy="name one or two",
        )
    return Lpips.of(files[0], files[1] if len(files) > 1 else None) if files else None


def _content_row(network: Network, config: Config, x: Values, c: Values) -> Row:
    """Computes J_content with the relative normalization and alpha = 1."""
    alone = replace(config.objective, alpha=1.0, beta=0.0, gamma=0.0, normalization="relative")
    plan = plan_for(network, tuple(c.shape[2:]), alone.content_layers)
    objective = build_objective(Patch.whole(c), [], network, alone, plan)
    result, no_op = (terms_of(objective, picture, plan)["content"] for picture in (x, c))
    return Row("content distance", "", "content", "lower", result, no_op, np.nan)


def _style_rows(network: Network, config: Config, x: Tensor, c: Tensor, s: Tensor) -> list[Row]:
    """Computes J_style with the relative normalization, beta = 1 and lambdas of sum 1; and W2."""
    total = sum(weight for _, weight in config.objective.style_layers)
    if not total:
        raise ConfigError(
            subject="--style-layers",
            expected="a lambda above 0",
            found="0 for all layers",
            remedy="give a layer a lambda above 0",
        )
    shares = {layer: weight / total for layer, weight in config.objective.style_layers}
    result_moments, content_moments, style_moments = (
        moments(network, picture, shares) for picture in (x, c, s)
    )
    pairs = [(result_moments, style_moments), (content_moments, style_moments)]
    halves = _halves(s)
    if network.fits(tuple(halves[0].shape[2:]), shares):
        left, right = (moments(network, half, shares) for half in halves)
        pairs.append((left, right))
    rows = []
    for name, distance in (("Gram", gram_distance), ("W2", w2_distance)):
        values = [
            sum(
                share * distance(one[layer], other[layer], network.metrics.get(layer))
                for layer, share in shares.items()
            )
            for one, other in pairs
        ]
        result, no_op, floor = (*values, np.nan)[:3]
        rows.append(Row(f"style distance, {name}", "", "style", "lower", result, no_op, floor))
    return rows


def _matching_rows(network: Network, config: Config, x: Tensor, c: Tensor, s: Tensor) -> list[Row]:
    """Computes coverage and precision at the middle one of the style layers."""
    layers = [layer for layer, _ in config.objective.style_layers]
    layer = layers[len(layers) // 2]
    result, content, style = (features(network, picture, layer) for picture in (x, c, s))
    halves = _halves(s)
    split = network.fits(tuple(halves[0].shape[2:]), {layer})
    floors = [features(network, half, layer) for half in halves] if split else []
    return [
        Row(
            name,
            "",
            "style",
            "lower",
            measure(style, result),
            measure(style, content),
            measure(*floors) if floors else np.nan,
        )
        for name, measure in (("coverage", coverage), ("precision", precision))
    ]


def gram_distance(one: Tensor, style: Tensor, root: Tensor | None) -> float:
    """Returns the relative distance between Gram matrices.

    Args:
        one: from `activations.moments`.
        style: from `activations.moments`.
        root: the network's metric for `losses.MetricGram`; None takes `losses.Gram`.
    """
    if root is not None:
        return float(MetricGram(style, root.double()).score(one, 1))
    return float(Gram(style[:-1, :-1], "relative").score(one[:-1, :-1], 1))


def w2_distance(one: Tensor, style: Tensor, root: Tensor | None) -> float:
    """Returns the relative Wasserstein-2 distance between Gaussians of the given moments.

    It is divided by the distance of the style to zero activations. The arguments are those of
    `gram_distance`.
    """
    metric = None if root is None else root.double().numpy()
    ours, theirs = (Gaussian.of(each.numpy(), metric) for each in (one, style))
    return wasserstein2(ours, theirs) / math.sqrt(max(theirs.power, FAINT))


def ssim(one: np.ndarray, other: np.ndarray) -> float:
    """Returns the structural similarity, SSIM, averaged over positions and R, G and B.

    Wang, Bovik, Sheikh and Simoncelli 2004, Image quality assessment: from error visibility to
    structural similarity, with their Gaussian SSIM windows. Only SSIM windows that lie inside the
    picture count.

    Args:
        one: values in [0, 1], shape (3, height, width).
        other: values in [0, 1], of the same shape.

    Returns:
        The similarity, at most 1; NaN if no SSIM window fits.

    Raises:
        MissingExtraError: scikit-image is not installed.
    """
    _, height, width = one.shape
    if min(height, width) <= 2 * REACH:
        return np.nan
    metrics = library("skimage.metrics", "to compare pictures", "metrics")
    total = 0.0
    step = max(1, _PIXELS // width)
    for first in range(REACH, height - REACH, step):
        last = min(first + step, height - REACH)
        rows = slice(first - REACH, last + REACH)
        similarity = metrics.structural_similarity(
            one[:, rows].astype(np.float64),
            other[:, rows].astype(np.float64),
            channel_axis=0,
            data_range=1.0,
            gaussian_weights=True,
            use_sample_covariance=False,
        )
        total += float(similarity) * (last - first)
    return float(total / (height - 2 * REACH))


def _no_op_ssim(picture: Picture) -> float:
    """Returns the similarity of a picture to itself: 1, or NaN if no SSIM window fits."""
    return 1.0 if min(picture.space) > 2 * REACH else np.nan


def _halves(s: Tensor) -> tuple[Tensor, Tensor]:
    """Returns the left and the right half. Top and bottom differ more in most paintings."""
    middle = max(1, s.shape[3] // 2)
    return s[..., :middle].contiguous(), s[..., -middle:].contiguous()
