"""Do one job of a batch: the same in this process, in a shard and on a worker of a cluster."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from impasto.batch.jobs import Job
from impasto.batch.manifest import Manifest, Record
from impasto.errors import ImpastoError, OutputError
from impasto.media.files import as_output_error
from impasto.runs.origin import origin_of
from impasto.transfer.descent import Progress
from impasto.transfer.folders import HOW
from impasto.transfer.kept import Kept
from impasto.transfer.stylize import Result, Stylizer

logger = logging.getLogger(__name__)

Step = Callable[[Progress], bool | None]
"""Is called with each step of a job."""


Inputs = Mapping[str, str | None]
"""The SHA-256 of the files of a job, by their role."""


@dataclass
class Workshop:
    """What the jobs of a process share: networks, and the styles of the last jobs.

    It is safe to use from several threads.
    """

    networks: Kept = field(default_factory=lambda: Kept(4))
    stylizers: Kept = field(default_factory=lambda: Kept(2))

    def stylizer(self, job: Job, styles_are: tuple[str | None, ...]) -> Stylizer:
        """Returns the stylizer of a job.

        styles_are: the hashes of the styles, so that a style that has changed is read anew.
        """
        key = job.config, job.styles, styles_are
        make = Stylizer(job.config, list(job.styles), networks=self.networks)
        return self.stylizers.get(key, lambda: make)


def attempt(
    job: Job,
    manifest: Manifest,
    workshop: Workshop,
    *,
    tries: int = 1,
    shard: str = "1/1",
    wait: float = 0.0,
    placed: Job | None = None,
    inputs: Inputs | None = None,
    begin: Callable[[], None] = lambda: None,
    step: Step | None = None,
) -> Record:
    """Makes a result, unless it is there already or another process is at work on it.

    The lines of the manifest are written here too, before and after.

    Args:
        job: the job.
        manifest: the folder of the results.
        workshop: what the jobs of this process share.
        tries: the number of this try, from 1.
        shard: the part of the batch, as the manifest has it.
        wait: seconds to wait for another process that is at work on the result.
        placed: the same job, with its files where this process finds them; None if they are there.
        inputs: the SHA-256 of the job's files; None hashes them.
        begin: is called when the work begins.
        step: is called with each step.

    Returns:
        The line of the manifest. Its `state` is "done", "failed" or "interrupted"; "busy" if
        another process is at work on it. Its `new` is False where nothing had to be done.

    Raises:
        KeyboardInterrupt: the job was interrupted before its first step.
        OutputError: the manifest cannot be written.
    """
    with manifest.claim(job.name, wait) as mine:
        if not mine:
            return {"output": job.name, "state": "busy", "new": False}
        inputs = job.inputs() if inputs is None else inputs
        digest = job.digest(inputs)
        if manifest.is_done(job.name, digest):
            return {**manifest.known()[job.name], "new": False}
        record = described(job, inputs) | {"tries": tries, "shard": shard}
        manifest.append({**record, "state": "started", "at": now()})
        began = time.perf_counter()
        begin()
        record |= make(job, placed or job, manifest, workshop, inputs, step)
        record |= {"seconds": round(time.perf_counter() - began, 3), "at": now()}
        manifest.append(record)
        return {**record, "new": True}


def described(job: Job, inputs: Inputs) -> dict[str, Any]:
    """Returns what the manifest has of a job before it begins."""
    return {
        "output": job.name,
        "content": str(job.content),
        "styles": list(map(str, job.styles)),
        "inputs": dict(inputs),
        "preset": job.preset,
        "settings": job.settings,
        "digest": job.digest(inputs),
        "host": socket.gethostname(),
        "process": os.getpid(),
    }


def make(
    job: Job,
    placed: Job,
    manifest: Manifest,
    workshop: Workshop,
    inputs: Inputs,
    step: Step | None = None,
) -> dict[str, Any]:
    """Makes and saves a result; returns its state, and its figures or the error.

    The arguments are those of `attempt`. The threads and the memory of `placed` are those of this
    process; the recipe in the result has those of `job`, so that its bytes are the same everywhere.
    """
    digest = job.digest(inputs)
    takes_steps = sum(job.config.schedule.steps) > 0
    run = manifest.checkpoints(digest) if takes_steps else None
    target = manifest.folder / job.name
    try:
        with as_output_error(target):
            target.parent.mkdir(parents=True, exist_ok=True)
        styles_are = tuple(inputs[role] for role in inputs if role.startswith("style"))
        stylizer = workshop.stylizer(placed, styles_are)
        origin = origin_of(placed.content, list(placed.styles), placed.config, preset=job.preset)
        result = stylizer(placed.content, run=run, origin=origin, callback=step)
        if not result.finished:
            return {"state": "interrupted"}
        asked = asdict(job.config.engine)
        result.recipe["config"]["engine"] |= {name: asked[name] for name in HOW}
        result.save(target)
    except OutputError as error:  # its checkpoints stay: there may be room later
        return {"state": "failed", "error": str(error)}
    except Exception as error:  # whatever a library does with a file, the other jobs go on
        manifest.forget(digest)
        known = isinstance(error, ImpastoError)
        if not known:
            logger.debug("%s: %s", job.content, error, exc_info=True)
        what = str(error) if known else f"{job.content}: {type(error).__name__}: {error}"
        return {"state": "failed", "error": " ".join(what.split())}
    manifest.forget(digest)
    return {"state": "done", **_figures(result)}


def _figures(result: Result) -> dict[str, Any]:
    return {"value": result.value, "terms": result.terms, "diverged": result.diverged}


def now() -> str:
    """Returns the time for the manifest."""
    return datetime.now().astimezone().isoformat("T", "seconds")
