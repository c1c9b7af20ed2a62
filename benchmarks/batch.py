"""`impasto batch`: what it saves, how it spreads, and whether anything is lost when it is killed.

    python -m benchmarks.batch [--part folder workers shards deaths] [--pictures 20] [--size 256]
        [--preset draft] [--kills 20] [--deaths 10] [--steps N]

folder: so many pictures in one command, against as many commands. workers: the same on a Dask
cluster of two workers of one thread, against one. shards: two processes on one shard, of which one
is killed with SIGKILL at random moments, again and again. deaths: workers of a Dask cluster killed
in the same way. The last two compare the bytes with those of an undisturbed batch, and count what
was made twice.

All processes have one thread. The pictures are drawn here.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import psutil

from benchmarks._tables import machine, table
from impasto import media
from impasto.media.pictures.picture import from_array

ALONE = {**os.environ, "OMP_NUM_THREADS": "1"}
PROGRAM = [sys.executable, "-m", "impasto"]


class Studio:
    """A folder of pictures and a style, and the commands on them.

    settings: the flags of each command.
    """

    def __init__(self, folder: Path, pictures: int, size: int, settings: list[str]) -> None:
        self.folder, self.settings = folder, settings
        (folder / "photos").mkdir()
        for number in range(pictures):
            self.draw(folder / "photos" / f"photo{number:02d}.png", number, size)
        self.draw(folder / "style.png", 1000, size)
        self.photos = sorted((folder / "photos").iterdir())

    @staticmethod
    def draw(path: Path, seed: int, size: int) -> None:
        """A picture of smooth noise."""
        rng = np.random.default_rng(seed)
        coarse = rng.random((1 + size // 16, 1 + size // 12, 3))
        whole = np.kron(coarse, np.ones((16, 16, 1)))[: 3 * size // 4, :size]
        media.save(from_array(0.8 * whole + 0.2 * rng.random(whole.shape)), path)

    def batch(self, output: str, *others: str) -> subprocess.Popen[str]:
        """Starts the batch in a process of its own."""
        command = [*PROGRAM, "batch", "photos", "--styles", "style.png", "-o", output]
        return subprocess.Popen(
            [*command, *self.settings, *others],
            cwd=self.folder,
            env=ALONE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )

    def whole(self, output: str, *others: str) -> float:
        """The seconds of a batch that is left alone."""
        began = time.perf_counter()
        process = self.batch(output, *others)
        _, errors = process.communicate()
        if process.returncode:
            raise SystemExit(f"batch: exit code {process.returncode}: {errors}")
        return time.perf_counter() - began

    def alone(self, photo: Path) -> None:
        """One picture in a command of its own."""
        command = [*PROGRAM, "stylize", str(photo), "style.png", *self.settings, "-q"]
        output = ["-o", f"alone/{photo.stem}-style.png"]
        subprocess.run([*command, *output], cwd=self.folder, env=ALONE, check=True)

    def results(self, output: str) -> dict[str, bytes]:
        """The bytes of the results."""
        return {path.name: path.read_bytes() for path in (self.folder / output).glob("photo*.png")}


def folder(studio: Studio, _: argparse.Namespace) -> None:
    """One command against many; in seconds of the processor too, which others do not disturb."""

    def apart() -> None:
        (studio.folder / "alone").mkdir()
        for photo in studio.photos:
            studio.alone(photo)

    rows, times = [], []
    for name, work in (
        ("as many commands", apart),
        ("one batch", partial(studio.whole, "all", "-q")),
    ):
        began, before = time.perf_counter(), os.times()
        work()
        after = os.times()
        busy = after.children_user + after.children_system
        busy -= before.children_user + before.children_system
        times.append((time.perf_counter() - began, busy))
        rows.append([name, *(f"{seconds:.1f} s" for seconds in times[-1])])
    rows.append(["ratio", *(f"{one / many:.2f}" for many, one in zip(*times, strict=True))])
    table([f"{len(studio.photos)} pictures", "time", "processor"], rows)
    same = studio.results("all") == studio.results("alone")
    print(f"\nsame bytes: {'yes' if same else 'no'}")


def workers(studio: Studio, _: argparse.Namespace) -> None:
    """Two workers against one; the work alone, from the first start of a job to the last end."""
    rows, seconds = [], {}
    for count in (1, 2):
        began = time.perf_counter()
        process = studio.batch(f"dask{count}", "--dask", "--workers", str(count), "--json")
        assert process.stdout is not None
        times = [
            time.perf_counter()
            for line in process.stdout
            if json.loads(line)["event"] in {"start", "end"}
        ]
        process.communicate()
        seconds[count] = times[-1] - times[0]
        whole = time.perf_counter() - began
        rows.append([f"{count}", f"{whole:.1f} s", f"{seconds[count]:.1f} s"])
    same = studio.results("dask1") == studio.results("dask2")
    table(["workers", "whole command", "first job to last"], rows)
    print(f"\n{seconds[1] / seconds[2]:.2f} times as fast; same bytes: {'yes' if same else 'no'}")


def shards(studio: Studio, arguments: argparse.Namespace) -> None:
    """Two processes on one shard, one killed and started again and again."""
    studio.whole("calm", "-q")
    rng, logs = random.Random(arguments.seed), Logs()
    running = [logs.watched(studio.batch("killed", "--shard", "1/1", "--json")) for _ in "12"]
    kills = 0
    while kills < arguments.kills:
        victim = rng.randrange(2)
        logs.wait_for_work(running[victim])
        time.sleep(rng.uniform(0, 1.5))
        if _ended(running[victim]):  # nothing is left to do: one result is taken away
            lost = rng.choice(sorted((studio.folder / "killed").glob("photo*.png")))
            lost.unlink(missing_ok=True)
            logs.taken[lost.name] += 1
        else:
            running[victim].send_signal(signal.SIGKILL)
            running[victim].wait()
            kills += 1
        running[victim] = logs.watched(studio.batch("killed", "--shard", "1/1", "--json"))
    codes = [process.wait() for process in running]
    _compare(studio, "killed", kills, logs, codes)


def deaths(studio: Studio, arguments: argparse.Namespace) -> None:
    """Workers of a Dask cluster, killed one after the other."""
    studio.whole("peace", "-q")
    rng, logs = random.Random(arguments.seed), Logs()
    process = logs.watched(studio.batch("war", "--dask", "--workers", "2", "--json"))
    kills = 0
    while kills < arguments.deaths and not _ended(process):
        logs.wait_for_work(process)
        time.sleep(rng.uniform(0.2, 2.5))
        if found := _workers_of(process.pid):
            rng.choice(found).kill()
            kills += 1
    _compare(studio, "war", kills, logs, [process.wait()])


class Logs:
    """What processes print.

    Attributes:
        events: the events of each process.
        taken: how many times a result was taken away, after which it has to be made again.
    """

    def __init__(self) -> None:
        self.events: dict[int, list[dict[str, Any]]] = {}
        self.taken: Counter[str] = Counter()

    def watched(self, process: subprocess.Popen[str]) -> subprocess.Popen[str]:
        """Reads what the process prints, in a thread."""
        here = self.events[process.pid] = []

        def read() -> None:
            assert process.stdout is not None
            for line in process.stdout:
                try:
                    here.append(json.loads(line))
                except ValueError:  # cut off
                    continue
            for pipe in (process.stdout, process.stderr):
                if pipe is not None:
                    pipe.close()

        threading.Thread(target=read, daemon=True).start()
        return process

    def wait_for_work(self, process: subprocess.Popen[str]) -> None:
        """Waits until the process has begun its first job, or has ended."""
        end = time.monotonic() + 120
        while len(self.events[process.pid]) < 2 and not _ended(process):
            if time.monotonic() > end:
                raise SystemExit("the batch does not begin")
            time.sleep(0.02)

    def made(self) -> Counter[str]:
        """How many times each result was made."""
        everything = [event for events in self.events.values() for event in events]
        return Counter(
            event["output"]
            for event in everything
            if event["event"] == "end" and event["state"] == "done" and event["new"]
        )


def _compare(studio: Studio, output: str, kills: int, logs: Logs, codes: list[int]) -> None:
    calm = {"killed": "calm", "war": "peace"}[output]
    time.sleep(0.5)
    expected, found = studio.results(calm), studio.results(output)
    lost = len(expected.keys() - found.keys())
    differing = sum(found[name] != data for name, data in expected.items() if name in found)
    left = list((studio.folder / output).rglob("*.tmp"))
    twice = sum(count > 1 + logs.taken[name] for name, count in logs.made().items())
    head = ["kills", "files", "lost", "other bytes", "half-written", "made twice", "exit codes"]
    numbers = (kills, len(expected), lost, differing, len(left), twice)
    table(head, [[*map(str, numbers), " ".join(map(str, codes))]])


def _workers_of(pid: int) -> list[psutil.Process]:
    """The workers among the processes below one: those that have loaded torch."""
    found = []
    for process in psutil.Process(pid).children(recursive=True):
        try:
            command = " ".join(process.cmdline())
            if "spawn_main" in command and process.memory_info().rss > 150e6:
                found.append(process)
        except psutil.Error:
            continue
    return found


def _ended(process: subprocess.Popen[str]) -> bool:
    return process.poll() is not None


PARTS: dict[str, Callable[[Studio, argparse.Namespace], None]] = {
    "folder": folder,
    "workers": workers,
    "shards": shards,
    "deaths": deaths,
}


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--part", nargs="+", choices=list(PARTS), default=list(PARTS))
    parser.add_argument("--pictures", type=int, default=20)
    parser.add_argument("--size", type=int, default=256)
    parser.add_argument("--preset", default="draft")
    parser.add_argument("--steps", type=int, help="steps of each scale, in place of the preset's")
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--deaths", type=int, default=10)
    parser.add_argument("--seed", type=int, default=0)
    arguments = parser.parse_args()
    settings = ["--preset", arguments.preset, "--size", str(arguments.size), "--threads", "1"]
    if arguments.steps is not None:
        settings += ["--steps", str(arguments.steps), "--coarsest", "0"]
    print(machine())
    for name in arguments.part:
        print(f"\n## {name}\n", flush=True)
        with tempfile.TemporaryDirectory() as place:
            PARTS[name](
                Studio(Path(place), arguments.pictures, arguments.size, settings), arguments
            )


if __name__ == "__main__":
    main()
