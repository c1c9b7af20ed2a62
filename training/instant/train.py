"""Trains the decoder. Every step is drawn from the seed and its number: a run can be resumed."""

from __future__ import annotations

import copy
import json
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from statistics import mean

import torch
from torch import Tensor

from impasto.instant.decoder import Decoder
from impasto.instant.encoder import COLOR, encode
from impasto.instant.objective import CONTENT, style_weight, sums_of
from impasto.networks.stage import Network
from training.instant.judge import LAYER
from training.instant.lessons import JUDGE, Lesson, Lessons
from training.instant.pictures import Gallery

WARM_UP, LEAST = 0.02, 0.005
"""Share of the steps in which the rate rises; the lowest rate over the highest."""

AVERAGE = 0.999
"""Of the running average of the weights, which is what is kept."""

FLOOR = 0.3
"""Added to the content's style term, in units of which J is: near pairs do not outweigh others."""

PIXELS, OUTSIDE, COLORS = 30.0, 10.0, 20.0
"""Weights of the squared error of a picture that is its own style, of values outside [0, 1], and of
what is left for the transport of colors to do."""

EXAMINED = 12
"""Held-back lessons."""

SMALL = 192
"""The contents' side in the first part of the training."""


@dataclass(frozen=True)
class Settings:
    """steps of so many contents of `side` pixels; the first `small` of them, a share, of SMALL.

    beta: the weight of style. deep: that of the judge's layer in it.
    judged: every so many steps have a judge.
    """

    steps: int = 5000
    batch: int = 2
    side: int = 256
    small: float = 0.8
    beta: float = 15.0
    deep: float = 2.0
    judged: int = 4
    rate: float = 1e-3
    seed: int = 0
    check: int = 250
    paintings: int = 32


@dataclass(frozen=True)
class School:
    """network: the encoder. judge: a deeper network for the style term, or none."""

    network: Network
    judge: Network | None
    gallery: Gallery
    held_back: Gallery
    settings: Settings

    def examination(self) -> list[partial[Lesson]]:
        """Lessons on photographs that nobody has learned from, but for decoder and passes."""
        side, seed = self.settings.side, f"{self.settings.seed} test"
        lessons = Lessons(self.network, self.judge, self.held_back, side, self.settings.seed)
        found = []
        for number in range(EXAMINED):
            style = lessons.measured(self.held_back.style(side, f"{seed} style {number}")[None])
            content = self.held_back.content(side, f"{seed} content {number}")[None]
            amount = 1.0 if number % 4 else 0.0
            found.append(partial(lessons.made, content=content, style=style, amount=amount))
        return found


def terms(school: School, lesson: Lesson, picture: Tensor, *, judged: bool) -> dict[str, Tensor]:
    """The parts of J of a picture that the decoder gives, shape (1, 3, h, w)."""
    found = encode(school.network, picture)
    styles = {tap: sums_of(f) for tap, f in found.items()}
    if judged and school.judge is not None:
        styles[JUDGE] = sums_of(school.judge(picture, {LAYER})[LAYER])
    deep = school.settings.deep * school.settings.judged
    losses = lesson.goal.losses
    style = [
        (deep if tap == JUDGE else style_weight(tap))
        * losses[tap].score(each, float(each[-1, -1].detach()))
        for tap, each in styles.items()
    ]
    content = [(found[tap] - lesson.activations[tap]).square().mean() for tap in CONTENT]
    outside = (picture - picture.clamp(0, 1)).square().mean()
    color = lesson.goal.losses[COLOR].score(sums_of(picture), float(picture[0, 0].numel()))
    return {
        "content": torch.stack(content).mean(),
        "style": torch.stack(style).sum().float(),
        "color": COLORS * color.float(),
        "outside": OUTSIDE * outside,
        "pixels": (PIXELS if lesson.amount == 0 else 0.0)
        * (picture - lesson.content).square().mean(),
    }


def total(parts: dict[str, Tensor], lesson: Lesson, beta: float) -> Tensor:
    """J in units of the content's own style term."""
    j = parts["content"] + beta * parts["style"]
    return j / (beta * (lesson.start + FLOOR)) + parts["color"] + parts["outside"] + parts["pixels"]


@dataclass
class State:
    """What a run has: saved at each check, and read again where it goes on."""

    decoder: Decoder
    average: Decoder
    optimizer: torch.optim.Adam
    step: int = 0
    seconds: float = 0.0

    @classmethod
    def begun(cls, settings: Settings) -> State:
        torch.manual_seed(settings.seed)
        decoder = Decoder()
        for stage in decoder.stages:
            for block in stage.blocks:
                torch.nn.init.zeros_(block.second.weight)
        optimizer = torch.optim.Adam(decoder.parameters(), betas=(0.9, 0.99))
        return cls(decoder, copy.deepcopy(decoder).requires_grad_(False), optimizer)

    def save(self, path: Path) -> None:
        part = path.with_suffix(".part")
        torch.save(
            {
                "decoder": self.decoder.state_dict(),
                "average": self.average.state_dict(),
                "optimizer": self.optimizer.state_dict(),
                "step": self.step,
                "seconds": self.seconds,
            },
            part,
        )
        part.replace(path)

    def start_from(self, path: Path) -> None:
        """Takes the weights of another run, as far as the decoder has them."""
        saved = torch.load(path, weights_only=True)["average"]
        known = {key: saved[key] for key in self.decoder.state_dict()}
        self.decoder.load_state_dict(known)
        self.average.load_state_dict(known)

    def resume(self, path: Path) -> None:
        saved = torch.load(path, weights_only=True)
        self.decoder.load_state_dict(saved["decoder"])
        self.average.load_state_dict(saved["average"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.step, self.seconds = saved["step"], saved["seconds"]


def train(school: School, state: State, log: Path, write: Callable[[State], None]) -> None:
    """Trains to the last step. At each check the log gets a JSON line, and `write` is called."""
    settings = school.settings
    began = time.perf_counter() - state.seconds
    lessons = Lessons(school.network, school.judge, school.gallery, settings.side, settings.seed)
    examination = school.examination()
    seen: list[dict[str, float]] = []

    def check() -> None:
        state.seconds = time.perf_counter() - began
        line: dict[str, object] = {"step": state.step, "seconds": round(state.seconds)}
        if seen:
            line["seen"] = averaged(seen)
            seen.clear()
        line["held_back"] = examined(school, state.average, examination)
        print(json.dumps(line), flush=True)
        with log.open("a") as file:
            file.write(json.dumps(line) + "\n")
        write(state)

    for step in range(state.step, settings.steps):
        if step % settings.check == 0:
            check()
        for group in state.optimizer.param_groups:
            group["lr"] = settings.rate * max(schedule(step / settings.steps), LEAST)
        side = SMALL if step < settings.small * settings.steps else settings.side
        batch = [
            lessons.lesson(state.average, step, number, side) for number in range(settings.batch)
        ]
        seen.append(learned(school, state, batch, judged=step % settings.judged == 0))
        state.step = step + 1
    check()


def learned(
    school: School, state: State, batch: Sequence[Lesson], *, judged: bool
) -> dict[str, float]:
    """Takes a step; returns the parts of J, means over the batch."""
    given = {
        tap: torch.cat([lesson.given[tap] for lesson in batch]).contiguous(
            memory_format=torch.channels_last
        )
        for tap in batch[0].given
    }
    pictures = state.decoder(given)
    j, found = [], []
    for number, lesson in enumerate(batch):
        parts = terms(school, lesson, pictures[number : number + 1], judged=judged)
        j.append(total(parts, lesson, school.settings.beta))
        found.append(
            {"j": float(j[-1].detach())} | {k: float(v.detach()) for k, v in parts.items()}
        )
    state.optimizer.zero_grad(set_to_none=True)
    torch.stack(j).mean().backward()  # type: ignore[no-untyped-call]
    torch.nn.utils.clip_grad_norm_(state.decoder.parameters(), 1.0)
    state.optimizer.step()
    keep = min(AVERAGE, (1 + state.step) / (10 + state.step))
    with torch.no_grad():
        pairs = zip(state.average.parameters(), state.decoder.parameters(), strict=True)
        for average, parameter in pairs:
            average.lerp_(parameter, 1 - keep)
    return averaged(found)


def schedule(progress: float) -> float:
    """The learning rate over its peak: a rise, then half a cosine."""
    if progress < WARM_UP:
        return progress / WARM_UP
    return 0.5 * (1 + math.cos(math.pi * (progress - WARM_UP) / (1 - WARM_UP)))


@torch.no_grad()
def examined(
    school: School, decoder: Decoder, lessons: Sequence[partial[Lesson]]
) -> dict[str, dict[str, float]]:
    """The parts of J: of one pass, of two sizes, and of two where the content is its own style."""
    found: dict[str, list[dict[str, float]]] = {}
    for make in lessons:
        for passes in (0, 1):
            lesson = make(decoder, passes=passes)
            parts = terms(school, lesson, decoder(lesson.given), judged=False)
            j = total(parts, lesson, school.settings.beta)
            kind = ("one size", "two sizes")[passes] if lesson.amount else "identity"
            start = {"start": lesson.start}
            values = {"j": float(j)} | {k: float(v) for k, v in parts.items()} | start
            found.setdefault(kind, []).append(values)
    return {kind: averaged(each) for kind, each in found.items()}


def averaged(found: Sequence[dict[str, float]]) -> dict[str, float]:
    return {key: float(f"{mean(each[key] for each in found):.4g}") for key in found[0]}
