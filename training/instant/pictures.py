"""What the decoder learns on: contents, and styles that are more than photographs."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from training.instant.paintings import painted
from training.lite.pictures import Pictures, resized

PAINTED = 320
"""The long side of a painting."""

PAINTINGS = 0.45
"""Share of the styles that are paintings."""

RECOLORED = 0.6
"""Share of the styles that get other colors."""


class Gallery(Pictures):
    """Photographs, and paintings of some of them.

    Args:
        paths: the photographs.
        paintings: how many are painted.
        seed: chooses which, and how.
    """

    def __init__(self, paths: Sequence[Path], paintings: int, seed: int) -> None:
        super().__init__(paths)
        draw = random.Random(f"{seed} paintings")
        self.paintings = []
        for number in range(paintings):
            photograph = draw.choice(self.photographs)
            scale = PAINTED / max(photograph.shape[1:])
            space = [round(scale * side) for side in photograph.shape[1:]]
            small = torch.nn.functional.interpolate(
                photograph[None] / 255, space, mode="bicubic", antialias=True
            )
            picture = painted(small[0].clamp(0, 1), 1000 * seed + number)
            self.paintings.append((255 * picture).round().to(torch.uint8))

    def content(self, side: int, seed: str) -> Tensor:
        """A crop to be stylized, shape (3, side, side), values in [0, 1]."""
        draw = random.Random(seed)
        generator = torch.Generator().manual_seed(draw.getrandbits(48))
        crop = self.drawn(side, draw, generator)
        return recolored(crop, 0.15, draw, generator) if draw.random() < 0.2 else crop

    def style(self, side: int, seed: str) -> Tensor:
        """A style, shape (3, side, side), values in [0, 1]."""
        draw = random.Random(seed)
        generator = torch.Generator().manual_seed(draw.getrandbits(48))
        if draw.random() < PAINTINGS:
            painting = draw.choice(self.paintings)
            short = min(painting.shape[1:])
            length = round(short * math.exp(draw.uniform(math.log(0.5), 0)))
            top, left = (draw.randint(0, size - length) for size in painting.shape[1:])
            crop = resized(painting[:, top : top + length, left : left + length], side)
        else:
            crop = self.drawn(side, draw, generator)
        if draw.random() < RECOLORED:
            crop = recolored(crop, 0.4, draw, generator)
        if draw.random() < 0.12:  # flat colors, as in prints
            levels = draw.randint(3, 7)
            crop = (crop * levels - 0.5).round().clamp(0, levels - 1) / (levels - 1)
        if draw.random() < 0.15:
            crop = crop + draw.uniform(0, 0.1) * torch.randn(crop.shape, generator=generator)
        return crop.clamp(0, 1)


def recolored(crop: Tensor, much: float, draw: random.Random, generator: torch.Generator) -> Tensor:
    """Other colors and another contrast."""
    mix = torch.eye(3) + much * torch.randn((3, 3), generator=generator)
    center = crop.mean((1, 2), keepdim=True)
    contrast = math.exp(draw.gauss(0.1, 0.8 * much))
    shift = 0.4 * much * torch.randn((3, 1, 1), generator=generator)
    mixed = torch.einsum("ij,jhw->ihw", mix, (crop - center) * contrast) + center + shift
    return mixed.clamp(0, 1)
