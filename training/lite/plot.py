"""Draws the logs of the shipped weights: python -m training.lite.plot"""

from __future__ import annotations

import json
from pathlib import Path

from matplotlib import pyplot

from training.lite.teachers import STYLE

FOLDER = Path(__file__).parent
LOGS = ("whole.jsonl", "deep.jsonl")


def main() -> None:
    _, axes = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained", sharex=True)
    for ax, kind, name in zip(
        axes, ("feature", "gram"), ("features", "Gram matrices"), strict=True
    ):
        for color, layer in enumerate(STYLE):
            begun = 0
            for log in LOGS:
                lines = [json.loads(line) for line in (FOLDER / log).read_text().splitlines()]
                lines = [line for line in lines if layer in line[kind]]
                steps = [begun + line["step"] for line in lines]
                label = layer if not begun else None
                ax.plot(steps, [line[kind][layer] for line in lines], f"C{color}", label=label)
                begun += 10_000
        ax.set(xlabel="step", yscale="log", title=f"relative squared error of {name}")
        ax.axvline(10_000, color="gray", linewidth=0.5)
        ax.grid(alpha=0.3)
    axes[0].legend()
    pyplot.savefig(FOLDER / "curves.png", dpi=100)


if __name__ == "__main__":
    main()
