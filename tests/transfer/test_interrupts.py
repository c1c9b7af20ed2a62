"""Ctrl-C and SIGTERM at any moment: a whole picture and a checkpoint, of all processes alike."""

from __future__ import annotations

import json
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from PIL import Image
from torch.distributed.run import main as torchrun

from impasto.config.presets import configure
from impasto.media.pictures.picture import read_recipe
from impasto.runs.reading import read_steps
from impasto.system.interrupts import Interrupted
from impasto.transfer.descent import Progress
from impasto.transfer.stylize import Result, stylize
from tests.forked import Child, Command
from tests.grids.test_parallel import free_port

pytestmark = [
    pytest.mark.usefixtures("one_thread"),
    pytest.mark.skipif(os.name != "posix", reason="signals are POSIX's"),
]
QUICK: dict[str, Any] = {"size": (32,), "coarsest": 16, "steps": (4, 3), "network": "lite"}
ENVIRONMENT = {
    **os.environ,
    "OMP_NUM_THREADS": "1",
    "GLOO_SOCKET_IFNAME": "lo",
    "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1",
}
SIGNALS = [signal.SIGINT, signal.SIGTERM]


TWO = ["--standalone", "--nproc-per-node", "2", "-m", "--"]
"""What torchrun is told."""


def picture(seed: int, height: int, width: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), np.uint8)


# --- In this process


@pytest.fixture
def pressed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """How often Ctrl-C is pressed amid the update of the average at steps 1, 2, ..."""
    presses: list[int] = []
    update = torch.Tensor.lerp_

    def lerp_(values: torch.Tensor, *others: Any) -> torch.Tensor:
        found = update(values, *others)
        if sys._getframe(1).f_code.co_name == "steps" and presses:
            for _ in range(presses.pop(0)):
                signal.raise_signal(signal.SIGINT)
        return found

    monkeypatch.setattr(torch.Tensor, "lerp_", lerp_)
    return presses


def painted(run: Path | None = None, stop: int = 0) -> Result:
    def callback(progress: Progress) -> bool:
        return progress.step != stop

    content, style = picture(0, 24, 32), picture(1, 32, 24)
    return stylize(content, style, configure(**QUICK), run=run, callback=callback)


def test_ctrl_c_amid_a_step_ends_the_run_after_it(tmp_path: Path, pressed: list[int]) -> None:
    expected, whole = painted(stop=3), painted()
    pressed += [0, 0, 1]
    result = painted(tmp_path)
    assert (result.finished, result.recipe["steps"]) == (False, 3)
    np.testing.assert_array_equal(result.numpy(), expected.numpy())
    assert [path.name for path in tmp_path.glob("*.safetensors")] == [
        "step000003-of-rank0.safetensors"
    ]
    np.testing.assert_array_equal(painted(tmp_path).numpy(), whole.numpy())


def test_a_second_ctrl_c_gives_no_half_updated_g(pressed: list[int]) -> None:
    pressed += [0, 0, 2]
    with pytest.raises(Interrupted):
        painted()
    assert signal.getsignal(signal.SIGINT) is signal.default_int_handler


# --- Commands


@pytest.fixture
def studio(tmp_path: Path) -> Path:
    """A folder with a content and a style, small ones and some that processes share."""
    for name, seed, height, width in (
        ("small", 0, 48, 64),
        ("large", 1, 372, 380),
        ("style", 2, 64, 48),
    ):
        Image.fromarray(picture(seed, height, width)).save(tmp_path / f"{name}.png")
    return tmp_path


def command(content: str) -> list[str]:
    """What stylizes it in many steps, with a checkpoint at the end only."""
    typed = ["impasto", "stylize", f"{content}.png", "style.png", "-o", "out.png", "--run", "run"]
    return [*typed, "--network", "lite", "--size", "0", "--coarsest", "0", "--steps", "3000", "-q"]


@contextmanager
def running(folder: Path, *start: str) -> Iterator[subprocess.Popen[str]]:
    """The command from its first step on."""
    with subprocess.Popen(
        [sys.executable, "-m", *start, *command("small")],
        cwd=folder,
        env=ENVIRONMENT,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),
    ) as child:
        try:
            while not (folder / "run" / "run.json").exists() or not read_steps(folder / "run"):
                assert child.poll() is None, child.communicate()[1]
                time.sleep(0.01)
            yield child
        finally:
            if child.poll() is None:
                os.killpg(child.pid, signal.SIGKILL)


def until_a_step(folder: Path, *processes: Child) -> None:
    """Waits for the first one."""
    while not (folder / "run" / "run.json").exists() or not read_steps(folder / "run"):
        assert all(one.returncode is None for one in processes), [one.err for one in processes]
        time.sleep(0.01)


@contextmanager
def agent(folder: Path, content: str) -> Iterator[Child]:
    """The same by torchrun, which itself is forked."""
    variables = {"GLOO_SOCKET_IFNAME": "lo", "TORCH_DISABLE_SHARE_RDZV_TCP_STORE": "1"}
    child = Child(torchrun, ([*TWO, *command(content)],), folder, **variables)
    try:
        until_a_step(folder, child)
        yield child
    finally:
        child.send_signal(signal.SIGTERM)  # it ends the others
        child.end(60)


@contextmanager
def forked(folder: Path, size: int = 1, *, content: str = "small") -> Iterator[list[Command]]:
    """The same in one process or several, without torchrun."""
    shared = {"WORLD_SIZE": f"{size}", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": f"{free_port()}"}
    shared["GLOO_SOCKET_IFNAME"] = "lo"
    found = [
        Command(command(content)[1:], folder, **(shared | {"RANK": f"{rank}"} if size > 1 else {}))
        for rank in range(size)
    ]
    try:
        until_a_step(folder, *found)
        yield found
    finally:
        for one in found:
            one.kill()


def check_ended(folder: Path, processes: int) -> int:
    """That there is a whole picture, and a checkpoint of the same step; that step."""
    with Image.open(folder / "out.png") as out:
        out.load()
    recipe = json.loads(read_recipe(folder / "out.png") or "")
    assert recipe["finished"] is False
    step: int = recipe["steps"]
    kept = {path.name for path in (folder / "run").glob("*.safetensors")}
    assert kept == {f"step{step:06d}-of-rank{rank}.safetensors" for rank in range(processes)}
    assert [line["step"] for line in read_steps(folder / "run")] == list(range(1, step + 1))
    return step


@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("seed", range(10))
def test_a_signal_at_any_moment(studio: Path, number: signal.Signals, seed: int) -> None:
    if seed == 0:
        with running(studio) as child:
            time.sleep(random.Random(f"{number} {seed}").uniform(0, 0.5))
            child.send_signal(number)
            _, err = child.communicate(timeout=100)
        assert (child.returncode, err) == (128 + number, "")
    else:
        with forked(studio) as (one,):
            time.sleep(random.Random(f"{number} {seed}").uniform(0, 0.5))
            one.send_signal(number)
            assert (one.end(100), one.err) == (128 + number, "")
    check_ended(studio, 1)


@pytest.mark.slow
def test_ctrl_c_twice_leaves_at_once(studio: Path) -> None:
    with running(studio) as child:
        child.send_signal(signal.SIGSTOP)  # both come before it has an eye for the first
        for _ in range(2):
            child.send_signal(signal.SIGINT)
            child.send_signal(signal.SIGCONT)
            time.sleep(0.05)
        _, err = child.communicate(timeout=100)
    assert child.returncode == 130
    if err:
        assert err == "impasto: interrupted; no result was written\n"
        assert not (studio / "out.png").exists()
    else:  # between the two the step had come to its end, and the run with it
        check_ended(studio, 1)


@pytest.mark.slow
@pytest.mark.parametrize("number", SIGNALS)
@pytest.mark.parametrize("seed", range(10))
def test_a_signal_to_one_process_ends_all_at_the_same_step(
    studio: Path, number: signal.Signals, seed: int
) -> None:
    """To one of two, or to both at different moments; two of the pictures are shared, and two of
    the pairs are torchrun's."""
    rng = random.Random(f"{number} {seed}")
    content = "large" if seed > 7 else "small"
    if seed in {0, 9}:
        with agent(studio, content) as one:
            ranks = psutil.Process(one.pid).children()
            assert len(ranks) == 2
            for rank in rng.choice([ranks[:1], ranks[1:], ranks, ranks[::-1]]):
                time.sleep(rng.uniform(0, 0.5))
                if rank.is_running():
                    rank.send_signal(number)
            one.end(200)
            err = one.err
    else:
        with forked(studio, 2, content=content) as pair:
            for one in rng.choice([pair[:1], pair[1:], pair, pair[::-1]]):
                time.sleep(rng.uniform(0, 0.5))
                one.send_signal(number)
            ends = {one.end(200) for one in pair}
            assert 128 + number in ends
            err = "".join(one.err for one in pair)
    assert not re.search("RuntimeError|Connection|impasto:", err), err
    check_ended(studio, 2)


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "send"),
    [
        (signal.SIGTERM, os.kill),  # as batch systems do, which know torchrun
        (signal.SIGINT, os.killpg),  # as a terminal does: to all, to whom torchrun hands it on too
    ],
)
def test_a_signal_to_torchrun_ends_all_with_a_picture(
    studio: Path, number: signal.Signals, send: Callable[[int, int], None]
) -> None:
    with running(studio, "torch.distributed.run", *TWO) as child:
        time.sleep(0.3)
        send(child.pid, number)
        _, err = child.communicate(timeout=200)
    assert not re.search("RuntimeError|Connection|impasto:", err), err
    check_ended(studio, 2)
