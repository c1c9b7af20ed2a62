"""beat: a small network for ECGs that was trained to know waves and recorders.

It is no better for signals than random filters (README.md), so impasto does not carry it. In a
checkout it is a network of one's own:

    impasto stylize ecg.csv noisy.csv -o out.csv --network training.beat.network:beat \
        --content-layers relu3_2 \
        --style-layers relu1_2 0.2 relu2_2 0.2 relu3_2 0.2 relu4_2 0.2 relu5_2 0.2
"""

from __future__ import annotations

from pathlib import Path

import torch
from torch import nn

from impasto.networks.filterbank import bank
from impasto.networks.operations import Each
from impasto.networks.series import BLUR
from impasto.networks.stage import Network, Stage
from impasto.networks.vgg import Normalize, convolutions
from impasto.networks.weights import check_tensors, read_weights

WIDTHS = (16, 24, 32, 48, 64)
"""Output channels of each block's two convolutions."""

KERNEL = 7

FASTEST = 400.0
"""The highest rate in Hz that it was trained for; signals of a higher one are halved first."""

WEIGHTS = Path(__file__).with_name("beat.safetensors")


def beat(*, channels: int, rate: float) -> Network:
    """Returns the network with the weights that stand beside this module.

    Args:
        channels: how many leads the signals have.
        rate: positions per second.

    Raises:
        WeightsError: the file cannot be read, or holds something else.
    """
    return load(WEIGHTS, channels=channels, rate=rate)


@torch.no_grad()
def load(path: Path, *, channels: int, rate: float) -> Network:
    """Returns the network with the weights of a file that training/beat made.

    Args:
        path: the file.
        channels: how many leads the signals have.
        rate: positions per second.

    Raises:
        WeightsError: the file cannot be read, or holds something else.
    """
    state, network = read_weights(path), untrained(channels=channels, rate=rate)
    layers = convolutions(network)
    shapes = {
        f"{name}.{kind}": (len(tensor) // channels, *tensor.shape[1:])
        for name, layer in layers.items()
        for kind, tensor in layer.state_dict().items()
    }
    check_tensors(path, state, shapes, "beat, as training/beat writes them", "--network")
    for name, layer in layers.items():
        kinds = layer.state_dict()
        found = {kind: state[f"{name}.{kind}"].float() for kind in kinds}
        layer.load_state_dict(
            {k: x.repeat(channels, *(1,) * (x.ndim - 1)) for k, x in found.items()}
        )
    return network


def untrained(*, channels: int, rate: float) -> Network:
    """Returns the network of the layers relu1_1, relu1_2, ..., relu5_2, with random weights.

    It is VGG's shape over time, on each lead for itself.

    Args:
        channels: how many leads the signals have.
        rate: positions per second.

    Example:
        >>> import torch
        >>> network = untrained(channels=2, rate=500.0)
        >>> network(torch.zeros(1, 2, 640), ["relu2_1"])["relu2_1"].shape
        torch.Size([1, 48, 160])
    """
    stages: list[Stage] = []
    while rate > FASTEST:
        half = Each(bank(BLUR[None, None], "replicate", stride=2))
        stages.append(Stage([(f"half{len(stages) + 1}", half)], dims=1))
        rate /= 2
    inputs = 1
    for block, width in enumerate(WIDTHS, start=1):
        operations: list[tuple[str, nn.Module]] = []
        if block == 1:  # signals have a mean of 1/2
            operations.append(("_centered", Normalize([0.5] * channels, [1.0] * channels, 1)))
        for index in (1, 2):
            layer = nn.Conv1d(
                inputs * channels,
                width * channels,
                KERNEL,
                padding=KERNEL // 2,
                padding_mode="replicate",
                groups=channels,
            )
            operations += [(f"conv{block}_{index}", layer), (f"relu{block}_{index}", nn.ReLU())]
            inputs = width
        if block < len(WIDTHS):
            operations.append((f"pool{block}", nn.AvgPool1d(2)))
        stages.append(Stage(operations, dims=1))
    return Network("beat", stages, dims=1, channels=channels)
