"""Paintings of photographs, by the brush of examples/painter.py: styles that nobody painted."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from examples.painter import LAYERS, Floats, Scene, bristles, lay, light, scatter


@dataclass(frozen=True)
class Motif(Scene):
    """A photograph as the scene.

    Attributes:
        colors: shape (height, width, 3), in 0..255.
        directions: of the strokes, along edges where there are any, shape (height, width).
        strength: how much a color wanders from stroke to stroke.
    """

    colors: Floats
    directions: Floats
    strength: float

    def flow(self, points: Floats) -> Floats:
        rows, columns = self._places(points)
        return np.asarray(self.directions[rows, columns])

    def pigments(self, points: Floats, wander: Floats) -> Floats:
        rows, columns = self._places(points)
        shade = 1 + self.strength * wander[:, None]
        return np.asarray((self.colors[rows, columns] * shade).clip(0, 255))

    def _places(self, points: Floats) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        height, width = self.directions.shape
        x, y = (points * max(height, width)).astype(int).T
        return y.clip(0, height - 1), x.clip(0, width - 1)


def painted(photograph: Tensor, seed: int) -> Tensor:
    """Repaints a picture: values in [0, 1], shape (3, height, width), both.

    The seed chooses the size of the brush, the palette, the thickness of the paint and the strokes.
    """
    rng = np.random.default_rng(seed)
    colors = palette(photograph.double().numpy().transpose(1, 2, 0), rng)
    height, width = colors.shape[:2]
    long_side = max(height, width)
    motif = Motif(
        width / long_side,
        height / long_side,
        np.zeros((0, 4)),
        np.zeros((0, 3)),
        255 * colors,
        flow(colors, rng),
        rng.uniform(0.02, 0.2),
    )
    canvas = np.zeros((height, width, 4), np.float32)
    texture = bristles(rng)
    scale = math.exp(rng.uniform(math.log(0.5), math.log(1.8)))
    paint = rng.uniform(0.2, 1.5)
    kept = int(rng.integers(3, len(LAYERS) + 1))
    for breadth, reach, coverage, thickness in LAYERS[:kept]:
        brush = (scale * breadth, scale * reach, paint * thickness)
        density = coverage / (brush[0] * brush[1])
        points = scatter(motif.across, motif.down, density, rng)
        lay(canvas, texture, motif, points, brush, rng.choice((0.0, 0.03, 0.1)), rng)
    lit = torch.from_numpy(light(canvas).transpose(2, 0, 1) / 255)
    return lit.float().clamp(0, 1)


def palette(colors: Floats, rng: np.random.Generator) -> Floats:
    """Gives a picture few pigments: each color moves toward the nearest of some random ones."""
    count = int(rng.integers(4, 10))
    pigments = rng.uniform(0, 1, (count, 3))
    pigments += rng.uniform(0, 0.8) * (pigments.mean(1, keepdims=True) - pigments)
    away = np.square(colors[:, :, None] - pigments).sum(-1)
    near = np.exp(-(away - away.min(-1, keepdims=True)) / 0.04)
    mixed = (near / near.sum(-1, keepdims=True)) @ pigments
    return np.asarray(colors + rng.uniform(0, 1) * (mixed - colors))


def flow(colors: Floats, rng: np.random.Generator) -> Floats:
    """Returns directions along the edges of a picture, and along a swirl where there are none."""
    gray = torch.from_numpy(colors.mean(-1))[None, None]
    down, across = torch.gradient(gray, dim=(2, 3))
    products = torch.cat([across * across, across * down, down * down], 1)
    side = 2 * int(rng.integers(4, 12)) + 1
    pad = (side // 2,) * 4
    for _ in range(2):
        products = functional.avg_pool2d(functional.pad(products, pad, mode="replicate"), side, 1)
    xx, xy, yy = products[0].numpy()
    y, x = np.mgrid[: colors.shape[0], : colors.shape[1]] / max(colors.shape[:2])
    wave = rng.uniform(2, 9, 4)
    swirl = (
        2
        * rng.uniform(-1, 1, 2)
        @ np.stack(
            [np.sin(wave[0] * x + wave[1] * y).ravel(), np.cos(wave[2] * x - wave[3] * y).ravel()]
        )
    )
    weak = 1e-4 * rng.uniform(0.3, 4)
    doubled = 2 * (swirl.reshape(x.shape) + rng.uniform(0, math.pi))
    c = (yy - xx) + weak * np.cos(doubled)
    s = -2 * xy + weak * np.sin(doubled)
    return np.asarray(0.5 * np.arctan2(s, c))
