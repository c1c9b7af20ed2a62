"""Simulated ECGs of one lead, with the wave that each position belongs to.

The model is that of McSharry et al. (2003, A dynamical model for generating synthetic
electrocardiogram signals): a phase runs around a circle once a beat, and waves are Gaussians of it.
Without the slow relaxation of the original it has a closed form, so an ECG costs milliseconds.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64, Int64

NONE, P, QRS, T = range(4)
"""What a position belongs to."""

WAVES = (
    (P, -70.0, 0.22, 0.12),
    (QRS, -15.0, 0.1, -0.12),
    (QRS, 0.0, 0.1, 1.0),
    (QRS, 15.0, 0.1, -0.2),
    (T, 100.0, 0.35, 0.28),
)
"""P, Q, R, S and T: the label, the angle in degrees at 60 beats a minute, the width in radians, and
the height in mV of a lead such as II."""

LEAST = 0.02
"""The height in mV from which on a wave is one."""

EDGE = 2.2
"""Deviations from its middle to where a wave begins and ends."""


@dataclass(frozen=True)
class Heartbeats:
    """A clean ECG in mV, the label of each position, and the seconds at which P, R and T waves have
    their tops."""

    values: Float64[np.ndarray, " time"]
    labels: Int64[np.ndarray, " time"]
    tops: dict[int, Float64[np.ndarray, " wave"]]


def heartbeats(random: np.random.Generator, count: int, rate: float) -> Heartbeats:
    """Draws a heart, a lead and a rhythm, and simulates `count` positions.

    Args:
        random: the source of what is drawn.
        count: the positions.
        rate: positions per second.
    """
    times = np.arange(count) / rate
    onsets, lengths, kinds = _rhythm(random, times[-1] + 4)
    beat = np.searchsorted(onsets, times, side="right") - 1
    values, labels = np.zeros(count), np.full(count, NONE)
    shapes = np.array([_heart(random, kind) for kind in range(2)])
    sizes = 1 + 0.06 * random.standard_normal(len(onsets))
    for number in (0, 4, 1, 2, 3):  # where waves overlap it is the QRS complex
        for other in (-1, 0) if WAVES[number][0] == T else (0, 1):  # T may lie in the beat after
            at = np.clip(beat + other, 0, len(onsets) - 1)
            middle, width, height = (shapes[kinds[at], number, part] for part in range(3))
            away = times - onsets[at] - middle * lengths[at] ** 0.5
            away /= width * lengths[at] ** 0.25
            values += sizes[at] * height * np.exp(-(away**2) / 2)
            labels[(np.abs(away) < EDGE) & (np.abs(height) > LEAST)] = WAVES[number][0]
    tops = {}
    for number, wave in ((0, P), (2, QRS), (4, T)):
        middle, height = shapes[kinds, number, 0], shapes[kinds, number, 2]
        at = (onsets + middle * lengths**0.5)[np.abs(height) > LEAST]
        tops[wave] = at[(at >= 0) & (at < times[-1])]
    return Heartbeats(values, labels, tops)


def _rhythm(random: np.random.Generator, seconds: float) -> tuple[np.ndarray, ...]:
    """The times of the R waves, the seconds of each beat, and which of them are ectopic."""
    period = 60 / random.uniform(45, 130)
    count = int(seconds / period * 2) + 4
    places = np.arange(count)
    sway = 0.03 * np.sin(2 * np.pi * random.uniform(0.15, 0.35) * places * period)
    spread = random.choice([0.015, 0.03, 0.18], p=[0.6, 0.3, 0.1])
    lengths = period * np.clip(1 + sway + spread * random.standard_normal(count), 0.5, 1.8)
    kinds = (random.random(count) < random.choice([0, 0.08], p=[0.7, 0.3])).astype(int)
    early = np.flatnonzero(kinds[:-1])
    lengths[early - 1] *= 0.7
    lengths[early] *= 1.3
    onsets = np.cumsum(lengths) - random.uniform(1, 2) * period - lengths[0]
    return onsets, lengths, kinds


def _heart(random: np.random.Generator, ectopic: int) -> list[tuple[float, ...]]:
    """The middle and the width in seconds at 60 beats a minute, and the height of each wave.

    Ectopic beats are wide, with a T wave the other way and without a P wave.
    """
    turn = random.choice([1.0, -1.0], p=[0.8, 0.2])
    no_p = random.random() < 0.1
    found: list[tuple[float, ...]] = []
    for label, angle, width, height in WAVES:
        lead = random.lognormal(0, 0.35 if label == QRS else 0.6)
        flip = random.choice([1, -1], p=[0.85, 0.15]) if label == T else 1
        middle = (angle * random.uniform(0.8, 1.2)) / 360
        wide = width / (2 * np.pi) * random.uniform(0.65, 1.4)
        if ectopic:
            middle, wide = (2 * middle, 2.2 * wide) if label == QRS else (1.1 * middle, wide)
            flip, lead = (-1, 1.5 * lead) if label == T else (flip, lead)
        shown = 0.0 if label == P and (ectopic or no_p) else 1.0
        found.append((middle, wide, turn * flip * shown * lead * height))
    return found
