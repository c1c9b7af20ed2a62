"""--plot of a run: what it draws, and what it refuses before any work."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from impasto import media
from impasto.cli import commands
from impasto.media.volumes.volume import Volume
from tests.cli.test_cli import impasto, one_line
from tests.cli.test_cli_signals import table

FEW = ("--steps", "1", "--coarsest", "0", "--style-layers", "relu1_1", "1", "-q")


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with pictures, a folder of them, volumes and recordings."""
    pytest.importorskip("matplotlib")
    random = np.random.default_rng(0)
    monkeypatch.chdir(tmp_path)
    Path("styles").mkdir()
    for name in ("content.png", "style.png", "styles/a.png", "styles/b.png"):
        Image.fromarray(random.integers(0, 256, (24, 32, 3), np.uint8)).save(name)
    for name in ("content.npy", "style.npy"):
        np.save(name, random.normal(size=(1, 20, 18, 17)).astype(np.float32))
    for name in ("content.csv", "style.csv"):
        table(Path(name), "time (s),II (mV)", np.arange(500) / 100, random.normal(size=500))
    return tmp_path


def size_of(path: str) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


def test_a_folder_of_styles(studio: Path) -> None:
    command = "stylize content.png styles -o out.png --size 32 --content-layers relu1_1"
    assert impasto(*command.split(), *FEW, "--plot", "plot.png") == 0
    assert size_of("plot.png") == (4 * 32 + 3, 24)


def test_a_texture_beside_its_exemplars(studio: Path) -> None:
    command = "texture style.png styles -o wall.png --size 24 40"
    assert impasto(*command.split(), *FEW, "--plot", "plot.png") == 0
    assert size_of("plot.png") == (40 + 3 * 32 + 3, 24)


def test_a_solid_without_its_picture(studio: Path) -> None:
    pytest.importorskip("nibabel")
    command = "texture style.png -o solid.nii --size 16 18 20 --plot plot.html"
    assert impasto(*command.split(), *FEW) == 0
    assert Path("plot.html").read_text().count("16 x 18 x 20 voxels of") == 1
    assert isinstance(media.load("solid.nii"), Volume)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("stylize content.npy style.npy{5} -o out.npy --plot p.png", "at most 6 samples drawn as"),
        ("stylize content.csv style.csv{2} -o out.csv --plot p.png", "at most 3 samples drawn as"),
        ("stylize content.png styles -o out.png --plot p.html", "in .png, for pictures"),
        ("stylize content.png style.png -o out.png --plot p.gif", ".png, .svg, .pdf, .html"),
        ("stylize content.png style.png -o out.png --plot style.png", "neither one of the inputs"),
        ("stylize content.png style.png -o out.png --plot ./out.png", "nor the result"),
        ("texture style.png -o solid.npy --size 16 16 16 --plot p.png", "found Sample, Picture"),
        ("texture style.npy{6} -o out.npy --size 9 9 9 --plot p.png", "at most 6 samples drawn as"),
        ("texture style.png -o wall.png --size 16 16 --plot p.pdf", "in .png, for pictures"),
    ],
)
def test_what_cannot_be_drawn_is_refused_before_any_work(
    line: str,
    words: str,
    studio: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    for work in ("stylize", "texture"):
        monkeypatch.setattr(commands, work, lambda *_, **__: pytest.fail("it went to work"))
    before = {path: path.stat().st_mtime_ns for path in studio.iterdir()}
    arguments = []
    for word in line.split():
        name, _, times = word.removesuffix("}").partition("{")
        arguments += [name] * int(times or 1)
    assert impasto(*arguments) == 2
    assert words in one_line(capfd)
    assert {path: path.stat().st_mtime_ns for path in studio.iterdir()} == before


def test_the_demo_has_its_pictures_side_by_side_already(
    studio: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert impasto("demo", "--plot", "plot.png") == 2
    assert "--plot" in capfd.readouterr().err
