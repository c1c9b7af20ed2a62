"""The losses on signals: against plain loops, cut anywhere, at silence, and their gradients."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from impasto.config.settings import ObjectiveConfig
from impasto.engine.gradient import value_and_grad
from impasto.engine.objective import Objective, StylePatch, build_objective
from impasto.errors import ConfigError, SampleError
from impasto.grids.geometry import Region
from impasto.grids.patch import Patch
from impasto.losses.loss import Loss
from impasto.losses.series import (
    Amplitude,
    Autocorrelation,
    Spectrum,
    distribution,
    histogram,
    powers,
    products,
)
from impasto.networks.series import series_bank
from impasto.networks.vgg import vgg
from tests.oracles import series
from tests.strategies import normal, seeds

LAGS, WINDOW = 7, 12


def all_of(x: Tensor) -> Region:
    return Region.all_of(tuple(x.shape[2:]))


def autocorrelation_of(style: Tensor, weight: Tensor | None) -> Autocorrelation:
    return Autocorrelation.of(products(style, all_of(style), weight, LAGS))


def spectrum_of(style: Tensor, weight: Tensor | None) -> Spectrum:
    return Spectrum.of(powers(style, all_of(style), weight, WINDOW))


def amplitude_of(style: Tensor, weight: Tensor | None) -> Amplitude:
    low, high = Amplitude.range_of(products(style, all_of(style), weight, 0))
    return Amplitude(distribution(histogram(style, weight, low, high)), low, high)


LOSSES: dict[str, Callable[[Tensor, Tensor | None], Loss]] = {
    "autocorrelation": autocorrelation_of,
    "spectrum": spectrum_of,
    "amplitude": amplitude_of,
}
names = st.sampled_from(sorted(LOSSES))


def score(loss: Loss, g: Tensor, weight: Tensor | None) -> Tensor:
    return loss.score(loss.sums(g, all_of(g), weight), g.shape[2])


def expected(
    name: str, style: Tensor, g: Tensor, style_weight: Tensor | None, weight: Tensor | None
) -> float:
    """The oracle's score."""
    s, x = style[0].numpy(), g[0].numpy()
    one, other = (
        np.ones(values.shape[2]) if w is None else w[0, 0].numpy()
        for values, w in ((style, style_weight), (g, weight))
    )
    match name:
        case "autocorrelation":
            return series.autocorrelation(s, x, one, other, LAGS)
        case "spectrum":
            return series.spectrum(s, x, one, other, WINDOW)
        case _:
            return series.amplitude(s, x, one, other)


def a_signal(data: st.DataObject, channels: int, seed: int, longest: int = 70) -> Tensor:
    """Noise of channels that differ in mean and in power."""
    length = data.draw(st.integers(WINDOW, longest))
    scale = torch.arange(1.0, channels + 1)[:, None].double()
    return scale * normal(seed, 1, channels, length) + scale / 2


def a_weight(data: st.DataObject, x: Tensor, seed: int) -> Tensor | None:
    """None, or weights between 0 and 1, some of them 0."""
    if data.draw(st.booleans()):
        return None
    weight = normal(seed, 1, 1, x.shape[2]).sigmoid()
    hole = data.draw(st.integers(0, x.shape[2] // 3))
    weight[..., :hole] = 0
    return weight


@given(st.data(), names, seeds, st.integers(1, 3))
@settings(max_examples=80)
def test_each_equals_the_oracle(data: st.DataObject, name: str, seed: int, channels: int) -> None:
    style, g = a_signal(data, channels, seed), 1.5 * a_signal(data, channels, seed + 1)
    style_weight, weight = a_weight(data, style, seed + 2), a_weight(data, g, seed + 3)
    actual = score(LOSSES[name](style, style_weight), g, weight).item()
    assert actual == pytest.approx(expected(name, style, g, style_weight, weight), rel=1e-9)


@given(st.data(), names, seeds)
@settings(max_examples=60)
def test_sums_add_over_regions_cut_anywhere(data: st.DataObject, name: str, seed: int) -> None:
    g = a_signal(data, 2, seed)
    weight = a_weight(data, g, seed + 1)
    loss = LOSSES[name](a_signal(data, 2, seed + 2), None)
    length = g.shape[2]
    cuts = data.draw(st.sets(st.integers(1, length - 1), max_size=9))
    edges = [0, *sorted(cuts), length]
    total: Tensor | float = 0.0
    for start, stop in pairwise(edges):
        region = Region((start,), (stop,), (length,))
        around = region.grow(loss.reach).slices
        total = total + loss.sums(g[around], region, None if weight is None else weight[around])
    whole = loss.sums(g, all_of(g), weight)
    assert tuple(whole.shape) == loss.shape
    torch.testing.assert_close(total, whole, rtol=1e-11, atol=1e-11)


@given(st.data(), names, seeds)
@settings(max_examples=20)
def test_gradients_equal_finite_differences(data: st.DataObject, name: str, seed: int) -> None:
    g = a_signal(data, 2, seed, longest=20)
    weight = a_weight(data, g, seed + 1)
    loss = LOSSES[name](a_signal(data, 2, seed + 2), None)
    assert torch.autograd.gradcheck(
        lambda x: score(loss, x, weight), g.requires_grad_(True), atol=1e-6, rtol=1e-5
    )


@given(st.data(), names, seeds)
@settings(max_examples=20)
def test_of_the_style_itself_it_is_zero(data: st.DataObject, name: str, seed: int) -> None:
    style = a_signal(data, 2, seed)
    weight = a_weight(data, style, seed + 1)
    style.requires_grad_(True)
    value = score(LOSSES[name](style.detach(), weight), style, weight)
    (gradient,) = torch.autograd.grad(value, style)
    assert value.item() < 1e-20
    assert gradient.abs().max() < 1e-9


@pytest.mark.parametrize("name", LOSSES)
def test_a_channel_is_measured_by_itself(name: str) -> None:
    style, g = normal(1, 1, 3, 60), normal(2, 1, 3, 50)
    each = [score(LOSSES[name](style[:, c : c + 1], None), g[:, c : c + 1], None) for c in range(3)]
    both = score(LOSSES[name](style, None), g, None)
    torch.testing.assert_close(torch.stack(each).mean(), both)


@pytest.mark.parametrize("name", LOSSES)
def test_style_in_other_units_is_as_far(name: str) -> None:
    """Autocorrelation and amplitude are relative to the style, spectra are of logarithms."""
    style, g = normal(1, 1, 1, 60), normal(2, 1, 1, 50)
    near = score(LOSSES[name](style, None), g, None)
    torch.testing.assert_close(score(LOSSES[name](20 * style, None), 20 * g, None), near)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("name", LOSSES)
def test_silence_and_constants_give_finite_values(name: str, dtype: torch.dtype) -> None:
    wave = torch.sin(torch.arange(40) / 3)[None, None].to(dtype)
    signals = [wave, 0 * wave, 0 * wave + 7, wave[..., :WINDOW], 0 * wave + 1e-3 * wave]
    for style in signals:
        loss = LOSSES[name](style, None)
        for signal in signals:
            g = signal.clone().requires_grad_(True)
            value = score(loss, g, None)
            (gradient,) = torch.autograd.grad(value, g)
            assert torch.isfinite(value)
            assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("name", LOSSES)
def test_what_has_no_weight_does_not_matter(name: str) -> None:
    g = normal(1, 1, 2, 60)
    weight = torch.ones(1, 1, 60).double()
    weight[..., 20:30] = 0
    other = g.clone()
    other[..., 20:30] = 100.0
    loss = LOSSES[name](normal(2, 1, 2, 50), None)
    torch.testing.assert_close(score(loss, other, weight), score(loss, g, weight))
    leaf = other.requires_grad_(True)
    (gradient,) = torch.autograd.grad(score(loss, leaf, weight), leaf)
    assert gradient[..., 20:30].abs().max() < 1e-12


# In a whole objective.

TERMS = ObjectiveConfig(
    alpha=0.0,
    beta=0.0,
    autocorrelation=1.0,
    spectrum=1.0,
    amplitude=1.0,
    lag=7.0,
    spectrum_window=12.0,
)


def objective_of(content: Tensor, style: Tensor, config: ObjectiveConfig = TERMS) -> Objective:
    network = series_bank(content.shape[1], 1.0, (3.0, 9.0), padding="replicate", seed=0).double()
    return build_objective(Patch.whole(content), [StylePatch(Patch.whole(style))], network, config)


def test_lags_and_windows_are_in_seconds() -> None:
    content, style = normal(0, 1, 1, 90), normal(1, 1, 1, 80)
    network = series_bank(1, 10.0, (0.3, 0.9), padding="replicate", seed=0).double()
    config = ObjectiveConfig(
        alpha=0.0, beta=0.0, autocorrelation=1.0, spectrum=1.0, lag=0.7, spectrum_window=1.2
    )
    objective = build_objective(
        Patch.whole(content), [StylePatch(Patch.whole(style))], network, config, rate=10.0
    )
    terms = value_and_grad(objective, content).terms
    assert terms == pytest.approx(
        {
            name: expected(name, style, content, None, None)
            for name in ("autocorrelation", "spectrum")
        }
    )


@pytest.mark.parametrize("lengths", [(90, 12), (12, 90)])
def test_too_short_a_signal_is_told_in_one_line(lengths: tuple[int, int]) -> None:
    content, style = (normal(seed, 1, 1, length) for seed, length in enumerate(lengths))
    with pytest.raises(ConfigError, match=r"--spectrum-window: expected .*12 of 12; .*longer"):
        objective_of(content, style)
    objective_of(content, style, replace(TERMS, spectrum=0.0))
    with pytest.raises(ConfigError, match=r"--lag: expected .*12 of 12; .*longer"):
        objective_of(content, style, replace(TERMS, spectrum=0.0, lag=12.0))


def test_a_style_without_one_window_between_its_gaps_is_refused() -> None:
    weight = torch.ones(1, 1, 60).double()
    weight[..., ::5] = 0
    content, style = normal(0, 1, 1, 50), normal(1, 1, 1, 60)
    network = series_bank(1, 1.0, (3.0, 9.0), padding="replicate", seed=0).double()
    with pytest.raises(SampleError, match="gaps"):
        build_objective(
            Patch.whole(content),
            [StylePatch(Patch.whole(style), weight=weight)],
            network,
            TERMS,
        )


def test_pictures_have_no_such_terms() -> None:
    network = vgg("narrow", (1,), (2,), dims=2, channels=1)
    x = Patch.whole(torch.zeros(1, 1, 20, 20))
    with pytest.raises(ConfigError, match="expected a signal, found a sample over 2 axes"):
        build_objective(x, [StylePatch(x)], network, TERMS)
