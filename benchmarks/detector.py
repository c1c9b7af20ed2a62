"""What stylized ECGs are good for: a detector of waves that learned from them, on recorded ones.

A small network learns from simulated ECGs where P, R and T waves have their tops: from clean ones,
from the same ones brought to the style of recordings, and from the recordings themselves. It is
tested on later parts of the recordings. What is lost with clean ECGs is the gap; each way closes
a share of it. R waves are found by all, so the gap is that of P and T waves.

The recordings are those of `benchmarks.signals`, with 100.atr beside 100.hea.

    python -m benchmarks.detector --data FOLDER [--seeds 5] [--ecgs 24]
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from torch import nn
from torch.nn import functional

from benchmarks._tables import machine, table
from benchmarks.signals import DEFAULT, opened
from impasto.config.presets import PRESETS
from impasto.kinds.signal import match_to_content
from impasto.linear.signals import equalized
from impasto.media.signals.beats import r_peaks
from impasto.media.signals.leads import Lead, lead
from impasto.media.signals.signal import Signal
from impasto.metrics.beats import beat_agreement
from impasto.transfer.stylize import stylize
from training.beat.hearts import QRS, P, T, heartbeats

RATE = 250.0
"""Positions per second of all that the detector sees."""

STRIDE = 2
"""Positions from one of its answers to the next."""

WINDOW, MARGIN = 4.0, 1.0
"""Seconds that it is asked about at once, and seconds around them that it sees as well."""

TOLERANCE = 0.05
"""Seconds that a beat may be away from where it is."""

NEAREST = 0.24
"""Seconds between two beats at least."""

BUMP = 0.03
"""Deviation of the target around a beat, in seconds."""

FLOOR = 0.01
"""The deviation in mV of the noise of clean ECGs, as in neurokit2's: where there is none at all, no
filter can make it that of a recorder."""

SECONDS = 30.0
"""The length of a simulated ECG; each is of a heart of its own."""

WAVES = (P, QRS, T)

SPANS = (((0, 300), (1200, 1800)), ((0, 20), (20, 38)), ((0, 160), (165, 262)))
"""For each recording the seconds that are learned from, and those that are tested on."""

LOWEST = 0.03
"""The height of a wave in mV, from which on its top can be told."""

WIDTH, STEPS, BATCH, PEAK = 8, 500, 16, 3e-3


@dataclass(frozen=True)
class Stretch:
    """One lead, and for P, R and T waves the times of their tops, in seconds; None where a wave
    has no top that can be told."""

    signal: Signal
    tops: tuple[np.ndarray | None, ...]
    name: str = ""


class Detector(nn.Sequential):
    """Three convolutions and one that answers, which see 0.8 s: a beat."""

    def __init__(self, width: int) -> None:
        super().__init__(
            nn.Conv1d(1, width, 15, STRIDE, padding=7),
            nn.ReLU(),
            nn.Conv1d(width, width, 15, padding=14, dilation=2),
            nn.ReLU(),
            nn.Conv1d(width, width, 15, padding=28, dilation=4),
            nn.ReLU(),
            nn.Conv1d(width, len(WAVES), 15, padding=7),
        )


def learned(stretches: list[Stretch], seed: int, width: int, noisy: bool) -> Detector:
    """A detector that has learned from those stretches."""
    torch.manual_seed(seed)
    random = np.random.default_rng(seed)
    detector = Detector(width)
    optimizer = torch.optim.Adam(detector.parameters(), PEAK)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, PEAK, STEPS)
    traces = [(trace(each), target(each)) for each in stretches]
    length = round((WINDOW + 2 * MARGIN) * RATE)
    for _ in range(STEPS):
        shown, wanted = [], []
        for _ in range(BATCH):
            x, y = traces[random.integers(len(traces))]
            first = STRIDE * random.integers((len(x) - length) // STRIDE)
            part = x[first : first + length]
            shown.append(normalized(with_noise(part, random) if noisy else part))
            wanted.append(y[:, first // STRIDE : (first + length) // STRIDE])
        answers = detector(torch.from_numpy(np.stack(shown)[:, None]).float())
        goal = torch.from_numpy(np.stack(wanted)).float()
        told = goal >= 0
        loss = functional.binary_cross_entropy_with_logits(answers[told], goal[told])
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        schedule.step()
    return detector


def trace(stretch: Stretch) -> np.ndarray:
    """The values at `RATE`."""
    return np.asarray(lead(stretch.signal.resampled(RATE), 0).values)


def target(stretch: Stretch) -> np.ndarray:
    """1 at tops and nearly 0 elsewhere, for each wave and position that the detector answers for;
    below 0 where nobody knows."""
    seconds = len(stretch.signal.data[0]) / stretch.signal.rate
    times = np.arange(round(seconds * RATE / STRIDE)) * STRIDE / RATE
    rows = []
    for tops in stretch.tops:
        if tops is None:
            rows.append(-np.ones(len(times)))
        else:
            away = np.abs(times[:, None] - tops).min(1, initial=1e3)
            rows.append(np.exp(-((away / BUMP) ** 2) / 2))
    return np.stack(rows)


def normalized(x: np.ndarray) -> np.ndarray:
    return np.asarray((x - x.mean()) / (x.std() + 1e-6))


def with_noise(x: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """The usual augmentation: white noise, wander and hum of random strength."""
    times = np.arange(len(x)) / RATE
    levels = x.std() * 2.0 ** random.uniform(-6, 1, 3)
    wander = np.sin(2 * np.pi * (random.uniform(0.05, 0.5) * times + random.random()))
    hum = np.sin(2 * np.pi * (random.choice([50, 60]) * times + random.random()))
    noise = random.standard_normal(len(x))
    return np.asarray(x + levels[0] * noise + levels[1] * wander + 0.3 * levels[2] * hum)


@torch.no_grad()
def found(detector: nn.Module, stretch: Stretch) -> list[np.ndarray]:
    """The times of the tops that a detector finds, in seconds."""
    x, margin = trace(stretch), round(MARGIN * RATE)
    padded = np.pad(x, margin, mode="reflect")
    step = round(WINDOW * RATE)
    answers = []
    for first in range(0, len(x), step):
        part = normalized(padded[first : first + step + 2 * margin])
        answer = detector(torch.from_numpy(part[None, None]).float())[0].sigmoid()
        answers.append(answer[:, margin // STRIDE :][:, : min(step, len(x) - first) // STRIDE])
    answer = torch.cat(answers, 1)
    reach = round(NEAREST * RATE / STRIDE)
    highest = functional.max_pool1d(answer[None], 2 * reach + 1, 1, reach)[0]
    tops = (answer == highest) & (answer > 0.5)
    return [np.flatnonzero(row.numpy()) * STRIDE / RATE for row in tops]


def scores(detector: nn.Module, stretch: Stretch) -> list[float]:
    """F1 for each wave; NaN where its tops are not known."""
    return [
        np.nan if tops is None else beat_agreement(given, tops, TOLERANCE).f1
        for given, tops in zip(found(detector, stretch), stretch.tops, strict=True)
    ]


BOTH = "clean and preset ecg"
WAYS = ("clean", "noise added", "one linear filter", "the start, no steps", "preset ecg", BOTH)
"""What simulated ECGs go through before a detector learns from them."""

RECORDED = "recorded ones"
"""What is learned from at best: the first parts of the recordings themselves."""


def simulated(count: int, seconds: float) -> list[Stretch]:
    """Clean ECGs of one lead, each of a heart of its own."""
    stretches = []
    for seed in range(count):
        random = np.random.default_rng([2026, seed])
        heart = heartbeats(random, round(seconds * RATE), RATE)
        data = heart.values + FLOOR * random.standard_normal(len(heart.values))
        values = data[None].astype(np.float32)
        signal = Signal(values, rate=RATE, names=("II",), units=("mV",))
        stretches.append(
            Stretch(signal, tuple(heart.tops[wave] for wave in WAVES), f"simulated {seed}")
        )
    return stretches


def stylized(stretches: list[Stretch], styles: list[Signal], way: str) -> list[Stretch]:
    """The ECGs in the style of the recordings, one after the other; beats stay where they are."""
    if way in {"clean", "noise added"}:
        return stretches
    preset = PRESETS["ecg"]
    if way == "the start, no steps":
        preset = replace(preset, schedule=replace(preset.schedule, steps=(0,)))
    results = []
    for number, each in enumerate(stretches):
        style = replace(styles[number % len(styles)], names=("II",))
        if way == "one linear filter":
            made = equalized(each.signal, [match_to_content(style, each.signal)], [1.0])
        else:
            sample = stylize(each.signal, style, preset).sample
            assert isinstance(sample, Signal)
            made = sample
        results.append(replace(each, signal=made))
    return results


def recordings(data: Path) -> tuple[list[Stretch], dict[str, list[Stretch]]]:
    """Leads to take the style of and to learn from, and later stretches of the same recordings.

    Beats of record 100 are those of its annotators; where nobody has marked beats they are those
    that xqrs finds in lead II. P and T waves are told by a lead's median beat. The end of a103l, in
    which cables move, is left out: what is learned from its beginning does not help there either.
    """
    mit, ptb, noisy = opened(data)
    marked = np.array([each.time for each in mit.annotations if each.symbol in "NVA"])
    of_ptb = r_peaks(lead(ptb, ptb.names.index("ii")).values, ptb.rate)
    of_noisy = r_peaks(lead(noisy, noisy.names.index("II")).values, noisy.rate)
    parts = (
        ("100", mit, marked, ("MLII", "V5")),
        ("PTB", ptb, of_ptb, ("i", "ii", "v2", "v5")),
        ("a103l", noisy, of_noisy, ("II", "V")),
    )
    first: list[Stretch] = []
    later: dict[str, list[Stretch]] = {}
    for (name, signal, beats, leads), (early, late) in zip(parts, SPANS, strict=True):
        for each in leads:
            chosen = signal.select([each])
            first.append(cut(chosen, beats, early, f"{name} {each}"))
            later.setdefault(name, []).append(cut(chosen, beats, late, f"{name} {each}"))
    return first, later


def cut(signal: Signal, beats: np.ndarray, span: tuple[int, int], name: str) -> Stretch:
    """The part of a recording between two times in seconds."""
    start, stop = span
    before, after = waves_around(lead(signal, 0), beats)
    tops = []
    for away in (before, 0.0, after):
        times = beats + away if away is not None else None
        tops.append(None if times is None else times[(times >= start) & (times < stop)] - start)
    return Stretch(signal.stretch(start, stop), tuple(tops), name)


def waves_around(trace: Lead, beats: np.ndarray) -> tuple[float | None, float | None]:
    """The seconds from an R wave to the tops of its P and T waves in the lead's median beat, in
    which noise is small; None where it goes both ways, or is below `LOWEST`."""
    rate, x = trace.rate, trace.values
    usual = float(np.median(np.diff(beats)))
    found: list[float | None] = []
    for start, stop in ((-0.24, -0.06), (0.1, min(0.42, 0.7 * usual))):
        around = np.arange(round(start * rate), round(stop * rate))
        places = np.rint(beats * rate).astype(int)
        whole = places[(places + around[0] >= 0) & (places + around[-1] < len(x))]
        beat = np.median(x[whole[:, None] + around], 0)
        beat = beat - np.linspace(beat[0], beat[-1], len(beat))
        top = int(np.abs(beat).argmax())
        other = (-np.sign(beat[top]) * beat).max()
        clear = abs(beat[top]) > max(LOWEST, 2 * other)
        found.append((around[top] / rate) if clear else None)
    return found[0], found[1]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DEFAULT)
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--ecgs", type=int, default=24, help="how many are simulated")
    arguments = parser.parse_args()
    print(machine() + "\n")
    first, later = recordings(arguments.data)
    stretches = simulated(arguments.ecgs, SECONDS)
    styles = [each.signal.stretch(0, min(60.0, seconds(each))) for each in first]
    means: dict[str, list[np.ndarray]] = {}
    made = {RECORDED: first}
    for way in (*WAYS, RECORDED):
        if way == BOTH:
            made[way] = [*stretches, *made["preset ecg"]]
        elif way != RECORDED:
            made[way] = stylized(stretches, styles, way)
        for seed in range(arguments.seeds):
            detector = learned(made[way], seed, WIDTH, noisy=way == WAYS[1])
            rows = [
                np.nanmean([scores(detector, each) for each in part], 0) for part in later.values()
            ]
            means.setdefault(way, []).append(np.stack(rows))
    report(means, list(later))


def seconds(stretch: Stretch) -> float:
    return stretch.signal.space[0] / stretch.signal.rate


def report(means: dict[str, list[np.ndarray]], recorders: list[str]) -> None:
    """A row for each way: F1 of each recorder and wave, means over the seeds; the mean of P and T
    with its deviation over the seeds, and the share of the gap that it closes."""
    of_p_and_t = {way: np.stack(found)[:, :, [0, 2]].mean((1, 2)) for way, found in means.items()}
    low, high = (of_p_and_t[way].mean() for way in (WAYS[0], RECORDED))
    lines = []
    for way, found in means.items():
        cells = [" ".join(f"{value:.3f}" for value in row) for row in np.mean(found, 0)]
        own = of_p_and_t[way]
        share = f"{(own.mean() - low) / (high - low):.2f}" if high > low else "no gap"
        lines.append([way, *cells, f"{own.mean():.3f} ({own.std():.3f})", share])
    head = [f"{recorder}: P R T" for recorder in recorders]
    table(["learned from", *head, "P and T (over seeds)", "share of the gap"], lines)


if __name__ == "__main__":
    main()
