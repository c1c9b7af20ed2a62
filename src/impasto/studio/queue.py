"""The queue: the runs that wait begin in their order, each as a command in a process of its own.

The processes outlive the server: whoever starts it again finds them at work, or their results.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass, field

from impasto.errors import ConfigError
from impasto.studio.asked import arguments_of
from impasto.studio.runs import RECORD, Run, Runs
from impasto.studio.samples import Samples

TICK = 0.2
"""Seconds between two looks at the runs."""

PATIENCE = 20.0
"""The most seconds that a process takes to begin."""

CHECKPOINTS = "5"
"""Seconds between the checkpoints of a run, at most so much is lost when it is killed."""


@dataclass
class Queue:
    """Begins runs.

    Attributes:
        runs: all runs.
        samples: what they are made from.
        command: starts a process that waits for a run; it reads the run as a line of JSON.
        jobs: how many run at a time.
        ahead: whether the process of the next run is started ahead, for somebody looks at the page.
    """

    runs: Runs
    samples: Samples
    command: Sequence[str]
    jobs: int = 1
    ahead: bool = False
    _spare: subprocess.Popen[str] | None = None
    _begun: dict[str, float] = field(default_factory=dict)
    _children: list[subprocess.Popen[str]] = field(default_factory=list)

    async def work(self) -> None:
        """Begins runs for ever."""
        while True:
            self.look()
            await asyncio.sleep(TICK)

    def look(self) -> None:
        """Begins as many of the runs that wait as there is room for."""
        self._children = [child for child in self._children if child.poll() is None]
        now = asyncio.get_running_loop().time()
        waiting = self.runs.waiting()
        for run in self.runs.listed():
            if run.id in self._begun and (run.worker() is not None or run.place is None):
                del self._begun[run.id]
        for name, begun in list(self._begun.items()):
            if now - begun > PATIENCE:
                del self._begun[name]
        busy = sum(run.state in {"running", "stopping"} for run in self.runs.listed())
        for run in waiting:
            if busy + len(self._begun) >= self.jobs:
                break
            if run.id not in self._begun:
                self._begin(run)
                self._begun[run.id] = now
        if self.ahead and (self._spare is None or self._spare.poll() is not None):
            self._spare = self._start()

    def _begin(self, run: Run) -> None:
        """Gives a run to the process that waits for one."""
        process = self._spare
        if process is None or process.poll() is not None:
            process = self._start()
        self._spare = None
        self._children.append(process)
        line = {"folder": str(run.folder), "arguments": self._arguments(run)}
        assert process.stdin is not None
        with contextlib.suppress(OSError):  # it has died; the run still waits
            process.stdin.write(json.dumps(line) + "\n")
            process.stdin.close()

    def _arguments(self, run: Run) -> list[str]:
        """Returns the command of a run; it goes on from a checkpoint if there is one."""
        if (run.folder / RECORD).exists():
            return ["resume", "run", "--json"]
        path = self.samples.path
        return [
            *arguments_of(run.asked, path, run.suffix),
            *("--checkpoint-every", CHECKPOINTS),
        ]

    def _start(self) -> subprocess.Popen[str]:
        """Starts a process that loads what a run needs, and waits for one."""
        return subprocess.Popen(
            self.command,
            stdin=subprocess.PIPE,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,  # Ctrl-C is for the server
        )

    def stop(self, run: Run) -> None:
        """Ends a run after its step, with the result so far; one that waits, waits no longer.

        Raises:
            ConfigError: it has ended.
        """
        worker = run.worker()
        if worker:
            run.stopping = True
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGINT)
            return
        if run.place is None or run.id in self._begun:
            raise _not_now(run, "one that is at work")
        run.leave()

    def resume(self, run: Run) -> None:
        """Puts a run that has not come to its end into the queue again.

        Raises:
            ConfigError: it is at work, waits, or is done.
        """
        if run.state not in {"interrupted", "stopped", "failed"}:
            raise _not_now(run, "one that was interrupted")
        run.wait(self.runs.last_place() + 1)

    def delete(self, run: Run) -> None:
        """Deletes a run with its result.

        Raises:
            ConfigError: it is at work.
        """
        if run.worker() is not None or run.id in self._begun:
            raise _not_now(run, "one that is not at work")
        self.runs.delete(run)

    def close(self) -> int:
        """Ends the process that waits, and tells runs at work to stop; returns how many."""
        if self._spare is not None:
            self._spare.kill()
            self._spare.communicate()
        workers = [run.worker() for run in self.runs.listed()]
        for worker in filter(None, workers):
            with contextlib.suppress(ProcessLookupError):
                os.kill(worker, signal.SIGINT)
        return sum(worker is not None for worker in workers)


def _not_now(run: Run, expected: str) -> ConfigError:
    return ConfigError(
        subject="run", expected=expected, found=f"one that is {run.state}", remedy="wait for it"
    )
