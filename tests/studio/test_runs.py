"""What the files of a run say of it, and the order of those that wait."""

from __future__ import annotations

import asyncio
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from impasto.studio.app import Studio
from impasto.studio.asked import Asked, StyleShare
from impasto.studio.home import Home, is_id, new_id
from impasto.studio.live import Board, event
from impasto.studio.runs import LINES, LOCK, Lines, Run, Runs, new_lines
from tests.studio.studios import client_of, make_studio

ASKED = Asked(content="a" * 20, styles=(StyleShare("b" * 20),))


@pytest.fixture
def runs(tmp_path: Path) -> Runs:
    """The runs of a new home."""
    home = Home(tmp_path / "home")
    home.prepare()
    return Runs(home)


@pytest.fixture
def studio(tmp_path: Path) -> Iterator[Studio]:
    """A studio with two small samples that no file is behind."""
    studio = make_studio(tmp_path)
    for name in (ASKED.content, ASKED.styles[0].id):
        (studio.home.samples / name).mkdir()
        record: dict[str, Any] = {
            "id": name,
            "name": "x.png",
            "file": "file.png",
            "kind": "picture",
        }
        record |= {"size": [8, 8], "detail": "", "example": False, "mask": False}
        (studio.home.samples / name / "sample.json").write_text(json.dumps(record))
    studio.queue.command = ["cat"]
    yield studio
    studio.queue.close()


def step(number: int, scale: int = 1, **others: Any) -> dict[str, Any]:
    """A line of a step."""
    line = {"event": "step", "step": number, "steps": 10, "value": 1 / number, "scale": scale}
    return {**line, "scales": 2, "space": [8, 8], "seconds": float(number), "terms": {}, **others}


def tell(run: Run, *lines: dict[str, Any] | str) -> None:
    """Appends lines to what a run has printed."""
    with (run.folder / LINES).open("a") as file:
        for line in lines:
            file.write(line if isinstance(line, str) else json.dumps(line) + "\n")


def test_names_sort_by_time_and_are_only_that() -> None:
    names = [new_id() for _ in range(20)]
    assert all(map(is_id, names))
    assert len(set(names)) == 20
    assert names[0][:12] <= names[-1][:12]
    for name in ("", "..", "a" * 19, "A" * 20, "a" * 20 + "\n", "../" + "a" * 17):
        assert not is_id(name)


def test_a_run_goes_from_waiting_to_done(runs: Runs) -> None:
    run = runs.add(ASKED, "picture", ".png")
    assert run.state == "queued"
    run.leave()
    tell(run, {"event": "begun"}, step(1), step(2))
    assert run.state == "interrupted"
    run.wait(1.0)
    assert run.state == "queued"
    run.leave()
    tell(run, {"event": "result", "finished": True}, {"event": "ended", "code": 0})
    run.output.write_bytes(b"")
    assert run.state == "done"
    again = Runs(runs.home).find(run.id)
    assert again is not None
    assert (again.state, again.asked, again.made) == ("done", run.asked, run.made)


@pytest.mark.parametrize(
    ("code", "result", "state"),
    [
        (0, True, "done"),
        (3, True, "done"),
        (130, True, "stopped"),
        (143, True, "stopped"),
        (130, False, "stopped"),  # before its first step
        (2, False, "failed"),
        (1, False, "failed"),
    ],
)
def test_the_exit_code_tells_how_it_ended(runs: Runs, code: int, result: bool, state: str) -> None:
    run = runs.add(ASKED, "picture", ".png")
    run.leave()
    if result:
        tell(run, {"event": "result"})
        run.output.write_bytes(b"")
    tell(run, {"event": "error", "message": "expected this, found that; do this"})
    tell(run, {"event": "ended", "code": code})
    assert run.state == state
    assert run.reason() == "expected this, found that; do this"


def test_whoever_holds_the_lock_works_on_it(runs: Runs) -> None:
    run = runs.add(ASKED, "picture", ".png")
    import subprocess
    import sys

    code = (
        "import fcntl, sys, time; f = open(sys.argv[1], 'w'); fcntl.flock(f, fcntl.LOCK_EX)\n"
        "import os; f.write(str(os.getpid())); f.flush(); print('held', flush=True); time.sleep(60)"
    )
    command = [sys.executable, "-c", code, str(run.folder / LOCK)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        child.stdout.readline()
        assert run.worker() == child.pid
        assert run.state == "running"
        run.stopping = True
        assert run.state == "stopping"
        os.kill(child.pid, signal.SIGKILL)
        child.wait()
    assert run.worker() is None
    assert run.state == "queued"


def test_lines_are_read_piece_by_piece(tmp_path: Path) -> None:
    path = tmp_path / LINES
    lines = Lines(path)
    lines.update()
    assert lines.last is None
    path.write_bytes(b'{"event": "begun"}\n{"event": "step", "st')
    lines.update()
    assert (lines.last, lines.code) == (None, None)
    with path.open("ab") as file:
        file.write(b"\n\n[1]\n\xff\xfe\n" + json.dumps(step(3)).encode() + b"\n")
    lines.update()
    assert lines.last is not None
    assert lines.last["step"] == 3
    found, offset = new_lines(path, 0)
    assert [line["event"] for line in found] == ["begun", "step"]
    assert offset == path.stat().st_size
    assert new_lines(path, offset) == ([], offset)


def test_a_step_that_was_taken_again_counts_once(runs: Runs) -> None:
    run = runs.add(ASKED, "picture", ".png")
    tell(run, step(1), step(2), step(3), {"event": "begun"}, step(2, value=9.0))
    assert [(one["step"], one["value"]) for one in run.steps()] == [(1, 1), (2, 9), (3, 1 / 3)]


def test_the_time_left_grows_with_the_scales_to_come(runs: Runs) -> None:
    run = runs.add(ASKED, "picture", ".png")
    tell(run, step(1))
    run.lines.update()
    assert run.left() is None
    tell(run, step(2), step(3))
    run.lines.update()
    assert run.left() == pytest.approx(7 * 2**0.5, abs=0.1)
    tell(run, step(4, scale=2), step(6, scale=2))
    run.lines.update()
    assert run.left() == pytest.approx(4.0)


def test_the_order_of_those_that_wait(runs: Runs) -> None:
    a, b, c = (runs.add(ASKED, "picture", ".png") for _ in range(3))
    assert runs.waiting() == [a, b, c]
    runs.move(c, a)
    assert runs.waiting() == [c, a, b]
    runs.move(c, None)
    assert runs.waiting() == [a, b, c]
    runs.move(a, c)
    assert Runs(runs.home).waiting() == [b, a, c]
    b.leave()
    assert runs.waiting() == [a, c]
    runs.delete(a)
    assert [run.id for run in runs.listed()] == [c.id, b.id]
    assert runs.using("b" * 20) == [c, b]


@pytest.mark.parametrize("damage", [b"", b"{", b"{}", b"[]", b'{"asked": {}}'])
def test_a_damaged_run_is_left_out(runs: Runs, damage: bytes) -> None:
    run = runs.add(ASKED, "picture", ".png")
    (run.folder / "asked.json").write_bytes(damage)
    assert Runs(runs.home).listed() == []
    assert runs.find("../" + "a" * 17) is None


def test_what_the_page_may_do_with_a_run(studio: Studio) -> None:
    client = client_of(studio)
    body = {"content": ASKED.content, "styles": [{"id": ASKED.styles[0].id}]}
    first, second = (client.post("/api/runs", json=body).json()["id"] for _ in range(2))
    listed = client.get("/api/runs").json()
    assert [(one["id"], one["state"], one["place"]) for one in listed] == [
        (second, "queued", 2),
        (first, "queued", 1),
    ]
    moved = client.post(f"/api/runs/{second}/move", json={"before": first}).json()
    assert [one["place"] for one in moved] == [1, 2]
    bad: Any
    for bad in ({}, {"before": 3}, []):
        assert client.post(f"/api/runs/{second}/move", json=bad).status_code == 422
    assert client.post(f"/api/runs/{first}/resume").status_code == 422
    assert client.post(f"/api/runs/{first}/stop").json()["state"] == "stopped"
    assert client.post(f"/api/runs/{first}/stop").status_code == 422
    assert client.post(f"/api/runs/{first}/move", json={"before": None}).status_code == 409
    assert client.post(f"/api/runs/{first}/resume").json()["state"] == "queued"
    for path in ("result.jpg", "plot.html", "film.webp", "download"):
        answer = client.get(f"/runs/{first}/{path}")
        assert answer.status_code == 422, path
        assert "none yet" in answer.json()["error"]
    for path in ("frames/1.jpg", "film.gif", "frames/x.jpg", "frames/-1.jpg"):
        assert client.get(f"/runs/{first}/{path}").status_code == 404, path
    assert client.delete(f"/api/runs/{first}").status_code == 204
    assert client.delete(f"/api/runs/{first}").status_code == 404
    assert [one["id"] for one in client.get("/api/runs").json()] == [second]


def test_events_tell_what_is_new(studio: Studio) -> None:
    run = studio.runs.add(ASKED, "picture", ".png")
    tell(run, step(1))
    (run.folder / "frames").mkdir()
    (run.folder / "frames" / "step000001.jpg").write_bytes(b"")

    async def watch() -> list[tuple[str, Any]]:
        board = Board(studio.listed)
        work = asyncio.ensure_future(board.work())
        seen = []
        async for text in board.events(run):
            name, data = text.rstrip("\n").split("\n")
            seen.append((name.removeprefix("event: "), json.loads(data.removeprefix("data: "))))
            if len(seen) == 3:
                tell(run, step(2), '{"event": "st')
                (run.folder / "frames" / "step000002.jpg").write_bytes(b"")
            if len(seen) == 6:
                break
        assert board.pages == 1
        work.cancel()
        return seen

    seen = asyncio.run(watch())
    assert [name for name, _ in seen[:3]] == ["runs", "steps", "frame"]
    assert [name for name, _ in seen[3:]].count("steps") == 1
    steps = [data for name, data in seen if name == "steps"]
    assert [[one["step"] for one in data] for data in steps] == [[1], [2]]
    frames = [data for name, data in seen if name == "frame"]
    assert frames[-1] == {"step": 2, "url": f"/runs/{run.id}/frames/2.jpg"}
    lists = [data for name, data in seen if name in {"runs", "changed"}]
    assert lists[-1][0]["step"] == 2


def test_an_event_is_one_message() -> None:
    assert event("a", json.dumps("line\nline")) == 'event: a\ndata: "line\\nline"\n\n'
