"""A lesson: a content, the distribution that each tap is to have, and J of what comes out."""

from __future__ import annotations

import random
from collections import OrderedDict
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from impasto.grids.geometry import Region
from impasto.instant.encoder import GRAINS, TAPS, Activations, Tap, encode
from impasto.instant.grain import grain
from impasto.instant.transport import Affine, Gaussian, geodesic, transport
from impasto.losses.gram import MetricGram
from impasto.losses.wasserstein import Moments
from impasto.networks.stage import Network
from training.instant.judge import LAYER
from training.instant.pictures import Gallery

LAMBDA = {"relu1_1": 1.9, "relu2_1": 3.1, "relu3_1": 2.0}
"""Of each layer, as in `standard`."""

SIZES = (0.5, 0.3, 0.2)
"""The share of the style term that each size of the picture has."""

JUDGE = Tap(-1, LAYER)
"""Where the judge's distribution is kept."""

CONTENT = (Tap(0, "relu3_1"), Tap(1, "relu3_1"))
"""What the content term compares, with equal weights."""

POOL = 1500
"""Styles among which a step draws: the last so many; one is new at each step."""

FIRST = 48

PLAIN, IDENTITY = 0.6, 0.2
"""Shares of lessons that go all of the way to the style, and none; the others go a part of it."""


@dataclass(frozen=True, eq=False)
class Style:
    """The distribution of each tap, and its loss; JUDGE is one of them where there is a judge."""

    gaussians: dict[Tap, Gaussian]

    @cached_property
    def losses(self) -> dict[Tap, Moments]:
        return {tap: Moments(g.products, "mean") for tap, g in self.gaussians.items()}


def weight(tap: Tap, judged: float) -> float:
    """Of a tap in the style term."""
    return judged if tap == JUDGE else SIZES[tap.size] * LAMBDA[tap.layer]


def sums(activation: Tensor) -> Tensor:
    """The sums over positions of [f 1] [f 1]^T in double precision, shape (1, channel, h, w)."""
    return MetricGram.sums(activation, Region.all_of(tuple(activation.shape[2:]))).double()


@dataclass(frozen=True, eq=False)
class Lesson:
    """maps: the transport of each tap. goal: what the result is to be distributed like. amount: of
    the way to the style. start: the style term of the content, which J is in units of."""

    content: Tensor
    activations: Activations
    maps: dict[Tap, Affine]
    goal: Style
    amount: float
    start: float

    @property
    def moved(self) -> Activations:
        return {tap: self.maps[tap](f) for tap, f in self.activations.items()}


class Lessons:
    """Draws them, each from the seed and its number alone, so that a run can be resumed."""

    def __init__(
        self, network: Network, judge: Network | None, gallery: Gallery, side: int, seed: int
    ) -> None:
        self.network, self.judge, self.gallery = network, judge, gallery
        self.side, self.seed = side, seed
        self._styles: OrderedDict[int, Style] = OrderedDict()

    @torch.no_grad()
    def lesson(self, step: int, number: int, side: int) -> Lesson:
        """The number-th one of a step, with a content of so many pixels."""
        draw = random.Random(f"{self.seed} {step} {number}")
        last = FIRST + step
        style = self.style(draw.randrange(max(0, last - POOL), last))
        x = self.gallery.content(side, f"{self.seed} content {step} {number}")[None]
        kind = draw.random()
        amount = 1.0
        if kind > PLAIN:
            amount = draw.uniform(0.3, 1) if kind < 1 - IDENTITY else 0.0
        return self.made(x, style, amount, (draw.randrange(1000), draw.randrange(1000)))

    @torch.no_grad()
    def made(
        self, x: Tensor, style: Style, amount: float, noise: tuple[int, int] = (0, 0)
    ) -> Lesson:
        """A lesson of a content, shape (1, 3, side, side). noise: where it begins."""
        activations = encode(self.network, x)
        own = {tap: Gaussian.of(sums(f)) for tap, f in activations.items()}
        if self.judge is not None:
            own[JUDGE] = Gaussian.of(sums(self.judge(x, {LAYER})[LAYER]))
        goal, maps, start = style, {}, 0.0
        for tap, gaussian in own.items():
            way = transport(gaussian, style.gaussians[tap])
            shared = (way.matrix * gaussian.covariance).sum()
            spread = gaussian.covariance.trace() + style.gaussians[tap].covariance.trace()
            apart = (gaussian.mean - style.gaussians[tap].mean).square().sum()
            distance = float((apart + spread - 2 * shared) / len(gaussian.mean))
            start += weight(tap, 0.0) * max(0.0, distance)
            maps[tap] = way.part(amount)
        if amount < 1:
            goal = Style({tap: geodesic(g, style.gaussians[tap], amount) for tap, g in own.items()})
        maps.pop(JUDGE, None)
        region = Region.all_of(tuple(x.shape[2:]))
        for tap, of in GRAINS.items():
            activations[tap] = grain(tap, region, noise)
            deviation = amount * style.gaussians[of].deviation
            maps[tap] = Affine(deviation, torch.zeros_like(deviation[0]))
        return Lesson(x, activations, maps, goal, amount, start)

    @torch.no_grad()
    def style(self, number: int) -> Style:
        """The number-th style of all."""
        if number not in self._styles:
            x = self.gallery.style(self.side, f"{self.seed} style {number}")[None]
            self._styles[number] = self.measured(x)
            if len(self._styles) > POOL:
                self._styles.popitem(last=False)
        return self._styles[number]

    @torch.no_grad()
    def measured(self, x: Tensor) -> Style:
        """The style of a picture, shape (1, 3, height, width)."""
        found = {tap: Gaussian.of(sums(f)) for tap, f in encode(self.network, x, TAPS).items()}
        if self.judge is not None:
            found[JUDGE] = Gaussian.of(sums(self.judge(x, {LAYER})[LAYER]))
        return Style(found)
