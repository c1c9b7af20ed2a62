"""The command `harmonize`: bring a CT to another reconstruction kernel, and tell what changes."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import asdict

from rich.console import Console
from rich.table import Table

from impasto import media
from impasto.cli.arguments import Display
from impasto.cli.viewers import viewer_of
from impasto.cli.views_arguments import Harmonize
from impasto.errors import SampleError, about
from impasto.kinds.volume import match_to_content
from impasto.linear.volumes import linear_volume
from impasto.media.looks import common_look
from impasto.media.volumes.orientation import as_volume
from impasto.media.volumes.volume import Volume
from impasto.media.volumes.windows import in_hounsfield
from impasto.metrics.tissues import Trait, compare_kernels
from impasto.plots import View, check_plot, plot
from impasto.version import __version__


def harmonize(command: Harmonize) -> None:
    """Writes the series with the other one's kernel, and prints what has changed."""
    media.check_target(command.output, like=command.series)
    channels, space = media.grid(command.series)
    media.check_target(command.output, space, channels)
    content, style = _volumes(command)
    view = View(window=command.window)
    if command.plot:
        check_plot([content, content, style], command.plot, view)
    with viewer_of(Display(quiet=command.json)):  # shows what the filter is
        style = match_to_content(style, content)
        out = linear_volume(content, [style], [1.0])
    media.save(out, command.output, json.dumps({"impasto": __version__, "harmonize": True}))
    if command.plot:
        plot([out, content, style], ["result", "series", "other"], command.plot, view)
    traits = compare_kernels(content, out, style)
    if command.json:
        print(_json(command, traits))
    else:
        Console(emoji=False).print(_table(traits))


def _volumes(command: Harmonize) -> list[Volume]:
    """Opens the series and the other one; raises SampleError if one is no CT."""
    volumes = []
    for path in (command.series, command.to):
        sample = media.load(path)
        with about(str(path)):
            if common_look([sample]) != "volume":
                raise SampleError(
                    expected="a CT",
                    found=f"{len(sample.data)} channels over {sample.dims} axes",
                    remedy="pass a DICOM series, or a volume in .nii.gz, .nrrd or .mha",
                )
            volume = as_volume(sample)
            if not in_hounsfield(volume):
                raise SampleError(
                    expected="a CT in HU, in which air is near -1000",
                    found=f"values from {volume.data.min():g} up",
                    remedy="convert it; for other volumes there is impasto stylize",
                )
        volumes.append(volume)
    return volumes


def _json(command: Harmonize, traits: Sequence[Trait]) -> str:
    """Formats the traits as JSON. What could not be measured is null."""
    rows = [
        {
            key: None if isinstance(value, float) and math.isnan(value) else value
            for key, value in asdict(trait).items()
        }
        for trait in traits
    ]
    return json.dumps({"output": str(command.output), "rows": rows})


def _table(traits: Sequence[Trait]) -> Table:
    table = Table(
        title="What the kernel changes",
        caption="Tissues are those of the series, in the same voxels after; the other series has "
        "another anatomy. Not for diagnosis.",
        caption_justify="left",
    )
    table.add_column("", no_wrap=True)
    for name in ("before", "after", "other"):
        table.add_column(name, justify="right")
    for trait in traits:
        name = f"{trait.name} ({trait.unit})" if trait.unit else trait.name
        values = (trait.before, trait.after, trait.style)
        table.add_row(name, *("" if math.isnan(value) else f"{value:.4g}" for value in values))
    return table
