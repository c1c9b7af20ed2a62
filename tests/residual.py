"""Residual networks as people write them, over one, two or three axes."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

WIDTH = 4


def over(dims: int, kind: str) -> Any:
    """The class of nn of that kind for that many axes."""
    return getattr(nn, f"{kind}{dims}d")


def randomized(norm: Any) -> Any:
    """A batch normalization that has seen something."""
    for tensor in (norm.running_mean, norm.weight, norm.bias):
        nn.init.normal_(tensor, 0.5, 0.5)
    nn.init.uniform_(norm.running_var, 0.5, 2)
    return norm


class Plain(nn.Module):
    """He et al. 2016: two convolutions, the input added again."""

    def __init__(self, dims: int, width: int, stride: int) -> None:
        super().__init__()
        conv, norm = over(dims, "Conv"), over(dims, "BatchNorm")
        self.conv1 = conv(width, width, 3, stride, padding=2, dilation=2, bias=False)
        self.bn1 = randomized(norm(width))
        self.relu1 = nn.ReLU(inplace=True)
        self.conv2 = conv(width, width, 3, padding="same", groups=2, padding_mode="replicate")
        self.bn2 = randomized(norm(width))
        self.relu2 = nn.ReLU(inplace=True)
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1:
            self.shortcut = nn.Sequential(conv(width, width, 1, stride), randomized(norm(width)))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        y += self.shortcut(x)
        out: Tensor = self.relu2(y)
        return out


class Before(nn.Module):
    """Activations before the convolutions, the second of them gated; the first in place."""

    def __init__(self, dims: int, width: int, stride: int) -> None:
        super().__init__()
        self.bn = randomized(over(dims, "BatchNorm")(width))
        self.act = nn.SiLU()
        self.over = nn.LeakyReLU(0.1, inplace=True)
        self.conv = over(dims, "Conv")(width, width, 3, stride, padding=1)
        self.gate = over(dims, "Conv")(width, width, 1)
        self.pool = over(dims, "AvgPool")(3, stride, 1, count_include_pad=False)
        self.scale = nn.Parameter(torch.randn(width, *(1,) * dims))

    def forward(self, x: Tensor) -> Tensor:
        x = self.act(self.bn(x))
        y = self.conv(self.over(x))
        # What was x has been written over.
        return torch.add(self.pool(x), y * self.scale * torch.sigmoid(self.gate(y)), alpha=0.5)


class Dense(nn.Module):
    """Huang et al. 2017: everything so far goes into the next, side by side."""

    def __init__(self, dims: int, width: int, stride: int) -> None:
        super().__init__()
        conv = over(dims, "Conv")
        self.one = nn.Sequential(conv(width, 2, 3, padding=1), nn.PReLU(2))
        self.two = nn.Sequential(conv(width + 2, 2, 3, padding=1), nn.Tanh())
        self.mixed = conv(width + 4, width, 1)
        self.drop = nn.Dropout(0.5)
        self.pool = over(dims, "AvgPool")(3, stride, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = torch.cat([x, self.one(x)], dim=1)
        y = self.mixed(torch.cat((y, self.two(y)), 1))
        out: Tensor = self.pool(self.drop(y))
        return out


class Pooled(nn.Module):
    """No block of anybody's: poolings in parallel."""

    def __init__(self, dims: int, width: int, stride: int) -> None:
        super().__init__()
        self.dims, self.stride = dims, stride
        self.most = over(dims, "MaxPool")(2, stride, padding=1, dilation=2)
        self.last = nn.ELU()

    def forward(self, x: Tensor) -> Tensor:
        pool = getattr(functional, f"max_pool{self.dims}d")
        mean = getattr(functional, f"avg_pool{self.dims}d")
        y = pool(x, 3, stride=self.stride, padding=1) - mean(x, 3, self.stride, 1)
        out: Tensor = self.last(self.most(x) + y)
        return out


class Residual(nn.Module):
    """A stem, blocks of the kinds "p", "r" (pooled, residual), "b" and "d", every other one
    with half the resolution, and a head that looks at everything."""

    def __init__(self, blocks: str, dims: int, channels: int) -> None:
        super().__init__()
        kinds = {"r": Plain, "b": Before, "d": Dense, "p": Pooled}
        self.stem = over(dims, "Conv")(channels, WIDTH, 5, 2, padding=2)
        self.bn = randomized(over(dims, "BatchNorm")(WIDTH))
        self.relu = nn.ReLU(inplace=True)
        self.layers = nn.Sequential(
            *(kinds[kind](dims, WIDTH, 1 + index % 2) for index, kind in enumerate(blocks))
        )
        self.head = nn.Linear(WIDTH, 3)

    def forward(self, x: Tensor) -> tuple[Tensor, Tensor]:
        y = self.layers(self.relu(self.bn(self.stem(x))))
        pooled = y.flatten(2).mean(2)
        return self.head(pooled), pooled.view(pooled.size(0), -1)
