"""No command writes over a file that it reads, over another that it writes, or over what a run
keeps, whatever the name."""

from __future__ import annotations

import shutil
from dataclasses import fields
from pathlib import Path
from typing import get_args

import numpy as np
import pytest

from impasto import media
from impasto.cli import commands, drawing, guards, touched
from impasto.cli.arguments import Demo
from impasto.cli.command import Command
from impasto.cli.parsing import parse
from impasto.config.presets import configure
from impasto.media.pictures.picture import from_array, open_picture
from impasto.transfer.stylize import stylize
from tests.cli.test_cli import impasto, one_line
from tests.media.places import contents
from tests.media.series import series, stored_values

FEW = ("--size", "16", "--coarsest", "0", "--steps", "2")
NAMES = ("content", "style", "map", "start", "sky", "ground")

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: pictures of 24 x 24, a folder of styles, and no work that is done."""
    monkeypatch.chdir(tmp_path)
    colors = np.random.default_rng(0)
    for name in NAMES:
        media.save(from_array(colors.random((24, 24, 3))), f"{name}.png")
    Path("styles").mkdir()
    shutil.copy("style.png", "styles/one.png")
    for work in ("stylize", "texture", "explain", "write_report"):
        monkeypatch.setattr(commands, work, lambda *_, **__: pytest.fail("it went to work"))
    monkeypatch.setattr(drawing, "plot", lambda *_, **__: pytest.fail("it went to work"))
    return tmp_path


@pytest.fixture
def run(studio: Path) -> Path:
    """The folder of a run of content.png and style.png."""
    config = configure(size=(16,), coarsest=0, steps=(2,))
    stylize("content.png", "style.png", config, run="run")
    return studio / "run"


def refused(line: str, capfd: pytest.CaptureFixture[str], *words: str) -> None:
    """It exits with 2, in one line with these words, and all files are as they were."""
    before = contents(Path.cwd())
    assert impasto(*line.split()) == 2
    message = one_line(capfd)
    for word in words:
        assert word in message
    assert contents(Path.cwd()) == before


STYLIZE = "stylize content.png style.png"


@pytest.mark.parametrize(
    ("line", "role"),
    [
        (f"{STYLIZE} -o map.png --strength map.png", "the strength"),
        (f"{STYLIZE} -o start.png --init start.png", "the init"),
        (f"{STYLIZE} -o ./sky.png --mask sky.png", "the mask 1"),
        (f"{STYLIZE} -o ground.png --mask sky.png ground.png", "the mask 2"),
        (f"{STYLIZE} -o styles/../ground.png --mask sky.png ground.png", "the mask 2"),
        (f"{STYLIZE}:0.5 sky.png:0.5 -o sky.png", "the style"),
        (f"{STYLIZE} -o out.png --strength map.png --plot map.png", "the strength"),
        (f"{STYLIZE} -o out.png --init start.png --plot start.png", "the init"),
        ("stylize content.png styles -o out.png --plot styles/../content.png", "the content"),
        ("texture style.png -o style.png --size 16 16", "the style"),
        ("texture style.png -o start.png --size 16 16 --weights start.png", "the weights"),
        ("plot content.png style.png -o style.png", "the file"),
    ],
)
def test_outputs_over_inputs(
    studio: Path, capfd: pytest.CaptureFixture[str], line: str, role: str
) -> None:
    line += " --network lite" if "--weights" in line else ""
    refused(line, capfd, "one of the inputs", role)


@pytest.mark.parametrize("link", ["symbolic", "hard", "of a folder"])
@pytest.mark.parametrize("flag", ["-o", "--plot", "--preview"])
def test_links_to_inputs(
    studio: Path, capfd: pytest.CaptureFixture[str], link: str, flag: str
) -> None:
    target = Path("out-step0003.png" if flag == "--preview" else "link.png")
    match link:
        case "symbolic":
            target.symlink_to("map.png")
        case "hard":
            target.hardlink_to("map.png")
        case _:
            Path("elsewhere").symlink_to(".")
            target = Path("elsewhere/map.png")
    if flag == "--preview":
        if link == "of a folder":
            pytest.skip("previews lie beside the output")
        end = "-o out.png --preview 3"
    else:
        end = f"-o {target}" if flag == "-o" else f"-o out.png --plot {target}"
    refused(f"{STYLIZE} --strength map.png {end}", capfd, "one of the inputs", "the strength")


def test_letter_case_where_the_file_system_ignores_it(
    studio: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is not there yet cannot be asked for its file: the names are compared."""
    command = parse([*STYLIZE.split(), "-o", "Out.png", "--plot", "out.PNG"])
    guards.check_files(command)
    monkeypatch.setattr(touched, "_ignores_case", lambda path: True)
    refused(f"{STYLIZE} -o Out.png --plot out.PNG", capfd, "nor the result")
    refused(f"{STYLIZE} -o CONTENT.png", capfd, "the content")


def test_whether_a_file_system_ignores_case_is_asked_of_what_is_there(
    studio: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (studio / "Folder").mkdir()
    absent = studio / "Folder" / "absent.png"
    assert not touched._ignores_case(absent)
    ignoring = {(studio / "Folder", studio / "fOLDER")}
    monkeypatch.setattr(touched, "same_file", lambda one, other: (one, other) in ignoring)
    assert touched._ignores_case(absent)


def test_files_that_go_with_a_name(studio: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("wfdb")
    pytest.importorskip("nibabel")
    beat = media.Signal(
        data=np.sin(np.arange(2000) / 9)[None].astype(np.float32),
        rate=250.0,
        names=("I",),
        units=("mV",),
    )
    for name in ("ecg.hea", "other.hea"):
        media.save(beat, name)
    box = media.Volume(data=np.random.default_rng(0).random((1, 8, 8, 8)).astype(np.float32))
    for name in ("box.hdr", "other.nii"):
        media.save(box, name)
    refused("stylize ecg other.hea -o ecg.dat", capfd, "ecg.dat, the content")
    refused("stylize ecg.dat other.hea -o ecg.hea", capfd, "ecg.hea, the content")
    refused("stylize box.img other.nii -o box.hdr", capfd, "box.hdr, the content")
    Path("ecg-step0005.hea").hardlink_to("ecg.hea")
    refused("stylize ecg.hea other.hea -o ecg.hea --preview 5", capfd, "the content")


def test_a_folder_around_an_input(studio: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("pydicom")
    series(studio / "scan.dcm", stored_values(3))
    (image, *_) = sorted(Path("scan.dcm").iterdir())
    refused(f"stylize {image} style.png -o scan.dcm", capfd, "scan.dcm, the content")
    refused(f"stylize {image} style.png -o {image}", capfd, f"{image}, the content")


@pytest.mark.parametrize(
    ("line", "words"),
    [
        (f"{STYLIZE} -o out.png --plot ./out.png", "nor the result"),
        (f"{STYLIZE} -o out.png --plot out-step0050.png --preview 50", "previews"),
        (f"{STYLIZE} -o out.png --run out.png", "neither an input nor the result"),
        (f"{STYLIZE} -o out.zarr --run out.zarr/run", "neither an input nor the result"),
    ],
)
def test_outputs_over_one_another(
    studio: Path, capfd: pytest.CaptureFixture[str], line: str, words: str
) -> None:
    refused(line, capfd, words)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("report run -o content.png", "a name that ends in .html, found content.png"),
        ("report run -o run/run.json", "a name that ends in .html"),
        ("report run -o run/steps.jsonl", "a name that ends in .html"),
        ("report run -o picture.html", "picture.html, which leads to"),
        ("report run -o record.html", "record.html, the record of the run"),
        ("explain content.png style.png -o picture.html", "picture.html, which leads to"),
        ("plot content.png -o record.png", "record.png, which leads to"),
        (f"{STYLIZE} -o record.png", "record.png, which is run.json of the run in"),
        (f"{STYLIZE} -o out.png --plot record.png", "record.png, which leads to"),
        (f"{STYLIZE} -o out.png --preview 1", "run.json of the run in"),
        (f"{STYLIZE} -o steps.png --run run", "steps.png, which is steps.jsonl of the run in"),
        (f"{STYLIZE} -o hard.png --run run", "hard.png, the record of the run"),
    ],
)
def test_records_of_runs(
    run: Path, capfd: pytest.CaptureFixture[str], line: str, words: str
) -> None:
    Path("picture.html").symlink_to("content.png")
    Path("record.html").hardlink_to("run/run.json")
    Path("record.png").symlink_to("run/run.json")
    Path("out-step0001.png").symlink_to("run/run.json")
    Path("steps.png").symlink_to("run/steps.jsonl")
    Path("hard.png").hardlink_to(next(run.glob("*.safetensors")))
    refused(line, capfd, words)


def test_the_report_in_the_runs_folder_does_not_follow_a_link(
    run: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (run / "report.html").symlink_to(run.parent / "content.png")
    refused("report run", capfd, "which leads to")


def test_a_run_does_not_begin_over_the_files_of_another(
    studio: Path, capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(commands, "stylize", stylize)
    Path("mine").mkdir()
    Path("mine/steps.jsonl").write_text("my training log")
    refused(f"{STYLIZE} -o out.png --run mine {' '.join(FEW)}", capfd, "steps.jsonl without it")


def test_the_demo_leaves_pictures_that_have_its_names(
    studio: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    refused("demo -o .", capfd, "content.png", "an earlier demo")
    guards.check_files(Demo(Path("new")))
    for name in guards.DEMO:
        media.save(open_picture("content.png"), name, "{}")
    guards.check_files(Demo(Path(".")))


def test_every_path_of_every_command_is_known(studio: Path) -> None:
    """A command that takes a file is to say here whether it reads it or writes it."""
    known = {
        "Stylize": {"content", "style", "styles", "output", "plot", "run", "recipe"},
        "Recipe": {"file"},
        "Texture": {"style", "styles", "output", "plot", "run"},
        "Batch": {"output", "pairs", "recipe"},
        "Demo": {"output"},
        "Explain": {"content", "style", "output"},
        "Tune": {"style", "output", "contents", "decoder"},
        "Export": {"output", "decoder"},
        "Networks": set(),
        "Plot": {"file", "others", "output"},
        "Harmonize": {"series", "to", "plot", "output"},
        "Compare": {"out", "content", "style", "lpips"},
        "Resume": {"folder"},
        "Report": {"folder", "output"},
        "Studio": {"home", "password_file"},
    }
    found = {
        kind.__name__: {field.name for field in fields(kind) if "Path" in str(field.type)}
        for kind in get_args(Command)
    }
    assert found == known


def test_what_is_no_input_is_replaced(studio: Path) -> None:
    for name in ("out.png", "plot.png", "out-step0003.png", "out-step0003.jpg"):
        shutil.copy("content.png", name)
    line = (
        f"stylize out-step0003.jpg style.png -o out.png --plot plot.png --preview 3 --run {'run'}"
    )
    guards.check_files(parse(line.split()))
