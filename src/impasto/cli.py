"""The command `impasto`."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from impasto.arguments import parse
from impasto.errors import ImpastoError, InputError, OutputError
from impasto.version import __version__

INTERRUPTED = 130
"""The exit code after Ctrl-C, as shells have it."""


def main(arguments: Sequence[str] | None = None) -> None:
    """Runs the command and exits: 0 done, 2 bad input, 1 numerical failure, 130 after Ctrl-C."""
    arguments = sys.argv[1:] if arguments is None else list(arguments)
    if arguments == ["--version"]:
        print(f"impasto {__version__}")
        return
    try:
        command = parse(arguments)
        from impasto.commands import run  # torch loads here, not for --help

        interrupted = run(command)
    except ImpastoError as error:
        print(f"impasto: {error}", file=sys.stderr)
        sys.exit(2 if isinstance(error, InputError | OutputError) else 1)
    except KeyboardInterrupt:
        print("impasto: interrupted before the first step; nothing was written", file=sys.stderr)
        sys.exit(INTERRUPTED)
    if interrupted:
        sys.exit(INTERRUPTED)
