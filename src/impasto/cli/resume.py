"""Commands again, from what the folder of their run has kept of them."""

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
    """Where the run of a command comes from. arguments: the command as typed after `impasto`."""
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
    """The command that a run was started with, in the folder that it was typed in, for its run
    where that is now.

    Raises ConfigError where there is none, other processes are needed or its network is code that
    is not trusted; SampleError when an input is not what it was.
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
            remedy=f"start it by torchrun --nproc-per-node {run.processes}",
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
        again = _parsed(folder, origin.arguments)
        check_trusted(folder, again.config.network.network, origin.where, command.trust)
        shown = replace(again.display, quiet=command.quiet, json=command.json)
        yield replace(again, run=folder, display=shown), origin.arguments


def _parsed(folder: Path, arguments: Sequence[str]) -> Stylize | Texture:
    """The command of a run. Raises ConfigError where it is none."""
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
