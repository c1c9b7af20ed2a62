"""What benchmarks print and draw."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch

from benchmarks._evaluation import Report
from impasto.grids.geometry import Space

Curves = dict[str, list[tuple[int, Report]]]
"""For each loop the reports by the number of positions."""


def machine() -> str:
    """The processor, its memory and the versions that the figures are of."""
    model = "processor unknown"
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            model = line.split(":", 1)[1].strip()
            break
    gigabytes = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / 1e9
    return (
        f"{model}, {torch.get_num_threads()} threads, {gigabytes:.0f} GB, torch {torch.__version__}"
    )


def run_parts(
    parts: Mapping[str, Callable[[Path], None]], data: Path, description: str | None
) -> None:
    """What a benchmark of several parts over a folder of data does, its flags --data and --part."""
    parser = argparse.ArgumentParser(
        description=description, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--data", type=Path, default=data)
    parser.add_argument("--part", nargs="+", choices=list(parts), default=list(parts))
    arguments = parser.parse_args()
    print(machine())
    for name in arguments.part:
        print(f"\n## {name}\n", flush=True)
        parts[name](arguments.data)


def shrunk(space: Space, divisor: int) -> Space:
    """The grid with smaller sides, still large enough for every network."""
    if divisor == 1:
        return space
    return tuple(max(48, side // divisor) for side in space)


def shape(space: Space) -> str:
    return " x ".join(map(str, space))


def plan_of(report: Report) -> str:
    """The tiles of each stage and how many stages are kept."""
    if not report.tiles:
        return "whole"
    sides = [
        "x".join(map(str, side)) if len(set(side)) > 1 else str(side[0]) for side in report.tiles
    ]
    kept = min(report.kept, len(sides))
    return f"tiles {' '.join(sides)}, {kept:.1f} kept"


def gigabytes(amount: float) -> str:
    return f"{amount / 1e9:.2f} GB"


def difference(a: np.ndarray, b: np.ndarray) -> float:
    """||a - b|| / ||b||."""
    return float(np.linalg.norm(a.astype(np.float64) - b) / np.linalg.norm(b.astype(np.float64)))


def table(head: Sequence[str], lines: Sequence[Sequence[str]]) -> None:
    """A Markdown table; short lines are filled up."""
    print("| " + " | ".join(head) + " |")
    print("|" + "---|" * len(head))
    for line in lines:
        print("| " + " | ".join([*line, *[""] * (len(head) - len(line))]) + " |", flush=True)


def slope(points: list[tuple[int, float]]) -> float:
    """Of the straight line through the logarithms."""
    if len({count for count, _ in points}) < 2:
        return float("nan")
    x, y = np.log(np.array(points)).T
    return float(np.polyfit(x, y, 1)[0])


def plot(curves: dict[str, Curves], path: Path) -> None:
    """A column a network: time above, memory below, all axes logarithmic."""
    import matplotlib as mpl

    mpl.use("agg")
    from matplotlib import pyplot
    from matplotlib.ticker import NullFormatter

    figure, axes = pyplot.subplots(
        2, len(curves), figsize=(3.1 * len(curves), 5.4), sharex="col", layout="constrained"
    )
    units = {"filterbank, volumes": "voxels", "filterbank, signals": "samples"}
    styles = {"impasto": ("o-", "#1f5fa8"), "plain": ("s--", "#b45f06")}
    for (name, loops), (above, below) in zip(curves.items(), axes.T, strict=True):
        for loop, points in loops.items():
            counts = [count for count, _ in points]
            line, color = styles[loop]
            for panel, heights in (
                (above, [report.seconds for _, report in points]),
                (below, [report.above / 1e9 for _, report in points]),
            ):
                exponent = slope(list(zip(counts, heights, strict=True)))
                label = f"{loop}, exponent {exponent:.2f}"
                panel.plot(counts, heights, line, color=color, label=label, markersize=4)
        above.set(title=name, xscale="log", yscale="log")
        below.set(xlabel=units.get(name, "pixels"), xscale="log", yscale="log")
        for panel in (above, below):
            panel.xaxis.set_minor_formatter(NullFormatter())
            panel.grid(which="major", color="0.9")
            panel.legend(frameon=False, fontsize=8)
    axes[0, 0].set_ylabel("seconds an evaluation")
    axes[1, 0].set_ylabel("peak memory (GB)")
    figure.savefig(path, dpi=130)
