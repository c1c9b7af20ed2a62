from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from impasto.config.settings import ObjectiveConfig
from impasto.engine.gradient import value_and_grad
from impasto.engine.objective import Objective, build_objective
from impasto.grids.patch import Patch
from impasto.losses.loss import Normalization
from impasto.networks.filterbank import filterbank
from impasto.networks.stage import Network
from tests.networks.test_vgg import tiny
from tests.oracles import reference
from tests.problems import style_patches
from tests.strategies import normal, seeds, spaces

NORMALIZATIONS = ["mean", "relative", "course", "notes"]


def objective_of(
    content: torch.Tensor, styles: list[torch.Tensor], network: Network, config: ObjectiveConfig
) -> Objective:
    return build_objective(
        Patch.whole(content), style_patches(map(Patch.whole, styles), config), network, config
    )


def settings_for(normalization: Normalization) -> ObjectiveConfig:
    return ObjectiveConfig(
        alpha=2.0,
        beta=5.0,
        gamma=0.3,
        content_layers=("relu2_1", "pool1"),
        style_layers=(("relu1_1", 0.5), ("conv2_2", 2.0), ("input", 0.1)),
        style_weights=(1.0, 3.0),
        normalization=normalization,
    )


@given(spaces(smallest=3, largest=7), seeds, st.sampled_from(NORMALIZATIONS))
@settings(max_examples=20)
def test_j_and_its_terms_equal_the_oracle(
    space: tuple[int, ...], seed: int, normalization: Normalization
) -> None:
    network, config = tiny(len(space), seed, padding="replicate"), settings_for(normalization)
    content, first, second, g = (normal(seed + i, 1, 2, *space) for i in range(4))
    evaluation = value_and_grad(objective_of(content, [first, second], network, config), g)
    arrays = [x[0].numpy() for x in (content, first, second, g)]
    expected = reference.objective(network, arrays[0], arrays[1:3], arrays[3], config)
    assert evaluation.terms == pytest.approx(expected, rel=1e-9)
    assert evaluation.value == pytest.approx(sum(expected.values()), rel=1e-9)


@given(spaces(smallest=3, largest=5), seeds, st.sampled_from(NORMALIZATIONS))
@settings(max_examples=25)
def test_the_gradient_equals_finite_differences_of_the_oracle(
    space: tuple[int, ...], seed: int, normalization: Normalization
) -> None:
    network, config = tiny(len(space), seed, padding="zero"), settings_for(normalization)
    content, first, second, g = (normal(seed + i, 1, 2, *space) for i in range(4))
    gradient = (
        value_and_grad(objective_of(content, [first, second], network, config), g)
        .gradient[0]
        .numpy()
    )
    arrays = [x[0].numpy() for x in (content, first, second)]
    direction = np.random.default_rng(seed).normal(size=gradient.shape)

    def j(step: float) -> float:
        moved = g[0].numpy() + step * direction
        return sum(reference.objective(network, arrays[0], arrays[1:], moved, config).values())

    h = 1e-6  # small, so that hardly any ReLU or maximum switches in between
    slope = (j(h) - j(-h)) / (2 * h)
    assert float((gradient * direction).sum()) == pytest.approx(slope, rel=1e-6, abs=1e-6)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_float32_is_near_float64(dims: int) -> None:
    network = filterbank(dims=dims, channels=3, padding="replicate", seed=0)
    layers = [layer for layer in network.layers if layer != "input"]
    config = ObjectiveConfig(
        content_layers=(layers[0],), style_layers=tuple((layer, 1.0) for layer in layers), gamma=1.0
    )
    side = (67, 67, 33)[dims - 1]
    samples = [
        torch.from_numpy(np.random.default_rng(seed).random((1, 3, *(side,) * dims)))
        for seed in range(3)
    ]

    def evaluate(dtype: torch.dtype) -> tuple[float, torch.Tensor]:
        content, style, g = (x.to(dtype) for x in samples)
        evaluation = value_and_grad(objective_of(content, [style], network.to(dtype), config), g)
        return evaluation.value, evaluation.gradient.double()

    value, gradient = evaluate(torch.float64)
    value32, gradient32 = evaluate(torch.float32)
    assert value32 == pytest.approx(value, rel=1e-4)
    assert float((gradient32 - gradient).norm() / gradient.norm()) < 1e-3


def test_terms_with_no_weight_cost_nothing() -> None:
    class Forbidden(Network):
        def forward(self, *arguments: object) -> dict[str, torch.Tensor]:
            raise AssertionError

    config = ObjectiveConfig(alpha=0.0, beta=0.0, gamma=1.0)
    network = Forbidden("forbidden", [], dims=2, channels=3)
    objective = objective_of(torch.zeros(1, 3, 4, 4), [], network, config)
    assert [term.kind for term in objective.terms] == ["tv"]
