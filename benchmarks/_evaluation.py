"""One case of benchmarks/engine.py: J and dJ/dG in a process of its own, its time and memory.

`measure(case)` starts the process and returns its report; the process is this module as a program.
The objective, the plan and the arrays are made by the very code that a run makes them with.
"""

from __future__ import annotations

import json
import os
import socket
import statistics
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from contextlib import nullcontext
from copy import deepcopy
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from itertools import chain
from math import prod
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from torch import Tensor, distributed, nn
from torch.nn.modules.conv import _ConvNd

from impasto.config.config import Config
from impasto.config.presets import configure
from impasto.engine.gradient import value_and_grad
from impasto.engine.objective import Objective
from impasto.engine.plan import between, works
from impasto.engine.walk import WHOLE, Leg, Plan, walk
from impasto.grids.arrays import Arrays
from impasto.grids.geometry import Space
from impasto.grids.parallel import current_group, gather
from impasto.grids.patch import Patch
from impasto.kinds import kind_of
from impasto.kinds.guidance import Guide
from impasto.kinds.kind import Style
from impasto.kinds.units import Units
from impasto.losses.content import Content
from impasto.losses.gram import MetricGram
from impasto.losses.wasserstein import Moments
from impasto.media.sample import Sample
from impasto.networks import Network
from impasto.networks.vgg import VGG19, WIDTHS, vgg
from impasto.system.machine import memory_left, memory_limit
from impasto.transfer.network import network_for
from impasto.transfer.scale import Scale
from impasto.transfer.setup import FOR_ARRAYS, Setup

Evaluate = Callable[[Tensor], tuple[float, Tensor]]


@dataclass(frozen=True)
class Case:
    """What to evaluate, and how.

    loop: ours, or the obvious PyTorch loop, as it is or under autocast to bfloat16. memory: as for
    --memory, or with a + before it what the process may take beyond what it holds by then. style:
    the style's grid, G's own where none is given. warm, runs: evaluations before and with the
    clock. kept: a number of kept stages in place of the plan's. gradient: a file for dJ/dG.
    anonymous: whether the peak is to be told without the pages of files too. processes: that share
    the sample; threads: of each, None for PyTorch's own choice.
    """

    network: str
    space: Space
    loop: Literal["ours", "plain", "autocast"] = "ours"
    precision: str = "fp32"
    plan: str = "auto"
    memory: str = "auto"
    style: Space | None = None
    warm: int = 1
    runs: int = 1
    kept: float | None = None
    gradient: str | None = None
    anonymous: bool = False
    processes: int = 1
    threads: int | None = None


@dataclass(frozen=True)
class Report:
    """What a case came to; memory in bytes.

    seconds: the median evaluation's; build: the objective's, its targets included. above: the peak
    beyond what the process held before the objective was built; total: all of it; anonymous: less
    the pages of files. evaluation: the peak beyond what it held before the first evaluation.
    arrays, values: of the arrays between the stages and, by name, of what plan.py counts in the
    stages. operations: of the convolutions, forward once, and in all that the plan computes.
    """

    seconds: float
    build: float
    above: float
    total: float
    anonymous: float
    evaluation: float
    value: float
    kept: float
    tiles: list[Space]
    arrays: float
    values: dict[str, float] = field(default_factory=dict)
    operations: dict[str, float] = field(default_factory=dict)


def measure(case: Case) -> Report:
    """The report of a fresh process; of several that share the sample, the slowest's time."""
    command = [sys.executable, "-m", "benchmarks._evaluation", json.dumps(asdict(case))]
    environment = dict(os.environ)
    if case.threads:
        environment["OMP_NUM_THREADS"] = str(case.threads)
    if case.processes > 1:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        environment |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)}
        environment["WORLD_SIZE"] = str(case.processes)
    started = [
        subprocess.Popen(
            command,
            env=environment | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.PIPE,
            text=True,
        )
        for rank in range(case.processes)
    ]
    outputs = [process.communicate()[0] for process in started]
    for process in started:
        if process.returncode:
            raise RuntimeError(f"{case} ended with code {process.returncode}")
    reports = [Report(**json.loads(output.splitlines()[-1])) for output in outputs]
    slowest = max(report.seconds for report in reports)
    shape = " x ".join(map(str, case.space))
    print(f"{case.network} {shape} {case.loop}: {slowest:.2f} s", file=sys.stderr, flush=True)
    return replace(reports[0], seconds=slowest)


def medians(cases: dict[str, Case], runs: int) -> dict[str, Report]:
    """The median report of each case, by its time; the cases take turns, a process a turn."""
    found: dict[str, list[Report]] = {name: [] for name in cases}
    for _ in range(runs):
        for name, case in cases.items():
            found[name].append(measure(case))
    result = {}
    for name, reports in found.items():
        reports.sort(key=lambda report: report.seconds)
        above = statistics.median(report.above for report in reports)
        result[name] = replace(reports[len(reports) // 2], above=above)
    return result


@dataclass(frozen=True)
class SetupKeeping(Setup):
    """A run's setup, with the number of kept stages changed where that is wanted."""

    kept_stages: float | None = None

    def _plan(self, network: Network, space: Space, base: Plan, room: float) -> Plan:
        plan = super()._plan(network, space, base, room)
        return plan if self.kept_stages is None else replace(plan, kept=self.kept_stages)


def report(case: Case) -> Report:
    """Evaluates here, in this process."""
    config = configure(
        network=case.network,
        precision=case.precision if case.loop == "ours" else "fp32",
        plan=case.plan,
        style_losses=("gram",),
        coarse_share=0.0,
        fine_style=1.0,
        size=case.space,
        init="noise",
    ).complete(len(case.space))
    content, style = random(case.space, 1), random(case.style or case.space, 2)
    vgg19 = case.network == "vgg19"
    network = random_vgg19(config) if vgg19 else network_for(config, content, None)
    assert network.widths  # runs it once, on a few positions: now its libraries are loaded
    units = Units.of(content)
    held = from_here()
    memory = memory_limit(case.memory.removeprefix("+"))
    if not case.memory.startswith("+"):
        memory = memory_left(memory)
    arrays = Arrays(FOR_ARRAYS * memory)
    watch = Anonymous() if case.anonymous else None
    began = time.perf_counter()
    group = current_group()
    guides = [Guide(0, 1.0)]
    styles = [Style(style, units)]
    setup = SetupKeeping(
        config,
        network,
        kind_of(content),
        content,
        units,
        styles,
        guides,
        memory,
        arrays,
        group,
        kept_stages=case.kept,
    )
    scale = Scale.begin(setup, case.space, None, None)
    build = time.perf_counter() - began
    (member,) = scale.ensemble.members
    objective, plan = member.objective, member.plan
    if case.loop == "ours":
        evaluate: Evaluate = partial(ours, objective, plan)
    else:
        evaluate = plain(objective, case.network, autocast=case.loop == "autocast")
    g = scale.start
    del scale
    peak = status("VmHWM")
    before = from_here()
    times = []
    for _ in range(case.warm + case.runs):
        if plan.group.size > 1:
            distributed.barrier()
        began = time.perf_counter()
        value, gradient = evaluate(g)
        times.append(time.perf_counter() - began)
    after = status("VmHWM")
    if case.gradient:
        whole = gather(plan.group, Patch(gradient, objective.region))
        if plan.group.rank == 0:
            np.save(case.gradient, whole.numpy())
    return Report(
        seconds=statistics.median(times[case.warm :]),
        build=build,
        above=max(peak, after) - held,
        total=max(peak, after),
        anonymous=watch.peak if watch else 0,
        evaluation=after - before,
        value=value,
        kept=plan.kept,
        tiles=list(plan.tiles),
        arrays=between(works(network, objective.region.space, objective.reaches)),
        values=counted(objective, plan),
        operations=operations(objective, plan),
    )


def random(space: Space, seed: int) -> Sample:
    """Noise: three channels of a picture, one of anything else."""
    channels = 3 if len(space) == 2 else 1
    data = np.random.default_rng(seed).random((channels, *space), np.float32)
    return Sample(data, (0.0, 1.0) if len(space) == 2 else None)


def randomize(network: Network) -> None:
    """Puts random weights in its convolutions (He et al. 2015)."""
    torch.manual_seed(0)
    for module in network.modules():
        if isinstance(module, _ConvNd):
            nn.init.kaiming_normal_(module.weight, nonlinearity="relu")
            assert module.bias is not None
            nn.init.zeros_(module.bias)


def random_vgg19(config: Config) -> Network:
    """VGG-19 with random weights, to the layer that is looked at last."""
    depths = (*VGG19[:4], 1)
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    network = vgg("vgg19", depths, WIDTHS, dims=2, mean=mean, std=std, last_pooling=False)
    randomize(network)
    if config.engine.precision == "bf16":
        network.in_bfloat16()
    return network


def ours(objective: Objective, plan: Plan, g: Tensor) -> tuple[float, Tensor]:
    evaluation = value_and_grad(objective, g, plan)
    return evaluation.value, evaluation.gradient


def plain(objective: Objective, name: str, *, autocast: bool) -> Evaluate:
    """The obvious loop: one pass with all its activations kept, losses at the taps, backward."""
    layers = set(dict(objective.reaches))
    if name == "filterbank":
        forward = partial(objective.network, wanted=layers)
    else:
        stages = objective.network.stages
        operations = OrderedDict(chain.from_iterable(s.operations.items() for s in stages))
        sequential = nn.Sequential(deepcopy(operations))
        sequential.to(memory_format=torch.contiguous_format)  # type: ignore[call-overload]
        forward = partial(taps, sequential, layers)

    def evaluate(g: Tensor) -> tuple[float, Tensor]:
        g = g.detach().requires_grad_(True)
        with torch.autocast("cpu", torch.bfloat16) if autocast else nullcontext():
            activations = forward(g)
        terms = []
        for term in objective.terms:
            a, loss = activations[term.layer].float(), term.loss
            if isinstance(loss, Content):
                sums = (a - loss.target.values).square().sum()
            else:
                f = a.flatten(2)[0]
                if isinstance(loss, MetricGram | Moments):
                    f = torch.cat([f, torch.ones_like(f[:1])])
                sums = (f @ f.T).double()
            terms.append(term.weight * loss.score(sums, objective.counts[term.layer]))
        value = torch.stack([term.double() for term in terms]).sum()
        value.backward()  # type: ignore[no-untyped-call]
        assert g.grad is not None
        return value.item(), g.grad

    return evaluate


def taps(operations: nn.Sequential, layers: set[str], x: Tensor) -> dict[str, Tensor]:
    """The named layers' activations."""
    found = {}
    for name, operation in operations.named_children():
        x = operation(x)
        if name in layers:
            found[name] = x
    return found


def counted(objective: Objective, plan: Plan) -> dict[str, float]:
    """Bytes that plan.py counts: of all stages whole, of the kept ones in tiles, of the largest
    tile, and of a convolution's copies."""
    stages = works(objective.network, objective.region.space, objective.reaches)
    sides = plan.tiles or [work.grid for work in stages]
    tiles = [work.cost(side) for work, side in zip(stages, sides, strict=True)]
    kept = [
        min(1.0, max(0.0, plan.kept - index)) * cost.values * prod(work.grid) / prod(side)
        for index, (work, side, cost) in enumerate(
            reversed(list(zip(stages, sides, tiles, strict=True)))
        )
    ]
    return {
        "whole": sum(work.cost(work.grid).values for work in stages),
        "kept": sum(kept),
        "working": max(cost.values for cost in tiles),
        "scratch": max(cost.scratch for cost in tiles),
    }


def operations(objective: Objective, plan: Plan) -> dict[str, float]:
    """Multiplications and additions of the convolutions: forward over the sample once, and all of
    the plan's: forward, backward to the input, forward again where nothing was kept."""

    def forward(legs: tuple[Leg, ...], *, gradient: bool) -> float:
        total = 0.0
        for leg in legs:
            for number, tile in enumerate(leg.tiles):
                again = number < len(leg.tiles) - leg.kept
                passes = 2 + again if gradient else 1
                needed = tile.stage.needed(tile.wanted, tile.source.whole)
                for name, operation in tile.stage.operations.items():
                    if name in needed and isinstance(operation, _ConvNd):
                        total += 2.0 * needed[name].count * operation.weight.numel() * passes
        return total

    space = objective.region.whole
    once = walk(objective.network, space, objective.reaches, WHOLE)
    legs = walk(objective.network, space, objective.reaches, plan)
    return {
        "once": forward(once, gradient=False),
        "tiles": forward(legs, gradient=False),
        "all": forward(legs, gradient=True),
    }


def status(name: str) -> float:
    """Bytes that the system counts for this process: VmHWM is the peak, VmRSS what it holds."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(f"{name}:"):
            return 1024.0 * int(line.split()[1])
    raise RuntimeError(f"the system does not tell {name}")


def from_here() -> float:
    """What the process holds; its peak is counted from here on."""
    Path("/proc/self/clear_refs").write_text("5")
    return status("VmRSS")


class Anonymous:
    """Looks fifty times a second at how much memory is held beside the pages of files."""

    def __init__(self) -> None:
        self.peak = 0.0
        threading.Thread(target=self._look, daemon=True).start()

    def _look(self) -> None:
        while True:
            self.peak = max(self.peak, status("RssAnon"))
            time.sleep(0.02)


if __name__ == "__main__":
    settings = json.loads(sys.argv[1])
    for grid in ("space", "style"):
        settings[grid] = settings[grid] and tuple(settings[grid])
    print(json.dumps(asdict(report(Case(**settings)))))
    if distributed.is_initialized():
        distributed.destroy_process_group()
