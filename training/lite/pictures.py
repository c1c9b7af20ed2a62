"""What the teachers are shown: crops of photographs at many scales, and textures drawn by code."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional

from impasto.media import as_sample

TEXTURES = 0.15
"""Share of crops that are textures instead of photographs."""


class Pictures:
    """Photographs in memory. Every draw takes its randomness from the generator it is given."""

    def __init__(self, paths: Sequence[Path]) -> None:
        self.photographs = []
        for path in paths:
            picture = torch.from_numpy(as_sample(path, (0,)).data)
            if len(picture) == 3:
                self.photographs.append((picture * 255).round().to(torch.uint8))

    def batch(self, count: int, side: int, seed: str) -> Tensor:
        """`count` augmented crops, shape (count, 3, side, side), values in [0, 1]."""
        draw = random.Random(seed)
        generator = torch.Generator().manual_seed(draw.getrandbits(48))
        return torch.stack([self._augmented(side, draw, generator) for _ in range(count)])

    def plain_batches(self, side: int) -> list[Tensor]:
        """The middle of every photograph, (up to 4, 3, side, side) each: for measuring."""
        middles = []
        for photograph in self.photographs:
            short = min(photograph.shape[1:])
            top, left = ((length - short) // 2 for length in photograph.shape[1:])
            crop = photograph[:, top : top + short, left : left + short]
            middles.append(resized(crop, side))
        return [torch.stack(middles[i : i + 4]) for i in range(0, len(middles), 4)]

    def _augmented(self, side: int, draw: random.Random, generator: torch.Generator) -> Tensor:
        crop = self.drawn(side, draw, generator)
        if draw.random() < 0.1:
            crop = torch.lerp(crop, self.drawn(side, draw, generator), draw.random())
        if draw.random() < 0.3:  # other colors than a camera's: paintings have them
            mix = torch.eye(3) + 0.3 * torch.randn((3, 3), generator=generator)
            center = crop.mean((1, 2), keepdim=True)
            contrast = math.exp(draw.gauss(0, 0.3))
            shift = 0.1 * torch.randn((3, 1, 1), generator=generator)
            crop = torch.einsum("ij,jhw->ihw", mix, (crop - center) * contrast) + center + shift
        if draw.random() < 0.4:  # what an optimizer on the way leaves: noise of every grain
            grain = draw.choice((1, 1, 2, 4))
            noise = torch.randn((1, 3, side // grain, side // grain), generator=generator)
            noise = functional.interpolate(noise, (side, side), mode="bilinear")
            crop = crop + draw.uniform(0, 0.2) * noise[0]
        return crop.clamp(0, 1)

    def drawn(self, side: int, draw: random.Random, generator: torch.Generator) -> Tensor:
        """A crop of a photograph, or a texture, as it is: shape (3, side, side)."""
        if draw.random() < TEXTURES:
            return _texture(side, draw, generator)
        photograph = draw.choice(self.photographs)
        short = min(photograph.shape[1:])
        length = round(math.exp(draw.uniform(math.log(min(side * 0.6, short)), math.log(short))))
        top, left = (draw.randint(0, size - length) for size in photograph.shape[1:])
        crop = resized(photograph[:, top : top + length, left : left + length], side)
        if draw.random() < 0.5:
            crop = crop.flip(2)
        return crop.transpose(1, 2) if draw.random() < 0.1 else crop


def resized(crop: Tensor, side: int) -> Tensor:
    scaled = functional.interpolate(
        crop[None] / 255, (side, side), mode="bicubic", antialias=True, align_corners=False
    )
    return scaled[0].clamp(0, 1)


def _texture(side: int, draw: random.Random, generator: torch.Generator) -> Tensor:
    """Noise of a random spectrum and direction, as it is or cut into patches of flat color."""
    noise = torch.randn((3, side, side), generator=generator)
    y = torch.fft.fftfreq(side)[:, None]
    x = torch.fft.rfftfreq(side)[None]
    angle, stretch = draw.uniform(0, math.pi), math.exp(draw.uniform(0, 1.5))
    along = x * math.cos(angle) + y * math.sin(angle)
    across = (y * math.cos(angle) - x * math.sin(angle)) * stretch
    radius = (along.square() + across.square()).sqrt().clamp_min(1 / side)
    if draw.random() < 0.4:  # a band: stripes, scales, cells
        center = math.exp(draw.uniform(math.log(0.02), math.log(0.4)))
        gain = torch.exp(-((radius / center).log() / draw.uniform(0.1, 0.6)).square())
    else:
        gain = radius ** -draw.uniform(0.5, 2.5)
    noise = torch.fft.irfft2(torch.fft.rfft2(noise) * gain, s=(side, side))
    noise = (noise - noise.mean()) / noise.std().clamp_min(1e-6)
    if draw.random() < 0.5:
        count = draw.randint(2, 6)
        palette = torch.rand((count, 3), generator=generator)
        levels = (torch.sigmoid(1.5 * noise[0]) * count).long().clamp(0, count - 1)
        return palette[levels].permute(2, 0, 1)
    colors = torch.randn((3, 3), generator=generator)
    mixed = torch.einsum("ij,jhw->ihw", colors, noise) * draw.uniform(0.03, 0.2)
    return (mixed + torch.rand((3, 1, 1), generator=generator)).clamp(0, 1)
