"""Studios for tests: one within the test's own process, and one as a user starts it."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx2
from starlette.testclient import TestClient

from impasto.cli.pictures import PICTURES
from impasto.studio.app import Studio, application
from impasto.studio.guards import Guard, Password
from impasto.studio.home import Home
from impasto.studio.queue import Queue
from impasto.studio.runs import Runs
from impasto.studio.samples import Samples

PORT = 8797
HERE = f"http://127.0.0.1:{PORT}"


def make_studio(folder: Path, *, trust: bool = False) -> Studio:
    """A studio whose runs wait for ever: nothing starts them."""
    home = Home(folder / "home")
    home.prepare()
    samples = Samples(home, {path.name: path for path in PICTURES})
    runs = Runs(home)
    return Studio(home, samples, runs, Queue(runs, samples, ["true"], jobs=0), trust)


def client_of(
    studio: Studio, *, host: str = "127.0.0.1", password: str | None = None, **headers: str
) -> TestClient:
    """What a page does, without a server and without the lifespan's processes."""
    guard = Guard(
        application(studio),
        host,
        PORT,
        None if password is None else Password(password),
        "<form><!--wrong--></form>",
        ("/page/studio.css",),
    )
    given = {"origin": HERE, **headers}
    return TestClient(guard, base_url=HERE, headers=given, raise_server_exceptions=True)


def upload(client: httpx2.Client, path: Path, **params: str) -> dict[str, Any]:
    """Uploads a file as the page does."""
    answer = client.post(
        "/api/samples", params={"name": path.name, **params}, content=path.read_bytes()
    )
    assert answer.status_code == 201, answer.text
    found: dict[str, Any] = answer.json()
    return found


class Served:
    """A studio as a user starts it: the command, in a process of its own.

    quick: what it takes for Python, instead of the one that there is; see zygote.py.
    """

    def __init__(
        self,
        home: Path,
        *flags: str,
        folder: Path | None = None,
        quick: Path | None = None,
        **variables: str,
    ) -> None:
        self.home, self.flags, self.variables = home, flags, variables
        self.program = ["-m", "impasto"]
        if quick is not None:
            program = "from impasto.cli.main import main; main()"
            self.program = ["-c", f"import sys; sys.executable = {str(quick)!r}; {program}"]
        self.folder, self.log = folder, home.with_name(f"{home.name}-errors.txt")
        self.start()

    def start(self) -> None:
        """Starts it, and waits until its page is there."""
        command = [sys.executable, *self.program, "studio", "--home", str(self.home)]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                [*command, "--no-browser", *self.flags],
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
                cwd=self.folder,
                env={**os.environ, **self.variables},
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        assert line.startswith("the studio is at "), line + self.errors()
        self.url = line.split()[4].rstrip("/")
        self.client = httpx2.Client(
            base_url=self.url, headers={"origin": self.url}, timeout=120, trust_env=False
        )
        wait_for(self._answers, 30)

    def _answers(self) -> bool:
        with contextlib.suppress(httpx2.TransportError):
            return self.client.get("/page/studio.css").status_code == 200
        return False

    def errors(self) -> str:
        """What it has printed to stderr."""
        return self.log.read_text()

    def kill(self) -> None:
        """Kills the server as a power cut does; what it has started goes on."""
        self.process.kill()
        self.process.communicate()
        self.client.close()

    def runs(self) -> list[dict[str, Any]]:
        """The runs, as the page lists them."""
        found: list[dict[str, Any]] = self.client.get("/api/runs").json()
        return found

    def run(self, name: str) -> dict[str, Any]:
        """A run, as the page has it."""
        return next(run for run in self.runs() if run["id"] == name)

    def state(self, name: str) -> str:
        """How a run stands."""
        return str(self.run(name)["state"])

    def worker(self, name: str) -> int:
        """The process that works on a run."""
        return int((self.home / "runs" / name / "lock").read_text())

    def examples(self) -> dict[str, str]:
        """The names of the two pictures that are there from the beginning."""
        wait_for(lambda: len(self.client.get("/api/samples").json()) >= 2, 60)
        return {one["name"]: one["id"] for one in self.client.get("/api/samples").json()}

    def paint(self, **settings: str) -> str:
        """Asks for a small run of the examples, and returns its name."""
        names = self.examples()
        answer = self.client.post(
            "/api/runs",
            json={
                "content": names["cat.jpg"],
                "styles": [{"id": names["painting.jpg"]}],
                "settings": {"size": "96", "coarsest": "0", "threads": "1", **settings},
            },
        )
        assert answer.status_code == 201, answer.text
        return str(answer.json()["id"])

    def close(self) -> None:
        """Ends it as Ctrl-C does, and kills what may be left."""
        self.client.close()
        self.process.send_signal(signal.SIGINT)
        try:
            self.process.communicate(timeout=20)
        except subprocess.TimeoutExpired:
            self.process.kill()
            raise
        finally:
            for lock in self.home.glob("runs/*/lock"):
                with contextlib.suppress(ProcessLookupError, ValueError):
                    os.kill(int(lock.read_text()), signal.SIGKILL)


@contextlib.contextmanager
def served(
    home: Path,
    *flags: str,
    folder: Path | None = None,
    quick: Path | None = None,
    **variables: str,
) -> Iterator[Served]:
    """Starts a studio for a block, in a folder."""
    studio = Served(home, *flags, folder=folder, quick=quick, **variables)
    try:
        yield studio
    finally:
        studio.close()


def wait_for(done: Callable[[], bool], seconds: float = 60.0) -> None:
    """Waits until something is done."""
    end = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < end, "that took too long"
        time.sleep(0.05)
