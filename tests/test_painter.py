"""The demo's pictures: the painting is reproducible, holds at every size and follows its flow."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from examples import painter
from impasto.cli.pictures import PICTURES
from impasto.media.pictures.picture import open_picture

pytestmark = pytest.mark.slow

SEED = 12


@pytest.fixture(scope="module")
def small() -> NDArray[np.uint8]:
    return painter.paint(96, 128, SEED)


@pytest.fixture(scope="module")
def large() -> NDArray[np.uint8]:
    return painter.paint(384, 512, SEED)


def blur(field: NDArray[np.float64], radius: int) -> NDArray[np.float64]:
    """A Gaussian blur (height, width) by the discrete Fourier transform."""
    decay = [np.exp(-2 * (np.pi * radius * np.fft.fftfreq(n)) ** 2) for n in field.shape]
    return np.asarray(np.fft.ifft2(np.fft.fft2(field) * np.outer(*decay)).real)


def test_the_same_seed_gives_the_same_painting(small: NDArray[np.uint8]) -> None:
    assert np.array_equal(painter.paint(96, 128, SEED), small)


@pytest.mark.slow
def test_another_seed_gives_another_painting(small: NDArray[np.uint8]) -> None:
    other = painter.paint(96, 128, SEED + 1)
    assert np.abs(other.astype(float) - small).mean() > 10


@pytest.mark.parametrize(
    ("height", "width"),
    [
        (37, 3),
        (2, 301),
        pytest.param(1, 1, marks=pytest.mark.slow),
        pytest.param(16, 9, marks=pytest.mark.slow),
    ],
)
def test_any_size_is_painted(height: int, width: int) -> None:
    painting = painter.paint(height, width, SEED)
    assert painting.shape == (height, width, 3)
    assert painting.dtype == np.uint8
    assert painting.min() < painting.max()


def test_the_picture_does_not_depend_on_its_size(
    small: NDArray[np.uint8], large: NDArray[np.uint8]
) -> None:
    reduced = large.reshape(96, 4, 128, 4, 3).mean(axis=(1, 3))
    assert reduced == pytest.approx(small.astype(float), abs=1.01)  # rounded twice


@pytest.mark.slow
def test_a_canvas_of_another_size_shows_the_same_picture(
    large: NDArray[np.uint8], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(painter, "SMALLEST_CANVAS", 1)
    coarse = painter.paint(96, 128, SEED).astype(float)
    reduced = large.reshape(96, 4, 128, 4, 3).mean(axis=(1, 3))
    assert coarse.mean(axis=(0, 1)) == pytest.approx(reduced.mean(axis=(0, 1)), abs=4)
    assert coarse.std(axis=(0, 1)) == pytest.approx(reduced.std(axis=(0, 1)), rel=0.1)
    assert np.corrcoef(coarse.ravel(), reduced.ravel())[0, 1] > 0.9


def test_the_palette_is_a_warm_valley_under_a_blue_night(large: NDArray[np.uint8]) -> None:
    red, _, blue = large.mean(axis=1).T
    assert (blue - red)[:200].mean() > 40
    assert (red - blue)[-40:].mean() > 40
    luma = large @ (0.299, 0.587, 0.114)
    assert np.percentile(luma, 99) - np.percentile(luma, 1) > 150


def test_strokes_follow_the_flow(large: NDArray[np.uint8]) -> None:
    height, width, _ = large.shape
    scene = painter.Scene.compose(1, height / width, np.random.default_rng(SEED))
    rows, columns = np.mgrid[8 : height - 8 : 4, 8 : width - 8 : 4]
    points = np.stack([columns.ravel() + 0.5, rows.ravel() + 0.5], axis=1) / width
    down, right = np.gradient(large.mean(axis=2))
    # The structure tensor's main axis runs across the strokes, at twice the angle `doubled`.
    energy, real, imaginary = (
        blur(part, 4)[rows, columns].ravel()
        for part in (right**2 + down**2, right**2 - down**2, 2 * right * down)
    )
    doubled = np.arctan2(imaginary, real) - np.pi
    agreement = np.cos(doubled - 2 * scene.flow(points))
    assert np.average(agreement, weights=energy) > 0.6
    assert np.average(np.hypot(real, imaginary) / energy, weights=energy) > 0.5


def test_light_falls_from_the_upper_left() -> None:
    canvas = np.full((9, 9, 4), 100, np.float32)
    assert painter.light(canvas) == pytest.approx(np.full((9, 9, 3), 100))
    canvas[4, 4, 3] += 400
    lit = painter.light(canvas)
    assert lit[4, 3, 0] > 100 > lit[4, 5, 0]
    assert lit[3, 4, 0] > 100 > lit[5, 4, 0]


def test_the_painting_of_the_demo_is_painted_by_it() -> None:
    photograph, painting = (open_picture(path).data for path in PICTURES)
    assert photograph.shape == (3, 300, 451)
    assert photograph.std() > 40 / 255
    again = painter.paint(576, 768, SEED).transpose(2, 0, 1) / 255
    assert np.abs(painting - again).mean() < 0.05  # a JPEG
