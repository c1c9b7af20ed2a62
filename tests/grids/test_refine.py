"""G on the next finer grid."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from impasto.grids.refine import refine_g
from impasto.grids.resample import resample


def content(space: tuple[int, ...], channels: int = 2) -> tuple[Tensor, Tensor]:
    """Over a grid, and over one finer by about sqrt 2."""
    torch.manual_seed(sum(space))
    finer = torch.rand(1, channels, *(round(1.4 * n) for n in space))
    return resample(finer, space), finer


spaces = st.lists(st.integers(3, 21), min_size=1, max_size=3).map(tuple)


@given(spaces)
def test_the_content_stays_the_content_to_the_bit(space: tuple[int, ...]) -> None:
    coarse, finer = content(space)
    torch.testing.assert_close(refine_g(coarse, coarse, finer.clone()), finer, rtol=0, atol=0)


@given(spaces, st.floats(-1, 1))
def test_a_change_of_brightness_stays_one(space: tuple[int, ...], change: float) -> None:
    coarse, finer = content(space)
    found = refine_g(coarse + change, coarse, finer.clone())
    torch.testing.assert_close(found, finer + change, rtol=0, atol=1e-4)


@pytest.mark.parametrize("space", [(96,), (48, 33), (16, 20, 33)])
@pytest.mark.parametrize("kept", [0.0, 0.5, 1.0])
def test_as_much_detail_is_added_as_was_kept(space: tuple[int, ...], kept: float) -> None:
    coarse, finer = content(space)
    # Smooth, so that no detail of this grid is in it: what G has of that is the content's share.
    smooth = resample(resample(coarse, tuple(n // 8 + 1 for n in space)), space)
    g = smooth + kept * (coarse - smooth)
    detail = finer - resample(coarse, tuple(finer.shape[2:]))
    plain = resample(g, tuple(finer.shape[2:]))
    added = refine_g(g, coarse, finer.clone()) - plain
    share = (added * detail).sum() / detail.square().sum()
    assert abs(share - kept) < 0.05


def test_other_detail_however_strong_brings_none_back() -> None:
    coarse, finer = content((128, 128))
    torch.manual_seed(7)
    g = 10 * torch.randn(coarse.shape)
    added = refine_g(g, coarse, finer.clone()) - resample(g, tuple(finer.shape[2:]))
    detail = finer - resample(coarse, tuple(finer.shape[2:]))
    assert added.square().mean() < 0.01 * detail.square().mean()


def test_each_place_has_its_own_share() -> None:
    coarse, finer = content((64, 64))
    g = coarse.clone()
    g[..., 32:] = 0.5
    found = refine_g(g, coarse, finer.clone())
    width = finer.shape[-1]
    left, right = slice(0, width // 8), slice(-(width // 8), None)
    torch.testing.assert_close(found[..., left], finer[..., left])
    assert found[..., right].std() < 0.2 * finer[..., right].std()
