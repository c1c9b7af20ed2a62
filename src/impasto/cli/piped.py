"""`-` in the place of a file: standard input, and standard output."""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from impasto import media
from impasto.cli.arguments import Stylize, Texture
from impasto.errors import ConfigError, about
from impasto.grids.arrays import scratch_folder
from impasto.media.streams import suffix_of_file

STDIO = Path("-")
_FOLDER = "impasto-pipe-"


def is_piped(command: Stylize | Texture) -> bool:
    """Whether it reads standard input or writes to standard output."""
    return STDIO in (command.output, *_inputs(command))


@contextmanager
def piped(command: Stylize | Texture) -> Iterator[Stylize | Texture]:
    """The same command with files for standard input and output, which are gone after the block.

    What is in the output's file then goes to standard output, if the block ends well.
    Raises ConfigError for what pipes cannot do, SampleError for bytes of no known format.
    """
    _check(command)
    with tempfile.TemporaryDirectory(prefix=_FOLDER, dir=scratch_folder()) as name:
        folder = Path(name)
        if STDIO in _inputs(command):
            command = _with_input(command, _read(folder))
        if command.output != STDIO:
            yield replace(command)
            return
        output = folder / f"output.{_format(command)}"
        yield replace(command, output=output, format=None)
        if output.exists():  # of several processes, the first one's
            with open(output, "rb") as made:
                shutil.copyfileobj(made, sys.stdout.buffer)


def shown_name(output: Path) -> str:
    """A result's name as people are told it."""
    return "standard output" if output.parent.name.startswith(_FOLDER) else str(output)


def shown_input(path: Path) -> str:
    """A content's or style's name as people are told it."""
    return "standard input" if path.parent.name.startswith(_FOLDER) else str(path)


def check_format(command: Stylize | Texture) -> None:
    """Raises ConfigError for a format of a file, whose name says it."""
    if command.format and command.output != STDIO:
        raise ConfigError(
            subject="--format",
            expected="-o -, which writes to standard output",
            found=f"-o {command.output}",
            remedy="leave it out: the suffix of the file chooses the format",
        )


def _inputs(command: Stylize | Texture) -> list[Path]:
    content = [command.content] if isinstance(command, Stylize) else []
    return [*content, *command.style_paths]


def _check(command: Stylize | Texture) -> None:
    to_stdout = command.output == STDIO
    terminal = to_stdout and sys.stdout.isatty()
    for wrong, flag, expected, found, remedy in (
        (_inputs(command).count(STDIO) > 1, "-", "one input from standard input", "several", ""),
        (command.run, "--run", "files, which the run can be repeated from", "-", ""),
        (to_stdout and command.display.preview, "--preview", "0 with -o -", "another", ""),
        (to_stdout and command.display.json, "--json", "a file as the output", "-o -", ""),
        (terminal, "--output", "a pipe or a file", "a terminal", "redirect it, as in `> out.png`"),
    ):
        if wrong:
            remedy = remedy or "use a file, or leave it out"
            raise ConfigError(subject=flag, expected=expected, found=found, remedy=remedy)


def _read(folder: Path) -> Path:
    """Standard input in a file there, with the suffix of its format."""
    path = folder / "input"
    with open(path, "wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
    with about("standard input"):
        return path.rename(path.with_name(f"standard-input{suffix_of_file(path)}"))


def _with_input(command: Stylize | Texture, path: Path) -> Stylize | Texture:
    """The command with that file in the place of `-`."""
    styles = tuple(path if style == STDIO else style for style in command.styles)
    style = path if command.style == STDIO else command.style
    if isinstance(command, Stylize) and command.content == STDIO:
        return replace(command, content=path)
    return replace(command, style=style, styles=styles)


def _format(command: Stylize | Texture) -> str:
    """What standard output is to be: what is asked for, or the format of the first input."""
    first = _inputs(command)[0]
    suffix = media.files.suffix_of(first).removeprefix(".")
    return command.format or suffix or "png"
