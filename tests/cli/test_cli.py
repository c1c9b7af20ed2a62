"""The command as a person meets it: its files, words and exit codes, and Ctrl-C at any time."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from examples import painter
from impasto import media
from impasto.cli import commands
from impasto.cli.arguments import Display
from impasto.cli.main import main
from impasto.config.config import Config
from impasto.config.presets import PRESETS
from impasto.media.pictures.picture import from_array, read_recipe
from impasto.transfer import stylize as transfer
from impasto.version import __version__
from tests.forked import Command

SMALL = ("--size", "48", "--coarsest", "0", "--steps", "3")
# One thread: two would wait for each other where other work shares the cores.
ENVIRONMENT = {**os.environ, "OMP_NUM_THREADS": "1", "COLUMNS": "80"}
# The console script, in a process whose Ctrl-C is Python's own whoever started the tests.
SCRIPT = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)
{first}
from impasto.cli.main import main
print("ready", file=sys.stderr, flush=True)
main()
"""
pytestmark = pytest.mark.usefixtures("one_thread")
needs_posix = pytest.mark.skipif(os.name != "posix", reason="signals and limits are POSIX's")


@pytest.fixture(scope="module")
def paintings() -> dict[str, np.ndarray]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(painter, "SMALLEST_CANVAS", 64)  # a larger one takes seconds
        return {
            "content.png": painter.paint(48, 64, seed=1),
            "style.png": painter.paint(64, 48, seed=2),
        }


@pytest.fixture
def studio(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, paintings: dict[str, np.ndarray]
) -> Path:
    """The current folder, with a content (48 x 64) and a style, and a cache of its own."""
    folder = tmp_path / "studio"
    folder.mkdir()
    for name, painting in paintings.items():
        media.save(from_array(painting), folder / name)
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return folder


def stylize(*arguments: str, output: str = "out.png") -> int:
    """The exit code of `impasto stylize content.png style.png -o OUTPUT ...` in this process."""
    return impasto("stylize", "content.png", "style.png", "-o", output, *SMALL, *arguments)


def impasto(*arguments: str) -> int:
    try:
        main(arguments)
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 1
    return 0


def recipe_of(path: Path) -> Any:
    recipe = read_recipe(path)
    assert recipe is not None
    return json.loads(recipe)


def pixels(path: Path) -> np.ndarray:
    """The whole picture as PIL decodes it, which fails on a truncated file."""
    with Image.open(path) as image:
        return np.asarray(image)


def process(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "impasto", *arguments]
    return subprocess.run(command, capture_output=True, text=True, env=ENVIRONMENT, timeout=60)


def listing(folder: Path) -> set[str]:
    return set(os.listdir(folder))


# --- What stylize writes


def test_a_result_whose_folder_has_gone_is_kept_elsewhere(
    studio: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def gone_after(*arguments: Any, **more: Any) -> Any:
        result = made(*arguments, **more)
        (studio / "results").rmdir()
        return result

    made = transfer.stylize
    monkeypatch.setattr(commands, "stylize", gone_after)
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path))
    (studio / "results").mkdir()
    assert stylize("-q", output="results/out.png") == 2
    said = capsys.readouterr().err
    found = re.search(r"the result is in (\S+out\.png): move it from there", said)
    assert found
    assert pixels(Path(found[1])).shape == (36, 48, 3)


@pytest.mark.slow
def test_stylize_as_a_person_runs_it(studio: Path) -> None:
    done = process("stylize", "content.png", "style.png", "-o", "out.png", *SMALL)
    assert (done.returncode, done.stdout) == (0, "")
    inputs, told = done.stderr.splitlines()
    assert inputs == "content: content.png; style: style.png"
    assert re.fullmatch(r"out\.png  \(J [\d.e+]+, [\d.]+ s\)", told)
    result = pixels(studio / "out.png")
    assert result.shape == (36, 48, 3)
    content = np.rint(media.load("content.png", (48,)).data * 255).transpose(1, 2, 0)
    assert np.abs(result - content).mean() > 3
    recipe = recipe_of(studio / "out.png")
    assert recipe["impasto"] == __version__
    assert recipe["config"]["schedule"]["steps"] == [3]
    assert recipe["finished"] is True
    assert listing(studio) == {"content.png", "style.png", "out.png"}


def test_an_old_result_is_replaced(studio: Path) -> None:
    (studio / "out.png").write_bytes(b"old")
    assert stylize() == 0
    assert pixels(studio / "out.png").shape == (36, 48, 3)


@pytest.mark.slow
def test_several_styles_are_mixed_by_their_weights(studio: Path) -> None:
    media.save(from_array(255 - pixels(studio / "style.png")), studio / "second.png")
    weights = (("1", "0"), ("0", "1"), ("1", "3"))
    for number, pair in enumerate(weights):
        arguments = ("second.png", "-o", f"{number}.png", *SMALL, "--style-weights", *pair)
        assert impasto("stylize", "content.png", "style.png", *arguments) == 0
    assert stylize(output="alone.png") == 0
    first, second, mixed = (pixels(studio / f"{number}.png").astype(int) for number in range(3))
    assert np.array_equal(first, pixels(studio / "alone.png"))
    assert np.abs(first - second).mean() > 1
    assert min(np.abs(mixed - first).mean(), np.abs(mixed - second).mean()) > 0.1


def test_the_notes_preset_gives_100_by_100(studio: Path) -> None:
    arguments = ("stylize", "content.png", "style.png", "-o", "out.png", "--preset", "notes")
    assert impasto(*arguments, "--steps", "2") == 0
    assert pixels(studio / "out.png").shape == (100, 100, 3)
    schedule = recipe_of(studio / "out.png")["config"]["schedule"]
    assert (schedule["init"], schedule["steps"]) == ("noise", [2])


def test_a_size_of_two_numbers_is_height_and_width(studio: Path) -> None:
    assert stylize("--size", "40", "32") == 0
    assert pixels(studio / "out.png").shape == (40, 32, 3)


def test_init_takes_noise_or_a_file(studio: Path) -> None:
    for name in ("content", "noise", "style.png"):
        assert stylize("--init", name, output=f"from-{name.removesuffix('.png')}.png") == 0
    results = [pixels(studio / f"from-{name}.png") for name in ("content", "noise", "style")]
    for one, other in ((0, 1), (0, 2), (1, 2)):
        assert np.abs(results[one].astype(int) - results[other]).mean() > 3


def test_the_seed_decides_the_bytes(studio: Path) -> None:
    for name, seed in (("a", "7"), ("b", "7"), ("c", "8")):
        assert stylize("--init", "noise", "--seed", seed, output=f"{name}.png") == 0
    a, b, c = (pixels(studio / f"{name}.png") for name in "abc")
    assert a.tobytes() == b.tobytes()
    assert a.tobytes() != c.tobytes()


def test_16_bits_and_alpha_survive(studio: Path) -> None:
    ramp = np.linspace(0, 65535, 48 * 64 * 4).reshape(48, 64, 4).astype(np.uint16)
    media.save(from_array(ramp), "content.png")
    assert stylize("--size", "0") == 0
    result = media.load("out.png")
    assert isinstance(result, media.Picture)
    assert result.bits == 16
    assert result.alpha is not None
    assert np.abs(result.alpha - ramp[:, :, 3] / 65535).max() < 2 / 65535
    assert len(np.unique(np.rint(result.data * 65535) % 257)) > 100


@pytest.mark.parametrize("mode", ["L", "LA", "RGBA", "CMYK", "P"])
def test_other_kinds_of_content_work(studio: Path, mode: str) -> None:
    with Image.open("content.png") as image:
        name = "content.tif" if mode == "CMYK" else "kind.png"
        image.convert(mode).save(name)
    assert impasto("stylize", name, "style.png", "-o", "out.png", *SMALL) == 0
    assert pixels(studio / "out.png").shape[:2] == (36, 48)


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg", ".tif", ".tiff", ".webp", ".PNG"])
def test_the_suffix_chooses_the_format(studio: Path, suffix: str) -> None:
    assert stylize(output=f"out{suffix}") == 0
    kinds = {".j": "JPEG", ".t": "TIFF", ".w": "WEBP", ".p": "PNG"}
    with Image.open(f"out{suffix}") as image:
        assert image.format == kinds[suffix[:2].lower()]
    assert recipe_of(studio / f"out{suffix}")["impasto"] == __version__


def test_a_picture_of_one_pixel_has_a_result_too(studio: Path) -> None:
    Image.new("RGB", (1, 1), "teal").save("content.png")
    assert stylize("--size", "0", "--network", "filterbank") == 0
    assert pixels(studio / "out.png").shape == (1, 1, 3)
    assert stylize("--size", "0") == 0
    assert pixels(studio / "out.png").shape == (1, 1, 3)
    assert stylize("--size", "24") == 0
    assert pixels(studio / "out.png").shape == (24, 24, 3)


def test_previews_are_pictures_on_the_way(studio: Path) -> None:
    assert stylize("--preview", "2", "--steps", "5") == 0
    previews = {"out-step0002.png", "out-step0004.png"}
    assert listing(studio) == {"content.png", "style.png", "out.png"} | previews
    assert all(pixels(studio / name).shape == (36, 48, 3) for name in previews)


# --- What it says


def test_quiet_prints_nothing(studio: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert stylize("-q") == 0
    assert capfd.readouterr() == ("", "")


def test_json_prints_lines_of_json(studio: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert stylize("--json") == 0
    out, err = capfd.readouterr()
    assert err == ""
    *steps, last = map(json.loads, out.splitlines())
    assert [(step["event"], step["step"], step["steps"]) for step in steps] == [
        ("step", number, 3) for number in (1, 2, 3)
    ]
    for line in (*steps, last):
        assert line["value"] == pytest.approx(sum(line["terms"].values()), rel=1e-4)
    assert (last["event"], last["output"], last["finished"]) == ("result", "out.png", True)


def test_a_name_is_printed_as_it_is(studio: Path, capfd: pytest.CaptureFixture[str]) -> None:
    name = "[bold]:fire:  ünï.png"
    assert stylize(output=name) == 0
    assert capfd.readouterr().err.splitlines()[-1].startswith(f"{name}  (J ")


def test_the_version(capsys: pytest.CaptureFixture[str]) -> None:
    assert impasto("--version") == 0
    assert capsys.readouterr().out == f"impasto {__version__}\n"


@pytest.mark.slow
def test_networks_lists_the_layers_that_flags_take(
    studio: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert impasto("networks") == 0
    out = capsys.readouterr().out
    assert impasto("networks", "list") == 0
    assert capsys.readouterr().out == out
    for name in ("lite", "filterbank", "vgg16", "vgg19"):
        assert re.search(rf"^{name}  \S", out, re.MULTILINE)
    layers = PRESETS["standard"].complete().objective.layers | {"relu1_1", "relu4_2", "relu5_1"}
    assert layers <= set(out.split())
    assert impasto("networks", "list", "filterbank") == 0
    assert "vgg" not in capsys.readouterr().out


@pytest.mark.slow
def test_the_demo_writes_four_pictures(studio: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert impasto("demo", "-o", "new/demo", "--size", "48") == 0
    folder = studio / "new" / "demo"
    spaces = {path.name: pixels(path).shape for path in folder.iterdir()}
    assert spaces == {
        "content.png": (300, 451, 3),
        "style.png": (576, 768, 3),
        "result.png": (32, 48, 3),
        "side-by-side.png": (32, 48 + 43 + 48 + 2, 3),
    }
    assert str(Path("new", "demo", "side-by-side.png")) in capfd.readouterr().out


@pytest.mark.parametrize("arguments", [("-o", "content.png"), ("--size", "-5")])
def test_a_demo_that_cannot_be_writes_nothing(
    studio: Path, capfd: pytest.CaptureFixture[str], arguments: Sequence[str]
) -> None:
    assert impasto("demo", *arguments) == 2
    assert one_line(capfd)
    assert listing(studio) == {"content.png", "style.png"}


# --- Ctrl-C, kill and a full disk


def started(*arguments: str, first: str = "") -> subprocess.Popen[str]:
    """The command once Python has started and it is about to read its arguments."""
    child = subprocess.Popen(
        [sys.executable, "-c", SCRIPT.format(first=first), *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=ENVIRONMENT,
    )
    assert child.stderr is not None
    assert child.stderr.readline() == "ready\n"
    return child


def at_step(step: int, *arguments: str) -> Command:
    """A run with --json that has just told of that step."""
    inputs = ("stylize", "content.png", "style.png", "-o", "out.png")
    child = Command([*inputs, *SMALL, "--json", *arguments], Path.cwd(), COLUMNS="80")
    assert any(json.loads(line)["step"] == step for line in child.lines())
    return child


def moments(seed: int, count: int, longest: float) -> list[float]:
    """Random seconds to wait, the same in every run of the tests."""
    generator = random.Random(seed)
    return [generator.uniform(0, longest) for _ in range(count)]


@pytest.fixture
def old(studio: Path) -> bytes:
    """The bytes of out.png, which is there already."""
    Image.new("RGB", (5, 4)).save("out.png")
    return (studio / "out.png").read_bytes()


def is_whole(path: Path) -> bool:
    """Whether it is a result in full size with its recipe."""
    return pixels(path).shape == (36, 48, 3) and recipe_of(path)["impasto"] == __version__


@needs_posix
@pytest.mark.slow
@pytest.mark.parametrize("moment", [0.0, *moments(0, 3, 1.0)])
def test_ctrl_c_before_the_first_step_leaves_all_as_it_was(
    studio: Path, old: bytes, moment: float
) -> None:
    child = started("stylize", "content.png", "style.png", "-o", "out.png", "--size", "1024", "-q")
    time.sleep(moment)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert (child.returncode, out) == (130, "")
    assert err == "impasto: interrupted; no result was written\n"
    assert (studio / "out.png").read_bytes() == old
    assert listing(studio) == {"content.png", "style.png", "out.png"}


@needs_posix
@pytest.mark.slow
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("moment", moments(1, 3, 0.3))
def test_a_signal_on_the_way_saves_what_there_is(
    studio: Path, old: bytes, moment: float, number: signal.Signals
) -> None:
    child = at_step(1, "--steps", "500", "--preview", "1000")
    time.sleep(moment)
    child.send_signal(number)
    assert (child.end(60), child.err) == (128 + number, "")
    last = json.loads(child.out.splitlines()[-1])
    assert (last["event"], last["finished"]) == ("result", False)
    assert is_whole(studio / "out.png")
    recipe = recipe_of(studio / "out.png")
    assert (recipe["finished"], recipe["steps"] < 500) == (False, True)
    assert listing(studio) == {"content.png", "style.png", "out.png"}


@needs_posix
@pytest.mark.slow
@pytest.mark.parametrize("moment", moments(2, 3, 0.1))
def test_ctrl_c_at_the_end_lets_the_result_be_saved(
    studio: Path, old: bytes, moment: float
) -> None:
    child = at_step(3)
    time.sleep(moment)
    child.send_signal(signal.SIGINT)
    assert child.end(60) in {130, 0}  # 0 when there was nothing left to interrupt
    assert child.err == ""
    assert json.loads(child.out.splitlines()[-1])["event"] == "result"
    assert is_whole(studio / "out.png")
    assert listing(studio) == {"content.png", "style.png", "out.png"}


@needs_posix
@pytest.mark.slow
def test_a_person_is_told_that_the_picture_so_far_is_saved(studio: Path) -> None:
    arguments = ("content.png", "style.png", "-o", "out.png", *SMALL, "--steps", "2000")
    child = started("stylize", *arguments, "--preview", "1")
    until = time.monotonic() + 30
    while not (studio / "out-step0002.png").exists() and time.monotonic() < until:
        time.sleep(0.02)
    child.send_signal(signal.SIGINT)
    out, err = child.communicate(timeout=60)
    assert (child.returncode, out) == (130, "")
    words = (
        r"content: content\.png; style: style\.png\n"
        r"interrupted; the picture so far is saved\.  out\.png  \(J [\d.e+]+, [\d.]+ s\)\n"
    )
    assert re.fullmatch(words, err)
    assert all(is_whole(path) for path in studio.glob("out.png"))


@needs_posix
@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "step", "moment"),
    [
        (number, step, random.Random(10 * number + step).uniform(0, longest))
        for number, step, longest in (
            (signal.SIGKILL, 1, 0.3),
            (signal.SIGKILL, 3, 0.04),
            (signal.SIGKILL, 3, 0.02),
        )
    ],
)
def test_a_killed_run_leaves_only_whole_files(
    studio: Path, old: bytes, number: signal.Signals, step: int, moment: float
) -> None:
    steps = "500" if step == 1 else "3"
    child = at_step(step, "--preview", "1", "--steps", steps)
    time.sleep(moment)
    child.send_signal(number)
    assert child.end(60) in {-number, 0}
    assert child.err == ""
    assert (studio / "out.png").read_bytes() == old or is_whole(studio / "out.png")
    previews = listing(studio) - {"content.png", "style.png", "out.png"}
    for name in previews:
        assert re.fullmatch(r"out-step\d{4}\.png", name)
        assert pixels(studio / name).shape == (36, 48, 3)


@needs_posix
@pytest.mark.slow
def test_a_full_disk_leaves_the_old_result(studio: Path, old: bytes) -> None:
    limit = "import resource; resource.setrlimit(resource.RLIMIT_FSIZE, (1000, 1000))"
    arguments = ("stylize", "content.png", "style.png", "-o", "out.png", *SMALL)
    child = started(*arguments, first=limit)
    out, err = child.communicate(timeout=60)
    assert (child.returncode, out) == (2, "")
    said = r"content: content\.png; style: style\.png\nimpasto: out\.png: expected room .+\n"
    assert re.fullmatch(said, err)
    assert (studio / "out.png").read_bytes() == old
    assert listing(studio) == {"content.png", "style.png", "out.png"}


@needs_posix
def test_a_reader_that_leaves_is_no_error() -> None:
    child = started("--version", first="import os; r, w = os.pipe(); os.dup2(w, 1); os.close(r)")
    _, err = child.communicate(timeout=60)
    assert (child.returncode, err) == (141, "")


# --- What it refuses


def one_line(capfd: pytest.CaptureFixture[str]) -> str:
    """The error, which is all that was printed."""
    out, err = capfd.readouterr()
    assert out == ""
    assert re.fullmatch(r"impasto: [^\n]+; [^\n]+\n", err), err
    return err


def bad_files(folder: Path) -> None:
    """One file of each kind that is no picture, by the name of its fault."""
    (folder / "folder").mkdir()
    (folder / "folder.png").mkdir()
    (folder / "empty.png").touch()
    (folder / "text.png").write_text("hello\n")
    with Image.open("content.png") as image:
        image.save(folder / "cut.jpg")
    data = (folder / "cut.jpg").read_bytes()
    (folder / "cut.jpg").write_bytes(data[: len(data) // 2])
    for name, value in (("nan", np.nan), ("inf", np.inf)):
        plane = np.full((48, 64), 0.5, np.float32)
        plane[3, 3] = value
        Image.fromarray(plane).save(folder / f"{name}.tif")


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("missing.png", "found none there"),
        ("folder", "found a folder"),
        ("folder.png", "found a folder"),
        ("empty.png", "found an empty file"),
        ("text.png", "found something else"),
        ("cut.jpg", "premature end"),
        ("nan.tif", "NaN"),
        ("inf.tif", "infinite"),
        ("line\nbreak.png", "found none there"),
        ("long" * 100 + ".png", "too long"),
    ],
)
def test_what_is_no_picture_is_refused(
    studio: Path, capfd: pytest.CaptureFixture[str], name: str, words: str
) -> None:
    bad_files(studio)
    before = listing(studio)
    places = [(name, "style.png"), ("content.png", name), ("content.png", "style.png", name)]
    for pictures in places:
        assert impasto("stylize", *pictures, "-o", "out.png", *SMALL) == 2
        message = one_line(capfd)
        assert words in message
        assert " ".join(name.split()) in message
    if not name.startswith(("line", "long")):
        assert stylize("--init", name) == 2
        assert name in one_line(capfd)
    assert listing(studio) == before


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("--size -5", "--size"),
        ("--size 0 0 0", "--size"),
        ("--size 0 0", "--size"),
        ("--size 200000", "at most"),
        ("--size 99999999999999999999", "at most"),
        ("--steps -1", "--steps"),
        ("--steps 1 2 3", "--steps"),
        ("--steps", "--steps"),
        ("--coarsest -1", "--coarsest"),
        ("--seed -1", "--seed"),
        ("--seed 99999999999999999999", "--seed"),
        ("--alpha nan", "--alpha"),
        ("--alpha -1", "--alpha"),
        ("--beta inf", "--beta"),
        ("--alpha 0 --beta 0 --gamma 0", "--alpha --beta --gamma"),
        ("--tv-power 0.5", "--tv-power"),
        ("--learning-rate 0", "--learning-rate"),
        ("--average 1", "--average"),
        ("--style-weights 1 2", "--style-weights"),
        ("--style-weights 0", "--style-weights"),
        ("--style-weights", "--style-weights"),
        ("--style-layers wave1 nan", "'wave1' nan"),
        ("--style-layers bogus 1", "'bogus'"),
        ("--content-layers bogus", "'bogus'"),
        ("--init bogus", "bogus"),
        ("--preview -1", "--preview"),
        ("--network vgg19 --weights missing.pth", "missing.pth"),
        ("--network vgg19 --weights missing.safetensors", "missing.safetensors"),
        ("--network vgg19 --weights style.png", "style.png"),
        ("--network vgg19 --weights .", "weights"),
        ("--network vgg19 --offline", "networks fetch vgg19"),
    ],
)
def test_bad_settings_are_refused_at_once(
    studio: Path, capfd: pytest.CaptureFixture[str], arguments: str, words: str
) -> None:
    began = time.perf_counter()
    assert stylize(*arguments.split()) == 2
    assert time.perf_counter() - began < 5
    assert words in one_line(capfd)
    assert listing(studio) == {"content.png", "style.png"}


@pytest.mark.parametrize(
    ("output", "words"),
    [
        ("out.gif", "found .gif"),
        ("out", "no suffix"),
        ("missing/out.png", "no folder"),
        ("content.png", "not one of the inputs"),
        ("./style.png", "not one of the inputs"),
        ("link.png", "not one of the inputs"),
        ("content.png/out.png", "no folder"),
        ("folder.png", "found a folder"),
        ("long" * 100 + ".png", "too long"),
    ],
)
def test_an_output_that_cannot_be_is_refused_before_any_work(
    studio: Path, capfd: pytest.CaptureFixture[str], output: str, words: str
) -> None:
    (studio / "folder.png").mkdir()
    (studio / "link.png").symlink_to("content.png")
    before = {name: (studio / name).read_bytes() for name in ("content.png", "style.png")}
    assert stylize(output=output) == 2
    assert words in one_line(capfd)
    assert {name: (studio / name).read_bytes() for name in before} == before
    assert listing(studio) == {"content.png", "style.png", "folder.png", "link.png"}


@pytest.mark.parametrize("flag", ["--output", "--plot"])
def test_results_stay_out_of_a_folder_that_is_a_style(
    studio: Path, capfd: pytest.CaptureFixture[str], flag: str
) -> None:
    (studio / "paintings").mkdir()
    (studio / "style.png").rename("paintings/style.png")
    named = {"--output": "out.png", "--plot": "plot.png"} | {flag: "paintings/new.png"}
    arguments = [part for pair in named.items() for part in pair]
    assert impasto("stylize", "content.png", "paintings", *arguments, *SMALL) == 2
    assert "outside the style's folder" in one_line(capfd)
    assert listing(studio) == {"content.png", "paintings"}
    assert listing(studio / "paintings") == {"style.png"}


def test_a_preview_does_not_take_the_place_of_an_input(
    studio: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    (studio / "content.png").rename("out-step0002.png")
    arguments = ("stylize", "out-step0002.png", "style.png", "-o", "out.png", *SMALL)
    assert impasto(*arguments, "--preview", "2") == 2
    assert "not one of the inputs" in one_line(capfd)
    assert impasto(*arguments) == 0


def test_a_j_that_stays_infinite_exits_with_1(
    studio: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert stylize("--beta", "1e45") == 1
    assert "finite" in one_line(capfd)
    assert listing(studio) == {"content.png", "style.png"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("networks verify", "vgg16"),
        ("networks verify vgg19", "networks fetch vgg19"),
        ("networks verify filterbank", "'filterbank'"),
        ("networks fetch nonsense", "'nonsense'"),
        ("networks list nonsense", "'nonsense'"),
    ],
)
def test_networks_that_are_not_here_are_refused(
    studio: Path, capfd: pytest.CaptureFixture[str], arguments: str, words: str
) -> None:
    assert impasto(*arguments.split()) == 2
    assert words in one_line(capfd)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ("stylize content.png style.png -o out.png --sice 3", "--sice"),
        ("stylize content.png style.png -o out.png --steps many", "--steps"),
        ("stylize content.png style.png -o out.png --alpha much", "--alpha"),
        ("stylize content.png style.png -o out.png --preset bogus", "--preset"),
        ("stylize content.png style.png -o out.png --preset", "--preset"),
        ("stylize content.png style.png -o out.png --network bogus", "--network"),
        ("stylize content.png style.png -o out.png --style-layers wave1", "--style-layers"),
        ("stylize content.png style.png", "--output"),
        ("stylize content.png -o out.png", "STYLE"),
        ("demo --size large", "--size"),
        ("networks dance", "action"),
        ("paint", "stylize, texture, batch, demo, explain, tune"),
        ("", "stylize, texture, batch, demo, explain, tune"),
    ],
)
def test_what_cannot_be_parsed_is_named(
    studio: Path, capfd: pytest.CaptureFixture[str], arguments: str, named: str
) -> None:
    assert impasto(*arguments.split()) == 2
    out, err = capfd.readouterr()
    assert named in plain(out + err)
    assert "Traceback" not in out + err
    assert listing(studio) == {"content.png", "style.png"}


# --- Help, and what is loaded


def plain(text: str) -> str:
    """The words of a text without the boxes around them."""
    return " ".join(re.sub("[│╭╮╰╯─]", " ", text).split())


def test_help_names_the_commands(capsys: pytest.CaptureFixture[str]) -> None:
    assert impasto("--help") == 0
    out = capsys.readouterr().out
    assert all(name in out for name in ("stylize", "demo", "networks", "--version"))


def shown(value: object) -> str:
    """A default as help prints it."""
    if isinstance(value, tuple):
        return " ".join(map(shown, value))
    return str(value)


@pytest.mark.parametrize("preset", sorted(PRESETS.keys() - {"texture", "texture3d"}))
def test_help_shows_every_setting_and_its_default(
    capsys: pytest.CaptureFixture[str], preset: str
) -> None:
    assert impasto("stylize", "--preset", preset, "--help-all") == 0
    text = plain(capsys.readouterr().out)
    config = PRESETS[preset].complete()
    groups = [getattr(config, group.name) for group in fields(Config)]
    for group in (*groups, Display()):
        for setting in fields(group):
            name = setting.name.replace("_", "-")
            value = getattr(group, setting.name)
            flag = f"--no-{name}" if value is True else f"--{name}"
            found = re.findall(rf"{flag} .*?\(default: (.*?)\)", text)
            assert shown(value) in found, flag
    for flag in ("CONTENT", "STYLE", "--output", "--preset"):
        assert flag in text


@pytest.mark.parametrize(
    ("content", "shown_flags", "hidden_flags"),
    [
        ("cat.jpg", "--size --beta --mask --color --output", "--window --leads --tv-power --lag"),
        ("ecg.edf", "--leads --span --spectrum --beta", "--window --mask --color"),
        ("ct.nii.gz", "--window --keep-air --mask --beta", "--leads --color"),
    ],
)
def test_help_is_short_and_shows_the_flags_of_the_kind_at_hand(
    capsys: pytest.CaptureFixture[str], content: str, shown_flags: str, hidden_flags: str
) -> None:
    assert impasto("stylize", content, "--help") == 0
    text = capsys.readouterr().out
    words = set(plain(text).split())
    assert set(shown_flags.split()) <= words
    assert not set(hidden_flags.split()) & words
    assert "--help-all" in text
    assert text.count("\n") < 150


def test_help_for_textures_shows_their_own_defaults(capsys: pytest.CaptureFixture[str]) -> None:
    assert impasto("texture", "--help") == 0
    text = plain(capsys.readouterr().out)
    for flag, default in (("--size", "128 128 128"), ("--gamma", "4.0"), ("--init", "noise")):
        assert default in re.findall(rf"{flag} .*?\(default: (.*?)\)", text), flag


def test_help_for_a_network_shows_its_layers(capsys: pytest.CaptureFixture[str]) -> None:
    assert impasto("stylize", "--network", "vgg19", "--help-all") == 0
    assert "(default: relu3_1)" in plain(capsys.readouterr().out)


@pytest.mark.parametrize(
    ("code", "unwanted"),
    [
        ("import impasto", {"torch", "numpy", "pyvips", "tyro"}),
        ("import impasto.cli.main", {"torch", "numpy", "pyvips", "tyro"}),
        ("from impasto.cli.main import main; main(['--version'])", {"torch", "numpy", "tyro"}),
        ("from impasto.cli.main import main; main(['--help'])", {"torch", "pyvips"}),
        ("from impasto.cli.main import main; main(['stylize', '--help'])", {"torch", "pyvips"}),
        (
            "from impasto.cli.main import main; main('stylize a b -o c.png --steps=-1'.split())",
            {"torch", "pyvips"},
        ),
        (
            "from impasto.cli.main import main; main('plot signal.csv -o plot.svg'.split())",
            {"torch"},
        ),
        ("import impasto.studio.decoding, impasto.studio.drawing", {"torch"}),
        ("import impasto.plots.picture, impasto.plots.signal, impasto.plots.volume", {"torch"}),
    ],
)
def test_what_needs_no_torch_loads_none(code: str, unwanted: set[str]) -> None:
    script = f"import sys\ntry:\n    {code}\nfinally:\n    print(*sys.modules, file=sys.stderr)"
    command = [sys.executable, "-c", script]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)
    assert "impasto" in done.stderr.split()
    assert not unwanted & set(done.stderr.split())


@pytest.mark.parametrize("shape", [(300,), (2, 260), (1, 20, 20, 20)])
def test_arrays_of_any_dimension_keep_their_grid(studio: Path, shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(0)
    for name in ("a.npy", "b.npy"):
        np.save(studio / name, random.normal(size=shape).astype(np.float32))
    assert impasto("stylize", "a.npy", "b.npy", "-o", "c.npy", "--steps", "2", "-q") == 0
    assert np.load(studio / "c.npy").shape[-1] == shape[-1]
