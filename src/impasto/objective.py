"""J(G) = alpha J_content(C, G) + beta J_style(S, G) + gamma TV(G), as a list of weighted losses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cached_property
from math import prod

import torch
from torch import Tensor

from impasto.config import ObjectiveConfig
from impasto.geometry import Region
from impasto.losses import Content, Gram, Loss, MetricGram, TotalVariation
from impasto.networks.stage import INPUT, Network
from impasto.patch import Assembly, Patch
from impasto.walk import WHOLE, Plan, Reaches, look, walk

Sums = dict[tuple[str, Callable[[Tensor, Region], Tensor]], Tensor]
"""Sums over positions by layer and by what makes them: terms that share both share the sums."""


@dataclass(frozen=True)
class Term:
    """One weighted loss on one layer.

    kind: "content", "style" or "tv". weight: the factor in J, alpha, beta, gamma, lambda and the
    style's share multiplied out.
    """

    kind: str
    layer: str
    loss: Loss
    weight: float


@dataclass(frozen=True)
class Objective:
    """J: the network and the terms measured on its layers.

    region: of the grid of G, the part that this process has.
    """

    network: Network
    terms: tuple[Term, ...]
    region: Region

    @cached_property
    def reaches(self) -> Reaches:
        """The layers that the terms look at, and how far beyond a region."""
        return frozenset(
            (layer, max(term.loss.reach for term in self.terms if term.layer == layer))
            for layer in {term.layer for term in self.terms}
        )

    @cached_property
    def counts(self) -> dict[str, int]:
        """Positions of each of those layers."""
        grids = self.network.grids(self.region.whole, dict(self.reaches))
        return {layer: prod(grid) for layer, grid in grids.items()}

    def sums(self, layer: str, activation: Tensor, region: Region) -> Sums:
        """What the terms of a layer add up over a region; never in bfloat16."""
        losses = {term.loss.sums: term.loss for term in self.terms if term.layer == layer}
        activation = exact(activation)
        patch = Patch(activation, region.grown(dict(self.reaches)[layer]))
        return {
            (layer, sums): sums(patch.over(region.grown(loss.reach)), region)
            for sums, loss in losses.items()
        }

    def zeros(self) -> Sums:
        """Sums over nothing, to be added to: in float64, since positions may be many."""
        return {
            (term.layer, term.loss.sums): torch.zeros(term.loss.shape, dtype=torch.float64)
            for term in self.terms
        }

    def score(self, sums: Sums) -> dict[str, Tensor]:
        """The weighted terms by kind, from the sums over all positions; they add up to J."""
        terms: dict[str, Tensor] = {}
        for term in self.terms:
            total = sums[term.layer, term.loss.sums]
            part = term.weight * term.loss.score(total, self.counts[term.layer])
            terms[term.kind] = terms[term.kind] + part if term.kind in terms else part
        return terms


def exact(activation: Tensor) -> Tensor:
    """The activation, in float32 where it is in bfloat16."""
    return activation.float() if activation.dtype is torch.bfloat16 else activation


def build_objective(
    content: Patch,
    styles: Sequence[Patch],
    network: Network,
    config: ObjectiveConfig,
    plan: Plan = WHOLE,
    style_plans: Sequence[Plan] = (),
) -> Objective:
    """J for a content, one or more styles and a network.

    Each content layer has an equal share of alpha; lambda of the style layers and the weights of
    the styles are used as given. The relative normalization measures style in the network's metric
    where it has one. content, styles: what this process has of them. plan: of the content, which
    G shares; style_plans: of each style. Raises LayerError for a layer the network does not have.
    """
    network.check(config.layers)
    terms: list[Term] = []
    if config.alpha and config.content_layers:
        share = config.alpha / len(config.content_layers)
        for layer, loss in _content(content, network, config, plan).items():
            terms.append(Term("content", layer, loss, share))
    if config.beta:
        shares = config.style_shares(len(styles))
        plans = style_plans or [plan] * len(styles)
        for style, share, style_plan in zip(styles, shares, plans, strict=True):
            lambdas = dict(config.style_layers)
            for layer, style_loss in _style(style, network, config, style_plan).items():
                terms.append(Term("style", layer, style_loss, config.beta * share * lambdas[layer]))
    if config.gamma:
        tv = TotalVariation(config.tv_power, config.normalization)
        terms.append(Term("tv", INPUT, tv, config.gamma))
    return Objective(network, tuple(terms), content.region)


def _content(
    content: Patch, network: Network, config: ObjectiveConfig, plan: Plan
) -> dict[str, Content]:
    """The content loss of each of its layers."""
    layers = config.content_layers
    reaches = frozenset((layer, 0) for layer in layers)
    targets: dict[str, Assembly] = {}
    for leg in walk(network, content.region.whole, reaches, plan):
        targets |= {layer: Assembly(region, plan.new) for layer, region in leg.seen.items()}
    power = torch.zeros(len(layers), dtype=torch.float64)

    def see(layer: str, activation: Tensor, region: Region) -> None:
        targets[layer].put(Patch(activation, region))
        power[layers.index(layer)] += exact(activation).square().sum()

    look(network, content, reaches, plan, see)
    power = plan.group.total(power)
    grids = network.grids(content.region.whole, layers)
    losses = {}
    for index, layer in enumerate(layers):
        none = (0,) * network.dims
        nothing = Patch(
            torch.empty((1, network.widths[layer], *none)), Region(none, none, grids[layer])
        )
        target = targets[layer].patch() if layer in targets else nothing
        losses[layer] = Content(target, power[index], config.normalization)
    return losses


def _style(
    style: Patch, network: Network, config: ObjectiveConfig, plan: Plan
) -> dict[str, Gram | MetricGram]:
    """The style loss of each of its layers."""
    reaches = frozenset((layer, 0) for layer, _ in config.style_layers)
    counts = {
        layer: prod(grid)
        for layer, grid in network.grids(style.region.whole, dict(reaches)).items()
    }
    relative = config.normalization == "relative"
    metrics = {layer: root.double() for layer, root in network.metrics.items() if relative}
    widths = {layer: network.widths[layer] + (layer in metrics) for layer in counts}
    totals = {
        layer: torch.zeros((width, width), dtype=torch.float64) for layer, width in widths.items()
    }

    def see(layer: str, activation: Tensor, region: Region) -> None:
        kind = MetricGram if layer in metrics else Gram
        totals[layer] += kind.sums(exact(activation), region)

    look(network, style, reaches, plan, see)
    losses: dict[str, Gram | MetricGram] = {}
    for layer, count in counts.items():
        target = plan.group.total(totals[layer]) / count
        if layer in metrics:
            losses[layer] = MetricGram(target, metrics[layer])
        else:
            losses[layer] = Gram(target, config.normalization)
    return losses
