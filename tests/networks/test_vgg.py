from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from impasto.errors import LayerError, SampleError
from impasto.networks.stage import Network
from impasto.networks.vgg import VGG16, VGG19, WIDTHS, Padding, Pooling, vgg
from tests.oracles import reference
from tests.strategies import normal, seeds, spaces


def tiny(dims: int, seed: int = 0, **settings: Any) -> Network:
    """Two blocks of two narrow convolutions, in float64."""
    torch.manual_seed(seed)
    return vgg("tiny", (2, 2), (3, 4), dims=dims, channels=2, **settings).double()


@given(
    spaces(smallest=4),
    seeds,
    st.sampled_from(["zero", "replicate", "reflect"]),
    st.sampled_from(["max", "average"]),
)
def test_every_layer_equals_the_oracle(
    space: tuple[int, ...], seed: int, padding: Padding, pooling: Pooling
) -> None:
    network = tiny(len(space), seed, padding=padding, pooling=pooling, mean=(0.4, 0.5), std=(2, 3))
    x = normal(seed, 1, 2, *space)
    expected = reference.activations(network, x[0].numpy())
    actual = network(x, network.layers)
    assert set(actual) == set(expected) == set(network.layers)
    for layer, activation in actual.items():
        np.testing.assert_allclose(activation[0].numpy(), expected[layer], rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    ("dims", "first", "second"),
    [(1, (1, 16, 10), (1, 32, 6)), (3, (1, 16, 10, 10, 10), (1, 32, 6, 6, 6))],
)
def test_the_sizes_of_the_course(
    dims: int, first: tuple[int, ...], second: tuple[int, ...]
) -> None:
    """14 x 1 (or 14 x 14 x 14 x 1), 16 filters of 5, then 32 of 5."""
    network = vgg("course", (1, 1), (16, 32), dims=dims, channels=1, kernel=5, padding="valid")
    one = torch.zeros(1, 1, *(14,) * dims)
    assert network(one, ["conv1_1"])["conv1_1"].shape == first
    convolution = network.stages[1].operations["conv2_1"]
    assert convolution(torch.zeros(first)).shape == second


def test_the_layers_have_their_published_names_and_widths() -> None:
    with torch.device("meta"):
        vgg19 = vgg("vgg19", VGG19, WIDTHS, dims=2)
        vgg16 = vgg("vgg16", VGG16, WIDTHS, dims=2)
        x = torch.empty(1, 3, 224, 224)
    shapes = {name: tuple(a.shape[1:]) for name, a in vgg19(x, vgg19.layers).items()}
    assert shapes["relu1_1"] == (64, 224, 224)
    assert shapes["relu4_2"] == (512, 28, 28)
    assert shapes["relu5_4"] == (512, 14, 14)
    assert shapes["pool5"] == (512, 7, 7)
    assert "conv3_4" in vgg19.layers
    assert "conv3_4" not in vgg16.layers
    assert sum(p.numel() for p in vgg16.parameters()) == 14_714_688
    assert sum(p.numel() for p in vgg19.parameters()) == 20_024_384


def test_work_past_the_last_wanted_layer_is_left_out(monkeypatch: pytest.MonkeyPatch) -> None:
    network = tiny(2)

    def refuse(x: torch.Tensor) -> torch.Tensor:
        raise AssertionError

    monkeypatch.setattr(network.stages[0].operations["pool1"], "forward", refuse)
    assert list(network(torch.zeros(1, 2, 16, 16).double(), ["relu1_1"])) == ["relu1_1"]
    with pytest.raises(AssertionError):
        network(torch.zeros(1, 2, 16, 16).double(), ["relu2_1"])


def test_widths_are_the_channels_of_each_layer() -> None:
    network = tiny(3)
    x = torch.zeros(1, 2, 9, 9, 9, dtype=torch.float64)
    for layer, activation in network(x, network.layers).items():
        assert network.widths[layer] == activation.shape[1]


def test_the_smallest_side() -> None:
    assert tiny(1).smallest_side(["relu1_1"]) == 1
    assert tiny(2).smallest_side(["relu2_1"]) == 2
    assert tiny(3).smallest_side(["pool2"]) == 4
    assert tiny(2, padding="reflect").smallest_side(["relu2_1"]) == 4


@pytest.mark.parametrize(
    ("layer", "remedy"),
    [("relu1_9", "did you mean relu1_"), ("fc6", "impasto networks")],
)
def test_an_unknown_layer_is_named(layer: str, remedy: str) -> None:
    with pytest.raises(LayerError, match=f"a layer of tiny .*'{layer}'.*{remedy}"):
        tiny(2)(torch.zeros(1, 2, 8, 8).double(), [layer])


def test_a_sample_of_another_kind_is_refused() -> None:
    with pytest.raises(SampleError, match="2 channels over 2 axes for tiny"):
        tiny(2)(torch.zeros(1, 3, 8, 8).double(), ["relu1_1"])
    with pytest.raises(SampleError, match="2 channels over 3 axes"):
        tiny(3)(torch.zeros(1, 2, 8, 8).double(), ["relu1_1"])
