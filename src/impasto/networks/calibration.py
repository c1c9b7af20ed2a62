"""Activations brought to one scale."""

from __future__ import annotations

import torch
from jaxtyping import Float
from torch import Tensor, nn

from impasto.networks.stage import Network

FAINTEST = 0.1
"""The least mean that is brought to one, over that of all filters of the layer."""


@torch.no_grad()
def calibrate(network: Network, picture: Float[Tensor, "1 channel *space"]) -> None:
    """Brings the mean of each filter's activation over a picture to one.

    Gatys et al. 2016 (Image style transfer using convolutional neural networks, section 2): a ReLU
    passes scales on, and so do poolings, so filters divided by their means, and those after them
    multiplied, compute the same function but for the scale of each layer.
    Filters that hardly answer to the picture are multiplied by no more than FAINTEST allows.
    picture: held with a layer's activations at full size; 512 pixels are enough.
    network: a plain sequence of convolutions, ReLUs and poolings, as `vgg.vgg` makes it.
    """
    x, before = picture, torch.ones(picture.shape[1])
    for stage in network.stages:
        for operation in stage.operations.values():
            if not isinstance(operation, nn.Conv1d | nn.Conv2d | nn.Conv3d):
                x = operation(x)
                continue
            ones = (1,) * network.dims
            operation.weight *= before.reshape(1, -1, *ones)
            x = operation(x)
            mean = x.relu().flatten(2).mean((0, 2))
            mean = mean.clamp_min(FAINTEST * mean.mean().clamp_min(1e-6))
            operation.weight /= mean.reshape(-1, 1, *ones)
            assert operation.bias is not None
            operation.bias /= mean
            x, before = x / mean.reshape(1, -1, *ones), mean
