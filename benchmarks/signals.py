"""How well ECGs and sounds take a style: networks compared, each beside the no-op and the floor.

The data are not in the repository: a folder with MIT-BIH record 100 (100.hea, .dat), PTB s0010
(ptb_s0010_re.npz), challenge2015_a103l.npz and sounds is named by --data.

    ecg      five pairs, each with every network: metrics and time
    sound    two pairs of sounds: no-op, one filter, the preset audio-transfer and other ways
    length   time and memory of a run over the length of a recording of three leads, to a day

    python -m benchmarks.signals --data FOLDER [--part ecg sound length]
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks._evaluation import randomize
from benchmarks._tables import gigabytes, run_parts, slope, table
from impasto import media
from impasto.config.config import Config
from impasto.config.presets import PRESETS, configure
from impasto.config.settings import ObjectiveConfig
from impasto.kinds.signal import match_to_content
from impasto.linear.signals import equalized
from impasto.media.signals.signal import Signal
from impasto.metrics import Row, compare
from impasto.networks import Network
from impasto.networks.filterbank import filterbank
from impasto.networks.vgg import vgg
from impasto.transfer.stylize import stylize

DEFAULT = Path(os.environ.get("IMPASTO_DATA", "../shared/assets")) / "signals"
OCTAVES = (
    ("edge2", "edge3", "edge4"),
    tuple(
        (f"{kind}{octave}", 0.2 / 3)
        for octave in range(1, 6)
        for kind in ("color", "wave", "stroke")
    ),
)
DEEP = (("relu3_1",), tuple((f"relu{block}_1", 0.2) for block in range(1, 6)))
BEAT = (("relu3_2",), tuple((f"relu{block}_2", 0.2) for block in range(1, 6)))

HOURS = (0.25, 1.0, 4.0, 24.0)
"""Of the recordings whose length is varied."""


def octaves(*, dims: int, channels: int, rate: float) -> Network:
    """The filterbank of pictures and volumes, over time."""
    return filterbank(dims=dims, channels=channels, padding="replicate", seed=0)


def deep(*, dims: int, channels: int, rate: float) -> Network:
    """VGG's shape with filters over time: random weights, a quarter as wide."""
    depths, widths = (2, 2, 4, 4, 1), (16, 32, 64, 128, 128)
    network = vgg("deep", depths, widths, dims=dims, channels=channels)
    randomize(network)
    return network


def variants() -> dict[str, Config]:
    """What is compared: the preset, and others in its place."""
    ecg = PRESETS["ecg"]

    def with_network(name: str, layers: tuple[Any, Any]) -> Config:
        return replace(
            ecg,
            network=replace(ecg.network, network=name),
            objective=replace(ecg.objective, content_layers=layers[0], style_layers=layers[1]),
        )

    gram = ObjectiveConfig(beta=ecg.objective.beta)
    return {
        "preset ecg": ecg,
        "its start, no steps": replace(ecg, schedule=replace(ecg.schedule, steps=(0,))),
        "from the content": replace(ecg, schedule=replace(ecg.schedule, init="content")),
        "filterbank alone": replace(ecg, objective=gram),
        "octaves and statistics": with_network("benchmarks.signals:octaves", OCTAVES),
        "random VGG and statistics": with_network("benchmarks.signals:deep", DEEP),
        "trained beat and statistics": with_network("training.beat.network:beat", BEAT),
    }


def opened(data: Path) -> tuple[Signal, Signal, Signal]:
    """MIT-BIH record 100, PTB s0010 and challenge2015 a103l."""
    names = ("100.hea", "ptb_s0010_re.npz", "challenge2015_a103l.npz")
    clean, ptb, noisy = (media.load(data / name) for name in names)
    assert isinstance(clean, Signal)
    assert isinstance(ptb, Signal)
    assert isinstance(noisy, Signal)
    return clean, ptb, noisy


def held_out(data: Path) -> dict[str, tuple[Signal, Signal]]:
    """Other leads and minutes, which only the waves of beats were settled with an eye on."""
    clean, ptb, noisy = opened(data)
    later, last = clean.stretch(600, 660), clean.stretch(1200, 1260)
    return {
        "100 MLII, a103l V": (later.select(["MLII"]), noisy.select(["V"])),
        "PTB v5, a103l V": (ptb.select(["v5"]), noisy.select(["V"])),
        "100 V5, PTB v2": (last.select(["V5"]), ptb.select(["v2"])),
        "PTB i, 100 V5": (ptb.select(["i"]), clean.stretch(0, 60).select(["V5"])),
        "a103l V, PTB v6": (noisy.stretch(200, 260).select(["V"]), ptb.select(["v6"])),
    }


def pairs(data: Path) -> dict[str, tuple[Signal, Signal]]:
    """Contents and styles, one lead each."""
    clean, ptb, noisy = opened(data)
    minute = clean.stretch(0, 60)
    return {
        "100 MLII, a103l II": (minute.select(["MLII"]), noisy.select(["II"])),
        "100 MLII, PTB II": (minute.select(["MLII"]), ptb.select(["ii"])),
        "100 V5, a103l V": (minute.select(["V5"]), noisy.select(["V"])),
        "PTB II, a103l II": (ptb.select(["ii"]), noisy.select(["II"])),
        "a103l II, 100 MLII": (noisy.stretch(0, 60).select(["II"]), minute.select(["MLII"])),
    }


def ecg(data: Path) -> None:
    """Pairs that settings were chosen by, with every way, and others with the preset alone."""
    print("Pairs that the settings were chosen by:\n")
    ways(pairs(data), variants())
    print("\nOther pairs:\n")
    ways(held_out(data), {"preset ecg": PRESETS["ecg"]})


def ways(samples: dict[str, tuple[Signal, Signal]], configs: dict[str, Config]) -> None:
    """A row for each pair and way, and their means; the last has ours over the linear filter."""
    found: dict[str, dict[str, list[float]]] = {}
    for pair, (content, style) in samples.items():
        for name, config in configs.items():
            rows, seconds = measured(content, style, config)
            references = {
                "doing nothing": [0.0, *(row.no_op for row in rows)],
                "one linear filter": [0.0, *(row.linear for row in rows)],
                "halves of the style": [0.0, *(row.floor for row in rows)],
            }
            ours = {name: [seconds, *(row.result for row in rows)]}
            for way, values in (references | ours).items():
                found.setdefault(way, {})[pair] = values
    lines = [
        [pair, way, *(f"{value:.3g}" for value in values)]
        for pair in samples
        for way, by_pair in found.items()
        for values in [by_pair[pair]]
    ]
    means = {way: np.mean(list(by_pair.values()), 0) for way, by_pair in found.items()}
    lines += [["mean", way, *(f"{value:.3g}" for value in each)] for way, each in means.items()]
    ratios = means["preset ecg"][1:] / means["one linear filter"][1:]
    lines.append(["mean", "ecg over linear", "", *(f"{ratio:.2f}" for ratio in ratios)])
    least = min(values[1] for values in found["preset ecg"].values())
    table(["content, style", "", "seconds", *METRICS], lines)
    print(f"\nThe least R-peak F1 of the preset: {least:.3f}.")


def sound(data: Path) -> None:
    """For each pair of sounds the no-op, one linear filter (the rival) and what we make of it."""
    lines = []
    for pair in (("hungarian*", "humpback*"), ("speech*", "solo_trumpet*")):
        one, other = (media.load(next(data.glob(f"{name}.wav"))) for name in pair)
        assert isinstance(one, Signal)
        assert isinstance(other, Signal)
        began = time.process_time()
        equalized(one, [match_to_content(other, one)], [1.0])
        filtering = time.process_time() - began
        for name, preset in SOUNDS.items():
            began = time.process_time()
            result = stylize(one, other, preset)
            seconds = time.process_time() - began
            rows = {row.metric: row for row in compare(result.sample, one, other).rows}
            found = [rows[metric] for metric in HEARD]
            names = [part.strip("*") for part in pair]
            if name == "audio-transfer":
                lines.append([*names, "no-op", "0", *(_heard(row, row.no_op) for row in found)])
                cells = (_heard(row, row.linear) for row in found)
                lines.append([*names, "one filter", f"{filtering:.1f}", *cells])
            cells = (f"{_heard(row, row.result)} ({_over(row)})" for row in found)
            lines.append([*names, name, f"{seconds:.1f}", *cells])
    table(["content", "style", "sound", "processor seconds", *HEARD], lines)
    print(
        "\nTexture distance is over that between halves of the style; in brackets: over one filter."
    )


HEARD = ("log-spectral distance", "texture distance", "burst distance", "onset F1", "pitch kept")

SOUNDS = {
    "audio-transfer": PRESETS["audio-transfer"],
    "with 60 steps": configure(
        "audio-transfer",
        steps=(60,),
        learning_rate=0.004,
        alpha=0.05,
        beta=0.3,
        amplitude=1.0,
        spectrum=0.2,
        spectrum_window=2.0,
        autocorrelation=1.0,
        lag=1.0,
    ),
}
"""The preset, and what it is compared with."""


def _heard(row: Row, value: float) -> str:
    """A value; over the floor for the distance of textures."""
    return f"{value / row.floor if row.metric == 'texture distance' else value:.2f}"


def _over(row: Row) -> str:
    return f"{row.result / row.linear:.2f}"


METRICS = (
    *("R-peak F1", "log-spectral distance", "burst distance", "autocorrelation distance"),
    *("amplitude distance", "kurtosis difference"),
)


def measured(content: Signal, style: Signal, config: Config) -> tuple[list[Row], float]:
    """The metrics of a run, and its seconds."""
    began = time.perf_counter()
    result = stylize(content, style, config)
    seconds = time.perf_counter() - began
    assert isinstance(result.sample, Signal)
    by_name = {row.metric: row for row in compare(result.sample, content, style).rows}
    return [by_name[metric] for metric in METRICS if metric in by_name], seconds


def row(content: Signal, style: Signal, config: Config) -> list[str]:
    """A run's seconds and metrics, each with the no-op's and the floor's."""
    rows, seconds = measured(content, style, config)
    cells = []
    for metric in METRICS:
        found = [row for row in rows if row.metric.startswith(metric)]
        one = found[0] if found else None
        cells.append(f"{one.result:.3g} ({one.no_op:.3g}, {one.floor:.3g})" if one else "")
    return [f"{seconds:.1f}", *cells]


def length(data: Path) -> None:
    """Whole runs of two steps, files read and written, of Holter recordings up to a day."""
    lines = []
    found: dict[str, list[tuple[int, float]]] = {"seconds a step": [], "memory": []}
    with tempfile.TemporaryDirectory() as folder:
        style = Path(folder) / "style.hea"
        media.save(holter(60.0, 1), style)
        for number, hour in enumerate(HOURS):
            name = Path(folder) / f"holter{number}.hea"
            media.save(holter(3600 * hour, 0), name)
            command = [sys.executable, "-m", "impasto", "stylize", str(name), str(style)]
            command += ["-o", f"{folder}/out{number}.hea", "--memory", "2GB"]
            timings, peak = _run([*command, "--steps", "2", "--json"])
            step = next(seconds for part, seconds in timings.items() if "steps" in part) / 2
            count = round(3600 * hour * 250)
            found["seconds a step"].append((count, step))
            found["memory"].append((count, peak))
            others = sum(timings.values()) - 2 * step
            lines.append([f"{hour:g}", f"{step:.2f}", f"{others:.1f}", gigabytes(peak)])
    table(["hours", "seconds a step", "seconds beside steps", "memory, pages of files less"], lines)
    slopes = ", ".join(f"{name} {slope(points):.2f}" for name, points in found.items())
    print(f"\nThree leads at 250 Hz, --memory 2GB. Slopes over the length, log-log: {slopes}.")


def _run(command: list[str]) -> tuple[dict[str, float], float]:
    """The timings that a run reports, and the most memory it held."""
    with tempfile.TemporaryFile("w+") as output:
        process = psutil.Popen(command, stdout=output)
        peak = 0.0
        while process.poll() is None:
            memory = process.memory_info()
            peak = max(peak, memory.rss - memory.shared)
            time.sleep(0.02)
        if process.returncode:
            raise RuntimeError(f"{' '.join(command)} ended with code {process.returncode}")
        output.seek(0)
        timings: dict[str, float] = json.loads(output.read().splitlines()[-1])["timings"]
    return timings, peak


def holter(seconds: float, seed: int) -> Signal:
    """A made-up ECG of three leads at 250 Hz: beats of five Gaussian waves (McSharry et al. 2003),
    a heart rate that wanders, breathing and noise."""
    random = np.random.default_rng(seed)
    rate = 250.0
    waves = (
        *((-0.2, 0.025, 0.12), (-0.03, 0.01, -0.1), (0.0, 0.011, 1.0)),
        *((0.03, 0.01, -0.2), (0.25, 0.045, 0.28)),
    )
    count = round(seconds * rate)
    times = np.cumsum(0.85 + 0.05 * random.standard_normal(round(seconds)))
    beats = np.zeros(count, np.float32)
    beats[np.rint(times[times < seconds - 1] * rate).astype(int)] = 1
    around = np.arange(-0.5, 0.5, 1 / rate)
    beat = sum(height * np.exp(-(((around - at) / width) ** 2) / 2) for at, width, height in waves)
    trace = np.convolve(beats, np.asarray(beat, np.float32), "same")
    trace += 0.1 * np.sin(2 * np.pi * 0.25 * np.arange(count) / rate)
    data = 0.02 * random.standard_normal((3, count), np.float32)
    data += np.array([[1.0], [0.7], [-0.5]], np.float32) * trace.astype(np.float32)
    return Signal(data, rate=rate, names=("I", "II", "V2"), units=("mV",) * 3)


def main() -> None:
    run_parts({"ecg": ecg, "sound": sound, "length": length}, DEFAULT, __doc__)


if __name__ == "__main__":
    main()
