"""What all plots have in common: colors, figures measured in mm, and their files."""

from __future__ import annotations

import html
import io
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from math import floor, log10
from pathlib import Path
from typing import Any

from impasto.media.files import atomic_write
from impasto.system.libraries import library

INK = "#1a1a1a"
GRAY = "#8f8f8f"
# Okabe and Ito (2008), Color universal design: told apart with any color vision.
BLUE, VERMILION, GREEN, ORANGE, PURPLE = "#0072b2", "#d55e00", "#009e73", "#e69f00", "#cc79a7"
COMPARED = (BLUE, GRAY, VERMILION, GREEN, ORANGE, PURPLE)

DISCLAIMER = "Not for diagnosis"

_DPI = 200
_LARGEST = 65000  # pixels a side, of which Agg draws 2^16


@dataclass(frozen=True)
class Heading:
    """What is said over a page. legend: label and color of each sample, where colors matter."""

    title: str
    subtitle: str
    legend: Sequence[tuple[str, str]]
    medical: bool


def colors(count: int) -> Sequence[str]:
    """One for each of so many samples: what is looked at, the content, the style, others."""
    return (INK,) if count == 1 else COMPARED[:count]


def new_figure(width: float, height: float) -> Any:
    """A matplotlib figure of that size in mm.

    Raises MissingExtraError when matplotlib is not installed.
    """
    return matplotlib().figure.Figure(figsize=(width / 25.4, height / 25.4))


def write(axes: Any, x: float, y: float, text: str, size: float, **style: Any) -> None:
    """Text as it is, where a dollar sign starts no formula; size in points."""
    axes.text(x, y, text, fontsize=size, parse_math=False, **{"color": INK, **style})


def save_figure(figure: Any, output: Path) -> None:
    """Writes a matplotlib figure as PNG, SVG or PDF, its size in the file."""
    format_ = output.suffix.lower().removeprefix(".")
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(format_)
    data = io.BytesIO()
    dpi = min(_DPI, _LARGEST / max(figure.get_size_inches()))
    with warnings.catch_warnings():
        # A file name in a script that the font lacks is drawn as boxes.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(data, format=format_, dpi=dpi, metadata=undated)
    with atomic_write(output) as file:
        file.write(data.getbuffer())


def matplotlib() -> Any:
    """matplotlib, with its figures.

    Raises MissingExtraError when it is not installed.
    """
    library("matplotlib.figure", "to draw plots", "plots")
    return library("matplotlib", "to draw plots", "plots")


def plotly() -> Any:
    """plotly, with its subplots.

    Raises MissingExtraError when it is not installed.
    """
    library("plotly.subplots", "to draw plots", "plots")
    return library("plotly", "to draw plots", "plots")


def set_layout(
    figure: Any, title: str, subtitle: str, width: float, height: float, *, medical: bool
) -> Any:
    """The figure with its heading, around a field of so many mm."""
    pixels = 96 / 25.4  # a mm, as CSS has it
    left, right, top, bottom = 60, 20, 90, 60
    figure.update_layout(
        template="none",
        title={
            "text": f"<b>{html.escape(title)}</b>",
            "subtitle": {"text": html.escape(subtitle)},
            "x": left / (width * pixels + left + right),
            "xanchor": "left",
            "font": {"size": 15},
        },
        width=width * pixels + left + right,
        height=height * pixels + top + bottom,
        margin={"l": left, "r": right, "t": top, "b": bottom},
        font={"family": "Helvetica, Arial, sans-serif", "size": 11, "color": INK},
        legend={
            "orientation": "h",
            "x": 1,
            "xanchor": "right",
            "y": 1 - 20 / (height * pixels + top + bottom),
            "yref": "container",
            "yanchor": "top",
        },
    )
    figure.update_xaxes(zeroline=False)
    figure.update_yaxes(zeroline=False)
    if medical:
        figure.add_annotation(
            text=DISCLAIMER,
            showarrow=False,
            x=1,
            y=0,
            xref="paper",
            yref="paper",
            xanchor="right",
            yanchor="top",
            yshift=-36,
            font={"size": 10, "color": GRAY},
        )
    return figure


def save_page(figure: Any, title: str, output: Path) -> None:
    """Writes a plotly figure as one HTML file with all it needs in it."""
    body = figure.to_html(
        full_html=False,
        include_plotlyjs=True,
        include_mathjax=False,
        config={"displaylogo": False, "scrollZoom": True},
    )
    page = (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">'
        f"<title>{html.escape(title)}</title>"
        "<style>body { margin: 0; background: white }</style></head>\n"
        f"<body>{body}</body></html>\n"
    )
    with atomic_write(output) as file:
        file.write(page.encode())


def list_names(labels: Sequence[str]) -> str:
    """Labels in a sentence: "a, b and c"."""
    *others, last = labels
    return f"{', '.join(others)} and {last}" if others else last


def short(label: str, length: int = 48) -> str:
    """A label on one line, cut in the middle where it is longer."""
    label = " ".join(label.split())
    half = (length - 1) // 2
    return label if len(label) <= length else f"{label[:half]}…{label[-half:]}"


def round_down(number: float) -> float:
    """The next lower 1, 2 or 5 times a power of ten."""
    power = 10.0 ** floor(log10(number))
    return power * max(digit for digit in (1, 2, 5) if digit <= number / power + 1e-9)


def clock(seconds: float, total: float) -> str:
    """A time as seconds, or in minutes and hours where there are many: "7 s", "1:07", "1:00:07"."""
    if total < 120:
        return f"{seconds:g} s"
    minutes, rest = divmod(round(seconds, 3), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:{rest:02g}" if total >= 3600 else f"{minutes}:{rest:02g}"
