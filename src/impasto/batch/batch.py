"""Do the jobs of a batch one after the other, and again those that failed."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Protocol, runtime_checkable

from impasto.batch.jobs import Job
from impasto.batch.manifest import Manifest, Record
from impasto.batch.work import Workshop, attempt
from impasto.system.interrupts import Interrupts
from impasto.transfer.descent import Progress

WAIT = 1.0
"""Seconds between two looks at a result that another process is at work on."""


@runtime_checkable
class Onlooker(Protocol):
    """Is told how a batch goes."""

    def begin(self, jobs: int, left: int) -> None:
        """The batch begins. jobs: how many there are. left: how many are not done yet."""

    def start(self, name: str, tries: int) -> None:
        """A job begins."""

    def step(self, name: str, progress: Progress) -> None:
        """A job has taken a step."""

    def end(self, record: Record, *, again: bool) -> None:
        """A job has ended. again: whether it failed and will be tried again."""


@dataclass
class Outcome:
    """How a batch ended.

    Attributes:
        records: the last line of each job that was done, tried or found done, by its result.
        interrupted: the number of the signal that ended it early, or 0.
    """

    records: dict[str, Record] = field(default_factory=dict)
    interrupted: int = 0

    def of(self, state: str) -> list[Record]:
        """Returns the lines of a state, such as "failed"."""
        return [record for record in self.records.values() if record["state"] == state]


def run_jobs(
    jobs: Sequence[Job],
    manifest: Manifest,
    onlooker: Onlooker,
    interrupts: Interrupts,
    *,
    retry: int = 0,
    shard: str = "1/1",
) -> Outcome:
    """Does the jobs that are not done, in this process.

    A job that fails does not stop the others. A job in which an earlier process was killed comes
    last, since it may be what killed it. Results on which another process is at work are waited
    for.

    Args:
        jobs: the jobs.
        manifest: the folder of the results.
        onlooker: is told how it goes.
        interrupts: the signals that end the batch.
        retry: how many times a failed job is tried again.
        shard: the part of the batch, as the manifest has it.

    Raises:
        OutputError: the manifest cannot be written.
    """
    outcome, workshop = Outcome(), Workshop()
    left = left_of(jobs, manifest, outcome)
    onlooker.begin(len(jobs), len(left))
    queue = deque((job, 1) for job in left)
    held: deque[tuple[Job, int]] = deque()
    try:
        while (queue or held) and not interrupts.pending:
            job, tries = (queue or held).popleft()
            record = _tried(job, manifest, workshop, onlooker, tries, shard, not queue)
            if record["state"] == "busy":
                held.append((job, tries))
                continue
            outcome.records[job.name] = record
            again = record["state"] == "failed" and tries <= retry
            onlooker.end(record, again=again)
            if again:
                queue.append((job, tries + 1))
    except KeyboardInterrupt:
        if not interrupts.pending:
            raise
    outcome.interrupted = interrupts.number
    return outcome


def left_of(jobs: Sequence[Job], manifest: Manifest, outcome: Outcome) -> list[Job]:
    """Returns the jobs that are not done, in order; those that were begun and left come last."""
    left: list[tuple[bool, Job]] = []
    for job in jobs:
        record = manifest.known().get(job.name)
        if record and manifest.is_done(job.name, job.digest(job.inputs())):
            outcome.records[job.name] = {**record, "new": False}
        else:
            left.append((bool(record and record.get("state") == "started"), job))
    return [job for _, job in sorted(left, key=lambda pair: pair[0])]


def _tried(
    job: Job,
    manifest: Manifest,
    workshop: Workshop,
    onlooker: Onlooker,
    tries: int,
    shard: str,
    waits: bool,
) -> Record:
    return attempt(
        *(job, manifest, workshop),
        tries=tries,
        shard=shard,
        wait=WAIT if waits else 0.0,
        begin=lambda: onlooker.start(job.name, tries),
        step=lambda progress: onlooker.step(job.name, progress),
    )
