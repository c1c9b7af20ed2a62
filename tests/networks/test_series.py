"""The networks for signals: widths in seconds, filters that are not alike, any plan."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import Tensor

from impasto.config.settings import ObjectiveConfig
from impasto.engine.gradient import value_and_grad
from impasto.engine.objective import StylePatch, build_objective
from impasto.engine.walk import Plan
from impasto.grids.patch import Patch
from impasto.networks.series import FILTERS, LONGEST, WIDTHS, series_bank, wide
from impasto.networks.stage import Network
from tests.oracles import plain, reference
from tests.strategies import normal

SECONDS = (0.012, 1.0)
LAYERS = [f"width{number}" for number in range(1, WIDTHS + 1)]


def bank_at(rate: float, channels: int = 1, seed: int = 0) -> Network:
    return series_bank(channels, rate, SECONDS, padding="replicate", seed=seed)


def filters_of(network: Network) -> dict[str, Tensor]:
    """The weights of each width, by its layer."""
    return {
        name.replace("_filters", "width"): operation.weight  # type: ignore[misc]
        for stage in network.stages
        for name, operation in stage.operations.items()
        if name.startswith("_filters")
    }


def gram(network: Network, x: Tensor, layer: str) -> Tensor:
    rows: Tensor = network(x, [layer])[layer][0]
    return rows @ rows.T / rows.shape[1]


def distance(network: Network, x: Tensor, y: Tensor, layer: str) -> float:
    """Of the Gram matrices, relative."""
    one, other = (gram(network, each, layer) for each in (x, y))
    return float((one - other).norm() / one.norm())


@pytest.mark.parametrize("rate", [100.0, 360.0, 8000.0, 48000.0])
def test_the_filters_last_as_long_as_is_said(rate: float) -> None:
    network = bank_at(rate)
    ratio = SECONDS[1] / SECONDS[0]
    expected = [SECONDS[0] * ratio ** (number / 7) for number in range(8)]
    assert list(filters_of(network)) == LAYERS
    for octave, stage in enumerate(network.stages):
        here = rate / 2**octave
        for name, operation in stage.operations.items():
            if name.startswith("_filters"):
                seconds = expected[int(name.removeprefix("_filters")) - 1]
                taps = operation.weight.shape[2]  # type: ignore[index]
                assert taps % 2 == 1
                assert 3 <= taps <= LONGEST + 1
                assert abs(taps - max(3.0, seconds * here)) <= 1


def test_filters_are_noise_of_unit_norm_half_of_them_of_zero_mean() -> None:
    for filters in filters_of(bank_at(360.0, channels=3)).values():
        assert filters.shape[:2] == (FILTERS, 3)
        torch.testing.assert_close(filters.flatten(1).norm(dim=1), torch.ones(FILTERS))
        means = filters.mean(2).abs().amax(1)
        assert means[::2].max() < 1e-6
        assert means[1::2].min() > 1e-4
    number = torch.linalg.matrix_rank(filters_of(bank_at(360.0))["width8"].flatten(1))
    assert number > FILTERS // 2


def test_the_seed_makes_the_filters() -> None:
    one, same, other = (filters_of(bank_at(360.0, seed=seed)) for seed in (1, 1, 2))
    for layer in LAYERS:
        assert torch.equal(one[layer], same[layer])
        assert not torch.equal(one[layer], other[layer])


def test_the_layers_equal_the_oracle() -> None:
    network = bank_at(200.0, channels=2, seed=3).double()
    x = normal(1, 1, 2, 300)
    found = network(x, LAYERS)
    for name, oracle in (
        ("numpy", reference.activations(network, x[0].numpy())),
        ("torch", {k: v[0].numpy() for k, v in plain.activations(network, x, LAYERS).items()}),
    ):
        for layer in LAYERS:
            np.testing.assert_allclose(
                found[layer][0].numpy(), oracle[layer], rtol=1e-10, atol=1e-12, err_msg=name
            )


def test_signals_are_as_far_apart_at_twice_the_rate() -> None:
    """Filters of noise are others at another rate: the distances are near, not the same."""

    def waves(rate: float, pitch: float) -> Tensor:
        times = torch.arange(0, 20, 1 / rate).double()
        return torch.sin(2 * torch.pi * pitch * times).pow(3)[None, None]

    def typical(rate: float, layer: str) -> float:
        one, other = waves(rate, 1.0), waves(rate, 5.0)
        networks = (bank_at(rate, seed=seed).double() for seed in range(5))
        return float(np.median([distance(network, one, other, layer) for network in networks]))

    for layer in LAYERS[2:]:
        assert typical(360.0, layer) == pytest.approx(typical(720.0, layer), rel=0.35), layer


@pytest.mark.parametrize(("kind", "kept"), [("series", 0), ("series", 1), ("wide", 1)])
def test_streamed_is_the_whole(kind: str, kept: int) -> None:
    if kind == "series":
        network, layers = bank_at(100.0, channels=2).double(), LAYERS
        config = ObjectiveConfig(
            content_layers=("width4",), style_layers=tuple((layer, 1.0) for layer in layers)
        )
    else:
        network = wide(channels=2, padding="replicate", seed=0).double()
        config = ObjectiveConfig(beta=0.0, content_layers=("wide",))
    content, style, g = (normal(seed, 1, 2, length) for seed, length in enumerate((300, 320, 300)))
    objective = build_objective(
        Patch.whole(content), [StylePatch(Patch.whole(style))], network, config
    )
    whole = value_and_grad(objective, g)
    streamed = value_and_grad(objective, g, Plan(tiles=((70,), (33,)), kept=kept))
    assert streamed.value == pytest.approx(whole.value, rel=1e-12)
    torch.testing.assert_close(streamed.gradient, whole.gradient, rtol=1e-10, atol=1e-13)


def test_wide_is_one_layer_of_4096_filters_over_11_frames() -> None:
    channels = 1025
    network = wide(channels=channels, padding="replicate", seed=0)
    (stage,) = network.stages
    filters = stage.operations["_filters"].weight
    assert tuple(filters.shape) == (4096, channels, 11)  # type: ignore[arg-type]
    assert network.layers == ("input", "wide")
    assert network(torch.zeros(1, channels, 20), ["wide"])["wide"].shape == (1, 4096, 20)
    deviation = float(filters.std())  # type: ignore[operator]
    assert deviation == pytest.approx(2 / ((channels + 4096) * 11) ** 0.5, rel=1e-3)
