"""The commands that show files (compare, recipe), and the line about a run's inputs."""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from impasto import media
from impasto.cli.arguments import Recipe, Stylize
from impasto.cli.piped import shown_input
from impasto.cli.views_arguments import Compare
from impasto.errors import about
from impasto.kinds import kind_of
from impasto.metrics import Comparison, compare
from impasto.runs.recipes import Recipe as RecipeOfFile


def show_comparison(command: Compare) -> None:
    """Prints the metrics of a result, as a table or as JSON."""
    comparison = compare(
        media.load(command.out),
        _part(command.content, command.span),
        _part(command.style, command.style_span),
        command.region,
        command.style_region,
        command.window,
        command.config,
        command.lpips,
    )
    if command.json:
        print(_json(comparison))
    else:
        Console(emoji=False).print(_table(comparison))


def show_recipe(command: Recipe) -> None:
    """Prints how a picture was made."""
    recipe = RecipeOfFile.of(command.file)
    print(json.dumps(recipe.record) if command.json else "\n".join(recipe.lines()))


def inputs_of(command: Stylize) -> str:
    """Returns a line that names the content and the styles.

    With several styles without shares, the user may have meant several contents. Then the line also
    says how to stylize each content.
    """
    styles = command.style_paths
    line = f"content: {shown_input(command.content)}; style{'s' * (len(styles) > 1)}: "
    line += ", ".join(map(shown_input, styles))
    if len(styles) == 1 or command.weighted:
        return line
    return (
        f"{line}. All these styles make one result; for one result of each content: "
        'for f in contents/*; do impasto stylize "$f" style.jpg -o results; done'
    )


def _part(path: Path, span: tuple[float, ...]) -> media.Sample:
    """Loads a sample; cuts a signal to the stretch that the user asks for."""
    sample = media.load(path)
    if not span:
        return sample
    with about(str(path)):
        return kind_of(sample).stretch(sample, span)


def _json(comparison: Comparison) -> str:
    """Formats a comparison as JSON. Non-finite values, which JSON does not have, are null."""
    record = asdict(comparison)
    for row in record["rows"]:
        for name in ("result", "no_op", "floor", "linear"):
            row[name] = row[name] if math.isfinite(row[name]) else None
    return json.dumps(record)


def _table(comparison: Comparison) -> Table:
    has_filter = any(math.isfinite(row.linear) for row in comparison.rows)
    filtered = "linear: the content through a linear filter; " if has_filter else ""
    table = Table(
        title="Distances to the content and to the style",
        caption=f"{_better(comparison)}. no-op: the content in place of "
        f"the result; {filtered}floor: one half of the style against the other. "
        f"{escape(_compared(comparison))}.",
        caption_justify="left",
        collapse_padding=True,
        pad_edge=False,
    )
    table.add_column("metric")  # gives way in a narrow terminal, for a cut number misleads
    table.add_column("against", no_wrap=True)
    for name in ("result", "no-op", *(["linear"] if has_filter else []), "floor"):
        table.add_column(name, justify="right", no_wrap=True)
    for row in comparison.rows:
        metric = f"{row.metric} ({row.unit})" if row.unit else row.metric
        values = (row.result, row.no_op, *([row.linear] if has_filter else []), row.floor)
        numbers = ["" if math.isnan(value) else f"{value:.4g}" for value in values]
        table.add_row(escape(metric), row.against, *numbers)
    return table


def _better(comparison: Comparison) -> str:
    """Describes which values of each metric are better."""
    words = {"higher": "higher is better", "one": "1 is the style's own"}
    names = {way: [row.metric for row in comparison.rows if row.better == way] for way in words}
    parts = [f"{', '.join(names[way])}: {words[way]}" for way in words if names[way]]
    return "; ".join([*parts, "the others: lower is nearer"]) if parts else "Lower is nearer"


def _compared(comparison: Comparison) -> str:
    """Describes what was compared: a network, regions or leads."""
    if comparison.network:
        return f"Activations are those of {comparison.network}"
    if comparison.regions:
        ours, theirs = (" ".join(map(str, region)) for region in comparison.regions)
        return f"Noise and roughness of voxels {ours} of the result, {theirs} of the style"
    names = (
        one if one.casefold() == other.casefold() else f"{one} with {other}"
        for one, other in comparison.leads
    )
    return f"Means over {', '.join(names)}"
