"""The page of `explain`: one HTML file that loads nothing else."""

from __future__ import annotations

import base64
import html
from collections.abc import Sequence
from math import ceil, floor, log10, prod
from pathlib import Path

from impasto.errors import OutputError
from impasto.explain.experiments import MIXTURE, Experiment, Explanation, Layer, Outcome
from impasto.media.files import atomic_write, check_writable
from impasto.media.pictures.picture import Picture
from impasto.media.pictures.strips import image_of
from impasto.plots.page import BLUE, GREEN, ORANGE, PURPLE, VERMILION
from impasto.plots.templates import fill_template
from impasto.version import __version__

COLORS = (BLUE, GREEN, ORANGE, VERMILION, PURPLE)
_KINDS = {"content": "alpha", "style": "beta", "tv": "gamma"}
_STEP, _FLOOR = 200, 150
"""The diagram: the distance between blocks and the height of the floor below the slabs."""
_FORMULAS = {"content": "content", "style": "style", "tv": "TV"}


def check_page(output: Path) -> None:
    """Raises OutputError if `save_page` cannot write this file."""
    if output.suffix.lower() != ".html":
        raise OutputError(
            subject="--output",
            expected="a name that ends in .html, for the page",
            found=str(output),
            remedy="give for example -o page.html",
        )
    check_writable(output)


def save_page(explanation: Explanation, output: Path) -> None:
    """Writes the page.

    Raises:
        OutputError: the file cannot be written.
    """
    with atomic_write(output) as file:
        file.write(page(explanation).encode())


def page(explanation: Explanation) -> str:
    """Returns the page as HTML that loads nothing else."""
    content, style = explanation.content, explanation.style
    names = [html.escape(name) for name in explanation.names]
    outcomes, planned = explanation.outcomes, explanation.experiments
    seconds = sum(outcome.result.seconds for outcome in outcomes)
    rows, columns = content.space
    texts = {
        "content-name": names[0],
        "style-name": names[1],
        "network": html.escape(explanation.network),
        "size": f"{columns} &times; {rows}",
        "ratio": f"{columns} / {rows}",
        "runs": f"{len(outcomes)} runs, {seconds:.0f}&nbsp;s in all.",
        "warning": _warning(len(outcomes), len(planned)),
        "pictures": _pictures(explanation, names),
        "diagram": diagram(explanation.layers, explanation.depths),
        "fields": _image(content, f"The content, {names[0]}, with a square for each depth")
        + _squares(explanation),
        "table": "".join(map(_table_row, explanation.layers)),
        "mixture": f"1/{MIXTURE:g}",
        "curves": curves([o for o in outcomes if o.experiment.chapter == "optimizer"]),
        "version": __version__,
    }
    originals = {
        "content": [_figure(content, "C", "the content itself")],
        "style": [_figure(style, "S", "the style itself")],
    }
    for chapter in ("content", "style", "start", "optimizer"):
        figures = [_run(e, explanation) for e in planned if e.chapter == chapter]
        texts[chapter] = "".join([*figures, *originals.get(chapter, [])])
    texts["grid"] = _grid(explanation)
    return fill_template("impasto.explain", "explain.html", texts)


def _warning(done: int, planned: int) -> str:
    if done == planned:
        return ""
    return f'<p class="warning">Interrupted: {done} of {planned} runs are done.</p>'


def _pictures(explanation: Explanation, names: Sequence[str]) -> str:
    """Shows C, S and, if it is done, a G of both."""
    figures = [
        _figure(explanation.content, "C, the content", names[0]),
        _figure(explanation.style, "S, the style", names[1]),
    ]
    mixed = [o for o in explanation.outcomes if o.experiment.chapter == "ratio"]
    figures += [_figure(o.picture, "G, of both", _ratio(o.experiment)) for o in mixed[3:4]]
    return "".join(figures)


def _grid(explanation: Explanation) -> str:
    """Shows the ratios: a row for each content layer, with a heading."""
    planned = [e for e in explanation.experiments if e.chapter == "ratio"]
    rows = []
    for layer in dict.fromkeys(e.name for e in planned):
        figures = "".join(_run(e, explanation) for e in planned if e.name == layer)
        heading = f"<h3>Content at <b>{html.escape(layer)}</b></h3>"
        rows.append(f'<div class="row" style="--columns: 5">{heading}{figures}</div>')
    return "".join(rows)


def _run(experiment: Experiment, explanation: Explanation) -> str:
    """Shows the figure of an experiment, or an empty place if it was not run."""
    outcome = next((o for o in explanation.outcomes if o.experiment is experiment), None)
    title = html.escape(experiment.name)
    if experiment.chapter == "ratio":
        title = _ratio(experiment)
    if outcome is None:
        caption = f"<figcaption><b>{title}</b></figcaption>"
        return f'<figure><div class="missing">not run: interrupted</div>{caption}</figure>'
    return _figure(outcome.picture, title, _terms(outcome), _ALT[experiment.chapter])


_ALT = {
    "content": "What this layer keeps of the content: ",
    "style": "What these layers keep of the style: ",
    "ratio": "The content in the style at ",
    "start": "The result when G starts as ",
    "optimizer": "The result of ",
}


def _ratio(experiment: Experiment) -> str:
    """Formats alpha/beta, where alpha is 1."""
    beta = experiment.config.objective.beta
    return f"&alpha;/&beta; = {f'{1 / beta:g}' if beta <= 1 else f'1/{beta:g}'}"


def _terms(outcome: Outcome) -> str:
    """Formats J at the end, as a sum of weights times distances."""
    result, objective = outcome.result, outcome.experiment.config.objective
    lines = []
    for kind, term in result.terms.items():
        weight = getattr(objective, _KINDS[kind])
        lines.append(f"<small>{_FORMULAS[kind]} {weight:g} &times; {term / weight:.3g}</small>")
    steps = result.recipe["steps"]
    lines.append(f"<small>J {result.value:.3g}, {steps} steps, {result.seconds:.1f} s</small>")
    return "".join(lines)


def _figure(picture: Picture, title: str, text: str, alt: str = "") -> str:
    """Shows a picture with a caption.

    title, text: HTML. alt: the words before the title for screen readers.
    """
    image = _image(picture, f"{alt}{title}")
    caption = f"<figcaption><b>{title}</b>{text}</figcaption>"
    return f'<figure><button type="button">{image}</button>{caption}</figure>'


def _image(picture: Picture, alt: str) -> str:
    rows, columns = picture.space
    image = (image_of([*picture.data]) * 255).rint().cast("uchar").copy(interpretation="srgb")
    data = base64.b64encode(image.jpegsave_buffer(Q=90, subsample_mode="off")).decode()
    source = f"data:image/jpeg;base64,{data}"
    return f'<img src="{source}" width="{columns}" height="{rows}" alt="{alt}">'


def _table_row(layer: Layer) -> str:
    rows, columns = layer.space
    cells = (
        f"{layer.channels}",
        f"{rows} &times; {columns}",
        f"{layer.channels * prod(layer.space):,}",
        f"{layer.field} &times; {layer.field}",
    )
    name = html.escape(layer.name)
    return f"<tr><td>{name}</td>{''.join(f'<td>{cell}</td>' for cell in cells)}</tr>"


def _squares(explanation: Explanation) -> str:
    """Draws the receptive fields of the depths over the content."""
    rows, columns = explanation.content.space
    fields = {layer.name: layer.field for layer in explanation.layers}
    parts = []
    for color, name in zip(COLORS, explanation.depths, strict=True):
        side = fields[name]
        x, y = (columns - side) / 2, (rows - side) / 2
        parts.append(
            f'<rect x="{x:g}" y="{y:g}" width="{side}" height="{side}" fill="none" '
            f'stroke="white" stroke-width="2.4"/><rect x="{x:g}" y="{y:g}" width="{side}" '
            f'height="{side}" fill="none" stroke="{color}" stroke-width="1.4"/>'
        )
    return f'<svg viewBox="0 0 {columns} {rows}" aria-hidden="true">{"".join(parts)}</svg>'


def diagram(layers: Sequence[Layer], depths: Sequence[str]) -> str:
    """Draws the layers as slabs: the height is the size of the map, the thickness the channels."""
    tallest, widest = max(max(x.space) for x in layers), max(x.channels for x in layers)
    stages = sorted({layer.stage for layer in layers})
    parts = []
    for left, stage, color in zip(range(0, _STEP * 5, _STEP), stages, COLORS, strict=True):
        x = float(left)
        for layer in (layer for layer in layers if layer.stage == stage):
            height = 140 * max(layer.space) / tallest
            thickness = 6 + 20 * layer.channels / widest
            opacity = 1 if layer.name in depths else 0.4
            parts.append(
                f'<rect x="{x:.1f}" y="{_FLOOR - height:.1f}" width="{thickness:.1f}" '
                f'height="{height:.1f}" rx="1.5" fill="{color}" opacity="{opacity}"/>'
            )
            x += thickness + 5
        tapped = (layer for layer in layers if layer.stage == stage and layer.name in depths)
        parts += [_label(layer, left) for layer in tapped]
        if stage != stages[-1]:
            parts.append(
                f'<path d="M{x + 4:.1f} {_FLOOR - 6} H{left + _STEP - 8} m-6 -4 l6 4 l-6 4" '
                'fill="none" stroke="currentColor" opacity="0.5"/>'
                f'<text x="{x + 6:.1f}" y="{_FLOOR - 12}">pool</text>'
            )
    return (
        f'<svg viewBox="0 0 {_STEP * len(stages)} {_FLOOR + 76}" width="100%" '
        'style="min-width: 860px" role="img" '
        'aria-label="The layers block by block; the table below has all numbers">'
        f"{''.join(parts)}</svg>"
    )


def _label(layer: Layer, left: float) -> str:
    """Describes a layer below its slab."""
    rows, columns = layer.space
    lines = (
        f'<tspan class="name">{html.escape(layer.name)}</tspan>',
        f"{layer.channels} channels",
        f"{rows} &times; {columns} positions",
        f"each sees {layer.field} &times; {layer.field} pixels",
    )
    return "".join(
        f'<text x="{left}" y="{_FLOOR + 20 + 17 * number}">{line}</text>'
        for number, line in enumerate(lines)
    )


def curves(outcomes: Sequence[Outcome]) -> str:
    """Draws J over the steps on a logarithmic scale, with a curve for each run, as SVG."""
    if not outcomes:
        return '<div class="missing">not run: interrupted</div>'
    left, right, top, bottom = 48, 440, 12, 260
    values = [[max(value, 1e-12) for value in outcome.curve] for outcome in outcomes]
    low = log10(min(map(min, values)))
    high = log10(max(map(max, values)))
    low, high = low - 0.05 * (high - low) - 0.01, high + 0.05 * (high - low) + 0.01
    longest = max(2, *map(len, values))

    def x(step: float) -> float:
        return left + (right - left) * (step - 1) / (longest - 1)

    def y(value: float) -> float:
        return bottom - (bottom - top) * (log10(value) - low) / (high - low)

    ticks = [
        digit * 10.0**power
        for power in range(floor(low), ceil(high) + 1)
        for digit in (1, 2, 5)
        if low <= log10(digit * 10.0**power) <= high
    ]
    if len(ticks) > 9:
        ticks = [tick for tick in ticks if round(log10(tick), 9) == round(log10(tick))]
    parts = [
        f'<path d="M{left} {y(tick):.1f} H{right}" stroke="currentColor" opacity="0.15"/>'
        f'<text x="{left - 6}" y="{y(tick) + 4:.1f}" text-anchor="end">{tick:g}</text>'
        for tick in ticks
    ]
    parts += [
        f'<text x="{x(step):.1f}" y="{bottom + 18}" text-anchor="middle">{step}</text>'
        for step in sorted({1, longest // 4, longest // 2, 3 * longest // 4, longest} - {0})
    ]
    parts.append(f'<text x="{right}" y="{bottom + 36}" text-anchor="end">step</text>')
    parts.append(f'<text x="{left}" y="{top - 1}">J</text>')
    styles = (("", VERMILION), ("7 4", BLUE), ("2 3", GREEN))
    for curve, (dashes, color) in zip(values, styles, strict=False):
        points = " ".join(f"{x(n):.1f},{y(value):.1f}" for n, value in enumerate(curve, start=1))
        parts.append(
            f'<polyline points="{points}" fill="none" stroke="{color}" stroke-width="2.2" '
            f'stroke-dasharray="{dashes}"/>'
        )
    for number, (outcome, (dashes, color)) in enumerate(zip(outcomes, styles, strict=False)):
        height = top + 16 + 18 * number
        parts.append(
            f'<path d="M{right - 150} {height - 4} h30" stroke="{color}" stroke-width="2.2" '
            f'stroke-dasharray="{dashes}"/>'
            f'<text x="{right - 112}" y="{height}">{html.escape(outcome.experiment.name)}</text>'
        )
    ends = "; ".join(f"{o.experiment.name} ends at {o.curve[-1]:.3g}" for o in outcomes)
    return (
        f'<svg viewBox="0 0 {right + 12} {bottom + 42}" width="100%" role="img" '
        f'aria-label="J over the steps: {html.escape(ends)}">{"".join(parts)}</svg>'
    )
