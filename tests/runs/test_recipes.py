"""Recipes: what a picture tells of how it was made, and making another the same way."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from impasto import media
from impasto.cli import commands
from impasto.media.pictures.picture import from_array, open_picture, read_recipe
from tests.cli.test_cli import impasto, one_line

FEW = ("--size", "16", "--coarsest", "0", "--steps", "2", "-q")
NETWORK = ("--network", "filterbank")

pytestmark = pytest.mark.usefixtures("one_thread")


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, a stranger's name in its path, with pictures of 24 x 24."""
    folder = tmp_path / "home-of-jane-doe"
    (folder / "private").mkdir(parents=True)
    monkeypatch.chdir(folder)
    colors = np.random.default_rng(0)
    for name in ("content", "style", "other", "private/map", "private/start"):
        media.save(from_array(colors.random((24, 24, 3))), f"{name}.png")
    mask = np.zeros((24, 24, 3), np.float32)
    mask[:, 12:] = 1
    media.save(from_array(mask), "private/mask.png")
    return folder


def made(*flags: str, output: str = "out.png") -> Any:
    assert impasto("stylize", "content.png", "style.png", "-o", output, *FEW, *flags) == 0
    return json.loads(read_recipe(output) or "")


def with_recipe(recipe: str, name: str = "forged.png") -> str:
    media.save(open_picture("content.png"), name, recipe)
    return name


def test_no_folder_of_this_machine_is_in_a_picture(studio: Path) -> None:
    place = studio / "private"
    files = {"--strength": place / "map.png", "--init": place / "start.png"}
    files["--mask"] = place / "mask.png"
    recipe = made(*(str(word) for pair in files.items() for word in pair), "--run", "run")
    data = Path("out.png").read_bytes()
    for folder in ("jane-doe", "private"):
        assert folder not in json.dumps(recipe)
        assert folder.encode() not in data
    assert recipe["config"]["guidance"]["strength"] == "map.png"
    assert recipe["config"]["guidance"]["mask"] == ["mask.png"]
    assert recipe["config"]["schedule"]["init"] == "start.png"
    assert recipe["files"] == {
        role: {"name": name, "sha256": hashlib.sha256((place / name).read_bytes()).hexdigest()}
        for role, name in {
            "init": "start.png",
            "strength": "map.png",
            "mask 1": "mask.png",
        }.items()
    }


def test_the_folder_of_weights_is_not_in_a_recipe(studio: Path) -> None:
    from impasto.config.presets import configure
    from impasto.runs.origin import origin_of
    from impasto.runs.recipes import recipe_of

    weights = studio / "private" / "vgg.pth"
    weights.write_bytes(b"weights")
    config = configure(network="vgg19", weights=weights)
    recipe = recipe_of(origin_of("content.png", "style.png", config), config, 1.0, 2, finished=True)
    assert recipe["config"]["network"]["weights"] == "vgg.pth"
    assert recipe["files"]["weights"]["sha256"] == hashlib.sha256(b"weights").hexdigest()


def test_a_recipe_is_shown(studio: Path, capfd: pytest.CaptureFixture[str]) -> None:
    recipe = made("--beta", "20", "--strength", "private/map.png", "--no-clip", *NETWORK)
    assert impasto("recipe", "out.png") == 0
    lines = capfd.readouterr().out.splitlines()
    assert lines[0].startswith("made by impasto ")
    assert "stylize, 2 steps, J " in lines[0]
    for line in ("  --beta 20", "  --size 16", "  --no-clip", "  --network filterbank"):
        assert line in lines
    assert any(line.startswith("strength: map.png, SHA-256 ") for line in lines)
    assert lines[-1] == "again: impasto stylize CONTENT STYLE -o OUT --recipe out.png"
    assert impasto("recipe", "out.png", "--json") == 0
    assert json.loads(capfd.readouterr().out) == recipe


def test_the_same_settings_with_other_inputs(studio: Path) -> None:
    first = made("--beta", "20", "--seed", "3", "--init", "noise")
    again = ("-o", "again.png", "--recipe", "out.png", "-q")
    assert impasto("stylize", "content.png", "style.png", *again) == 0
    assert Path("again.png").read_bytes() == Path("out.png").read_bytes()
    assert impasto("stylize", "other.png", "style.png", *again, "--beta", "7") == 0
    other = json.loads(read_recipe("again.png") or "")
    assert other["config"]["objective"]["beta"] == 7
    assert other["config"]["schedule"] == first["config"]["schedule"]
    shares = ("stylize", "other.png", "style.png:0.7", "content.png:0.3")
    assert impasto(*shares, *again) == 0


def test_files_are_asked_for_again(studio: Path, capfd: pytest.CaptureFixture[str]) -> None:
    made("--strength", "private/map.png", "--mask", "private/mask.png")
    again = ("stylize", "other.png", "style.png", "-o", "again.png", "--recipe", "out.png")
    assert impasto(*again) == 2
    words = "your own files for --mask mask.png, --strength map.png"
    assert words in one_line(capfd)
    assert impasto(*again, "--mask", "private/mask.png") == 2
    assert "your own files for --strength map.png," in one_line(capfd)
    files = ("--mask", "private/mask.png", "--strength", "0.5")
    assert impasto(*again, *files, "-q") == 0
    recipe = json.loads(read_recipe("again.png") or "")
    assert recipe["config"]["guidance"]["strength"] == 0.5
    assert set(recipe["files"]) == {"mask 1"}


def test_a_recipe_neither_names_files_of_this_machine_nor_runs_code(
    studio: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    recipe = made()
    Path("evil.py").write_text("open('ran', 'w')")
    for group, name, value, flag in (
        ("network", "network", "evil:make", "--network evil:make"),
        ("schedule", "init", "/etc/secret.png", "--init /etc/secret.png"),
        ("network", "network", "evil:\u001b[31m", "--network evil:?[31m"),
    ):
        forged = json.loads(json.dumps(recipe))
        forged["config"][group][name] = value
        file = with_recipe(json.dumps(forged))
        line = ("stylize", "content.png", "style.png", "-o", "x.png", "--recipe", file)
        assert impasto(*line) == 2
        assert f"expected your own files for {flag}, found none" in one_line(capfd)
        assert impasto("recipe", file) == 0
        assert "\x1b" not in capfd.readouterr().out
    assert not Path("ran").exists()


@pytest.mark.parametrize(
    "recipe",
    [
        "no JSON",
        "[]",
        "{}",
        '{"config": {}}',
        '{"config": 3}',
        "[" * 9000,
        '{"config": {"schedule": {"steps": "many"}}}',
    ],
)
def test_what_is_no_recipe_is_one_line(
    studio: Path, capfd: pytest.CaptureFixture[str], recipe: str
) -> None:
    file = with_recipe(recipe)
    assert impasto("recipe", file) == 2
    assert "the recipe of a picture, with all its settings" in one_line(capfd)
    assert impasto("stylize", "content.png", "style.png", "-o", "x.png", "--recipe", file) == 2
    assert "the recipe of a picture" in one_line(capfd)


def test_recipes_that_are_none(studio: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for name, words in (
        ("content.png", "with a recipe, found a picture without one"),
        ("absent.png", "found none there"),
        (".", "found a folder"),
    ):
        assert impasto("recipe", name) == 2
        assert words in one_line(capfd)
    made()
    line = ("stylize", "content.png", "style.png", "--recipe", "out.png", "-o")
    assert impasto(*line, "x.png", "--preset", "draft") == 2
    assert "a recipe or a preset, found both" in one_line(capfd)
    assert impasto(*line, "out.png") == 2
    assert "out.png, the recipe" in one_line(capfd)


# --- What is said of the inputs, and where results go


@pytest.mark.parametrize(
    ("styles", "said"),
    [
        (["style.png"], "content: content.png; style: style.png\n"),
        (["style.png", "other.png"], "content: content.png; styles: style.png, other.png. All"),
        (["style.png:3", "other.png"], "content: content.png; styles: style.png, other.png\n"),
    ],
)
def test_which_file_is_the_content_is_said(
    studio: Path, capfd: pytest.CaptureFixture[str], styles: list[str], said: str
) -> None:
    line = ("stylize", "content.png", *styles, "-o", "out.png", *FEW[:-1])
    assert impasto(*line) == 0
    heard = capfd.readouterr()
    assert heard.out == ""
    assert said in heard.err
    assert ("for f in contents/*; do impasto stylize" in heard.err) == ("All" in said)
    assert impasto(*line, "-q") == 0
    assert capfd.readouterr() == ("", "")
    assert impasto(*line, "--json") == 0
    heard = capfd.readouterr()
    assert "content: " not in heard.out + heard.err


def test_a_result_in_a_folder_is_named_after_its_inputs(
    studio: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    Path("results.v2").mkdir()
    line = ("stylize", "content.png", "style.png", "private/map.png", "-o", "results.v2/", *FEW)
    for _ in range(2):  # the second takes the place of the first
        assert impasto(*line) == 0
    assert [path.name for path in Path("results.v2").iterdir()] == ["content-style-map.png"]
    media.save(open_picture("content.png"), "content-style.png")
    before = Path("content-style.png").read_bytes()
    assert impasto("stylize", "content.png", "style.png", "-o", ".", *FEW) == 2
    assert "an earlier result, found another file" in one_line(capfd)
    assert Path("content-style.png").read_bytes() == before


# --- Numbers, and the habits of other programs


def test_a_number_is_a_strength_for_all_places(
    studio: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    even = np.full((24, 24, 3), 102 / 255, np.float32)  # 0.4
    media.save(from_array(even), "even.png")
    settings = (("--strength", "even.png"), ("--strength", "0.4"), ("--beta", "2.4"), ())
    same = ("--learning-rate", "1e-5", "--init", "content", "--precision", "fp32")
    flags = ((*few, *same) for few in settings)
    by_map, by_number, by_beta, plain = (made(*few)["value"] for few in flags)
    assert by_number == pytest.approx(by_beta, rel=1e-6)  # of 6
    assert by_number == pytest.approx(by_map, rel=0.02)
    assert abs(by_number / plain - 1) > 0.1
    for value in ("0", "1.5", "nan", "-1"):
        assert (
            impasto("stylize", "content.png", "style.png", "-o", "x.png", f"--strength={value}")
            == 2
        )
        assert "a number in (0, 1]" in one_line(capfd)


@pytest.mark.parametrize(
    ("flag", "ours"),
    [
        ("--iterations 500", "--steps"),
        ("--style-weight 1e5", "--beta"),
        ("--style_weight=1e5", "--beta"),
        ("--content-weight 5", "--alpha"),
        ("--tv-weight 2", "--gamma"),
        ("--preserve-colors", "--color luminance"),
        ("--image-size 512", "--size"),
        ("-image_size 512", "--size"),
        ("-num_iterations 500", "--steps"),
        ("-style_image style.png", "the styles after the content"),
        ("-init random", "--init"),
        ("-learning_rate 1", "--learning-rate"),
        ("--end-scale 512", "--size"),
        ("--step-size 0.02", "--learning-rate"),
        ("--checkpoint-dir here", "--run"),
    ],
)
def test_flags_of_other_programs_are_answered_with_ours(
    studio: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
    flag: str,
    ours: str,
) -> None:
    monkeypatch.setattr(commands, "stylize", lambda *_, **__: pytest.fail("it went to work"))
    line = ("stylize", "content.png", "style.png", "-o", "out.png", *flag.split())
    assert impasto(*line) == 2
    message = one_line(capfd)
    name = flag.split()[0].partition("=")[0]
    assert message.startswith(f"impasto: {name}: expected {ours}")
    assert "a flag of another program" in message


def test_our_own_flags_are_not_taken_for_those_of_others() -> None:
    from dataclasses import fields

    from impasto.cli.arguments import Stylize, Texture
    from impasto.cli.borrowed import _OURS
    from impasto.config.config import Config

    groups = (field.name for field in fields(Config))
    plain = Config()
    ours = {field.name for group in groups for field in fields(getattr(plain, group))}
    ours |= {field.name for kind in (Stylize, Texture) for field in fields(kind)}
    flags = {name.replace("_", "-") for name in ours} - {"content"}  # which is no flag
    assert not flags & set(_OURS)


def test_a_texture_is_a_picture_where_its_suffix_is_a_pictures(studio: Path) -> None:
    few = ("--coarsest", "0", "--steps", "1", "-q")
    assert impasto("texture", "style.png", "-o", "t.png", "--size", "32", "40", *few) == 0
    from impasto.cli.parsing import parse

    for output, size in (("t.png", (256, 256)), ("t.TIFF", (256, 256)), ("t.npy", (128,) * 3)):
        command = parse(["texture", "style.png", "-o", output])
        assert command.schedule.size == size  # type: ignore[union-attr]
    recipe = json.loads(read_recipe("t.png") or "")
    assert (recipe["command"], recipe["preset"]) == ("texture", "texture")
    assert recipe["config"]["network"]["network"] == "vgg16"
