"""Processes of their own that need no seconds to import PyTorch: children of a process that has
done so."""

from __future__ import annotations

import atexit
import multiprocessing
import multiprocessing.forkserver
import os
import signal
import sys
import time
from collections.abc import Callable, Iterator, Sequence
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from impasto.cli.main import main

IMPORTED = [
    *("impasto.cli.commands", "impasto.cli.parsing", "impasto.transfer.stylize"),
    "tests.forked",
]


NUMBERS = count()


class Child:
    """A function at work in a process of its own, from now on.

    Args:
        work: the function.
        given: its arguments.
        folder: the current one of the process.
        environment: more variables.
    """

    def __init__(
        self, work: Callable[..., Any], given: Sequence[Any], folder: Path, **environment: str
    ) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(IMPORTED)
        with pytest.MonkeyPatch.context() as patch:  # the first one starts the server
            patch.setenv("OMP_NUM_THREADS", "1")
            multiprocessing.forkserver.ensure_running()
        # Beside the folder, in which tests look at everything.
        beside = f"{folder.name}-process{next(NUMBERS)}"
        texts = [folder.with_name(f"{beside}-{name}.txt") for name in ("printed", "errors")]
        for text in texts:
            text.write_text("")
        self._printed, self._errors = texts
        self._process = context.Process(
            target=_at_work, args=(work, given, folder, texts, environment)
        )
        self._process.start()
        atexit.register(self.kill)  # a test that fails leaves it at work
        assert self._process.pid
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """As of `subprocess.Popen`; None until it has ended."""
        return self._process.exitcode

    @property
    def out(self) -> str:
        """What it has written to stdout."""
        return self._printed.read_text()

    @property
    def err(self) -> str:
        """What it has written to stderr."""
        return self._errors.read_text()

    def lines(self) -> Iterator[str]:
        """The lines that it writes to stdout, until it ends."""
        line = ""
        with self._printed.open() as file:
            while True:
                ended = self.returncode is not None
                line += file.readline()
                if line.endswith("\n"):
                    yield line
                    line = ""
                elif ended:
                    return
                else:
                    time.sleep(0.002)

    def send_signal(self, number: int) -> None:
        if self.returncode is None:
            os.kill(self.pid, number)

    def end(self, timeout: float) -> int:
        """Its exit code, for which it is waited."""
        self._process.join(timeout)
        assert self.returncode is not None, "it does not end"
        return self.returncode

    def kill(self) -> None:
        """Ends it at once, if it has not ended, and what it started."""
        if self.returncode is None:
            os.kill(self.pid, signal.SIGKILL)
        self._process.join()


class Command(Child):
    """`impasto` with some arguments, at work from now on.

    Args:
        arguments: what is typed after `impasto`.
        folder: the current one of the process.
        environment: more variables.
    """

    def __init__(self, arguments: Sequence[str], folder: Path, **environment: str) -> None:
        super().__init__(main, [list(arguments)], folder, **environment)


def _at_work(
    work: Callable[..., Any],
    given: Sequence[Any],
    folder: Path,
    texts: Sequence[Path],
    environment: dict[str, str],
) -> None:
    import torch

    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    os.environ |= environment
    for number, text in enumerate(texts, start=1):
        os.dup2(os.open(text, os.O_WRONLY | os.O_APPEND), number)
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    torch.set_num_threads(1)
    try:
        work(*given)
    finally:
        atexit._run_exitfuncs()  # as at the end of a process that was not forked
