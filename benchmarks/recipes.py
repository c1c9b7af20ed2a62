"""Time to a good picture: our default preset beside two published recipes, on the same network.

Each recipe is a J and a way to minimize it. The first table has the pictures of both recipes and of
our default preset, with J of each under both. The second has the time until our scales, optimizers
and engine, given the recipe's own J, have reached the J that the recipe ends with.

    python -m benchmarks.recipes [--size 512] [--runs 3] [--content FILE --style FILE]
        [--network vgg19 --weights FILE] [--sheet FILE]
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from math import prod
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch
from skimage.data import astronaut
from torch import Tensor

from benchmarks._recipes import (
    CONTENT,
    STYLE,
    UNITS,
    NeuralStyle,
    Pair,
    Run,
    StyleTransfer,
    Wasserstein,
    covariance,
    square_roots,
    with_replicated_border,
)
from benchmarks._tables import machine, table
from examples.painter import paint
from impasto import media
from impasto.config.config import Config
from impasto.config.presets import configure
from impasto.engine.ensemble import Member
from impasto.engine.objective import Objective, Term
from impasto.engine.walk import Plan
from impasto.grids.arrays import Arrays
from impasto.grids.geometry import Region, Space
from impasto.grids.parallel import ALONE
from impasto.grids.patch import Values
from impasto.kinds import PICTURE
from impasto.kinds.guidance import Guide
from impasto.kinds.kind import Style
from impasto.losses.content import Content
from impasto.losses.gram import Gram, MetricGram
from impasto.losses.loss import Weight
from impasto.losses.variation import TotalVariation
from impasto.media.pictures.picture import Picture, from_array
from impasto.networks import Network
from impasto.networks.stage import INPUT
from impasto.plots.picture import side_by_side
from impasto.system.machine import memory_left, memory_limit
from impasto.transfer.network import network_for
from impasto.transfer.scale import Scale
from impasto.transfer.scales import grids
from impasto.transfer.setup import FOR_ARRAYS, Setup
from impasto.transfer.stylize import stylize

Recipe = NeuralStyle | StyleTransfer
Curve = list[tuple[float, float]]
"""Seconds and J, at steps of the last scale."""

OPTIMIZERS = {"Adam": "adam", "L-BFGS": "lbfgs"}
EVERY = 5
"""Steps between looks at J, which are not on the clock."""


@dataclass(frozen=True, eq=False)
class Transport:
    """Wasserstein's distance of the second recipe, as sums and a score.

    Its matrix iteration acts on each eigenvalue alone: with those, the same value takes
    half the time of 128 channels.
    """

    target: Wasserstein
    reach: ClassVar[int] = 0
    sums = staticmethod(MetricGram.sums)

    @property
    def shape(self) -> tuple[int, ...]:
        return (len(self.target.mean) + 1,) * 2

    def score(self, sums: Tensor, count: float) -> Tensor:
        mean, products = sums[:-1, -1] / count, sums[:-1, :-1] / count
        own = covariance(mean, products)
        values = torch.linalg.eigvalsh((self.target.root @ own @ self.target.root).double())
        common = square_roots(values).to(own).sum()
        traces = (self.target.covariance + own).trace()
        return (mean - self.target.mean).square().mean() + (traces - 2 * common) / len(mean)


@dataclass(frozen=True, eq=False)
class NinePoints:
    """The second recipe's total variation, but for what it sees beyond the border."""

    reach: ClassVar[int] = 1
    shape: ClassVar[tuple[int, ...]] = ()

    def sums(self, activation: Tensor, region: Region, weight: Weight = None) -> Tensor:
        height, width = region.space
        here = activation[..., :height, :width]
        right, below = activation[..., :height, 1:], activation[..., 1:, :width]
        beyond = activation[..., 1:, 1:]
        rows, columns = beyond.shape[2:]
        along = [right - here[..., : right.shape[3]], below - here[..., : below.shape[2], :]]
        across = [
            beyond - here[..., :rows, :columns],
            below[..., :rows, :columns] - right[..., :rows, :columns],
        ]
        axes, diagonals = (
            torch.stack([steps.square().sum() for steps in each]).sum() for each in (along, across)
        )
        return 2 * axes / 3 + diagonals / 6

    def score(self, sums: Tensor, count: float) -> Tensor:
        return sums / count / 3


@dataclass(frozen=True)
class RecipeSetup(Setup):
    """Our engine, given the J of a recipe.

    The network's metrics are to be identities, so that targets are mean products of [a 1].
    """

    recipe: Recipe

    def _members(
        self, space: Space, slab: Region, base: Plan, start: Values | None
    ) -> tuple[Member, ...]:
        (member,) = super()._members(space, slab, base, start)
        objective = member.objective
        terms = [self._term(term, objective) for term in objective.terms]
        terms.append(self._tv(space))
        return (replace(member, objective=replace(objective, terms=tuple(terms))),)

    def _term(self, term: Term, objective: Objective) -> Term:
        recipe, loss = self.recipe, term.loss
        width = objective.network.widths[term.layer]
        if isinstance(loss, Content):
            share = _weight(recipe, term.layer) / (width * objective.counts[term.layer])
            return replace(term, loss=replace(loss, normalization="course"), weight=2 * share)
        assert isinstance(loss, MetricGram)
        mean, products = loss.target[:-1, -1], loss.target[:-1, :-1]
        if isinstance(recipe, NeuralStyle):
            weight = 4 * _weight(recipe, term.layer) / width**2
            return replace(term, loss=Gram(products, "course"), weight=weight)
        target = Transport(Wasserstein.of(mean, products))
        return replace(term, loss=target, weight=_weight(recipe, term.layer))

    def _tv(self, space: Space) -> Term:
        if isinstance(self.recipe, NeuralStyle):
            # A sum: at coarser scales of fewer and larger differences.
            finer = (prod(self.units.content.space) / prod(space)) ** 0.5
            weight = self.recipe.tv_weight * UNITS * finer
            return Term("tv", INPUT, TotalVariation(1.0, "course"), weight)
        return Term("tv", INPUT, NinePoints(), self.recipe.tv_weight)


def _weight(recipe: Recipe, layer: str) -> float:
    """Of a layer's term in the recipe's J."""
    if isinstance(recipe, NeuralStyle):
        return recipe.weights[layer]
    if layer == CONTENT:
        return recipe.content_weight
    return recipe.style_weights[STYLE.index(layer)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--size", type=int, default=512)
    parser.add_argument("--runs", type=int, default=1, help="runs, of which medians are taken")
    parser.add_argument("--content", type=Path, help="another than scikit-image's astronaut")
    parser.add_argument("--style", type=Path, help="another than the demo's painting")
    parser.add_argument("--network", default="vgg16")
    parser.add_argument("--weights", help="a file with weights for it")
    parser.add_argument("--steps", type=int, default=1000, help="of the recipes, at one scale")
    parser.add_argument("--cap", type=int, default=400, help="of ours at the last scale")
    parser.add_argument("--sheet", type=Path, help="the pictures side by side, in this .png")
    arguments = parser.parse_args()
    content = _opened(arguments.content, astronaut, arguments.size)
    style = _opened(arguments.style, lambda: paint(768, 1024, seed=12), arguments.size)
    settings = {"network": arguments.network, "weights": arguments.weights}
    pair = Pair(*(torch.from_numpy(picture.data)[None] for picture in (content, style)))
    steps = arguments.steps
    recipes: dict[str, Recipe] = {
        "neural-style-pt": NeuralStyle(plain_network(settings, content), pair, steps),
        "style-transfer-pytorch": StyleTransfer(
            with_replicated_border(plain_network(settings, content)),
            pair,
            arguments.size,
            first_steps=steps,
            steps=max(1, steps // 2),
        ),
    }
    shape = " x ".join(map(str, content.space))
    print(f"{machine()}\n{arguments.network}, {shape}, median of {arguments.runs} runs\n")
    many = range(arguments.runs)
    runs = {name: _median([recipe.run() for _ in many]) for name, recipe in recipes.items()}
    config = configure(size=(arguments.size,), **settings)
    runs["impasto, default preset"] = _median([_default(content, style, config) for _ in many])
    lines = []
    for name, run in runs.items():
        values = [f"{_value(recipe, run.picture):.4g}" for recipe in recipes.values()]
        lines.append([name, f"{run.seconds:.1f}", *values])
    table(["picture", "seconds", *(f"J of {name}" for name in recipes)], lines)
    print()
    lines = []
    for name, recipe in recipes.items():
        theirs = runs[name]
        for label, optimizer in OPTIMIZERS.items():
            found = []
            for _ in many:
                engine, spaces = our_engine(content, style, settings, optimizer, recipe)
                found.append(_reached(engine, spaces, recipe, theirs.value, arguments.cap))
            lines.append([name, label, *_times(theirs, [curve for curve, _ in found])])
            curve, picture = found[0]
            runs[f"{name}'s J by our {label}"] = Run(picture, curve[-1][1], curve[-1][0])
    table(
        ["J of", "our optimizer", "ends with", "after", "ours is there after", "share", "or ends"],
        lines,
    )
    if arguments.sheet:
        pictures = [content, style, *(Picture(run.picture[0].numpy()) for run in runs.values())]
        media.save(side_by_side(pictures, content.space[0]), arguments.sheet)
        print(f"\n{arguments.sheet}: content, style, {', '.join(runs)}")


def _opened(path: Path | None, made: Callable[[], np.ndarray], size: int) -> Picture:
    picture = from_array(made(), (size,)) if path is None else media.load(path, (size,))
    assert isinstance(picture, Picture)
    return picture


def plain_network(settings: dict[str, Any], content: Picture) -> Network:
    """The network in fp32, padded with zeros as theirs are."""
    config = configure(**settings, padding="zero", precision="fp32").complete()
    return network_for(config, content, None)


def _value(recipe: Recipe, picture: Tensor) -> float:
    with torch.no_grad():
        return recipe.value(picture).item()


def _median(runs: list[Run]) -> Run:
    seconds = statistics.median(run.seconds for run in runs)
    return replace(runs[0], seconds=seconds)


def _default(content: Picture, style: Picture, config: Config) -> Run:
    began = time.perf_counter()
    result = stylize(content, style, config)
    seconds = time.perf_counter() - began
    return Run(torch.from_numpy(result.sample.data)[None], result.value, seconds)


def our_engine(
    content: Picture,
    style: Picture,
    settings: dict[str, Any],
    optimizer: str,
    recipe: Recipe,
) -> tuple[RecipeSetup, list[tuple[Space, int]]]:
    """Our engine, and the scales of the default preset or, of one scale as its recipe, the last:
    G of a coarser one is no better a start under the first recipe's J than the content."""
    config = configure(
        **settings,
        padding="zero",
        optimizer=optimizer,
        style_losses=("gram",),
        size=(max(content.space),),
        coarsest=0 if isinstance(recipe, NeuralStyle) else recipe.coarsest,
        content_layers=(CONTENT,),
        style_layers=tuple((layer, 1.0) for layer in STYLE),
        coarse_share=0.0,
        fine_style=1.0,
    ).complete()
    memory = memory_left(memory_limit("auto"))
    arrays = Arrays(FOR_ARRAYS * memory)
    network = network_for(config, content, None)
    if isinstance(recipe, StyleTransfer):
        with_replicated_border(network)
    network.metrics.update({layer: torch.eye(network.widths[layer] + 1) for layer in STYLE})
    units, (style_units,) = PICTURE.units(content, [style], config)
    guides = [Guide(0, 1.0)]
    engine = RecipeSetup(
        config,
        network,
        PICTURE,
        content,
        units,
        [Style(style, style_units)],
        guides,
        memory,
        arrays,
        ALONE,
        recipe,
    )
    return engine, grids(config, network, PICTURE, content, [style])


def _reached(
    engine: RecipeSetup, scales: list[tuple[Space, int]], recipe: Recipe, goal: float, cap: int
) -> tuple[Curve, Tensor]:
    """J of the last scale's averages until one is no higher than the goal, and that picture.

    L-BFGS leaves [0, 1] on the way, as the first recipe does; both are clipped when they are saved.
    """
    curve: Curve = []
    scale: Scale | None = None
    clock = time.perf_counter()
    for space, count in scales:
        last = (space, count) == scales[-1]
        scale = Scale.begin(engine, space, scale, None)
        for number, _ in enumerate(scale.steps(cap if last else count), start=1):
            if last and number % EVERY == 0:
                seconds = time.perf_counter() - clock
                curve.append((seconds, _value(recipe, scale.average)))
                if curve[-1][1] <= goal:
                    return curve, scale.whole()
                clock = time.perf_counter() - seconds
    assert scale is not None
    return curve, scale.whole()


def _times(theirs: Run, curves: list[Curve]) -> list[str]:
    """J that theirs ends with, when, when ours has it, and the ratio; or how far ours came."""
    goal, seconds = theirs.value, theirs.seconds
    times = [curve[-1][0] if curve[-1][1] <= goal else float("inf") for curve in curves]
    reached = statistics.median(times)
    cells = [f"{goal:.4g}", f"{seconds:.1f} s"]
    if reached < float("inf"):
        return [*cells, f"{reached:.1f} s", f"{reached / seconds:.3f}"]
    after, lowest = min(curves[0], key=lambda point: point[1])
    return [*cells, "not", "", f"{lowest:.4g} after {after:.1f} s"]


if __name__ == "__main__":
    main()
