"""J at each step of a small run: what it was before, and the same on every plan."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from itertools import islice
from typing import Any

import numpy as np
import pytest
import torch

from impasto.config.config import RATE, Config
from impasto.config.presets import configure
from impasto.engine.gradient import value_and_grad
from impasto.engine.objective import StylePatch, build_objective
from impasto.engine.walk import WHOLE, Plan
from impasto.grids.geometry import Space
from impasto.grids.patch import Patch
from impasto.media.sample import Sample
from impasto.networks.filterbank import filterbank
from impasto.networks.series import series_bank
from impasto.optimizers.adam import adam
from impasto.transfer.stylize import Result, stylize

SPACES: dict[int, Space] = {1: (400,), 2: (24, 20), 3: (10, 12, 9)}

PLANS = {
    "whole": WHOLE,
    "streamed": Plan(tiles=((10,), (6,)), kept=0),
    "last stage kept": Plan(tiles=((12,), (4,)), kept=1),
}
"""Tiles of those sides along each axis, of a signal 10 times as long."""

GOLDEN = {
    1: [2.94768782, 2.70673769, 2.48953682, 2.29457955, 2.1209195, 1.9657381],
    2: [29.0978332, 16.073933, 10.606506, 8.47698905, 7.61077616, 7.18925082],
    3: [82.5309435, 33.9704938, 16.709168, 10.5742403, 8.35200588, 7.5496687],
}
"""J in float64 before each of six steps of Adam."""


def settings(dims: int) -> Config:
    """Of a run over so many axes; signals have layers of their own."""
    content_layers, style_layers = ("edge1", "edge2"), ("color1", "wave1", "color2", "stroke2")
    if dims == 1:
        content_layers, style_layers = (
            ("width2", "width4"),
            ("width1", "width3", "width4", "width6"),
        )
    return configure(
        network="filterbank",
        kernel=(11, 9, 7)[dims - 1],
        precision="fp32",
        content_layers=content_layers,
        style_layers=tuple((layer, 0.5) for layer in style_layers),
        style_losses=("gram",),
        gamma=0.1,
        size=(0,),
        coarsest=0,
        steps=(6,),
        init="noise",
        learning_rate=0.01,
    )


def samples(dims: int) -> tuple[Sample, Sample]:
    """A picture, or two channels of a signal or a volume: smooth, and grainy."""
    space = SPACES[dims]
    channels = 3 if dims == 2 else 2
    axes = np.meshgrid(*map(np.arange, space), indexing="ij")
    waves = [np.sin(sum(axes) / (3 + channel)) for channel in range(channels)]
    content = 0.5 + 0.4 * np.stack(waves)
    style = np.random.default_rng(dims).random((channels, *space)) ** 2
    one, other = (Sample(x.astype(np.float32), (0.0, 1.0)) for x in (content, style))
    return one, other


def cut(plan: Plan, dims: int) -> Plan:
    """The plan for a grid of so many axes."""
    times = 10 if dims == 1 else 1
    return replace(plan, tiles=tuple((times * side,) * dims for (side,) in plan.tiles))


def run(dims: int, plan: Plan, monkeypatch: pytest.MonkeyPatch) -> tuple[list[float], Result]:
    """J at each step and what comes out, with the plan in place of the one that would be chosen."""

    def chosen(*arguments: Any) -> Plan:
        base: Plan = arguments[-1]
        mine = cut(plan, dims)
        return replace(base, tiles=mine.tiles, kept=mine.kept)

    monkeypatch.setattr("impasto.transfer.setup.choose_plan", chosen)
    monkeypatch.setattr("impasto.kinds.padding.LEAST", 1)  # short axes stay as they are
    values: list[float] = []
    content, style = samples(dims)
    result = stylize(content, style, settings(dims), callback=lambda p: values.append(p.value))
    return values, result


@cache
def in_float64(dims: int, plan: Plan) -> list[float]:
    """J before each step, all in float64, from the noise that a run in float32 starts as."""
    config = settings(dims)
    content, style = (torch.from_numpy(sample.data)[None].double() for sample in samples(dims))
    network = (
        series_bank(2, RATE, config.network.widths, padding="replicate", seed=0)
        if dims == 1
        else filterbank(
            dims=dims,
            channels=content.shape[1],
            padding="replicate",
            seed=0,
            kernel=config.network.kernel,
        )
    ).double()
    plan = cut(plan, dims)
    objective = build_objective(
        Patch.whole(content),
        [StylePatch(Patch.whole(style), plan)],
        network,
        config.objective,
        plan,
    )
    noise = torch.rand(content.shape, generator=torch.Generator().manual_seed(0)).double()
    steps = adam(
        lambda g: value_and_grad(objective, g, plan),
        noise,
        learning_rate=config.optimizer.learning_rate,
        project=lambda g: g.clamp(0, 1),
    )
    return [step.evaluation.value for step in islice(steps, 6)]


@pytest.mark.parametrize("dims", SPACES)
def test_j_follows_the_golden_trajectory(dims: int) -> None:
    assert in_float64(dims, WHOLE) == pytest.approx(GOLDEN[dims], rel=1e-6)


@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("dims", SPACES)
def test_in_float64_all_plans_take_the_same_way(dims: int, name: str) -> None:
    assert in_float64(dims, PLANS[name]) == pytest.approx(in_float64(dims, WHOLE), rel=1e-9)


@pytest.mark.slow
@pytest.mark.parametrize("name", PLANS)
@pytest.mark.parametrize("dims", SPACES)
def test_runs_in_float32_take_nearly_the_way_of_float64(
    dims: int, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    values, _ = run(dims, PLANS[name], monkeypatch)
    assert values == pytest.approx(in_float64(dims, WHOLE), rel=1e-4)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["whole", "streamed"])
@pytest.mark.parametrize("dims", SPACES)
def test_the_same_seed_gives_the_same_bytes(
    dims: int, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, again = (run(dims, PLANS[name], monkeypatch)[1].sample.data.tobytes() for _ in "12")
    assert first == again
