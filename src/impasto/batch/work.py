"""Do one job of a batch: the same in this process, in a shard and on a worker of a cluster."""

from __future__ import annotations

import logging
import os
import socket
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from impasto.batch.jobs import Job
from impasto.batch.manifest import Manifest, Record
from impasto.errors import ImpastoError, OutputError
from impasto.media.files import as_output_error
from impasto.runs.origin import origin_of
from impasto.transfer.descent import Progress
from impasto.transfer.kept import Kept
from impasto.transfer.stylize import Result, Stylizer

logger = logging.getLogger(__name__)

Step = Callable[[Progress], bool | None]
"""Is called with each step of a job."""


@dataclass
class Workshop:
    """What the jobs of a process share: networks, and the styles of the last jobs.

    It is safe to use from several threads.
    """

    networks: Kept = field(default_factory=lambda: Kept(4))
    stylizers: Kept = field(default_factory=lambda: Kept(8))

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
        inputs = job.inputs()
        digest = job.digest(inputs)
        if manifest.is_done(job.name, digest):
            return {**manifest.known()[job.name], "new": False}
        record: dict[str, Any] = {
            "output": job.name,
            "content": str(job.content),
            "styles": list(map(str, job.styles)),
            "inputs": inputs,
            "preset": job.preset,
            "settings": job.settings,
            "digest": digest,
            "tries": tries,
            "shard": shard,
            "host": socket.gethostname(),
            "process": os.getpid(),
        }
        manifest.append({**record, "state": "started", "at": _now()})
        began = time.perf_counter()
        begin()
        record |= _made(job, manifest, workshop, digest, inputs, step)
        record |= {"seconds": round(time.perf_counter() - began, 3), "at": _now()}
        manifest.append(record)
        return {**record, "new": True}


def _made(
    job: Job,
    manifest: Manifest,
    workshop: Workshop,
    digest: str,
    inputs: dict[str, str | None],
    step: Step | None,
) -> dict[str, Any]:
    """Makes and saves a result; returns how that ended."""
    takes_steps = sum(job.config.schedule.steps) > 0
    run = manifest.checkpoints(digest) if takes_steps else None
    target = manifest.folder / job.name
    try:
        with as_output_error(target):
            target.parent.mkdir(parents=True, exist_ok=True)
        styles_are = tuple(inputs[role] for role in inputs if role.startswith("style"))
        stylizer = workshop.stylizer(job, styles_are)
        origin = origin_of(job.content, list(job.styles), job.config, preset=job.preset)
        result = stylizer(job.content, run=run, origin=origin, callback=step)
        if not result.finished:
            return {"state": "interrupted"}
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


def _now() -> str:
    return datetime.now().astimezone().isoformat("T", "seconds")
