"""MicroAST (Wang et al. 2023, Towards ultra-resolution arbitrary style transfer, AAAI), to measure
against: two small encoders, filters modulated by the style, a decoder."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional

from impasto.networks.weights import read_weights

FAINT = 1e-5
"""Added to variances, as in its code."""


class Convolution(nn.Module):
    """A convolution with reflected borders."""

    def __init__(self, inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1):
        super().__init__()
        self.conv_layer = nn.Conv2d(
            inputs,
            outputs,
            kernel,
            stride,
            padding=kernel // 2,
            padding_mode="reflect",
            groups=groups,
        )

    def forward(self, x: Tensor) -> Tensor:
        result: Tensor = self.conv_layer(x)
        return result


class Residual(nn.Module):
    """Two convolutions; where they are modulated, each is weight * conv(x) + bias * x."""

    def __init__(self) -> None:
        super().__init__()
        self.conv1, self.conv2 = Convolution(64, 64, 3), Convolution(64, 64, 3)

    def forward(
        self, x: Tensor, weight: Tensor | float = 1.0, bias: Tensor | float = 0.0
    ) -> Tensor:
        inner = functional.relu(weight * self.conv1(x) + bias * x)
        result: Tensor = x + weight * self.conv2(inner) + bias * inner
        return result


def encoder() -> nn.ModuleDict:
    down = [Convolution(3, 16, 9), nn.ReLU()]
    for inputs, outputs in ((16, 32), (32, 64)):
        down += [
            Convolution(inputs, outputs, 3, 2, inputs),
            nn.ReLU(),
            Convolution(outputs, outputs, 1),
            nn.ReLU(),
        ]
    return nn.ModuleDict(
        {"enc1": nn.Sequential(*down, Residual()), "enc2": nn.Sequential(Residual())}
    )


def decoder() -> nn.ModuleDict:
    up: list[nn.Module] = []
    for inputs, outputs in ((64, 32), (32, 16)):
        up += [
            nn.Upsample(scale_factor=2, mode="bilinear"),
            Convolution(inputs, outputs, 3, 1, outputs),
            nn.ReLU(),
            Convolution(outputs, outputs, 1),
            nn.ReLU(),
        ]
    up.append(Convolution(16, 3, 9))
    return nn.ModuleDict({"dec1": Residual(), "dec2": Residual(), "dec3": nn.Sequential(*up)})


def modulator() -> nn.ModuleDict:
    names = ("weight1", "bias1", "weight2", "bias2")
    return nn.ModuleDict(
        {
            name: nn.Sequential(Convolution(64, 64, 3, 1, 64), nn.AdaptiveAvgPool2d((1, 1)))
            for name in names
        }
    )


class MicroAst:
    """The four networks.

    Args:
        folder: where microast_content_encoder.pth and the others are.
    """

    def __init__(self, folder: Path) -> None:
        self.content, self.style = encoder(), encoder()
        self.modulator, self.decoder = modulator(), decoder()
        parts = {
            "content_encoder": self.content,
            "style_encoder": self.style,
            "modulator": self.modulator,
            "decoder": self.decoder,
        }
        for name, part in parts.items():
            part.load_state_dict(read_weights(folder / f"microast_{name}.pth"))
            part.requires_grad_(False)

    @torch.no_grad()
    def __call__(self, content: Tensor, style: Tensor, amount: float = 1.0) -> Tensor:
        """The result, values in [0, 1], shape (1, 3, h, w) of the content."""
        height, width = content.shape[2:]
        content = _in_fours(content)
        x, s = (
            self._encoded(each, picture)
            for each, picture in ((self.content, content), (self.style, _in_fours(style)))
        )
        filters = {name: part(s[int(name[-1]) - 1]) for name, part in self.modulator.items()}
        y = torch.lerp(x[1], _normalized(x[1], s[1]), amount)
        y = self.decoder["dec1"](y, filters["weight2"], filters["bias2"])
        y = torch.lerp(y, _normalized(y, s[0]), amount)
        y = self.decoder["dec2"](y, filters["weight1"], filters["bias1"])
        result: Tensor = self.decoder["dec3"](y)[..., :height, :width]
        return result.clamp(0, 1)

    def _encoded(self, network: nn.ModuleDict, picture: Tensor) -> tuple[Tensor, Tensor]:
        first = network["enc1"](picture)
        return first, network["enc2"](first)


def _in_fours(picture: Tensor) -> Tensor:
    """The picture with sides that are multiples of 4, its border repeated."""
    down, across = (-side % 4 for side in picture.shape[2:])
    return functional.pad(picture, (0, across, 0, down), mode="replicate")


def _normalized(x: Tensor, style: Tensor) -> Tensor:
    """x with the style's mean and deviation in each channel."""
    (ours, mean), (theirs, goal) = (
        ((each.var((2, 3), keepdim=True) + FAINT).sqrt(), each.mean((2, 3), keepdim=True))
        for each in (x, style)
    )
    return (x - mean) / ours * theirs + goal
