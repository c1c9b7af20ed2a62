"""Makes the strip of the README, out of a sheet of the gallery, and the small pictures of presets,
of the demo's pictures and of other figures. It takes some ten minutes.

    python docs/make_thumbnails.py
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

from impasto import configure, stylize
from impasto.cli.pictures import PICTURES

LANCZOS = Image.Resampling.LANCZOS
FIGURES = Path(__file__).parent / "figures"
PAGE = Path(__file__).parents[1] / "src" / "impasto" / "studio" / "page"
WIDTH, GAP = 980, 6
"""Of the strip, and between its pictures."""

Box = tuple[int, int, int, int]
"""Left, top, right and bottom, in pixels of a sheet."""

ROWS: tuple[tuple[Box, ...], ...] = (
    ((0, 0, 345, 230), (351, 0, 641, 230), (647, 0, 992, 230)),
    ((0, 236, 345, 466), (351, 236, 581, 466), (1289, 236, 1634, 466)),
    ((0, 472, 153, 702), (159, 472, 450, 702), (455, 472, 608, 702), (614, 472, 768, 702)),
)
"""Of gallery-painted.jpg: photograph, painting, then `standard`, `paint`, `standard` and `fine`."""

PRESETS = {
    **dict.fromkeys(("instant", "draft", "standard", "fine", "paint"), (0,)),
    "print": (1024,),
    "notes": (100, 100),
    "gatys": (240,),
}
"""The presets of pictures, and the size of theirs."""

CUTS: dict[str, tuple[str, Box]] = {
    "ecg": ("ecg.png", (60, 112, 284, 336)),
    "audio-transfer": ("sound.jpg", (80, 186, 330, 436)),
    "audio-texture": ("sound.jpg", (1000, 186, 1250, 436)),
    "ct": ("ct.jpg", (58, 718, 283, 943)),
    "volume": ("solids.jpg", (256, 0, 512, 256)),
}
"""The other presets: a figure, and the part of it."""


def strip() -> Image.Image:
    """The rows, each as wide as the strip."""
    sheet = Image.open(FIGURES / "gallery-painted.jpg")
    rows = []
    for boxes in ROWS:
        wide = sum(right - left for left, _, right, _ in boxes)
        scale = (WIDTH - GAP * (len(boxes) - 1)) / wide
        height = round(scale * (boxes[0][3] - boxes[0][1]))
        row = Image.new("RGB", (WIDTH, height), "white")
        left = 0
        for box in boxes:
            width = min(round(scale * (box[2] - box[0])), WIDTH - left)
            row.paste(sheet.crop(box).resize((width, height), LANCZOS), (left, 0))
            left += width + GAP
        rows.append(row)
    whole = Image.new("RGB", (WIDTH, sum(r.height for r in rows) + GAP * (len(rows) - 1)), "white")
    top = 0
    for row in rows:
        whole.paste(row, (0, top))
        top += row.height + GAP
    return whole


def main() -> None:
    strip().save(FIGURES / "strip.jpg", quality=85)
    for name, (figure, box) in CUTS.items():
        square = Image.open(FIGURES / figure).convert("RGB").crop(box)
        square.resize((160, 160), LANCZOS).save(PAGE / f"preset-{name}.jpg", quality=84)
    for name, size in PRESETS.items():
        content, style = PICTURES
        whole = stylize(content, style, configure(name, size=size)).pil().convert("RGB")
        width, height = whole.size
        top = max(0, (height - round(width * 2 / 3)) // 2)
        wide = whole.crop((0, top, width, height - top))
        wide.resize((150, 100), LANCZOS).save(FIGURES / f"preset-{name}.jpg", quality=88)
        left = max(0, round(0.4 * width - height / 2))
        square = whole.crop((left, 0, left + height, height))
        square.resize((160, 160), LANCZOS).save(PAGE / f"preset-{name}.jpg", quality=84)


if __name__ == "__main__":
    main()
