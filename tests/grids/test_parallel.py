"""Processes that share a sample come to what one alone does."""

from __future__ import annotations

import atexit
import os
import re
import signal
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from math import prod
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from torch import Tensor
from torch.distributed import run

from impasto.config.presets import configure
from impasto.config.settings import ObjectiveConfig
from impasto.engine.gradient import Evaluation, terms_of, value_and_grad
from impasto.engine.objective import build_objective
from impasto.engine.walk import Plan
from impasto.grids.geometry import Region, Space
from impasto.grids.parallel import ALONE, Group, Ranks, current_group, gather
from impasto.grids.patch import Patch
from impasto.networks.stage import Network
from impasto.transfer.descent import Progress
from impasto.transfer.stylize import stylize
from tests.engine.test_walk import error, fixed_problem, tiles, tolerance
from tests.forked import Child
from tests.problems import Problem, a_plan, a_problem, style_patches
from tests.strategies import normal, seeds, spaces
from tests.threads import Threads


def part_of(values: Tensor, group: Group) -> Patch:
    slab = group.slabs(tuple(values.shape[2:]))[group.rank]
    return Patch(values[slab.slices], slab)


def evaluated(problem: Problem, plan: Plan) -> tuple[Evaluation, dict[str, float]]:
    """J, its gradient over the whole, and the terms alone, from a rank's part of all samples."""
    g = part_of(problem.g, plan.group)
    objective = build_objective(
        part_of(problem.content, plan.group),
        style_patches(
            [part_of(style, plan.group) for style in problem.styles],
            problem.config,
            plan,
            problem.weights[1:],
        ),
        problem.network,
        problem.config,
        plan,
        weight=problem.weights[0],
    )
    evaluation = value_and_grad(objective, g.values, plan)
    whole = gather(plan.group, Patch(evaluation.gradient, g.region))
    return replace(evaluation, gradient=whole), terms_of(objective, g.values, plan)


@pytest.mark.slow
@given(st.data(), st.integers(1, 3))
@settings(max_examples=25)
def test_any_number_of_ranks_equals_plain_automatic_differentiation(
    data: st.DataObject, size: int
) -> None:
    """Each with a plan of its own; slabs get empty in deep stages, or are from the start."""
    problem = a_problem(data, slack=8)
    plans = [a_plan(data, problem) for _ in range(size)]
    found = Threads(size).run(
        lambda rank: evaluated(problem, replace(plans[rank.rank], group=rank))
    )
    for evaluation, terms in found:
        assert error(evaluation, problem) < tolerance(problem)
        assert terms == pytest.approx(evaluation.terms, rel=1e-12)
        assert evaluation.value == found[0][0].value


def test_processes_without_a_part_of_the_style_take_its_statistics_too() -> None:
    config = ObjectiveConfig(
        alpha=0.0,
        beta=0.0,
        autocorrelation=1.0,
        spectrum=1.0,
        amplitude=1.0,
        lag=2,
        spectrum_window=4,
    )
    network = Network("none", [], dims=1, channels=2)
    content, style, g = (normal(seed, 1, 2, length) for seed, length in enumerate((40, 6, 40)))
    problem = Problem(network, config, content, (style,), g, (None, None))
    found = Threads(8).run(lambda rank: evaluated(problem, Plan(group=rank)))
    assert error(found[0][0], problem) < 1e-12


def a_region(data: st.DataObject, space: Space) -> Region:
    """Any part of a grid, an empty one too."""
    ends = [sorted(data.draw(st.tuples(*[st.integers(0, n)] * 2))) for n in space]
    start, stop = zip(*ends, strict=True)
    return Region(tuple(start), tuple(stop), space)


@given(st.data(), st.integers(1, 4), spaces(), seeds)
@settings(max_examples=40)
def test_exchange_gives_what_is_needed_and_collect_is_its_adjoint(
    data: st.DataObject, size: int, space: Space, seed: int
) -> None:
    threads = Threads(size)
    owned = threads.ranks[0].slabs(space)
    needed = [a_region(data, space) for _ in range(size)]
    x = normal(seed, 1, 2, *space)
    ys = [normal(seed + 1 + rank, 1, 2, *region.space) for rank, region in enumerate(needed)]

    def both(rank: Ranks) -> tuple[Patch, Patch]:
        own = owned[rank.rank]
        y = Patch(ys[rank.rank], needed[rank.rank])
        return (
            rank.exchange(Patch(x[own.slices], own), owned, needed),
            rank.collect(y, owned, needed),
        )

    found = threads.run(both)
    there = back = 0.0
    for (given_, summed), own, region, y in zip(found, owned, needed, ys, strict=True):
        assert (given_.region, summed.region) == (region, own)
        assert torch.equal(given_.values, x[region.slices])
        there += float((given_.values * y).sum())
        back += float((summed.values * x[own.slices]).sum())
    assert there == pytest.approx(back, rel=1e-12, abs=1e-12)


@given(st.data(), spaces(), seeds)
@settings(max_examples=30)
def test_exchange_and_collect_are_adjoint_for_one_process_alone(
    data: st.DataObject, space: Space, seed: int
) -> None:
    region = a_region(data, space)
    x, y = normal(seed, 1, 2, *space), normal(seed + 1, 1, 2, *region.space)
    owned = ALONE.slabs(space)
    given_ = ALONE.exchange(Patch.whole(x), owned, [region]).values
    summed = ALONE.collect(Patch(y, region), owned, [region]).values
    assert torch.equal(given_, x[region.slices])
    assert float((given_ * y).sum()) == pytest.approx(float((summed * x).sum()), abs=1e-12)


@given(spaces(smallest=1, largest=700), st.integers(1, 9))
def test_slabs_are_a_partition_along_the_longest_axis(space: Space, size: int) -> None:
    slabs = Ranks(0, size).slabs(space)
    axis = space.index(max(space))
    assert len(slabs) == size
    assert (slabs[0].start[axis], slabs[-1].stop[axis]) == (0, space[axis])
    for slab, after in pairwise(slabs):
        assert slab.stop[axis] == after.start[axis]
    for slab in slabs:
        others = [i for i in range(len(space)) if i != axis]
        assert all((slab.start[i], slab.stop[i]) == (0, space[i]) for i in others)
        assert slab.whole == space
    lengths = [slab.space[axis] for slab in slabs]
    assert max(lengths) - min(lengths) <= 64
    assert sum(map(prod, (slab.space for slab in slabs))) == prod(space)


def test_a_process_that_torchrun_has_not_started_is_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    current_group.cache_clear()
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    assert current_group() is ALONE
    current_group.cache_clear()


# --- Processes


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        port: int = one.getsockname()[1]
        return port


def process(rank: int, size: int, port: int, folder: Path) -> None:
    """What one of several processes does: J and its gradient, then a run of a few steps."""
    os.environ |= {
        "RANK": str(rank),
        "WORLD_SIZE": str(size),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": str(port),
        "GLOO_SOCKET_IFNAME": "lo",
    }
    group = current_group()
    assert (group.rank, group.size) == (rank, size)
    evaluation, terms = evaluated(fixed_problem(2, "replicate"), replace(tiles(2), group=group))
    results = [a_run(None), a_run(folder / "run", stop=3), a_run(folder / "run")]
    found = {
        "value": evaluation.value,
        "gradient": evaluation.gradient,
        "terms": terms,
        "runs": [torch.from_numpy(result) for result in results],
    }
    torch.save(found, folder / f"{rank}.pt")
    atexit._run_exitfuncs()  # as at the end of a process that was not forked
    assert not torch.distributed.is_initialized()


def a_run(run: Path | None, stop: int = 0) -> np.ndarray:
    """A short run's result; at the step `stop` it is interrupted."""

    def interrupt(progress: Progress) -> None:
        if progress.step == stop:
            raise KeyboardInterrupt

    rng = np.random.default_rng(0)
    content, style = (torch.from_numpy(rng.random((3, 24, n), np.float32)) for n in (40, 28))
    config = configure(
        network="filterbank",
        precision="fp32",
        plan="streamed",
        content_layers=("edge1",),
        style_layers=(("color1", 1.0), ("wave2", 1.0)),
        coarsest=28,
        steps=(3, 2),
        checkpoint_every=0.0,
    )
    return stylize(content, style, config, run=run, callback=interrupt).numpy()


def start(size: int, folder: Path) -> None:
    """Runs the processes to their end, or until one fails."""
    port = free_port()
    processes = [Child(process, (rank, size, port, folder), folder) for rank in range(size)]
    try:
        while any(one.returncode is None for one in processes):
            time.sleep(0.01)
            assert not any(one.returncode for one in processes), [one.err for one in processes]
    finally:
        for one in processes:
            one.kill()


@pytest.mark.slow
@pytest.mark.parametrize("size", [2, 3])
def test_processes_equal_one(size: int, tmp_path: Path) -> None:
    start(size, tmp_path)
    problem = fixed_problem(2, "replicate")
    alone = a_run(None)
    for rank in range(size):
        found: dict[str, Any] = torch.load(tmp_path / f"{rank}.pt", weights_only=True)
        evaluation = Evaluation(found["value"], found["terms"], found["gradient"])
        assert error(evaluation, problem) < 1e-12
        undisturbed, stopped, repeated = found["runs"]
        np.testing.assert_allclose(undisturbed.numpy(), alone, atol=1e-3)
        assert not torch.equal(stopped, undisturbed)
        assert torch.equal(repeated, undisturbed)


@contextmanager
def torchrun(folder: Path, output: str, *arguments: str) -> Iterator[Child]:
    """Two processes that share a picture for six steps, started again where one dies."""
    command = ["--standalone", "--max-restarts", "2", "--nproc-per-node", "2", "-m", "--"]
    command += ["impasto", "stylize"]
    command += ["content.png", "style.png", "-o", output, "--network", "lite", "-q"]
    command += ["--size", "0", "--coarsest", "0", "--steps", "6", *arguments]
    environment = {"OMP_NUM_THREADS": "1", "GLOO_SOCKET_IFNAME": "lo"}
    # Otherwise those started again look for each other where they were before.
    environment["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
    agent = Child(run.main, (command,), folder, **environment)
    try:
        yield agent
    finally:
        agent.send_signal(signal.SIGTERM)  # it ends the others
        agent.end(60)


@pytest.mark.slow
def test_a_killed_process_is_started_again_and_the_bytes_are_the_same(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    for name, space in (("content", (384, 400)), ("style", (120, 160))):
        pixels = rng.integers(0, 256, (*space, 3), np.uint8)
        Image.fromarray(pixels).save(tmp_path / f"{name}.png")
    with torchrun(tmp_path, "whole.png") as undisturbed:
        assert undisturbed.end(100) == 0

    folder = tmp_path / "run"

    def ranks(step: int) -> set[str]:
        """The processes that have written a checkpoint of that step or a later one."""
        names = (re.fullmatch(r"step(\d+)-of-rank(\d)\.\w+", p.name) for p in folder.glob("step*"))
        return {found[2] for found in names if found and int(found[1]) >= step}

    with torchrun(tmp_path, "out.png", "--run", "run", "--checkpoint-every", "0") as agent:
        while agent.returncode is None and ranks(2) != {"0", "1"}:
            time.sleep(0.01)
        processes = psutil.Process(agent.pid).children()
        before = {one.pid for one in processes}
        processes[-1].kill()
        after, end = before, time.monotonic() + 100
        while agent.returncode is None:
            assert time.monotonic() < end
            after = after | {one.pid for one in psutil.Process(agent.pid).children()}
            time.sleep(0.05)
        assert agent.returncode == 0
    assert len(after - before) >= 2  # both were started again
    with Image.open(tmp_path / "out.png") as out, Image.open(tmp_path / "whole.png") as whole:
        np.testing.assert_array_equal(np.asarray(out), np.asarray(whole))
