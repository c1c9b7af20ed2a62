"""The source archive builds the package and has all that its own tests need."""

from __future__ import annotations

import os
import re
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("sdist")
    build = [sys.executable, "-m", "hatchling", "build", "--target", "sdist", "--directory"]
    quiet = subprocess.DEVNULL
    subprocess.run([*build, folder], cwd=ROOT, check=True, timeout=120, stdout=quiet)
    (archive,) = folder.glob("*.tar.gz")
    with tarfile.open(archive) as file:
        file.extractall(folder / "unpacked", filter="data")
    (tree,) = (folder / "unpacked").iterdir()
    return tree


def run(tree: Path, *command: str) -> str:
    """What a module of Python says in the unpacked tree."""
    done = subprocess.run(
        [sys.executable, "-m", *command],
        cwd=tree,
        env={**os.environ, "PYTHONPATH": f"{tree / 'src'}{os.pathsep}{tree}"},
        capture_output=True,
        text=True,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    return done.stdout


@pytest.mark.slow
def test_a_wheel_can_be_built_of_it(unpacked: Path, tmp_path: Path) -> None:
    pip = ["pip", "wheel", "--no-deps", "--no-build-isolation", "--disable-pip-version-check", "-q"]
    run(unpacked, *pip, "-w", str(tmp_path), ".")
    assert len(list(tmp_path.glob("impasto-*.whl"))) == 1


@pytest.mark.slow
def test_its_tests_are_those_of_the_repository(unpacked: Path) -> None:
    """All can be collected, and those of its pages pass: in one go, for to load all takes long."""
    here = {path.relative_to(ROOT) for path in (ROOT / "tests").rglob("*.py")}
    assert {path.relative_to(unpacked) for path in (unpacked / "tests").rglob("*.py")} == here
    chosen = "test_architecture or (test_docs and (links or first_lines or architecture))"
    told = run(unpacked, "pytest", "-q", "-p", "no:cacheprovider", "-k", chosen)
    assert re.fullmatch(
        r"\d+ passed, (\d+ skipped, )?\d{4,} deselected.*", told.splitlines()[-1]
    ), told[-500:]


@pytest.mark.slow
def test_its_scripts_can_be_run(unpacked: Path) -> None:
    for script in (unpacked / "scripts").iterdir():
        assert script.name == "_setup" or script.stat().st_mode & 0o111, script
