"""Whole problems that property tests draw: a network, J's settings, samples and plans.

Plain functions of a test's `data`, not strategies: checked calls use Python's random numbers,
and Hypothesis will have none of that inside its own.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from copy import deepcopy
from dataclasses import dataclass, replace
from functools import cache
from math import ceil, prod
from typing import Any

import torch
from hypothesis import strategies as st
from torch import Tensor

from impasto.config.settings import ObjectiveConfig
from impasto.engine.objective import Objective, StylePatch, build_objective
from impasto.engine.walk import WHOLE, Plan
from impasto.grids.geometry import Space
from impasto.grids.patch import Patch
from impasto.networks.filterbank import filterbank
from impasto.networks.series import series_bank
from impasto.networks.stage import INPUT, Network
from impasto.networks.traced import trace
from impasto.networks.vgg import vgg
from tests.oracles import plain
from tests.residual import Residual
from tests.strategies import normal, seeds

NORMALIZATIONS = ("relative", "course", "notes")
BLOCKED = ("p", "r", "b", "d", "brp", "rrd", "pdbr")
BLOCKS = ((2, 2), (1, 2, 1), (1, 1), (3,))


def style_patches(
    styles: Iterable[Patch],
    config: ObjectiveConfig,
    plan: Plan = WHOLE,
    weights: Sequence[Tensor | None] = (),
) -> list[StylePatch]:
    """The styles, each with its share of the config's; weights: of their positions."""
    patches = list(styles)
    shares = config.style_shares(len(patches)) if patches else ()
    each = zip(patches, shares, weights or [None] * len(patches), strict=True)
    return [StylePatch(patch, plan, share, weight) for patch, share, weight in each]


@dataclass(frozen=True)
class Problem:
    """What J and dJ/dG are to be taken of."""

    network: Network
    config: ObjectiveConfig
    content: Tensor
    styles: tuple[Tensor, ...]
    g: Tensor
    weights: tuple[Tensor | None, ...]

    def to(self, dtype: torch.dtype) -> Problem:
        """The same in other numbers."""
        styles = tuple(style.to(dtype) for style in self.styles)
        network = deepcopy(self.network).to(dtype)
        weights = tuple(None if weight is None else weight.to(dtype) for weight in self.weights)
        content, g = self.content.to(dtype), self.g.to(dtype)
        return Problem(network, self.config, content, styles, g, weights)

    def objective(self, plan: Plan = WHOLE) -> Objective:
        """Ours, its targets taken by the plan too."""
        return build_objective(
            Patch.whole(self.content),
            style_patches(map(Patch.whole, self.styles), self.config, plan, self.weights[1:]),
            self.network,
            self.config,
            plan,
            weight=self.weights[0],
        )

    def expected(self) -> tuple[dict[str, float], Tensor]:
        """The terms and the gradient of plain automatic differentiation."""
        return plain.value_and_grad(
            self.network, self.content, self.styles, self.g, self.config, self.weights
        )


@cache
def _filterbank(dims: int, padding: Any) -> Network:
    if dims == 1:
        return series_bank(2, 1.0, (3.0, 40.0), padding=padding, seed=1).double()
    return filterbank(dims=dims, channels=2, padding=padding, seed=dims).double()


def a_network(data: st.DataObject) -> tuple[Network, tuple[str, ...]]:
    """A network in float64 with metrics on some layers, and those of its layers to draw from."""
    dims = data.draw(st.integers(1, 3))
    padding: Any = data.draw(st.sampled_from(["zero", "replicate", "reflect", "valid"]))
    kind = data.draw(st.sampled_from(["vgg", "vgg", "filterbank", "residual"]))
    if kind == "residual":
        return a_residual_network(data, dims)
    if kind == "filterbank":
        network = _filterbank(dims, padding)
        octaves = (2, 2, 1)[dims - 1]
        return network, (INPUT, *(x for s in list(network.stages)[:octaves] for x in s.layers))
    torch.manual_seed(data.draw(seeds))
    blocks = data.draw(st.sampled_from(BLOCKS[1:] if dims == 3 else BLOCKS))
    network = vgg(
        "narrow",
        blocks,
        (3, 4, 2)[: len(blocks)],
        dims=dims,
        channels=2,
        padding=padding,
        pooling=data.draw(st.sampled_from(["max", "average"])),
        mean=(0.1, -0.2) if data.draw(st.booleans()) else None,
        std=(0.8, 1.5),
    ).double()
    for layer in data.draw(st.sets(st.sampled_from(network.layers), max_size=2)):
        width = network.widths[layer] + 1
        network.metrics[layer] = torch.nn.Parameter(torch.randn(width, width).double())
    return network.requires_grad_(False), network.layers


def a_residual_network(data: st.DataObject, dims: int) -> tuple[Network, tuple[str, ...]]:
    """A module with residual blocks as a network, with itself as its `original`."""
    torch.manual_seed(data.draw(seeds))
    blocks = data.draw(st.sampled_from(["p", "pr", "rd", "br", "db"] if dims == 3 else BLOCKED))
    module = Residual(blocks, dims, channels=2).double().eval()
    names = [name for name, _ in module.named_modules() if name and not name.startswith("head")]
    wanted = data.draw(st.sets(st.sampled_from(names), min_size=1, max_size=4))
    # Where two names are one layer, as those of a block and of its last module, one is enough.
    wanted = {name for name in wanted if not any(other.startswith(f"{name}.") for other in wanted)}
    network = trace(module, "residual", dims=dims, channels=2, wanted=wanted)
    network.original = module.requires_grad_(False)
    return network, (INPUT, *sorted(wanted))


def a_problem(data: st.DataObject, slack: int = 5) -> Problem:
    """A problem over up to `slack` positions more an axis than its layers need."""
    network, layers = a_network(data)
    some = st.lists(st.sampled_from(layers), min_size=1, max_size=3, unique=True)
    alpha, beta, gamma = data.draw(
        st.tuples(*(st.sampled_from([0.0, w]) for w in (2.0, 5.0, 0.3))).filter(any)
    )
    statistics: dict[str, float] = {}
    if network.dims == 1:
        kinds = ("autocorrelation", "spectrum", "amplitude")
        statistics = {kind: data.draw(st.sampled_from([0.0, 0.7])) for kind in kinds}
        statistics |= {"lag": data.draw(st.integers(1, 8))}
        statistics |= {"spectrum_window": 2 * data.draw(st.integers(2, 4))}
    lambdas = st.sampled_from([0.5, 2.0])
    styles = data.draw(st.integers(1, 2))
    style_layers = data.draw(some)
    smoothing: Any = data.draw(st.sampled_from(["none", "none", "softmax"]))
    losses: list[tuple[str, ...]] = [("gram",)]
    if smoothing == "none":
        losses += [("moments",), (("moments", "gram") * len(style_layers))[: len(style_layers)]]
    config = ObjectiveConfig(
        alpha=alpha,
        beta=beta,
        gamma=gamma,
        content_layers=tuple(data.draw(some)),
        style_layers=tuple((layer, data.draw(lambdas)) for layer in style_layers),
        style_losses=data.draw(st.sampled_from(losses)),
        style_weights=data.draw(st.sampled_from([(1.0,), (1.0, 3.0)[:styles]])),
        normalization=data.draw(st.sampled_from(NORMALIZATIONS)),
        smoothing=smoothing,
        tv_power=data.draw(st.sampled_from([1.0, 1.5, 2.0])),
        **statistics,
    )
    # What is (nearly) flat gives waves of zero mean nothing but rounding errors.
    # The module that a residual network was made of runs whole, with poolings that need positions.
    least = {"filterbank": 4, "residual": (12, 12, 6)[network.dims - 1]}
    smallest = max(network.smallest_side(config.layers), least.get(network.name, 1))
    if config.statistics:
        smallest = max(smallest, 12)  # in 12 there is a window of 8 that starts at a multiple of 4
    seed = data.draw(seeds)
    sides = st.integers(smallest, smallest + slack)

    def sample(number: int, space: Space) -> Tensor:
        return normal(seed + number, 1, network.channels, *space)

    space, *others = (
        tuple(data.draw(sides) for _ in range(network.dims)) for _ in range(1 + styles)
    )
    return Problem(
        network=network,
        config=config,
        content=sample(0, space),
        styles=tuple(sample(2 + i, other) for i, other in enumerate(others)),
        g=sample(1, space),
        weights=tuple(
            a_weight(data, grid, seed + 9 + i, grid[-1] - (12 if config.statistics else 1))
            for i, grid in enumerate((space, *others))
        ),
    )


def a_weight(data: st.DataObject, space: Space, seed: int, most: int) -> Tensor | None:
    """None, or weights in [0, 1] that are 0 over a part of the sample, of `most` positions."""
    if data.draw(st.booleans()):
        return None
    soft = normal(seed, 1, 1, *space).sigmoid()
    cut = data.draw(st.integers(0, most))
    soft[..., :cut] = 0
    return soft


def a_plan(data: st.DataObject, problem: Problem, most: int = 40) -> Plan:
    """Tiles of any sides for some of the stages, about `most` at most in each; some kept."""
    stages = len(problem.network.path(problem.config.layers))
    lengths = tuple(problem.g.shape[2:])
    tiles = []
    for _ in range(data.draw(st.integers(0, stages))):
        sides = tuple(data.draw(st.integers(1, 9)) for _ in lengths)
        while prod(ceil(n / side) for n, side in zip(lengths, sides, strict=True)) > most:
            sides = tuple(2 * side for side in sides)
        tiles.append(sides)
    return replace(WHOLE, tiles=tuple(tiles), kept=data.draw(st.integers(0, stages)))
