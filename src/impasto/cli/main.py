"""The entry point of the command `impasto`: errors, interrupts and exit codes."""

from __future__ import annotations

import atexit
import gc
import io
import json
import os
import re
import signal
import sys
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, redirect_stderr
from types import FrameType
from typing import TYPE_CHECKING

from impasto.errors import ImpastoError, InputError, OutputError
from impasto.system.interrupts import Interrupted
from impasto.version import __version__

if TYPE_CHECKING:
    from impasto.cli.command import Command

NUMERICAL_FAILURE = 1
"""The exit code if J stays non-finite, or if another process of the run has ended."""

BAD_INPUT = 2
"""The exit code if an input cannot be used, or the result cannot be written."""

CHECKPOINTS_LOST = 3
"""The exit code if the result is saved, but its run folder could not be written to the end, so that
`resume` and `report` do not know the last steps."""

MOST_FAILED = 125
"""The largest exit code of `impasto batch`, which is the number of files that failed. Shells have a
meaning for larger ones."""

INTERRUPTED = 130
"""The exit code after Ctrl-C, as in shells. The result so far is saved, if there is one. After any
signal the exit code is 128 plus its number; after SIGTERM it is 143."""

READER_GONE = 141
"""The exit code if the program that reads the output has ended, as in `impasto ... | head`."""

_SIGNALED = 128

_NOTHING = "impasto: interrupted; no result was written"


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command and exits: 0 done, 1 numerical failure, 2 bad input, 3 checkpoints lost,
    130 after Ctrl-C, 141 reader gone, 143 after SIGTERM. `batch` exits with the number of files
    that failed."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    try:
        try:
            code = _run(arguments)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes stdout again at exit, which would print an error.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = READER_GONE
    if code:
        sys.exit(code)


def _run(arguments: Sequence[str]) -> int:
    if arguments == ["--version"]:
        print(f"impasto {__version__}")
        return 0
    try:
        with _leaving_at_once(), _loading():
            command = _parse(arguments)
            from impasto.cli.arguments import Studio
            from impasto.cli.views_arguments import Plot

            if isinstance(command, Plot):
                from impasto.cli.drawing import draw
            elif not isinstance(command, Studio):
                from impasto.cli.commands import run  # loads torch, which --help does not need
        if isinstance(command, Plot):
            draw(command)
            return 0
        if isinstance(command, Studio):
            from impasto.cli.studio import run_studio

            run_studio(command)
            return 0
        ending = run(command, arguments)
        if ending.interrupted:
            return _SIGNALED + ending.interrupted
        if ending.failed:
            return min(MOST_FAILED, ending.failed)
        return CHECKPOINTS_LOST if ending.checkpoints_lost else 0
    except ImpastoError as error:
        _report_error(error, arguments)
        return BAD_INPUT if isinstance(error, InputError | OutputError) else NUMERICAL_FAILURE
    except KeyboardInterrupt as error:
        if "--json" in arguments:
            _print_error(_NOTHING.removeprefix("impasto: "))
        else:
            print(_NOTHING, file=sys.stderr)
        return _SIGNALED + error.number if isinstance(error, Interrupted) else INTERRUPTED


def _parse(arguments: Sequence[str]) -> Command:
    """Parses the arguments; what the parser says of wrong ones becomes one line."""
    from impasto.cli.parsing import parse

    messages = io.StringIO()
    try:
        with redirect_stderr(messages):
            return parse(arguments)
    except SystemExit as leaving:
        if leaving.code:
            text = _in_one_line(messages.getvalue())
            if "--json" in arguments:
                _print_error(text)
            else:
                print(f"impasto: {text}", file=sys.stderr)
        raise


def _in_one_line(box: str) -> str:
    """Turns the parser's box into a line: without its title, and with the nearest flag only."""
    body = box.partition("\n")[2]
    text = " ".join(re.sub("[\u2500-\u257f]", " ", body).split())
    text = re.sub(
        r" Perhaps you meant: (-\S+).*(?= For full helptext)", r"; did you mean \1?", text
    )
    # Of the two kinds of help only the long one has each flag.
    return re.sub(
        r"[.;]? ?(?:Argument helptext.*)? For full helptext, (?:run|see):? (.*) --help",
        r"; run \1 --help-all",
        text,
    )


def _report_error(error: ImpastoError, arguments: Sequence[str]) -> None:
    """Prints an error on one line: to stderr, or with --json as JSON to stdout."""
    if "--json" in arguments:
        parts = {name: getattr(error, name) for name in ("subject", "expected", "found", "remedy")}
        _print_error(str(error), **parts)
    else:
        print(f"impasto: {error}", file=sys.stderr)


def _print_error(message: str, **parts: str) -> None:
    print(json.dumps({"event": "error", "message": message, **parts}))


@contextmanager
def _leaving_at_once() -> Iterator[None]:
    """Makes Ctrl-C end the process at once, without an exception, during the block.

    An exception while modules are being loaded would lead to misleading errors. While Python shuts
    down, Ctrl-C is ignored.
    """
    ours = (
        threading.current_thread() is threading.main_thread()
        and signal.getsignal(signal.SIGINT) is signal.default_int_handler
    )
    if not ours:
        yield
        return
    atexit.register(signal.signal, signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGINT, _leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, signal.default_int_handler)


@contextmanager
def _loading() -> Iterator[None]:
    """Collects no garbage during the block, and never looks at what is there at its end.

    Modules stay until the process ends. The collector would look at all of PyTorch's objects again
    and again, also at the exit.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()


def _leave(number: int, frame: FrameType | None) -> None:
    os.write(2, f"{_NOTHING}\n".encode())
    os._exit(INTERRUPTED)
