"""Lessons: pictures, what the teacher shows of them, and a gradient by them.

What an optimizer follows is the gradient. So a student is to have the teacher's: of a distance at
one layer, pulled back to the picture. Both pull back the same cotangent, since a student's channel
stands for one of the teacher's.
"""

from __future__ import annotations

import random
from dataclasses import dataclass

import torch
from torch import Tensor

from impasto.grids.geometry import Region
from impasto.losses.gram import MetricGram
from impasto.losses.wasserstein import Moments
from impasto.networks.stage import Network
from training.lite.pictures import Pictures
from training.lite.student import Student

LAYERS = {
    "relu1_1": 1,
    "relu2_1": 3,
    "relu3_1": 5,
    "relu3_1 content": 2,
}
"""Where gradients are taken, each so often: of the style term at a layer, or of the content's."""

STYLE = {"relu1_1": 0.95, "relu2_1": 1.55, "relu3_1": 1.0}
"""The layers whose distances a picture on its way follows, with their weights."""

RATE, STEPS, KEPT = 0.03, 24, (4, 8, 14, 24)
"""Of a picture on its way: Adam's step, how many, and after which it becomes a lesson."""

EVERY = 24
"""Lessons from one such picture to the next."""


@dataclass(frozen=True)
class Lesson:
    """shown: the teacher's chosen channels by layer. term: where the gradient is taken, one of
    LAYERS. cotangent: dJ/da there; gradient: what comes of it at the picture, of a root mean square
    of one. All in half precision, batch of 1; peak: what the cotangent is in units of."""

    picture: Tensor
    shown: dict[str, Tensor]
    term: str
    cotangent: Tensor
    peak: Tensor
    gradient: Tensor

    @property
    def layer(self) -> str:
        """Of its gradient."""
        return self.term.split()[0]


class Lessons:
    """Draws lessons, all from a seed.

    One in six or so comes from a picture on its way from a content to a style, by gradients through
    the student as it began: what that leaves in pictures, the teacher is asked about.
    """

    def __init__(
        self,
        teacher: Network,
        student: Student,
        pictures: Pictures,
        side: int,
        seed: int,
    ) -> None:
        self.teacher, self.student, self.pictures = teacher, student, pictures
        self.side, self.seed = side, seed
        self.draw = random.Random(seed)
        self.made = 0
        self.on_the_way: list[tuple[Tensor, Tensor]] = []

    def another(self) -> Lesson:
        """The next one."""
        term = self.draw.choices(list(LAYERS), list(LAYERS.values()))[0]
        if not self.on_the_way and self.made % EVERY == 0:
            seen = self.pictures.batch(2, self.side, f"{self.seed} way {self.made}")
            self.on_the_way = on_the_way(self.student, *seen[:, None])
        self.made += 1
        if self.on_the_way and self.draw.random() < 0.5:
            picture, style = self.on_the_way.pop()
        else:
            both = self.pictures.batch(2, self.side, f"{self.seed} {self.made}")
            picture, style = both[:, None]
        return lesson(self.teacher, self.student.chosen, picture, style, term)


def lesson(
    teacher: Network,
    chosen: dict[str, Tensor],
    picture: Tensor,
    style: Tensor,
    term: str,
) -> Lesson:
    """Of a picture and a style, shape (1, 3, height, width) each."""
    layer = term.split()[0]
    x = picture.clone().requires_grad_()
    given = {name: a[:, chosen[name]] for name, a in teacher(x, set(STYLE)).items()}
    with torch.no_grad():
        goal = teacher(style, {layer})[layer][:, chosen[layer]]
    cotangent = dj_da(term, given[layer].detach(), goal)
    (gradient,) = torch.autograd.grad(given[layer], x, cotangent)
    size = gradient.square().mean().sqrt().clamp_min(1e-12)
    cotangent = cotangent / size
    peak = cotangent.abs().max()
    return Lesson(
        picture.half(),
        {name: a.detach().half() for name, a in given.items()},
        term,
        (cotangent / peak).half(),
        peak,
        (gradient / size).half(),
    )


def dj_da(term: str, a: Tensor, goal: Tensor) -> Tensor:
    """The derivative of the distance that the term is, by the activation."""
    if term.endswith("content"):
        return a - goal
    a = a.double().requires_grad_()
    (found,) = torch.autograd.grad(distance(moments(goal), a), a)
    return found.float()


def moments(style: Tensor) -> Moments:
    """W2 to a style's activations."""
    region = Region.all_of(tuple(style.shape[2:]))
    return Moments(MetricGram.sums(style.double(), region) / region.count, "mean", None)


def distance(loss: Moments, a: Tensor) -> Tensor:
    region = Region.all_of(tuple(a.shape[2:]))
    return loss.score(MetricGram.sums(a.double(), region), region.count)


def on_the_way(student: Student, content: Tensor, style: Tensor) -> list[tuple[Tensor, Tensor]]:
    """The picture as it is after some steps of Adam on the style term, each with the style."""
    with torch.no_grad():
        losses = {layer: moments(a) for layer, a in student(style, set(STYLE)).items()}
    x, found = content, []
    first, second = torch.zeros_like(x), torch.zeros_like(x)
    for step in range(1, STEPS + 1):
        x = x.requires_grad_()
        given = student(x, set(STYLE))
        parts = [factor * distance(losses[name], given[name]) for name, factor in STYLE.items()]
        j = torch.stack(parts).sum()
        (gradient,) = torch.autograd.grad(j, x)
        with torch.no_grad():
            first = 0.9 * first + 0.1 * gradient
            second = 0.99 * second + 0.01 * gradient * gradient
            length = (second / (1 - 0.99**step)).sqrt() + 1e-10
            x = (x - RATE * (first / (1 - 0.9**step)) / length).clamp(0, 1)
        if step in KEPT:
            found.append((x.detach().clone(), style))
    return found
