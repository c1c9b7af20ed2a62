"""`--device` and `--devices` on the command line."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from impasto import media
from impasto.cli import launching
from tests.cli.test_cli import SMALL, impasto, one_line, paintings, studio
from tests.forked import Command

__all__ = ["paintings", "studio"]
pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_device_that_is_not_there(studio: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ("stylize", "content.png", "style.png", "-o", "out.png", *SMALL, "--device", "xpu")
    assert impasto(*given) == 2
    assert "--device: expected auto, cpu or a device of this machine for 'xpu'" in one_line(capsys)
    assert not Path("out.png").exists()


def test_flags_of_other_programs(studio: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for flag in ("-device", "-devices", "-gpu"):
        assert impasto("stylize", "content.png", "style.png", "-o", "out.png", flag, "0") == 2
        assert "--device" in one_line(capsys)


def test_processes_are_started_by_the_launcher(
    studio: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torch.distributed import run

    given: list[list[str]] = []
    monkeypatch.setattr(run, "main", lambda arguments: given.append(arguments))
    command = ["stylize", "content.png", "style.png", "-o", "out.png", *SMALL, "--devices", "2"]
    assert impasto(*command) == 0
    (arguments,) = given
    assert arguments == ["--standalone", "--nproc-per-node=2", "-m", "--", "impasto", *command]


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("-o", "-", "--devices", "2"), "--devices: expected files"),
        (("-o", "out.png", "--devices", "0"), "--devices: expected a whole number from 1"),
    ],
)
def test_what_several_processes_cannot_do(
    studio: Path, capsys: pytest.CaptureFixture[str], flags: Any, message: str
) -> None:
    assert impasto("stylize", "content.png", "style.png", *flags) == 2
    assert message in one_line(capsys)


def test_processes_of_a_launcher_start_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    assert launching.launches(2)
    assert not launching.launches(1)
    monkeypatch.setenv("WORLD_SIZE", "2")
    assert not launching.launches(2)


@pytest.mark.slow
def test_two_processes_give_the_result_of_one(studio: Path) -> None:
    flags = ("--size", "512", "--coarsest", "0", "--steps", "2", "--precision", "fp32", "-q")
    command = ["stylize", "content.png", "style.png", *flags]
    for name, devices in (("one.png", "1"), ("two.png", "2")):
        process = Command([*command, "-o", name, "--devices", devices], studio)
        assert process.end(100) == 0, process.err
    one, two = (media.load(Path(name)).data for name in ("one.png", "two.png"))
    np.testing.assert_allclose(one, two, atol=0.02)
    assert np.abs(one - two).mean() < 1e-4
    missing = ["stylize", "content.png", "none.png", "-o", "a.png", "--devices", "2"]
    process = Command(missing, studio)
    assert process.end(100) == 2
    assert "none.png: expected a picture file, found none there" in process.err
    assert "Traceback" not in process.err
