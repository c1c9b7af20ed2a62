"""The metrics of pictures against NumPy, SciPy and scikit-image."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
import torch
from scipy import ndimage
from torch import Tensor

from impasto.config import Config, configure
from impasto.demo import paint, photograph
from impasto.errors import ConfigError, LayerError, SampleError, WeightsError
from impasto.media.picture import Picture, fit_picture, from_array
from impasto.metrics import Row, activations, compare, lpips, pictures
from impasto.metrics.lpips import LAYERS, Lpips
from impasto.metrics.pictures import ssim
from impasto.networks.lite import load_lite
from impasto.networks.stage import Network
from impasto.networks.weights import PUBLISHED
from impasto.walk import Plan
from tests.oracles import reference
from tests.signals import heartbeats, signal

pytest.importorskip("skimage")

SPACE = 40, 56


@pytest.fixture(scope="module")
def content() -> Picture:
    return from_array(photograph()[100:300, 150:430], SPACE)


@pytest.fixture(scope="module")
def style() -> Picture:
    return from_array(paint(60, 80, seed=3))


@pytest.fixture(scope="module")
def out(content: Picture) -> Picture:
    noise = np.random.default_rng(0).normal(0, 0.1, content.data.shape)
    return Picture((content.data + noise).clip(0, 1).astype(np.float32))


def rows(
    out: Picture, content: Picture, style: Picture, config: Config | None = None
) -> dict[str, Row]:
    return {row.metric: row for row in compare(out, content, style, config=config).rows}


def test_the_rows(out: Picture, content: Picture, style: Picture) -> None:
    comparison = compare(out, content, style)
    assert [(row.metric, row.unit, row.against, row.better) for row in comparison.rows] == [
        ("content distance", "", "content", "lower"),
        ("SSIM", "", "content", "higher"),
        ("style distance, Gram", "", "style", "lower"),
        ("style distance, W2", "", "style", "lower"),
        ("color distance", "", "style", "lower"),
    ]
    assert comparison.network == "lite"
    for row in comparison.rows:
        assert math.isnan(row.floor) == (row.against == "content")


def test_the_content_itself_is_the_no_op(content: Picture, style: Picture) -> None:
    found = rows(content, content, style)
    for row in found.values():
        assert row.result == row.no_op
    assert found["content distance"].result == 0
    assert found["SSIM"].result == pytest.approx(1, abs=1e-12)


def test_the_style_itself_is_at_no_distance(content: Picture, style: Picture) -> None:
    found = rows(style, content, style)
    assert found["style distance, Gram"].result == 0
    assert found["style distance, W2"].result < 1e-6
    assert found["color distance"].result == 0
    assert found["content distance"].result > 0.1


def test_the_floor_is_one_half_of_the_style_against_the_other(
    content: Picture, style: Picture
) -> None:
    left, right = (Picture(half.copy()) for half in np.split(style.data, 2, axis=2))
    floors = {name: row.floor for name, row in rows(content, content, style).items()}
    halves = rows(left, content, right)
    for name in ("style distance, Gram", "style distance, W2", "color distance"):
        assert floors[name] == pytest.approx(halves[name].result, rel=1e-6)


def test_distances_of_activations_equal_the_oracle(
    out: Picture, content: Picture, style: Picture
) -> None:
    network = load_lite(padding="replicate", pooling="max")
    scaled = fit_picture(style, (42, 56)).data  # the result's long side
    layers = (("relu1_1", 0.5), ("relu3_1", 1.0))
    config = configure(network="lite", content_layers=("relu2_1", "relu4_2"), style_layers=layers)
    found = rows(out, content, Picture(scaled), config)
    a, b, s = (
        reference.activations(network, x.astype(np.float64))
        for x in (out.data, content.data, scaled)
    )
    expected = [reference.content_loss(b[n], a[n], "relative") for n in ("relu2_1", "relu4_2")]
    assert found["content distance"].result == pytest.approx(np.mean(expected), rel=1e-4)
    for picture, name in ((a, "result"), (b, "no_op")):
        roots = {layer: network.metrics[layer].double().numpy() for layer, _ in layers}
        wanted = [weight / 1.5 for _, weight in layers]
        grams = [
            reference.metric_style_loss(s[n], _crop(picture[n], s[n]), roots[n]) for n in roots
        ]
        w2 = [w2_of(picture[n], s[n], roots[n]) for n in roots]
        assert getattr(found["style distance, W2"], name) == pytest.approx(
            np.dot(wanted, w2), rel=1e-4
        )
        assert getattr(found["style distance, Gram"], name) == pytest.approx(
            np.dot(wanted, grams), rel=1e-4
        )


def _crop(a: np.ndarray, like: np.ndarray) -> np.ndarray:
    return a


def w2_of(one: np.ndarray, other: np.ndarray, root: np.ndarray) -> float:
    """From all activations, brought into the metric's channels, by SciPy's root of a matrix."""
    from scipy import linalg

    wide = [
        root @ np.concatenate([a.reshape(len(a), -1), np.ones((1, a[0].size))])
        for a in (one, other)
    ]
    (m, n), (a, b) = ([x.mean(1) for x in wide], [np.cov(x, bias=True) for x in wide])
    common = linalg.sqrtm(linalg.sqrtm(a) @ b @ linalg.sqrtm(a)).real
    squared = ((m - n) ** 2).sum() + np.trace(a + b - 2 * common)
    return float(np.sqrt(max(squared, 0.0) / (wide[1] ** 2).sum(0).mean()))
