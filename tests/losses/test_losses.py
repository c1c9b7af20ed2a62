from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from impasto.grids.geometry import Region, Space
from impasto.losses.content import Content
from impasto.losses.gram import Gram, MetricGram
from impasto.losses.loss import Loss, Normalization
from impasto.losses.variation import TotalVariation
from tests.oracles import reference
from tests.strategies import normal, seeds, spaces

normalizations: st.SearchStrategy[Normalization] = st.sampled_from(
    ["mean", "relative", "course", "notes"]
)
powers = st.sampled_from([1.0, 1.5, 2.0, 3.0])


def loss_of(loss: Loss, activation: Tensor) -> Tensor:
    """The loss of an activation taken whole."""
    region = Region.all_of(tuple(activation.shape[2:]))
    return loss.score(loss.sums(activation, region), region.count)


def make_losses(target: Tensor, normalization: Normalization, power: float) -> list[Loss]:
    region = Region.all_of(tuple(target.shape[2:]))
    return [
        Content.of(target, normalization),
        Gram(Gram.sums(target, region) / region.count, normalization),
        MetricGram(MetricGram.sums(target, region) / region.count, root_of(target.shape[1])),
        TotalVariation(power, normalization),
    ]


def root_of(channels: int) -> Tensor:
    """The metric of some wider network that predicts three times as many channels."""
    weights = normal(7, 3 * channels, channels + 1)
    return symmetric_root(weights.T @ weights)


def symmetric_root(matrix: Tensor) -> Tensor:
    values, vectors = torch.linalg.eigh(matrix)
    root: Tensor = vectors @ torch.diag(values.clamp_min(0).sqrt()) @ vectors.T
    return root


@given(spaces(), seeds, normalizations, st.integers(1, 5))
def test_content_equals_the_oracle(
    space: Space, seed: int, normalization: Normalization, channels: int
) -> None:
    target, a = normal(seed, 1, channels, *space), normal(seed + 1, 1, channels, *space)
    expected = reference.content_loss(target[0].numpy(), a[0].numpy(), normalization)
    assert loss_of(Content.of(target, normalization), a).item() == pytest.approx(
        expected, rel=1e-12
    )


@given(spaces(), seeds, normalizations, st.integers(1, 5))
def test_gram_equals_the_oracle(
    space: Space, seed: int, normalization: Normalization, channels: int
) -> None:
    style, a = normal(seed, 1, channels, *space), normal(seed + 1, 1, channels, *space)
    region = Region.all_of(space)
    loss = Gram(Gram.sums(style, region) / region.count, normalization)
    expected = reference.style_loss(style[0].numpy(), a[0].numpy(), normalization)
    assert loss_of(loss, a).item() == pytest.approx(expected, rel=1e-10)


@given(spaces(), seeds, st.integers(1, 4), st.integers(1, 9))
def test_the_metric_measures_what_the_wider_network_would(
    space: Space, seed: int, channels: int, width: int
) -> None:
    style, a = normal(seed, 1, channels, *space), normal(seed + 1, 1, channels, *space)
    weights = normal(seed + 2, width, channels + 1)
    region = Region.all_of(space)
    target = MetricGram.sums(style, region) / region.count
    loss = MetricGram(target, symmetric_root(weights.T @ weights))
    expected = reference.metric_style_loss(style[0].numpy(), a[0].numpy(), weights.numpy())
    assert loss_of(loss, a).item() == pytest.approx(expected, rel=1e-9)


@given(spaces(), seeds, normalizations, powers)
def test_total_variation_equals_the_oracle(
    space: Space, seed: int, normalization: Normalization, power: float
) -> None:
    a = normal(seed, 1, 3, *space)
    expected = reference.total_variation(a[0].numpy(), power, normalization)
    actual = loss_of(TotalVariation(power, normalization), a).item()
    assert actual == pytest.approx(expected, rel=1e-12)


@given(spaces(smallest=2), seeds, st.data())
def test_sums_add_over_disjoint_regions(space: Space, seed: int, data: st.DataObject) -> None:
    target, a = normal(seed, 1, 2, *space), normal(seed + 1, 1, 2, *space)
    axis = data.draw(st.integers(0, len(space) - 1))
    cut = data.draw(st.integers(1, space[axis] - 1))
    whole = Region.all_of(space)
    near = Region(whole.start, (*space[:axis], cut, *space[axis + 1 :]), space)
    far = Region((*whole.start[:axis], cut, *whole.start[axis + 1 :]), space, space)
    for loss in make_losses(target, "relative", 2.0):
        parts = [loss.sums(a[region.grow(loss.reach).slices], region) for region in (near, far)]
        torch.testing.assert_close(sum(parts), loss.sums(a, whole), rtol=1e-12, atol=1e-12)


@pytest.mark.slow
@given(spaces(smallest=2, largest=4), seeds, normalizations)
def test_gradients_equal_finite_differences(
    space: Space, seed: int, normalization: Normalization
) -> None:
    target, a = normal(seed, 1, 2, *space), normal(seed + 1, 1, 2, *space)
    for loss in make_losses(target, normalization, 2.0):
        assert torch.autograd.gradcheck(
            lambda x, loss=loss: loss_of(loss, x), a.clone().requires_grad_(True), rtol=1e-6
        )


def test_the_relative_normalization_does_not_depend_on_size_or_scale() -> None:
    style, a = normal(1, 1, 4, 6, 6), normal(2, 1, 4, 6, 6)
    small = loss_of(Gram(Gram.sums(style, Region.all_of((6, 6))) / 36, "relative"), a)
    tiled, region = style.repeat(1, 1, 3, 2), Region.all_of((18, 12))
    large = Gram(Gram.sums(7 * tiled, region) / region.count, "relative")
    torch.testing.assert_close(loss_of(large, 7 * a.repeat(1, 1, 3, 2)), small)


def test_a_silent_target_divides_nothing_by_zero() -> None:
    silent, loud = torch.zeros(1, 2, 5, 5).double(), torch.ones(1, 2, 5, 5).double()
    for loss in make_losses(silent, "relative", 2.0):
        assert loss_of(loss, silent).item() == 0
        assert np.isfinite(loss_of(loss, loud).item())
