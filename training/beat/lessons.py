"""Lessons: recorded ECGs with what is to be known of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float, Float64, Int64
from torch import Tensor

from impasto.system.libraries import library
from training.beat.hearts import heartbeats
from training.beat.network import FASTEST
from training.beat.recorders import MARGIN, Recorder, recorded

COUNT = 2048
"""Positions of an ECG: 5 to 16 seconds."""

SLOWEST = 128.0
"""The lowest rate of a lesson, in Hz; the highest is `FASTEST`."""

UNTOLD = -1
"""The label of positions whose wave nobody knows."""

SHARE = 0.15
"""Of the ECGs, those of neurokit2 where there are some."""

Trace = Float64[np.ndarray, " time"]


@dataclass(frozen=True)
class Lesson:
    """Recorded ECGs as networks see signals: a mean of 1/2, and three deviations 0 and 1.

    Attributes:
        shown: the ECGs.
        clean: what they were before, in deviations of the recorded ones.
        labels: the wave of each position, `UNTOLD` in those of neurokit2.
        recorders: what was done to them, as `Recorder.target`.
    """

    shown: Float[Tensor, "batch 1 time"]
    clean: Float[Tensor, "batch 1 time"]
    labels: Int64[Tensor, "batch time"]
    recorders: Float[Tensor, "batch part"]


def lesson(seed: Sequence[int], batch: int, others: Sequence[Trace] = ()) -> Lesson:
    """Draws the lesson of that seed.

    Args:
        seed: numbers that decide all.
        batch: how many ECGs.
        others: clean ECGs to take some from, of at least 13 seconds at `FASTEST`.
    """
    random = np.random.default_rng(seed)
    parts = [_one(random, others) for _ in range(batch)]
    shown, clean, labels, recorders = (np.stack(each) for each in zip(*parts, strict=True))
    x, y, z = (torch.from_numpy(each.astype(np.float32)) for each in (shown, clean, recorders))
    return Lesson(x[:, None], y[:, None], torch.from_numpy(labels), z)


def _one(random: np.random.Generator, others: Sequence[Trace]) -> tuple[np.ndarray, ...]:
    """An ECG of a lesson: shown, clean, labels and what the recorder did."""
    rate = float(np.exp(random.uniform(np.log(SLOWEST), np.log(FASTEST))))
    margin = round(MARGIN * rate)
    if others and random.random() < SHARE:
        rate, margin = FASTEST, round(MARGIN * FASTEST)
        trace = others[int(random.integers(len(others)))]
        start = random.integers(len(trace) - COUNT - 2 * margin + 1)
        values = trace[start : start + COUNT + 2 * margin] * random.choice([-1, 1], p=[0.2, 0.8])
        labels = np.full(len(values), UNTOLD)
    else:
        heart = heartbeats(random, COUNT + 2 * margin, rate)
        values, labels = heart.values, heart.labels
    recorder = Recorder.drawn(random, rate)
    here = slice(margin, margin + COUNT)
    x, clean = recorded(random, values, rate, recorder)[here], values[here]
    deviation = x.std() + 1e-6
    shown = 0.5 + (x - x.mean()) / (6 * deviation)
    return shown, (clean - clean.mean()) / deviation, labels[here], recorder.target


def of_neurokit(count: int, seed: int) -> list[Trace]:
    """Clean ECGs of neurokit2's simulator, of 15 seconds at `FASTEST`, in mV.

    Raises:
        MissingExtraError: neurokit2 is not installed.
    """
    if not count:
        return []
    neurokit = library("neurokit2", "to simulate ECGs", "training")
    random = np.random.default_rng([seed, count])
    return [
        np.asarray(
            neurokit.ecg_simulate(
                duration=15,
                sampling_rate=round(FASTEST),
                noise=0,
                heart_rate=random.uniform(50, 120),
                heart_rate_std=random.uniform(0.5, 6),
                random_state=int(random.integers(2**31)),
            )
        )
        for _ in range(count)
    ]
