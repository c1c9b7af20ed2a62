"""Draws the pictures of gallery.md, one sheet a part, with the seconds of each run.

    python docs/make_gallery.py --assets FOLDER [PART ...]

FOLDER has content/kodak03.png and so on (Kodak's photographs) and style/starry_night.jpg and so on.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, NamedTuple

import matplotlib as mpl

mpl.use("agg")

import numpy as np
from matplotlib import path as matplotlib_path
from matplotlib import pyplot

from impasto import media
from impasto.config.presets import configure
from impasto.media.pictures.picture import Picture, from_array
from impasto.transfer.stylize import stylize

FIGURES = Path(__file__).parent / "figures"
SIZE = (384,)


class Shown(NamedTuple):
    """A picture and what is written below it."""

    title: str
    picture: Picture


class Assets(NamedTuple):
    """A folder with contents and styles."""

    folder: Path

    def content(self, name: str) -> Path:
        return self.folder / "content" / f"{name}.png"

    def style(self, name: str) -> Path:
        return self.folder / "style" / f"{name}.jpg"


def made(title: str, content: Path, styles: list[Path], preset: str = "standard", **settings: Any
         ) -> Shown:  # fmt: skip
    """A run, its seconds in the title; its terms are printed, beta divided out."""
    config = configure(preset, **{"size": SIZE} | settings)
    result = stylize(content, styles, config)
    assert isinstance(result.sample, Picture)
    style = result.terms["style"] / config.objective.beta
    print(f"{title}: content {result.terms['content']:.3f}, style {style:.4f}", flush=True)
    return Shown(f"{title} ({result.seconds:.0f} s)", result.sample)


def opened(title: str, path: Path) -> Shown:
    return Shown(title, media.load(path, SIZE))  # type: ignore[arg-type]


def losses(assets: Assets) -> list[Shown]:
    """Gram matrices beside moments, of two pairs."""
    found = []
    for content, style in (("kodak15", "vg_la_cafe"), ("kodak23", "starry_night")):
        pair = assets.content(content), [assets.style(style)]
        found.append(opened(content, pair[0]))
        found += [made(loss, *pair, style_losses=(loss,)) for loss in ("gram", "moments")]
    return found


def styles(assets: Assets) -> list[Shown]:
    """Two styles in four shares."""
    content, both = (
        assets.content("kodak19"),
        [assets.style("starry_night"), assets.style("wave_crop")],
    )
    return [
        made(f"{one:g} starry night, {1 - one:g} wave", content, both, style_weights=(one, 1 - one))
        for one in (1.0, 0.7, 0.3, 0.0)
    ]


def strokes(assets: Assets) -> list[Shown]:
    """The style at three sizes."""
    content, style = assets.content("kodak22"), [assets.style("vg_wheat_field")]
    return [
        made(f"--style-scale {scale:g}", content, style, style_scale=scale)
        for scale in (0.5, 1.0, 2.0)
    ]


LAND = "0 .4, .2 .46, .277 .35, .45 .44, .49 .3, .46 .28, .46 .22, .53 .14, .62 .22, .62 .28, .6 .3"
"""The outline of what is no sky in kodak19, x and y over its width and height."""


def sky(path: Path) -> np.ndarray:
    """Where kodak19 has sky."""
    height, width = media.grid(path)[1]
    outline = [(float(x), float(y)) for x, y in (point.split() for point in LAND.split(","))]
    land = matplotlib_path.Path([*outline, (0.66, 0.54), (1, 0.56), (1, 1), (0, 1)])
    y, x = np.mgrid[:height, :width]
    points = np.stack([x.ravel() / width, y.ravel() / height], 1)
    return ~land.contains_points(points).reshape(height, width)


def masks(assets: Assets) -> list[Shown]:
    """Regions, what stays, and a map of the strength."""
    content, style = assets.content("kodak19"), assets.style("starry_night")
    sample = media.load(style, SIZE)
    with TemporaryDirectory() as folder:
        names = [Path(folder) / f"{name}.png" for name in ("content", "style", "strength")]
        marked = sky(content)
        above = np.zeros(sample.space, bool)
        above[: round(0.62 * len(above))] = True
        ramp = np.tile(np.linspace(0, 1, marked.shape[1]), (len(marked), 1))
        for name, plane in zip(names, (marked, above, ramp), strict=True):
            media.save(from_array(plane.astype(np.float32)), name)
        ours, theirs, strength = map(str, names)
        pair = content, [style]
        return [
            made("one style everywhere", *pair),
            opened("mask of the content", names[0]),
            opened("mask of the style", names[1]),
            made("sky to sky, land to land", *pair, mask=(ours, theirs)),
            made("--region-strengths 0.2 2", *pair, mask=(ours, theirs), region_strengths=(0.2, 2)),
            made("--mask of the content alone", *pair, mask=(ours,)),
            made("--strength, black to white", *pair, strength=strength),
        ]


def colors(assets: Assets) -> list[Shown]:
    """The five ways with colors."""
    pair = assets.content("kodak22"), [assets.style("the_scream")]
    modes = ("style", "match", "luminance", "oklab", "palette")
    return [opened("content", pair[0]), *(made(f"--color {m}", *pair, color=m) for m in modes)]


def sizes(assets: Assets) -> list[Shown]:
    """One setting at four sizes."""
    pair = assets.content("kodak23"), [assets.style("vg_la_cafe")]
    return [made(f"--size {size}", *pair, size=(size,)) for size in (256, 512, 1024, 2048)]


def presets(assets: Assets) -> list[Shown]:
    """Those for pictures that need no download."""
    pair = assets.content("kodak15"), [assets.style("starry_night")]
    found = [made(name, *pair, preset=name, size=(512,)) for name in ("draft", "standard", "fine")]
    found.append(made("print, 1024", *pair, preset="print", size=(1024,)))
    return [*found, made("notes", *pair, preset="notes", size=(100, 100))]


def gatys(assets: Assets) -> list[Shown]:
    """The preset of Gatys 2016."""
    content, style = assets.content("kodak19"), assets.style("starry_night")
    result = made("gatys", content, [style], preset="gatys", size=(512,))
    return [opened("content", content), opened("style", style), result]


PARTS: dict[str, tuple[Callable[[Assets], list[Shown]], int]] = {
    "losses": (losses, 3),
    "styles": (styles, 4),
    "strokes": (strokes, 3),
    "masks": (masks, 4),
    "colors": (colors, 3),
    "sizes": (sizes, 4),
    "presets": (presets, 3),
    "gatys": (gatys, 3),
}
"""What to show, and in how many columns."""


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("parts", nargs="*", choices=[*PARTS, []], help="all if none is named")
    parser.add_argument("--assets", type=Path, required=True)
    arguments = parser.parse_args()
    assets = Assets(arguments.assets)
    for name in arguments.parts or PARTS:
        show, columns = PARTS[name]
        sheet(show(assets), columns, FIGURES / f"gallery-{name}.jpg")


def sheet(shown: list[Shown], columns: int, path: Path) -> None:
    """The pictures in rows, their titles above them."""
    rows = -(-len(shown) // columns)
    height, width = shown[0].picture.space
    size = (11, rows * (11 / columns * height / width + 0.3))
    _, axes = pyplot.subplots(rows, columns, figsize=size, layout="constrained", squeeze=False)
    for ax in axes.flat:
        ax.axis("off")
    for ax, one in zip(axes.flat, shown, strict=False):
        ax.set_title(one.title, fontsize=8)
        ax.imshow(np.moveaxis(one.picture.data, 0, -1), interpolation="antialiased")
    pyplot.savefig(path, dpi=100, pil_kwargs={"quality": 82})
    pyplot.close()


if __name__ == "__main__":
    main()
