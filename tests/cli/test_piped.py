"""Standard input and output in the place of files, JSON for programs, and lines for logs."""

from __future__ import annotations

import io
import json
import re
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from rich.console import Console

from impasto.cli import main as cli
from impasto.cli import viewers
from impasto.cli.viewers import Lines
from impasto.media.pictures.picture import read_recipe
from tests.cli.test_cli import SMALL, impasto, listing, paintings, studio

__all__ = ["paintings", "studio"]
pytestmark = pytest.mark.usefixtures("one_thread")


class Pipe(io.TextIOWrapper):
    """A text stream over bytes that are kept."""

    def __init__(self, data: bytes = b"") -> None:
        super().__init__(io.BytesIO(data), write_through=True)

    @property
    def bytes(self) -> bytes:
        assert isinstance(self.buffer, io.BytesIO)
        return self.buffer.getvalue()


@pytest.fixture
def pipes(monkeypatch: pytest.MonkeyPatch) -> Iterator[Any]:
    """Makes standard input of bytes, and gives what becomes of standard output."""

    def opened(data: bytes = b"") -> Pipe:
        out = Pipe()
        monkeypatch.setattr("sys.stdin", Pipe(data))
        monkeypatch.setattr("sys.stdout", out)
        return out

    yield opened
    monkeypatch.undo()


def test_a_picture_goes_through_pipes(
    studio: Path, pipes: Any, capfd: pytest.CaptureFixture[str]
) -> None:
    before = listing(studio)
    out = pipes(Path("content.png").read_bytes())
    assert impasto("stylize", "-", "style.png", "-o", "-", "--format", "jpg", *SMALL) == 0
    picture = Image.open(io.BytesIO(out.bytes))
    assert (picture.format, picture.size) == ("JPEG", (48, 36))
    assert re.fullmatch(r"standard output  \(J .*\)", capfd.readouterr().err.splitlines()[-1])
    assert listing(studio) == before
    out = pipes(Path("style.png").read_bytes())
    assert impasto("stylize", "content.png", "-", "-o", "-", "-q", *SMALL) == 0
    assert Image.open(io.BytesIO(out.bytes)).format == "PNG"  # as the content
    pipes(Path("content.png").read_bytes())
    assert impasto("stylize", "-", "style.png", "-o", "out.png", "-q", *SMALL) == 0
    assert read_recipe("out.png")


def test_an_array_goes_through_pipes(studio: Path, pipes: Any) -> None:
    values = np.sin(np.arange(600) / 9)[None].astype(np.float32)
    np.save("a.npy", values)
    np.save("b.npy", values[:, ::-1])
    out = pipes(Path("a.npy").read_bytes())
    assert impasto("stylize", "-", "b.npy", "-o", "-", "--steps", "2", "-q") == 0
    assert np.load(io.BytesIO(out.bytes)).shape == (1, 600)


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("- - -o out.png", "-: expected one input from standard input, found several"),
        ("- style.png -o out.png", "standard input: expected the bytes of a picture"),
        ("content.png style.png -o - --run folder", "--run: expected files"),
        ("content.png style.png -o - --preview 1", "--preview: expected 0 with -o -"),
        ("content.png style.png -o - --json", "--json: expected a file as the output"),
        ("content.png style.png -o a.png --format png", "--format: expected -o -"),
    ],
)
def test_what_pipes_cannot_do_is_one_line(
    studio: Path, pipes: Any, capfd: pytest.CaptureFixture[str], arguments: str, words: str
) -> None:
    out = pipes(b"no picture")
    assert impasto("stylize", *arguments.split(), *SMALL) == 2
    told = capfd.readouterr().err or json.loads(out.bytes)["message"]
    assert words in told
    assert told.strip().count("\n") == 0
    assert listing(studio) == {"content.png", "style.png"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("stylize content.png nowhere.png -o out.png", "nowhere.png: expected"),
        ("stylize content.png style.png -o out.png --alpha -1", "--alpha: expected a finite"),
        ("stylize content.png style.png -o out.png --color matched", "invalid choice 'matched'"),
        ("stylize content.png style.png --colr x", "Missing from impasto stylize: -o PATH"),
        ("compare nowhere.png content.png style.png", "nowhere.png: expected"),
    ],
)
def test_errors_are_events_for_programs(
    studio: Path, capfd: pytest.CaptureFixture[str], arguments: str, words: str
) -> None:
    assert impasto(*arguments.split(), "--json") == 2
    out, err = capfd.readouterr()
    assert err == ""
    event = json.loads(out)
    assert event["event"] == "error"
    assert words in event["message"]
    if "subject" in event:
        subject, expected = event["subject"], event["expected"]
        assert event["message"].startswith(f"{subject}: expected {expected}")


def test_the_readme_has_every_exit_code() -> None:
    page = (Path(__file__).resolve().parents[2] / "README.md").read_text()
    rows = re.findall(r"^\| (\d+(?:, \d+)*) \| ", page, re.MULTILINE)
    told = {int(code) for row in rows for code in row.split(", ")}
    ours = {cli.NUMERICAL_FAILURE, cli.BAD_INPUT, cli.CHECKPOINTS_LOST, cli.INTERRUPTED}
    assert told == ours | {0, cli.READER_GONE, 128 + signal.SIGTERM}


def test_all_of_a_run_is_events(studio: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert impasto("stylize", "content.png", "style.png", "-o", "out.png", "--json", *SMALL) == 0
    out, err = capfd.readouterr()
    assert [json.loads(line)["event"] for line in out.splitlines()] == ["step"] * 3 + ["result"]
    assert err == ""


def test_a_log_has_a_line_every_ten_seconds(
    studio: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    class Clock:
        now = 0.0

        @classmethod
        def monotonic(cls) -> float:
            cls.now += 4.0
            return cls.now

    monkeypatch.setattr(viewers, "time", Clock)
    arguments = ("content.png", "style.png", "-o", "out.png", *SMALL, "--steps", "8")
    assert impasto("stylize", *arguments) == 0
    lines = capfd.readouterr().err.splitlines()
    steps = [re.search(r"step (\d+)/8  J [\d.e+-]+  content .* s$", line) for line in lines]
    assert [found[1] for found in steps if found] == ["3", "6"]
    assert lines[-1].startswith("out.png  (J ")


def test_a_log_tells_of_downloads(monkeypatch: pytest.MonkeyPatch) -> None:
    told = io.StringIO()
    log = Lines(Console(file=told))
    log.download(1, 100)
    monkeypatch.setattr(log, "last", log.last - 11)
    log.download(50_000_000, 100_000_000)
    log.download(60_000_000, 100_000_000)
    assert told.getvalue() == "50 of 100 MB\n"
