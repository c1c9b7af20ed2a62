from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from impasto.instant.transport import Affine, Gaussian, barycenter, geodesic, transport
from tests.oracles import transport as oracle
from tests.strategies import normal, seeds

widths = st.integers(1, 6)


def gaussian(f: Tensor) -> Gaussian:
    """Of activations, shape (position, channel)."""
    rows = torch.cat([f, torch.ones_like(f[:, :1])], 1)
    return Gaussian.of(rows.T @ rows)


def moved(move: Affine, f: Tensor) -> Tensor:
    """Of activations, shape (position, channel)."""
    return move(f.T[None, :, :, None])[0, :, :, 0].T


@given(width=widths, seed=seeds)
def test_transport_is_that_of_the_oracle(width: int, seed: int) -> None:
    f, style = normal(seed, 40, width), 3 * normal(seed + 1, 30, width) @ normal(seed, width, width)
    found = moved(transport(gaussian(f), gaussian(style)), f)
    expected = oracle.transported(f.numpy(), style.numpy())
    np.testing.assert_allclose(found, expected, rtol=1e-7, atol=1e-7)


@given(width=widths, seed=seeds)
def test_the_result_has_the_statistics_of_the_style(width: int, seed: int) -> None:
    f, style = normal(seed, 200, width), 2 + normal(seed + 1, 100, width)
    found = gaussian(moved(transport(gaussian(f), gaussian(style)), f))
    goal = gaussian(style)
    torch.testing.assert_close(found.mean, goal.mean)
    torch.testing.assert_close(found.covariance, goal.covariance, rtol=0, atol=5e-3)


@given(width=widths, seed=seeds, rank=st.integers(0, 5))
def test_its_own_style_moves_nothing(width: int, seed: int, rank: int) -> None:
    f = normal(seed, 20, rank) @ normal(seed + 1, rank, width) + 1
    own = gaussian(f)
    torch.testing.assert_close(moved(transport(own, own), f), f, rtol=0, atol=1e-6)


@given(width=widths, seed=seeds, rank=st.integers(0, 5))
def test_singular_covariances_move_by_bounded_factors(width: int, seed: int, rank: int) -> None:
    flat = normal(seed, 20, rank) @ normal(seed + 1, rank, width)
    style = gaussian(normal(seed + 2, 50, width))
    there = transport(gaussian(flat), style)
    assert there.matrix.isfinite().all()
    assert torch.linalg.eigvalsh(there.matrix).max() < 100
    back = transport(style, gaussian(flat))
    assert back.matrix.isfinite().all()
    assert back.offset.isfinite().all()


def test_a_white_picture_takes_the_mean_of_the_style() -> None:
    white = torch.ones(50, 3, dtype=torch.float64)
    style = gaussian(normal(0, 50, 3))
    found = moved(transport(gaussian(white), style), white)
    torch.testing.assert_close(found, style.mean.expand(50, 3))


@given(width=widths, seed=seeds, amount=st.floats(0, 1))
def test_a_part_of_the_way_is_on_the_geodesic(width: int, seed: int, amount: float) -> None:
    f, style = normal(seed, 100, width), 1 + 2 * normal(seed + 1, 100, width)
    one, other = gaussian(f), gaussian(style)
    found = gaussian(moved(transport(one, other).part(amount), f))
    goal = geodesic(one, other, amount)
    torch.testing.assert_close(found.mean, goal.mean, rtol=1e-7, atol=1e-9)
    torch.testing.assert_close(found.covariance, goal.covariance, rtol=1e-7, atol=1e-9)
    whole = oracle.w2_squared(one.covariance.numpy(), other.covariance.numpy()) ** 0.5
    part = max(0.0, oracle.w2_squared(one.covariance.numpy(), found.covariance.numpy())) ** 0.5
    assert part == pytest.approx(amount * whole, abs=0.02 * whole + 1e-4)


@settings(max_examples=30)
@given(width=st.integers(1, 4), seed=seeds, share=st.floats(0.05, 0.95))
def test_no_other_covariance_is_nearer_to_the_styles(width: int, seed: int, share: float) -> None:
    styles = [
        gaussian(normal(seed + k, 60, width) @ normal(seed + 7 + k, width, width)) for k in (0, 1)
    ]
    shares = (share, 1 - share)
    found = barycenter(styles, shares)
    others = [found.covariance.numpy()]
    for k in range(4):
        turn = np.eye(width) + 0.05 * normal(seed + k, width, width).numpy()
        others.append(turn @ others[0] @ turn.T)
    sums = [
        sum(
            s * oracle.w2_squared(g.covariance.numpy(), other)
            for s, g in zip(shares, styles, strict=True)
        )
        for other in others
    ]
    assert sums[0] <= min(sums) + 2e-3 * abs(sums[0]) + 1e-6


def test_the_barycenter_of_one_line_is_between() -> None:
    """In one channel deviations are averaged."""
    styles = [
        Gaussian(torch.tensor([mean]).double(), torch.tensor([[deviation**2]]).double())
        for mean, deviation in ((0.0, 1.0), (4.0, 3.0))
    ]
    found = barycenter(styles, (3, 1))
    assert float(found.mean) == pytest.approx(1)
    assert float(found.covariance) == pytest.approx(1.5**2, rel=2e-3)


@given(width=widths, seed=seeds)
def test_a_style_may_be_named_twice(width: int, seed: int) -> None:
    """That of two is known; that of three comes from an iteration."""
    one, other = (
        gaussian(
            normal(seed + k, 50, width)
            @ (torch.eye(width).double() + normal(seed + 9, width, width) / (4 * width))
        )
        for k in (0, 1)
    )
    found, expected = barycenter([one, other], (1, 3)), barycenter([one, other, other], (1, 2, 1))
    torch.testing.assert_close(found.mean, expected.mean)
    scale = float(expected.covariance.diagonal().mean())
    torch.testing.assert_close(found.covariance, expected.covariance, rtol=0, atol=2e-3 * scale)


def test_a_style_without_a_share_does_not_count() -> None:
    one, other = gaussian(normal(0, 50, 3)), gaussian(normal(1, 50, 3))
    found = barycenter([one, other], (2, 0))
    assert torch.equal(found.covariance, one.covariance)
    torch.testing.assert_close(found.mean, one.mean)


def test_batches_are_moved_each_by_its_own_map() -> None:
    f = normal(0, 2, 3, 4, 5)
    pairs = [(gaussian(normal(k, 50, 3)), gaussian(normal(k + 9, 50, 3))) for k in (1, 2)]
    ones, others = (
        Gaussian(
            torch.stack([pair[side].mean for pair in pairs]),
            torch.stack([pair[side].covariance for pair in pairs]),
        )
        for side in (0, 1)
    )
    together = transport(ones, others)(f)
    for k, (one, other) in enumerate(pairs):
        torch.testing.assert_close(together[k : k + 1], transport(one, other)(f[k : k + 1]))
