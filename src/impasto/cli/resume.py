"""Repeat the command of a run, as its folder has recorded it."""

from __future__ import annotations

import shlex
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from dataclasses import replace
from io import StringIO
from pathlib import Path

from impasto.cli.arguments import Resume, Stylize, Texture
from impasto.cli.parsing import fitting_preset, parse, texture_preset
from impasto.errors import ConfigError
from impasto.grids.parallel import current_group
from impasto.kinds import solids_are_gray
from impasto.runs.origin import Origin
from impasto.runs.reading import read_run
from impasto.runs.trust import check_trusted, working_in


def origin_of_command(command: Stylize | Texture, arguments: Sequence[str]) -> Origin:
    """Returns the origin of a command's run. arguments: the command line after `impasto`."""
    styles = tuple(path.absolute() for path in command.style_paths)
    origin = Origin(
        config=command.config,
        content=None,
        styles=styles,
        preset=texture_preset(str(command.output)),
        texture=True,
        arguments=tuple(arguments),
        where=Path.cwd(),
        output=command.output.absolute(),
    )
    if isinstance(command, Texture):
        return replace(origin, gray=solids_are_gray(command.output))
    preset: str = command.preset
    if preset == "auto":
        preset = fitting_preset([str(path) for path in (command.content, *command.style_paths)])
    return replace(origin, content=command.content.absolute(), preset=preset, texture=False)


@contextmanager
def repeat_command(command: Resume) -> Iterator[tuple[Stylize | Texture, Sequence[str]]]:
    """Returns the command of a run and its arguments, for a block.

    In the block, the current folder is the one that the command was typed in. The command's run
    folder is the folder given, even if it has been moved.

    Raises:
        ConfigError: the folder has no command, the run needs another number of processes, or its
            network is code that is not trusted.
        SampleError: an input is missing or has changed.
    """
    folder = command.folder.absolute()
    run = read_run(folder)
    origin = run.origin
    if not origin.arguments:
        raise ConfigError(
            subject=str(command.folder),
            expected="a run that a command started",
            found="one that a program started",
            remedy="run the program again: it goes on from the last checkpoint",
        )
    if current_group().size != run.processes:
        raise ConfigError(
            subject=str(command.folder),
            expected=f"{run.processes} processes, as it was started with",
            found=str(current_group().size),
            remedy=f"start it with torchrun --nproc-per-node {run.processes}",
        )
    run.check_inputs()
    if not origin.where.is_dir():
        raise ConfigError(
            subject=str(command.folder),
            expected=f"the folder it was started in, {origin.where}",
            found="none there",
            remedy=f"repeat its command elsewhere, with --run {folder}",
        )
    with working_in(origin.where):
        again = _parse_recorded(folder, origin.arguments)
        check_trusted(folder, again.config.network.network, origin.where, command.trust)
        shown = replace(again.display, quiet=command.quiet, json=command.json)
        yield replace(again, run=folder, display=shown), origin.arguments


def _parse_recorded(folder: Path, arguments: Sequence[str]) -> Stylize | Texture:
    """Parses the recorded arguments; raises ConfigError if they are not the command of a run."""
    try:
        with redirect_stdout(StringIO()), redirect_stderr(StringIO()):
            command = parse(arguments)
    except SystemExit:
        command = None
    if not isinstance(command, Stylize | Texture):
        raise ConfigError(
            subject=str(folder),
            expected="a command that starts a run",
            found=f"impasto {shlex.join(arguments)}",
            remedy=f"repeat the right one, with --run {folder}",
        )
    return command
