"""Spectrograms and cochleagrams whose levels get the distribution of a style's."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from impasto.linear.spectrograms import linear_spectrogram

LEVELS = st.floats(0, 9, width=32)


def levels(frames: int) -> st.SearchStrategy[np.ndarray]:
    return arrays(np.float32, (3, frames), elements=LEVELS)


@given(content=levels(40), style=levels(30))
def test_the_order_of_the_levels_stays(content: np.ndarray, style: np.ndarray) -> None:
    found = linear_spectrogram(content, [style], [1.0], 1.0)
    for own, mapped in zip(content, found, strict=True):
        along = mapped[np.argsort(own, kind="stable")]
        assert (np.diff(along) >= -1e-6).all()


@given(content=levels(31), style=levels(31))
def test_the_quantiles_are_the_styles(content: np.ndarray, style: np.ndarray) -> None:
    """NumPy's quantiles at the content's ranks; 4096 levels lie close to them."""
    found = linear_spectrogram(content, [style], [1.0], 1.0)
    np.testing.assert_allclose(np.sort(found, 1), np.sort(style, 1), atol=9 * 31 / 4096)
    means = np.mean(found, 1), np.mean(style, 1)
    np.testing.assert_allclose(*means, atol=9 / 4096 * 31)


@given(content=levels(20), style=levels(25), amount=st.floats(0, 1))
def test_the_amount_goes_from_the_content_to_the_style(
    content: np.ndarray, style: np.ndarray, amount: float
) -> None:
    whole = linear_spectrogram(content, [style], [1.0], 1.0)
    found = linear_spectrogram(content, [style], [1.0], amount)
    np.testing.assert_allclose(found, content + amount * (whole - content), atol=1e-5)
    np.testing.assert_array_equal(linear_spectrogram(content, [style], [1.0], 0.0), content)


@given(content=levels(20), style=levels(25))
def test_a_style_shared_with_itself_is_one_style(content: np.ndarray, style: np.ndarray) -> None:
    one = linear_spectrogram(content, [style], [1.0], 1.0)
    both = linear_spectrogram(content, [style, style], [0.3, 0.7], 1.0)
    np.testing.assert_allclose(both, one, atol=1e-5)


@given(content=levels(20))
def test_the_content_as_its_own_style_stays(content: np.ndarray) -> None:
    found = linear_spectrogram(content, [content], [1.0], 1.0)
    np.testing.assert_allclose(np.sort(found, 1), np.sort(content, 1), atol=9 * 20 / 4096)
