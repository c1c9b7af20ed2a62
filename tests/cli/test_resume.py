"""Run folders as a person meets them: what is in them, and `impasto resume`."""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from impasto.cli.main import main
from impasto.errors import ConfigError, SampleError
from impasto.runs.reading import read_run, read_steps
from impasto.transfer.stylize import stylize
from tests.forked import Command

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]  # whole runs

SETTINGS = [
    "--size",
    "32",
    "--coarsest",
    "16",
    "--steps",
    "4",
    "3",
    "--checkpoint-every",
    "0",
    "-q",
]


@pytest.fixture
def studio(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a content and a style."""
    rng = np.random.default_rng(0)
    for name in ("content", "style"):
        pixels = rng.integers(0, 256, (24, 32, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(*arguments: str) -> int:
    """The exit code of the command in this process."""
    try:
        main(arguments)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


def painted(*others: str) -> list[str]:
    """A run of a few steps in the folder `run`."""
    command = ["stylize", "content.png", "style.png", "-o", "out.png", "--run", "run"]
    assert run(*command, *SETTINGS, *others) == 0
    return [*command, *SETTINGS, *others]


def lines(folder: Path) -> list[dict[str, Any]]:
    """Those of the steps, less the time."""
    return [{k: v for k, v in line.items() if k != "seconds"} for line in read_steps(folder)]


def set_back(folder: Path) -> None:
    """Takes the last checkpoint away: as if killed before it was written."""
    max(folder.glob("*.safetensors")).unlink()


def test_the_folder_tells_where_the_run_comes_from(studio: Path) -> None:
    typed = painted("--seed", "5")
    found = json.loads((studio / "run" / "run.json").read_text())
    origin = found["origin"]
    assert origin["command"] == typed
    assert origin["folder"] == str(studio)
    assert origin["output"] == str(studio / "out.png")
    assert origin["preset"] == "standard"
    assert origin["settings"]["schedule"]["seed"] == 5
    assert found["inputs"] == {
        role: hashlib.sha256((studio / f"{name}.png").read_bytes()).hexdigest()
        for role, name in (("content", "content"), ("style 1", "style"))
    }
    assert found["versions"]["torch"] == torch.__version__
    assert all(found["versions"].values())


def test_a_line_a_step(studio: Path) -> None:
    painted()
    found = read_steps(studio / "run")
    assert [line["step"] for line in found] == list(range(1, len(found) + 1))
    assert found[-1]["step"] == found[-1]["steps"]
    for line in found:
        assert line["value"] == pytest.approx(sum(line["terms"].values()))
    seconds = [line["seconds"] for line in found]
    assert seconds == sorted(seconds)
    assert found[0]["space"] == [12, 16]
    assert found[-1]["space"] == [24, 32]


def test_resume_from_another_folder(studio: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    painted()
    expected, steps = (studio / "out.png").read_bytes(), lines(studio / "run")
    set_back(studio / "run")
    with open(studio / "run" / "steps.jsonl", "ab") as file:
        file.write(b'{"step": 99, "val')  # killed while it wrote a line
    (studio / "out.png").unlink()
    os.chdir(tmp_path_factory.mktemp("elsewhere"))
    assert run("resume", str(studio / "run"), "-q") == 0
    assert (studio / "out.png").read_bytes() == expected
    assert lines(studio / "run") == steps
    seconds = [line["seconds"] for line in read_steps(studio / "run")]
    assert seconds == sorted(seconds)


def test_resume_before_the_first_checkpoint_and_after_the_last(studio: Path) -> None:
    painted()
    expected, steps = (studio / "out.png").read_bytes(), lines(studio / "run")
    for left in (2, 0):
        for file in sorted((studio / "run").glob("*.safetensors"))[left:]:
            file.unlink()
        (studio / "out.png").unlink()
        assert run("resume", "run", "-q") == 0
        assert (studio / "out.png").read_bytes() == expected
        assert lines(studio / "run") == steps


def test_resume_a_texture(studio: Path) -> None:
    command = ["texture", "style.png", "-o", "out.npy", "--size", "16", "16", "16", "--run", "run"]
    assert run(*command, "--steps", "3", "--coarsest", "0", "--checkpoint-every", "0", "-q") == 0
    expected = (studio / "out.npy").read_bytes()
    set_back(studio / "run")
    (studio / "out.npy").unlink()
    assert run("resume", "run", "-q") == 0
    assert (studio / "out.npy").read_bytes() == expected


def test_what_cannot_go_on_is_told_in_one_line(
    studio: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def told() -> str:
        assert run("resume", "run") == 2
        error = capsys.readouterr().err
        assert error.count("\n") == 1
        return error

    assert "expected the folder of a run" in told()
    painted("--init", "content")
    kept = (studio / "style.png").read_bytes()
    digest = hashlib.sha256(kept).hexdigest()
    Image.new("RGB", (32, 24)).save(studio / "style.png")
    changed = hashlib.sha256((studio / "style.png").read_bytes()).hexdigest()
    assert f"expected the style 1 of the run, SHA-256 {digest}, found SHA-256 {changed}" in told()
    (studio / "style.png").unlink()
    assert f"{studio / 'style.png'}: expected the style 1" in told()
    (studio / "style.png").write_bytes(kept)
    record = json.loads((studio / "run" / "run.json").read_text())
    for change, words in (
        ({"identity": {**record["identity"], "processes": 2}}, "expected 2 processes"),
        ({"origin": {**record["origin"], "folder": "/none"}}, "started in, /none"),
        ({"origin": {**record["origin"], "command": []}}, "a run that a command started"),
        ({"origin": {}}, "another version, or a damaged one"),
        ({"origin": {**record["origin"], "settings": {"schedule": 3}}}, "a damaged one"),
    ):
        (studio / "run" / "run.json").write_text(json.dumps(record | change))
        assert words in told()
    (studio / "run" / "run.json").write_text("{")
    assert "a damaged one" in told()


def test_files_that_settings_name_are_inputs(studio: Path) -> None:
    Image.new("RGB", (32, 24), "gray").save(studio / "init.png")
    painted("--init", "init.png")
    found = read_run(studio / "run")
    digest = hashlib.sha256((studio / "init.png").read_bytes()).hexdigest()
    assert found.inputs["init"] == found.identity["files"]["init"] == digest
    Image.new("RGB", (32, 24), "white").save(studio / "init.png")
    with pytest.raises(SampleError, match="the init of the run"):
        found.check_inputs()
    config = found.origin.config
    with pytest.raises(ConfigError, match="another run's: init differs"):
        stylize("content.png", "style.png", config, run="run")


def test_another_version_is_a_note_and_no_refusal(
    studio: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    painted()
    path = studio / "run" / "run.json"
    record = json.loads(path.read_text())
    record["versions"]["torch"] = "1.0"
    path.write_text(json.dumps(record))
    set_back(studio / "run")
    assert run("resume", "run") == 0
    told = capsys.readouterr().err
    assert f"torch 1.0 then, {torch.__version__} now" in told
    assert "going on after step" in told


def test_a_program_is_recorded_too(studio: Path) -> None:
    painted()
    config = read_run(studio / "run").origin.config
    stylize("content.png", ["style.png"], config, run="other")
    stylize(np.zeros((24, 32, 3)), np.ones((24, 32, 3)), config, run="arrays")
    assert read_run(studio / "other").origin.inputs == read_run(studio / "run").origin.inputs
    assert read_run(studio / "other").identity == read_run(studio / "run").identity
    assert read_run(studio / "arrays").origin.inputs == {}
    assert lines(studio / "other") == lines(studio / "run")


@pytest.mark.slow
def test_runs_killed_at_ten_random_moments_end_with_the_same_bytes(studio: Path) -> None:
    rng = random.Random(0)
    program = [sys.executable, "-m", "impasto"]
    command = ["stylize", "content.png", "style.png", "-q", "--checkpoint-every", "0"]
    command += ["--size", "32", "--coarsest", "16", "--steps", "12", "8", "--threads", "1", "-o"]
    subprocess.run([*program, *command, "whole.png", "--run", "whole"], check=True)
    expected, steps = (studio / "whole.png").read_bytes(), lines(studio / "whole")
    stopped = set()
    for number in range(10):
        folder, output = studio / f"run{number}", studio / f"out{number}.png"
        after = rng.randrange(len(steps) - 1)
        process = Command([*command, output.name, "--run", folder.name], studio)
        while not (folder / "run.json").exists() or len(read_steps(folder)) < after:
            assert process.returncode is None, process.err
            time.sleep(0.002)
        time.sleep(0.02 * rng.random())
        process.kill()
        stopped.add(len(read_steps(folder)))
        if number:
            assert run("resume", folder.name, "-q") == 0
        else:
            subprocess.run([*program, "resume", folder.name, "-q"], check=True)
        assert output.read_bytes() == expected
        assert lines(folder) == steps
    assert len(stopped) > 5
