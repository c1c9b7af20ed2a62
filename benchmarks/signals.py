"""How well ECGs and sounds take a style: networks compared, each beside the no-op and the floor.

The data are not in the repository: a folder with MIT-BIH record 100 (100.hea, .dat), PTB s0010
(ptb_s0010_re.npz), challenge2015_a103l.npz and sounds is named by --data.

    ecg      five pairs, each with every network: metrics and time
    sound    two pairs of sounds with the preset audio-transfer
    length   time of an evaluation over the length of a recording of three leads

    python -m benchmarks.signals --data FOLDER [--part ecg sound length]
"""

from __future__ import annotations

import argparse
import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import nn

from benchmarks._evaluation import Case, measure
from benchmarks._tables import gigabytes, machine, slope, table
from impasto import media
from impasto.config import PRESETS, Config, ObjectiveConfig
from impasto.media.signal import Signal
from impasto.metrics import compare
from impasto.networks import Network
from impasto.networks.filterbank import filterbank
from impasto.networks.vgg import vgg
from impasto.transfer import stylize

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


def octaves(*, dims: int, channels: int, rate: float) -> Network:
    """The filterbank of pictures and volumes, over time."""
    return filterbank(dims=dims, channels=channels, padding="replicate", seed=0)


def deep(*, dims: int, channels: int, rate: float) -> Network:
    """VGG's shape with filters over time: random weights (He et al. 2015), a quarter as wide."""
    depths, widths = (2, 2, 4, 4, 1), (16, 32, 64, 128, 128)
    network = vgg("deep", depths, widths, dims=dims, channels=channels)
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, nn.Conv1d):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            assert module.bias is not None
            nn.init.zeros_(module.bias)
    return network


def variants() -> dict[str, Config]:
    """What is compared: the preset, and others in its place."""
    ecg = PRESETS["ecg"]

    def with_network(name: str, layers: tuple[Any, Any]) -> Config:
        return replace(
            ecg,
            network=replace(ecg.network, network=f"benchmarks.signals:{name}"),
            objective=replace(ecg.objective, content_layers=layers[0], style_layers=layers[1]),
        )

    none = {"spectrum": 0.0, "autocorrelation": 0.0, "amplitude": 0.0}
    gram = ObjectiveConfig(beta=ecg.objective.beta)
    return {
        "filterbank and statistics (preset ecg)": ecg,
        "filterbank alone": replace(ecg, objective=gram),
        "statistics alone": replace(ecg, objective=replace(ecg.objective, beta=0.0)),
        "octaves and statistics": with_network("octaves", OCTAVES),
        "VGG and statistics": with_network("deep", DEEP),
        "VGG alone": replace(
            with_network("deep", DEEP),
            objective=replace(with_network("deep", DEEP).objective, **none),
        ),
    }


def pairs(data: Path) -> dict[str, tuple[Signal, Signal]]:
    """Contents and styles, one lead each."""
    clean, ptb, noisy = (
        media.load(data / name)
        for name in ("100.hea", "ptb_s0010_re.npz", "challenge2015_a103l.npz")
    )
    assert isinstance(clean, Signal)
    assert isinstance(ptb, Signal)
    assert isinstance(noisy, Signal)
    minute = clean.stretch(0, 60)
    return {
        "100 MLII, a103l II": (minute.select(["MLII"]), noisy.select(["II"])),
        "100 MLII, PTB II": (minute.select(["MLII"]), ptb.select(["ii"])),
        "100 V5, a103l V": (minute.select(["V5"]), noisy.select(["V"])),
        "PTB II, a103l II": (ptb.select(["ii"]), noisy.select(["II"])),
        "a103l II, 100 MLII": (noisy.stretch(0, 60).select(["II"]), minute.select(["MLII"])),
    }


def ecg(data: Path) -> None:
    """A row for each pair and network."""
    lines = []
    for name, config in variants().items():
        for pair, (content, style) in pairs(data).items():
            lines.append([pair, name, *_row(content, style, config)])
    table(["content, style", "network", "seconds", *METRICS], sorted(lines, key=lambda x: x[0]))
    print("\nIn brackets the no-op, then the floor.")


def sound(data: Path) -> None:
    """Sounds by the preset audio-transfer."""
    lines = []
    for content, style in (("hungarian*", "humpback*"), ("speech*", "solo_trumpet*")):
        names = [next(data.glob(f"{name}.wav")) for name in (content, style)]
        one, other = (media.load(path) for path in names)
        assert isinstance(one, Signal)
        assert isinstance(other, Signal)
        row = _row(one, other, PRESETS["audio-transfer"])
        lines.append([*(path.stem.split("_")[0] for path in names), *row])
    table(["content", "style", "seconds", *METRICS], lines)


METRICS = ("R-peak F1", "log-spectral distance", "autocorrelation", "amplitude", "kurtosis")


def _row(content: Signal, style: Signal, config: Config) -> list[str]:
    began = time.perf_counter()
    result = stylize(content, style, config)
    seconds = time.perf_counter() - began
    assert isinstance(result.sample, Signal)
    rows = compare(result.sample, content, style).rows
    cells = []
    for metric in METRICS:
        found = [row for row in rows if row.metric.startswith(metric)]
        row = found[0] if found else None
        cells.append(f"{row.result:.3g} ({row.no_op:.3g}, {row.floor:.3g})" if row else "")
    return [f"{seconds:.1f}", *cells]


def length(data: Path) -> None:
    """Recordings of one channel at 250 Hz, as long as hours and a day."""
    hours = (0.25, 1, 4, 24)
    reports = []
    for hour in hours:
        case = Case("filterbank", (round(hour * 900_000),), memory="2GB", style=(75_000,), warm=0)
        reports.append(measure(replace(case, anonymous=True)))
    table(
        ["hours at 250 Hz", "seconds", "memory less files"],
        [
            [f"{hour}", f"{report.seconds:.2f}", gigabytes(report.anonymous)]
            for hour, report in zip(hours, reports, strict=True)
        ],
    )
    points = [(round(h * 900_000), r.seconds) for h, r in zip(hours, reports, strict=True)]
    print(f"\nslope of log time over log length: {slope(points):.2f}")


def main() -> None:
    parts = {"ecg": ecg, "sound": sound, "length": length}
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=DEFAULT)
    parser.add_argument("--part", nargs="+", choices=list(parts), default=list(parts))
    arguments = parser.parse_args()
    print(machine())
    for name in arguments.part:
        print(f"\n## {name}\n", flush=True)
        parts[name](arguments.data)


if __name__ == "__main__":
    main()
