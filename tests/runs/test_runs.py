from __future__ import annotations

import logging
import socket
import time
from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from impasto.config.presets import configure
from impasto.engine.plan import choose_plan
from impasto.errors import ConfigError, OutputError
from impasto.media.sample import Sample
from impasto.runs.reading import read_steps
from impasto.transfer import setup
from impasto.transfer import stylize as transfer
from impasto.transfer.descent import Progress
from impasto.transfer.stylize import stylize
from tests.forked import Child, Command

SETTINGS: dict[str, Any] = {"coarsest": 400, "steps": (5, 4), "checkpoint_every": 0.0}


@pytest.fixture(scope="module")
def samples() -> tuple[Sample, Sample]:
    random = np.random.default_rng(0)
    return (
        Sample(np.sin(np.arange(900) / 15, dtype=np.float32)[None]),
        Sample(random.normal(size=(1, 900)).astype(np.float32)),
    )


def interrupt_at(step: int) -> Any:
    def callback(progress: Progress) -> None:
        if progress.step == step:
            raise KeyboardInterrupt

    return callback


@pytest.mark.slow
@pytest.mark.parametrize(
    ("optimizer", "step"),
    [
        ("adam", 1),
        ("adam", 5),
        ("lbfgs", 6),
        ("gradient-descent", 12),
        *(
            pytest.param(optimizer, step, marks=pytest.mark.slow)
            for optimizer, steps in (
                ("adam", (6, 12)),
                ("lbfgs", (1, 5, 12)),
                ("gradient-descent", (1, 5, 6)),
            )
            for step in steps
        ),
    ],
)
def test_an_interrupted_run_ends_with_the_same_bytes(
    samples: tuple[Sample, Sample], optimizer: str, step: int, tmp_path: Path
) -> None:
    content, style = samples
    rate = 0.001 if optimizer == "gradient-descent" else 0.03
    config = configure(**SETTINGS, optimizer=optimizer, learning_rate=rate)
    expected = stylize(content, style, config).numpy()
    part = stylize(content, style, config, run=tmp_path / "run", callback=interrupt_at(step))
    assert not part.finished
    steps: list[int] = []
    result = stylize(
        content, style, config, run=tmp_path / "run", callback=lambda p: steps.append(p.step)
    )
    assert steps[0] == step + 1
    assert result.finished
    np.testing.assert_array_equal(result.numpy(), expected)
    kept = sorted(path.name for path in (tmp_path / "run").glob("*.safetensors"))
    assert len(kept) == 2
    again = stylize(content, style, config, run=tmp_path / "run")  # nothing is left to do
    np.testing.assert_array_equal(again.numpy(), expected)


@pytest.mark.slow
@pytest.mark.parametrize(
    "damage",
    [
        lambda data: data[: len(data) // 2],
        lambda data: b"",
        lambda data: data[:-9] + bytes([data[-9] ^ 1]) + data[-8:],
    ],
)
def test_a_damaged_checkpoint_gives_way_to_the_one_before(
    samples: tuple[Sample, Sample], damage: Any, tmp_path: Path
) -> None:
    content, style = samples
    config = configure(**SETTINGS)
    expected = stylize(content, style, config).numpy()
    stylize(content, style, config, run=tmp_path, callback=interrupt_at(7))
    last = max(tmp_path.glob("*.safetensors"))
    last.write_bytes(damage(last.read_bytes()))
    steps: list[int] = []
    result = stylize(content, style, config, run=tmp_path, callback=lambda p: steps.append(p.step))
    assert steps[0] == 7
    np.testing.assert_array_equal(result.numpy(), expected)


def test_the_folder_of_another_run_is_refused(
    samples: tuple[Sample, Sample], tmp_path: Path
) -> None:
    content, style = samples
    stylize(content, style, configure(**SETTINGS), run=tmp_path, callback=interrupt_at(1))
    before = {path: path.read_bytes() for path in tmp_path.iterdir()}
    with pytest.raises(ConfigError, match=r"another run's: beta differs; choose another"):
        stylize(content, style, configure(**SETTINGS, beta=3.0), run=tmp_path)
    with pytest.raises(ConfigError, match="another run's: content differs"):
        stylize(style, style, configure(**SETTINGS), run=tmp_path)
    assert {path: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_how_a_run_is_done_may_change(samples: tuple[Sample, Sample], tmp_path: Path) -> None:
    content, style = samples
    stylize(content, style, configure(**SETTINGS), run=tmp_path, callback=interrupt_at(3))
    config = configure(**SETTINGS | {"checkpoint_every": 7.0, "memory": "3GB"})
    result = stylize(content, style, config, run=tmp_path)
    expected = stylize(content, style, configure(**SETTINGS)).numpy()
    np.testing.assert_array_equal(result.numpy(), expected)


def test_a_run_goes_on_with_the_memory_it_began_with(
    samples: tuple[Sample, Sample],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Plans depend on it, and with them the last bits."""
    seen: list[float] = []

    def choose(*arguments: Any) -> Any:
        seen.append(arguments[4])
        return choose_plan(*arguments)

    monkeypatch.setattr(setup, "choose_plan", choose)
    caplog.set_level(logging.INFO)
    for free, expected in ((8e9, 8e9), (7.9e9, 8e9), (9e9, 8e9), (4e9, 4e9)):
        monkeypatch.setattr(transfer, "memory_left", lambda limit, free=free: free)
        seen.clear()
        stylize(*samples, configure(**SETTINGS), run=tmp_path, callback=interrupt_at(2))
        (tmp_path / "step000002-of-rank0.safetensors").unlink()
        # What arrays take is off.
        assert max(seen) == pytest.approx(expected, rel=1e-3)
        assert ("less memory is free" in caplog.text) == (free == 4e9)


def test_a_folder_that_cannot_be_made_is_told_in_one_line(
    samples: tuple[Sample, Sample], tmp_path: Path
) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match=r"expected a folder for the run's checkpoints, found"):
        stylize(*samples, configure(**SETTINGS), run=tmp_path / "file" / "run")


@pytest.mark.slow
@pytest.mark.parametrize("after", [3, 8])
def test_a_killed_run_ends_with_the_same_bytes(
    samples: tuple[Sample, Sample], after: int, tmp_path: Path
) -> None:
    for name, sample in zip(("content", "style"), samples, strict=True):
        np.save(tmp_path / f"{name}.npy", sample.data)
    command = ["stylize", "content.npy", "style.npy", "-q"]
    command += ["--coarsest", "400", "--steps", "40", "30", "--checkpoint-every", "0", "-o"]

    def done() -> int:
        return max((int(p.name[4:10]) for p in (tmp_path / "run").glob("*.safetensors")), default=0)

    assert Command([*command, "whole.npy"], tmp_path).end(100) == 0
    process = Command([*command, "out.npy", "--run", "run"], tmp_path)
    while done() < after:
        assert process.returncode is None, process.err
        time.sleep(0.01)
    process.kill()
    assert not (tmp_path / "out.npy").exists()
    assert Command([*command, "out.npy", "--run", "run"], tmp_path).end(100) == 0
    assert (tmp_path / "out.npy").read_bytes() == (tmp_path / "whole.npy").read_bytes()


def hold(folder: Path, samples: tuple[Sample, Sample]) -> None:
    """A run that is at work until it is killed."""
    stylize(*samples, configure(**SETTINGS), run=folder, callback=lambda _: time.sleep(100))


@pytest.mark.slow
def test_one_run_in_a_folder_at_a_time(samples: tuple[Sample, Sample], tmp_path: Path) -> None:
    """Told in one line, with who has it; after kill -9 the folder is free."""
    folder = tmp_path / "run"
    other = Child(hold, (folder, samples), tmp_path)
    try:
        while not (folder / "steps.jsonl").exists() or not read_steps(folder):
            assert other.returncode is None, other.err
            time.sleep(0.05)
        before = (folder / "steps.jsonl").read_bytes()
        with pytest.raises(ConfigError) as caught:
            stylize(*samples, configure(**SETTINGS), run=folder)
        who = f"process {other.pid} on {socket.gethostname()}, since {date.today()}"
        assert f"found that {who}" in str(caught.value)
        assert str(caught.value).endswith("choose another one with --run")
        assert (folder / "steps.jsonl").read_bytes() == before
    finally:
        other.kill()
    assert stylize(*samples, configure(**SETTINGS), run=folder).finished
    assert len(read_steps(folder)) == 13
    assert not (folder / ".impasto-holder.json").exists()


def test_a_run_that_fails_lets_its_folder_go(
    samples: tuple[Sample, Sample], tmp_path: Path
) -> None:
    def fail(progress: Progress) -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        stylize(*samples, configure(**SETTINGS), run=tmp_path, callback=fail)
    stylize(*samples, configure(**SETTINGS), run=tmp_path, callback=interrupt_at(1))
