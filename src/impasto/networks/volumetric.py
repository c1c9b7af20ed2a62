"""Networks for pictures as networks for volumes: slice by slice, or with inflated filters."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

from jaxtyping import Float
from torch import Tensor, nn

from impasto.networks.operations import Slices
from impasto.networks.stage import Network, Stage
from impasto.networks.vgg import AVERAGE_POOL, CONVOLUTION, MAX_POOL, Normalize

Filters = Literal["slices", "inflated"]
"""How a network for pictures sees volumes."""


class ClipAndRepeat(nn.Module):
    """Clips values to the intensity window, [0, 1], and repeats a single channel."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(
        self, x: Float[Tensor, "batch channel *space"]
    ) -> Float[Tensor, "batch shown *space"]:
        return x.clamp(0, 1).expand(-1, self.channels, *x.shape[2:])


def shown(network: Network, channels: int) -> Network:
    """Returns the network for volumes of so many channels: its own number, or 1.

    Values outside [0, 1] count as the nearest value inside, and their gradient is 0.
    """
    stages = network.prepend("_shown", ClipAndRepeat(network.channels))
    return _with_stages(network, stages, channels, turning=network.turning)


def sliced(network: Network) -> Network:
    """Returns a network for pictures applied to each slice of a volume across its first axis.

    Its filters are 1 x 3 x 3 and its poolings 1 x 2 x 2.
    """
    return _lift(network, Slices)


def inflate(network: Network) -> Network:
    """Returns a network for pictures with each filter repeated along a first axis.

    The repeated filter is divided by its depth, and poolings become cubes. Where all slices are
    alike, the result is that of the network for pictures (Carreira and Zisserman 2017, Quo vadis,
    action recognition?, section 2.3).
    """
    return _lift(network, _inflate_operation)


def _inflate_operation(operation: nn.Module) -> nn.Module:
    match operation:
        case nn.Conv2d():
            assert not isinstance(operation.padding, str)
            size = operation.kernel_size[0]
            deep = CONVOLUTION[2](
                operation.in_channels,
                operation.out_channels,
                size,
                padding=operation.padding[0],
                padding_mode=operation.padding_mode,
            )
            weight = operation.weight[:, :, None].expand_as(deep.weight) / size
            deep.weight = nn.Parameter(weight.contiguous())
            deep.bias = operation.bias
            return deep
        case nn.MaxPool2d():
            return MAX_POOL[2](2)
        case nn.AvgPool2d():
            return AVERAGE_POOL[2](2)
        case Normalize():
            return Normalize(operation.mean.flatten().tolist(), operation.std.flatten().tolist(), 3)
    return operation


def _lift(network: Network, lift: Callable[[nn.Module], nn.Module]) -> Network:
    stages = [
        Stage(
            [
                (name, operation if isinstance(operation, nn.ReLU) else lift(operation))
                for name, operation in stage.operations.items()
            ],
            dims=3,
            sources=stage.sources,
        )
        for stage in network.stages
    ]
    return _with_stages(network, stages, network.channels, turning=True)


def _with_stages(network: Network, stages: list[Stage], channels: int, *, turning: bool) -> Network:
    """Returns a network of other stages, with the metrics and flags of this one."""
    volumetric = Network(network.name, stages, dims=3, channels=channels, turning=turning)
    volumetric.metrics.update(network.metrics)
    volumetric.trained, volumetric.uneven = network.trained, network.uneven
    return volumetric
