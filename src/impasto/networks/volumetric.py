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


class Shown(nn.Module):
    """What a network is shown of values: those inside the window, [0, 1]; one channel thrice."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(
        self, x: Float[Tensor, "batch channel *space"]
    ) -> Float[Tensor, "batch shown *space"]:
        return x.clamp(0, 1).expand(-1, self.channels, *x.shape[2:])


def shown(network: Network, channels: int) -> Network:
    """The network, for volumes of so many channels: its own, or one.

    Values outside [0, 1] count as the nearest inside, and have no gradient.
    """
    stages = network.behind("_shown", Shown(network.channels))
    return _like(network, stages, channels, turning=network.turning)


def sliced(network: Network) -> Network:
    """A network for pictures, on each slice of a volume across its first axis.

    That is a network with filters of 1 x 3 x 3 and poolings of 1 x 2 x 2.
    """
    return _lifted(network, Slices)


def inflate(network: Network) -> Network:
    """A network for pictures with each filter repeated along a first axis, over its depth.

    Carreira and Zisserman 2017 (Quo vadis, action recognition?), section 2.3: on slices that are
    all alike it gives what the network for pictures gives. Poolings are cubes.
    """
    return _lifted(network, _inflated)


def _inflated(operation: nn.Module) -> nn.Module:
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


def _lifted(network: Network, lift: Callable[[nn.Module], nn.Module]) -> Network:
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
    return _like(network, stages, network.channels, turning=True)


def _like(network: Network, stages: list[Stage], channels: int, *, turning: bool) -> Network:
    found = Network(network.name, stages, dims=3, channels=channels, turning=turning)
    found.metrics.update(network.metrics)
    found.trained, found.uneven = network.trained, network.uneven
    return found
