"""How many threads a run takes, and how they wait."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from impasto.config.presets import configure
from impasto.engine.plan import worth_threads
from impasto.errors import ConfigError
from impasto.networks.lite import load_lite
from impasto.system import threads
from impasto.system.machine import Watch
from impasto.system.threads import GIVEN, Team
from impasto.transfer.descent import Progress
from impasto.transfer.stylize import stylize

LITE = configure(network="lite").complete().objective.layers


@pytest.fixture(autouse=True)
def four(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Four threads of PyTorch on four idle cores, and nothing set."""
    for name in (*GIVEN, "LOCAL_WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(threads, "cores", lambda: 4.0)
    others_take(monkeypatch, 0.0)
    before = torch.get_num_threads()
    torch.set_num_threads(4)
    yield
    torch.set_num_threads(before)


def others_take(monkeypatch: pytest.MonkeyPatch, busy: float) -> None:
    monkeypatch.setattr(Watch, "others", lambda watch: busy)


@pytest.mark.parametrize(("busy", "most"), [(0.0, 4), (0.4, 4), (0.9, 3), (2.0, 2), (4.5, 1)])
def test_one_thread_for_each_core_that_nobody_uses(
    busy: float, most: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    others_take(monkeypatch, busy)
    assert Team(0).most == most


def test_a_number_that_is_given_holds_on_any_machine_and_grid(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    others_take(monkeypatch, 4.0)
    team = Team(3)
    team.take(1)
    assert torch.get_num_threads() == 3
    monkeypatch.setenv("OMP_NUM_THREADS", "4")
    torch.set_num_threads(4)
    team = Team(0)
    team.take(1)
    assert torch.get_num_threads() == 4


def test_no_more_than_pytorch_was_told(monkeypatch: pytest.MonkeyPatch) -> None:
    torch.set_num_threads(2)
    assert Team(0).most == 2


def test_processes_that_share_a_sample_share_the_cores(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    others_take(monkeypatch, 4.0)  # each other
    assert Team(0).most == 2


def test_small_grids_get_one_thread() -> None:
    network = load_lite(padding="replicate", pooling="max")
    assert worth_threads(network, (64, 64), LITE) == 1
    assert worth_threads(network, (256, 256), LITE) >= 2
    team = Team(0)
    team.take(1)
    assert torch.get_num_threads() == 1
    team.take(3)
    assert torch.get_num_threads() == 3
    team.take(100)
    assert torch.get_num_threads() == 4


def test_a_run_takes_them_and_gives_them_back() -> None:
    content, style = (np.random.default_rng(n).random((160, 160, 3)) for n in range(2))
    seen: dict[int, int] = {}

    def callback(progress: Progress) -> None:
        seen[progress.space[0]] = torch.get_num_threads()

    stylize(content, style, configure(size=160, coarsest=50, steps=1), callback=callback)
    assert (min(seen), seen[min(seen)], seen[160]) == (57, 1, 4)
    assert torch.get_num_threads() == 4
    settings = configure(size=64, coarsest=0, steps=1, threads=2)
    stylize(content, style, settings, callback=callback)
    assert seen[64] == 2
    assert torch.get_num_threads() == 4


def test_a_run_goes_on_with_as_many_as_it_began_with(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content, style = (np.random.default_rng(n).random((160, 160, 3)) for n in range(2))
    config = configure(size=160, coarsest=0, steps=3, checkpoint_every=0)
    seen = []

    def callback(progress: Progress) -> None:
        seen.append(torch.get_num_threads())
        if len(seen) == 1:
            raise KeyboardInterrupt

    others_take(monkeypatch, 2.0)
    whole = stylize(content, style, config)
    stylize(content, style, config, run=tmp_path / "run", callback=callback)
    others_take(monkeypatch, 0.0)
    rest = stylize(content, style, config, run=tmp_path / "run", callback=callback)
    assert seen == [2, 2, 2]
    assert np.array_equal(rest.numpy(), whole.numpy())


@pytest.mark.parametrize("number", [-1, 2000, 1.5, "two"])
def test_what_is_no_number_of_threads(number: object) -> None:
    with pytest.raises(ConfigError, match="--threads: expected a whole number from 0 to 1024"):
        configure(threads=number)


def waiting(code: str, **given: str) -> str:
    """What a fresh interpreter prints, with such variables set and no others of OpenMP."""
    kept = {name: value for name, value in os.environ.items() if "OMP_" not in name}
    run = subprocess.run(
        [sys.executable, "-c", code], env=kept | given, capture_output=True, text=True, check=True
    )
    return run.stdout + run.stderr


def test_threads_sleep_while_they_wait_where_nothing_is_set() -> None:
    code = "import os; before = dict(os.environ); import impasto; "
    policy = code + "print(os.environ.get('OMP_WAIT_POLICY'), os.environ.get('GOMP_SPINCOUNT'))"
    same = code + "print(os.environ == before)"
    assert waiting(policy) == "passive 2000\n"
    assert waiting(policy, OMP_WAIT_POLICY="active") == "active None\n"
    assert waiting(same, GOMP_SPINCOUNT="1000") == waiting(same, KMP_BLOCKTIME="0") == "True\n"
    late = "import sys, types; sys.modules['torch'] = types.ModuleType('torch'); "
    assert waiting(late + same) == "True\n"


@pytest.mark.skipif(sys.platform != "linux", reason="another OpenMP than GNU's")
@pytest.mark.slow
def test_openmp_is_told_before_torch_is_loaded() -> None:
    told = waiting("import impasto; impasto.stylize", OMP_DISPLAY_ENV="verbose")
    assert "OMP_WAIT_POLICY = 'PASSIVE'" in told
    assert "GOMP_SPINCOUNT = '2000'" in told
