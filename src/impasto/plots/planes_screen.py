"""Planes of volumes as an interactive page: it holds 8 bits per voxel, from which the browser draws
any plane."""

from __future__ import annotations

import base64
import gzip
import html
import json
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import UInt8

from impasto.media.blocks import blocks
from impasto.media.files import atomic_write
from impasto.plots.page import DISCLAIMER
from impasto.plots.planes import CROSS, CROSS_ON_WHITE, DIVERGING, PLANES, Page, Row
from impasto.plots.templates import fill_template

MOST = 1 << 24
"""The largest number of voxels of a volume on a page. From a larger volume, only every second voxel
along each axis is kept, or every third."""


def save_planes(page: Page, output: Path) -> None:
    """Writes the page as one HTML file that loads nothing else.

    It needs a browser of 2023 or later (DecompressionStream).

    Raises:
        OutputError: the file cannot be written.
    """
    first = page.rows[0].volume
    data = {
        "planes": [plane._asdict() for plane in PLANES],
        "colors": DIVERGING,
        "cross": {"gray": CROSS, "difference": CROSS_ON_WHITE},
        "affine": first.affine[:3].tolist(),
        "space": first.space,
        "place": page.rows[0].place,
        "rows": [_row(row, scale) for row, scale in zip(page.rows, page.scales, strict=True)],
    }
    heading = page.heading
    texts = {
        "title": html.escape(heading.title),
        "subtitle": html.escape(heading.subtitle),
        "disclaimer": DISCLAIMER,
        "data": json.dumps(data).replace("<", "\\u003c"),
    }
    with atomic_write(output) as file:
        file.write(fill_template("impasto.plots", "planes.html", texts).encode())


def _row(row: Row, scale: float) -> dict[str, Any]:
    volume = row.volume
    voxels = quantize(row)
    return {
        "title": row.title,
        "grid": row.grid,
        "extent": [scale * length for length in row.extent],
        "bar": {"length": scale * row.bar, "text": f"{row.bar:g} mm"},
        "ends": row.ends,
        "limits": row.limits,
        "unit": volume.unit,
        "difference": row.difference,
        "space": voxels.shape,
        "voxels": base64.b64encode(gzip.compress(voxels.tobytes("F"), 6, mtime=0)).decode(),
    }


def quantize(row: Row) -> UInt8[np.ndarray, "x y z"]:
    """Quantizes the voxels to 8 bits: 0 and 255 are the limits of the row."""
    values = row.volume.data[0]
    step = 1
    while np.prod([-(-side // step) for side in values.shape]) > MOST:
        step += 1
    values = values[::step, ::step, ::step]
    low, high = row.limits
    levels = np.empty(values.shape, np.uint8)
    for block in blocks(values.shape):
        levels[block] = np.rint(np.clip((values[block] - low) / (high - low), 0, 1) * 255)
    return levels
