"""Scales activations: filters to equal means, layers to a mean of 1."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from jaxtyping import Float
from torch import Tensor, nn

from impasto.networks.stage import Network
from impasto.networks.vgg import convolutions

FAINTEST = 0.5
"""The smallest mean of a filter, over the mean of all filters of its layer.

A filter below it is more often faint in these pictures than in pictures in general.
"""

FAINTEST_MEAN = 1e-6
"""The smallest mean of a layer that is a divisor; a silent layer stays silent."""


@torch.no_grad()
def calibrate(network: Network, pictures: Sequence[Float[Tensor, "1 channel *_"]]) -> None:
    """Scales each layer, and its filters, to a mean activation of 1 over some pictures, in place.

    Gatys et al. 2016 (Image style transfer using convolutional neural networks, section 2) did so
    over ImageNet. ReLUs and poolings pass scales on. Therefore filters divided by their means, with
    the next layer's filters multiplied by them, compute the same function up to the scale of each
    filter. FAINTEST limits how much a filter that hardly answers is amplified.

    Args:
        network: a plain sequence of convolutions, ReLUs and poolings, such as `vgg.vgg` makes.
        pictures: each shape (1, channel, *space); 512 pixels are enough, since the activations of a
            layer over all pictures are in memory at a time.
    """
    activations, before = list(pictures), torch.ones(pictures[0].shape[1])
    for stage in network.stages:
        for operation in stage.operations.values():
            if not isinstance(operation, nn.Conv1d | nn.Conv2d | nn.Conv3d):
                activations = [operation(x) for x in activations]
                continue
            ones = (1,) * network.dims
            operation.weight *= before.reshape(1, -1, *ones)
            activations = [operation(x) for x in activations]
            mean = torch.stack([x.relu().flatten(2).mean((0, 2)) for x in activations]).mean(0)
            scale = mean.clamp_min(FAINTEST * mean.mean().clamp_min(1e-6))
            scale *= (mean / scale).mean().clamp_min(1e-6)
            operation.weight /= scale.reshape(-1, 1, *ones)
            assert operation.bias is not None
            operation.bias /= scale
            activations = [x / scale.reshape(1, -1, *ones) for x in activations]
            before = scale


@torch.no_grad()
def unit_layers(network: Network, pictures: Sequence[Float[Tensor, "batch channel *_"]]) -> None:
    """Scales each layer to a mean activation of 1 over some pictures, in place.

    The next layer's filters are multiplied by what a layer is divided by, so the network computes
    the same up to the scale of its layers.

    Args:
        network: a plain sequence of convolutions, ReLUs and poolings, such as `vgg.vgg` makes.
        pictures: each shape (batch, channel, *space).

    Example:
        >>> from impasto.networks.vgg import vgg
        >>> network, pictures = vgg("tiny", (1,), (4,), dims=2), [torch.rand(1, 3, 8, 8)]
        >>> unit_layers(network, pictures)
        >>> print(f"{network(pictures[0], ['relu1_1'])['relu1_1'].mean():.3f}")
        1.000
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
