"""Moments: the formula in NumPy, derivatives where covariances are singular, sizes, the metric."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from impasto.config.config import Config
from impasto.config.presets import configure
from impasto.config.settings import ObjectiveConfig
from impasto.errors import ConfigError
from impasto.grids.geometry import Region, Space
from impasto.losses.loss import Normalization
from impasto.losses.wasserstein import NOISE, Moments
from tests.losses.test_losses import loss_of, symmetric_root
from tests.oracles import reference
from tests.strategies import normal, seeds, spaces

NORMALIZATIONS: tuple[Normalization, ...] = ("mean", "relative", "course", "notes")


def moments_of(
    style: Tensor, how: Normalization = "relative", root: Tensor | None = None
) -> Moments:
    region = Region.all_of(tuple(style.shape[2:]))
    return Moments(Moments.sums(style, region) / region.count, how, root)


def gradient_of(loss: Moments, g: Tensor) -> Tensor:
    leaf = g.clone().requires_grad_(True)
    (gradient,) = torch.autograd.grad(loss_of(loss, leaf), leaf)
    return gradient


@given(spaces(), spaces(), seeds, st.sampled_from(NORMALIZATIONS), st.integers(1, 5))
def test_the_moments_loss_equals_the_formula(
    space: Space, other: Space, seed: int, how: Normalization, channels: int
) -> None:
    s, g = normal(seed, 1, channels, *space), 2 * normal(seed + 1, 1, channels, *other) + 0.5
    expected = reference.moments_style_loss(s[0].numpy(), g[0].numpy(), how)
    assert loss_of(moments_of(s, how), g).item() == pytest.approx(expected, rel=1e-6)


@given(spaces(), seeds, st.integers(1, 4), st.integers(1, 9))
def test_the_metric_measures_what_the_wider_network_would(
    space: Space, seed: int, channels: int, width: int
) -> None:
    s, g = normal(seed, 1, channels, *space), normal(seed + 1, 1, channels, *space)
    weights = normal(seed + 2, width, channels + 1)
    loss = moments_of(s, root=symmetric_root(weights.T @ weights))
    arrays = (s[0].numpy(), g[0].numpy())
    expected = reference.moments_style_loss(*arrays, "relative", weights.numpy())
    # Roots of what should be 0 and is rounding, in the directions that W never takes.
    assert loss_of(loss, g).item() == pytest.approx(expected, rel=1e-6, abs=1e-7)


def test_signals_of_known_distance() -> None:
    """Of independent channels: the means' distance and that of the deviations."""
    s = torch.tensor([[[1.0, -1.0, 1.0, -1.0], [3.0, 3.0, -3.0, -3.0]]]).double()
    shift = torch.tensor([[[2.0], [0.0]]]).double()
    scale = torch.tensor([[[4.0], [1.0]]]).double()
    assert loss_of(moments_of(s, "notes"), s * scale + shift).item() == pytest.approx(
        2**2 + (4 - 1) ** 2, rel=1e-3
    )


@given(spaces(), seeds, st.sampled_from(NORMALIZATIONS), st.booleans())
def test_the_style_itself_is_at_no_distance(
    space: Space, seed: int, how: Normalization, measured: bool
) -> None:
    s = normal(seed, 1, 3, *space)
    loss = moments_of(s, how, normal(3, 4, 4) if measured else None)
    twice = torch.cat([s, s], 2)  # as a larger sample of the same
    assert loss_of(loss, s).item() == 0
    assert not gradient_of(loss, s).any()
    assert loss_of(loss, twice).item() == pytest.approx(0, abs=1e-12)
    assert gradient_of(loss, twice).abs().max() < 1e-6 / twice[0, 0].numel()


@given(seeds, st.floats(0.5, 2))
def test_the_relative_one_is_a_part_of_the_power(seed: int, factor: float) -> None:
    s = normal(seed, 1, 3, 40)
    expected = (factor - 1) ** 2
    assert loss_of(moments_of(s), factor * s).item() == pytest.approx(expected, rel=1e-2, abs=1e-9)


@given(seeds, st.sampled_from(NORMALIZATIONS))
def test_size_and_scale_do_not_matter_where_it_is_relative(seed: int, how: Normalization) -> None:
    s, g = normal(seed, 1, 3, 6, 6), normal(seed + 1, 1, 3, 6, 6)
    small = loss_of(moments_of(s, how), g)
    large = loss_of(moments_of(s.repeat(1, 1, 3, 2), how), g.repeat(1, 1, 2, 2))
    torch.testing.assert_close(large, small, rtol=1e-9, atol=0)
    scaled = loss_of(moments_of(7 * s), 7 * g)
    torch.testing.assert_close(scaled, loss_of(moments_of(s), g), rtol=1e-9, atol=0)


SINGULAR: dict[str, Callable[[Tensor], Tensor]] = {
    "a dead channel": lambda x: x * torch.tensor([1.0, 0.0, 1.0]).double()[:, None],
    "two alike": lambda x: x[:, [0, 0, 1]],
    "all of equal deviation": lambda x: torch.eye(3).double().repeat(1, 4)[None],
    "a constant": lambda x: torch.full_like(x, 0.7),
    "silence": torch.zeros_like,
    "one position": lambda x: x[..., :1],
    "two positions": lambda x: x[..., :2],
    "many": lambda x: x,
}


@pytest.mark.parametrize("of_g", SINGULAR)
@pytest.mark.parametrize("of_style", SINGULAR)
def test_singular_covariances_have_derivatives(of_style: str, of_g: str) -> None:
    s, g = SINGULAR[of_style](normal(0, 1, 3, 12)), SINGULAR[of_g](normal(1, 1, 3, 12))
    loss = moments_of(s, "notes")
    assert torch.autograd.gradcheck(
        lambda x: loss_of(loss, x), g.clone().requires_grad_(True), eps=1e-5, rtol=1e-5, atol=1e-6
    )


@pytest.mark.parametrize("scale", [0.0, 1e-3, 1.0, 1e3])
def test_in_float32_all_is_finite(scale: float) -> None:
    """Sums in float32, as over a tile, even where a mean hides the deviation."""
    s, g = normal(0, 1, 40, 30).float(), scale * (normal(1, 1, 40, 30).float() + 100)
    region = Region.all_of((30,))
    sums = Moments.sums(g, region).double().requires_grad_(True)
    value = Moments((Moments.sums(s, region) / 30).double(), "relative").score(sums, 30)
    (gradient,) = torch.autograd.grad(value, sums)
    assert torch.isfinite(value)
    assert value > -1e-9
    assert torch.isfinite(gradient).all()


def test_a_silent_style_divides_nothing_by_zero() -> None:
    silence, loud = torch.zeros(1, 3, 20).double(), torch.ones(1, 3, 20).double()
    for root in (None, normal(0, 4, 4)):
        loss = moments_of(silence, root=root)
        assert loss_of(loss, silence).item() == pytest.approx(0, abs=1e-9)
        assert torch.isfinite(loss_of(loss, loud))
        assert torch.isfinite(gradient_of(loss, loud)).all()


def test_the_noise_is_small() -> None:
    """What it takes away of a distance: of channels that are no further than their deviations."""
    s, g = normal(0, 1, 3, 5000), normal(1, 1, 3, 5000)
    s[:, 2] *= NOISE**0.5
    assert loss_of(moments_of(s, "notes"), g).item() == pytest.approx(1, rel=0.1)


@pytest.mark.parametrize(
    ("kinds", "layers", "smoothing"),
    [
        (("gram", "moments"), 3, "none"),
        (("gram", "moments"), 1, "none"),
        ((), 2, "none"),
        (("histogram",), 2, "none"),
        (("gram", "moments"), 2, "softmax"),
        (("moments",), 0, "softmax"),
    ],
)
def test_kinds_that_do_not_fit_are_refused(
    kinds: tuple[str, ...], layers: int, smoothing: str
) -> None:
    names = tuple((f"relu{number}_1", 1.0) for number in range(1, 1 + layers))
    with pytest.raises(ConfigError, match=r"--style-losses: expected gram.*found.*; change it"):
        configure(style_layers=names, style_losses=kinds, smoothing=smoothing)


def test_kinds_are_counted_once_the_layers_are_known() -> None:
    config = configure(style_losses=("gram", "moments"))
    with pytest.raises(ConfigError, match="--style-losses"):
        config.complete()
    mixed = configure(style_losses=("gram",) * 2 + ("moments",)).complete().objective
    assert list(mixed.style_kinds.values()) == ["gram", "gram", "moments"]
    assert set(Config().complete().objective.style_kinds.values()) == {"gram"}
    assert ObjectiveConfig().style_kinds == {}
