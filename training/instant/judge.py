"""A deeper judge of style for the training: VGG-19 in a quarter of its width, to relu4_1.

Its file is one that Collaborative Distillation (Wang et al. 2020) publishes.
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor

from impasto.networks.calibration import unit_layers
from impasto.networks.stage import Network
from impasto.networks.vgg import convolutions, vgg
from impasto.networks.weights import read_weights

LAYER = "relu4_1"


def open_judge(path: Path, batches: list[Tensor]) -> Network:
    """Opens the encoder of a file, its layers brought to a mean of one on the pictures."""
    state = read_weights(path)
    widths = ((16, 16), (32, 32), (64,) * 4, (128,))
    network = vgg("judge", (2, 2, 4, 1), widths, dims=2, padding="reflect", last_pooling=False)
    for name, layer in convolutions(network).items():
        key = name.replace("_", "")
        weight, bias = state[f"{key}.weight"].float(), state[f"{key}.bias"].float()
        if name == "conv1_1":  # what normalizes colors goes into it
            bias = bias + torch.einsum("oihw,i->o", weight, state["conv0.bias"])
            weight = torch.einsum("oihw,ic->ochw", weight, state["conv0.weight"][:, :, 0, 0])
        layer.load_state_dict({"weight": weight, "bias": bias})
    network.trained = True
    unit_layers(network, batches)
    return network.requires_grad_(False)
