"""The VGG family (Simonyan and Zisserman 2015) for signals, pictures and volumes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn.modules.conv import _ConvNd

from impasto.networks.stage import Network, Stage

Padding = Literal["zero", "replicate", "reflect", "periodic", "valid"]
Pooling = Literal["max", "average"]

WIDTHS = (64, 128, 256, 512, 512)
VGG16 = (2, 2, 3, 3, 3)
VGG19 = (2, 2, 4, 4, 4)
"""Convolutions of each block."""

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and deviation of its colors, by which torchvision's weights take theirs."""

CONVOLUTION = (nn.Conv1d, nn.Conv2d, nn.Conv3d)
MAX_POOL = (nn.MaxPool1d, nn.MaxPool2d, nn.MaxPool3d)
AVERAGE_POOL = (nn.AvgPool1d, nn.AvgPool2d, nn.AvgPool3d)
TORCH_PADDING: dict[str, Literal["zeros", "replicate", "reflect", "circular"]] = {
    "zero": "zeros",
    "valid": "zeros",
    "replicate": "replicate",
    "reflect": "reflect",
    "periodic": "circular",
}


class Normalize(nn.Module):
    """(x - mean) / std per channel: from a picture's [0, 1] to what the weights were trained on."""

    mean: Tensor
    std: Tensor

    def __init__(self, mean: Sequence[float], std: Sequence[float], dims: int) -> None:
        super().__init__()
        shape = (1, len(mean)) + (1,) * dims
        self.register_buffer("mean", torch.tensor(mean).reshape(shape))
        self.register_buffer("std", torch.tensor(std).reshape(shape))

    def forward(
        self, x: Float[Tensor, "batch channel *space"]
    ) -> Float[Tensor, "batch channel *space"]:
        return (x - self.mean) / self.std


def vgg(
    name: str,
    blocks: Sequence[int],
    widths: Sequence[int | Sequence[int]],
    *,
    dims: int,
    channels: int = 3,
    kernel: int = 3,
    padding: Padding = "replicate",
    pooling: Pooling = "max",
    mean: Sequence[float] | None = None,
    std: Sequence[float] | None = None,
    last_pooling: bool = True,
) -> Network:
    """A VGG of any dimension, one stage a block, its layers conv1_1, relu1_1, ..., pool1, ...

    blocks: convolutions of each block. widths: output channels of each block, or of each of its
    convolutions. padding `valid` pads nothing: each convolution shortens every axis by kernel - 1.
    last_pooling: whether the last block ends in its pooling. The weights are as torch initializes
    them; `weights.open_network` fills them.
    """
    convolution = CONVOLUTION[dims - 1]
    pool = (MAX_POOL if pooling == "max" else AVERAGE_POOL)[dims - 1]
    stages = []
    inputs = channels
    for block, (convolutions, width) in enumerate(zip(blocks, widths, strict=True), start=1):
        operations: list[tuple[str, nn.Module]] = []
        if block == 1 and mean is not None and std is not None:
            operations.append(("normalized", Normalize(mean, std, dims)))
        outputs = (width,) * convolutions if isinstance(width, int) else width
        for index, output in enumerate(outputs, start=1):
            layer = convolution(
                inputs,
                output,
                kernel,
                padding=0 if padding == "valid" else kernel // 2,
                padding_mode=TORCH_PADDING[padding],
            )
            operations += [(f"conv{block}_{index}", layer), (f"relu{block}_{index}", nn.ReLU())]
            inputs = output
        if block < len(blocks) or last_pooling:
            operations.append((f"pool{block}", pool(2)))
        stages.append(Stage(operations, dims=dims))
    return Network(name, stages, dims=dims, channels=channels)


def convolutions(network: Network) -> dict[str, _ConvNd]:
    """The convolutions of a network, by their layers' names."""
    return {
        name: operation
        for stage in network.stages
        for name, operation in stage.operations.items()
        if isinstance(operation, _ConvNd)
    }
