"""Use standard input and standard output as files, where the command line has `-`."""

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
    """Returns whether a command reads standard input or writes to standard output."""
    return STDIO in (command.output, *_inputs(command))


@contextmanager
def piped(command: Stylize | Texture) -> Iterator[Stylize | Texture]:
    """Replaces standard input and output by temporary files for the block.

    If the block ends without an error, the output file is then copied to standard output.

    Raises:
        ConfigError: a flag does not work with standard input or output.
        SampleError: standard input has no known format.
    """
    _check_flags(command)
    with tempfile.TemporaryDirectory(prefix=_FOLDER, dir=scratch_folder()) as name:
        folder = Path(name)
        if STDIO in _inputs(command):
            command = _with_input(command, _read(folder))
        if command.output != STDIO:
            yield replace(command)
            return
        output = folder / f"output.{_format(command)}"
        yield replace(command, output=output, format=None)
        if output.exists():  # of several processes, only the first one writes the output
            with open(output, "rb") as made:
                shutil.copyfileobj(made, sys.stdout.buffer)


def shown_name(output: Path) -> str:
    """Returns the name of a result for messages."""
    return "standard output" if output.parent.name.startswith(_FOLDER) else str(output)


def shown_input(path: Path) -> str:
    """Returns the name of a content or style for messages."""
    return "standard input" if path.parent.name.startswith(_FOLDER) else str(path)


def check_format(command: Stylize | Texture) -> None:
    """Raises ConfigError if --format is given for a file, whose suffix chooses the format."""
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


def _check_flags(command: Stylize | Texture) -> None:
    """Raises ConfigError for flags that do not work with standard input or output."""
    to_stdout = command.output == STDIO
    terminal = to_stdout and sys.stdout.isatty()
    for wrong, flag, expected, found, remedy in (
        (_inputs(command).count(STDIO) > 1, "-", "one input from standard input", "several", ""),
        (command.run, "--run", "files, so that the run can be repeated", "-", ""),
        (to_stdout and command.display.preview, "--preview", "0 with -o -", "another", ""),
        (to_stdout and command.display.json, "--json", "a file as the output", "-o -", ""),
        (terminal, "--output", "a pipe or a file", "a terminal", "redirect it, as in `> out.png`"),
    ):
        if wrong:
            remedy = remedy or "use a file, or leave it out"
            raise ConfigError(subject=flag, expected=expected, found=found, remedy=remedy)


def _read(folder: Path) -> Path:
    """Copies standard input to a file in the folder, with the suffix of its format."""
    path = folder / "input"
    with open(path, "wb") as file:
        shutil.copyfileobj(sys.stdin.buffer, file)
    with about("standard input"):
        return path.rename(path.with_name(f"standard-input{suffix_of_file(path)}"))


def _with_input(command: Stylize | Texture, path: Path) -> Stylize | Texture:
    """Replaces `-` among the inputs by a file."""
    styles = tuple(path if style == STDIO else style for style in command.styles)
    style = path if command.style == STDIO else command.style
    if isinstance(command, Stylize) and command.content == STDIO:
        return replace(command, content=path)
    return replace(command, style=style, styles=styles)


def _format(command: Stylize | Texture) -> str:
    """Returns the format for standard output: --format, or the format of the first input."""
    first = _inputs(command)[0]
    suffix = media.files.suffix_of(first).removeprefix(".")
    return command.format or suffix or "png"
