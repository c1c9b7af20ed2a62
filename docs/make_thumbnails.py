"""Cuts the small pictures of the README and of the studio out of the sheets of the gallery.

python docs/make_thumbnails.py
"""

from __future__ import annotations

from pathlib import Path

from PIL import Image

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

PRESETS: dict[str, tuple[str, Box]] = {
    "draft": ("gallery-presets", (5, 21, 362, 258)),
    "standard": ("gallery-painted", (587, 236, 932, 466)),
    "fine": ("gallery-painted", (938, 236, 1283, 466)),
    "paint": ("gallery-painted", (1289, 236, 1634, 466)),
    "print": ("gallery-presets", (5, 299, 362, 536)),
    "notes": ("gallery-presets", (425, 292, 675, 458)),
    "gatys": ("gallery-gatys", (740, 90, 1095, 326)),
}


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
            row.paste(sheet.crop(box).resize((width, height), Image.Resampling.LANCZOS), (left, 0))
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
    for name, (sheet, box) in PRESETS.items():
        picture = Image.open(FIGURES / f"{sheet}.jpg").crop(box)
        small = picture.resize((150, 100), Image.Resampling.LANCZOS)
        small.save(FIGURES / f"preset-{name}.jpg", quality=85)
    for path in FIGURES.glob("preset-*.jpg"):
        square = Image.open(path).crop((25, 0, 125, 100))
        square.save(PAGE / path.name, quality=85)


if __name__ == "__main__":
    main()
