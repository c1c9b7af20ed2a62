"""Smoothed activations: the paper's formula in NumPy, derivatives, regions, large values."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import Tensor

from impasto.config.settings import ObjectiveConfig
from impasto.engine.gradient import value_and_grad
from impasto.engine.objective import StylePatch, build_objective
from impasto.grids.geometry import Region
from impasto.grids.patch import Patch
from impasto.losses.loss import Loss, Normalization
from impasto.losses.smoothing import LARGEST, SmoothContent, SmoothGram, exponential_products
from impasto.networks.stage import Network
from tests.losses.test_losses import loss_of
from tests.strategies import normal, seeds

Array = NDArray[np.float64]
NORMALIZATIONS: tuple[Normalization, ...] = ("mean", "relative", "course", "notes")


def sigma(f: Array, weight: Array) -> Array:
    """Wang et al. 2021: the softmax over all channels k and positions i, here with a mean of 1."""
    e = np.exp(f)
    total = sum(weight[i] * e[k, i] for k in range(len(f)) for i in range(f.shape[1]))
    return np.asarray(e / total * len(f) * weight.sum())


def gram(a: Array, weight: Array) -> Array:
    return np.asarray((weight * a) @ a.T / weight.sum())


def style(s: Array, g: Array, v: Array, w: Array, how: Normalization) -> float:
    """Of two signals under weights, as `losses.Gram` has it of plain activations."""
    target = gram(sigma(s, v), v)
    difference = gram(sigma(g, w), w) - target
    if how == "relative":
        power = np.diagonal(target)
        scale = np.diag((power + 0.1 * power.mean()) ** -0.5)
        difference, target = (scale @ x @ scale for x in (difference, target))
        return float((difference**2).sum() / (target**2).sum())
    if how == "mean":
        return float((difference**2).mean())
    return float((difference**2).sum() / 4 / (len(s) ** 2 if how == "course" else 1))


def content(c: Array, g: Array, w: Array, how: Normalization) -> float:
    error = (w * (sigma(g, w) - sigma(c, w)) ** 2).sum()
    if how == "mean":
        return float(error / (len(c) * w.sum()))
    return float(error / (w * sigma(c, w) ** 2).sum() if how == "relative" else error / 2)


def losses(c: Tensor, s: Tensor, v: Tensor, w: Tensor, how: Normalization) -> list[Loss]:
    whole = Region.all_of(tuple(s.shape[2:]))
    top = s.max().item()
    sums = exponential_products(s, whole, v, top)
    return [SmoothGram.of(sums, top, how), SmoothContent.of(Patch.whole(c), how, w)]


@given(seeds, st.sampled_from(NORMALIZATIONS))
def test_losses_after_a_softmax_equal_the_formula(seed: int, how: Normalization) -> None:
    c, g = (normal(seed + i, 1, 3, 11) for i in range(2))
    s = 2 * normal(seed + 2, 1, 3, 7)
    v, w = (normal(seed + 3 + i, 1, 1, n).sigmoid() for i, n in enumerate((7, 11)))
    whole = Region.all_of((11,))
    found = [
        loss.score(loss.sums(g, whole, w), float(w.sum())).item()
        for loss in losses(c, s, v, w, how)
    ]
    c_, s_, g_, v_, w_ = (x[0].numpy() for x in (c, s, g, v, w))
    assert found[0] == pytest.approx(style(s_, g_, v_[0], w_[0], how), rel=1e-10)
    assert found[1] == pytest.approx(content(c_, g_, w_[0], how), rel=1e-10)


@given(seeds, st.integers(0, 9), st.integers(0, 9))
def test_sums_add_over_regions(seed: int, one: int, other: int) -> None:
    c, g, s = (normal(seed + i, 1, 2, 9) for i in range(3))
    w = normal(seed + 3, 1, 1, 9).sigmoid()
    low, high = sorted((one, other))
    parts = [Region((a,), (b,), (9,)) for a, b in ((0, low), (low, high), (high, 9))]
    for loss in losses(c, s, w, w, "relative"):
        sums = [loss.sums(g[part.slices], part, w[part.slices]) for part in parts]
        whole = loss.sums(g, Region.all_of((9,)), w)
        assert tuple(whole.shape) == loss.shape
        torch.testing.assert_close(torch.stack(sums).sum(0), whole, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("how", NORMALIZATIONS)
def test_derivatives(how: Normalization) -> None:
    c, g, s = (normal(seed, 1, 2, 6) for seed in range(3))
    w = normal(3, 1, 1, 6).sigmoid()
    for loss in losses(c, s, w, w, how):
        assert torch.autograd.gradcheck(lambda x, loss=loss: loss_of(loss, x), g.requires_grad_())


def test_the_content_itself_is_at_no_distance() -> None:
    c = normal(0, 1, 4, 500).float()
    loss = SmoothContent.of(Patch.whole(c), "relative")
    assert abs(loss_of(loss, c).item()) < 1e-12
    near = c + 1e-3 * normal(1, 1, 4, 500).float()
    expected = content(c[0].double().numpy(), near[0].double().numpy(), np.ones(500), "relative")
    assert loss_of(loss, near).item() == pytest.approx(expected, rel=1e-2)


@pytest.mark.parametrize("shift", [-600.0, -3.0, 0.0, 3.0, 20.0, 1000.0])
def test_what_is_added_to_all_values_hardly_matters(shift: float) -> None:
    """Sigma is the same; beyond LARGEST it is clamped, far below the target it vanishes."""
    c, s, g = (normal(seed, 1, 3, 50).float() for seed in range(3))
    ones = torch.ones(1, 1, 50)
    for loss in losses(c, s, ones, ones, "relative"):
        x = (g + shift).requires_grad_()
        found, plain = loss_of(loss, x), loss_of(loss, g)
        (gradient,) = torch.autograd.grad(found, x)
        assert torch.isfinite(found)
        assert torch.isfinite(gradient).all()
        if abs(shift) < LARGEST - 6:
            assert found.item() == pytest.approx(plain.item(), rel=1e-3)


def test_styles_of_different_sizes_are_alike() -> None:
    """Twice as much of the same is the same style."""
    s = normal(0, 1, 3, 40)
    twice = torch.cat([s, s], 2)
    ones = torch.ones(1, 1, 40).double()
    loss = losses(s, s, ones, ones, "relative")[0]
    assert loss_of(loss, twice).item() == pytest.approx(0, abs=1e-12)


def test_a_metric_is_left_aside() -> None:
    """It speaks of activations as they are."""
    network = Network("none", [], dims=1, channels=2)
    network.metrics["input"] = torch.nn.Parameter(normal(4, 3, 3), requires_grad=False)
    config = ObjectiveConfig(
        alpha=0.0, beta=1.0, style_layers=(("input", 1.0),), smoothing="softmax"
    )
    s, g = normal(0, 1, 2, 9), normal(1, 1, 2, 12)
    objective = build_objective(Patch.whole(g), [StylePatch(Patch.whole(s))], network, config)
    expected = style(s[0].numpy(), g[0].numpy(), np.ones(9), np.ones(12), "relative")
    assert value_and_grad(objective, g).value == pytest.approx(expected, rel=1e-10)
