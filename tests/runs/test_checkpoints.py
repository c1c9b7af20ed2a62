"""Checkpoints that are large, and checkpoints that cannot be written."""

from __future__ import annotations

import errno
import json
import os
import resource
import shutil
import tracemalloc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors import safe_open

from impasto.cli.main import CHECKPOINTS_LOST, main
from impasto.config.presets import configure
from impasto.media.sample import Sample
from impasto.runs.checkpoints import write_checkpoint
from impasto.runs.names import STEPS
from impasto.runs.reading import read_steps
from impasto.transfer.descent import Progress
from impasto.transfer.stylize import Result, stylize

SETTINGS: dict[str, Any] = {"coarsest": 600, "steps": (5, 4), "checkpoint_every": 0.0}
pytestmark = pytest.mark.usefixtures("one_thread")


def test_a_checkpoint_takes_no_memory_of_its_own(tmp_path: Path) -> None:
    """16 MB of arrays in files, of all the types that states have."""
    tensors = {
        "plain": torch.arange(3.0),
        "half": torch.ones((3, 5), dtype=torch.bfloat16),
        "fine": torch.full((2, 3), 1 / 3, dtype=torch.float64),
    }
    for number in range(4):
        size = 2**20
        file = str(tmp_path / f"array{number}")
        tensors[f"large{number}"] = torch.from_file(file, shared=True, size=size).fill_(number)
    path = tmp_path / "checkpoint.safetensors"
    tracemalloc.start()
    try:
        with open(path, "wb") as target:
            write_checkpoint(target, tensors, {"scalars": "{}"})
        assert tracemalloc.get_traced_memory()[1] < 1e6
    finally:
        tracemalloc.stop()
    with safe_open(path, "pt") as kept:
        assert kept.metadata() == {"scalars": "{}"}
        assert set(kept.keys()) == set(tensors)
        for name, tensor in tensors.items():
            assert torch.equal(kept.get_tensor(name), tensor)


# --- What cannot be written


@pytest.fixture(scope="module")
def samples() -> tuple[Sample, Sample]:
    random = np.random.default_rng(0)
    return (
        Sample(np.sin(np.arange(900) / 15, dtype=np.float32)[None]),
        Sample(random.normal(size=(1, 900)).astype(np.float32)),
    )


@pytest.fixture(scope="module")
def expected(samples: tuple[Sample, Sample]) -> np.ndarray:
    return stylize(*samples, configure(**SETTINGS)).numpy()


def disturbed(samples: tuple[Sample, Sample], folder: Path, disturb: Callable[[], None]) -> Result:
    """A run, disturbed at its fourth step."""

    def callback(progress: Progress) -> None:
        if progress.step == 4:
            disturb()

    return stylize(*samples, configure(**SETTINGS), run=folder, callback=callback)


@contextmanager
def full_disk(size: int) -> Iterator[None]:
    """No file can be written to more than so many bytes."""
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)


def gone(folder: Path) -> None:
    shutil.rmtree(folder)


def another_file(folder: Path) -> None:
    (folder / STEPS).unlink()
    (folder / STEPS).mkdir()


@pytest.mark.parametrize("disturb", [gone, another_file])
def test_a_run_whose_folder_is_gone_goes_on(
    samples: tuple[Sample, Sample],
    expected: np.ndarray,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    disturb: Callable[[Path], None],
) -> None:
    result = disturbed(samples, tmp_path / "run", lambda: disturb(tmp_path / "run"))
    assert (result.finished, result.checkpoints_lost) == (True, True)
    np.testing.assert_array_equal(result.numpy(), expected)
    (told,) = (record.getMessage() for record in caplog.records if record.levelname == "WARNING")
    assert told.startswith(
        f"{tmp_path / 'run'}: expected a folder for the run's checkpoints, found"
    )
    assert told.endswith("; the run goes on without checkpoints")


def test_a_run_whose_disk_is_full_goes_on(
    samples: tuple[Sample, Sample],
    expected: np.ndarray,
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with full_disk(1 << 30):
        result = disturbed(
            samples,
            tmp_path,
            lambda: resource.setrlimit(
                resource.RLIMIT_FSIZE, (5_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1])
            ),
        )
    assert (result.finished, result.checkpoints_lost) == (True, True)
    np.testing.assert_array_equal(result.numpy(), expected)
    (told,) = (record.getMessage() for record in caplog.records if record.levelname == "WARNING")
    assert "step000004-of-rank0.safetensors: expected room for the whole file" in told
    # What was written before is of use.
    again = stylize(*samples, configure(**SETTINGS), run=tmp_path)
    np.testing.assert_array_equal(again.numpy(), expected)
    assert len(read_steps(tmp_path)) == 9


def test_lines_that_the_disk_does_not_take_end_the_checkpoints(
    samples: tuple[Sample, Sample],
    expected: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    synchronize = os.fsync

    def fsync(descriptor: int) -> None:
        if os.readlink(f"/proc/self/fd/{descriptor}").endswith(STEPS):
            raise OSError(errno.EIO, os.strerror(errno.EIO))
        synchronize(descriptor)

    result = disturbed(samples, tmp_path, lambda: monkeypatch.setattr(os, "fsync", fsync))
    assert (result.finished, result.checkpoints_lost) == (True, True)
    np.testing.assert_array_equal(result.numpy(), expected)


def test_an_old_checkpoint_that_stays_is_no_harm(
    samples: tuple[Sample, Sample],
    expected: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    def unlink(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(errno.EACCES, os.strerror(errno.EACCES), str(path))

    result = disturbed(samples, tmp_path, lambda: monkeypatch.setattr(Path, "unlink", unlink))
    assert (result.finished, result.checkpoints_lost) == (True, False)
    np.testing.assert_array_equal(result.numpy(), expected)
    (told,) = (record.getMessage() for record in caplog.records if record.levelname == "WARNING")
    assert told == f"old checkpoints stay in {tmp_path}: Permission denied"
    assert max(tmp_path.glob("*.safetensors")).name == "step000009-of-rank0.safetensors"


def test_the_command_says_it_once_and_by_its_exit_code(
    samples: tuple[Sample, Sample],
    expected: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, sample in zip(("content", "style"), samples, strict=True):
        np.save(tmp_path / f"{name}.npy", sample.data)
    monkeypatch.chdir(tmp_path)
    command = ["stylize", "content.npy", "style.npy", "--coarsest", "600", "--steps", "5", "4"]
    for shown, lines in (("-q", 1), ("--json", 0)):
        folder = tmp_path / f"run{shown}"
        command_line = [*command, "-o", "out.npy", "--run", str(folder), shown]
        with full_disk(9000), pytest.raises(SystemExit) as leaving:  # out.npy is smaller
            main([*command_line, "--checkpoint-every", "0"])
        assert leaving.value.code == CHECKPOINTS_LOST == 3
        np.testing.assert_array_equal(np.load("out.npy")[0], expected[..., 0])
        out, err = capsys.readouterr()
        assert err.count("the run goes on without checkpoints\n") == err.count("\n") == lines
        if shown == "--json":
            events = [json.loads(line) for line in out.splitlines()]
            assert [event["event"] for event in events].count("warning") == 1
            assert events[-1]["checkpoints_lost"] is True


def test_a_preview_that_cannot_be_written_ends_no_run(
    samples: tuple[Sample, Sample],
    expected: np.ndarray,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    for name, sample in zip(("content", "style"), samples, strict=True):
        np.save(tmp_path / f"{name}.npy", sample.data)
    monkeypatch.chdir(tmp_path)
    (tmp_path / "out-step0002.npy").mkdir()
    command = ["stylize", "content.npy", "style.npy", "--coarsest", "600", "--steps", "5", "4"]
    main([*command, "-o", "out.npy", "--preview", "2", "-q"])
    np.testing.assert_array_equal(np.load("out.npy")[0], expected[..., 0])
    err = capsys.readouterr().err
    assert err.count("\n") == 1
    assert "out-step0002.npy: expected the name of a file, found a folder" in err


# --- A run that diverged


@pytest.mark.slow
def test_a_run_that_diverged_says_so_after_it_was_resumed_too(
    samples: tuple[Sample, Sample], tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    config = configure(**SETTINGS, learning_rate=100.0)
    result = stylize(*samples, config)
    assert result.diverged
    (told,) = (record.getMessage() for record in caplog.records if record.levelname == "WARNING")
    assert told.startswith("the run diverged: J rose from ")
    assert told.endswith("; lower --learning-rate")

    def interrupt(progress: Progress) -> bool:
        return progress.step != 7

    assert stylize(*samples, config, run=tmp_path, callback=interrupt).diverged
    assert stylize(*samples, config, run=tmp_path).diverged  # what it began with is kept
    assert not stylize(*samples, configure(**SETTINGS)).diverged
