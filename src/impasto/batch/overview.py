"""The overview of a batch: a contact sheet and a page with every result."""

from __future__ import annotations

import base64
import html
import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import quote

import numpy as np

from impasto import media
from impasto.batch.manifest import Manifest, Record
from impasto.errors import ImpastoError
from impasto.media.files import atomic_write
from impasto.media.looks import as_picture, as_signal, look_of, open_to_show
from impasto.media.pictures.picture import Picture, fit_picture, open_picture
from impasto.plots import View, plot
from impasto.plots.templates import fill_template

logger = logging.getLogger(__name__)

SHEET, PAGE = "contact-sheet.png", "overview.html"
"""The files, in the folder of the results."""

SIDE = 224
"""The long side of a small picture in pixels."""

_GAP = 8
_MOST = 400
"""The most pictures of a contact sheet; the page has all."""

_WORDS = {
    "done": "done",
    "failed": "failed",
    "interrupted": "interrupted",
    "started": "begun, not ended",
}


def write_overview(manifest: Manifest) -> list[Path]:
    """Writes the contact sheet and the page, of all results in the manifest.

    A result that cannot be shown has a gray picture. Without any result there is no sheet.

    Raises:
        OutputError: a file cannot be written.
    """
    records = sorted(manifest.known().values(), key=lambda record: str(record["output"]))
    small = {str(record["output"]): _small(manifest.folder, record) for record in records}
    written = []
    done = [small[record["output"]] for record in records if record.get("state") == "done"]
    if done:
        media.save(_sheet(done[:_MOST]), manifest.folder / SHEET)
        written.append(manifest.folder / SHEET)
    page = manifest.folder / PAGE
    with atomic_write(page) as file:
        file.write(_page(records, small).encode(errors="replace"))
    return [*written, page]


def _small(folder: Path, record: Record) -> Picture:
    """Returns a small picture of a result, gray where there is none."""
    gray = Picture(np.full((3, 3 * SIDE // 4, SIDE), 0.8, np.float32))
    if record.get("state") != "done":
        return gray
    try:
        path = folder / record["output"]
        sample = open_to_show(path, SIDE)
        if look_of(sample) == "signal":
            with TemporaryDirectory() as scratch:
                drawn = Path(scratch) / "signal.png"
                plot([as_signal(sample)], [path.name], drawn, View())
                return Picture(open_picture(drawn, (2 * SIDE,)).data[:3])
        return fit_picture(Picture(as_picture(sample).data), (SIDE,))
    except ImpastoError as error:
        logger.info("the overview does not show %s: %s", record["output"], error)
        return gray


def _sheet(pictures: Sequence[Picture]) -> Picture:
    """Joins pictures in rows, each in the middle of its cell."""
    columns = max(1, round(len(pictures) ** 0.5 * 1.2))
    height, width = (max(picture.space[axis] for picture in pictures) + _GAP for axis in (0, 1))
    rows = -(-len(pictures) // columns)
    columns = min(columns, len(pictures))
    whole = np.ones((3, rows * height + _GAP, columns * width + _GAP), np.float32)
    for number, picture in enumerate(pictures):
        row, column = divmod(number, columns)
        top = row * height + _GAP + (height - _GAP - picture.space[0]) // 2
        left = column * width + _GAP + (width - _GAP - picture.space[1]) // 2
        area = slice(top, top + picture.space[0]), slice(left, left + picture.space[1])
        whole[(slice(None), *area)] = picture.data
    return Picture(whole)


def _page(records: Sequence[Record], small: Mapping[str, Picture]) -> str:
    """Returns the page."""
    states = [record.get("state") for record in records]
    seconds = sum(float(record.get("seconds", 0)) for record in records)
    counts = ", ".join(
        f"{states.count(state)} {word}" for state, word in _WORDS.items() if state in states
    )
    texts = {
        "title": f"{len(records)} results",
        "state": html.escape(f"{counts}; {seconds:.0f} s of work in all"),
        "failures": _failures(records),
        "figures": "".join(_figure(record, small[record["output"]]) for record in records),
    }
    return fill_template("impasto.batch", "overview.html", texts)


def _figure(record: Record, small: Picture) -> str:
    """Returns a result as HTML: its picture, which leads to the file, its origin and J."""
    name, state = str(record["output"]), str(record.get("state"))
    styles = ", ".join(os.path.basename(style) for style in record.get("styles", ()))
    told = f"{os.path.basename(str(record.get('content', '')))} + {styles}"
    numbers = _WORDS.get(state, state)
    if state == "done":
        numbers = f"J {float(record['value']):.4g}, {float(record['seconds']):.1f} s"
    if record.get("tries", 1) > 1:
        numbers += f", try {record['tries']}"
    values = json.dumps({"name": name, "J": record.get("value"), "seconds": record.get("seconds")})
    height, width = small.space
    image = (
        f'<img loading="lazy" width="{width}" height="{height}" '
        f'alt="{html.escape(name)}" src="{_url(small)}">'
    )
    if state == "done":
        image = f'<a href="{html.escape(quote(name))}">{image}</a>'
    return (
        f'<figure class="{html.escape(state)}" data-values="{html.escape(values)}">{image}'
        f"<figcaption><b>{html.escape(name)}</b><br>{html.escape(told)}<br>"
        f"{html.escape(numbers)}</figcaption></figure>\n"
    )


def _failures(records: Sequence[Record]) -> str:
    """Returns a list of what failed, with the errors."""
    rows = "".join(
        f"<tr><th>{html.escape(str(record['output']))}<td>{html.escape(_error(record))}"
        for record in records
        if record.get("state") == "failed"
    )
    return f"<h2>Failed</h2><div class=wide><table>{rows}</table></div>" if rows else ""


def _error(record: Mapping[str, Any]) -> str:
    return str(record.get("error", "no reason is known"))


def _url(picture: Picture) -> str:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "small.jpg"
        media.save(picture, path)
        return f"data:image/jpeg;base64,{base64.b64encode(path.read_bytes()).decode()}"
