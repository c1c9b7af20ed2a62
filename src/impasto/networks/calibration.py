"""Activations brought to one scale."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from impasto.networks.stage import Network
from impasto.networks.vgg import convolutions

FAINTEST = 0.5
"""What no filter's mean counts as less than, over the mean of all filters of the layer: fainter
ones are faint in these pictures more often than in all pictures."""

FAINTEST_MEAN = 1e-6
"""What no layer's mean counts as less than: silence stays silent."""


@torch.no_grad()
def calibrate(network: Network, pictures: Sequence[Float[Tensor, "1 channel *_"]]) -> None:
    """Brings the mean of each layer's activation over some pictures to one, filters to one another.

    Gatys et al. 2016 (Image style transfer using convolutional neural networks, section 2): a ReLU
    passes scales on, and so do poolings, so filters divided by their means, and those after them
    multiplied, compute the same function but for the scale of each filter.
    Theirs were the means over ImageNet. Filters that hardly answer to these pictures are brought up
    by no more than FAINTEST allows.
    pictures: held with a layer's activations at full size; 512 pixels are enough.
    network: a plain sequence of convolutions, ReLUs and poolings, as `vgg.vgg` makes it.
    """
    found, before = list(pictures), torch.ones(pictures[0].shape[1])
    for stage in network.stages:
        for operation in stage.operations.values():
            if not isinstance(operation, nn.Conv1d | nn.Conv2d | nn.Conv3d):
                found = [operation(x) for x in found]
                continue
            ones = (1,) * network.dims
            operation.weight *= before.reshape(1, -1, *ones)
            found = [operation(x) for x in found]
            mean = torch.stack([x.relu().flatten(2).mean((0, 2)) for x in found]).mean(0)
            scale = mean.clamp_min(FAINTEST * mean.mean().clamp_min(1e-6))
            scale *= (mean / scale).mean().clamp_min(1e-6)
            operation.weight /= scale.reshape(-1, 1, *ones)
            assert operation.bias is not None
            operation.bias /= scale
            found, before = [x / scale.reshape(1, -1, *ones) for x in found], scale


@torch.no_grad()
def unit_layers(network: Network, pictures: Sequence[Float[Tensor, "batch channel *_"]]) -> None:
    """Brings each layer's mean activation over some pictures to one.

    What a layer is divided by, the next one's filters are multiplied by: but for the scale of its
    layers the network computes the same.
    network: a plain sequence of convolutions, ReLUs and poolings, as `vgg.vgg` makes it.
    """
    layers = {name.replace("conv", "relu"): layer for name, layer in convolutions(network).items()}
    means = dict.fromkeys(layers, 0.0)
    for picture in pictures:
        for name, activation in network(picture, set(layers)).items():
            means[name] += activation.mean().item() / len(pictures)
    before = 1.0
    for name, layer in layers.items():
        mean = max(means[name], FAINTEST_MEAN)
        layer.weight *= before / mean
        assert layer.bias is not None
        layer.bias /= mean
        before = mean
