"""Trains `beat`: each step's lesson is drawn from the seed, so that a run can be repeated."""

from __future__ import annotations

import json
import math
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional

from impasto.networks.vgg import convolutions
from training.beat.hearts import NONE, QRS, P, T
from training.beat.lessons import UNTOLD, Lesson, Trace, lesson
from training.beat.network import FASTEST, WIDTHS, untrained
from training.beat.recorders import PARTS

LAYERS = tuple(f"relu{block}_2" for block in range(1, len(WIDTHS) + 1))
LABELS = 1 + max(NONE, P, QRS, T)
"""What a position may be."""

BATCH = 12
WARM_UP, LEAST = 0.03, 0.002
"""Share of the steps in which the rate rises; the lowest rate over the highest."""

WINDOW = 64
"""Positions over which the recorder's head sees the variance of activations."""

FAINTEST = 1e-7
"""The variance below which none is told."""


@dataclass(frozen=True)
class Settings:
    """steps at most at that rate; a line of the log every `check` steps.

    neurokit: how many ECGs of neurokit2 are mixed in; 0 needs no neurokit2.
    """

    steps: int = 800
    rate: float = 3e-3
    neurokit: int = 200
    seed: int = 0
    check: int = 100


class Pupil(nn.Module):
    """`beat` with three heads that ask what its layers know; they are left out afterwards."""

    def __init__(self) -> None:
        super().__init__()
        self.network = untrained(channels=1, rate=FASTEST).requires_grad_(True)
        first = convolutions(self.network)["conv1_1"].weight
        with torch.no_grad():  # filters of zero mean see noise beside a baseline
            first[::2] -= first[::2].mean(2, keepdim=True)
        self.taps = nn.ModuleList(nn.Conv1d(width, 16, 1) for width in WIDTHS)
        self.ends = nn.Sequential(
            nn.ReLU(),
            nn.Conv1d(16, 16, 5, padding=2),
            nn.ReLU(),
            nn.Conv1d(16, 1 + LABELS, 5, padding=2),
        )
        levels = 2 * sum(WIDTHS)
        self.recorder = nn.Sequential(
            nn.BatchNorm1d(levels), nn.Linear(levels, 64), nn.ReLU(), nn.Linear(64, len(PARTS))
        )

    def forward(
        self, x: Float[Tensor, "batch 1 time"]
    ) -> tuple[
        Float[Tensor, "batch 1 time"], Float[Tensor, "batch 4 time"], Float[Tensor, "batch part"]
    ]:
        """Tells the clean ECG, the waves and the recorder."""
        found = self.network(x, set(LAYERS))
        total = self.taps[-1](found[LAYERS[-1]])
        for layer, tap in zip(LAYERS[-2::-1], self.taps[-2::-1], strict=True):
            a = found[layer]
            total = functional.interpolate(total, a.shape[2], mode="linear") + tap(a)
        y = self.ends(total)
        levels = [_levels(found[layer], WINDOW >> block) for block, layer in enumerate(LAYERS)]
        return y[:, :1], y[:, 1:], self.recorder(torch.cat(levels, 1))


def _levels(a: Float[Tensor, "batch channel time"], window: int) -> Float[Tensor, "batch twice"]:
    """The mean and the deviation over time of the logarithm of each channel's variance.

    Between beats it is that of noise.
    """
    mean = functional.avg_pool1d(a, window)
    variance = functional.avg_pool1d(a.square(), window) - mean.square()
    level = (variance.clamp_min(0) + FAINTEST).log()
    return torch.cat((level.mean(2), level.std(2)), 1)


def errors(pupil: Pupil, given: Lesson) -> dict[str, Tensor]:
    """The relative squared error of the clean ECG, the cross-entropy of the waves and the squared
    error of the recorder, in its variance."""
    clean, waves, recorder = pupil(given.shown)
    return {
        "clean": (clean - given.clean).square().mean() / given.clean.square().mean(),
        "waves": functional.cross_entropy(waves, given.labels, ignore_index=UNTOLD),
        "recorder": (recorder - given.recorders).square().mean(),
    }


def train(settings: Settings, others: Sequence[Trace], log: Path) -> Pupil:
    """The trained pupil; the log gets a JSON line of mean errors at each check."""
    began = time.perf_counter()
    torch.manual_seed(settings.seed)
    pupil = Pupil()
    optimizer = torch.optim.Adam(pupil.parameters(), settings.rate, betas=(0.9, 0.99))
    sums: dict[str, float] = {}
    for step in range(1, settings.steps + 1):
        for group in optimizer.param_groups:
            group["lr"] = settings.rate * schedule(step / settings.steps)
        found = errors(pupil, lesson((settings.seed, step), BATCH, others))
        optimizer.zero_grad(set_to_none=True)
        torch.stack(list(found.values())).sum().backward()  # type: ignore[no-untyped-call]
        torch.nn.utils.clip_grad_norm_(pupil.parameters(), 1.0)
        optimizer.step()
        sums = {name: sums.get(name, 0.0) + value.item() for name, value in found.items()}
        if step % settings.check == 0:
            means = {name: round(total / settings.check, 4) for name, total in sums.items()}
            line = {"step": step, "seconds": round(time.perf_counter() - began), **means}
            print(json.dumps(line), flush=True)
            with log.open("a") as file:
                file.write(json.dumps(line) + "\n")
            sums = {}
    return pupil


def schedule(progress: float) -> float:
    """The learning rate over its peak: a rise, then half a cosine."""
    falling = 0.5 * (1 + math.cos(math.pi * progress))
    return max(LEAST, min(progress / WARM_UP, falling))
