"""VGG-16 in the package: what the file is, what it computes, what is refused."""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor
from torch.nn import functional

from impasto.config.presets import configure
from impasto.errors import WeightsError
from impasto.media.pictures.picture import Picture
from impasto.networks import layer_names
from impasto.networks.calibration import unit_layers
from impasto.networks.embedded import BLOCKS, VGG16, load_embedded, vgg16
from impasto.networks.vgg import IMAGENET, convolutions, vgg
from impasto.networks.weights import load_vgg
from impasto.transfer.network import network_for
from tests.strategies import normal
from training.vgg16.__main__ import errors, pack

WHOLE = Path(__file__).parents[3] / "shared/assets/weights/vgg16_convs.pth"
LAYERS = [layer for stage in layer_names("vgg16") for layer in stage if layer.startswith("relu")]


@pytest.fixture(scope="module")
def picture() -> Tensor:
    data = pytest.importorskip("skimage.data")
    return torch.from_numpy(data.astronaut()[::4, ::4] / 255.0).float().movedim(2, 0)[None]


def test_the_embedded_file_is_small_and_says_where_it_is_from() -> None:
    assert os.path.getsize(VGG16) <= 25e6
    with safe_open(VGG16, "pt") as file:
        metadata = file.metadata()
    assert metadata["license"].startswith("BSD-3-Clause (torchvision)")
    assert "vgg16_convs.pth" in metadata["provenance"]


def test_the_embedded_network_is_vgg_16_to_relu5_1() -> None:
    assert len(LAYERS) == sum(BLOCKS) == 11
    assert LAYERS[-1] == "relu5_1"


def test_activations_equal_convolutions_by_hand(picture: Tensor) -> None:
    """Integers times their channel's scale, convolved one after the other."""
    state = load_file(VGG16)
    mean, std = (torch.tensor(values).reshape(1, 3, 1, 1) for values in IMAGENET)
    x, found = (picture - mean) / std, {}
    for block, depth in enumerate(BLOCKS, start=1):
        for index in range(1, depth + 1):
            name = f"conv{block}_{index}"
            assert state[f"{name}.weight"].dtype is torch.int8
            weight = state[f"{name}.weight"] * state[f"{name}.scale"][:, None, None, None]
            padded = functional.pad(x, (1, 1, 1, 1), mode="replicate")
            x = functional.conv2d(padded, weight, state[f"{name}.bias"]).relu()
            found[f"relu{block}_{index}"] = x
        x = functional.max_pool2d(x, 2)
    network = load_embedded(padding="replicate", pooling="max")
    torch.testing.assert_close(network(picture, LAYERS), found, rtol=1e-3, atol=1e-3)
    for layer, activation in found.items():
        assert 0.3 < activation.mean() < 3, layer  # one, over the calibration's photographs


@pytest.mark.skipif(not WHOLE.is_file(), reason="VGG-16's published weights are not here")
def test_embedded_weights_compute_what_the_published_weights_do(picture: Tensor) -> None:
    """But for the scale of each layer, and eight bits."""
    whole = load_vgg("vgg16", path=WHOLE, values="auto", padding="replicate", pooling="max")
    network = load_embedded(padding="replicate", pooling="max")
    with torch.no_grad():
        theirs, ours = whole(picture, LAYERS), network(picture, LAYERS)
    for layer in LAYERS:
        scale = (theirs[layer] * ours[layer]).sum() / ours[layer].square().sum()
        error = (theirs[layer] - scale * ours[layer]).square().sum()
        assert error < 1e-3 * theirs[layer].square().sum(), layer


def test_packing_keeps_all_but_the_last_bits(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = vgg16(padding="replicate", pooling="max").requires_grad_(False)
    pack(network, tmp_path / "packed.safetensors", "made up")
    packed = load_embedded(tmp_path / "packed.safetensors", padding="replicate", pooling="max")
    x = normal(1, 1, 3, 32, 32).float().sigmoid()
    for name, layer in convolutions(packed).items():
        weight = convolutions(network)[name].weight
        step = weight.abs().amax((1, 2, 3), keepdim=True) / 127
        assert ((layer.weight - weight).abs() <= step * 0.501).all()
    found = errors(network, packed, [x])
    assert all(error["activations"] < 1e-2 for error in found.values())


@pytest.mark.parametrize(
    "damage", ["missing", "strange", "shape", "infinite", "truncated", "empty"]
)
def test_a_damaged_file_is_one_line(tmp_path: Path, damage: str) -> None:
    path, state = tmp_path / "vgg16.safetensors", load_file(VGG16)
    match damage:
        case "missing":
            del state["conv3_2.scale"]
        case "strange":
            state["conv9_1.weight"] = torch.zeros(1)
        case "shape":
            state["conv1_1.weight"] = state["conv1_1.weight"][:, :2].contiguous()
        case "infinite":
            state["conv1_1.scale"][0] = torch.inf
    save_file(state, path)
    if damage in ("truncated", "empty"):
        path.write_bytes(path.read_bytes()[: 5000 * (damage == "truncated")])
    with pytest.raises(WeightsError) as caught:
        load_embedded(path, padding="replicate", pooling="max")
    assert "\n" not in str(caught.value)
    assert str(path) in str(caught.value)


@pytest.mark.parametrize("dims", [1, 2, 3])
def test_layers_are_brought_to_a_mean_of_one(dims: int) -> None:
    torch.manual_seed(dims)
    network = vgg("narrow", (2, 2), (5, 6), dims=dims, channels=2).requires_grad_(False)
    pictures = [normal(seed, 1, 2, *(17, 12, 9)[:dims]).float().sigmoid() for seed in (1, 2)]
    layers = ["relu1_1", "relu1_2", "relu2_1", "relu2_2"]
    before = [network(x, layers) for x in pictures]
    unit_layers(network, pictures)
    after = [network(x, layers) for x in pictures]
    for layer in layers:
        mean = np.mean([found[layer].mean().item() for found in after])
        assert mean == pytest.approx(1, rel=1e-4)
        scale = np.mean([found[layer].mean().item() for found in before])
        for was, now in zip(before, after, strict=True):
            torch.testing.assert_close(now[layer] * scale, was[layer], rtol=1e-4, atol=1e-5)


def test_calibration_scales_the_users_weights_and_leaves_the_packages(tmp_path: Path) -> None:
    content = Picture(normal(1, 3, 40, 48).sigmoid().float().numpy())
    style = Picture(normal(2, 3, 36, 36).sigmoid().float().numpy())
    own = network_for(
        configure(network="vgg16", precision="fp32").complete(), content, None, [style]
    )
    x = torch.from_numpy(content.data)[None]
    packaged = load_embedded(padding="replicate", pooling="max")
    assert torch.equal(own(x, ["relu3_1"])["relu3_1"], packaged(x, ["relu3_1"])["relu3_1"])
    torch.manual_seed(0)
    numbers = (0, 2, 5, 7, 10, 12, 14, 17, 19, 21, 24)
    state = {
        f"features.{number}.{kind}": tensor
        for number, layer in zip(numbers, convolutions(packaged).values(), strict=True)
        for kind, tensor in (("weight", 3 * layer.weight), ("bias", layer.bias))
        if tensor is not None
    }
    save_file(
        {key: value.contiguous() for key, value in state.items()}, tmp_path / "mine.safetensors"
    )
    config = configure(
        network="vgg16", weights=str(tmp_path / "mine.safetensors"), precision="fp32"
    ).complete()
    network = network_for(config, content, None, [style])
    pictures = [torch.from_numpy(picture.data)[None] for picture in (content, style)]
    means = [network(picture, ["relu4_2"])["relu4_2"].mean().item() for picture in pictures]
    assert np.mean(means) == pytest.approx(1, rel=1e-3)
