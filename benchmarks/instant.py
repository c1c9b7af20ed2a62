"""Instant beside what else paints in one pass: MicroAST, and one level of optimal transport with
Collaborative Distillation's networks.

Each is run with several amounts, from a part of the way to the style to all of it. Style distance
(W2 of lite's layers, over that of doing nothing), coverage (over doing nothing) and LPIPS are as
`impasto compare` has them; --deep adds the style distance of VGG-16's layers. A program that keeps
more of the content is farther from the style. So instant is compared with each rival at the same
LPIPS, the larger one that both reach, each interpolated between its amounts. "twice" paints each
size twice.

    python -m benchmarks.instant [--assets FOLDER] [--weights FOLDER] [--decoder FILE] [--pairs 10]
        [--size 384] [--amounts 0.5 0.75 1.0] [--deep] [--sheets FOLDER] [--output FILE]
        [--standard] [--tuned FILE --style NAME]

--assets: holds content/ and style/. --weights: the rivals' files, those of LPIPS and VGG-16. Each
that is missing is left out. --sheets: for rows of content, style and results. --output: all figures
as JSON. --standard: the preset of that name beside them. --tuned: a decoder of `impasto tune`,
beside instant on the contents of the pairs in that one style.
"""

from __future__ import annotations

import argparse
import json
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from itertools import product
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks._collaborative import Collaborative
from benchmarks._microast import MicroAst
from benchmarks._tables import machine, table
from benchmarks.painted import PAIRS
from impasto import media
from impasto.config.layers import LAYERS
from impasto.config.presets import configure
from impasto.instant.decoder import EMBEDDED, load_decoder
from impasto.instant.instant import Goal, Instant
from impasto.media.pictures.picture import Picture, open_picture
from impasto.metrics.activations import moments
from impasto.metrics.lpips import Lpips
from impasto.metrics.matching import coverage, features
from impasto.metrics.pictures import w2_distance
from impasto.networks import Network
from impasto.networks.embedded import load_embedded
from impasto.networks.lite import load_lite
from impasto.plots.picture import side_by_side
from impasto.transfer.stylize import stylize

Paint = Callable[[Tensor, Tensor, float], Tensor]
"""Of content and style, shape (1, 3, h, w) each, and an amount."""

TUNED, STANDARD = "instant, tuned", "standard"

AGAIN = 3
"""Times that each program is timed; the fastest counts."""


@dataclass(frozen=True)
class Verdict:
    """Of a result; distances and coverage are over those of doing nothing. deep: by VGG-16."""

    amount: float
    style: float
    deep: float
    coverage: float
    lpips: float


class Judge:
    """Measures results of one pair."""

    def __init__(
        self, content: Tensor, style: Tensor, lpips: Lpips | None, *, deep: bool = False
    ) -> None:
        self.content, self.lpips = content, lpips
        self.networks = {"lite": load_lite(padding="replicate", pooling="max")}
        if deep:
            self.networks["vgg16"] = load_embedded(padding="replicate", pooling="max")
        self.goals = {name: self._moments(name, style) for name in self.networks}
        self.form = features(self.networks["lite"], style, "relu2_1")
        self.nothing = {name: self._distance(name, content) for name in self.networks}
        self.uncovered = self._coverage(content)

    def verdict(self, picture: Tensor, amount: float) -> Verdict:
        return Verdict(
            amount,
            self._distance("lite", picture) / self.nothing["lite"],
            self._distance("vgg16", picture) / self.nothing["vgg16"]
            if "vgg16" in self.networks
            else float("nan"),
            self._coverage(picture) / self.uncovered,
            self.lpips.distance(picture, self.content) if self.lpips else float("nan"),
        )

    def _moments(self, name: str, picture: Tensor) -> dict[str, Tensor]:
        layers = [layer for layer, _ in LAYERS[name][1]]
        return moments(self.networks[name], picture, layers)

    def _distance(self, name: str, picture: Tensor) -> float:
        """The mean over layers of the relative distances."""
        network: Network = self.networks[name]
        return statistics.mean(
            w2_distance(found, self.goals[name][layer], network.metrics.get(layer))
            for layer, found in self._moments(name, picture).items()
        )

    def _coverage(self, picture: Tensor) -> float:
        return coverage(self.form, features(self.networks["lite"], picture, "relu2_1"))


def programs(weights: Path, decoder: Path) -> dict[str, Paint]:
    """Those whose files are there."""
    found: dict[str, Paint] = {}
    if (weights / "microast_decoder.pth").is_file():
        found["MicroAST"] = MicroAst(weights)
    if (weights / "cd_sd4_16x_decoder.pth").is_file():
        found["CD, one level"] = Collaborative(weights)
    instant = Instant(load_decoder(decoder))

    def painted(content: Tensor, style: Tensor, amount: float, passes: int = 1) -> Tensor:
        goal = Goal([instant.statistics(style)])
        return instant.render(content, [goal], amount, passes=passes)

    return found | {"instant": painted, "instant, twice": partial(painted, passes=2)}


def nearer(verdicts: Sequence[Verdict]) -> list[Verdict]:
    """Those that keep at least as much of the content as all of the way does.

    With less than all of the way MicroAST's pictures fall apart: its content's activations are on
    another scale than its style's.
    """
    return [v for v in verdicts if v.lpips <= verdicts[-1].lpips or v is verdicts[-1]]


def at(lpips: float, verdicts: Sequence[Verdict], field: str) -> float:
    """A figure at an LPIPS between those of two amounts; at the ends that of the end."""
    ordered = sorted(verdicts, key=lambda verdict: verdict.lpips)
    return float(np.interp(lpips, [v.lpips for v in ordered], [getattr(v, field) for v in ordered]))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--assets", type=Path, default=Path("../shared/assets"))
    parser.add_argument("--weights", type=Path, default=Path("../shared/assets/weights"))
    parser.add_argument("--decoder", type=Path, default=EMBEDDED)
    parser.add_argument("--pairs", type=int, default=10)
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--amounts", type=float, nargs="+", default=[0.5, 0.75, 1.0])
    parser.add_argument("--deep", action="store_true")
    parser.add_argument("--sheets", type=Path)
    parser.add_argument("--output", type=Path)
    parser.add_argument("--standard", action="store_true", help="paints by that preset, too")
    parser.add_argument("--tuned", type=Path)
    parser.add_argument("--style", help="of --tuned: a file of style/")
    arguments = parser.parse_args()
    print(machine())
    paints = programs(arguments.weights, arguments.decoder)
    pairs = PAIRS[: arguments.pairs]
    if arguments.tuned:
        paints[TUNED] = programs(Path(), arguments.tuned)["instant"]
        pairs = tuple((content, arguments.style) for content, _ in pairs)
    lpips = lpips_of(arguments.weights)
    found: dict[str, dict[str, list[Verdict]]] = {}
    for number, (content, style) in enumerate(pairs, start=1):
        pair = f"{Path(content).stem}, {Path(style).stem}"
        paths = arguments.assets / "content" / content, arguments.assets / "style" / style
        pictures = [open_picture(path, (arguments.size,)) for path in paths]
        c, s = (torch.from_numpy(picture.data)[None] for picture in pictures)
        judge = Judge(c, s, lpips, deep=arguments.deep)
        found[pair] = {}
        for name, paint in paints.items():
            results = {amount: paint(c, s, amount) for amount in arguments.amounts}
            found[pair][name] = [judge.verdict(x, amount) for amount, x in results.items()]
            pictures.append(Picture(results[max(results)][0].numpy()))
        print(
            pair, {name: _words(verdicts[-1]) for name, verdicts in found[pair].items()}, flush=True
        )
        if arguments.standard:
            result = stylize(*paths, configure(size=arguments.size))
            pictures.append(Picture(result.tensor().numpy()))
            print(f"{pair} {STANDARD} {_words(judge.verdict(result.tensor()[None], 1.0))}")
        if arguments.sheets:
            arguments.sheets.mkdir(parents=True, exist_ok=True)
            row = side_by_side(pictures, pictures[0].space[0])
            stems = f"{number:02d}-{Path(content).stem}-{Path(style).stem}"
            media.save(row, arguments.sheets / f"{stems}.png")
    report(found, arguments.size)
    seconds = timed(paints)
    if arguments.output:
        lines = {
            pair: {
                name: [{k: round(x, 4) for k, x in asdict(v).items() if x == x} for v in verdicts]
                for name, verdicts in by.items()
            }
            for pair, by in found.items()
        }
        text = json.dumps({"pairs": lines, "seconds": seconds}, indent=1)
        arguments.output.write_text(text + "\n")


def lpips_of(weights: Path) -> Lpips | None:
    files = weights / "lpips_lin_v0.1_vgg.pth", weights / "vgg16_convs.pth"
    return Lpips.of(*files) if all(file.is_file() for file in files) else None


def report(found: dict[str, dict[str, list[Verdict]]], size: int) -> None:
    """Prints medians over pairs: at each amount, and instant at each rival's LPIPS."""
    print(f"\nmedians over {len(found)} pairs at {size} pixels; style and coverage over no-op\n")
    names = list(next(iter(found.values())))
    deep = any(v.deep == v.deep for by in found.values() for each in by.values() for v in each)
    fields = {"style": "style", "deep": "style, VGG-16", "coverage": "coverage", "lpips": "LPIPS"}
    if not deep:
        fields.pop("deep")
    lines: list[tuple[str, ...]] = []
    for name in names:
        for index, first in enumerate(next(iter(found.values()))[name]):
            verdicts = [by[name][index] for by in found.values()]
            figures = [
                f"{statistics.median(getattr(v, field) for v in verdicts):.3f}" for field in fields
            ]
            lines.append((name, f"{first.amount:g}", *figures))
    table(("", "amount", *fields.values()), lines)
    fields.pop("lpips")
    print("\ninstant over each rival at the same LPIPS, and tuned over instant\n")
    lines = []
    ours = [name for name in names if name.startswith("instant")]
    against = list(product(ours, [name for name in names if name not in ours]))
    for own, name in against + [(TUNED, "instant")] * (TUNED in names):
        line: list[str] = [own, name]
        for field in fields:
            ratios = []
            for by in found.values():
                sides = [nearer(by[each]) for each in (own, name)]
                same = min(max(v.lpips for v in side) for side in sides)
                ours_at, theirs_at = (at(same, side, field) for side in sides)
                ratios.append(ours_at / theirs_at)
            line.append(f"{statistics.median(ratios):.3f}")
            line.append(f"{sum(ratio < 1 for ratio in ratios)} of {len(ratios)}")
        lines.append(tuple(line))
    heads = [head for name in fields.values() for head in (name, "less")]
    table(("", "over", *heads), lines)


def timed(paints: dict[str, Paint]) -> dict[str, float]:
    """Prints the seconds of each at 512 x 384, after loading."""
    generator = torch.Generator().manual_seed(0)
    c, s = (torch.rand((1, 3, 384, 512), generator=generator) for _ in range(2))
    seconds = {}
    for name, paint in paints.items():
        times = []
        for _ in range(AGAIN):
            began = time.perf_counter()
            paint(c, s, 1.0)
            times.append(time.perf_counter() - began)
        seconds[name] = round(min(times), 3)
    print("\nseconds at 512 x 384, fp32, after loading\n")
    table(tuple(seconds), [tuple(f"{value:.2f}" for value in seconds.values())])
    return seconds


def _words(verdict: Verdict) -> str:
    return f"style {verdict.style:.2f}, coverage {verdict.coverage:.2f}, LPIPS {verdict.lpips:.2f}"


if __name__ == "__main__":
    main()
