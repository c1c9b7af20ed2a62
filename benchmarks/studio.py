"""The studio: its start, its previews, a run's first picture, and what watching costs a run.

Each of our numbers stands beside that of the simplest thing that does the same: a server of plain
files, and the command line. Rounds alternate; the numbers are medians.

    python -m benchmarks.studio [--rounds 5] [--size 512] [--pages 50] [--parts start preview ...]
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import signal
import socket
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx2
import psutil

from benchmarks._tables import machine, table
from impasto.cli.pictures import PICTURES

PARTS = ("start", "preview", "first", "watched")

PAGE = Path(__file__).parents[1] / "src" / "impasto" / "studio" / "page"
SHARED = Path(__file__).parents[1] / "src" / "impasto" / "plots" / "page"

CHANGES: tuple[dict[str, str], ...] = (
    {"beta": "3"},
    {"color": "luminance"},
    {"style_scale": "0.7"},
    {"alpha": "2"},
    {"strength": "0.6"},
)
"""Controls that a person changes one after the other."""


class Studio:
    """A studio in a process of its own."""

    def __init__(self, home: Path) -> None:
        began = time.perf_counter()
        command = [sys.executable, "-m", "impasto", "studio", "--home", str(home)]
        self.process = subprocess.Popen(
            [*command, "--no-browser"], stdout=subprocess.PIPE, text=True
        )
        assert self.process.stdout is not None
        self.url = self.process.stdout.readline().split()[4].rstrip("/")
        self.client = httpx2.Client(
            base_url=self.url, headers={"origin": self.url}, timeout=300, trust_env=False
        )
        while True:
            with contextlib.suppress(httpx2.TransportError):
                if self.client.get("/").status_code == 200:
                    break
            time.sleep(0.005)
        for path in (*PAGE.iterdir(), *SHARED.iterdir()):
            self.client.get(f"/page/{path.name}").raise_for_status()
        self.started = time.perf_counter() - began

    def asked(self, **settings: str) -> dict[str, Any]:
        """What the page asks for: the examples, with some settings."""
        names: dict[str, str] = {}
        while len(names) < 2:
            names = {one["name"]: one["id"] for one in self.client.get("/api/samples").json()}
        return {
            "content": names["cat.jpg"],
            "styles": [{"id": names["painting.jpg"]}],
            "settings": settings,
        }

    def preview(self, **settings: str) -> float:
        """The seconds from a change to the new picture."""
        body, began = self.asked(**settings), time.perf_counter()
        self.client.post("/api/preview", json=body).raise_for_status()
        return time.perf_counter() - began

    def paint(self, **settings: str) -> str:
        """Begins a run, and returns its name."""
        answer = self.client.post("/api/runs", json=self.asked(**settings))
        answer.raise_for_status()
        return str(answer.json()["id"])

    def run(self, name: str) -> dict[str, Any]:
        """A run as the page has it."""
        return next(run for run in self.client.get("/api/runs").json() if run["id"] == name)

    def memory(self) -> float:
        """The megabytes of the server."""
        return psutil.Process(self.process.pid).memory_info().rss / 1e6

    def work(self) -> float:
        """The seconds of a core that the server has used."""
        times = psutil.Process(self.process.pid).cpu_times()
        return float(times.user + times.system)

    def close(self) -> None:
        """Ends it."""
        self.client.close()
        self.process.send_signal(signal.SIGINT)
        self.process.communicate()


@contextlib.contextmanager
def studio() -> Iterator[Studio]:
    """A studio with a new home, which is ready for runs and previews."""
    with tempfile.TemporaryDirectory() as folder:
        one = Studio(Path(folder) / "home")
        try:
            one.preview()
            time.sleep(3)  # the process that waits for a run is loaded
            yield one
        finally:
            one.close()


def plain_server() -> float:
    """The seconds until Python's own server gives the files of the page."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    began = time.perf_counter()
    command = [sys.executable, "-m", "http.server", str(port), "--bind", "127.0.0.1"]
    quiet = subprocess.DEVNULL
    with subprocess.Popen(command, cwd=PAGE, stdout=quiet, stderr=quiet) as server:
        names = [path.name for path in PAGE.iterdir()]
        with httpx2.Client(base_url=f"http://127.0.0.1:{port}", trust_env=False) as client:
            while names:
                with contextlib.suppress(httpx2.TransportError):
                    client.get(names[-1])
                    names.pop()
                    continue
                time.sleep(0.005)
        server.kill()
    return time.perf_counter() - began


def commanded(folder: Path, *flags: str) -> tuple[float, float, float]:
    """A run of the command: its seconds from the prompt, to its first step, and of the run."""
    began, first = time.perf_counter(), 0.0
    run = subprocess.Popen(
        [
            *(sys.executable, "-m", "impasto", "stylize", *map(str, PICTURES)),
            *("-o", str(folder / "out.png"), "--json", *flags),
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    assert run.stdout is not None
    line = {}
    for text in run.stdout:
        line = json.loads(text)
        if line["event"] == "step" and not first:
            first = time.perf_counter() - began
    run.wait()
    return time.perf_counter() - began, first, line["seconds"]


async def _watch(url: str, run: str, pages: int) -> None:
    """Watches a run in so many pages: each reads the events, and fetches each frame."""

    async def page(client: httpx2.AsyncClient) -> None:
        async with client.stream("GET", "/api/events", params={"run": run}) as events:
            name = ""
            async for line in events.aiter_lines():
                if line.startswith("event: "):
                    name = line.removeprefix("event: ")
                elif line.startswith("data: ") and name == "frame":
                    await client.get(json.loads(line.removeprefix("data: "))["url"])

    limits = httpx2.Limits(max_connections=2 * pages)
    async with httpx2.AsyncClient(
        base_url=url, limits=limits, timeout=None, trust_env=False
    ) as client:
        await asyncio.gather(*(page(client) for _ in range(pages)))


@contextlib.contextmanager
def watched(url: str, run: str, pages: int) -> Iterator[None]:
    """While so many pages watch a run, from a process of low priority."""
    if not pages:
        yield
        return
    child = os.fork()
    if not child:
        os.nice(10)
        with contextlib.suppress(BaseException):
            asyncio.run(_watch(url, run, pages))
        os._exit(0)
    try:
        yield
    finally:
        os.kill(child, signal.SIGKILL)
        used = os.wait4(child, 0)[2]
        print(f"{pages} pages themselves: {used.ru_utime + used.ru_stime:.1f} s of a core")


def start(rounds: int, size: int, pages: int) -> None:
    """From the command to a page that is there."""
    ours, plain = [], []
    for _ in range(rounds):
        with tempfile.TemporaryDirectory() as folder:
            one = Studio(Path(folder) / "home")
            ours.append(one.started)
            one.close()
        plain.append(plain_server())
    texts = sum(path.stat().st_size for path in (*PAGE.iterdir(), *SHARED.iterdir()))
    pictures = sum(path.stat().st_size for path in PAGE.glob("*.jpg"))
    a, b = statistics.median(ours), statistics.median(plain)
    rows = [("impasto studio", f"{a:.2f}", f"{a / b:.1f}"), ("http.server", f"{b:.2f}", "1")]
    table(("from the command to the whole page", "s", "ratio"), rows)
    print(f"the page: {(texts - pictures) / 1000:.0f} kB without pictures\n")


def preview(rounds: int, size: int, pages: int) -> None:
    """From a changed control to the new preview."""
    ours, plain = [], []
    with studio() as one, tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            ours += [one.preview(**change) for change in CHANGES]
            flags = ("--preset", "instant", "--size", "384")
            plain.append(commanded(Path(folder), *flags)[0])
    a, b = statistics.median(ours), statistics.median(plain)
    rows = [
        ("a changed control", f"{a:.2f}", f"{min(ours):.2f} to {max(ours):.2f}", f"{a / b:.2f}"),
        ("the command", f"{b:.2f}", f"{min(plain):.2f} to {max(plain):.2f}", "1"),
    ]
    table(("preview at 384 pixels", "s", "range", "ratio"), rows)


def first(rounds: int, size: int, pages: int) -> None:
    """From Paint to the first picture of the run."""
    ours, plain = [], []
    for _ in range(rounds):
        with studio() as one:
            began = time.perf_counter()
            run = one.paint(size=str(size))
            while not one.run(run)["frame"]:
                time.sleep(0.02)
            ours.append(time.perf_counter() - began)
            one.client.post(f"/api/runs/{run}/stop")
            while one.run(run)["state"] in {"running", "stopping"}:
                time.sleep(0.1)
        with tempfile.TemporaryDirectory() as folder:
            plain.append(commanded(Path(folder), "--size", str(size), "--steps", "1")[1])
    a, b = statistics.median(ours), statistics.median(plain)
    rows = [
        ("Paint", f"{a:.2f}", f"{a / b:.2f}"),
        ("the command, to its first step", f"{b:.2f}", "1"),
    ]
    table((f"first picture of a run at {size}", "s", "ratio"), rows)


def watching(rounds: int, size: int, pages: int) -> None:
    """What frames and pages cost a run: the seconds that it takes itself."""
    cases: dict[str, list[float]] = {"the command": [], "one page": [], f"{pages} pages": []}
    memory = []
    with studio() as one, tempfile.TemporaryDirectory() as folder:
        for _ in range(rounds):
            with tempfile.TemporaryDirectory(dir=folder) as own:
                flags = ("--run", f"{own}/run", "--checkpoint-every", "5")
                cases["the command"].append(commanded(Path(own), "--size", str(size), *flags)[2])
            for name, count in (("one page", 1), (f"{pages} pages", pages)):
                run, before = one.paint(size=str(size)), one.work()
                with watched(one.url, run, count):
                    while one.run(run)["state"] in {"queued", "running"}:
                        time.sleep(2)  # to ask has its cost, too
                    memory.append(one.memory())
                print(f"the server for {name}: {one.work() - before:.1f} s of a core")
                cases[name].append(one_result(one, run))
                time.sleep(3)
    base = statistics.median(cases["the command"])
    rows = [
        (name, f"{statistics.median(times):.2f}", f"{statistics.median(times) / base:.3f}")
        for name, times in cases.items()
    ]
    table((f"a run at {size}, watched by", "s", "ratio"), rows)
    print(f"memory of the server after each run: {', '.join(f'{mb:.0f}' for mb in memory)} MB")


def one_result(one: Studio, run: str) -> float:
    """The seconds of a run that is done."""
    folder = Path(one.client.get("/api/about").json()["home"]) / "runs" / run
    lines = (folder / "lines.jsonl").read_text().splitlines()
    found = [json.loads(line) for line in lines if '"event": "result"' in line]
    return float(found[-1]["seconds"])


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--pages", type=int, default=50)
    parser.add_argument("--parts", nargs="*", choices=PARTS, default=PARTS)
    arguments = parser.parse_args()
    print(machine())
    parts = {"start": start, "preview": preview, "first": first, "watched": watching}
    for name in arguments.parts:
        parts[name](arguments.rounds, arguments.size, arguments.pages)


if __name__ == "__main__":
    main()
