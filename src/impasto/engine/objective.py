"""J(G) = alpha J_content(C, G) + beta J_style(S, G) + gamma TV(G), as a list of weighted losses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from math import prod

import torch
from torch import Tensor

from impasto.config.settings import ObjectiveConfig
from impasto.engine.mask import Mask
from impasto.engine.painting import Source, nearest_losses
from impasto.engine.targets import check_counts, content_losses, statistic_losses, style_losses
from impasto.engine.walk import WHOLE, Plan, Reaches, walk
from impasto.grids.geometry import Region
from impasto.grids.parallel import ALONE, gather
from impasto.grids.patch import Patch
from impasto.losses.content import Content
from impasto.losses.loss import Loss, exact
from impasto.losses.nearest import Nearest
from impasto.losses.series import count_windows
from impasto.losses.smoothing import SmoothContent
from impasto.losses.variation import TotalVariation
from impasto.networks.stage import INPUT, Network
from impasto.system.devices import CPU, home_of_sums

Sums = dict[tuple[str, Callable[..., Tensor], Mask | None], Tensor]
"""Sums by layer, by the function that computes them, and by mask.

Terms with the same three share the sums.
"""


@dataclass(frozen=True)
class Term:
    """One weighted loss on one layer.

    Attributes:
        kind: "content", "style", "tv", or the name of a loss on signals.
        layer: the layer.
        loss: the loss.
        weight: its factor in J: the product of alpha, beta, gamma, lambda and the style's share.
        mask: how much each position of G counts; None for 1 everywhere.
    """

    kind: str
    layer: str
    loss: Loss
    weight: float
    mask: Mask | None = None

    @property
    def key(self) -> tuple[str, Callable[..., Tensor], Mask | None]:
        """The key of its sums."""
        return self.layer, self.loss.sums, self.mask


@dataclass(frozen=True)
class Objective:
    """J: a network and the terms measured on its layers.

    Attributes:
        network: the network.
        terms: the weighted losses.
        region: the part of G that this process has.
    """

    network: Network
    terms: tuple[Term, ...]
    region: Region

    @cached_property
    def reaches(self) -> Reaches:
        """The layers of the terms, each with the farthest reach of its losses."""
        return frozenset(
            (layer, max(term.loss.reach for term in self.terms if term.layer == layer))
            for layer in {term.layer for term in self.terms}
        )

    @cached_property
    def counts(self) -> dict[str, int]:
        """The number of positions of each of those layers."""
        grids = self.network.grids(self.region.whole, dict(self.reaches))
        return {layer: prod(grid) for layer, grid in grids.items()}

    def thin(self, kept: Sequence[int], of: int) -> Objective:
        """Returns J at some positions along the first axis, scaled to all of them.

        The network has to see slices across that axis, and each loss single positions.

        Args:
            kept: the positions.
            of: the number of positions that they were drawn from.
        """
        distinct = dict.fromkeys(term.mask for term in self.terms if term.mask)
        masks = {mask: mask.thin(kept) for mask in distinct}
        terms = tuple(
            replace(
                term,
                loss=loss.thin(kept, of)
                if isinstance(loss, Content | SmoothContent | Nearest)
                else loss,
                mask=masks[term.mask] if term.mask else None,
            )
            for term in self.terms
            for loss in [term.loss]
        )
        return Objective(self.network, terms, self.region.thin(kept))

    def sums(self, layer: str, activation: Tensor, region: Region) -> Sums:
        """Returns the sums of a layer's terms over a region; never in bfloat16."""
        reaches = {term.key: term.loss.reach for term in self.terms if term.layer == layer}
        activation = exact(activation)
        patch = Patch(activation, region.grow(dict(self.reaches)[layer]))
        sums_of_layer: Sums = {}
        for key, reach in reaches.items():
            _, sums, mask = key
            around = region.grow(reach)
            weight = mask.over(layer, around).to(activation.dtype) if mask else None
            sums_of_layer[key] = sums(patch.over(around), region, weight)
        return sums_of_layer

    def zeros(self, device: torch.device = CPU) -> Sums:
        """Returns sums of 0, in float64 because there may be many positions to add.

        Args:
            device: where tiles are computed. The sums are there too if it has float64.
        """
        home = home_of_sums(device)
        return {
            term.key: torch.zeros(term.loss.shape, dtype=torch.float64, device=home)
            for term in self.terms
        }

    def score(self, sums: Sums) -> dict[str, Tensor]:
        """Returns the weighted terms by kind, from all positions' sums; they add up to J."""
        terms: dict[str, Tensor] = {}
        for term in self.terms:
            counts = term.mask.counts if term.mask else self.counts
            part = term.weight * term.loss.score(sums[term.key], counts[term.layer])
            terms[term.kind] = terms[term.kind] + part if term.kind in terms else part
        return terms


@dataclass(frozen=True, eq=False)
class StylePatch:
    """The part of a style that this process has, and what J needs to know of the style.

    Attributes:
        patch: its values, on the grid of the current scale.
        plan: how the engine evaluates it.
        share: its share of beta.
        weight: how much each position of the style counts, shape (1, 1, *space) over its whole
            grid; None for 1 everywhere.
        place: how much of the style each position of G takes, shape (1, 1, *space) over the whole
            grid of G; None for as much as the position counts.
    """

    patch: Patch
    plan: Plan = WHOLE
    share: float = 1.0
    weight: Tensor | None = None
    place: Tensor | None = None


def build_objective(
    content: Patch,
    styles: Sequence[StylePatch],
    network: Network,
    config: ObjectiveConfig,
    plan: Plan = WHOLE,
    *,
    weight: Tensor | None = None,
    rate: float = 1.0,
    begun: Patch | None = None,
) -> Objective:
    """Returns J for a content, some styles and a network.

    Content layers have equal shares of alpha. Lambda and the styles' shares are used as given. With
    the normalization "relative", style is measured in the network's metric if it has one.

    Args:
        content: the part of the content that this process has, shape (1, channel, *space).
        styles: the styles.
        network: the network.
        config: weights, layers and losses.
        plan: how the engine evaluates the content and G.
        weight: how much each position of the content and of G counts, shape (1, 1, *space) over the
            whole grid; None for 1 everywhere.
        rate: positions per second of signals.
        begun: the part of G, as it is now, that this process has; it is blended with the content
            before nearest positions are chosen. The content by default.

    Raises:
        LayerError: the network does not have one of the layers.
    """
    network.check(config.layers)
    terms: list[Term] = []
    mask = None if weight is None else Mask.of(weight, network, {INPUT, *config.layers})
    if config.alpha and config.content_layers:
        share = config.alpha / len(config.content_layers)
        for layer, loss in content_losses(content, network, config, plan, mask).items():
            terms.append(Term("content", layer, loss, share, mask))
    if config.beta or config.statistics:
        terms += _style_terms(styles, network, config, mask, content, rate)
        if config.beta and config.nearest_layers:
            seen = _blend(content, begun or content, config.content_share, plan)
            terms += _nearest_terms(styles, network, config, mask, weight, seen, plan)
    if config.gamma:
        tv = TotalVariation(config.tv_power, config.chosen_normalization)
        terms.append(Term("tv", INPUT, tv, config.gamma, mask))
    return Objective(network, tuple(terms), content.region)


def _style_terms(
    styles: Sequence[StylePatch],
    network: Network,
    config: ObjectiveConfig,
    mask: Mask | None,
    content: Patch,
    rate: float,
) -> list[Term]:
    """Returns the terms whose sums are compared: on style layers and on signals themselves."""
    nearest = config.nearest_layers
    lambdas = {
        layer: lam for layer, lam in config.style_layers if config.beta and layer not in nearest
    }
    terms: list[Term] = []
    masks: dict[int, Mask] = {}
    for style in styles:
        of_style = None
        if style.weight is not None:
            of_style = Mask.of(style.weight, network, {INPUT, *lambdas})
        if lambdas:
            there = mask
            if style.place is not None:  # styles for the same place share its sums
                there = masks.get(id(style.place)) or Mask.of(style.place, network, lambdas)
                masks[id(style.place)] = there
            losses = style_losses(
                style.patch, network, config, tuple(lambdas), style.plan, of_style
            )
            terms += [
                Term("style", layer, loss, config.beta * style.share * lambdas[layer], there)
                for layer, loss in losses.items()
            ]
        if config.statistics:
            length = content.region.whole[0]
            terms += [
                Term(kind, INPUT, statistic, style.share * factor, mask)
                for kind, factor, statistic in statistic_losses(
                    style.patch, network, config, style.plan, of_style, rate, length
                )
            ]
    if styles and mask and config.spectrum:
        window = 2 * round(config.spectrum_window * rate / 2)
        check_counts(count_windows(mask.weights[INPUT], window), "--spectrum-window", "content")
    return terms


def _blend(content: Patch, begun: Patch, share: float, plan: Plan) -> Patch:
    """Returns the sample whose nearest positions are sought: a blend of the content and G."""
    blend = plan.new(tuple(content.values.shape), content.values.dtype)
    blend.copy_(begun.values).lerp_(content.values.to(blend.device), share)
    return Patch(blend, content.region)


def _nearest_terms(
    styles: Sequence[StylePatch],
    network: Network,
    config: ObjectiveConfig,
    mask: Mask | None,
    weight: Tensor | None,
    seen: Patch,
    plan: Plan,
) -> list[Term]:
    """Returns the terms of nearest positions.

    Styles for the same place share its positions by quotas.
    """
    layers = config.nearest_layers
    none = (0,) * network.dims
    grids = network.grids(seen.region.whole, layers)
    own = {layer: Region(none, none, grid) for layer, grid in grids.items()}
    for leg in walk(network, seen.region.whole, frozenset((layer, 0) for layer in layers), plan):
        own |= leg.seen
    whole = gather(plan.group, seen)
    alone = replace(plan, group=ALONE)
    groups: dict[int, list[StylePatch]] = {}
    for style in styles:
        if style.share:
            groups.setdefault(id(style.place), []).append(style)
    terms: list[Term] = []
    for group in groups.values():
        place, total = group[0].place, sum(style.share for style in group)
        sources = [
            Source(
                gather(style.plan.group, style.patch),
                style.weight,
                replace(style.plan, group=ALONE),
                style.share / total,
            )
            for style in group
        ]
        sought = Source(whole, weight if place is None else place, alone)
        there = mask if place is None else Mask.of(place, network, layers)
        terms += [
            Term(
                "style", layer, loss, config.beta * total * dict(config.style_layers)[layer], there
            )
            for layer, loss in nearest_losses(sought, sources, network, own).items()
        ]
    return terms
