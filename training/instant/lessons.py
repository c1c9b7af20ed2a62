"""A lesson: a content, the distribution that each tap is to have, and J of what comes out."""

from __future__ import annotations

import random
from collections import OrderedDict
from dataclasses import dataclass

import torch
from torch import Tensor

from impasto.instant.decoder import Decoder
from impasto.instant.encoder import COLOR, SIZES, TAPS, Activations, Tap, encode, halved
from impasto.instant.objective import StyleGoal, style_weight, sums_of
from impasto.instant.pyramid import sharpened
from impasto.instant.transport import Gaussian, geodesic
from impasto.networks.stage import Network
from training.instant.judge import LAYER
from training.instant.pictures import Gallery

JUDGE = Tap(-1, LAYER)
"""Where the judge's distribution is kept."""

POOL = 1500
"""Styles among which a step draws: the last so many; one is new at each step."""

FIRST = 48

PLAIN, IDENTITY = 0.75, 0.1
"""Shares of lessons that go all of the way to the style, and none; the others go a part of it."""

COARSEST, AGAIN = 0.25, 0.3
"""Shares of lessons that start from the content, and from what has been painted at their own size.
The others start from what has been painted at half of the size."""


@dataclass(frozen=True, eq=False)
class Lesson:
    """What the decoder is given, and what J compares its result with.

    content: shape (1, 3, side, side), and its activations. given: transported activations. goal:
    what the result is to be distributed like. amount: of the way to the style. start: the style
    term of the content, which J is in units of.
    """

    content: Tensor
    activations: Activations
    given: Activations
    goal: StyleGoal
    amount: float
    start: float


class Lessons:
    """Draws them, each from the seed and its number alone, so that a run can be resumed."""

    def __init__(
        self, network: Network, judge: Network | None, gallery: Gallery, side: int, seed: int
    ) -> None:
        self.network, self.judge, self.gallery = network, judge, gallery
        self.side, self.seed = side, seed
        self._styles: OrderedDict[int, StyleGoal] = OrderedDict()

    @torch.no_grad()
    def lesson(self, decoder: Decoder, step: int, number: int, side: int) -> Lesson:
        """The number-th one of a step, with a content of so many pixels.

        decoder: paints what the lesson starts from.
        """
        draw = random.Random(f"{self.seed} {step} {number}")
        last = FIRST + step
        style = self.style(draw.randrange(max(0, last - POOL), last))
        content = self.gallery.content(side, f"{self.seed} content {step} {number}")[None]
        kind, amount = draw.random(), 1.0
        if kind > PLAIN:
            amount = draw.uniform(0.3, 1) if kind < 1 - IDENTITY else 0.0
        kind = draw.random()
        passes = 0 if kind < COARSEST else 2 if kind > 1 - AGAIN else 1
        return self.made(decoder, content, style, amount, passes)

    @torch.no_grad()
    def made(
        self, decoder: Decoder, content: Tensor, style: StyleGoal, amount: float, passes: int
    ) -> Lesson:
        """A lesson of a content, shape (1, 3, side, side).

        passes: what it starts from: 0, the content; 1, a result at half of the size; 2, the result
        that this gives.
        """
        shown = encode(self.network, content)
        own = {tap: Gaussian.of(sums_of(f)) for tap, f in (shown | {COLOR: content}).items()}
        if self.judge is not None:
            own[JUDGE] = Gaussian.of(sums_of(self.judge(content, {LAYER})[LAYER]))
        goal, start = style, 0.0
        for tap, gaussian in own.items():
            if tap == JUDGE:
                continue
            start += style_weight(tap) * apart(gaussian, style.gaussians[tap])
        if amount < 1:
            goal = StyleGoal(
                {tap: geodesic(g, style.gaussians[tap], amount) for tap, g in own.items()}
            )
        given = goal.moved(shown, own)
        if passes:
            small, other = halved(content), smaller(style)
            coarse = self.painted(decoder, small, other, amount)
            given = goal.moved(encode(self.network, sharpened(content, small, coarse)))
        if passes > 1:
            again = goal.colored(decoder(given)).clamp(0, 1)
            given = goal.moved(encode(self.network, again))
        return Lesson(content, shown, given, goal, amount, start)

    def painted(self, decoder: Decoder, content: Tensor, style: StyleGoal, amount: float) -> Tensor:
        """The result of one pass from the content."""
        shown = encode(self.network, content)
        own = {tap: Gaussian.of(sums_of(f)) for tap, f in (shown | {COLOR: content}).items()}
        if amount < 1:
            style = StyleGoal(
                {tap: geodesic(g, style.gaussians[tap], amount) for tap, g in own.items()}
            )
        return style.colored(decoder(style.moved(shown, own))).clamp(0, 1)

    @torch.no_grad()
    def style(self, number: int) -> StyleGoal:
        """The number-th style of all."""
        if number not in self._styles:
            x = self.gallery.style(self.side, f"{self.seed} style {number}")[None]
            self._styles[number] = self.measured(x)
            if len(self._styles) > POOL:
                self._styles.popitem(last=False)
        return self._styles[number]

    @torch.no_grad()
    def measured(self, x: Tensor) -> StyleGoal:
        """The style of a picture, shape (1, 3, height, width), at its size and at half of it."""
        found = {tap: Gaussian.of(sums_of(f)) for tap, f in encode(self.network, x).items()}
        found[COLOR] = Gaussian.of(sums_of(x))
        coarsest = [tap for tap in TAPS if tap.size == SIZES - 1]
        for tap, f in encode(self.network, halved(x), coarsest).items():
            found[Tap(tap.size + 1, tap.layer)] = Gaussian.of(sums_of(f))
        if self.judge is not None:
            found[JUDGE] = Gaussian.of(sums_of(self.judge(x, {LAYER})[LAYER]))
        return StyleGoal(found)


def smaller(style: StyleGoal) -> StyleGoal:
    """The style at half of its size."""
    found = {tap: style.gaussians[Tap(tap.size + 1, tap.layer)] for tap in TAPS}
    return StyleGoal(found | {COLOR: style.gaussians[COLOR]})


def apart(one: Gaussian, other: Gaussian) -> float:
    """About the squared Wasserstein distance over the number of channels: of each channel alone."""
    spread, others = (each.covariance.diagonal().clamp_min(0).sqrt() for each in (one, other))
    means = (one.mean - other.mean).square().mean()
    return float(means + (spread - others).square().mean())
