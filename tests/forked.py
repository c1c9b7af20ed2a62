"""The command in processes of their own that need no seconds to import PyTorch: children of a
process that has done so."""

from __future__ import annotations

import atexit
import multiprocessing
import multiprocessing.forkserver
import os
import signal
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest

from impasto.cli.main import main

IMPORTED = ["impasto.cli.commands", "impasto.cli.parsing", "impasto.transfer.stylize"]


class Command:
    """`impasto` with some arguments, at work from now on.

    Args:
        arguments: what is typed after `impasto`.
        folder: the current one of the process.
        environment: more variables.
    """

    def __init__(self, arguments: Sequence[str], folder: Path, **environment: str) -> None:
        context = multiprocessing.get_context("forkserver")
        context.set_forkserver_preload(IMPORTED)
        with pytest.MonkeyPatch.context() as patch:  # the first one starts the server
            patch.setenv("OMP_NUM_THREADS", "1")
            multiprocessing.forkserver.ensure_running()
        self._errors = folder / f"errors{environment.get('RANK', '')}.txt"
        self._errors.write_text("")
        given = (list(arguments), folder, self._errors, environment)
        self._process = context.Process(target=_work, args=given)
        self._process.start()
        assert self._process.pid
        self.pid = self._process.pid

    @property
    def returncode(self) -> int | None:
        """As of `subprocess.Popen`; None until it has ended."""
        return self._process.exitcode

    @property
    def err(self) -> str:
        """What it has written to stderr."""
        return self._errors.read_text()

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


def _work(arguments: list[str], folder: Path, errors: Path, environment: dict[str, str]) -> None:
    import torch

    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.chdir(folder)
    os.environ |= environment
    os.dup2(os.open(errors, os.O_WRONLY | os.O_APPEND), 2)
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    torch.set_num_threads(1)
    try:
        main(arguments)
    finally:
        atexit._run_exitfuncs()  # as at the end of a process that was not forked
