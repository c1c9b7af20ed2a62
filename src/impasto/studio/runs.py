"""The runs of a studio: each is a folder, and its files alone say how it stands.

asked.json    what is to be made
queue.json    its place among those that wait; only while it waits
lock          held by the process that works on it: the kernel frees it, however that ends
lines.jsonl   what the command prints with --json, and one last line when it ends
errors.txt    what it prints beside that
run/          the run folder of the command
frames/       small pictures of G
out.png       the result
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from impasto.errors import OutputError
from impasto.media.files import as_output_error
from impasto.studio.asked import Asked
from impasto.studio.home import Home, hide, ids_in, is_id, new_id, read_json, write_json

ASKED, QUEUE, LOCK, LINES, ERRORS = (
    *("asked.json", "queue.json", "lock"),
    *("lines.jsonl", "errors.txt"),
)
RECORD, FRAMES = "run/run.json", "frames"
ENDED = "ended"
"""The last line of a run has this event, with the exit code of the command."""

NOTES = 5
"""How many notes of a run are shown."""

INTERRUPTED = (130, 143)
"""Exit codes of a run that was stopped."""


@dataclass
class Lines:
    """What a run has printed so far, read piece by piece.

    Attributes:
        path: of the file.
        last: the last step.
        first: the first step of the scale at work.
        result: the line of the result.
        error: what went wrong.
        code: the exit code of the command; None while it is at work.
        notes: the last notes and warnings.
    """

    path: Path
    last: dict[str, Any] | None = None
    first: dict[str, Any] | None = None
    result: dict[str, Any] | None = None
    error: str | None = None
    code: int | None = None
    notes: list[str] = field(default_factory=list)
    _read: int = 0

    def update(self) -> None:
        """Reads what is new."""
        lines, self._read = new_lines(self.path, self._read)
        for line in lines:
            self._take(line)

    def _take(self, line: dict[str, Any]) -> None:
        match line.get("event"):
            case "step":
                if self.last is None or self.last["scale"] != line["scale"]:
                    self.first = line
                self.last, self.code, self.error, self.result = line, None, None, None
            case "result":
                self.result = line
            case "error":
                self.error = str(line.get("message"))
            case "note" | "warning":
                self.notes = [*self.notes, str(line.get("text"))][-NOTES:]
            case "begun":
                self.code = self.error = self.result = self.last = self.first = None
                self.notes = []
            case "ended":
                self.code = int(line.get("code", 1))


def new_lines(path: Path, offset: int) -> tuple[list[dict[str, Any]], int]:
    """Returns the whole lines of a file behind an offset, and the offset behind them.

    Lines that are damaged, as a killed process leaves them, are left out.
    """
    try:
        with path.open("rb") as file:
            file.seek(offset)
            data = file.read()
    except OSError:
        return [], offset
    whole = data.rfind(b"\n") + 1
    lines = []
    for text in data[:whole].splitlines():
        try:
            line = json.loads(text, parse_constant=lambda _: None)  # JSON has no NaN
        except ValueError:
            continue
        if isinstance(line, dict):
            lines.append(line)
    return lines, offset + whole


@dataclass
class Run:
    """A run of the studio.

    Attributes:
        folder: its folder.
        asked: what is to be made.
        suffix: of the result.
        kind: of the content.
        made: when it was asked for, in seconds since 1970.
        stopping: whether it was told to stop.
    """

    folder: Path
    asked: Asked
    suffix: str
    kind: str
    made: float
    stopping: bool = False
    lines: Lines = field(init=False)
    _settled: str = ""

    def __post_init__(self) -> None:
        self.lines = Lines(self.folder / LINES)

    @property
    def id(self) -> str:
        """Its name."""
        return self.folder.name

    @property
    def output(self) -> Path:
        """The result."""
        return self.folder / f"out{self.suffix}"

    @property
    def place(self) -> float | None:
        """Its place among those that wait; None if it does not wait."""
        waiting = read_json(self.folder / QUEUE)
        return float(waiting["place"]) if isinstance(waiting, dict) else None

    @property
    def state(self) -> str:
        """How it stands: queued, running, stopping, interrupted, stopped, done or failed."""
        if self._settled:
            return self._settled
        # In this order: a process takes the lock, and then the run out of the queue.
        waits = self.place is not None
        if self.worker() is not None:
            return "stopping" if self.stopping else "running"
        self.stopping = False
        if waits:
            return "queued"
        self.lines.update()
        code = self.lines.code
        if code is None:  # one that has never begun was taken out of the queue
            self._settled = "interrupted" if (self.folder / LINES).exists() else "stopped"
        elif code in INTERRUPTED:
            self._settled = "stopped"
        else:
            self._settled = "done" if code in (0, 3) and self.output.exists() else "failed"
        return self._settled

    @property
    def ended(self) -> bool:
        """Whether its files change no more, unless it is put into the queue again."""
        return self.state not in {"queued", "running", "stopping"}

    def worker(self) -> int | None:
        """Returns the process that works on it, 0 if it has just begun; None if there is none."""
        try:
            with (self.folder / LOCK).open("rb") as file:
                fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return int((self.folder / LOCK).read_text() or 0)
        except OSError:
            return None
        return None

    def wait(self, place: float) -> None:
        """Puts it into the queue."""
        self._settled = ""
        write_json(self.folder / QUEUE, {"place": place})

    def leave(self) -> None:
        """Takes it out of the queue."""
        (self.folder / QUEUE).unlink(missing_ok=True)

    def fail(self, reason: str) -> None:
        """Ends it before it has begun."""
        ends = [{"event": "error", "message": reason}, {"event": ENDED, "code": 2}]
        with as_output_error(self.folder), (self.folder / LINES).open("a") as file:
            file.write("".join(f"\n{json.dumps(line)}\n" for line in ends))
        self.leave()

    def frames(self) -> list[int]:
        """Lists the steps of its frames, in order."""
        try:
            names = os.listdir(self.folder / FRAMES)
        except OSError:
            return []
        return sorted(int(name[4:-4]) for name in names if name.endswith(".jpg"))

    def frame(self, step: int) -> Path:
        """Returns the file of a frame."""
        return self.folder / FRAMES / f"step{step:06d}.jpg"

    def checkpoint_file(self) -> Path | None:
        """Returns its last checkpoint; None if there is none."""
        found = sorted((self.folder / RECORD).parent.glob("*.safetensors"))
        return found[-1] if found else None

    def checkpoint(self) -> int:
        """Returns the step of its last checkpoint, 0 for none."""
        found = self.checkpoint_file()
        return int(found.name[4:10]) if found else 0

    def left(self) -> float | None:
        """Returns about how many seconds it still takes; None if that is not known yet.

        The grids to come are taken to be larger by sqrt 2 along each axis; large pictures double.
        """
        last, first = self.lines.last, self.lines.first
        if last is None or first is None or last["step"] < first["step"] + 2:
            return None
        rate = (last["seconds"] - first["seconds"]) / (last["step"] - first["step"])
        growth = 2 ** (len(last["space"]) * (last["scales"] - last["scale"]) / 4)
        return max(0.0, round(float(rate * growth * (last["steps"] - last["step"])), 1))

    def reason(self) -> str | None:
        """Says why it failed."""
        if self.lines.error:
            return self.lines.error
        try:
            text = (self.folder / ERRORS).read_text(errors="replace")[-2000:]
        except OSError:
            return None
        return text.strip().splitlines()[-1] if text.strip() else None

    def steps(self) -> Iterator[dict[str, Any]]:
        """Yields its steps so far; where one was taken twice, the last time counts."""
        found = {}
        for line in new_lines(self.folder / LINES, 0)[0]:
            if line.get("event") == "step":
                found[line["step"]] = line
        for step in sorted(found):
            yield shown_step(found[step])


def shown_step(line: dict[str, Any]) -> dict[str, Any]:
    """Returns what the page shows of the line of a step."""
    names = ("step", "steps", "value", "terms", "scale", "scales", "space", "seconds")
    return {name: line.get(name) for name in names}


class Runs:
    """All runs of a home."""

    def __init__(self, home: Home) -> None:
        self.home = home
        self._known: dict[str, Run] = {}

    def listed(self) -> list[Run]:
        """Lists the runs, the newest first."""
        found = map(self.find, ids_in(self.home.runs))
        return [run for run in found if run is not None]

    def find(self, run: str) -> Run | None:
        """Returns a run; None if there is no such one."""
        if run not in self._known:
            if not is_id(run):
                return None
            try:
                told = read_json(self.home.runs / run / ASKED)
                asked = msgspec.convert(told["asked"], Asked)
                found = Run(
                    self.home.runs / run, asked, told["suffix"], told["kind"], float(told["made"])
                )
            except (TypeError, KeyError, ValueError, msgspec.ValidationError):
                return None
            self._known[run] = found
        return self._known[run]

    def add(self, asked: Asked, kind: str, suffix: str) -> Run:
        """Makes a run, which waits behind all others.

        Raises:
            OutputError: it cannot be written.
        """
        name = new_id()
        folder = self.home.runs / f".{name}.part"
        with as_output_error(folder):
            folder.mkdir()
        told = {"asked": msgspec.to_builtins(asked), "suffix": suffix, "kind": kind}
        write_json(folder / ASKED, told | {"made": time.time()})
        write_json(folder / QUEUE, {"place": self.last_place() + 1})
        with as_output_error(folder):
            folder.rename(self.home.runs / name)
        run = self.find(name)
        if run is None:
            raise OutputError(
                subject=str(self.home.runs),
                expected="the run that was written",
                found="none",
                remedy="try again",
            )
        return run

    def delete(self, run: Run) -> Path:
        """Takes a run out with its result; returns the folder that is left to be deleted."""
        hidden = hide(run.folder)
        self._known.pop(run.id, None)
        return hidden

    def waiting(self) -> list[Run]:
        """Lists the runs that wait, in their order."""
        return self.in_order(run for run in self.listed() if run.state == "queued")

    @staticmethod
    def in_order(runs: Iterable[Run]) -> list[Run]:
        """Sorts runs that wait by their places."""
        return sorted(runs, key=lambda run: run.place or 0.0)

    def last_place(self) -> float:
        """Returns the place of the last run that waits."""
        return max((run.place or 0.0 for run in self.waiting()), default=0.0)

    def move(self, run: Run, before: Run | None) -> None:
        """Puts a run that waits before another one, or last.

        Only its own place is written: another one may begin at this moment.
        """
        others = [one for one in self.waiting() if one is not run]
        at = others.index(before) if before in others else len(others)
        places = [one.place or 0.0 for one in others]
        low = places[at - 1] if at else min(places, default=0.0) - 2
        high = places[at] if at < len(places) else low + 2
        run.wait((low + high) / 2)

    def needed(self) -> set[str]:
        """Returns the samples that runs need."""
        return {sample for run in self.listed() for sample in run.asked.ids}

    def using(self, sample: str) -> list[Run]:
        """Lists the runs that need a sample."""
        return [run for run in self.listed() if sample in run.asked.ids]
