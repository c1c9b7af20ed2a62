"""The metrics of pictures against NumPy, SciPy and scikit-image."""

from __future__ import annotations

import math
from pathlib import Path

import numpy as np
import pytest
from scipy import ndimage
from skimage.data import astronaut

from impasto.config.config import Config
from impasto.config.presets import configure
from impasto.engine.walk import Plan
from impasto.errors import ConfigError, LayerError, SampleError, WeightsError
from impasto.media.pictures.picture import Picture, fit_picture, from_array
from impasto.metrics import Row, activations, compare, pictures
from impasto.metrics.pictures import ssim
from impasto.networks.filterbank import filterbank
from impasto.networks.lite import load_lite
from tests.oracles import reference
from tests.signals import heartbeats, signal

pytest.importorskip("skimage")

SPACE = 40, 56


@pytest.fixture(scope="module")
def content() -> Picture:
    return from_array(astronaut()[100:300, 150:430], SPACE)


@pytest.fixture(scope="module")
def style() -> Picture:
    return from_array(astronaut()[300:360, 200:280, ::-1])


@pytest.fixture(scope="module")
def out(content: Picture) -> Picture:
    noise = np.random.default_rng(0).normal(0, 0.1, content.data.shape)
    return Picture((content.data + noise).clip(0, 1).astype(np.float32))


def rows(
    out: Picture, content: Picture, style: Picture, config: Config | None = None
) -> dict[str, Row]:
    return {row.metric: row for row in compare(out, content, style, config=config).rows}


def test_the_metrics_of_pictures_are_these(out: Picture, content: Picture, style: Picture) -> None:
    comparison = compare(out, content, style)
    assert [(row.metric, row.unit, row.against, row.better) for row in comparison.rows] == [
        ("content distance", "", "content", "lower"),
        ("SSIM", "", "content", "higher"),
        ("style distance, Gram", "", "style", "lower"),
        ("style distance, W2", "", "style", "lower"),
        ("coverage", "", "style", "lower"),
        ("precision", "", "style", "lower"),
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
    floors = {name: row.floor for name, row in rows(style, content, style).items()}
    halves = rows(left, content, right)
    for name in ("style distance, Gram", "style distance, W2", "color distance"):
        assert floors[name] == pytest.approx(halves[name].result, rel=1e-6)


def test_distances_of_activations_equal_the_oracle(
    out: Picture, content: Picture, style: Picture
) -> None:
    network = load_lite(padding="replicate", pooling="max")
    scaled = fit_picture(style, (42, 56)).data  # the result's long side
    layers = (("relu1_1", 0.5), ("relu3_1", 1.0))
    config = configure(network="lite", content_layers=("relu2_1", "relu3_1"), style_layers=layers)
    found = rows(out, content, Picture(scaled), config)
    a, b, s = (
        reference.activations(network, x.astype(np.float64))
        for x in (out.data, content.data, scaled)
    )
    expected = [reference.content_loss(b[n], a[n], "relative") for n in ("relu2_1", "relu3_1")]
    assert found["content distance"].result == pytest.approx(np.mean(expected), rel=1e-4)
    for picture, name in ((a, "result"), (b, "no_op")):
        roots = {layer: network.metrics[layer].double().numpy() for layer, _ in layers}
        wanted = [weight / 1.5 for _, weight in layers]
        grams = [reference.metric_style_loss(s[n], picture[n], roots[n]) for n in roots]
        w2 = [w2_of(picture[n], s[n], roots[n]) for n in roots]
        assert getattr(found["style distance, W2"], name) == pytest.approx(
            np.dot(wanted, w2), rel=1e-4
        )
        assert getattr(found["style distance, Gram"], name) == pytest.approx(
            np.dot(wanted, grams), rel=1e-4
        )


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


def test_tile_by_tile_is_the_whole(
    out: Picture, content: Picture, style: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = rows(out, content, style)
    streamed = Plan(tiles=((24, 32), (16, 16), (8, 8), (2, 4)), kept=0)
    for module in (activations, pictures):
        monkeypatch.setattr(module, "plan_for", lambda *_: streamed)
    for name, row in rows(out, content, style).items():
        assert row.result == pytest.approx(whole[name].result, rel=1e-5)


def test_without_a_metric_gram_matrices_are_of_the_networks_own_channels(
    out: Picture, content: Picture, style: Picture
) -> None:
    config = configure(network="filterbank", style_layers=(("color1", 1.0),))
    cut = fit_picture(style, SPACE)  # the oracle takes pictures of one size
    found = rows(out, content, cut, config)["style distance, Gram"].result
    network = filterbank(dims=2, channels=3, padding="replicate", seed=0)
    one, other = (
        reference.activations(network, picture.data.astype(np.float64))["color1"]
        for picture in (cut, out)
    )
    assert found == pytest.approx(reference.style_loss(one, other, "relative"), rel=1e-4)


def test_a_content_of_another_size_is_brought_to_the_results(out: Picture, style: Picture) -> None:
    larger = from_array(astronaut()[100:300, 150:430])
    found, same = rows(out, larger, style), rows(out, fit_picture(larger, SPACE), style)
    assert {name: row.result for name, row in found.items()} == {
        name: row.result for name, row in same.items()
    }


def test_similarity_equals_the_paper(
    out: Picture, content: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    def smooth(x: np.ndarray) -> np.ndarray:
        return np.asarray(ndimage.gaussian_filter(x, 1.5, truncate=3.5))

    similarities = []
    for x, y in zip(out.data.astype(np.float64), content.data.astype(np.float64), strict=True):
        mx, my = smooth(x), smooth(y)
        vx, vy = smooth(x * x) - mx**2, smooth(y * y) - my**2
        covariance = smooth(x * y) - mx * my
        one = (2 * mx * my + 0.01**2) / (mx**2 + my**2 + 0.01**2)
        two = (2 * covariance + 0.03**2) / (vx + vy + 0.03**2)
        similarities.append((one * two)[5:-5, 5:-5].mean())
    assert ssim(out.data, content.data) == pytest.approx(np.mean(similarities), rel=1e-9)
    monkeypatch.setattr(pictures, "_PIXELS", 7 * SPACE[1])
    assert ssim(out.data, content.data) == pytest.approx(np.mean(similarities), rel=1e-9)
    assert math.isnan(ssim(out.data[:, :10], content.data[:, :10]))


def test_what_cannot_be_compared_is_refused(
    out: Picture, content: Picture, style: Picture, tmp_path: Path
) -> None:
    tiny = Picture(out.data[:, :3])
    with pytest.raises(SampleError, match="result: expected at least 4"):
        compare(tiny, content, style)
    with pytest.raises(SampleError, match="style: expected at least 4"):
        compare(out, content, tiny)
    with pytest.raises(LayerError, match="relu9_1"):
        compare(out, content, style, config=configure(content_layers=("relu9_1",)))
    with pytest.raises(ConfigError, match="a lambda above 0"):
        compare(out, content, style, config=configure(style_layers=(("relu1_1", 0.0),)))
    with pytest.raises(ConfigError, match="found --window; leave --window out"):
        compare(out, content, style, window=("lung",))
    ecg = signal([heartbeats(5)], 250.0)
    with pytest.raises(ConfigError, match="found --network and its layers and --lpips; leave"):
        compare(ecg, ecg, ecg, config=configure(), lpips=(tmp_path,))
    with pytest.raises(SampleError, match="three pictures"):
        compare(out, content, ecg)
    with pytest.raises(ConfigError, match="--lpips: expected the weights"):
        compare(out, content, style, lpips=(tmp_path,) * 3)


def test_weights_that_are_not_there_are_never_fetched(
    out: Picture, content: Picture, style: Picture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("platformdirs.user_cache_path", lambda name: Path("/nowhere"))
    with pytest.raises(WeightsError, match="impasto networks fetch vgg19"):
        compare(out, content, style, config=configure(network="vgg19"))


def test_a_narrow_style_has_no_halves(out: Picture, content: Picture, style: Picture) -> None:
    narrow = Picture(style.data[:, :, :6].copy())
    found = rows(out, content, narrow)
    assert math.isnan(found["style distance, W2"].floor)
    assert found["style distance, W2"].result > 0
