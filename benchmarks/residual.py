"""Whether smoothed activations help a residual network: an ECG in the style of another.

A 1-D ResNet of the user's own kind, with random weights, takes record 100 (MLII) to the noise of
challenge2015 a103l (II) and to PTB s0010 (ii), with Gram matrices alone and with the preset's
statistics beside them, activations plain and smoothed. The data are those of benchmarks.signals.

    python -m benchmarks.residual --data FOLDER
"""

from __future__ import annotations

import argparse
from dataclasses import replace
from itertools import product
from math import log
from pathlib import Path
from typing import Literal

import torch
from torch import Tensor, nn

from benchmarks._tables import machine, table
from benchmarks.signals import DEFAULT, METRICS, pairs, row
from impasto.config.presets import PRESETS
from impasto.media.signals.signal import Signal
from impasto.networks.user import user_network

NAME = "benchmarks.residual:ResNet"
LAYERS = ("relu", "layer1", "layer2", "layer3", "layer4")
PAIRS = ("100 MLII, a103l II", "100 MLII, PTB II")


class Block(nn.Module):
    """The basic block of He et al. 2016 over time."""

    def __init__(self, inputs: int, width: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv1d(inputs, width, 7, stride, padding=3, bias=False)
        self.bn1 = nn.BatchNorm1d(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv1d(width, width, 7, padding=3, bias=False)
        self.bn2 = nn.BatchNorm1d(width)
        self.shortcut = nn.Sequential(
            nn.Conv1d(inputs, width, 1, stride, bias=False), nn.BatchNorm1d(width)
        )

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        out: Tensor = self.relu(y + self.shortcut(x))
        return out


class ResNet(nn.Module):
    """Four stages of two blocks, 32 to 128 channels, and a head for five classes."""

    units = "mV"

    def __init__(self, *, dims: int, channels: int, rate: float) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.stem = nn.Conv1d(channels, 32, 15, 2, padding=7, bias=False)
        self.bn = nn.BatchNorm1d(32)
        self.relu = nn.ReLU(inplace=True)
        self.pool = nn.MaxPool1d(3, 2, padding=1)
        self.layer1 = nn.Sequential(Block(32, 32, 1), Block(32, 32, 1))
        self.layer2 = nn.Sequential(Block(32, 64, 2), Block(64, 64, 1))
        self.layer3 = nn.Sequential(Block(64, 96, 2), Block(96, 96, 1))
        self.layer4 = nn.Sequential(Block(96, 128, 2), Block(128, 128, 1))
        self.head = nn.Linear(128, 5)
        self.standardize(channels)

    def forward(self, x: Tensor) -> Tensor:
        x = self.pool(self.relu(self.bn(self.stem(x))))
        out: Tensor = self.head(self.layer4(self.layer3(self.layer2(self.layer1(x)))).mean(2))
        return out

    @torch.no_grad()
    def standardize(self, channels: int) -> None:
        """Batch normalizations that have seen noise, as after training, and weights as drawn."""
        self.train()
        for _ in range(30):
            self(torch.randn(8, channels, 2048).cumsum(2) / 30)


def entropy(values: Tensor) -> float:
    """Of the shares of all values in their sum, over the largest it can be; in [0, 1]."""
    shares = values.flatten().double() / values.sum()
    return float(-torch.special.xlogy(shares, shares).sum()) / log(shares.numel())


def entropies(style: Signal) -> None:
    """How evenly the activations of a style are spread: Wang et al. 2021, section 3."""
    network = user_network(NAME, dims=1, channels=1, rate=style.rate, wanted=LAYERS)
    found = network(torch.from_numpy(style.data)[None], LAYERS)
    lines = []
    for layer in LAYERS:
        values = found[layer]
        smooth = (values - values.max()).exp()
        most = values.max() / values.mean(), smooth.max() / smooth.mean()
        lines.append(
            [layer, *(f"{x:.3f}" for x in (entropy(values), entropy(smooth)))]
            + [f"{x:.0f}" for x in most]
        )
    table(["layer", "entropy, plain", "smoothed", "largest over mean, plain", "smoothed"], lines)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DEFAULT)
    found = pairs(parser.parse_args().data)
    print(machine())
    entropies(found[PAIRS[0]][1])
    print(flush=True)
    ecg = PRESETS["ecg"]
    lines = []
    bare = replace(ecg.objective, spectrum=0.0, autocorrelation=0.0, amplitude=0.0)
    smoothings: tuple[Literal["none", "softmax"], ...] = ("none", "softmax")
    for pair, statistics, smoothing in product(PAIRS, ("", "statistics"), smoothings):
        objective = replace(
            ecg.objective if statistics else bare,
            content_layers=("layer2",),
            style_layers=tuple((layer, 0.2) for layer in LAYERS),
            smoothing=smoothing,
        )
        config = replace(ecg, objective=objective, network=replace(ecg.network, network=NAME))
        lines.append([pair, statistics, smoothing, *row(*found[pair], config)])
        print(lines[-1], flush=True)
    table(["content, style", "beside Gram", "smoothing", "seconds", *METRICS], lines)


if __name__ == "__main__":
    main()
