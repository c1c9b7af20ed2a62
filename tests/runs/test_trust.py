"""Runs whose network is code: nothing of it runs unless the user says so."""

from __future__ import annotations

import hashlib
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from impasto import reports
from impasto.cli.main import main
from impasto.networks.user import file_of
from impasto.reports import report

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]  # whole runs

MODULE = """
from pathlib import Path
from torch import nn

Path("was_here").touch()

def net(dims, channels, rate):
    Path("made").touch()
    return nn.Sequential(nn.Conv2d(channels, 4, 3, padding=1), nn.ReLU())
"""

COMMAND = ["stylize", "content.png", "style.png", "-o", "out.png", "--run", "run", "-q"]
COMMAND += ["--network", "strange.nets:net", "--content-layers", "1", "--style-layers", "1", "1"]
COMMAND += ["--size", "16", "--coarsest", "0", "--steps", "2", "--checkpoint-every", "0"]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with a finished run."""
    folder = tmp_path_factory.mktemp("made")
    (folder / "strange").mkdir()
    (folder / "strange" / "__init__.py").write_text("from pathlib import Path\nPath('ran').touch()")
    (folder / "strange" / "nets.py").write_text(MODULE)
    rng = np.random.default_rng(0)
    for name in ("content.png", "style.png"):
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)).save(folder / name)
    before = list(sys.path)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        main(COMMAND)
    assert sys.path == before
    forget()
    return folder


def forget() -> None:
    """The modules are loaded no longer."""
    for name in ("strange", "strange.nets"):
        sys.modules.pop(name, None)


@pytest.fixture
def stranger(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A copy of it, and another folder as the current one; no code of the copy has run."""
    folder = tmp_path / "stranger"
    shutil.copytree(made, folder)
    record = folder / "run" / "run.json"
    record.write_text(record.read_text().replace(str(made), str(folder)))
    for trace in ("was_here", "made", "ran"):
        (folder / trace).unlink()
    (tmp_path / "elsewhere").mkdir()
    monkeypatch.chdir(tmp_path / "elsewhere")
    yield folder
    forget()


def traces(folder: Path) -> set[str]:
    """What its code has left, there or here."""
    places = (folder, Path())
    return {name for name in ("was_here", "made", "ran") for at in places if (at / name).exists()}


def refusal(folder: Path) -> str:
    file = folder / "strange" / "nets.py"
    digest = hashlib.sha256(file.read_bytes()).hexdigest()
    return f"strange.nets:net in {file}, SHA-256 {digest}"


def test_resume_runs_a_strangers_code_only_when_told_to(
    stranger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = list(sys.path)
    with pytest.raises(SystemExit) as caught:
        main(["resume", str(stranger / "run")])
    said = capsys.readouterr().err
    assert caught.value.code == 2
    assert said.count("\n") == 1
    assert (
        f"expected --trust, since the network of the run is code, found {refusal(stranger)}" in said
    )
    assert traces(stranger) == set()
    (stranger / "out.png").unlink()
    main(["resume", str(stranger / "run"), "--trust", "-q"])
    assert (stranger / "out.png").exists()
    assert traces(stranger) == {"was_here", "made", "ran"}
    assert sys.path == before


def test_a_report_without_trust_has_what_needs_no_network(
    stranger: Path, caplog: pytest.LogCaptureFixture
) -> None:
    before = list(sys.path)
    main(["report", str(stranger / "run"), "-o", "out.html"])
    text = Path("out.html").read_text()
    assert refusal(stranger) in text
    assert "2 of 2 steps" in text
    assert len(re.findall(r'<img id="(?:content|style)"', text)) == 2
    assert '<img id="result"' not in text
    assert traces(stranger) == set()
    report(stranger / "run", Path("out.html"), trust=True)
    text = Path("out.html").read_text()
    assert '<img id="result"' in text
    assert "strange.nets" in caplog.text
    assert refusal(stranger) in caplog.text
    assert sys.path == before


def test_a_command_that_names_other_code_than_the_settings_is_refused_too(
    stranger: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = stranger / "run" / "run.json"
    record.write_text(record.read_text().replace('"strange.nets:net"', '"strange:net"', 1))
    with pytest.raises(SystemExit):
        main(["resume", str(stranger / "run")])
    assert "a damaged one" in capsys.readouterr().err
    assert traces(stranger) == set()


def test_modules_of_a_strangers_folder_are_not_taken_for_pythons(
    stranger: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As in `python -c`, where the current folder is looked at before all others."""
    (stranger / "colorsys.py").write_text("from pathlib import Path\nPath('ran').touch()")
    monkeypatch.setattr(sys, "path", ["", *sys.path])
    monkeypatch.delitem(sys.modules, "colorsys", raising=False)

    def finding(*_: object) -> None:
        import colorsys  # as any library may at any time

        del colorsys
        raise ZeroDivisionError

    monkeypatch.setattr(reports, "findings_of", finding)
    with pytest.raises(ZeroDivisionError):
        report(stranger / "run", Path("out.html"))
    assert traces(stranger) == set()
    assert sys.path[0] == ""


def test_the_file_of_a_module_is_found_without_running_it(stranger: Path) -> None:
    assert file_of("strange.nets:net", stranger) == stranger / "strange" / "nets.py"
    assert file_of("strange:net", stranger) == stranger / "strange" / "__init__.py"
    assert file_of("strange.other:net", stranger) is None
    assert file_of("builtins:exec", stranger) is None
    assert file_of("json:loads", stranger) is not None
    assert traces(stranger) == set()
