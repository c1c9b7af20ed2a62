"""What once went wrong, or nearly did: races, leaks, and what stalls or dies."""

from __future__ import annotations

import asyncio
import fcntl
import json
import os
import signal
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest
import pyvips
from PIL import Image

from impasto.cli.pictures import PICTURES
from impasto.errors import SampleError
from impasto.media.signals.record_headers import readable
from impasto.studio import film, samples
from impasto.studio.app import Studio
from impasto.studio.errands import Errands
from impasto.studio.guards import host_fits
from impasto.studio.live import Board
from impasto.studio.runs import LINES, LOCK, Run
from tests.studio.studios import client_of, make_studio, upload
from tests.studio.test_runs import ASKED, step, tell


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    """A studio with two samples, whose processes do nothing."""
    studio = make_studio(tmp_path)
    for name in (ASKED.content, ASKED.styles[0].id):
        (studio.home.samples / name).mkdir()
        record: dict[str, Any] = {"id": name, "name": "x", "file": "f.png", "kind": "picture"}
        record |= {"size": [8, 8], "detail": "", "example": False, "mask": False}
        (studio.home.samples / name / "sample.json").write_text(json.dumps(record))
    studio.queue.command = ["cat"]
    yield studio
    studio.queue.close()
    for child in studio.queue._children:
        child.wait()


def ended(run: Run, code: int = 0) -> Run:
    """Makes a run look as if it had ended."""
    run.leave()
    tell(run, {"event": "begun"}, step(1), {"event": "ended", "code": code})
    run.output.write_bytes(b"")
    return run


def test_no_name_of_a_run_is_a_path(studio: Studio, tmp_path: Path) -> None:
    """What lies elsewhere in the form of a run is none, not even to those who watch."""
    run = studio.runs.add(ASKED, "picture", ".png")
    run.folder.rename(tmp_path / "elsewhere")
    assert studio.runs.find("../../elsewhere") is None
    (tmp_path / "elsewhere").rename(studio.home.runs / f".{run.id}.part")
    assert studio.runs.find(f".{run.id}.part") is None


@pytest.mark.parametrize("step", ["9" * 300, "9" * 5000, "x", "-1", "1.5"])
def test_a_frame_has_a_number(studio: Studio, step: str) -> None:
    run = studio.runs.add(ASKED, "picture", ".png")
    assert client_of(studio).get(f"/runs/{run.id}/frames/{step}.jpg").status_code == 404


def test_every_refusal_is_a_sentence(studio: Studio) -> None:
    client = client_of(studio)
    for answer in (client.put("/api/runs"), client.post("/api/runs", content=b"x" * 70_000)):
        assert answer.status_code in {405, 413}
        assert "does not take" in answer.json()["error"]


def test_a_thumb_that_is_gone_is_not_there(studio: Studio) -> None:
    assert client_of(studio).get(f"/samples/{ASKED.content}/thumb.jpg").status_code == 404


def test_a_run_that_begins_while_it_is_looked_at(
    studio: Studio, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its process takes the lock, and then the run out of the queue, between our two looks."""
    run = studio.runs.add(ASKED, "picture", ".png")
    begun: list[Any] = []
    worker = Run.worker

    def begin(one: Run) -> int | None:
        found = worker(one)
        if not begun:
            begun.append((run.folder / LOCK).open("ab"))
            fcntl.flock(begun[0].fileno(), fcntl.LOCK_EX)
            one.leave()
        return found

    monkeypatch.setattr(Run, "worker", begin)
    assert run.state in {"queued", "running"}
    assert run.state == "running"
    begun[0].close()


def test_moving_writes_the_place_of_that_run_only(studio: Studio) -> None:
    """Another one that begins meanwhile must not wait again."""
    first, second, third = (studio.runs.add(ASKED, "picture", ".png") for _ in range(3))
    waiting = studio.runs.waiting

    def and_begins() -> list[Run]:
        found = waiting()
        first.leave()
        return found

    studio.runs.waiting = and_begins  # type: ignore[method-assign]
    studio.runs.move(third, second)
    studio.runs.waiting = waiting  # type: ignore[method-assign]
    assert first.place is None
    assert studio.runs.waiting() == [third, second]


def test_a_run_that_was_given_away_is_not_moved_but_stopped(studio: Studio) -> None:
    client = client_of(studio)
    studio.queue.jobs = 1
    asked = {"content": ASKED.content, "styles": [{"id": ASKED.styles[0].id}]}
    run = client.post("/api/runs", json=asked).json()["id"]
    assert client.post(f"/api/runs/{run}/move", json={"before": None}).status_code == 409
    assert client.delete(f"/api/runs/{run}").status_code == 422
    assert client.post(f"/api/runs/{run}/stop").json()["state"] == "stopped"


def test_a_second_stop_is_no_second_signal(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    """It would end the run without its result."""
    run = studio.runs.add(ASKED, "picture", ".png")
    sent: list[tuple[int, int]] = []
    monkeypatch.setattr(os, "kill", lambda *told: sent.append(told))
    run.leave()
    with (run.folder / LOCK).open("ab") as lock:
        fcntl.flock(lock.fileno(), fcntl.LOCK_EX)
        lock.write(b"4242")
        lock.flush()
        studio.queue.stop(run)
        studio.queue.stop(run)
        assert studio.queue.close() == 1
    assert sent == [(4242, signal.SIGINT)]


def test_a_run_goes_on_without_the_number_of_its_old_process(studio: Studio) -> None:
    run = ended(studio.runs.add(ASKED, "picture", ".png"), 130)
    (run.folder / LOCK).write_text("4242")
    studio.queue.resume(run)
    assert (run.folder / LOCK).read_bytes() == b""
    assert run.state == "queued"


def test_a_run_whose_sample_was_lost_fails_and_the_next_begins(studio: Studio) -> None:
    lost, next_one = (studio.runs.add(ASKED, "picture", ".png") for _ in range(2))
    (studio.home.samples / ASKED.content).rename(studio.home.folder / "lost")
    studio.queue.jobs = 1

    async def look() -> None:
        studio.queue.look()

    asyncio.run(look())
    assert (lost.state, next_one.state) == ("failed", "failed")
    assert "drop the file again" in (lost.reason() or "")


def test_a_value_that_is_no_number_is_none(studio: Studio) -> None:
    """JSON has no NaN: browsers would take none of it."""
    run = ended(studio.runs.add(ASKED, "picture", ".png"))
    with (run.folder / LINES).open("a") as file:
        file.write(json.dumps(step(2, value=float("nan"), terms={"a": float("inf")})) + "\n")
    assert client_of(studio).get("/api/runs").json()[0]["value"] is None


def test_one_step_changes_one_run(studio: Studio) -> None:
    """A page gets no run that is as it was."""
    old = ended(studio.runs.add(ASKED, "picture", ".png"))
    new = studio.runs.add(ASKED, "picture", ".png")

    async def watch() -> list[tuple[str, list[str]]]:
        board = Board(studio.listed)
        work, seen = asyncio.ensure_future(board.work()), []
        async for text in board.events(None):
            name, data = text.removeprefix("event: ").rstrip("\n").split("\ndata: ")
            seen.append((name, [run["id"] for run in json.loads(data)]))
            if len(seen) == 1:
                tell(new, step(1))
            if len(seen) == 2:
                studio.runs.delete(old)
            if len(seen) == 3:
                break
        work.cancel()
        return seen

    assert asyncio.run(watch()) == [
        ("runs", [new.id, old.id]),
        ("changed", [new.id]),
        ("runs", [new.id]),
    ]


def test_runs_that_have_ended_cost_nothing(studio: Studio, monkeypatch: pytest.MonkeyPatch) -> None:
    run = ended(studio.runs.add(ASKED, "picture", ".png"))
    card = studio.shown(run)
    monkeypatch.setattr(Run, "frames", lambda run: pytest.fail("it is looked at again"))
    monkeypatch.setattr(Run, "worker", lambda run: pytest.fail("it is looked at again"))
    assert studio.listed() == [card]
    assert studio.listed()[0] is card


def test_pages_that_vanish_leave_nothing(studio: Studio) -> None:
    async def come_and_go() -> int:
        pages = [studio.board.events(None) for _ in range(50)]
        for page in pages:
            await anext(page)
        assert studio.board.pages == 50
        for page in pages:
            await page.aclose()  # type: ignore[attr-defined]
        return studio.board.pages

    assert asyncio.run(come_and_go()) == 0


def test_strokes_do_not_fill_the_studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(samples, "MASKS", 1)
    studio = make_studio(tmp_path)
    client = client_of(studio)
    Image.new("L", (8, 8), 255).save(tmp_path / "mask.png")
    used = upload(client, tmp_path / "mask.png", role="mask")["id"]
    cat = upload(client, PICTURES[0])["id"]
    asked = {"content": cat, "styles": [{"id": cat}], "masks": [used]}
    assert client.post("/api/runs", json=asked).status_code == 201
    kept = [upload(client, tmp_path / "mask.png", role="mask")["id"] for _ in range(3)]
    there = {path.name for path in studio.home.samples.iterdir()}
    assert there == {cat, used, kept[-1]}
    studio.queue.close()


def test_an_upload_that_stalls_gives_its_place_away(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(samples, "STALLED", 0.05)
    studio = make_studio(tmp_path)

    async def blocks() -> AsyncIterator[bytes]:
        for _ in range(4):
            await asyncio.sleep(0.02)
            yield b"x"
        await asyncio.sleep(20)

    with pytest.raises(SampleError, match="nothing more for"):
        asyncio.run(studio.samples.receive("a.png", blocks()))
    assert os.listdir(studio.home.samples) == []


def test_a_set_is_finished_once(tmp_path: Path) -> None:
    client = client_of(make_studio(tmp_path))
    name = client.post("/api/sets").json()["id"]
    client.post(f"/api/sets/{name}?name=a.dcm", content=b"x")
    assert client.post(f"/api/sets/{name}/sample").status_code == 422
    assert "begun" in client.post(f"/api/sets/{name}/sample").json()["error"]


def test_a_header_reaches_no_other_folder(tmp_path: Path) -> None:
    """A mended copy of a header has links to the files beside it only."""
    (tmp_path / "a" / "b").mkdir(parents=True)
    (tmp_path / "a" / "secret").touch()
    (tmp_path / "a" / "b" / "r.dat").touch()
    with readable(
        tmp_path / "a" / "b" / "r", ["../secret 1 100 9", "r.dat 16", "../secret 16"]
    ) as r:
        assert {path.name for path in r.parent.iterdir()} == {"r.hea", "r.dat"}
        assert not (r.parent.parent / "secret").is_symlink()


def test_a_film_has_no_more_frames_than_it_shows(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(film, "MOST", 4)
    for number in range(9):
        Image.new("RGB", (16, 12), (0, 0, 28 * number)).save(tmp_path / f"{number}.png")
    film.make_film(sorted(tmp_path.glob("*.png")), tmp_path / "film.webp")
    made = pyvips.Image.new_from_file(str(tmp_path / "film.webp"), n=-1)
    assert made.get("n-pages") == 3
    assert made(0, made.height - 1)[2] > 200  # the last one is there


def test_a_painter_that_dies_or_hangs_is_started_anew(tmp_path: Path) -> None:
    async def send() -> None:
        errands = Errands(seconds=60)
        await errands.start()
        assert errands._process is not None
        errands._process.kill()
        await errands._process.wait()
        with pytest.raises(Exception, match="none"):
            await errands.send("film", frames=[], output=str(tmp_path / "x.webp"))
        errands.seconds = 0.0
        with pytest.raises(SampleError, match="within 0 s"):
            await errands.send("film", frames=[], output=str(tmp_path / "x.webp"))
        errands.seconds = 60
        with pytest.raises(Exception, match="none"):
            await errands.send("film", frames=[], output=str(tmp_path / "x.webp"))
        await errands.end()

    asyncio.run(send())


def test_pages_that_come_at_once_share_a_painter(monkeypatch: pytest.MonkeyPatch) -> None:
    started = []
    start = asyncio.create_subprocess_exec

    async def counted(*command: str, **options: Any) -> Any:
        started.append(await start("cat", **options))
        return started[-1]

    async def come() -> None:
        errands = Errands()
        monkeypatch.setattr(asyncio, "create_subprocess_exec", counted)
        await asyncio.gather(*(errands.start() for _ in range(5)))
        await errands.end()

    asyncio.run(come())
    assert len(started) == 1


def test_the_port_of_the_web_need_not_be_named() -> None:
    assert host_fits("localhost", 80, "127.0.0.1")
    assert host_fits("[::1]", 80, "::1")
    assert host_fits("127.0.0.1:80", 80, "127.0.0.1")
    assert not host_fits("localhost", 8797, "127.0.0.1")
    assert not host_fits("evil.example", 80, "127.0.0.1")
