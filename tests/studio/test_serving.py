"""The studio as a user starts it: the page, a run, kills at any moment, and how it ends."""

from __future__ import annotations

import io
import json
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from functools import partial
from pathlib import Path

import httpx2
import numpy as np
import pytest
from PIL import Image

from impasto.media.pictures.picture import read_recipe
from tests.studio.studios import Served, served, wait_for

pytestmark = pytest.mark.slow

ENDED = {"done", "stopped", "failed", "interrupted"}


@pytest.fixture(scope="module")
def studio(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A studio at work."""
    with served(tmp_path_factory.mktemp("studio") / "home") as studio:
        yield studio


def finish(studio: Served, run: str) -> None:
    """Waits until a run has ended."""
    wait_for(lambda: studio.state(run) in ENDED, 120)


def at_work(studio: Served, run: str) -> None:
    """Waits until a run has taken a step, if it has not ended."""
    wait_for(lambda: bool(studio.run(run)["step"]) and studio.state(run) != "queued", 120)


def still(studio: Served, run: str) -> bool:
    """Whether nobody works on a run."""
    return studio.state(run) != "running"


def pixels(data: bytes) -> np.ndarray:
    """The values of a picture."""
    with Image.open(io.BytesIO(data)) as picture:
        return np.asarray(picture, np.float32)


def picture_of(studio: Served, run: str) -> bytes:
    """The pixels of a result."""
    return pixels((studio.home / "runs" / run / "out.png").read_bytes()).tobytes()


STEPS = "500"


@pytest.fixture(scope="module")
def whole(studio: Served) -> bytes:
    """The result of a run that nothing disturbs."""
    run = studio.paint(steps=STEPS)
    finish(studio, run)
    assert studio.state(run) == "done"
    return picture_of(studio, run)


def test_a_run_from_paint_to_report(studio: Served) -> None:
    run = studio.paint(steps="12", coarsest="64")
    finish(studio, run)
    told = studio.run(run)
    assert told["state"] == "done", told["error"]
    assert told["step"] == told["steps"] > 12
    assert told["frames"]
    frame = studio.client.get(told["frame"]["url"])
    assert frame.headers["content-type"] == "image/jpeg"
    result = studio.client.get(told["result"])
    assert result.content[:3] == b"\xff\xd8\xff"
    download = studio.client.get(told["download"])
    assert "cat-standard.png" in download.headers["content-disposition"]
    assert download.content == (studio.home / "runs" / run / "out.png").read_bytes()
    recipe = json.loads(read_recipe(studio.home / "runs" / run / "out.png") or "")
    assert recipe["finished"] is True
    for suffix, magic in (("webp", b"RIFF"), ("mp4", b"\0\0\0")):
        film = studio.client.get(f"/runs/{run}/film.{suffix}")
        assert film.content.startswith(magic), film.text
    report = studio.client.get(told["report"])
    assert "sandbox allow-scripts" in report.headers["content-security-policy"]
    assert "<h1>cat.jpg in the style of painting.jpg</h1>" in report.text


def test_a_preview_is_the_picture_of_one_pass(studio: Served) -> None:
    names = studio.examples()
    body = {"content": names["cat.jpg"], "styles": [{"id": names["painting.jpg"]}]}
    answer = studio.client.post("/api/preview", json=body, headers={"x-page": "one"})
    assert answer.status_code == 200, answer.text
    assert pixels(answer.content).shape == (255, 384, 3)
    other = studio.client.post("/api/preview", json={**body, "settings": {"color": "luminance"}})
    assert abs(pixels(other.content) - pixels(answer.content)).mean() > 5
    wrong = studio.client.post("/api/preview", json={**body, "settings": {"beta": "much"}})
    assert (wrong.status_code, wrong.json()["field"]) == (422, "beta")
    again = studio.client.post("/api/preview", json=body)  # perhaps with other threads
    assert abs(pixels(again.content) - pixels(answer.content)).mean() < 1


def test_a_run_that_is_stopped_goes_on_to_the_same_bytes(studio: Served, whole: bytes) -> None:
    run = studio.paint(steps=STEPS)
    at_work(studio, run)
    studio.client.post(f"/api/runs/{run}/stop")
    finish(studio, run)
    assert studio.state(run) == "stopped"
    assert studio.run(run)["step"] < int(STEPS)
    assert studio.run(run)["result"] is not None
    assert picture_of(studio, run) != whole
    assert studio.client.post(f"/api/runs/{run}/resume").json()["state"] in {"queued", "running"}
    finish(studio, run)
    assert studio.state(run) == "done"
    assert picture_of(studio, run) == whole


def test_one_waits_for_the_other(studio: Served) -> None:
    first, second, third = (studio.paint(steps="60") for _ in range(3))
    studio.client.post(f"/api/runs/{third}/move", json={"before": second})
    begun = []

    def watch() -> bool:
        for run in (first, second, third):
            if studio.state(run) != "queued" and run not in begun:
                begun.append(run)
        states = [studio.state(run) for run in (first, second, third)]
        assert sum(state in {"running", "stopping"} for state in states) <= 1
        return all(state in ENDED for state in states)

    wait_for(watch, 120)
    assert begun == [first, third, second]


@pytest.mark.parametrize("what", ["server", "run", "both"])
def test_kills_at_any_moment_lose_nothing(
    what: str, whole: bytes, tmp_path: Path, quick: Path
) -> None:
    rng = random.Random(what)
    with served(tmp_path / "home", quick=quick) as studio:
        runs = [studio.paint(steps=STEPS)]
        for _ in range(10):
            at_work(studio, runs[-1])
            time.sleep(rng.uniform(0, 0.3))
            run = runs[-1]
            worker = studio.worker(run)
            if what in {"server", "both"}:
                studio.kill()
            if what in {"run", "both"}:
                os.kill(worker, signal.SIGKILL)
            if what in {"server", "both"}:
                studio.start()
            assert {one["id"] for one in studio.runs()} == set(runs)
            if what == "server":
                assert studio.state(run) in {"running", "done"}
                if studio.state(run) == "done":
                    runs.append(studio.paint(steps=STEPS))
                continue
            wait_for(partial(still, studio, run))
            assert studio.state(run) == "interrupted"
            studio.client.post(f"/api/runs/{run}/resume")
        for run in runs:
            finish(studio, run)
            assert studio.state(run) == "done", studio.run(run)["error"]
            assert picture_of(studio, run) == whole


def test_kills_in_the_queue_lose_nothing(tmp_path: Path, quick: Path) -> None:
    with served(tmp_path / "home", quick=quick) as studio:
        studio.examples()
        for _ in range(10):
            run = studio.paint(steps="5")
            time.sleep(random.Random(len(studio.runs())).uniform(0, 0.3))
            studio.kill()
            studio.start()
            assert run in {one["id"] for one in studio.runs()}
        wait_for(lambda: all(one["state"] in ENDED for one in studio.runs()), 200)
        assert [one["state"] for one in studio.runs()] == ["done"] * 10


def test_ctrl_c_stops_what_is_at_work(tmp_path: Path) -> None:
    home = tmp_path / "home"
    with served(home) as studio:
        run = studio.paint(steps="5000")
        at_work(studio, run)
        worker = studio.worker(run)
        studio.client.close()
        studio.process.send_signal(signal.SIGINT)
        told, _ = studio.process.communicate(timeout=20)
        assert "1 at work: told to stop" in told
        assert studio.process.returncode == 0
        wait_for(lambda: not Path(f"/proc/{worker}").exists(), 60)
        studio.start()
        assert studio.state(run) == "stopped"
        assert studio.run(run)["result"]


def test_what_the_command_refuses(tmp_path: Path) -> None:
    def refusal(*flags: str, **variables: str) -> str:
        command = [sys.executable, "-m", "impasto", "studio", "--no-browser", *flags]
        told = subprocess.run(
            command,
            capture_output=True,
            text=True,
            timeout=60,
            env={k: v for k, v in os.environ.items() if k != "IMPASTO_PASSWORD"} | variables,
        )
        assert told.returncode == 2, told
        assert told.stderr.count("\n") == 1
        return told.stderr

    home = str(tmp_path / "home")
    assert "--jobs: expected a whole number" in refusal("--home", home, "--jobs", "0")
    assert "--port: expected a whole number" in refusal("--home", home, "--port", "99999")
    assert "--host: expected a password" in refusal("--home", home, "--host", "0.0.0.0")
    short = refusal("--home", home, "--host", "0.0.0.0", IMPASTO_PASSWORD="short")
    assert "at least 8 characters" in short
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "thesis.doc").touch()
    assert "thesis.doc" in refusal("--home", str(tmp_path / "other"))
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert "--port: expected a free port" in refusal("--home", home, "--port", str(port))
    with served(tmp_path / "home"):
        assert "another one at work" in refusal("--home", home)


def test_with_a_password(tmp_path: Path) -> None:
    with served(tmp_path / "home", "--host", "0.0.0.0", IMPASTO_PASSWORD="correct horse") as one:
        port = one.url.rpartition(":")[2]
        url = f"http://127.0.0.1:{port}"
        with httpx2.Client(base_url=url, headers={"origin": url}, trust_env=False) as client:
            assert client.get("/api/runs").status_code == 401
            assert client.post("/login", data={"password": "correct horse"}).status_code == 303
            assert client.get("/api/runs").json() == []
            for number in range(8):  # whoever says to be somebody else is still the same one
                answer = client.post(
                    "/login",
                    data={"password": "wrong horse"},
                    headers={"x-forwarded-for": f"10.0.0.{number}"},
                )
            assert answer.status_code == 429
