"""Draws the rooms of the package and writes what each may import, from pyproject.toml's contracts.

python docs/make_architecture.py

The picture is figures/architecture.svg, the table stands between two marks in architecture.md. A
test compares both with what this makes. What a room is comes from the docstring of the room.
"""

from __future__ import annotations

import ast
import re
import tomllib
from html import escape
from pathlib import Path
from textwrap import wrap
from typing import Any, NamedTuple

ROOT = Path(__file__).resolve().parents[1]
PICTURE = ROOT / "docs" / "figures" / "architecture.svg"
PAGE = ROOT / "docs" / "architecture.md"
BEGIN, END = "<!-- rooms: docs/make_architecture.py -->\n", "<!-- end of rooms -->"

WIDTH, MARGIN, GAP = 680, 14, 10
LINE, LETTER = 15, 6.1
"""Of what a room is: the height of a line and the width of a letter, about."""

TINTS = ("#fdf3e3", "#eaf1fb")


class Room(NamedTuple):
    """name: without the package. what: the first sentence of its docstring."""

    name: str
    what: str


Floors = list[list[Room]]


def contracts() -> list[dict[str, Any]]:
    """As import-linter reads them."""
    text = (ROOT / "pyproject.toml").read_text()
    found: list[dict[str, Any]] = tomllib.loads(text)["tool"]["importlinter"]["contracts"]
    return found


def floors() -> Floors:
    """The rooms, the highest floor first."""
    (layers,) = (contract["layers"] for contract in contracts() if contract["type"] == "layers")
    return [[_room(name.strip()) for name in re.split("[|:]", floor)] for floor in layers]


def _room(module: str) -> Room:
    path = ROOT.joinpath("src", *module.split("."))
    file = path / "__init__.py" if path.is_dir() else path.with_suffix(".py")
    text = " ".join((ast.get_docstring(ast.parse(file.read_text())) or "").split("\n\n")[0].split())
    sentence = re.split(r"(?<=[.!?]) (?=[A-Z])", text)[0]
    if len(sentence) > 110:  # what it is, without how
        sentence = re.split("[:;]", sentence)[0] + "."
    return Room(module.removeprefix("impasto."), sentence)


def picture(storeys: Floors) -> str:
    """The floors above one another, as an SVG."""
    parts, top = [], MARGIN
    for number, rooms in enumerate(storeys):
        width = (WIDTH - 2 * MARGIN - GAP * (len(rooms) - 1)) / len(rooms)
        texts = [wrap(room.what, int((width - 24) / LETTER)) for room in rooms]
        height = 32 + LINE * max(map(len, texts))
        for place, (room, lines) in enumerate(zip(rooms, texts, strict=True)):
            left = MARGIN + place * (width + GAP)
            parts.append(
                f'<rect x="{left:.0f}" y="{top}" width="{width:.0f}" height="{height}" rx="5"'
                f' fill="{TINTS[number % 2]}"/>'
            )
            at = f'x="{left + 12:.0f}"'
            parts.append(f'<text {at} y="{top + 20}" class="name">{escape(room.name)}</text>')
            parts += [
                f'<text {at} y="{top + 38 + LINE * row}">{escape(line.replace("`", ""))}</text>'
                for row, line in enumerate(lines)
            ]
        top += height + GAP
    height = top + MARGIN - GAP
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {height}"'
            f' width="{WIDTH}" height="{height}" role="img">',
            "<title>The rooms of impasto; imports lead downward only</title>",
            "<style>text { font: 12px sans-serif; fill: #33373d }"
            " .name { font: bold 15px sans-serif; fill: #16263f }"
            " rect { stroke: #b9c3d0 }</style>",
            f'<rect width="{WIDTH}" height="{height}" rx="6" fill="#ffffff" stroke="none"/>',
            *parts,
            "</svg>\n",
        ]
    )


def table(storeys: Floors) -> str:
    """What each room may import, and the names of the contracts."""
    rows = ["| room | what it is | may import |", "|---|---|---|"]
    for number, rooms in enumerate(storeys):
        rows += [
            f"| `{room.name}` | {room.what} | {_below(storeys, number, room)} |" for room in rooms
        ]
    names = "\n".join(f"- {contract['name']}." for contract in contracts())
    return "\n".join(rows) + f"\n\nThe contracts, as they are named:\n\n{names}\n"


def _below(storeys: Floors, number: int, room: Room) -> str:
    """What a room on that floor may import."""
    next_ones = ", ".join(f"`{other.name}`" for other in (storeys[number + 1 :] or [[]])[0])
    if not next_ones:
        return "nothing of ours"
    refused = "".join(f", but not `{name}`" for name in sorted(_forbidden(room.name)))
    return next_ones + (" and all below" if storeys[number + 2 :] else "") + refused


def _forbidden(room: str) -> set[str]:
    """What a contract of its own forbids a room."""
    return {
        module.removeprefix("impasto.")
        for contract in contracts()
        if contract["type"] == "forbidden" and f"impasto.{room}" in contract["source_modules"]
        for module in contract["forbidden_modules"]
    }


def page(text: str, storeys: Floors) -> str:
    """The page, with the table as it is now."""
    before, _, rest = text.partition(BEGIN)
    return before + BEGIN + "\n" + table(storeys) + "\n" + END + rest.partition(END)[2]


def main() -> None:
    storeys = floors()
    PICTURE.write_text(picture(storeys))
    PAGE.write_text(page(PAGE.read_text(), storeys))


if __name__ == "__main__":
    main()
