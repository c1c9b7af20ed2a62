"""A thousand requests that no page sends: nothing breaks, nothing outside the home is touched."""

from __future__ import annotations

import contextlib
import json
import os
import random
import re
import socket
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.parse import quote

import httpx2
import pytest

from tests.studio.hostile import good_files, hostile_files, hostile_sets, mutated
from tests.studio.studios import Served, served

SECRET = b"the-secret-of-the-sentinel"
REQUESTS, MUTATED = 1000, 12
LONGEST = 15.0
"""The most seconds that an answer takes which needs no decoder; the machine may be busy."""

ODD = (
    *("", ".", "..", "%2e%2e", "..%2f..%2fsecret.txt", "%00", "a%00b", "%c0%ae%c0%ae%c0%af", "%ff"),
    *("%ed%a0%80", "%", "%zz", "%2", "~", "*", "a" * 300, "a" * 5000, "%0d%0aset-cookie:x=1", ";x"),
    *(
        "0",
        "-1",
        "1e9",
        "9" * 30,
        "9" * 300,
        "9" * 5000,
        "null",
        "..%5c..%5cx",
        "\u00e9",
        "sample.json",
    ),
    *("%F0%9F%92%A9", "asked.json", "lock", "%2fetc%2fpasswd", "?", "#", "[", "{id}", "__class__"),
)
PLACES = (
    *("/", "/page/{}", "/{}", "/samples/{}/thumb.jpg", "/samples/{}/{}", "/runs/{}/frames/{}.jpg"),
    *("/runs/{}/result.jpg", "/runs/{}/film.{}", "/runs/{}/film.webp", "/runs/{}/report.html"),
    *("/runs/{}/plot.html", "/runs/{}/download", "/runs/{}/{}", "/api/{}", "/api/samples/{}"),
    *("/api/sets/{}", "/api/sets/{}/sample", "/api/sets/{}?name={}", "/api/samples?name={}"),
    *("/api/runs/{}", "/api/runs/{}/stop", "/api/runs/{}/resume", "/api/runs/{}/move", "/api/runs"),
    *("/api/events?run={}", "/api/preview", "/api/command", "/api/settings?{}={}", "/login"),
)
METHODS = ("GET",) * 6 + ("HEAD", "OPTIONS", "PUT", "PATCH", "TRACE", "CONNECT", "FOO", "POST")
WRONG: tuple[Any, ...] = (
    *(None, True, 0, -1, 1e308, 2**63, 2**200, "", "x", "\0", "é" * 500, [], {}, [[]], [None]),
    *({"id": None}, {"id": "../x"}, "../" * 6, "a" * 20, "A" * 20, "a" * 401, ["a" * 20] * 30),
)
TEXTS = (
    *("nan", "inf", "-inf", "1e400", "-1", "--help", "-o /tmp/x", "$(id)", "`id`", "'", '"', "\\"),
    *(
        "/etc/passwd",
        "../x.py",
        "module.py:net",
        "@/etc/passwd",
        "0 0",
        "9" * 400,
        "\0",
        "\n",
        "''",
    ),
    *(
        "true",
        "none",
        "relu1_1 1",
        "relu1_1 nan",
        "x 1 y",
        "0x10",
        "1_000",
        "\u0661",
        "a b c d",
        "512",
    ),
)
HEADERS = (
    *("Range: bytes=0-0", "Range: bytes=-1", "Range: bytes=5-1", "Range: bytes=9999999-"),
    *("Range: bytes=" + "0-0," * 500 + "1-2", "Range: x", "Range: bytes=", "If-Range: x"),
    *("Range: bytes=" + "9" * 5000 + "-", "X-Page: " + "x" * 5000, "X-Big: " + "x" * 30_000),
    *("Cookie: impasto=" + "x" * 4000, 'Cookie: impasto="\\', "Cookie: =;=;=", "Accept: \xff\xfe"),
    *("Content-Type: text/plain", "Content-Encoding: gzip", "Expect: 100-continue", "Upgrade: h2c"),
    *("Transfer-Encoding: gzip", "X-Forwarded-For: 1.2.3.4", "X-Forwarded-Host: evil.example"),
    *("Host: evil.example", "Origin: https://evil.example", "Sec-Fetch-Site: cross-site", ": x"),
    *("Last-Event-ID: \x01", "X-Original-URL: /etc/passwd", "Upgrade: websocket", "No colon"),
    *("Content-Length: -1", "Content-Length: 99999999999999999999", "Content-Length: 1, 2"),
)
Answer = tuple[int, bytes]


@dataclass
class Attacker:
    """Sends requests to a studio, and remembers what it answered."""

    studio: Served
    rng: random.Random
    samples: list[str] = field(default_factory=list)
    runs: list[str] = field(default_factory=list)
    statuses: dict[int, int] = field(default_factory=dict)
    sent: int = 0

    def __post_init__(self) -> None:
        self.port = int(self.studio.url.rpartition(":")[2])

    def raw(self, data: bytes, *, whole: bool = True, what: object = None) -> Answer:
        """Sends bytes as they are; whole: whether they are a request that gets an answer."""
        began, answer = time.monotonic(), b""
        with (
            socket.create_connection(("127.0.0.1", self.port), timeout=LONGEST) as link,
            contextlib.suppress(ConnectionError),
        ):
            link.sendall(data)
            if not whole:
                time.sleep(0.005)
                link.shutdown(socket.SHUT_WR)
            while block := link.recv(1 << 16):
                answer += block
                if b"text/event-stream" in answer:
                    break
        assert time.monotonic() - began < LONGEST, (data[:300], what)
        match = re.match(rb"HTTP/1\.[01] (\d{3})", answer)
        return self.check(int(match[1]) if match else 0, answer, what or data[:300])

    def check(self, status: int, text: bytes, what: object) -> Answer:
        """Looks at an answer."""
        self.sent += 1
        self.statuses[status] = self.statuses.get(status, 0) + 1
        assert status < 500 or status == 507, (status, what, text[:500])
        assert SECRET not in text, what
        assert b"Traceback" not in text, what
        assert b"root:x:" not in text, what
        return status, text

    def request(
        self, method: str, target: str, body: bytes = b"", *headers: str, whole: bool = True
    ) -> Answer:
        """Sends a request of the studio's own page, unless its headers say otherwise."""
        named = {header.partition(":")[0].lower() for header in headers}
        given = {"Host": f"127.0.0.1:{self.port}", "Origin": self.studio.url, "Connection": "close"}
        if body and not {"content-length", "transfer-encoding"} & named:
            given["Content-Length"] = str(len(body))
        lines = [f"{name}: {value}" for name, value in given.items() if name.lower() not in named]
        head = "\r\n".join([f"{method} {target} HTTP/1.1", *lines, *headers, "", ""])
        data = head.encode("utf-8" if "\u00e9" in target else "latin-1", "replace")
        return self.raw(data + body, whole=whole)

    def id(self) -> str:
        """A name that is there, or an odd one."""
        return self.rng.choice((*self.samples, *self.runs, *self.rng.sample(ODD, 3)))

    def path(self) -> None:
        """A path that leads nowhere, or somewhere else."""
        place = self.rng.choice(PLACES)
        target = re.sub(r"{}", lambda _: self.id(), place)
        self.request(self.rng.choice(METHODS), target)

    def header(self) -> None:
        """A header that is wrong."""
        places = ("/", "/api/runs", "/page/studio.css", f"/samples/{self.samples[0]}/thumb.jpg")
        header = self.rng.choice(HEADERS)
        lying = header.startswith(("Content-Length", "Expect", "Transfer"))
        self.request("GET", self.rng.choice(places), b"", header, whole=not lying)

    def broken(self) -> None:
        """Bytes that are no HTTP, or not all of it."""
        host = f"Host: 127.0.0.1:{self.port}\r\nOrigin: {self.studio.url}\r\n"
        post = (
            f"POST /api/{self.rng.choice(('samples?name=a.png', 'preview', 'runs'))} HTTP/1.1\r\n"
        )
        chunked = f"{post}{host}Transfer-Encoding: chunked\r\n\r\n"
        data = self.rng.choice(
            (
                self.rng.randbytes(300),
                b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
                b"GET\r\n\r\n",
                b"GET / HTTP/9.9\r\n\r\n",
                b"GET / HTTP/1.0\r\n\r\n",
                b"GET http://evil.example/ HTTP/1.1\r\n" + host.encode() + b"\r\n",
                b"GET /" + b"a" * 70_000 + b" HTTP/1.1\r\n" + host.encode() + b"\r\n",
                b"GET / HTTP/1.1\r\n" + b"X: y\r\n" * 3000 + b"\r\n",
                b"GET / HTTP/1.1\r\n" + host.encode() + host.encode() + b"\r\n",
                f"{chunked}5\r\nhel".encode(),
                f"{chunked}fffffffffffffffffffff\r\nx".encode(),
                f"{chunked}zz\r\n".encode(),
                f"{chunked}-1\r\n\r\n".encode(),
                f"{post}{host}Content-Length: 500\r\n\r\nshort".encode(),
                f"{post}{host}Content-Length: 3\r\n\r\nlonger than that".encode(),
                f"{post}{host}Content-Length: 3\r\nTransfer-Encoding: chunked\r\n\r\nabc".encode(),
                f"{post}{host}".encode(),
            )
        )
        self.raw(data, whole=False)

    def asked(self) -> Any:
        """What a page asks for, with some of it wrong."""
        rng = self.rng
        asked: Any = {
            "content": self.samples[0],
            "styles": [{"id": self.samples[1], "share": 1.0}],
            "preset": rng.choice(("standard", "instant", "ecg", "ct", "no", "")),
            "settings": {"size": "32", "steps": "2", "coarsest": "0", "threads": "1"},
        }
        names = (
            *("size", "beta", "network", "init", "weights", "decoder", "mask", "strength", "x"),
            *("device", "memory", "style_layers", "window", "leads", "seed", "color", "-o"),
        )
        match rng.randrange(5):
            case 0:
                asked[rng.choice((*asked, "masks", "strength", "more"))] = rng.choice(WRONG)
            case 1 | 2:
                asked["settings"][rng.choice(names)] = rng.choice(TEXTS)
            case 3:
                asked["styles"][0][rng.choice(("id", "share", "x"))] = rng.choice(WRONG)
            case _:
                asked["content"], asked["styles"][0]["id"] = self.id(), self.id()
                asked["masks"] = [self.id()]
        return asked

    def body(self) -> None:
        """JSON of the wrong type or depth, or none."""
        rng, runs = self.rng, self.runs or ["x"]
        places = ("preview", "command", "command", "runs", f"runs/{rng.choice(runs)}/move")
        odd = (
            *(b"", b"{", b"[" * 60_000, b'{"content":' * 5000, b"\xff\xfe", b"null", b"x" * 70_000),
            *(b'{"content":"\\ud800"}', b'{"before":"\\ud800"}', b'{"a":1e999}', b"NaN"),
        )
        wrong = json.dumps(rng.choice(WRONG)).encode()
        moved = json.dumps({"before": rng.choice((*WRONG, *runs))}).encode()
        asked = json.dumps(self.asked()).encode()
        data = rng.choice((rng.choice(odd), wrong, moved, asked, asked, asked))
        status, text = self.request("POST", f"/api/{rng.choice(places)}", data, "X-Page: a")
        if status == 201:
            self.runs.append(json.loads(text.partition(b"\r\n\r\n")[2])["id"])
        if self.runs and rng.random() < 0.3:
            run = f"/api/runs/{rng.choice(self.runs)}"
            self.request(*rng.choice((("POST", f"{run}/stop"), ("POST", f"{run}/resume"))))

    def small(self) -> None:
        """An upload that no decoder sees."""
        name = quote(
            self.rng.choice(("a.exe", "../a", "a.png/", "a.sh", "", ".png.php", "a" * 999))
        )
        target = f"/api/samples?name={name}&role={self.rng.choice(('mask', 'x', ''))}"
        self.request("POST", target, self.rng.randbytes(200))

    def upload(self, client: httpx2.Client, name: str, data: bytes) -> None:
        """An upload that is decoded."""
        answer = client.post("/api/samples", params={"name": name}, content=data)
        self.check(answer.status_code, answer.content, name)
        if answer.status_code == 201:
            self.check(client.get(answer.json()["proxy"]).status_code, b"", name)

    def upload_set(self, client: httpx2.Client, files: dict[str, bytes]) -> None:
        """Files that become one sample."""
        name = client.post("/api/sets").json()["id"]
        for file, data in files.items():
            answer = client.post(f"/api/sets/{name}", params={"name": file}, content=data)
            self.check(answer.status_code, answer.content, file)
        answer = client.post(f"/api/sets/{name}/sample")
        self.check(answer.status_code, answer.content, list(files))


@pytest.fixture
def outside(tmp_path: Path) -> Iterator[Path]:
    """A folder with secrets, in which the studio is started; it stays as it is."""
    folder = tmp_path / "outside"
    folder.mkdir()
    (folder / "secret.txt").write_bytes(SECRET)
    (folder / "secret.dat").write_bytes(SECRET * 200)
    before = {path: path.stat().st_mtime_ns for path in folder.rglob("*")}
    yield folder
    assert {path: path.stat().st_mtime_ns for path in folder.rglob("*")} == before


@pytest.mark.slow
def test_a_thousand_requests(tmp_path: Path, outside: Path, quick: Path) -> None:
    temporary = tmp_path / "temporary"
    temporary.mkdir()
    good = good_files(tmp_path / "good")
    rng = random.Random(7)
    home = outside.parent / "home"
    with served(home, folder=outside, quick=quick, TMPDIR=str(temporary)) as studio:
        attacker = Attacker(studio, rng, list(studio.examples().values()))
        attacker.runs.append(studio.paint(steps="300", size="32"))
        files = [*hostile_files(good, outside / "mark", outside / "secret.txt")]
        files += [(name, mutated(good[name], rng)) for name in rng.choices(sorted(good), k=MUTATED)]
        for name, data in files:
            attacker.upload(studio.client, name, data)
        for several in hostile_sets(good, outside / "secret.txt"):
            attacker.upload_set(studio.client, several)
        kinds = (attacker.path, attacker.path, attacker.header, attacker.broken, attacker.body)
        while attacker.sent < REQUESTS:
            rng.choice((*kinds, attacker.body, attacker.small))()
        assert studio.process.poll() is None
        assert studio.client.get("/api/about").status_code == 200
        assert {200, 201, 400, 403, 404, 405, 421, 422} <= set(attacker.statuses)
        assert [*studio.home.glob("samples/.*")] == []
        assert {path.name for path in studio.home.iterdir()} == {"samples", "runs", "studio.lock"}
    assert "Traceback" not in studio.errors()
    assert os.listdir(temporary) == []
