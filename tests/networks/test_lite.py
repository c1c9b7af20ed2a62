from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from skimage.data import astronaut
from torch import Tensor

from impasto.config.config import Config
from impasto.config.presets import configure
from impasto.engine.gradient import value_and_grad
from impasto.engine.objective import StylePatch, build_objective
from impasto.errors import WeightsError
from impasto.grids.patch import Patch
from impasto.losses.gram import MetricGram
from impasto.media.pictures.picture import from_array
from impasto.networks.embedded import load_embedded
from impasto.networks.lite import EMBEDDED, METRIC, WIDTHS, load_lite
from impasto.networks.stage import Network

STYLE = {f"relu{block}_1" for block in range(1, 4)}


@pytest.fixture(scope="module")
def network() -> Network:
    return load_lite(padding="replicate", pooling="max")


@pytest.fixture(scope="module")
def picture() -> Tensor:
    return torch.from_numpy(from_array(astronaut(), (256,)).data)[None]


def test_the_file_of_lite_is_small_and_says_where_it_is_from() -> None:
    assert os.path.getsize(EMBEDDED) <= 4e6
    with safe_open(EMBEDDED, "pt") as file:
        metadata = file.metadata()
    assert metadata["license"].startswith("MIT")
    assert "BSD-3-Clause" in metadata["license"]
    assert "SHA-256" in metadata["provenance"]


def test_lite_has_the_shape_of_vgg_16(network: Network, picture: Tensor) -> None:
    activations = network(picture, STYLE)
    for block, (layer, activation) in enumerate(sorted(activations.items())):
        sides = [side >> block for side in picture.shape[2:]]
        assert activation.shape == (1, WIDTHS[block][0], *sides), layer
    theirs = load_embedded(padding="replicate", pooling="max").layers
    shared = theirs[: theirs.index("relu3_1") + 1]
    assert network.layers == tuple(layer for layer in shared if layer != "normalized")


def test_gradients_of_lite_point_where_those_of_vgg_16_do(
    network: Network, picture: Tensor
) -> None:
    """Of the style term that pictures are made by, as of the content term."""
    teacher = load_embedded(padding="replicate", pooling="max")
    config = configure().complete().objective
    content, style = Patch.whole(picture), Patch.whole(picture.flip(3) ** 2)
    x = torch.lerp(picture, picture.roll(3, 2), 0.5)
    for objective in (replace(config, alpha=0.0), replace(config, beta=0.0)):
        ours, theirs = (
            value_and_grad(
                build_objective(content, [StylePatch(style)], each, objective), x
            ).gradient.flatten()
            for each in (network, teacher)
        )
        assert torch.nn.functional.cosine_similarity(ours, theirs, dim=0) > 0.5


def test_activations_are_about_one(network: Network, picture: Tensor) -> None:
    for layer, activation in network(picture, STYLE).items():
        assert 0.2 < activation.mean() < 5, layer


def test_style_is_measured_in_the_metrics_of_lite(network: Network, picture: Tensor) -> None:
    assert set(network.metrics) == STYLE
    for root in network.metrics.values():
        torch.testing.assert_close(root, root.T)
        assert torch.linalg.eigvalsh(root).min() > -1e-4
    config = Config().complete().objective
    terms = build_objective(
        Patch.whole(picture), [StylePatch(Patch.whole(picture))], network, config
    ).terms
    assert {term.layer for term in terms if isinstance(term.loss, MetricGram)} == STYLE


def test_bfloat16_sees_nearly_the_same(picture: Tensor) -> None:
    network = load_lite(padding="replicate", pooling="max")
    exact = network(picture, STYLE)
    network.in_bfloat16()
    for layer, activation in network(picture, STYLE).items():
        assert activation.dtype == torch.bfloat16
        error = (activation - exact[layer]).norm() / exact[layer].norm()
        assert 1e-5 < error < 0.02, layer


def dropped(state: dict[str, Tensor]) -> None:
    del state["conv3_1.bias"]


def foreign(state: dict[str, Tensor]) -> None:
    state["fc6.weight"] = torch.zeros(2, 2)


def reshaped(state: dict[str, Tensor]) -> None:
    state["conv1_1.weight"] = torch.zeros(64, 3, 3, 3)


def poisoned(state: dict[str, Tensor]) -> None:
    state[f"{METRIC}relu3_1"][3, 5] = float("nan")


@pytest.mark.parametrize(
    ("spoil", "said"),
    [
        (dropped, "conv3_1.bias: no such tensor"),
        (foreign, "fc6.weight: which lite lacks"),
        (reshaped, "conv1_1.weight: shape (64, 3, 3, 3)"),
        (poisoned, "metric.relu3_1: infinite values or NaN"),
    ],
)
def test_other_weights_are_refused(
    tmp_path: Path, spoil: Callable[[dict[str, Tensor]], None], said: str
) -> None:
    state = load_file(EMBEDDED)
    spoil(state)
    save_file(state, tmp_path / "lite.safetensors")
    with pytest.raises(WeightsError) as caught:
        load_lite(tmp_path / "lite.safetensors", padding="replicate", pooling="max")
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_weights_without_metrics_are_taken(tmp_path: Path) -> None:
    state = {name: t for name, t in load_file(EMBEDDED).items() if METRIC not in name}
    save_file(state, tmp_path / "bare.safetensors")
    network = load_lite(tmp_path / "bare.safetensors", padding="replicate", pooling="average")
    assert not len(network.metrics)
