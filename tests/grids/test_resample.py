from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch.nn import functional

from impasto.grids.geometry import Space
from impasto.grids.resample import resample
from tests.strategies import normal, seeds, spaces


def cubic_weights(old: int, new: int) -> np.ndarray:
    """Keys's cubic kernel (a = -1/2), widened where it shrinks: (new, old)."""
    scale = old / new
    width = max(scale, 1.0)
    centers = (np.arange(new) + 0.5) * scale - 0.5
    t = np.abs(np.arange(old) - centers[:, None]) / width
    near, far = 1.5 * t**3 - 2.5 * t**2 + 1, -0.5 * t**3 + 2.5 * t**2 - 4 * t + 2
    weights = np.where(t < 1, near, np.where(t < 2, far, 0))
    return np.asarray(weights / weights.sum(axis=1, keepdims=True))


@given(spaces(), seeds, st.data())
def test_each_axis_is_resampled_by_the_cubic_kernel(
    space: Space, seed: int, data: st.DataObject
) -> None:
    target = tuple(data.draw(st.integers(1, 12)) for _ in space)
    x = normal(seed, 1, 3, *space)
    expected = x.numpy()
    for axis, (old, new) in enumerate(zip(space, target, strict=True), start=2):
        moved = np.moveaxis(expected, axis, -1) @ cubic_weights(old, new).T
        expected = np.moveaxis(moved, -1, axis)
    actual = resample(x, target).numpy()
    np.testing.assert_allclose(actual, expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("space", [(30, 45), (80, 120), (40, 33)])
def test_a_picture_is_resampled_as_torch_does(space: Space) -> None:
    x = normal(0, 1, 3, 40, 60).float()
    expected = functional.interpolate(x, space, mode="bicubic", antialias=True)
    torch.testing.assert_close(resample(x, space), expected)
