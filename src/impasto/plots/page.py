"""What all plots share: colors, figures measured in mm, and the files they are saved in.

Figures and axes have the type Any, because matplotlib and plotly are optional.
"""

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
# Okabe and Ito 2008, Color universal design: people with any color vision can tell these apart.
BLUE, VERMILION, GREEN, ORANGE, PURPLE = "#0072b2", "#d55e00", "#009e73", "#e69f00", "#cc79a7"
COMPARED = (BLUE, GRAY, VERMILION, GREEN, ORANGE, PURPLE)

DISCLAIMER = "Not for diagnosis"

_DPI = 200
_LARGEST = 65000  # pixels a side; matplotlib's Agg draws at most 2^16


@dataclass(frozen=True)
class Heading:
    """The heading of a page.

    Attributes:
        title: the first line.
        subtitle: the second line.
        legend: the label and the color of each sample; empty if there is one color.
        medical: whether the page says that it is not for diagnosis.
    """

    title: str
    subtitle: str
    legend: Sequence[tuple[str, str]]
    medical: bool


def colors(count: int) -> Sequence[str]:
    """Returns a color for each sample: the result, the content, the style and others."""
    return (INK,) if count == 1 else COMPARED[:count]


def new_figure(width: float, height: float) -> Any:
    """Makes a matplotlib figure; width and height in mm.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    return matplotlib().figure.Figure(figsize=(width / 25.4, height / 25.4))


def write(axes: Any, x: float, y: float, text: str, size: float, **style: Any) -> None:
    """Writes text literally: a dollar sign does not start a formula. size: in points."""
    axes.text(x, y, text, fontsize=size, parse_math=False, **{"color": INK, **style})


def save_figure(figure: Any, output: Path) -> None:
    """Writes a matplotlib figure as PNG, SVG or PDF, with its physical size.

    Raises:
        OutputError: the file cannot be written.
    """
    format_ = output.suffix.lower().removeprefix(".")
    undated = {"svg": {"Date": None}, "pdf": {"CreationDate": None}}.get(format_)
    data = io.BytesIO()
    dpi = min(_DPI, _LARGEST / max(figure.get_size_inches()))
    with warnings.catch_warnings():
        # If the font lacks the script of a file name, boxes are drawn without a warning.
        warnings.filterwarnings("ignore", message="Glyph .* missing from font")
        figure.savefig(data, format=format_, dpi=dpi, metadata=undated)
    with atomic_write(output) as file:
        file.write(data.getbuffer())


def matplotlib() -> Any:
    """Loads matplotlib with its figures.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    library("matplotlib.figure", "to draw plots", "plots")
    return library("matplotlib", "to draw plots", "plots")


def plotly() -> Any:
    """Loads plotly with its subplots.

    Raises:
        MissingExtraError: plotly is not installed.
    """
    library("plotly.subplots", "to draw plots", "plots")
    return library("plotly", "to draw plots", "plots")


def set_layout(
    figure: Any, title: str, subtitle: str, width: float, height: float, *, medical: bool
) -> Any:
    """Gives a plotly figure its heading and its size; width and height of the plot area in mm."""
    pixels = 96 / 25.4  # CSS pixels in a mm
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
    """Writes a plotly figure as one HTML file that loads nothing else.

    Raises:
        OutputError: the file cannot be written.
    """
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
    """Joins labels for a sentence, such as "a, b and c"."""
    *others, last = labels
    return f"{', '.join(others)} and {last}" if others else last


def short(label: str, length: int = 48) -> str:
    """Puts a label on one line, and cuts out its middle if it is longer than `length`."""
    label = " ".join(label.split())
    half = (length - 1) // 2
    return label if len(label) <= length else f"{label[:half]}…{label[-half:]}"


def round_down(number: float) -> float:
    """Rounds a positive number down to 1, 2 or 5 times a power of ten."""
    power = 10.0 ** floor(log10(number))
    return power * max(digit for digit in (1, 2, 5) if digit <= number / power + 1e-9)


def clock(seconds: float, total: float) -> str:
    """Formats a time such as "7 s", "1:07" or "1:00:07". total: the longest time to format."""
    if total < 120:
        return f"{seconds:g} s"
    minutes, rest = divmod(round(seconds, 3), 60)
    hours, minutes = divmod(int(minutes), 60)
    return f"{hours}:{minutes:02}:{rest:02g}" if total >= 3600 else f"{minutes}:{rest:02g}"
