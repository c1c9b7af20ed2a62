"""Trains `lite`: each step's lessons are drawn from the seed, so that a run can be repeated."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean

import torch
from torch import Tensor

from impasto.networks.stage import Network
from impasto.networks.vgg import convolutions
from training.lite.lessons import LAYERS, Lesson, Lessons, lesson
from training.lite.pictures import Pictures
from training.lite.student import Student, started

WEIGHTS = {"relu1_1": 4.0, "relu2_1": 4.0, "relu3_1": 2.0}
"""Of each layer's relative squared error."""

GRADIENT = 2.0
"""Weight of the gradients' relative squared error."""

WARM_UP, LEAST = 0.03, 0.005
"""Share of the steps in which the rate rises; the lowest rate over the highest."""

WORST = 4.0
"""What no gradient's relative squared error counts as more than."""

FIRST, NEXT = 64, 2
"""Lessons to begin with, and steps from one to the next."""

BATCH = 6
SHOWN = 160
"""Pictures that the student is started on."""

MEASURED = 56
"""Lessons on held-back photographs."""


@dataclass(frozen=True)
class Settings:
    """steps with pictures of `side` pixels, out of a pool of at most so many lessons.

    rate: the peak of the schedule; a weight moves by rate over its convolution's inputs, since
    channels have a mean of about one.
    """

    steps: int = 3500
    side: int = 128
    pool: int = 2500
    rate: float = 0.06
    seed: int = 0
    check: int = 500


@dataclass(frozen=True)
class School:
    """Who teaches what: a teacher, photographs to learn from, and others to be measured on."""

    teacher: Network
    pictures: Pictures
    held_back: Pictures
    settings: Settings

    def examination(self, student: Student) -> list[Lesson]:
        """Lessons on photographs that nobody has learned from."""
        seed, side, terms = self.settings.seed, self.settings.side, list(LAYERS)
        found = []
        for number in range(MEASURED):
            picture, style = self.held_back.batch(2, side, f"{seed} test {number}")[:, None]
            term = terms[number % len(terms)]
            found.append(lesson(self.teacher, student.chosen, picture, style, term))
        return found


def train(school: School, log: Path, write: Callable[[Student], None]) -> Student:
    """The trained student. At each check the log gets a JSON line, and what there is of the student
    is written: a run that is stopped leaves that."""
    began, settings = time.perf_counter(), school.settings
    torch.manual_seed(settings.seed)
    first = school.pictures.batch(SHOWN, settings.side, f"{settings.seed} start")
    student = started(school.teacher, first, settings.seed)
    before = copy.deepcopy(student).requires_grad_(False)
    examination = school.examination(student)

    def check(step: int) -> None:
        seconds = round(time.perf_counter() - began)
        line = {"step": step, "seconds": seconds, **measured(student, examination)}
        print(json.dumps(line), flush=True)
        with log.open("a") as file:
            file.write(json.dumps(line) + "\n")
        write(student)

    layers = list(convolutions(student.network).values())
    rates = [settings.rate / layer.weight[0].numel() for layer in layers]
    optimizer = torch.optim.Adam(
        [{"params": list(layer.parameters())} for layer in layers], betas=(0.9, 0.99)
    )
    lessons = Lessons(school.teacher, before, school.pictures, settings.side, settings.seed)
    pool = [lessons.another() for _ in range(FIRST)]
    for step in range(settings.steps):
        if step % settings.check == 0:
            check(step)
        if step and step % NEXT == 0 and len(pool) < settings.pool:
            pool.append(lessons.another())
        for group, rate in zip(optimizer.param_groups, rates, strict=True):
            group["lr"] = rate * max(schedule(step / settings.steps), LEAST)
        batch = lessons.draw.sample(pool, BATCH)
        features, gradients = errors(student, batch, training=True)
        loss = torch.stack([WEIGHTS[layer] * error for layer, error in features.items()]).sum()
        optimizer.zero_grad(set_to_none=True)
        (loss + GRADIENT * gradients.mean()).backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
    check(settings.steps)
    return student


def schedule(progress: float) -> float:
    """The learning rate over its peak: a rise, then half a cosine."""
    if progress < WARM_UP:
        return progress / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP)))


def errors(
    student: Student, batch: Sequence[Lesson], *, training: bool
) -> tuple[dict[str, Tensor], Tensor]:
    """The relative squared errors: of each layer's activations, and of each lesson's gradient."""
    x = torch.cat([each.picture.float() for each in batch])
    x = x.contiguous(memory_format=torch.channels_last).requires_grad_()
    given = student(x, batch[0].shown.keys())
    features = {}
    for layer, a in given.items():
        shown = torch.cat([each.shown[layer] for each in batch]).float()
        features[layer] = (a - shown).square().sum() / shown.square().sum().clamp_min(1e-6)
    pulled = [
        (given[each.layer][number] * each.cotangent[0].float() * each.peak).sum()
        for number, each in enumerate(batch)
    ]
    (gradient,) = torch.autograd.grad(torch.stack(pulled).sum(), x, create_graph=training)
    goal = torch.cat([each.gradient for each in batch]).float()
    return features, (gradient - goal).square().mean((1, 2, 3)).clamp_max(WORST)


def measured(student: Student, lessons: Sequence[Lesson]) -> dict[str, dict[str, float]]:
    """The errors, means over lessons, by layer."""
    features: dict[str, list[float]] = {}
    gradients: dict[str, list[float]] = {}
    for each in lessons:
        found, gradient = errors(student, [each], training=False)
        for layer, error in found.items():
            features.setdefault(layer, []).append(error.item())
        gradients.setdefault(each.term, []).append(gradient.item())
    return {
        "feature": {layer: round(mean(found), 4) for layer, found in features.items()},
        "gradient": {term: round(mean(gradients[term]), 4) for term in LAYERS},
    }
