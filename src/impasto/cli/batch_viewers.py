"""Show how a batch goes: as two bars, as a log, as lines of JSON, or its failures alone."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import RLock
from typing import Protocol, runtime_checkable

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, TaskID, TextColumn, TimeRemainingColumn
from rich.progress import Progress as ProgressBar

from impasto.batch.batch import Outcome
from impasto.batch.manifest import Record
from impasto.cli.viewers import EVERY
from impasto.transfer.descent import Progress


@runtime_checkable
class Watcher(Protocol):
    """Shows how a batch goes; `batch.Onlooker` has the methods that the batch itself calls."""

    def begin(self, jobs: int, left: int) -> None:
        """Shows that the batch begins."""

    def start(self, name: str, tries: int) -> None:
        """Shows that a job begins."""

    def step(self, name: str, progress: Progress) -> None:
        """Shows a step of a job."""

    def end(self, record: Record, *, again: bool) -> None:
        """Shows how a job ended."""

    def note(self, text: str) -> None:
        """Shows a note."""

    def warning(self, text: str) -> None:
        """Shows a warning."""

    def finish(self, outcome: Outcome, written: Sequence[Path]) -> None:
        """Shows how the batch ended, and its overview."""


class JsonLines:
    """Prints every event as a line of JSON."""

    def begin(self, jobs: int, left: int) -> None:
        _print_json(event="batch", jobs=jobs, left=left)

    def start(self, name: str, tries: int) -> None:
        _print_json(event="start", output=name, tries=tries)

    def step(self, name: str, progress: Progress) -> None:
        _print_json(event="step", output=name, **progress.line())

    def end(self, record: Record, *, again: bool) -> None:
        shown = {key: record[key] for key in _TOLD if key in record}
        _print_json(event="end", **shown, again=again)

    def note(self, text: str) -> None:
        _print_json(event="note", text=text)

    def warning(self, text: str) -> None:
        _print_json(event="warning", text=text)

    def finish(self, outcome: Outcome, written: Sequence[Path]) -> None:
        _print_json(event="result", **_counts(outcome), overview=list(map(str, written)))


_TOLD = ("output", "state", "value", "seconds", "error", "tries", "new")


class Lines:
    """Prints a line for each job, and one every ten seconds during long ones."""

    quiet = False

    def __init__(self, console: Console) -> None:
        self.console = console
        self.jobs = self.ended = 0
        self.last = time.monotonic()

    def begin(self, jobs: int, left: int) -> None:
        self.jobs, self.ended = jobs, jobs - left
        self.note(f"{jobs} results, {jobs - left} of them done already")

    def start(self, name: str, tries: int) -> None:
        self.last = time.monotonic()

    def step(self, name: str, progress: Progress) -> None:
        now = time.monotonic()
        if now - self.last >= EVERY:
            self.last = now
            self.note(f"{name}: {_where(progress)}")

    def end(self, record: Record, *, again: bool) -> None:
        self.ended += not again
        if text := _failure(record, again=again):
            self.warning(text)
        elif record["state"] == "done":
            self.note(f"{self.ended}/{self.jobs}  {_done(record)}")

    def note(self, text: str) -> None:
        self.console.print(escape(text), highlight=False, soft_wrap=True)

    def warning(self, text: str) -> None:
        self.note(text)

    def finish(self, outcome: Outcome, written: Sequence[Path]) -> None:
        for path in written:
            self.note(str(path))
        self.note(_summary(outcome))


class Failures(Lines):
    """Prints failures and warnings only."""

    def note(self, text: str) -> None:
        pass

    def warning(self, text: str) -> None:
        print(f"impasto: {text}", file=sys.stderr)


class Bars(Lines):
    """Shows a bar of the whole, and one for each job at work."""

    def __init__(self, bars: ProgressBar) -> None:
        super().__init__(bars.console)
        self.bars = bars
        self.whole: TaskID | None = None
        self.tasks: dict[str, TaskID] = {}
        self.lock = RLock()  # steps of a cluster come from another thread

    def begin(self, jobs: int, left: int) -> None:
        self.whole = self.bars.add_task("all", total=jobs, completed=jobs - left)

    def start(self, name: str, tries: int) -> None:
        with self.lock:
            if name not in self.tasks:
                self.tasks[name] = self.bars.add_task(escape(name), total=None)

    def step(self, name: str, progress: Progress) -> None:
        with self.lock:
            self.start(name, 1)
            described = f"{escape(name)}  {escape(_where(progress))}"
            self.bars.update(
                self.tasks[name],
                completed=progress.step,
                total=progress.steps,
                description=described,
            )

    def end(self, record: Record, *, again: bool) -> None:
        with self.lock:
            if (task := self.tasks.pop(record["output"], None)) is not None:
                self.bars.remove_task(task)
            if self.whole is not None and not again:
                self.bars.advance(self.whole)
        if text := _failure(record, again=again):
            self.note(text)

    def finish(self, outcome: Outcome, written: Sequence[Path]) -> None:
        self.bars.stop()
        super().finish(outcome, written)


class Notes(logging.Handler):
    """Passes the warnings of the library on to a watcher."""

    def __init__(self, watcher: Watcher) -> None:
        super().__init__(logging.WARNING)
        self.watcher = watcher

    def emit(self, record: logging.LogRecord) -> None:
        self.watcher.warning(record.getMessage())


@contextmanager
def watcher_of(*, quiet: bool, json: bool) -> Iterator[Watcher]:
    """Returns the watcher that the flags ask for; it also shows what the library warns of."""
    with _chosen(quiet=quiet, json=json) as watcher:
        handler = Notes(watcher)
        logging.getLogger("impasto").addHandler(handler)
        try:
            yield watcher
        finally:
            logging.getLogger("impasto").removeHandler(handler)


@contextmanager
def _chosen(*, quiet: bool, json: bool) -> Iterator[Watcher]:
    console = Console(stderr=True, emoji=False)
    if json:
        yield JsonLines()
    elif quiet:
        yield Failures(console)
    elif not console.is_terminal:  # bars would print blank lines
        yield Lines(console)
    else:
        columns = (
            TextColumn("{task.description}"),
            BarColumn(),
            MofNCompleteColumn(),
            TimeRemainingColumn(compact=True),
        )
        with ProgressBar(*columns, console=console, transient=True) as bars:
            yield Bars(bars)


def _where(progress: Progress) -> str:
    return f"step {progress.step}/{progress.steps}  J {progress.value:.3g}"


def _done(record: Record) -> str:
    if not record.get("new", True):
        return f"{record['output']}  (by another process)"
    return f"{record['output']}  (J {record['value']:.4g}, {record['seconds']:.1f} s)"


def _failure(record: Record, *, again: bool) -> str:
    """Returns what to say of a job that failed; "" of any other."""
    if record["state"] != "failed":
        return ""
    return f"{record['output']}: {record['error']}" + ("; it is tried again" if again else "")


def _counts(outcome: Outcome) -> dict[str, int]:
    done = outcome.of("done")
    new = sum(bool(record.get("new", True)) for record in done)
    failed, interrupted = len(outcome.of("failed")), outcome.interrupted
    return {"made": new, "kept": len(done) - new, "failed": failed, "interrupted": interrupted}


def _summary(outcome: Outcome) -> str:
    counts = _counts(outcome)
    early = "interrupted; " if outcome.interrupted else ""
    return f"{early}{counts['made']} made, {counts['kept']} kept, {counts['failed']} failed"


def _print_json(**values: object) -> None:
    print(json.dumps(values), flush=True)
