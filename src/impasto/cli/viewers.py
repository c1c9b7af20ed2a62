"""Show the progress of a run: as a bar, as a log, as lines of JSON, or not at all."""

from __future__ import annotations

import json
import logging
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol, runtime_checkable

from rich.console import Console
from rich.markup import escape
from rich.progress import (
    BarColumn,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as ProgressBar

from impasto.cli.arguments import Display
from impasto.cli.piped import shown_name
from impasto.grids.parallel import current_group
from impasto.transfer.descent import Progress
from impasto.transfer.stylize import Result

EVERY = 10.0
"""The seconds between the lines of a log."""


@runtime_checkable
class Viewer(Protocol):
    """Shows the progress of a run."""

    def step(self, progress: Progress) -> None:
        """Shows a step."""

    def note(self, text: str) -> None:
        """Shows a note."""

    def warning(self, text: str) -> None:
        """Shows a warning."""

    def download(self, done: int, total: int) -> None:
        """Shows the progress of a download in bytes."""

    def result(self, result: Result, output: Path) -> None:
        """Shows the result and its file."""


class Silence:
    """Shows nothing."""

    def step(self, progress: Progress) -> None:
        pass

    def note(self, text: str) -> None:
        pass

    def warning(self, text: str) -> None:
        pass

    def download(self, done: int, total: int) -> None:
        pass

    def result(self, result: Result, output: Path) -> None:
        pass


class Quiet(Silence):
    """Shows warnings only."""

    def warning(self, text: str) -> None:
        print(f"impasto: {text}", file=sys.stderr)


class JsonLines:
    """Prints every event as a line of JSON."""

    def step(self, progress: Progress) -> None:
        _print_json(event="step", **progress.line())

    def note(self, text: str) -> None:
        _print_json(event="note", text=text)

    def warning(self, text: str) -> None:
        _print_json(event="warning", text=text)

    def download(self, done: int, total: int) -> None:
        _print_json(event="download", done=done, total=total)

    def result(self, result: Result, output: Path) -> None:
        _print_json(
            event="result",
            output=str(output),
            value=result.value,
            terms=result.terms,
            seconds=result.seconds,
            timings=result.timings,
            finished=result.finished,
            diverged=result.diverged,
            checkpoints_lost=result.checkpoints_lost,
        )


class Bar:
    """Shows a progress bar with the scale, the step, J and its terms, and the time left."""

    def __init__(self, bar: ProgressBar) -> None:
        self.bar = bar
        self.task: TaskID | None = None

    def step(self, progress: Progress) -> None:
        if self.task is None:
            self.task = self.bar.add_task("", total=progress.steps)
        if progress.note:
            self.bar.console.print(f"step {progress.step}: {escape(progress.note)}")
        self.bar.update(self.task, completed=progress.step, description=_where(progress))

    def note(self, text: str) -> None:
        self.bar.console.print(escape(text), highlight=False, soft_wrap=True)

    def warning(self, text: str) -> None:
        self.note(f"warning: {text}")

    def download(self, done: int, total: int) -> None:
        if self.task is None:
            self.task = self.bar.add_task("", total=total)
        megabytes = _megabytes(done, total)
        self.bar.update(self.task, completed=done, total=total, description=megabytes)
        if done >= total:
            self.bar.remove_task(self.task)
            self.task = None

    def result(self, result: Result, output: Path) -> None:
        self.bar.stop()
        self.note(_outcome(result, output))


class Lines:
    """Prints a line every ten seconds, and all notes and warnings."""

    def __init__(self, console: Console) -> None:
        self.console = console
        self.last = time.monotonic()

    def step(self, progress: Progress) -> None:
        if progress.note:
            self.note(f"step {progress.step}: {progress.note}")
        if self._due():
            self.note(f"{_where(progress)}  {progress.seconds:.0f} s")

    def note(self, text: str) -> None:
        self.console.print(escape(text), highlight=False, soft_wrap=True)

    def warning(self, text: str) -> None:
        self.note(f"warning: {text}")

    def download(self, done: int, total: int) -> None:
        if self._due():
            self.note(_megabytes(done, total))

    def result(self, result: Result, output: Path) -> None:
        self.note(_outcome(result, output))

    def _due(self) -> bool:
        now = time.monotonic()
        due = now - self.last >= EVERY
        self.last = now if due else self.last
        return due


def _where(progress: Progress) -> str:
    """Formats the scale, the step, J and its terms."""
    terms = "  ".join(f"{kind} {part:.3g}" for kind, part in progress.terms.items())
    grid = " x ".join(map(str, reversed(progress.space)))
    return (
        f"scale {progress.scale}/{progress.scales} ({grid})  "
        f"step {progress.step}/{progress.steps}  J {progress.value:.3g}  {terms}"
    )


def _megabytes(done: int, total: int) -> str:
    return f"{done / 1e6:.0f} of {total / 1e6:.0f} MB"


def _outcome(result: Result, output: Path) -> str:
    cut = "" if result.finished else "interrupted; the picture so far is saved.  "
    return f"{cut}{shown_name(output)}  (J {result.value:.4g}, {result.seconds:.1f} s)"


class Notes(logging.Handler):
    """Passes what the library logs on to a viewer."""

    def __init__(self, viewer: Viewer) -> None:
        super().__init__(logging.INFO)
        self.viewer = viewer

    def emit(self, record: logging.LogRecord) -> None:
        show = self.viewer.warning if record.levelno >= logging.WARNING else self.viewer.note
        show(record.getMessage())


@contextmanager
def viewer_of(display: Display) -> Iterator[Viewer]:
    """Returns the viewer that the flags ask for; it also shows what the library logs."""
    logger = logging.getLogger("impasto")
    with _choose_viewer(display) as viewer:
        handler, level = Notes(viewer), logger.level
        logger.addHandler(handler)
        logger.setLevel(logging.INFO)
        try:
            yield viewer
        finally:
            logger.removeHandler(handler)
            logger.setLevel(level)


@contextmanager
def _choose_viewer(display: Display) -> Iterator[Viewer]:
    if current_group().rank:
        yield Silence()
    elif display.quiet:
        yield Quiet()
    elif display.json:
        yield JsonLines()
    else:
        columns = (TextColumn("{task.description}"), BarColumn(), TimeRemainingColumn(compact=True))
        console = Console(stderr=True, emoji=False)
        if not console.is_terminal:  # a bar would print blank lines
            yield Lines(console)
            return
        with ProgressBar(*columns, console=console, transient=True) as bar:
            yield Bar(bar)


def _print_json(**values: object) -> None:
    print(json.dumps(values), flush=True)
