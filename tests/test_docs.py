"""Every command and every program in the README and the docs is run."""

from __future__ import annotations

import json
import re
import shlex
import socket
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from pkgutil import resolve_name

import numpy as np
import pytest
from PIL import Image
from skimage.data import astronaut

from impasto import media
from impasto.cli import arguments, parsing
from impasto.cli.main import main
from impasto.config.presets import PRESETS
from impasto.explain import experiments as explain
from impasto.instant.decoder import load_decoder
from impasto.media.signals.signal import Signal
from impasto.media.volumes.volume import Volume

ROOT = Path(__file__).resolve().parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").glob("*.md"))]
LARGE, SMALL = "1024", "96"
"""A size that the docs speak of, and what it is here."""

BLOCK = re.compile(r"^```(\w+)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def blocks(language: str) -> list[object]:
    """The fenced blocks of a language on all pages."""
    return [
        pytest.param(match[2], id=f"{page.name}-{number}")
        for page in PAGES
        for number, match in enumerate(BLOCK.finditer(page.read_text()), start=1)
        if match[1] == language
    ]


def table_of_pairs() -> str:
    """The table in docs/batch.md, with a small size."""
    page = (ROOT / "docs" / "batch.md").read_text()
    (table,) = (match[2] for match in BLOCK.finditer(page) if match[2].startswith("content,style"))
    return table.replace(LARGE, "48")


def free_port() -> str:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return str(probe.getsockname()[1])


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with the pictures that the docs speak of; runs are short and small in it."""
    for row, name in enumerate(("content.jpg", "style.jpg", "other.jpg")):
        part = astronaut()[150 * row : 150 * row + 150, 100:300]
        Image.fromarray(part).save(tmp_path / name)
    times = np.arange(1200) / 120
    Image.fromarray(astronaut()[150:190, 100:140]).save(tmp_path / "brick.png")
    halves = np.zeros((150, 200), np.uint8)
    halves[:, :100] = 255
    for name in ("content-mask.png", "style-mask.png", "strength.png"):
        Image.fromarray(halves).save(tmp_path / name)
    (tmp_path / "paintings").mkdir()
    for name in ("style.jpg", "other.jpg"):
        (tmp_path / "paintings" / name).write_bytes((tmp_path / name).read_bytes())
    (tmp_path / "photos" / "trip").mkdir(parents=True)
    for name in ("photos/cat.jpg", "photos/trip/bay.jpg"):
        (tmp_path / name).write_bytes((tmp_path / "content.jpg").read_bytes())
    for name in ("wave.jpg", "dusk.jpg"):
        (tmp_path / "paintings" / name).write_bytes((tmp_path / "style.jpg").read_bytes())
    (tmp_path / "photos" / "bay.jpg").write_bytes((tmp_path / "content.jpg").read_bytes())
    (tmp_path / "pairs.csv").write_text(table_of_pairs())
    for name, seed in (("chest.nii.gz", 0), ("sharp.nii.gz", 1)):
        values = np.random.default_rng(seed).normal(0, 300, (1, 20, 18, 18)).astype(np.float32)
        media.save(Volume(values, dtype=np.dtype(np.int16)), tmp_path / name)
    for name, frequency in (("ecg.csv", 1.0), ("noisy.csv", 3.0)):
        values = np.sin(2 * np.pi * frequency * times) ** 9
        rows = [f"{t:.6f},{x:.4f}" for t, x in zip(times, values, strict=True)]
        (tmp_path / name).write_text("\n".join(["time (s),II (mV)", *rows, ""]))
    for name, frequency in (("strings.wav", 440), ("whale.wav", 150)):
        sound = np.sin(2 * np.pi * frequency * np.arange(4000) / 8000)[None].astype(np.float32)
        signal = Signal(0.5 * sound, (-1.0, 1.0), rate=8000.0, names=("1",), units=("",))
        media.save(signal, tmp_path / name)
    for name, preset in PRESETS.items():
        size: tuple[int, ...] = (
            () if name in {"ecg", "audio-texture", "audio-transfer", "ct", "volume"} else (40,)
        )
        size = {"texture3d": (40,) * 3, "texture": (40,) * 2}.get(name, size)
        schedule = replace(preset.schedule, size=size, coarsest=0, steps=(3,))
        monkeypatch.setitem(PRESETS, name, replace(preset, schedule=schedule))
    planned = explain.experiments
    monkeypatch.setattr(
        explain,
        "experiments",
        lambda style, size, network, quick: tuple(
            replace(each, config=replace(config, schedule=replace(config.schedule, steps=(1,))))
            for each in planned(style, 64, network, quick=quick)[::9]
            for config in [each.config]
        ),
    )
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path


@pytest.mark.slow
@pytest.mark.parametrize("block", blocks("bash"))
def test_commands(block: str, folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for line in block.strip().splitlines():
        words = shlex.split(line, comments=True)
        command = [SMALL if word == LARGE else word for word in words]
        if command[0].startswith("scripts/"):
            script = ROOT / command[0]
            assert subprocess.run(["bash", "-n", script], check=False).returncode == 0
            assert script.stat().st_mode & 0o111
        elif {"vgg19", "gatys", "export"} & set(command):
            # No weights here, and an export takes half a minute: what it would do is parsed.
            parsed = parsing.parse(command[1:])
            assert isinstance(parsed, arguments.Stylize | arguments.Networks | arguments.Export)
        elif command[0] == "torchrun":
            small = ["--size", "480", "--coarsest", "0", "--steps", "2", "-q"]
            program = [sys.executable, "-m", "torch.distributed.run", "--master-port", free_port()]
            subprocess.run([*program, *command[1:], *small], check=True, timeout=120)
            assert (folder / "out.png").exists()
        else:
            assert command[0] == "impasto"
            main(command[1:])
            if "-o" in command:
                output = folder / command[command.index("-o") + 1]
                if command[1] == "batch":
                    made = (output / "batch.jsonl").read_text().splitlines()
                    assert {json.loads(line)["state"] for line in made} == {"done"}
                    assert (output / "overview.html").stat().st_size > 10_000
                    continue
                if command[1] in {"plot", "explain"}:
                    assert output.stat().st_size > 10_000
                    continue
                if output.suffix == ".safetensors":
                    assert load_decoder(output)
                    continue
                if output.suffix == ".npy":
                    assert media.load(output).data.shape == (3, 40, 40, 40)
                    continue
                if output.suffix in {".csv", ".wav", ".gz"}:
                    assert media.load(output).space == media.load(folder / command[2]).space
                    continue
                with Image.open(output) as picture:
                    picture.load()
                    sizes = {int(word) for word in command if word == SMALL}
                    assert max(picture.size) == max(sizes, default=40)


@pytest.mark.parametrize("block", blocks("python"))
def test_programs(block: str, folder: Path) -> None:
    names: dict[str, object] = {}
    exec(compile(block, "docs", "exec"), names)
    assert "stylize" not in block or "result" in names
    assert set(folder.glob("out*")) == ({folder / "out.png"} if "save" in block else set())


def test_the_network_of_ones_own(folder: Path) -> None:
    page = (ROOT / "docs" / "signals.md").read_text()
    program = next(match[2] for match in BLOCK.finditer(page) if "class ResNet" in match[2])
    (folder / "mine.py").write_text(program)
    command = next(line for line in page.splitlines() if "--network mine:ResNet" in line)
    main(shlex.split(command)[1:])
    assert media.load(folder / "out.csv").space == media.load(folder / "ecg.csv").space


def test_the_readme_shows_the_whole_job_in_its_first_lines() -> None:
    head = (ROOT / "README.md").read_text().splitlines()[:20]
    assert any(line.startswith("impasto stylize") for line in head)
    assert any("result.save" in line for line in head)


def test_the_lines_of_the_readme_fit_a_window() -> None:
    lines = (ROOT / "README.md").read_text().splitlines()
    assert not [line for line in lines if len(line) > 100]


def test_the_readme_has_every_preset() -> None:
    named = re.findall(r"^\|.*?`([\w-]+)` \|", (ROOT / "README.md").read_text(), re.MULTILINE)
    assert set(PRESETS) <= set(named)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_names_of_the_code_are_there(page: Path) -> None:
    text = page.read_text()
    package = ROOT / "src" / "impasto"
    rooms = "|".join(path.parent.name for path in package.glob("*/__init__.py"))
    for name in re.findall(rf"`(?:impasto\.)?((?:{rooms})\.[\w.]+)`", text):
        assert resolve_name(f"impasto.{name}") is not None
    for name in re.findall(r"`((?:\w+/)+\w+\.py)`", text):
        assert (ROOT / name).exists() or (package / name).exists(), name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\((?!\w+://)([\w./-]{3,})\)", page.read_text()):
        assert (page.parent / target).exists(), target
