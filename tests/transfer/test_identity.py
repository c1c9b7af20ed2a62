"""A content that is its own style comes back."""

from __future__ import annotations

import numpy as np
import pytest
from skimage.data import astronaut

from impasto.config.presets import configure
from impasto.media.pictures.picture import Picture, from_array
from impasto.metrics import compare
from impasto.transfer.stylize import stylize

pytestmark = pytest.mark.slow  # whole runs

pytest.importorskip("skimage")


@pytest.fixture(scope="module")
def content() -> np.ndarray:
    return np.asarray(astronaut()[:384])


def similarity(result: Picture, content: np.ndarray) -> float:
    same = from_array(content, result.space)
    return next(row.result for row in compare(result, same, same).rows if row.metric == "SSIM")


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_the_identity_stays_when_g_starts_as_the_content(
    content: np.ndarray, precision: str
) -> None:
    config = configure(size=(64,), coarsest=0, steps=(20,), init="content", precision=precision)
    result = stylize(content, content, config)
    assert result.value < 1e-5
    assert isinstance(result.sample, Picture)
    assert similarity(result.sample, content) > 0.999


def test_the_identity_comes_back_through_coarser_scales(content: np.ndarray) -> None:
    result = stylize(
        content, content, configure(size=(256,), coarsest=128, steps=(20, 5), init="content")
    )
    np.testing.assert_array_equal(result.sample.data, from_array(content, (256,)).data)
    assert result.value == 0


def test_the_identity_is_found_from_noise(content: np.ndarray) -> None:
    values: list[float] = []
    config = configure(size=(64,), coarsest=0, steps=(100,), init="noise", learning_rate=0.03)
    result = stylize(content, content, config, callback=lambda p: values.append(p.value))
    assert result.value < 0.06 * values[0]
