"""The wheel alone, without the checkout and without a network."""

from __future__ import annotations

import os
import subprocess
import sys
import zipfile
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

ROOT = Path(__file__).resolve().parents[1]

REFUSE = """
import socket

def refuse(*arguments, **more):
    raise OSError("the test allows no network")

socket.socket.connect = socket.getaddrinfo = refuse
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the wheel installs, and a network that refuses."""
    folder = tmp_path_factory.mktemp("wheel")
    pip = [sys.executable, "-m", "pip", "wheel", "--no-deps", "--no-build-isolation"]
    subprocess.run(
        [*pip, "--disable-pip-version-check", "-q", "-w", folder, ROOT], check=True, timeout=240
    )
    (wheel,) = folder.glob("*.whl")
    with zipfile.ZipFile(wheel) as archive:
        archive.extractall(folder / "site")
    (folder / "site" / "sitecustomize.py").write_text(REFUSE)
    return folder / "site"


def run(installed: Path, folder: Path, *command: str) -> str:
    environment = {**os.environ, "PYTHONPATH": str(installed)}
    return subprocess.run(
        [sys.executable, *command],
        cwd=folder,
        env=environment,
        check=True,
        timeout=240,
        stdout=subprocess.PIPE,
        text=True,
    ).stdout


@pytest.mark.slow
def test_the_demo_runs_on_lite_offline(installed: Path, tmp_path: Path) -> None:
    found = run(installed, tmp_path, "-c", "import impasto; print(impasto.__file__)")
    assert Path(found.strip()).is_relative_to(installed)
    run(installed, tmp_path, "-m", "impasto", "demo", "-o", "demo", "--size", "128", "-q")
    with Image.open(tmp_path / "demo" / "result.png") as picture:
        result = np.asarray(picture.convert("RGB")).astype(float)
        assert '"network": "lite"' in picture.info["XML:com.adobe.xmp"].replace("&quot;", '"')
    assert result.std() > 10


@pytest.mark.slow
def test_the_wheel_carries_weights_and_notices_and_little_else(installed: Path) -> None:
    files = {
        path.relative_to(installed).as_posix(): path.stat().st_size
        for path in installed.rglob("*")
        if path.is_file() and path.parent.name != "__pycache__"
    }
    assert files["impasto/networks/lite.safetensors"] <= 4e6
    assert "impasto/py.typed" in files
    assert any(name.endswith("licenses/NOTICE") for name in files)
    assert not [name for name in files if name.startswith(("tests", "training", "benchmarks"))]
    assert sum(files.values()) < 16e6
