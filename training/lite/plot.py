"""Draws a log: python -m training.lite.plot training/lite/log.jsonl training/lite/curves.png"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from matplotlib import pyplot

from training.lite.teachers import STYLE


def main() -> None:
    log, picture = map(Path, sys.argv[1:])
    lines = [json.loads(line) for line in log.read_text().splitlines()]
    _, axes = pyplot.subplots(1, 2, figsize=(10, 4), layout="constrained", sharex=True)
    for ax, kind, name in zip(
        axes, ("feature", "gram"), ("features", "Gram matrices"), strict=True
    ):
        for layer in STYLE:
            ax.plot(
                [line["step"] for line in lines], [line[kind][layer] for line in lines], label=layer
            )
        ax.set(xlabel="step", yscale="log", title=f"relative squared error of {name}")
        ax.grid(alpha=0.3)
    axes[0].legend()
    pyplot.savefig(picture, dpi=100)


if __name__ == "__main__":
    main()
