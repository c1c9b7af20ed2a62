"""What `standard` gains from its start: one pass, beside the content and all scales.

Each pair is painted both ways in one process, which has everything loaded: time of the run, and J
of the last scale, which is the same J in both. Then what `impasto compare` tells of both.

    python -m benchmarks.start [--assets FOLDER] [--pairs 10] [--size 384] [--sheets FOLDER]
        [--optimizer then|now]

"then" is the rival as it was, and "now" the same scales with today's learning rate and average.
"""

from __future__ import annotations

import argparse
import statistics
from pathlib import Path
from typing import Any

import torch

from benchmarks._tables import machine, table
from benchmarks.instant import Judge
from benchmarks.painted import PAIRS
from impasto import media
from impasto.config.presets import configure
from impasto.media.pictures.picture import Picture, open_picture
from impasto.plots.picture import side_by_side
from impasto.transfer.stylize import stylize

BEFORE: dict[str, dict[str, Any]] = {
    "then": {"init": "content", "learning_rate": 0.02, "average": 0.9},
    "now": {"init": "content"},
}
"""`standard` from the content with all scales, with the optimizer's settings then and now."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--assets", type=Path, default=Path("../shared/assets"))
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--sheets", type=Path)
    parser.add_argument("--optimizer", choices=BEFORE, default="then")
    arguments = parser.parse_args()
    print(f"{machine()}\n")
    rows, times, lower = [], [], 0
    rival = BEFORE[arguments.optimizer]
    ours, before = (configure(size=arguments.size, **how) for how in ({"seed": 0}, rival))
    for content, style in PAIRS[: arguments.pairs]:
        paths = arguments.assets / "content" / content, arguments.assets / "style" / style
        c, s = (open_picture(path, (arguments.size,)) for path in paths)
        one, other = (stylize(*paths, config) for config in (ours, before))
        times.append(one.seconds / other.seconds)
        lower += one.value <= other.value
        judge = Judge(torch.from_numpy(c.data)[None], torch.from_numpy(s.data)[None], None)
        figures = [judge.verdict(result.tensor()[None], 1.0) for result in (one, other)]
        rows.append(
            [
                f"{Path(content).stem} + {Path(style).stem}",
                *(f"{result.seconds:.1f}" for result in (one, other)),
                f"{times[-1]:.2f}",
                *(f"{result.value:.3f}" for result in (one, other)),
                " / ".join(f"{figure.style:.2f}" for figure in figures),
                " / ".join(f"{figure.coverage:.2f}" for figure in figures),
            ]
        )
        if arguments.sheets:
            arguments.sheets.mkdir(parents=True, exist_ok=True)
            results = [picture for r in (one, other) if isinstance(picture := r.sample, Picture)]
            row = side_by_side([c, s, *results], arguments.size)
            media.save(row, arguments.sheets / f"{Path(content).stem}-{Path(style).stem}.png")
    head = ("pair", "one pass, s", "content, s", "ratio", "J", "J from content")
    table((*head, "style distance", "coverage"), rows)
    print(
        f"median of the ratios {statistics.median(times):.2f}; J no higher on {lower} of", end=" "
    )
    print(len(rows))


if __name__ == "__main__":
    main()
