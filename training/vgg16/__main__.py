"""python -m training.vgg16: packs VGG-16's published weights into the file that impasto carries."""

from __future__ import annotations

import argparse
import json
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from impasto.networks.calibration import unit_layers
from impasto.networks.embedded import SCALE, load_embedded
from impasto.networks.published import sha256
from impasto.networks.stage import Network
from impasto.networks.vgg import convolutions
from impasto.networks.weights import load_vgg
from training.lite.__main__ import HELD_BACK
from training.lite.pictures import Pictures

DEEPEST = "relu5_1"
SIDE = 256
LEVELS = 127


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pictures", type=Path, required=True, help="folder of photographs")
    parser.add_argument("--weights", type=Path, required=True, help="VGG-16 as torchvision has it")
    parser.add_argument("--output", type=Path, default=Path("vgg16.safetensors"))
    parser.add_argument("--log", type=Path, default=Path("quality.json"))
    arguments = parser.parse_args()
    paths = sorted(path for path in arguments.pictures.iterdir() if path.is_file())
    batches = Pictures(paths[:: max(2, len(paths) // HELD_BACK)]).plain_batches(SIDE)
    network = load_vgg(
        "vgg16", path=arguments.weights, values="auto", padding="replicate", pooling="max"
    ).requires_grad_(False)
    means = layer_means(network, batches)
    unit_layers(network, batches)
    pack(network, arguments.output, f"{arguments.weights.name}, {sha256(arguments.weights)[:16]}")
    packed = load_embedded(arguments.output, padding="replicate", pooling="max")
    report = {"means of the published layers": means, "errors": errors(network, packed, batches)}
    arguments.log.write_text(json.dumps(report, indent=2) + "\n")
    print(json.dumps(report, indent=2))


@torch.no_grad()
def layer_means(network: Network, batches: list[Tensor]) -> dict[str, float]:
    """Each layer's mean activation over the pictures."""
    layers = [name for name in network.layers if name.startswith("relu")]
    means = dict.fromkeys(layers, 0.0)
    for batch in batches:
        for name, activation in network(batch, set(layers)).items():
            means[name] += activation.mean().item() / len(batches)
    return means


def pack(network: Network, path: Path, provenance: str) -> None:
    """Writes the convolutions up to the deepest layer: weights as integers of 8 bits, with a scale
    an output channel; biases as they are."""
    tensors = {}
    for name, convolution in convolutions(network).items():
        weight, bias = convolution.weight, convolution.bias
        assert bias is not None
        scale = weight.abs().amax((1, 2, 3)) / LEVELS
        tensors[f"{name}.weight"] = (
            (weight / scale[:, None, None, None]).round().to(torch.int8).contiguous()
        )
        tensors[f"{name}.{SCALE}"] = scale
        tensors[f"{name}.bias"] = bias.clone()
        if name.replace("conv", "relu") == DEEPEST:
            break
    metadata = {
        "name": "vgg16",
        "description": "VGG-16 to relu5_1, each layer scaled to a mean activation of one; weights "
        "in 8 bits with a scale an output channel",
        "provenance": provenance,
        "license": "BSD-3-Clause (torchvision), see NOTICE",
    }
    save_file(tensors, path, metadata)


@torch.no_grad()
def errors(network: Network, packed: Network, batches: list[Tensor]) -> dict[str, dict[str, float]]:
    """Of each layer of the packed network: the relative squared error of its activations, and of
    their Gram matrices, over those of the network in 32 bits."""
    layers = [name for name in packed.layers if name.startswith("relu")]
    found = {layer: torch.zeros(4, dtype=torch.float64) for layer in layers}
    for batch in batches:
        theirs, ours = network(batch, set(layers)), packed(batch, set(layers))
        for layer in layers:
            a, b = theirs[layer].flatten(2).double(), ours[layer].flatten(2).double()
            g, h = a @ a.mT, b @ b.mT
            found[layer] += torch.stack(
                [(a - b).square().sum(), a.square().sum(), (g - h).square().sum(), g.square().sum()]
            )
    return {
        layer: {"activations": (s[0] / s[1]).item(), "Gram matrices": (s[2] / s[3]).item()}
        for layer, s in found.items()
    }


if __name__ == "__main__":
    main()
