"""From transported activations to a picture, from coarse to fine.

A stage has one stride. It adds what it takes of the taps of that stride to what the stage before
found, enlarged, and goes on with convolutions. Bilinear enlargement leaves no checkerboard.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from impasto.instant.encoder import TAPS, Tap
from impasto.networks.weights import check_tensors, read_weights

WIDTHS = {16: 128, 8: 128, 4: 64, 2: 32, 1: 24}
"""Channels of each stage by its stride, in the order of computation."""

BLOCKS = {16: 2, 8: 2, 4: 2, 2: 1, 1: 0}
"""Residual blocks of each stage."""

EMBEDDED = Path(__file__).with_name("decoder.safetensors")


def _convolution(inputs: int, outputs: int, kernel: int = 3) -> nn.Conv2d:
    """A convolution that sees the border repeated, as the encoder does."""
    return nn.Conv2d(inputs, outputs, kernel, padding=kernel // 2, padding_mode="replicate")


class Block(nn.Module):
    """x + what two convolutions make of it."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = _convolution(width, width)
        self.second = _convolution(width, width)

    def forward(self, x: Float[Tensor, "batch width h w"]) -> Float[Tensor, "batch width h w"]:
        found: Tensor = x + self.second(functional.relu(self.first(functional.relu(x))))
        return found


class Stage(nn.Module):
    """All that is computed at one stride.

    Args:
        stride: one of `WIDTHS`.
        before: channels of the stage before; None for the first one.
    """

    def __init__(self, stride: int, before: int | None) -> None:
        super().__init__()
        width = WIDTHS[stride]
        self.stride = stride
        self.taps = tuple(tap for tap in TAPS if tap.stride == stride)
        self.inputs = nn.ModuleList(nn.Conv2d(tap.width, width, 1) for tap in self.taps)
        self.before = None if before is None else nn.Conv2d(before, width, 1, bias=False)
        blocks = nn.ModuleList(Block(width) for _ in range(BLOCKS[stride]))
        self.blocks: Sequence[Block] = blocks  # type: ignore[assignment]

    @property
    def reach(self) -> int:
        """How far a position sees beyond itself in what the stage is given, in pixels."""
        return 2 * len(self.blocks) * self.stride

    def forward(self, given: Mapping[Tap, Tensor], coarse: Tensor | None) -> Tensor:
        """Returns what the next stage takes.

        Args:
            given: transported activations, among them those of this stride.
            coarse: the result of the stage before.
        """
        x = None
        if self.before is not None and coarse is not None:
            x = functional.interpolate(
                self.before(coarse), scale_factor=2, mode="bilinear", align_corners=False
            )
        for tap, convolution in zip(self.taps, self.inputs, strict=True):
            part = convolution(given[tap])
            x = part if x is None else x.add_(part)
        for block in self.blocks:
            x = block(x)
        assert x is not None
        return x


class Decoder(nn.Module):
    """The stages, and the convolution that makes a picture of the last one's result."""

    def __init__(self) -> None:
        super().__init__()
        stages, before = [], None
        for stride, width in WIDTHS.items():
            stages.append(Stage(stride, before))
            before = width
        self.stages: Sequence[Stage] = nn.ModuleList(stages)  # type: ignore[assignment]
        self.picture = _convolution(WIDTHS[1], 3)
        self.to(memory_format=torch.channels_last)  # type: ignore[call-overload]

    def forward(
        self, given: Mapping[Tap, Tensor], coarse: Tensor | None = None
    ) -> Float[Tensor, "batch 3 height width"]:
        """Returns a picture, values about [0, 1].

        Args:
            given: transported activations of every tap.
            coarse: nothing; what the stages before gave where only the last ones are run.
        """
        for stage in self.stages:
            coarse = stage(given, coarse)
        assert coarse is not None
        return self.finished(coarse)

    def finished(self, last: Tensor) -> Float[Tensor, "batch 3 height width"]:
        """Returns the picture, from the result of the last stage."""
        picture: Tensor = self.picture(functional.relu(last)) + 0.5
        return picture


def load_decoder(path: Path = EMBEDDED) -> Decoder:
    """Returns the decoder with the weights of a file that training/instant made.

    Raises:
        WeightsError: the file cannot be read, or holds something else.
    """
    state = read_weights(path)
    decoder = Decoder()
    expected = {key: tuple(tensor.shape) for key, tensor in decoder.state_dict().items()}
    what = "a decoder, as training/instant and impasto tune write them"
    check_tensors(path, state, expected, what, "--decoder")
    decoder.load_state_dict({key: tensor.float() for key, tensor in state.items()})
    return decoder.requires_grad_(False).eval()
