"""Whose colors the result has."""

from __future__ import annotations

import tracemalloc
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from skimage.data import astronaut

from impasto.config.presets import configure
from impasto.config.settings import ColorMode
from impasto.errors import ConfigError
from impasto.kinds.colors import from_oklab, match_colors, prepare_colors, restore_colors, to_oklab
from impasto.media import blocks
from impasto.media.pictures.picture import Picture, from_array
from impasto.media.sample import Sample
from impasto.transfer.stylize import prepare, stylize
from tests.paintings import painting

CONTENT = from_array(astronaut()[:240, :320], (64,))


@pytest.fixture
def style() -> Picture:
    return from_array(painting(90, 120, seed=3), (64,))


def moments(data: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    rows = data.reshape(3, -1).astype(np.float64)
    return rows.mean(1), np.cov(rows)


def test_matched_colors_have_the_others_mean_and_covariance() -> None:
    random = np.random.default_rng(0)
    low, high = (
        Picture(data=(0.5 + scale * random.standard_normal((3, 40, 50))).astype(np.float32))
        for scale in (0.02, 0.04)
    )
    for found, expected in zip(
        moments(match_colors(low, [high], [1.0])), moments(high.data), strict=True
    ):
        np.testing.assert_allclose(found, expected, atol=1e-5)
    mean, covariance = moments(match_colors(low, [low], [1.0]))
    np.testing.assert_allclose(mean, moments(low.data)[0], atol=1e-6)
    np.testing.assert_allclose(covariance, moments(low.data)[1], atol=1e-6)


def drawn(mean: float, *space: int) -> Picture:
    """Colors about a mean, correlated."""
    random = np.random.default_rng(round(100 * mean))
    values = np.tensordot(random.uniform(0, 0.02, (3, 3)), random.normal(size=(3, *space)), 1)
    return Picture(data=(mean + values).astype(np.float32))


def test_the_palette_is_the_styles_mixed_by_their_shares() -> None:
    """However many pixels each has."""
    own, *styles = drawn(0.5, 40, 50), drawn(0.4, 30, 60), drawn(0.6, 20, 20)
    shares = [0.8, 0.2]
    content, _ = prepare_colors(own, styles, shares, "palette")
    rows = np.concatenate([style.data.reshape(3, -1) for style in styles], axis=1).astype(float)
    weights = np.repeat([0.8 / 1800, 0.2 / 400], [1800, 400])
    mean, covariance = moments(content.data)
    np.testing.assert_allclose(mean, rows @ weights, atol=1e-5)
    expected = np.cov(rows, aweights=weights, bias=True)
    np.testing.assert_allclose(covariance, expected, rtol=1e-3, atol=1e-6)


def test_a_run_hands_the_shares_on() -> None:
    config = configure(size=(64,), color="palette", style_weights=(1.0, 0.0))
    setup, _ = prepare(drawn(0.5, 64, 64), [drawn(0.4, 64, 64), drawn(0.6, 64, 64)], config)
    assert setup.units.content.data.mean() == pytest.approx(0.4, abs=0.01)


def test_colors_of_gray_are_gray(style: Picture) -> None:
    gray = Picture(data=np.broadcast_to(CONTENT.data.mean(0), CONTENT.data.shape).copy())
    found = match_colors(style, [gray], [1.0])
    assert np.ptp(found, axis=0).max() < 0.06


@given(arrays.arrays(np.float32, (3, 2, 2), elements=st.floats(0, 1, width=32)))
def test_oklab_and_back(data: np.ndarray) -> None:
    np.testing.assert_allclose(from_oklab(to_oklab(data)), data, atol=2e-3)


def test_oklab_of_known_colors() -> None:
    """Red of sRGB, from the page that defines the space; white is (1, 0, 0)."""
    data = np.array([[1, 1], [0, 1], [0, 1]], np.float32)[:, None]
    expected = np.array([[0.62796, 1], [0.22486, 0], [0.12585, 0]])[:, None]
    np.testing.assert_allclose(to_oklab(data), expected, atol=2e-4)


@pytest.mark.parametrize("mode", ["luminance", "oklab"])
def test_the_contents_chroma_is_kept(mode: ColorMode, style: Picture) -> None:
    config = configure(size=(64,), coarsest=0, steps=(6,), color=mode)
    result = stylize(CONTENT, style, config).sample
    yiq = np.array([[0.299, 0.587, 0.114], [0.596, -0.274, -0.322], [0.211, -0.523, 0.312]])
    if mode == "oklab":
        ours, theirs = to_oklab(result.data), to_oklab(CONTENT.data)
    else:
        ours, theirs = (np.tensordot(yiq, x, 1) for x in (result.data, CONTENT.data))
    inside = (result.data.min(0) > 0.01) & (result.data.max(0) < 0.99)  # not clipped
    np.testing.assert_allclose(ours[1:, inside], theirs[1:, inside], atol=5e-3)
    assert np.abs(ours[0] - theirs[0]).mean() > 0.02


def test_luminance_is_all_that_such_a_run_sees(style: Picture) -> None:
    content, (changed,) = prepare_colors(CONTENT, [style], [1.0], "luminance")
    for sample in (content, changed):
        np.testing.assert_array_equal(sample.data[0], sample.data[2])
    assert changed.data.mean() == pytest.approx(content.data.mean(), abs=0.02)


def test_match_changes_the_style_and_palette_the_content(style: Picture) -> None:
    content, (changed,) = prepare_colors(CONTENT, [style], [1.0], "match")
    assert content is CONTENT
    np.testing.assert_allclose(moments(changed.data)[0], moments(CONTENT.data)[0], atol=0.03)
    content, (changed,) = prepare_colors(CONTENT, [style], [1.0], "palette")
    assert changed is style
    np.testing.assert_allclose(moments(content.data)[0], moments(style.data)[0], atol=0.03)
    assert restore_colors(content, CONTENT, "palette") is content


def test_colors_are_those_of_pictures() -> None:
    signal = Sample(np.zeros((1, 400), np.float32))
    with pytest.raises(ConfigError, match="--color: expected style, for all but pictures"):
        prepare_colors(signal, [signal], [1.0], "match")


@pytest.mark.parametrize(
    ("mode", "copies"), [("match", 1), ("palette", 1), ("luminance", 2), ("oklab", 0)]
)
def test_memory_is_that_of_what_changes(
    mode: ColorMode, copies: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(blocks, "_BLOCK", 2**12)
    content, style = drawn(0.4, 500, 400), drawn(0.6, 500, 400)
    assert peak(lambda: prepare_colors(content, [style], [1.0], mode)) < copies + 0.2
    assert (
        peak(lambda: restore_colors(style, content, mode)) < (mode in {"luminance", "oklab"}) + 0.2
    )


def peak(work: Callable[[], object]) -> float:
    """Of memory, over that of a picture of 500 x 400."""
    tracemalloc.start()
    _ = work()
    found = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return found / (4 * 3 * 500 * 400)
