"""The report as HTML: the texts and data for its template."""

from __future__ import annotations

import base64
import json
import math
import shlex
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from html import escape
from typing import Any

import torch
from jaxtyping import Float
from torch import Tensor
from torch.nn import functional

from impasto.config.presets import preset_from
from impasto.plots.planes import DIVERGING
from impasto.plots.templates import fill_template
from impasto.reports.figures import Figure, figures_of
from impasto.reports.findings import Findings, Grams
from impasto.runs.reading import Run

LARGEST = 256
"""The largest side of a heat map. Larger matrices are averaged down to it."""

MOST = 4000
"""The largest number of steps in a curve. Of a longer run, every second step is shown, or every
third."""

_LIGHTNESS = "#0d0887", "#7e03a8", "#cc4778", "#f89540", "#f0f921"  # matplotlib's plasma


def page_of(findings: Findings) -> str:
    """Returns the report as HTML."""
    figures = figures_of(findings)
    data = {
        "curves": _curves(findings.lines),
        "grams": [_maps(each) for each in findings.grams],
        "colors": {"values": _LIGHTNESS, "difference": DIVERGING},
    }
    texts = {
        "title": escape(_title(findings.run)),
        "state": escape(_state(findings)),
        "note": f"<p class=note>{escape(findings.note)}</p>" if findings.note else "",
        "figures": "".join(map(_figure, figures)),
        "slider": _slider(figures),
        "settings": _settings(findings),
        "command": escape(_command(findings)),
        "inputs": _table(_inputs(findings)),
        "versions": _table((escape(k), escape(str(v))) for k, v in findings.run.versions.items()),
        "data": json.dumps(data).replace("<", "\\u003c"),
    }
    return fill_template("impasto.reports", "report.html", texts)


def _title(run: Run) -> str:
    origin = run.origin
    styles = ", ".join(run.name_of(path) for path in origin.styles if path) or "a style"
    if origin.texture:
        return f"A texture like {styles}"
    content = run.name_of(origin.content) if origin.content else "A content"
    return f"{content} in the style of {styles}"


def _state(findings: Findings) -> str:
    if not findings.lines:
        return "No step is done yet."
    first, last = findings.lines[0], findings.lines[-1]
    before = (
        f" The result shown is of step {findings.step}." if findings.step < last["step"] else ""
    )
    early = "; it ended early, as J no longer fell" if findings.early else ""
    return (
        f"{len(findings.lines)} of {findings.steps} steps in {last['seconds']:.1f} s; "
        f"J went from {first['value']:.4g} to {last['value']:.4g}{early}.{before}"
    )


def _figure(figure: Figure) -> str:
    names = {"content": "C, the content", "style": "S, the style", "result": "G, the result"}
    role = names.get(figure.role, "Result, content and style")
    caption = f"<b>{role}</b> {escape(figure.caption)}"
    kind = "picture" if figure.role else "plot"
    image = f'<img id="{figure.role}" alt="{role}" src="{figure.source}">'
    return f"<figure class={kind}>{image}<figcaption>{caption}</figcaption></figure>"


def _slider(figures: Sequence[Figure]) -> str:
    """Shows C over G with a slider, if both are pictures."""
    if not {"content", "result"} <= {figure.role for figure in figures}:
        return ""
    return (
        '<div id="slider"><img alt="the result"><img alt="the content"><i></i>'
        '<input type="range" min="0" max="100" value="50" step="0.1" '
        'aria-label="content on the left, result on the right"></div>'
    )


def _curves(lines: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Returns J and its terms at each step, and the steps at which scales begin."""
    starts = [
        {"step": line["step"], "grid": " x ".join(map(str, reversed(line["space"])))}
        for before, line in zip([None, *lines], lines, strict=False)
        if before is None or before["scale"] != line["scale"]
    ]
    thin = lines[:: math.ceil(len(lines) / MOST) or 1]
    kinds = list(dict.fromkeys(kind for line in thin for kind in line["terms"]))
    rows = {"J": [line["value"] for line in thin]}
    rows |= {kind: [line["terms"].get(kind) for line in thin] for kind in kinds}
    return {
        "steps": [line["step"] for line in thin],
        "scales": starts,
        "rows": {kind: [_finite(value) for value in values] for kind, values in rows.items()},
    }


def _finite(value: float | None) -> float | None:
    return float(f"{value:.6g}") if value is not None and math.isfinite(value) else None


def _maps(grams: Grams) -> dict[str, Any]:
    """Returns heat maps in 8 bits: the style and the result on one scale, and the difference."""
    style, result = _thinned(grams.style), _thinned(grams.result)
    change = result - style
    low = min(0.0, float(style.min()))
    high = max(float(style.max()), low + 1e-12)
    # A channel that is weak in the style may differ so much that it would hide everything else.
    most = max(float(torch.quantile(change.abs().flatten(), 0.995)), 1e-12)
    return {
        "name": grams.name,
        "channels": len(grams.style),
        "side": len(style),
        "distance": grams.distance,
        "limits": (low, high),
        "most": most,
        "largest": float(change.abs().max()),
        "maps": [
            _levels(style, low, high),
            _levels(result, low, high),
            _levels(change, -most, most),
        ],
    }


def _thinned(matrix: Float[Tensor, "channel channel"]) -> Float[Tensor, "row column"]:
    if len(matrix) <= LARGEST:
        return matrix
    return functional.adaptive_avg_pool2d(matrix[None], LARGEST)[0]


def _levels(matrix: Float[Tensor, "row column"], low: float, high: float) -> str:
    levels = ((matrix - low) / (high - low)).clamp(0, 1).mul(255).round().to(torch.uint8)
    return base64.b64encode(levels.numpy().tobytes()).decode()


def _settings(findings: Findings) -> str:
    """Shows the settings that differ from the preset, and then all settings."""
    rows = _rows(findings)
    changed = [row for row in rows if row[3]]
    preset = escape(findings.run.origin.preset)
    head = f"<tr><th>setting<th>value<th>of the preset {preset}"
    first = (
        f"<table>{head}{''.join(map(_row, changed))}</table>"
        if changed
        else f"<p>All settings are those of the preset {preset}.</p>"
    )
    return (
        f"{first}<details><summary>all settings</summary>"
        f"<table>{head}{''.join(map(_row, rows))}</table></details>"
    )


def _row(row: tuple[str, Any, Any, bool]) -> str:
    name, value, default, changed = row
    mark = " class=changed" if changed else ""
    return f"<tr{mark}><th>{escape(name)}<td>{_words(value)}<td>{_words(default)}"


def _rows(findings: Findings) -> list[tuple[str, Any, Any, bool]]:
    """Lists the name, the value, the preset's value and whether they differ, for each setting.

    The value of an automatic setting is the one that was chosen for the content.
    """
    origin = findings.run.origin
    requested = asdict(origin.config)
    preset = asdict(preset_from(origin.preset, origin.config.schedule.init))
    used = asdict(findings.run.used)
    return [
        (
            "--" + name.replace("_", "-"),
            used[group][name] if value in ((), "auto") else value,
            preset[group][name],
            value != preset[group][name],
        )
        for group, values in requested.items()
        for name, value in values.items()
    ]


def _words(value: Any) -> str:
    """Formats a value as on the command line."""
    if isinstance(value, str | None):
        return escape(value or "none")
    if isinstance(value, Sequence):
        return " ".join(map(_words, value)) or "none"
    return escape(f"{value:g}" if isinstance(value, float) else str(value))


def _command(findings: Findings) -> str:
    """Returns the command, or the Python code, that repeats the run."""
    origin = findings.run.origin
    if origin.arguments:
        start = f"cd {shlex.quote(str(origin.where))} && "
        if (count := findings.run.processes) > 1:
            start += f"torchrun --nproc-per-node {count} -m -- "
        return start + shlex.join(["impasto", *_without_run(origin.arguments)])
    settings = {
        name.removeprefix("--").replace("-", "_"): _tuples(value)
        for name, value, _, changed in _rows(findings)
        if changed
    }
    size = settings.pop("size", None) if origin.texture else None
    words = [repr(origin.preset), *(f"{name}={value!r}" for name, value in settings.items())]
    styles = ", ".join(repr(str(path)) if path else "style" for path in origin.styles)
    call = f"[{styles}], {f'{size}, ' if size else ''}impasto.configure({', '.join(words)})"
    if origin.texture:
        return f"impasto.texture({call})"
    return f"impasto.stylize({repr(str(origin.content)) if origin.content else 'content'}, {call})"


def _without_run(arguments: Iterable[str]) -> list[str]:
    """Removes --run from the arguments, because it would resume the run, not repeat it."""
    kept: list[str] = []
    words = iter(arguments)
    for word in words:
        if word == "--run":
            next(words, None)
        elif not word.startswith("--run="):
            kept.append(word)
    return kept


def _tuples(value: Any) -> Any:
    return tuple(map(_tuples, value)) if isinstance(value, list) else value


def _inputs(findings: Findings) -> Iterable[tuple[str, ...]]:
    run = findings.run
    for role, path in run.origin.inputs.items():
        digest = run.inputs.get(role) or "none: a WFDB record, named without a suffix"
        yield escape(role), escape(str(path)), f"<code>{escape(digest)}</code>"


def _table(rows: Iterable[tuple[str, ...]]) -> str:
    lines = (f"<tr><th>{'<td>'.join(row)}" for row in rows)
    return f"<table>{''.join(lines)}</table>"
