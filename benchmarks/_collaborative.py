"""One level of optimal transport with networks of Collaborative Distillation (Wang et al. 2020), to
measure against: encode to relu4_1, transport, decode."""

from __future__ import annotations

from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from impasto.instant.transport import Gaussian, transport
from impasto.networks.weights import read_weights

ENCODER = ("conv11", "conv12", "pool", "conv21", "conv22", "pool", "conv31", "conv32", "conv33",
           "conv34", "pool", "conv41")  # fmt: skip
DECODER = ("conv41", "up", "conv34", "conv33", "conv32", "conv31", "up", "conv22", "conv21", "up",
           "conv12", "conv11")  # fmt: skip


class Collaborative:
    """An encoder and its decoder.

    Args:
        folder: where cd_se4_16x_vgg19student_encoder.pth and cd_sd4_16x_decoder.pth are.
    """

    def __init__(self, folder: Path) -> None:
        self.encoder = read_weights(folder / "cd_se4_16x_vgg19student_encoder.pth")
        self.decoder = read_weights(folder / "cd_sd4_16x_decoder.pth")

    @torch.no_grad()
    def __call__(self, content: Tensor, style: Tensor, amount: float = 1.0) -> Tensor:
        """The result, values in [0, 1], shape (1, 3, h, w) of the content."""
        height, width = content.shape[2:]
        c, s = self._encoded(content), self._encoded(style)
        move = transport(_gaussian(c), _gaussian(s)).part(amount)
        y = move(c)
        for name in DECODER:
            if name == "up":
                y = functional.interpolate(y, scale_factor=2, mode="nearest")
            else:
                y = _convolved(y, self.decoder, name)
                y = y if name == "conv11" else y.relu()
        return y[..., :height, :width].clamp(0, 1)

    def _encoded(self, picture: Tensor) -> Tensor:
        down, across = (-side % 8 for side in picture.shape[2:])
        y = functional.pad(picture, (0, across, 0, down), mode="replicate")
        y = functional.conv2d(y, self.encoder["conv0.weight"], self.encoder["conv0.bias"])
        for name in ENCODER:
            pooled = name == "pool"
            y = functional.max_pool2d(y, 2) if pooled else _convolved(y, self.encoder, name).relu()
        return y


def _convolved(x: Tensor, state: dict[str, Tensor], name: str) -> Tensor:
    bordered = functional.pad(x, (1, 1, 1, 1), mode="reflect")
    return functional.conv2d(bordered, state[f"{name}.weight"], state[f"{name}.bias"])


def _gaussian(f: Tensor) -> Gaussian:
    rows = f[0].flatten(1).T.double()
    rows = torch.cat([rows, torch.ones_like(rows[:, :1])], 1)
    return Gaussian.of(rows.T @ rows)
