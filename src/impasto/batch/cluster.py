"""Do the jobs of a batch on a Dask cluster: one that is started here, or one that is there."""

from __future__ import annotations

import logging
import math
import os
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from functools import cache
from types import ModuleType
from typing import Any

import torch

from impasto.batch.batch import Onlooker, Outcome, left_of
from impasto.batch.jobs import Job
from impasto.batch.manifest import Manifest, Record
from impasto.batch.shipping import Files, pack, receive, unpacked
from impasto.batch.work import Workshop, attempt, described, make, now
from impasto.errors import ConfigError, ImpastoError, ProcessError
from impasto.system.interrupts import Interrupts
from impasto.system.libraries import library
from impasto.system.machine import bytes_of, cores
from impasto.system.threads import GIVEN
from impasto.transfer.descent import Progress

logger = logging.getLogger(__name__)

LOCAL = "local"
"""The name of a cluster that is started here and ended after the batch."""

ANSWER = 20.0
"""Seconds in which a scheduler has to answer, at the beginning and after it was lost."""

TOPIC = "impasto-steps"
"""What workers tell their steps under."""

_OFTEN = 0.5
"""Seconds between two steps that a worker tells of a job."""

_LOOK = 5.0
"""Seconds between two looks at the workers."""

_HELD = 30.0
"""Seconds that a worker waits for a result on which another process is still at work: the system
gives locks of a killed process back at once, those of a machine that is gone later."""


@dataclass(frozen=True)
class Share:
    """What one job takes of a worker.

    Attributes:
        threads: threads of PyTorch.
        memory: bytes that it plans with; None for most of what is free.
        resources: what it takes of Dask's resources, so that no other job takes it too.
    """

    threads: int
    memory: float | None
    resources: Mapping[str, float]

    def of(self, job: Job) -> Job:
        """Returns the job with its threads and memory."""
        engine = replace(job.config.engine, threads=self.threads)
        if self.memory is not None and engine.memory == "auto":
            engine = replace(engine, memory=f"{int(self.memory)}")
        return replace(job, config=replace(job.config, engine=engine))


def run_on_dask(
    jobs: Sequence[Job],
    manifest: Manifest,
    onlooker: Onlooker,
    interrupts: Interrupts,
    *,
    scheduler: str,
    workers: int = 0,
    ship: bool = False,
    retry: int = 0,
) -> Outcome:
    """Does the jobs that are not done on the workers of a cluster.

    A job whose worker dies is done by another one, from its last checkpoint if the workers share
    the folder of the results. Each job has threads and memory of its own.

    Args:
        jobs: the jobs.
        manifest: the folder of the results, which the workers see at the same path.
        onlooker: is told how it goes.
        interrupts: the signals that end the batch.
        scheduler: "local", an address such as tcp://host:8786, or a scheduler file.
        workers: for "local", the number of processes; 0 for one per core.
        ship: sends the inputs to the workers, and the results back; they need not see the folder.
        retry: how many times a failed job is tried again.

    Raises:
        ConfigError: no scheduler answers, or it has no workers.
        MissingExtraError: `distributed` is not installed.
        OutputError: the manifest cannot be written.
        ProcessError: the scheduler is gone.
    """
    distributed = library("distributed", "to work on a Dask cluster", "cluster")
    outcome = Outcome()
    left = left_of(jobs, manifest, outcome)
    onlooker.begin(len(jobs), len(left))
    if not left:
        return outcome
    threads = max((job.config.engine.threads for job in left), default=0)
    memory = next((job.config.engine.memory for job in left), "auto")
    interrupts.stepped = True  # so that the first signal lets this loop end the cluster
    with _client(distributed, scheduler, workers, threads) as client:
        logger.info("the dashboard of the cluster: %s", client.dashboard_link)
        share = _share(client, threads, bytes_of(memory))
        errand = _Errand(client, manifest, share, ship)
        _tell_steps(client, onlooker)
        done = distributed.as_completed([errand.send(job, 1) for job in left], loop=client.loop)
        watch = _Watch(client)
        while errand.out and not interrupts.pending:
            batch = done.next_batch(block=False)
            if watch.is_gone():
                raise _gone(scheduler, len(errand.out))
            for future in batch:
                job, tries = errand.out.pop(future.key)
                record = errand.fetch(future, job, tries, scheduler)
                again = record["state"] == "failed" and tries <= retry
                if again or record["state"] == "busy":
                    done.add(errand.send(job, tries + again))
                if record["state"] != "busy":
                    outcome.records[job.name] = record
                    onlooker.end(record, again=again)
            if not batch:
                time.sleep(0.05)
    outcome.interrupted = interrupts.number
    return outcome


class _Watch:
    """Looks now and then whether the cluster is still there."""

    def __init__(self, client: Any) -> None:
        self.client = client
        self.seen = self.worked = self.looked = time.monotonic()

    def is_gone(self) -> bool:
        """Returns whether the scheduler has not answered for too long.

        Workers of a cluster of ours that did not come back are started anew. On another cluster
        the jobs wait for workers, and a warning says so.
        """
        now = time.monotonic()
        if self.client.status == "running":
            self.seen = now
        if now - self.looked > _LOOK and self.client.status == "running":
            self.looked = now
            if self.client.cluster is not None:
                self.client.cluster.scale(len(self.client.cluster.worker_spec))
            elif self.client.scheduler_info(n_workers=-1)["workers"]:
                self.worked = now
            elif now - self.worked > ANSWER:
                logger.warning("the cluster has no workers left; the jobs wait for new ones")
                self.worked = math.inf
        return now - self.seen > ANSWER


class _Errand:
    """Sends jobs to workers and fetches what has become of them.

    Attributes:
        out: the jobs that are out, with the number of the try, by the key of their task.
    """

    def __init__(self, client: Any, manifest: Manifest, share: Share, ship: bool) -> None:
        self.client, self.manifest, self.share, self.ship = client, manifest, share, ship
        self.where = Manifest(manifest.folder.absolute())
        self.out: dict[str, tuple[Job, int]] = {}
        self.sent = 0

    def send(self, job: Job, tries: int) -> Any:
        """Sends a job; returns the future of its task."""
        self.sent += 1
        inputs, files = job.inputs(), job.files
        placed = self.share.of(job.placed({r: path.absolute() for r, path in files.items()}))
        key = f"impasto-{job.digest(inputs)[:16]}-{self.sent}"
        self.out[key] = job, tries
        told = {"resources": dict(self.share.resources), "key": key, "pure": False}
        if self.ship:
            return self.client.submit(_make_shipped, job, placed, inputs, pack(files), **told)
        return self.client.submit(_attempt, job, placed, self.where, inputs, tries, **told)

    def fetch(self, future: Any, job: Job, tries: int, scheduler: str) -> Record:
        """Returns the line of the manifest for a task that has ended."""
        try:
            record: dict[str, Any] = future.result()
        except ImpastoError:  # the manifest cannot be written there
            raise
        except Exception as error:  # the worker died again and again, or could not load the task
            if future.status == "cancelled" or future.status == "lost":
                raise _gone(scheduler, len(self.out) + 1) from error
            inputs = job.inputs()
            state = {"state": "failed", "error": f"{job.content}: {_in_words(error)}"}
            record = {**described(job, inputs), **state, "tries": tries, "at": now(), "seconds": 0}
            self.manifest.append(record)
            return {**record, "new": True}
        if not self.ship:
            return record
        files: Files = record.pop("files")
        record |= {"content": str(job.content), "styles": list(map(str, job.styles))}
        record |= {"tries": tries, "settings": job.settings, "digest": job.digest(record["inputs"])}
        try:
            receive(files, self.manifest, job.name)
        except ImpastoError as error:
            record |= {"state": "failed", "error": str(error)}
        self.manifest.append(record)
        return {**record, "new": True}


def _attempt(
    job: Job,
    placed: Job,
    manifest: Manifest,
    inputs: Mapping[str, str | None],
    tries: int,
) -> Record:
    """Does a job on a worker that sees the folder of the results."""
    return attempt(
        *(job, manifest, _workshop()),
        tries=tries,
        shard="dask",
        wait=_HELD,
        placed=placed,
        inputs=inputs,
        begin=lambda: _tell({"output": job.name, "tries": tries}),
        step=_Teller(job.name),
    )


def _make_shipped(
    job: Job, share: Job, inputs: Mapping[str, str | None], files: Files
) -> dict[str, Any]:
    """Does a job on a worker whose inputs come with it; returns its result's files too.

    share: the job with the threads and the memory of the worker.
    """
    _tell({"output": job.name, "tries": 1})
    record, began = described(job, inputs), time.perf_counter()
    with unpacked(files, share) as (placed, manifest, results):
        # Styles of other jobs lie in other folders by then, so that nothing is kept of them.
        end = make(job, placed, manifest, Workshop(), inputs, _Teller(job.name))
        record |= end | {"shard": "dask", "at": now(), "files": results()}
    return record | {"seconds": round(time.perf_counter() - began, 3)}


@cache
def _workshop() -> Workshop:
    """Returns the workshop of this process."""
    return Workshop()


class _Teller:
    """Tells the client the steps of a job, not too often."""

    def __init__(self, name: str) -> None:
        self.name, self.last = name, 0.0

    def __call__(self, progress: Progress) -> None:
        now = time.monotonic()
        if now - self.last >= _OFTEN or progress.step == progress.steps:
            self.last = now
            _tell({"output": self.name, "line": progress.line()})


def _tell(message: Mapping[str, Any]) -> None:
    library("distributed", "to work on a Dask cluster", "cluster").get_worker().log_event(
        TOPIC, dict(message)
    )


def _tell_steps(client: Any, onlooker: Onlooker) -> None:
    """Passes on what the workers tell."""

    def heard(event: tuple[float, dict[str, Any]]) -> None:
        _, message = event
        if "line" not in message:
            onlooker.start(message["output"], message["tries"])
            return
        line = {**message["line"], "space": tuple(message["line"]["space"])}
        step = Progress(**line, g=torch.empty(0), sample=lambda: _no_sample())
        onlooker.step(message["output"], step)

    client.subscribe_topic(TOPIC, heard)


def _no_sample() -> Any:
    raise RuntimeError("the sample is on a worker")


@contextmanager
def _client(distributed: ModuleType, scheduler: str, workers: int, threads: int) -> Iterator[Any]:
    """Connects to a scheduler for the block; starts and ends the local one."""
    if scheduler.lower() == LOCAL:
        with (
            _local(distributed, workers, threads) as cluster,
            distributed.Client(cluster) as client,
        ):
            yield client
        return
    named = {"scheduler_file": scheduler} if os.path.isfile(scheduler) else {"address": scheduler}
    if scheduler.endswith(".json") and "address" in named:
        raise _no_scheduler(scheduler, "no such file")
    try:
        client = distributed.Client(**named, timeout=ANSWER, set_as_default=False)
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise _no_scheduler(scheduler, f"none that answers ({_in_words(error)})") from error
    with client:
        if not client.scheduler_info(n_workers=-1)["workers"]:
            raise _no_scheduler(scheduler, "one without workers")
        yield client


def _local(distributed: ModuleType, workers: int, threads: int) -> Any:
    """Starts a cluster on this machine: processes that do one job at a time."""
    dask = library("dask", "to work on a Dask cluster", "cluster")
    if not threads and any(name in os.environ for name in GIVEN):
        threads = torch.get_num_threads()
    count = workers or max(1, int(cores()) // max(1, threads))
    own = threads or max(1, int(cores()) // count)
    with dask.config.set({"distributed.scheduler.allowed-failures": 100}):
        return distributed.LocalCluster(
            n_workers=count,
            threads_per_worker=1,
            resources={"THREADS": own},
            dashboard_address="127.0.0.1:0",
            silence_logs=logging.CRITICAL,
        )


def _share(client: Any, threads: int, memory: float | None) -> Share:
    """Decides what each job takes of a worker.

    Workers may have the resources THREADS and MEMORY (bytes); a job takes as many threads as the
    settings say, else all of a worker. Where a worker lacks them, each of Dask's own threads there
    does a job, in one thread of PyTorch.
    """
    infos = client.scheduler_info(n_workers=-1)["workers"].values()
    resources = [info.get("resources", {}) for info in infos]
    room = min((info.get("memory_limit") or 0) / max(1, info["nthreads"]) for info in infos)
    planned = memory or (0.8 * room if room else None)
    if not all("THREADS" in each for each in resources):
        return Share(max(1, threads), planned, {})
    most = min(int(each["THREADS"]) for each in resources)
    own = min(threads or most, most)
    taken: dict[str, float] = {"THREADS": own}
    if all("MEMORY" in each for each in resources):
        least = min(float(each["MEMORY"]) for each in resources)
        planned = min(memory or least * own / most, least)
        taken["MEMORY"] = planned
    return Share(own, planned, taken)


def _in_words(error: BaseException) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]


def _no_scheduler(scheduler: str, found: str) -> ConfigError:
    return ConfigError(
        subject="--dask",
        expected=f"a Dask scheduler at {scheduler}",
        found=found,
        remedy="start one with `dask scheduler`, workers with `dask worker`, or pass --dask alone",
    )


def _gone(scheduler: str, left: int) -> ProcessError:
    return ProcessError(
        subject="--dask",
        expected=f"the scheduler at {scheduler} until the batch is done",
        found=f"that it is gone, with {left} jobs left",
        remedy="the same command goes on with what is missing",
    )
