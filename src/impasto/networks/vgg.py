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
"""What convolutions see beyond the border; `valid` pads nothing."""
Pooling = Literal["max", "average"]

WIDTHS = (64, 128, 256, 512, 512)
"""Output channels of each block."""
VGG16 = (2, 2, 3, 3, 3)
VGG19 = (2, 2, 4, 4, 4)
"""Convolutions of each block."""

IMAGENET = ((0.485, 0.456, 0.406), (0.229, 0.224, 0.225))
"""Mean and deviation of ImageNet's colors, with which torchvision normalizes pictures."""

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
    """Returns (x - mean) / std per channel.

    It turns pictures in [0, 1] into what the weights were trained on.
    """

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
    """Returns a VGG of any dimension, one stage per block, with random weights.

    Its layers are conv1_1, relu1_1, ..., pool1, ... `weights.load_vgg` fills in weights.

    Args:
        name: what messages call it.
        blocks: convolutions of each block.
        widths: output channels of each block, or of each convolution of a block.
        dims: how many axes the samples have, 1 to 3.
        channels: how many channels they have.
        kernel: positions along each side of a filter, odd.
        padding: what convolutions see beyond the border; `valid` pads nothing, so that each one
            shortens every axis by kernel - 1.
        pooling: how a block downsamples.
        mean: with `std`, for a layer that normalizes the sample.
        std: see `mean`.
        last_pooling: whether the last block ends with its pooling.

    Example:
        >>> network = vgg("tiny", blocks=(1, 1), widths=(4, 8), dims=2)
        >>> network(torch.zeros(1, 3, 16, 16), ["relu2_1"])["relu2_1"].shape
        torch.Size([1, 8, 8, 8])
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
    """Returns the convolutions of a network by the names of their layers."""
    return {
        name: operation
        for stage in network.stages
        for name, operation in stage.operations.items()
        if isinstance(operation, _ConvNd)
    }
