"""Batches on a Dask cluster, and as parts of job arrays: as docs/batch.md has them."""

from __future__ import annotations

import json
import os
import re
import signal
import stat
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from impasto import media
from impasto.batch.cluster import _share
from impasto.batch.jobs import Job
from impasto.batch.manifest import Manifest
from impasto.batch.shipping import pack, receive, unpacked
from impasto.config.presets import configure
from impasto.errors import OutputError
from impasto.media.signals.signal import Signal
from impasto.media.volumes.volume import Volume
from tests.batch.conftest import QUICK, batch, bytes_in, draw, lines, started
from tests.forked import Command

pytest.importorskip("distributed")
pytestmark = [
    pytest.mark.slow,
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.timeout(600),
]

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "batch.md").read_text()
WORKER = ["--nthreads=1", "--memory-limit=8GB", "--resources=THREADS=4 MEMORY=8e9"]
"""The flags of a worker on Kubernetes, as the page has them."""


def dask(where: Path, *arguments: str) -> subprocess.Popen[bytes]:
    """Starts a part of a cluster."""
    where.mkdir(exist_ok=True)
    program = f"from distributed.cli.dask_{arguments[0]} import main; main()"
    return subprocess.Popen(
        [sys.executable, "-c", program, *arguments[1:]],
        cwd=where,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )


def wait_for(condition: Callable[[], Any], seconds: float = 120) -> None:
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.05)


@pytest.fixture
def cluster(studio: Path) -> Iterator[tuple[Path, subprocess.Popen[bytes]]]:
    """The file of a scheduler with one worker, which has a current folder of its own."""
    file = studio / "scheduler.json"
    places = ["--scheduler-file", str(file)]
    scheduler = dask(
        studio / "there",
        "scheduler",
        *places,
        "--host",
        "127.0.0.1",
        "--port",
        "0",
        "--no-dashboard",
    )
    wait_for(file.exists)
    worker = dask(studio / "elsewhere", "worker", *places, *WORKER, "--no-dashboard")
    yield file, scheduler
    for process in (worker, scheduler):
        process.terminate()
        try:
            process.wait(20)
        except subprocess.TimeoutExpired:
            process.kill()


def text_of(process: Command) -> tuple[int, str, str]:
    code = process.end(300)
    return code, process.out, process.err


def test_a_cluster_that_is_there_shared_shipped_and_gone(
    studio: Path, cluster: tuple[Path, subprocess.Popen[bytes]]
) -> None:
    file, scheduler = cluster
    (studio / "photos" / "bad.png").write_bytes(b"no picture")
    assert batch("-q") == 1
    expected = bytes_in(studio / "out")
    for name, flags in (("shared", []), ("shipped", ["--ship"])):
        process = started("--dask", str(file), "--json", *flags, where=studio, output=name)
        code, out, errors = text_of(process)
        assert code == 1, errors
        assert bytes_in(studio / name) == expected
        events = [json.loads(line) for line in out.splitlines()]
        assert {event["event"] for event in events} == {"batch", "start", "step", "end", "result"}
        states = {line["output"]: line["state"] for line in lines(studio / name)}
        assert states == dict.fromkeys(expected, "done") | {"bad-wave.png": "failed"}
    again = started("--dask", str(file), "--json", "--ship", where=studio, output="shared")
    code, out, _ = text_of(again)
    assert json.loads(out.splitlines()[0]) == {"event": "batch", "jobs": 3, "left": 1}
    long = started("--dask", str(file), "--steps", "5000", "--json", where=studio, output="long")
    assert any('"step"' in line for line in long.lines())
    scheduler.kill()
    code, _, errors = text_of(long)
    assert code == 1


def test_no_scheduler_is_one_line(studio: Path) -> None:
    for scheduler in ("tcp://127.0.0.1:9", "gone.json"):
        process = started("--dask", scheduler, where=studio)
        code, _, errors = text_of(process)
        assert code == 2
        last = errors.splitlines()[-1]
        assert last.startswith(f"impasto: --dask: expected a Dask scheduler at {scheduler}")


def test_a_worker_that_is_killed_is_replaced(studio: Path) -> None:
    import psutil

    assert batch("-q", "--steps", "60") == 0
    process = started(
        "--dask", "--workers", "1", "--steps", "60", "--json", where=studio, output="war"
    )
    kills = 0
    for line in process.lines():
        if kills < 2 and json.loads(line)["event"] == "step":
            for child in psutil.Process(process.pid).children(recursive=True):
                if "spawn_main" in " ".join(child.cmdline()):
                    child.kill()
                    kills += 1
    assert process.end(300) == 0
    assert kills >= 1
    assert bytes_in(studio / "war") == bytes_in(studio / "out")


def test_shards_that_are_killed_go_on(studio: Path) -> None:
    assert batch("-q", "--steps", "60") == 0
    others = ("--steps", "60", "--shard", "1/1", "--json")
    victim, other = (started(*others, where=studio, output="killed") for _ in "12")
    assert any('"event": "step"' in line for line in victim.lines())
    victim.kill()
    code, _, errors = text_of(other)
    assert code == 0, errors
    assert text_of(started(*others, where=studio, output="killed"))[0] == 0
    assert bytes_in(studio / "killed") == bytes_in(studio / "out")


@pytest.fixture
def quick_impasto(studio: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A command `impasto` that is quick; photos in the format that the page speaks of."""
    for path in sorted((studio / "photos").rglob("*.png")):
        path.with_suffix(".jpg").write_bytes(path.read_bytes())
    program = studio / "bin" / "impasto"
    program.parent.mkdir()
    flags = " ".join([*QUICK, "-q"])
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m impasto "$@" {flags}\n')
    program.chmod(program.stat().st_mode | stat.S_IEXEC)
    monkeypatch.setenv("PATH", f"{program.parent}:{os.environ['PATH']}")
    return studio


def blocks(language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```", PAGE, re.MULTILINE | re.DOTALL)


def test_the_slurm_array(quick_impasto: Path) -> None:
    (script,) = (block for block in blocks("sh") if "#SBATCH" in block)
    for number in (1, 2):
        told = {"SLURM_ARRAY_TASK_ID": str(number), "SLURM_ARRAY_TASK_COUNT": "2"}
        env = {**os.environ, **told, "SLURM_CPUS_PER_TASK": "1"}
        subprocess.run(["bash", "-c", script], cwd=quick_impasto, env=env, check=True)
    assert {line["shard"] for line in lines(quick_impasto / "out")} == {"1/2", "2/2"}


def test_the_kubernetes_files(quick_impasto: Path) -> None:
    yaml = pytest.importorskip("yaml")
    job, workers = (yaml.safe_load(block) for block in blocks("yaml"))
    container = job["spec"]["template"]["spec"]["containers"][0]
    (script,) = container["args"]
    for index in (0, 7):
        env = {**os.environ, "JOB_COMPLETION_INDEX": str(index)}
        subprocess.run([*container["command"], script], cwd=quick_impasto, env=env, check=True)
    assert {line["shard"] for line in lines(quick_impasto / "out")} == {"1/8"}
    assert job["spec"]["completions"] == 8
    arguments = workers["spec"]["template"]["spec"]["containers"][0]["args"]
    assert arguments[3:] == WORKER


class Client:
    """A client that knows the workers of a cluster."""

    def __init__(self, *workers: dict[str, Any]) -> None:
        self.workers = workers

    def scheduler_info(self, n_workers: int) -> dict[str, Any]:
        return {"workers": dict(enumerate(self.workers))}


def test_no_two_jobs_share_what_one_needs() -> None:
    plain = {"nthreads": 4, "memory_limit": 8e9}
    share = _share(Client(plain), 0, None)
    assert (share.threads, share.memory, share.resources) == (1, 1.6e9, {})
    rich = plain | {"resources": {"THREADS": 16.0, "MEMORY": 64e9}}
    share = _share(Client(rich), 4, None)
    assert share.resources == {"THREADS": 4, "MEMORY": 16e9}
    assert (share.threads, share.memory) == (4, 16e9)
    assert _share(Client(rich), 0, 8e9).resources == {"THREADS": 16, "MEMORY": 8e9}
    assert _share(Client(rich, plain), 0, None).resources == {}
    job = Job(Path("a"), (Path("b"),), "c", configure())
    assert share.of(job).config.engine.threads == 4
    assert share.of(job).digest({}) == job.digest({})  # what does not change the result


def test_records_and_folders_are_sent_whole(tmp_path: Path) -> None:
    pytest.importorskip("wfdb")
    pytest.importorskip("pydicom")
    values = np.random.default_rng(0).normal(0, 1, (1, 90)).astype(np.float32)
    media.save(Signal(values, rate=90.0, names=("I",), units=("mV",)), tmp_path / "a.hea")
    solid = Volume(np.zeros((1, 6, 5, 4), np.float32), dtype=np.dtype(np.int16))
    media.save(solid, tmp_path / "b.dcm")
    draw(tmp_path / "mask.png", 0)
    config = configure(mask=(str(tmp_path / "mask.png"),))
    job = Job(tmp_path / "a.hea", (tmp_path / "b.dcm",), "sub/c.hea", config)
    with unpacked(pack(job.files), job) as (placed, there, results):
        assert tmp_path not in placed.content.parents
        assert media.load(placed.content).space == (90,)
        assert media.load(placed.styles[0]).space == (6, 5, 4)
        assert Path(placed.config.guidance.mask[0]).read_bytes()[:4] == b"\x89PNG"
        (there.folder / "sub").mkdir()
        media.save(media.load(placed.content), there.folder / job.name)
        media.save(solid, there.folder / "d.dcm")
        files = results()
    assert not placed.content.exists()
    manifest = Manifest(tmp_path / "out")
    receive({"": {k: v for k, v in files[""].items() if "c." in k}}, manifest, job.name)
    assert media.load(tmp_path / "out" / "sub" / "c.hea").space == (90,)
    receive({"": {k: v for k, v in files[""].items() if "d.dcm" in k}}, manifest, "d.dcm")
    assert media.load(tmp_path / "out" / "d.dcm").space == (6, 5, 4)
    with pytest.raises(OutputError, match="out of it"):
        receive({"": {"../evil": b""}}, manifest, "evil")


def test_ctrl_c_ends_a_batch_that_goes_on_later(studio: Path) -> None:
    others = ("--steps", "60", "--json")
    process = started(*others, where=studio)
    assert any('"step": 3,' in line for line in process.lines())
    process.send_signal(signal.SIGINT)
    code, out, errors = text_of(process)
    assert code == 130, errors
    assert json.loads(out.splitlines()[-1])["interrupted"] == signal.SIGINT
    assert {line["state"] for line in lines(studio / "out")} == {"interrupted"}
    assert any((studio / "out" / ".impasto-batch" / "runs").rglob("*.safetensors"))
    assert not bytes_in(studio / "out")
    assert batch("-q", "--steps", "60") == 0
    assert batch("-q", "--steps", "60", output="calm") == 0
    assert bytes_in(studio / "out") == bytes_in(studio / "calm")
