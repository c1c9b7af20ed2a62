"""Small pictures, and the command as a person types it."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from impasto.cli.main import main
from tests.forked import Command

QUICK = ["--size", "48", "--coarsest", "0", "--steps", "2", "--threads", "1"]
"""Settings of short runs."""


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder: photos, one of them in a folder of its own, and paintings."""
    (tmp_path / "photos" / "trip").mkdir(parents=True)
    (tmp_path / "paintings").mkdir()
    for number, name in enumerate(("photos/one.png", "photos/trip/two.png", "paintings/wave.png")):
        draw(tmp_path / name, number)
    monkeypatch.chdir(tmp_path)
    return tmp_path


def draw(path: Path, seed: int) -> None:
    """Saves a picture of noise."""
    pixels = np.random.default_rng(seed).integers(0, 256, (36, 48, 3), np.uint8)
    Image.fromarray(pixels).save(path)


def run(*arguments: str) -> int:
    """The exit code of the command in this process."""
    try:
        main(["batch", *arguments])
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def batch(*others: str, output: str = "out") -> int:
    """Every photo with every painting."""
    return run("photos/**/*.png", "--styles", "paintings", "-o", output, *QUICK, *others)


def started(*others: str, where: Path, output: str = "out") -> Command:
    """The same in a process of its own."""
    command = ["batch", "photos/**/*.png", "--styles", "paintings", "-o", output, *QUICK, *others]
    return Command(command, where)


def lines(folder: Path) -> list[dict[str, Any]]:
    """Those of the manifest."""
    return [json.loads(line) for line in (folder / "batch.jsonl").read_text().splitlines()]


def bytes_in(folder: Path) -> dict[str, bytes]:
    """The results in a folder."""
    names: Callable[[Path], bool] = lambda path: path.name != "contact-sheet.png"  # noqa: E731
    found = filter(names, folder.rglob("*.png"))
    return {str(path.relative_to(folder)): path.read_bytes() for path in found}
