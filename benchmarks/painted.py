"""Pictures that look painted: presets beside style-transfer-pytorch's recipe and doing nothing.

The judge is a network that none of them used: VGG-19's first blocks, from a file, or lite where
none is named (which judges `standard` too kindly). Coverage is what of the style is nowhere in the
result, precision what of the result is nowhere in the style; content is the squared difference of
activations over their variance in the content. Lower is better. Sheets of content, style and
results at full size are for the eye, which decides.

    python -m benchmarks.painted [--assets FOLDER] [--pairs 12]
        [--content FILE ... --style FILE ...] [--judge VGG19] [--presets standard fine paint]
        [--size 384] [--recipe VGG16 [--share 1.0]] [--sheets FOLDER]

--assets: what holds content/ and style/ with twelve pairs, the first --pairs of them taken where no
files are named. --recipe: VGG-16's published weights, whose layers have the scales that the
recipe's lambdas are for; it is left out where none are named. --share: of its 1000 and 500 steps.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from benchmarks._recipes import Pair, StyleTransfer, with_replicated_border
from benchmarks._tables import machine, table
from impasto import media
from impasto.config.presets import configure
from impasto.media.pictures.picture import Picture, open_picture
from impasto.metrics.matching import coverage, features, precision
from impasto.networks import Network
from impasto.networks.lite import load_lite
from impasto.networks.weights import load_vgg
from impasto.plots.picture import side_by_side
from impasto.transfer.stylize import stylize

PAIRS = (
    ("kodak15.png", "wave_crop.jpg"),
    ("kodak23.png", "starry_night.jpg"),
    ("golden_gate.jpg", "the_scream.jpg"),
    ("tubingen.jpg", "vg_la_cafe.jpg"),
    ("lion.jpg", "tahiti_guaguin.jpg"),
    ("kodak19.png", "vg_wheat_field.jpg"),
    ("kodak03.png", "wave_crop.jpg"),
    ("kodak22.png", "shipwreck.jpg"),
    ("taj_mahal.jpg", "vg_olive.jpg"),
    ("kodak07.png", "tahiti_guaguin.jpg"),
    ("hoovertowernight.jpg", "starry_night.jpg"),
    ("kodak24.png", "the_scream.jpg"),
)
"""A face, animals, hats, a window, a town, a tower, boats and houses; oil, woodcut and pastel."""

LAYER = "relu3_1"
FIRST_STEPS, STEPS = 1000, 500
NOTHING = "doing nothing"


@dataclass(frozen=True)
class Verdict:
    """Of a result: what the judge says, and the seconds that it took."""

    coverage: float
    precision: float
    content: float
    seconds: float


def judged(
    judge: Network, result: Tensor, content: Tensor, style: Tensor, seconds: float
) -> Verdict:
    """All of shape (1, 3, height, width)."""
    with torch.no_grad():
        x, c, s = (features(judge, picture, LAYER) for picture in (result, content, style))
    lost = (x - c).square().sum() / (c - c.mean(0)).square().sum()
    return Verdict(coverage(s, x), precision(s, x), lost.item(), seconds)


def results(
    content: Path,
    style: Path,
    presets: Sequence[str],
    size: int,
    recipe: Path | None,
    share: float,
) -> dict[str, tuple[Picture, float]]:
    """Each preset's picture, and the recipe's, with the seconds it took."""
    runs: dict[str, Callable[[], Picture]] = {}
    for preset in presets:
        runs[preset] = partial(picture_of, content, style, preset, size)
    if recipe:
        runs["recipe"] = partial(recipe_of, content, style, size, recipe, share)
    found = {}
    for name, run in runs.items():
        began = time.perf_counter()
        picture = run()
        found[name] = (picture, time.perf_counter() - began)
        print(f"{content.stem}, {style.stem}: {name} {found[name][1]:.0f} s", flush=True)
    return found


def picture_of(content: Path, style: Path, preset: str, size: int) -> Picture:
    sample = stylize(content, style, configure(preset, size=(size,))).sample
    assert isinstance(sample, Picture)
    return sample


def recipe_of(content: Path, style: Path, size: int, weights: Path, share: float) -> Picture:
    """style-transfer-pytorch's."""
    network = load_vgg("vgg16", path=weights, values="auto", padding="zero", pooling="max")
    pair = Pair(*(_values(open_picture(path, (2 * size,))) for path in (content, style)))
    recipe = StyleTransfer(
        with_replicated_border(network.requires_grad_(False)),
        pair,
        size,
        first_steps=max(1, round(share * FIRST_STEPS)),
        steps=max(1, round(share * STEPS)),
    )
    return Picture(recipe.run().picture[0].numpy())


def _values(picture: Picture) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(picture.data[None, :3]))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--assets", type=Path, default=Path("../shared/assets"))
    parser.add_argument("--pairs", type=int, default=len(PAIRS))
    parser.add_argument("--content", type=Path, nargs="+", default=[])
    parser.add_argument("--style", type=Path, nargs="+", default=[], help="one a content")
    parser.add_argument("--judge", type=Path, help="VGG-19's weights; lite judges if none")
    parser.add_argument("--presets", nargs="*", default=["standard", "fine", "paint"])
    parser.add_argument("--size", type=int, default=384)
    parser.add_argument("--recipe", type=Path, metavar="VGG16")
    parser.add_argument("--share", type=float, default=1.0)
    parser.add_argument("--sheets", type=Path, help="a folder, made where it is not there")
    arguments = parser.parse_args()
    judge = (
        load_vgg(
            "vgg19", path=arguments.judge, values="auto", padding="replicate", pooling="max"
        ).requires_grad_(False)
        if arguments.judge
        else load_lite(padding="replicate", pooling="max")
    )
    verdicts: dict[str, list[Verdict]] = {}
    pairs = list(zip(arguments.content, arguments.style, strict=True)) or [
        (arguments.assets / "content" / content, arguments.assets / "style" / style)
        for content, style in PAIRS[: arguments.pairs]
    ]
    for number, (content, style) in enumerate(pairs, start=1):
        c, s = (open_picture(path, (arguments.size,)) for path in (content, style))
        found = results(
            content, style, arguments.presets, arguments.size, arguments.recipe, arguments.share
        )
        for name, (picture, seconds) in {NOTHING: (c, 0.0), **found}.items():
            verdict = judged(judge, _values(picture), _values(c), _values(s), seconds)
            verdicts.setdefault(name, []).append(verdict)
        if arguments.sheets:
            arguments.sheets.mkdir(parents=True, exist_ok=True)
            row = side_by_side([c, s, *(picture for picture, _ in found.values())], c.space[0])
            name = f"{number:02d}-{content.stem}-{style.stem}.png"
            media.save(row, arguments.sheets / name)
    print(f"\n{machine()}; medians over {len(pairs)} pairs at {arguments.size} pixels\n")
    nothing = verdicts[NOTHING]
    table(
        ("", "coverage", "over doing nothing", "precision", "content", "seconds"),
        [
            (
                name,
                f"{statistics.median(v.coverage for v in found):.3f}",
                _ratio(found, nothing),
                f"{statistics.median(v.precision for v in found):.3f}",
                f"{statistics.median(v.content for v in found):.2f}",
                f"{statistics.median(v.seconds for v in found):.0f}",
            )
            for name, found in verdicts.items()
        ],
    )


def _ratio(found: Sequence[Verdict], nothing: Sequence[Verdict]) -> str:
    ratios = [v.coverage / n.coverage for v, n in zip(found, nothing, strict=True)]
    return f"{statistics.median(ratios):.2f}"


if __name__ == "__main__":
    main()
