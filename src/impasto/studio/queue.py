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
from pathlib import Path

from impasto.errors import ConfigError, ImpastoError
from impasto.media.files import as_output_error
from impasto.studio.asked import arguments_of
from impasto.studio.runs import LOCK, RECORD, Run, Runs
from impasto.studio.samples import Samples

TICK = 0.3
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
        with contextlib.suppress(OSError, ImpastoError):  # no room on the machine now: wait
            self._look()

    def _look(self) -> None:
        self._children = [child for child in self._children if child.poll() is None]
        now = asyncio.get_running_loop().time()
        for name, begun in list(self._begun.items()):
            run = self.runs.find(name)
            if run is None or run.state != "queued" or now - begun > PATIENCE:
                del self._begun[name]
        states = [(run, run.state) for run in self.runs.listed()]
        busy = sum(state in {"running", "stopping"} for _, state in states)
        for run in self.runs.in_order(run for run, state in states if state == "queued"):
            if busy + len(self._begun) >= self.jobs:
                break
            if run.id not in self._begun and self._begin(run):
                self._begun[run.id] = now
        # Not beside a run, which would take its cores for busy, and fewer threads to the end.
        idle = self.ahead and not busy and not self._begun
        if idle and (self._spare is None or self._spare.poll() is not None):
            self._spare = self._start()

    def _begin(self, run: Run) -> bool:
        """Gives a run to the process that waits for one; returns whether it can be made."""
        try:
            arguments = self._arguments(run)
        except ImpastoError as error:  # such as a sample that somebody deleted by hand
            run.fail(str(error))
            return False
        process = self._spare
        if process is None or process.poll() is not None:
            process = self._start()
        self._spare = None
        self._children.append(process)
        line = {"folder": str(run.folder), "arguments": arguments}
        assert process.stdin is not None
        with contextlib.suppress(OSError):  # it has died; the run still waits
            process.stdin.write(json.dumps(line) + "\n")
            process.stdin.close()
        return True

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
        if run.ended:
            raise _not_now(run, "one that is at work")
        run.leave()  # a process that has it, but has not begun, then leaves it
        self._interrupt(run)

    def _interrupt(self, run: Run) -> bool:
        """Tells the process of a run to stop, once: a second signal would lose the result."""
        worker = run.worker()
        if worker and not run.stopping:
            run.stopping = True
            with contextlib.suppress(OSError):
                os.kill(worker, signal.SIGINT)
        return worker is not None

    def resume(self, run: Run) -> None:
        """Puts a run that has not come to its end into the queue again.

        Raises:
            ConfigError: it is at work, waits, or is done.
        """
        if not run.ended or run.state == "done":
            raise _not_now(run, "one that was interrupted")
        # The number of its old process may by now be that of another one.
        with as_output_error(run.folder):
            (run.folder / LOCK).write_bytes(b"")
        run.wait(self.runs.last_place() + 1)

    def move(self, run: Run, before: Run | None) -> None:
        """Puts a run that waits before another one, or last.

        Raises:
            ConfigError: it does not wait, or no longer.
        """
        if run.state != "queued" or run.id in self._begun:
            raise _not_now(run, "one that waits")
        self.runs.move(run, before)

    def delete(self, run: Run) -> Path:
        """Takes a run out with its result; returns the folder that is left to be deleted.

        Raises:
            ConfigError: it is at work.
        """
        if run.worker() is not None or run.id in self._begun:
            raise _not_now(run, "one that is not at work")
        return self.runs.delete(run)

    def close(self) -> int:
        """Ends the process that waits, and tells runs at work to stop; returns how many."""
        if self._spare is not None:
            self._spare.kill()
            self._spare.communicate()
        return sum([self._interrupt(run) for run in self.runs.listed() if not run.ended])


def _not_now(run: Run, expected: str) -> ConfigError:
    return ConfigError(
        subject="run", expected=expected, found=f"one that is {run.state}", remedy="wait for it"
    )
