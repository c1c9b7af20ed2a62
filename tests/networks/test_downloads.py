"""Processes that fetch the same weights at the same time, from a publisher on this machine."""

from __future__ import annotations

import hashlib
import os
import socket
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from impasto.errors import WeightsError
from impasto.networks import PUBLISHED, fetch
from tests.forked import Child

pytestmark = pytest.mark.slow


def fetched(url: str, digest: str) -> None:
    """What a process does that fetches a file."""
    PUBLISHED["vgg19"] = replace(PUBLISHED["vgg19"], url=url, sha256=digest)
    try:
        fetch("vgg19", lambda done, total: None, attempts=1)
    except WeightsError as error:
        sys.exit(str(error))


@dataclass
class Publisher:
    """Serves a file of three megabytes in some two seconds, or an error's status.

    requests: the Range of each request so far. sent: bytes so far, over all requests.
    """

    folder: Path
    data: bytes = field(default_factory=lambda: os.urandom(3_000_000))
    status: int = 200
    url: str = ""
    requests: list[str | None] = field(default_factory=list)
    sent: int = 0

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        asked = request.headers["Range"]
        self.requests.append(asked)
        if self.status != 200:
            time.sleep(0.5)
            request.send_error(self.status)
            return
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        request.send_response(206 if start else 200)
        request.send_header("Content-Length", str(len(self.data) - start))
        request.end_headers()
        for at in range(start, len(self.data), 50_000):
            request.wfile.write(self.data[at : at + 50_000])
            self.sent += 50_000
            time.sleep(0.03)

    def start(self, **environment: str) -> Child:
        """A process that fetches the file into the folder."""
        digest = hashlib.sha256(self.data).hexdigest()
        environment |= {"XDG_CACHE_HOME": str(self.folder), "NO_PROXY": "127.0.0.1"}
        return Child(fetched, (self.url, digest), self.folder, **environment)

    @property
    def files(self) -> dict[str, bytes]:
        """What the cache holds, beside the lock."""
        files = [path for path in self.folder.rglob("*") if path.is_file()]
        return {path.name: path.read_bytes() for path in files if path.suffix != ".lock"}


@pytest.fixture
def publisher(tmp_path: Path) -> Iterator[Publisher]:
    publisher = Publisher(tmp_path)

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            try:
                publisher.answer(self)
            except OSError:  # who asked was killed
                self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        publisher.url = f"http://127.0.0.1:{server.server_port}/models/made-up.pth"
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        yield publisher
        server.shutdown()
        thread.join()


def ends(*processes: Child) -> list[tuple[int, str]]:
    """The exit code of each, and what it said of an error."""
    return [(process.end(100), process.err) for process in processes]


def test_two_processes_download_one_file_once(publisher: Publisher) -> None:
    assert ends(publisher.start(), publisher.start()) == [(0, "")] * 2
    assert publisher.files == {"made-up.pth": publisher.data}
    assert publisher.requests == [None]


def test_who_waits_goes_on_where_a_killed_one_stopped(publisher: Publisher) -> None:
    first, second = publisher.start(), publisher.start()
    while publisher.sent < 1_000_000:
        time.sleep(0.01)
    (part,) = publisher.folder.rglob("*.part")
    holder = first if str(first.pid) in part.name else second
    holder.kill()
    assert sorted(code for code, _ in ends(first, second)) == [-9, 0]
    assert publisher.files == {"made-up.pth": publisher.data}
    beginning, rest = publisher.requests
    assert beginning is None
    assert rest
    assert rest != "bytes=0-"


def ranks(publisher: Publisher) -> list[Child]:
    """Two processes as torchrun starts them."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    shared = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": port}
    shared["GLOO_SOCKET_IFNAME"] = "lo"
    return [publisher.start(RANK=rank, LOCAL_RANK=rank, **shared) for rank in "10"]


def test_of_processes_that_share_a_sample_the_first_downloads(publisher: Publisher) -> None:
    assert [code for code, _ in ends(*ranks(publisher))] == [0, 0]
    assert publisher.files == {"made-up.pth": publisher.data}
    assert publisher.requests == [None]


def test_where_the_first_cannot_the_others_end_too(publisher: Publisher) -> None:
    publisher.status = 404
    (other_code, other), (code, error) = ends(*ranks(publisher))
    assert (other_code, code) == (1, 1)
    assert "found 404" in error
    assert "another of the processes downloads, found that its download failed" in other
    assert publisher.requests == [None]
