"""Draws the log of the shipped weights: python -m training.lite.plot"""

from __future__ import annotations

import json
from pathlib import Path

from matplotlib import pyplot

FOLDER = Path(__file__).parent


def main() -> None:
    lines = [json.loads(line) for line in (FOLDER / "log.jsonl").read_text().splitlines()]
    _, axes = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained", sharex=True)
    for ax, kind, name in zip(
        axes, ("feature", "gradient"), ("activations", "gradients by the picture"), strict=True
    ):
        for layer in lines[0][kind]:
            steps, found = zip(*((line["step"], line[kind][layer]) for line in lines), strict=True)
            ax.plot(steps, found, label=layer)
        ax.set(xlabel="step", ylim=(0, 1), title=f"relative squared error of {name}")
        ax.grid(alpha=0.3)
    axes[1].legend()
    pyplot.savefig(FOLDER / "curves.png", dpi=100)


if __name__ == "__main__":
    main()
