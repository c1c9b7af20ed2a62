"""Wasserstein-2 distances of Gaussians against closed forms and SciPy."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import linalg

from impasto.metrics.wasserstein import Gaussian, wasserstein2


def gaussian(channels: int, seed: int, rank: int | None = None) -> Gaussian:
    rng = np.random.default_rng(seed)
    factor = rng.normal(size=(channels, rank or channels))
    return Gaussian(rng.normal(size=channels), factor @ factor.T)


@pytest.mark.parametrize(("channels", "rank"), [(1, 1), (2, 2), (7, 7), (40, 40)])
def test_wasserstein2_equals_the_formula(channels: int, rank: int) -> None:
    one, other = gaussian(channels, 0, rank), gaussian(channels, 1, rank)
    root = linalg.sqrtm(one.covariance)
    common = linalg.sqrtm(root @ other.covariance @ root)
    squared = np.sum((one.mean - other.mean) ** 2)
    squared += np.trace(one.covariance + other.covariance - 2 * common.real)
    assert wasserstein2(one, other) == pytest.approx(np.sqrt(squared), rel=1e-9)
    assert wasserstein2(other, one) == pytest.approx(np.sqrt(squared), rel=1e-9)


def test_wasserstein2_in_one_dimension_compares_means_and_deviations() -> None:
    one = Gaussian(np.array([1.0]), np.array([[4.0]]))
    other = Gaussian(np.array([-2.0]), np.array([[36.0]]))
    assert wasserstein2(one, other) == pytest.approx(np.hypot(3, 4))


def test_wasserstein2_of_a_shift_is_the_length_of_the_shift() -> None:
    one = gaussian(5, 0)
    shifted = Gaussian(one.mean + 2, one.covariance)
    assert wasserstein2(one, shifted) == pytest.approx(2 * np.sqrt(5))


@pytest.mark.parametrize("rank", [1, 3, 6])
def test_wasserstein2_of_equal_gaussians_is_zero(rank: int) -> None:
    one = gaussian(6, 0, rank)
    assert wasserstein2(one, one) < 1e-6
    nothing = Gaussian(np.zeros(6), np.zeros((6, 6)))
    assert wasserstein2(one, nothing) == pytest.approx(np.sqrt(one.power))


def test_moments_of_activations_and_of_those_a_metric_stands_for() -> None:
    rng = np.random.default_rng(0)
    a = rng.normal(size=(4, 300)) + rng.normal(size=(4, 1))
    augmented = np.concatenate([a, np.ones((1, 300))])
    products = augmented @ augmented.T / 300
    own = Gaussian.of(products)
    np.testing.assert_allclose(own.mean, a.mean(1))
    np.testing.assert_allclose(own.covariance, np.cov(a, bias=True))
    assert own.power == pytest.approx((a**2).sum(0).mean())

    wide = rng.normal(size=(9, 5))
    root = np.linalg.qr(wide)[1]  # root^T root = wide^T wide
    other = gaussian(4, 1)
    second = other.covariance + np.outer(other.mean, other.mean)
    theirs = np.block([[second, other.mean[:, None]], [other.mean[None], np.ones((1, 1))]])
    in_wide = [Gaussian.of(each, wide) for each in (products, theirs)]
    in_metric = [Gaussian.of(each, root) for each in (products, theirs)]
    np.testing.assert_allclose(in_wide[0].mean, (wide @ augmented).mean(1))
    assert wasserstein2(*in_metric) == pytest.approx(wasserstein2(*in_wide), rel=1e-6)
