"""Whether alpha and beta mean the same at every size.

Each size is a run of its own. Content is J_content of the result over that of a picture that has
the style's activations in other places, so 1 is nothing of the content; style is J_style of the
result over that of the content, so 1 is nothing of the style, on the grid that a run has it on.
Both at the size of the result, and then as seen at the smallest. Of several pairs the means are
told. The last row is how far each is from its mean over the sizes at most.

    python -m benchmarks.sizes [--sizes 256 512 1024] [--content FILE ... --style FILE ...]
        [--preset standard] [--pictures FOLDER]
"""

from __future__ import annotations

import argparse
import statistics
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from skimage.data import astronaut

from benchmarks._tables import machine, table
from examples.painter import paint
from impasto import media
from impasto.config.config import Config
from impasto.config.presets import configure
from impasto.engine.gradient import terms_of
from impasto.engine.objective import StylePatch, build_objective
from impasto.grids.patch import Patch, Values
from impasto.kinds import PICTURE
from impasto.kinds.units import Units
from impasto.media.pictures.picture import Picture, fit_picture, from_array
from impasto.metrics.activations import moments, plan_for
from impasto.networks import Network
from impasto.transfer.network import network_for
from impasto.transfer.stylize import stylize


class Shares(NamedTuple):
    """What is lost of the content, and what is missing of the style."""

    content: float
    style: float


def shares(result: Picture, content: Picture, style: Picture, config: Config) -> Shares:
    """Of a result, at its size."""
    config = replace(config, engine=replace(config.engine, precision="fp32")).complete()
    network = network_for(config, result, None)
    units = Units.of(result)
    x, c = (units.values(p, result.space) for p in (result, fit_picture(content, result.space)))
    stroke, grows = config.schedule.style_scale, config.objective.coarse_share > 0
    grid = PICTURE.style_space(result, style, result.space, scale=stroke, grows=grows)
    s = units.values(style, grid)
    layers = config.objective.content_layers
    here, there = (moments(network, values, layers) for values in (c, s))
    lost = []
    for layer in layers:
        power, other = (found[layer].diagonal()[:-1].sum().item() for found in (here, there))
        common = (here[layer][-1, :-1] @ there[layer][-1, :-1]).item()
        settings = {"content_layers": (layer,), "beta": 0.0, "normalization": "relative"}
        (distance,) = terms(network, config, [x], c, [], **settings)
        lost.append(distance * power / (power + other - 2 * common))
    missing, no_op = terms(network, config, [x, c], c, [s], alpha=0.0)
    return Shares(statistics.mean(lost), missing / no_op)


def terms(
    network: Network,
    config: Config,
    pictures: Sequence[Values],
    content: Values,
    styles: Sequence[Values],
    **settings: object,
) -> list[float]:
    """J of each picture, with some settings of the objective changed."""
    objective = replace(config.objective, **settings)  # type: ignore[arg-type]
    plan = plan_for(network, tuple(content.shape[2:]), objective.layers)
    own = [plan_for(network, tuple(style.shape[2:]), objective.layers) for style in styles]
    share = objective.style_shares(len(styles)) if styles else ()
    patches = [
        StylePatch(Patch.whole(style), plan, part)
        for style, plan, part in zip(styles, own, share, strict=True)
    ]
    j = build_objective(Patch.whole(content), patches, network, objective, plan)
    return [sum(terms_of(j, picture, plan).values()) for picture in pictures]


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--sizes", type=int, nargs="+", default=[256, 512, 1024, 2048, 4096])
    parser.add_argument(
        "--content", type=Path, nargs="+", default=[], help="scikit-image's astronaut if none"
    )
    parser.add_argument("--style", type=Path, nargs="+", default=[], help="one for each content")
    parser.add_argument("--preset", default="standard")
    parser.add_argument("--pictures", type=Path, help="a folder for the results")
    arguments = parser.parse_args()
    contents, styles = (
        [_opened(path) for path in paths] or [from_array(drawn)]
        for paths, drawn in (
            (arguments.content, astronaut()),
            (arguments.style, paint(768, 1024, seed=12)),
        )
    )
    pairs = list(zip(contents, styles, strict=True))
    sides = ", ".join(" and ".join(str(max(p.space)) for p in pair) for pair in pairs)
    print(f"{machine()}\n{arguments.preset}; pixels of the contents and styles: {sides}\n")
    lines, rows = [], []
    smallest = min(arguments.sizes)
    for size in arguments.sizes:
        config = configure(arguments.preset, size=(size,))
        found, seconds = [], 0.0
        for number, (content, style) in enumerate(pairs, start=1):
            result = stylize(content, style, config)
            picture = result.sample
            assert isinstance(picture, Picture)
            seen = fit_picture(picture, (smallest,))
            found.append(
                [value for p in (picture, seen) for value in shares(p, content, style, config)]
            )
            seconds += result.seconds / len(pairs)
            if arguments.pictures:
                arguments.pictures.mkdir(parents=True, exist_ok=True)
                result.save(arguments.pictures / f"{number}-{size}.png")
        rows.append([statistics.mean(each) for each in zip(*found, strict=True)])
        lines.append([str(size), *(f"{value:.3f}" for value in rows[-1]), f"{seconds:.0f}"])
    spreads = [
        max(abs(v / statistics.mean(each) - 1) for v in each) for each in zip(*rows, strict=True)
    ]
    lines.append(["within", *(f"{100 * spread:.0f} %" for spread in spreads)])
    at = f"seen at {smallest}"
    table(["size", "content", "style", f"content, {at}", f"style, {at}", "seconds"], lines)


def _opened(path: Path) -> Picture:
    picture = media.load(path)
    assert isinstance(picture, Picture)
    return picture


if __name__ == "__main__":
    main()
