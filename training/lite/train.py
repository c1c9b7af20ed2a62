"""Trains `lite`. Every step is drawn from the seed and the step's number: a run that was stopped
goes on where its last checkpoint was, to the same end."""

from __future__ import annotations

import json
import random
import time
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from training.lite.pictures import Pictures
from training.lite.student import Student, augmented, continued, revive, rows, started
from training.lite.teachers import STYLE, Teachers

WEIGHTS = {"relu1_1": 1.0, "relu2_1": 1.0, "relu3_1": 1.5, "relu4_1": 2.0, "relu5_1": 2.0}
"""Of each style layer's errors: the deep ones are the hardest."""

HINT = 0.3
"""Of the errors of the layers in between."""

GRAM = 0.3
"""Of a layer's relative squared Gram error, beside its relative squared feature error."""

REVIVE = 0.7
"""Share of the steps in which channels that fell silent are given a new start."""

POSITIONS = 8000
"""Of a picture's layer, about as many as errors are taken over; an odd step visits all columns."""

POOL = 48
"""Pictures that the student itself is stylizing meanwhile, one of them shown a batch."""


@dataclass(frozen=True)
class Settings:
    """steps of `crops` crops of `side` pixels; rate: the peak of the one-cycle schedule.

    A weight moves by rate over its layer's inputs: activations are positive, of a mean of one, so
    that many small steps in step add up.
    """

    steps: int
    crops: int = 3
    side: int = 160
    rate: float = 0.13
    seed: int = 0
    check: int = 1000


def train(
    settings: Settings,
    teachers: Teachers,
    pictures: Pictures,
    held_back: list[Tensor],
    folder: Path,
    start: tuple[Path, str] | None,
) -> Student:
    """The trained student; its log (a JSON line a check) and checkpoint are in the folder.

    start: weights to go on from, instead of the teacher's own filters, and the layer up to which
    they stay as they are. Exits when the folder is that of a run with other settings.
    """
    log = folder / "log.jsonl"
    checkpoint = folder / "checkpoint.pt"
    begun = asdict(settings) | {"start": f"{start[0].name} {start[1]}" if start else "none"}
    saved = reopened(checkpoint, begun) if checkpoint.exists() else None
    torch.manual_seed(settings.seed)
    first_batch = pictures.batch(32, settings.side, f"{settings.seed} start")
    student = continued(teachers, first_batch, *start) if start else started(teachers, first_batch)
    layers = [
        module
        for module in student.modules()
        if isinstance(module, nn.Conv2d | nn.Linear) and module.weight.requires_grad
    ]
    rates = [settings.rate / layer.weight[0].numel() for layer in layers]
    optimizer = torch.optim.Adam([{"params": list(layer.parameters())} for layer in layers])
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, rates, total_steps=settings.steps, pct_start=0.05
    )
    pool = Pool(settings, pictures)
    first, seconds = 0, 0.0
    if saved:
        student.load_state_dict(saved["student"])
        optimizer.load_state_dict(saved["optimizer"])
        schedule.load_state_dict(saved["schedule"])
        pool.members = saved["pool"]
        first, seconds = saved["step"], saved["seconds"]
        student.units = saved["units"]
        kept = [line for line in log.read_text().splitlines() if json.loads(line)["step"] <= first]
        log.write_text("".join(f"{line}\n" for line in kept))
    else:
        _log(log, 0, 0.0, measured(student, teachers, held_back))
    began = time.perf_counter() - seconds
    for step in range(first, settings.steps):
        batch = pictures.batch(settings.crops, settings.side, f"{settings.seed} {step}")
        batch = torch.cat((batch, pool.step(student, step)))
        batch = batch.contiguous(memory_format=torch.channels_last)
        with torch.autocast("cpu", torch.bfloat16):
            with torch.no_grad():
                shown = teachers(batch, list(student.heads))
            given = student.activations(batch)
        loss = torch.zeros(())
        for layer, activation in given.items():
            feature, gram = errors(
                activation, shown[layer], student.root(layer), student.units[layer]
            )
            loss = loss + WEIGHTS.get(layer, HINT) * (feature + GRAM * gram)
        optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(student.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        done = step + 1
        if done % settings.check == 0 or done == settings.steps:
            if done <= REVIVE * settings.steps:
                shown_to = pictures.batch(16, settings.side, f"{settings.seed} silent {done}")
                revived = revive(student, shown_to, settings.seed + done)
                print(f"{revived} silent channels start anew", flush=True)
            seconds = time.perf_counter() - began
            _log(log, done, seconds, measured(student, teachers, held_back))
            state = {
                "settings": begun,
                "student": student.state_dict(),
                "optimizer": optimizer.state_dict(),
                "schedule": schedule.state_dict(),
                "pool": pool.members,
                "units": student.units,
                "step": done,
                "seconds": seconds,
            }
            part = checkpoint.with_suffix(".part")
            torch.save(state, part)
            part.replace(checkpoint)
    return student


def reopened(checkpoint: Path, settings: dict[str, Any]) -> dict[str, Any]:
    """The checkpoint, which must be of a run with these settings; exits when it is not."""
    saved: dict[str, Any] = torch.load(checkpoint, weights_only=True)
    begun = saved["settings"]
    changed = [name for name in begun if settings[name] != begun[name]]
    if changed:
        expected, found = (
            ", ".join(f"--{name} {these[name]}" for name in changed) for these in (begun, settings)
        )
        raise SystemExit(
            f"{checkpoint}: expected the settings that it began with, {expected}; found {found}: "
            f"pass those, or another --run"
        )
    return saved


def errors(activation: Tensor, target: Tensor, root: Tensor, unit: float) -> tuple[Tensor, Tensor]:
    """The relative squared errors of what the head predicts: of features, and of Gram matrices.

    activation, target: (picture, channel, height, width). root: [W b], in that unit of the
    target. Both follow from the sums of a a^T, t a^T and t t^T, a with a constant 1, so the wide
    prediction itself is never made. The second is the mean over pictures.
    """
    a, t = augmented(_thinned(activation)), _thinned(target) / unit
    own, cross, wanted = a.mT @ a, t.mT @ a, t.mT @ t
    norm = wanted.diagonal(dim1=1, dim2=2).sum()
    feature = 1 + ((root @ own - 2 * cross) * root).sum() / norm
    distance = (root @ own @ root.T - wanted).square().sum((1, 2))
    return feature, (distance / wanted.square().sum((1, 2)).clamp_min(1e-6)).clamp_max(4).mean()


def _thinned(activation: Tensor) -> Tensor:
    """The rows, of a large grid every so many positions: they suffice."""
    every = rows(activation)
    return every[:, :: max(1, every.shape[1] // POSITIONS)].float()


class Pool:
    """Pictures on their way from a content to a style, by gradients through the student.

    What a student does not see, an optimizer through it leaves in the picture. So the teachers
    are shown such pictures too, and the student learns what it had overlooked. Each member takes
    one step of Adam when it is its turn, and makes room for another when its time is over.
    """

    def __init__(self, settings: Settings, pictures: Pictures) -> None:
        self.settings = settings
        self.pictures = pictures
        self.members: list[dict[str, Any]] = [{} for _ in range(POOL)]

    def step(self, student: Student, step: int) -> Tensor:
        """One member, a step further; shape (1, 3, side, side)."""
        number = step % POOL
        member = self.members[number]
        if not member or member["age"] >= member["life"]:
            member = self.members[number] = self._new(f"{self.settings.seed} pool {step}")
        sample = member["sample"].clone().requires_grad_()
        roots = {layer: student.root(layer).detach() for layer in STYLE}
        with torch.autocast("cpu", torch.bfloat16):
            both = torch.cat((sample, member["style"])).contiguous(
                memory_format=torch.channels_last
            )
            given = student.network(both, STYLE)
        distance = torch.zeros(())
        for layer, root in roots.items():
            a = augmented(_thinned(given[layer]))
            gram = root @ (a.mT @ a) @ root.T
            distance = distance + (gram[0] - gram[1]).square().sum() / gram[1].square().sum()
        (gradient,) = torch.autograd.grad(distance, sample)
        member["age"] += 1
        first = member["first"].lerp_(gradient, 0.1) / (1 - 0.9 ** member["age"])
        second = member["second"].lerp_(gradient.square(), 0.01) / (1 - 0.99 ** member["age"])
        move = 0.03 * first / (second.sqrt() + 1e-12)
        member["sample"] = (member["sample"] - move).clamp(0, 1)
        return torch.Tensor(member["sample"])

    def _new(self, seed: str) -> dict[str, Any]:
        content, style = self.pictures.batch(2, self.settings.side, seed)[:, None]
        return {
            "sample": content.clone(),
            "style": style.clone(),
            "first": torch.zeros_like(content),
            "second": torch.zeros_like(content),
            "age": 0,
            "life": random.Random(seed).randint(20, 80),
        }


@torch.no_grad()
def measured(
    student: Student, teachers: Teachers, held_back: list[Tensor]
) -> dict[str, dict[str, float]]:
    """The errors on held-back pictures, by layer, with the heads as they are."""
    totals: dict[str, list[Tensor]] = {}
    for pictures in held_back:
        shown, given = teachers(pictures, list(student.heads)), student.activations(pictures)
        for layer, activation in given.items():
            pair = torch.stack(
                errors(activation, shown[layer], student.root(layer), student.units[layer])
            )
            totals.setdefault(layer, []).append(pair)
    means = {layer: torch.stack(pairs).mean(0).tolist() for layer, pairs in totals.items()}
    return {
        "feature": {layer: round(pair[0], 5) for layer, pair in means.items()},
        "gram": {layer: round(pair[1], 5) for layer, pair in means.items()},
    }


def _log(path: Path, step: int, seconds: float, figures: dict[str, dict[str, float]]) -> None:
    line = {"step": step, "seconds": round(seconds), **figures}
    with path.open("a") as file:
        file.write(json.dumps(line) + "\n")
    cells = "  ".join(
        f"{layer[4:]} {value:.3f}/{figures['gram'][layer]:.3f}"
        for layer, value in figures["feature"].items()
    )
    print(f"step {step}  {seconds:.0f} s  {cells}", flush=True)
