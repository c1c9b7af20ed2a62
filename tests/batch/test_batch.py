"""`impasto batch` as a person meets it."""

from __future__ import annotations

import json
import os
import pickle
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from impasto import media
from impasto.batch import overview, work
from impasto.batch.manifest import Manifest
from impasto.cli.main import main
from impasto.config.presets import configure
from impasto.errors import OutputError
from impasto.media.signals.signal import Signal
from tests.batch.conftest import QUICK, batch, bytes_in, draw, lines, run
from tests.browser import probed

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]


def test_every_photo_with_every_painting_as_stylize_makes_them(studio: Path) -> None:
    draw(studio / "paintings" / "sea.png", 3)
    assert batch("-q") == 0
    made = bytes_in(studio / "out")
    assert sorted(made) == sorted(
        f"{photo}-{painting}.png" for photo in ("one", "trip/two") for painting in ("wave", "sea")
    )
    main(["stylize", "photos/one.png", "paintings/sea.png", "-o", "alone.png", *QUICK, "-q"])
    assert (studio / "alone.png").read_bytes() == made["one-sea.png"]
    for line in lines(studio / "out"):
        assert line["state"] == "done"
        assert line["value"] == pytest.approx(sum(line["terms"].values()))
        assert set(line["inputs"]) == {"content", "style 1"}
        assert line["settings"]["schedule"]["size"] == [48]


def test_again_it_does_only_what_is_missing_or_changed(studio: Path) -> None:
    def made() -> list[str]:
        """The results that a further call makes anew."""
        before = {path: path.stat().st_mtime_ns for path in (studio / "out").rglob("*.png")}
        assert batch("-q") == 0
        return sorted(
            path.name
            for path in (studio / "out").rglob("*-*.png")
            if before.get(path) != path.stat().st_mtime_ns and path.name != overview.SHEET
        )

    assert made() == ["one-wave.png", "two-wave.png"]
    assert made() == []
    (studio / "out" / "one-wave.png").unlink()
    assert made() == ["one-wave.png"]
    draw(studio / "photos" / "trip" / "two.png", 7)
    assert made() == ["two-wave.png"]
    assert batch("-q", "--beta", "3") == 0
    assert made() == ["one-wave.png", "two-wave.png"]
    assert len(lines(studio / "out")) == 2  # one line for each result


def test_a_bad_file_in_the_middle_stops_nothing(
    studio: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (studio / "photos" / "oil.png").write_bytes(b"\x89PNG\r\n\x1a\n and then nothing")
    (studio / "photos" / "tiny.png").write_bytes(b"")
    assert batch("--retry", "1", "--json") == 2
    events = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert events[0] == {"event": "batch", "jobs": 4, "left": 4}
    assert events[-1]["made"] == 2
    assert events[-1]["failed"] == 2
    ends = [event for event in events if event["event"] == "end" and event["state"] == "failed"]
    assert [event["again"] for event in ends] == [True, True, False, False]
    assert all("photos/" in event["error"] for event in ends)
    assert {event["output"] for event in events if event["event"] == "step"} == {
        "one-wave.png",
        "trip/two-wave.png",
    }
    states = {line["output"]: line["state"] for line in lines(studio / "out")}
    assert states["oil-wave.png"] == "failed"
    draw(studio / "photos" / "oil.png", 4)  # mended
    assert batch("-q") == 1
    assert (studio / "out" / "oil-wave.png").exists()


def test_whatever_a_library_raises_is_one_failure(
    studio: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stylizer = work.Workshop.stylizer

    def broken(self: work.Workshop, job: Any, styles_are: Any) -> Any:
        if job.content.name == "one.png":
            raise ZeroDivisionError("deep\nin a library")
        return stylizer(self, job, styles_are)

    monkeypatch.setattr(work.Workshop, "stylizer", broken)
    assert batch("-q") == 1
    (line,) = (line for line in lines(studio / "out") if line["state"] == "failed")
    assert line["error"] == "photos/one.png: ZeroDivisionError: deep in a library"


def test_the_exit_code_is_125_at_most(studio: Path) -> None:
    (studio / "pairs.csv").write_text(
        "content,style,output\n" + "".join(f"no.png,no.png,{n}.png\n" for n in range(130))
    )
    assert run("--pairs", "pairs.csv", "-o", "out", "-q") == 125


def test_a_table_has_outputs_presets_and_settings(studio: Path) -> None:
    (studio / "pairs.csv").write_text(
        "content,style,output,beta,style-layers,preset\n"
        "photos/one.png,paintings/wave.png,new/a.png,3,relu1_1 0.5 relu2_1 0.5,\n"
        "photos/one.png,paintings/wave.png;photos/trip/two.png,,,,draft\n"
    )
    assert run("--pairs", "pairs.csv", "-o", "out", *QUICK, "-q") == 0
    first, second = sorted(lines(studio / "out"), key=lambda line: line["output"])
    assert (first["output"], second["output"]) == ("new/a.png", "one-wave-two.png")
    assert first["settings"]["objective"]["beta"] == 3
    assert first["settings"]["objective"]["style_layers"] == [["relu1_1", 0.5], ["relu2_1", 0.5]]
    assert first["preset"] == "standard"
    assert second["preset"] == "draft"
    assert len(second["styles"]) == 2
    assert second["settings"]["schedule"]["size"] == [48]


def test_a_start_in_a_table_takes_the_scales_that_it_needs(studio: Path) -> None:
    (studio / "pairs.csv").write_text(
        "content,style,init,output\n"
        "photos/one.png,paintings/wave.png,content,a.png\n"
        "photos/one.png,paintings/wave.png,,b.png\n"
    )
    flags = ["--preset", "draft", "--size", "48", "--threads", "1"]
    assert run("--pairs", "pairs.csv", "-o", "out", *flags, "-q") == 0
    schedules = {line["output"]: line["settings"]["schedule"] for line in lines(studio / "out")}
    for name, init in (("a.png", "content"), ("b.png", "auto")):
        expected = configure("draft", init=init).schedule
        assert schedules[name]["steps"] == list(expected.steps)
        assert schedules[name]["coarsest"] == expected.coarsest


@pytest.mark.parametrize(
    ("table", "told"),
    [
        ("content\nphotos/one.png\n", "line 2.* a content and a style"),
        ("content,style,betta\na.png,b.png,3\n", "line 2: betta.* name of a setting"),
        ("content,style,beta\na.png,b.png,much\n", "line 2: --beta.* a finite number"),
        ("content,style,output\na.png,b.png,../a.png\n", "line 2: output.* inside"),
        ("content,style,preset\na.png,b.png,pastel\n", "line 2: preset.* standard"),
        ("content,style\na.png,b.png,c,d\n", "line 2.* no more cells"),
    ],
)
def test_what_is_wrong_with_a_table_is_told_with_its_line(
    studio: Path, capsys: pytest.CaptureFixture[str], table: str, told: str
) -> None:
    (studio / "pairs.csv").write_text(table)
    assert run("--pairs", "pairs.csv", "-o", "out", "-q") == 2
    assert re.search(told, capsys.readouterr().err)
    assert not (studio / "out").exists()


def test_what_would_write_one_file_is_refused_before_the_work(
    studio: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (studio / "others").mkdir()
    draw(studio / "others" / "one.png", 5)
    assert run("photos", "others", "--styles", "paintings", "-o", "out", *QUICK) == 2
    error = capsys.readouterr().err
    assert "one-wave.png for photos/one.png" in error
    assert "others/one.png" in error
    row = "photos/one.png,paintings/wave.png,"
    (studio / "pairs.csv").write_text(f"content,style,output\n{row}A.png\n{row}a.png\n")
    assert run("--pairs", "pairs.csv", "-o", "out") == 2
    (studio / "pairs.csv").write_text(f"content,style,output\n{row}one.png\n")
    assert run("--pairs", "pairs.csv", "-o", "photos") == 2  # over the content
    (studio / "pairs.csv").write_text(f"content,style,output\n{row}overview.html\n")
    assert run("--pairs", "pairs.csv", "-o", "out") == 2
    assert not (studio / "out").exists()


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["photos"],
        ["photos", "--styles", "paintings", "--pairs", "pairs.csv"],
        ["photos/*.gif", "--styles", "paintings"],
        ["photos", "--styles", "empty"],
        ["photos", "--styles", "paintings", "--shard", "0/2"],
        ["photos", "--styles", "paintings", "--shard", "3/2"],
    ],
)
def test_what_names_nothing_is_refused(
    studio: Path, capsys: pytest.CaptureFixture[str], arguments: list[str]
) -> None:
    (studio / "empty").mkdir()
    assert run(*arguments, "-o", "out") == 2
    assert len(capsys.readouterr().err.splitlines()) == 1


def test_under_torchrun_it_is_refused(
    studio: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert batch("-q") == 2
    assert "--shard" in capsys.readouterr().err


def test_errors_travel_between_processes() -> None:
    error = OutputError(subject="a.png", expected="room", found="none", remedy="free some")
    again = pickle.loads(pickle.dumps(error))
    assert (type(again), str(again)) == (OutputError, str(error))


def test_results_among_the_contents_are_no_contents(studio: Path) -> None:
    for _ in range(2):
        assert batch("-q", output="photos/out") == 0
    assert len(lines(studio / "photos" / "out")) == 2
    assert batch("-q", output="photos") == 2
    assert batch("-q", output=".") == 2


def test_shards_share_the_work(studio: Path) -> None:
    for number in range(3):
        draw(studio / "photos" / f"more{number}.png", 10 + number)
    assert batch("-q", "--shard", "2/2") == 0
    assert len(lines(studio / "out")) == 2
    assert batch("-q", "--shard", "1/2") == 0
    assert {line["shard"] for line in lines(studio / "out")} == {"1/2", "2/2"}
    assert len(bytes_in(studio / "out")) == 5


def test_a_full_disk_is_one_clear_line(
    studio: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    if not os.path.exists("/dev/full"):
        pytest.skip("there is no /dev/full")
    manifest = Manifest(studio / "out")
    monkeypatch.setattr(manifest, "path", Path("/dev/full"))
    with pytest.raises(OutputError, match="room for the whole file"):
        manifest.append({"output": "a.png"})

    def full(*_: object) -> None:
        raise OutputError(expected="room for the whole file", found="none left", remedy="free some")

    monkeypatch.setattr(media, "save", full)
    assert batch("-q") == 2  # two files that failed
    error = capsys.readouterr().err
    assert error.count("room for the whole file") >= 2
    assert not bytes_in(studio / "out")


def test_a_manifest_that_was_cut_off_is_read_and_written_on(tmp_path: Path) -> None:
    manifest = Manifest(tmp_path)
    manifest.append({"output": "a", "state": "done"})
    with open(manifest.path, "ab") as file:
        file.write(b'{"output": "b", "sta')
    assert list(manifest.known()) == ["a"]
    manifest.append({"output": "c", "state": "failed"})
    assert list(manifest.known()) == ["a", "c"]
    assert list(Manifest(tmp_path).known()) == ["a", "c"]
    manifest.append({"output": "a", "state": "failed"})
    manifest.compact()
    assert [line["output"] for line in lines(tmp_path)] == ["a", "c"]
    assert manifest.known()["a"]["state"] == "failed"
    manifest.append({"output": "d", "state": "done"})
    assert list(manifest.known()) == ["a", "c", "d"]


def test_records_and_volumes(studio: Path) -> None:
    pytest.importorskip("wfdb")
    for number in range(2):
        values = np.random.default_rng(number).normal(0, 1, (1, 900)).astype(np.float32)
        signal = Signal(values, rate=120.0, names=("II",), units=("mV",))
        (studio / "ecgs").mkdir(exist_ok=True)
        media.save(signal, studio / "ecgs" / f"{number}.hea")
    draw(studio / "ecgs" / "paper.png", 1)
    (studio / "noise").mkdir()
    media.save(signal, studio / "noise" / "hum.hea")
    steps = ["--steps", "2", "--coarsest", "0", "--threads", "1"]
    assert run("ecgs", "--styles", "noise", "-o", "out", *steps, "-q") == 1  # the picture
    states = {line["output"]: (line["state"], line["preset"]) for line in lines(studio / "out")}
    assert states == {
        "0-hum.hea": ("done", "ecg"),
        "1-hum.hea": ("done", "ecg"),
        "paper-hum.png": ("failed", "standard"),
    }
    assert media.load(studio / "out" / "0-hum.hea").space == (900,)
    assert (studio / "out" / "0-hum.dat").exists()
    assert "0-hum.hea" in (studio / "out" / overview.PAGE).read_text()


def test_the_overview_in_a_browser(studio: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    (studio / "photos" / "a <b> & c.png").write_bytes(b"nothing")
    assert batch("-q") == 1
    page = (studio / "out" / overview.PAGE).read_text()
    probe = """<pre id="seen"></pre><script>{
      const count = () => document.querySelectorAll("figure:not([hidden])").length
      const all = count(), names = [...document.querySelectorAll("figcaption b")]
        .map(each => each.textContent)
      words.value = "two"; words.dispatchEvent(new Event("input"))
      const links = [...document.querySelectorAll("a")].map(a => a.getAttribute("href"))
      const small = [...document.images].every(image => image.src.startsWith("data:image/jpeg"))
      document.getElementById("seen").textContent =
        JSON.stringify({all, some: count(), names, links, small})
    }</script>"""
    seen = probed(page, probe, tmp_path_factory.mktemp("browser"))
    assert seen == {
        "all": 3,
        "some": 1,
        "names": ["a <b> & c-wave.png", "one-wave.png", "trip/two-wave.png"],
        "links": ["one-wave.png", "trip/two-wave.png"],
        "small": True,
    }
    assert "http" not in page.replace("http://www.w3.org", "")
    with Image.open(studio / "out" / overview.SHEET) as sheet:
        assert sheet.size[0] > 2 * overview.SIDE
