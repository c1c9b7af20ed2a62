"""Colors against Ottosson's figures and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats
from skimage.data import astronaut

from impasto.kinds.colors import to_oklab
from impasto.media.pictures.picture import from_array
from impasto.metrics import color
from impasto.metrics.color import color_distance


def even(*values: float, space: tuple[int, int] = (5, 7)) -> np.ndarray:
    return np.broadcast_to(np.array(values, float)[:, None, None], (3, *space)).copy()


@pytest.mark.parametrize(
    ("srgb", "expected"),
    [
        ((0, 0, 0), (0, 0, 0)),
        ((1, 1, 1), (1, 0, 0)),
        ((1, 0, 0), (0.627955, 0.224863, 0.125846)),  # as CSS Color 4 converts them
        ((0, 1, 0), (0.866440, -0.233888, 0.179498)),
        ((0, 0, 1), (0.452014, -0.032457, -0.311528)),
    ],
)
def test_oklab(srgb: tuple[float, ...], expected: tuple[float, ...]) -> None:
    np.testing.assert_allclose(to_oklab(np.array(srgb, float)), expected, atol=2e-6)


@pytest.mark.parametrize("one", [(0, 0, 0), (0.2, 0.4, 0.9)])
@pytest.mark.parametrize("other", [(1, 1, 1), (0.9, 0.2, 0.1), (0.3, 0.9, 0.2)])
def test_even_pictures_are_as_far_apart_as_their_colors(
    one: tuple[float, ...], other: tuple[float, ...]
) -> None:
    expected = np.linalg.norm(to_oklab(np.array(one, float)) - to_oklab(np.array(other, float)))
    found = color_distance(even(*one), even(*other, space=(4, 3)))
    assert found == pytest.approx(expected, rel=0.02)


def test_positions_do_not_change_the_color_distance() -> None:
    picture = np.random.default_rng(0).random((3, 12, 9))
    assert color_distance(picture, picture.transpose(0, 2, 1)[:, ::-1]) == 0


def test_color_distance_equals_sliced_wasserstein() -> None:
    one = from_array(astronaut()[100:140, 150:200]).data
    other = from_array(astronaut()[300:360, 200:280, ::-1]).data
    directions = np.random.default_rng(0).normal(size=(2000, 3))
    directions /= np.linalg.norm(directions, axis=1)[:, None]
    colors = [to_oklab(picture.astype(float)).reshape(3, -1).T for picture in (one, other)]
    expected = 2 * np.mean(
        [stats.wasserstein_distance(*(each @ way for each in colors)) for way in directions]
    )
    assert color_distance(one, other) == pytest.approx(expected, rel=0.02)
    assert color_distance(other, one) == pytest.approx(expected, rel=0.02)


def test_large_pictures_are_sampled(monkeypatch: pytest.MonkeyPatch) -> None:
    one, other = (
        from_array(picture).data for picture in (astronaut(), astronaut()[200:400, ::-1, ::-1])
    )
    whole = color_distance(one, other)
    monkeypatch.setattr(color, "_LOOKED_AT", 20_000)
    assert color_distance(one, other) == pytest.approx(whole, rel=0.02)
