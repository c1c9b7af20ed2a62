"""Check that a command does not overwrite its own inputs or the files of a run."""

from __future__ import annotations

import os
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from impasto import media
from impasto.cli.arguments import (
    Demo,
    Display,
    Explain,
    Export,
    Networks,
    Recipe,
    Report,
    Resume,
    Studio,
    Stylize,
    Texture,
    Tune,
)
from impasto.cli.batch_arguments import Batch
from impasto.cli.command import Command
from impasto.cli.frames import check_frames
from impasto.cli.touched import Target, Touched, check_touched, same_file
from impasto.cli.views_arguments import Compare, Harmonize, Plot
from impasto.errors import ImpastoError, OutputError
from impasto.media.pictures.picture import has_recipe
from impasto.plots import SUFFIXES as PLOTS
from impasto.runs.names import kept_in
from impasto.runs.origin import settings_files
from impasto.runs.reading import read_run
from impasto.transfer.opening import split_shares

PAGES = (".html",)
DECODERS = (".safetensors",)
DEMO = ("content.png", "style.png", "result.png", "side-by-side.png")
"""The files that the demo writes."""


def check_files(command: Command) -> None:
    """Checks the files that a command would write.

    Other names, links and letter case do not hide that two paths are the same file.

    Raises:
        ConfigError: the command would overwrite an input, another of its outputs or a file of a
            run.
        OutputError: a link leads to a file of another type, or the demo would overwrite a picture
            that it has not made.
    """
    check_touched(touched_by(command))
    if isinstance(command, Stylize | Texture | Demo) and command.display.frames:
        check_frames(Path(command.display.frames))
    if isinstance(command, Demo):
        _check_demo(command.output)


def touched_by(command: Command) -> Touched:
    """Lists the files that a command reads and writes."""
    match command:
        case Stylize() | Texture():
            return _touched_by_run(command)
        case Demo():
            return Touched(writes=[Target("--output", command.output / name) for name in DEMO])
        case Explain():
            weights = command.network.weights
            return Touched(
                [
                    ("content", command.content),
                    ("style", command.style),
                    *([("weights", Path(weights))] if weights else []),
                ],
                [Target("--output", command.output, PAGES)],
            )
        case Tune():
            reads = [("style", command.style), *(("content", path) for path in command.contents)]
            if command.decoder:
                reads.append(("decoder", command.decoder))
            seen = command.output.with_suffix(".png")
            return Touched(
                reads,
                [Target("--output", command.output, DECODERS), Target("--output", seen)],
            )
        case Export():
            reads = [("decoder", command.decoder)] if command.decoder else []
            return Touched(reads, [Target("--output", command.output, (".onnx",))])
        case Harmonize():
            plot = [Target("--plot", command.plot, PLOTS)] if command.plot else []
            return Touched(
                [("series", command.series), ("other series", command.to)],
                [Target("--output", command.output), *plot],
            )
        case Report():
            page = Target("--output", command.output or command.folder / "report.html", PAGES)
            return Touched(_inputs_of_report(command.folder), [page])
        case Compare() | Networks() | Recipe() | Studio():
            return Touched()
        case Plot():  # checks its own before torch would be loaded
            return Touched()
        case Batch():  # its files are known when its contents are listed
            return Touched()
        case Resume():  # becomes one of the commands above
            return Touched()


def _touched_by_run(command: Stylize | Texture) -> Touched:
    styles = command.style_paths
    pictures, _ = split_shares(styles, command.config.objective)
    reads = [("style", path) for path in (*styles, *pictures)]
    if isinstance(command, Stylize):
        reads.insert(0, ("content", command.content))
    reads += settings_files(command.config).items()
    if command.recipe:
        reads.append(("recipe", command.recipe))
    writes = [Target("--output", command.output)]
    if command.plot:
        writes.append(Target("--plot", command.plot, PLOTS))
    writes += [
        Target("--preview", path) for path in _previews(command.output, command.display, writes)
    ]
    folders = [path for path in styles if media.is_plain_folder(path)]
    return Touched(reads, writes, folders, command.run)


def _inputs_of_report(folder: Path) -> list[tuple[str, Path]]:
    """Lists the files of a run and, if its record can be read, the inputs of the run."""
    kept = [("record of the run", path) for path in kept_in(folder)]
    try:
        return [*kept, *read_run(folder.absolute()).origin.inputs.items()]
    except ImpastoError:  # the report raises the error again
        return kept


def _previews(output: Path, display: Display, others: Sequence[Target]) -> Iterator[Path]:
    """Lists the previews whose names an existing file or another output has."""
    if not display.preview:
        return
    pattern = re.compile(rf"({re.escape(output.stem)}-step\d{{4,}})\..*", re.DOTALL)
    names = [target.path.name for target in others if same_file(target.path.parent, output.parent)]
    try:
        names += os.listdir(output.parent)
    except OSError:  # the folder is missing, which the check of the output reports
        return
    matches = filter(None, map(pattern.fullmatch, names))
    yield from dict.fromkeys(output.with_name(match[1] + output.suffix) for match in matches)


def _check_demo(folder: Path) -> None:
    """Raises OutputError if the demo would overwrite a file that no demo has written."""
    for path in (folder / name for name in DEMO):
        if os.path.exists(path) and not has_recipe(path):
            raise OutputError(
                subject=str(path),
                expected="nothing there, or the picture of an earlier demo",
                found="another file",
                remedy="choose another folder with -o",
            )
