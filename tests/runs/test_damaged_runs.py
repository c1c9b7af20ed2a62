"""Run folders that were damaged or made up: one line that says what is wrong, and the last whole
checkpoint."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from impasto.cli.main import main
from impasto.runs.reading import read_checkpoint, read_steps

pytestmark = pytest.mark.usefixtures("one_thread")

COMMAND = ["stylize", "content.png", "style.png", "-o", "out.png", "--run", "run", "-q"]
COMMAND += ["--network", "filterbank", "--content-layers", "edge1", "--style-layers", "edge1", "1"]
COMMAND += ["--size", "16", "--coarsest", "0", "--steps", "3", "--checkpoint-every", "0"]

ODD: tuple[Any, ...] = (
    None,
    True,
    -1,
    0,
    2,
    1e308,
    float("nan"),
    float("inf"),
    10**30,
    "",
    "x\0y",
    "\ud800",
)
ODD = (*ODD, [], [[]], {}, {"x": 1}, ["x"], [-1], "../../x", "/dev/null", "--help", "mine:net")


def code_of(*arguments: str) -> int:
    """The exit code of the command in this process; what else it raises is a traceback."""
    try:
        main(arguments)
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a finished run of three steps, which is the current one."""
    folder = tmp_path_factory.mktemp("made")
    rng = np.random.default_rng(0)
    for name in ("content.png", "style.png"):
        Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)).save(folder / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        assert code_of(*COMMAND) == 0
        shutil.copytree("run", "kept")
        yield folder


@pytest.fixture
def run(made: Path) -> Path:
    """The folder of the run, as it was left."""
    os.chdir(made)
    shutil.rmtree("run")
    shutil.copytree("kept", "run")
    return made / "run"


def leaves(value: Any, way: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The ways to all values in what JSON has."""
    inside: list[tuple[Any, Any]] = []
    if isinstance(value, dict | list):
        inside = list(value.items() if isinstance(value, dict) else enumerate(value))
    return [way, *(leaf for key, part in inside for leaf in leaves(part, (*way, key)))]


def changed(value: Any, rng: random.Random) -> Any:
    """What JSON has, with a value taken out, replaced or doubled."""
    *way, last = rng.choice(leaves(value)[1:])
    holder = value
    for key in way:
        holder = holder[key]
    match rng.randrange(4):
        case 0:
            del holder[last]
        case 1 if isinstance(holder, dict):
            holder[f"{last}x"] = holder.pop(last)
        case 2 if isinstance(holder[last], int | float):
            holder[last] = rng.choice((holder[last] + 1, -holder[last], holder[last] * 1e9))
        case _:
            holder[last] = rng.choice(ODD)
    return value


def mutant(data: bytes, rng: random.Random, structured: bool) -> bytes:
    """The bytes of a file with something changed."""
    if structured and rng.random() < 0.5:
        lines = data.splitlines() if data.count(b"}\n{") else [data]
        number = rng.randrange(len(lines))
        lines[number] = json.dumps(changed(json.loads(lines[number]), rng)).encode()
        return b"\n".join(lines) + b"\n"
    raw, at = bytearray(data), rng.randrange(len(data))
    match rng.randrange(5):
        case 0:
            raw[at] ^= 1 << rng.randrange(8)
        case 1:
            del raw[at:]
        case 2:
            raw[at : at + 8] = rng.randbytes(8)
        case 3:
            raw[at:at] = raw[at : at + rng.randrange(1, 99)]
        case 4:
            del raw[at : at + rng.randrange(1, 99)]
    return bytes(raw)


def check(command: Sequence[str], run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """It ends well, or in one line; the folder is as before after that."""
    kept = {path: path.read_bytes() for path in run.iterdir()}
    code, said = code_of(*command), capsys.readouterr().err
    assert code in (0, 2), (command, said)
    assert code == 0 or re.search("impasto: .* expected .*, found ", said), (command, said)
    assert "Traceback" not in said
    assert len(said.splitlines()) <= 3, said
    for path in run.iterdir():
        path.unlink()
    for path, data in kept.items():
        path.write_bytes(data)


COMMANDS = (["report", "run", "-o", "out.html"], ["resume", "run", "-q"], COMMAND)
FILES = {"run.json": True, "steps.jsonl": True, "step000003-of-rank0.safetensors": False}


@pytest.mark.slow
@pytest.mark.parametrize("name", FILES)
def test_mutants_of_a_run_end_in_one_line(
    name: str, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rng = random.Random(name)
    whole = (run / name).read_bytes()
    for number in range(int(os.environ.get("MUTANTS", "60"))):
        (run / name).write_bytes(mutant(whole, rng, FILES[name]))
        check(COMMANDS[number % 3], run, capsys)


def test_damage_anywhere_in_a_checkpoint_shows(run: Path) -> None:
    path = run / "step000003-of-rank0.safetensors"
    whole, rng = path.read_bytes(), random.Random(0)
    assert read_checkpoint(run, 3, 0) is not None
    for number in range(1000):
        damaged = mutant(whole, rng, False)
        if number < 8 * 60:  # every bit of the beginning too
            flipped = bytearray(whole)
            flipped[number // 8] ^= 1 << number % 8
            damaged = bytes(flipped)
        path.write_bytes(damaged)
        assert damaged == whole or read_checkpoint(run, 3, 0) is None


@pytest.mark.parametrize("kept", [1, 0])
def test_the_last_whole_checkpoint_is_gone_on_from(
    kept: int, run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    expected = Path("out.png").read_bytes()
    for path in sorted(run.glob("*.safetensors"))[kept:]:
        data = bytearray(path.read_bytes())
        data[-1] ^= 1
        path.write_bytes(data)
    assert code_of("resume", "run") == 0
    said = capsys.readouterr().err
    assert "the checkpoint of step 3 is damaged and left out" in said
    assert ("going on after step 2 of 3" in said) == (kept == 1)
    assert Path("out.png").read_bytes() == expected
    assert [line["step"] for line in read_steps(run)] == [1, 2, 3]


def test_damaged_lines_are_left_out_and_the_others_stay(
    run: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = run / "steps.jsonl"
    first, second, third = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(first + second.replace(b'"step"', b'"stop"') + second + third + second)
    assert code_of("report", "run", "-o", "out.html") == 0
    assert "1 of 5 lines damaged and left out" in caplog.text
    assert "3 of 3 steps" in Path("out.html").read_text()


@pytest.mark.parametrize(
    ("words", "change"),
    [
        ("Expected `int` >= 0 - at `$.origin.settings.schedule.seed`", {"seed": -1}),
        ("no setting 'sed' is known here", {"sed": 1}),
        ("coarsest is 7 in one place, 0 in another", {"coarsest": 7}),
    ],
)
def test_what_is_wrong_with_a_record_is_told(
    words: str, change: dict[str, Any], run: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    record = json.loads((run / "run.json").read_text())
    record["origin"]["settings"]["schedule"] |= change
    (run / "run.json").write_text(json.dumps(record))
    for command in COMMANDS:
        assert code_of(*command) == 2
        assert f"of another version, or a damaged one: {words}" in capsys.readouterr().err
