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
from impasto.engine.painting import Source, losses_of
from impasto.engine.targets import content_losses, counted, statistics_of, style_losses
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

Sums = dict[tuple[str, Callable[..., Tensor], Mask | None], Tensor]
"""Sums over positions by layer, by what makes them, and by mask: terms that share these share the
sums."""


@dataclass(frozen=True)
class Term:
    """One weighted loss on one layer.

    kind: "content", "style" or "tv". weight: the factor in J, alpha, beta, gamma, lambda and the
    style's share multiplied out. mask: how much each position of G counts; None for all fully.
    """

    kind: str
    layer: str
    loss: Loss
    weight: float
    mask: Mask | None = None

    @property
    def key(self) -> tuple[str, Callable[..., Tensor], Mask | None]:
        """Of its sums."""
        return self.layer, self.loss.sums, self.mask


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

    def thin(self, kept: Sequence[int], of: int) -> Objective:
        """J of some positions along the first axis, drawn out of `of`, as if they were all.

        For networks by slices, and for losses that look at one position each.
        """
        masks = {term.mask: term.mask.thin(kept) for term in self.terms if term.mask}
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
        """What the terms of a layer add up over a region; never in bfloat16."""
        reaches = {term.key: term.loss.reach for term in self.terms if term.layer == layer}
        activation = exact(activation)
        patch = Patch(activation, region.grow(dict(self.reaches)[layer]))
        found: Sums = {}
        for key, reach in reaches.items():
            _, sums, mask = key
            around = region.grow(reach)
            weight = mask.over(layer, around).to(activation.dtype) if mask else None
            found[key] = sums(patch.over(around), region, weight)
        return found

    def zeros(self) -> Sums:
        """Sums over nothing, to be added to: in float64, since positions may be many."""
        return {term.key: torch.zeros(term.loss.shape, dtype=torch.float64) for term in self.terms}

    def score(self, sums: Sums) -> dict[str, Tensor]:
        """The weighted terms by kind, from the sums over all positions; they add up to J."""
        terms: dict[str, Tensor] = {}
        for term in self.terms:
            counts = term.mask.counts if term.mask else self.counts
            part = term.weight * term.loss.score(sums[term.key], counts[term.layer])
            terms[term.kind] = terms[term.kind] + part if term.kind in terms else part
        return terms


@dataclass(frozen=True, eq=False)
class StylePatch:
    """What this process has of a style on the grid of a scale, with all that J needs of it.

    plan: how the engine goes through it. share: of beta. weight: how much each of its positions
    counts, shape (1, 1, *space) over the whole grid; None for all fully. place: how much each
    position of G takes of it, over the whole grid of G; None for as much as that position counts.
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
    """J for a content, one or more styles and a network.

    Each content layer has an equal share of alpha; lambda of the style layers and the shares of
    the styles are used as given. The relative normalization measures style in the network's metric
    where it has one. content: what this process has of it. plan: of the content, which G shares.
    weight: how much each position of the content, and with it of G, counts, shape (1, 1, *space)
    over the whole grid. rate: positions a second, of signals. begun: what this process has of G,
    for which nearest places are found beside the content; the content if None.
    Raises LayerError for a layer the network does not have.
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
    """What is compared as sums: on the style layers that are, and on signals themselves."""
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
            if style.place is not None:  # styles of one place share its sums
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
                for kind, factor, statistic in statistics_of(
                    style.patch, network, config, style.plan, of_style, rate, length
                )
            ]
    if styles and mask and config.spectrum:
        window = 2 * round(config.spectrum_window * rate / 2)
        counted(count_windows(mask.weights[INPUT], window), "--spectrum-window", "content")
    return terms


def _blend(content: Patch, begun: Patch, share: float, plan: Plan) -> Patch:
    """What places are found for: a share of the content, the rest of G as it is."""
    found = plan.new(tuple(content.values.shape), content.values.dtype)
    torch.lerp(begun.values, content.values, share, out=found)
    return Patch(found, content.region)


def _nearest_terms(
    styles: Sequence[StylePatch],
    network: Network,
    config: ObjectiveConfig,
    mask: Mask | None,
    weight: Tensor | None,
    seen: Patch,
    plan: Plan,
) -> list[Term]:
    """What is found in the styles and held; styles of one place are taken from by their shares."""
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
            for layer, loss in losses_of(sought, sources, network, own).items()
        ]
    return terms
