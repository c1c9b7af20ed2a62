"""The command `impasto`."""

from __future__ import annotations

import atexit
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
    from impasto.cli.arguments import Command

NUMERICAL_FAILURE = 1
"""The exit code where J stays non-finite whatever the step."""

BAD_INPUT = 2
"""The exit code where something given cannot be used, or the result cannot be written."""

CHECKPOINTS_LOST = 3
"""The exit code where the result is saved, but the folder of its run could not be written to the
end: `resume` and `report` know the run only up to there."""

INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it: the result so far is saved, if there is one.
After SIGTERM it is 143, of any signal 128 and its number."""

READER_GONE = 141
"""The exit code when what reads our output has ended, as in `impasto ... | head`."""

_SIGNALED = 128

_NOTHING = "impasto: interrupted; no result was written"


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command and exits: 0 done, 1 numerical failure, 2 bad input, 3 checkpoints lost,
    130 after Ctrl-C, 141 reader gone, 143 after SIGTERM."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    try:
        try:
            code = _run(arguments)
        finally:
            sys.stdout.flush()
    except BrokenPipeError:
        # Python flushes once more when it exits, and would complain.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = READER_GONE
    if code:
        sys.exit(code)


def _run(arguments: Sequence[str]) -> int:
    if arguments == ["--version"]:
        print(f"impasto {__version__}")
        return 0
    try:
        with _leaving_at_once():
            command = _parsed(arguments)
            from impasto.cli.commands import run  # torch loads here, not for --help
        ending = run(command, arguments)
        if ending.interrupted:
            return _SIGNALED + ending.interrupted
        return CHECKPOINTS_LOST if ending.checkpoints_lost else 0
    except ImpastoError as error:
        _tell_error(error, arguments)
        return BAD_INPUT if isinstance(error, InputError | OutputError) else NUMERICAL_FAILURE
    except KeyboardInterrupt as error:
        if "--json" in arguments:
            _print_error(_NOTHING.removeprefix("impasto: "))
        else:
            print(_NOTHING, file=sys.stderr)
        return _SIGNALED + error.number if isinstance(error, Interrupted) else INTERRUPTED


def _parsed(arguments: Sequence[str]) -> Command:
    """The command that the arguments spell; with --json what is wrong with them is JSON too."""
    from impasto.cli.parsing import parse

    if "--json" not in arguments:
        return parse(arguments)
    said = io.StringIO()
    try:
        with redirect_stderr(said):
            return parse(arguments)
    except SystemExit as leaving:
        if leaving.code:
            _print_error(" ".join(re.sub("[\u2500-\u257f]", " ", said.getvalue()).split()))
        raise


def _tell_error(error: ImpastoError, arguments: Sequence[str]) -> None:
    """On one line: to a person on stderr, to a program as JSON on stdout."""
    if "--json" in arguments:
        parts = {name: getattr(error, name) for name in ("subject", "expected", "found", "remedy")}
        _print_error(str(error), **parts)
    else:
        print(f"impasto: {error}", file=sys.stderr)


def _print_error(message: str, **parts: str) -> None:
    print(json.dumps({"event": "error", "message": message, **parts}))


@contextmanager
def _leaving_at_once() -> Iterator[None]:
    """Ctrl-C ends the process there and then: modules half loaded make a mess of an exception.

    Once Python itself is shutting down there is nothing left to interrupt, and it is ignored.
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


def _leave(number: int, frame: FrameType | None) -> None:
    os.write(2, f"{_NOTHING}\n".encode())
    os._exit(INTERRUPTED)
