"""J(G) = alpha J_content(C, G) + beta J_style(S, G) + gamma TV(G), as a list of weighted losses."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import cached_property, partial
from math import prod

import torch
from torch import Tensor

from impasto.config import ObjectiveConfig
from impasto.errors import ConfigError, SampleError
from impasto.geometry import Region
from impasto.losses import Content, Gram, Loss, MetricGram, TotalVariation, weighted
from impasto.mask import Mask
from impasto.moments import Moments
from impasto.networks.stage import INPUT, Network
from impasto.patch import Assembly, Patch
from impasto.smoothing import SmoothContent, SmoothGram, exponential_products, largest, peak
from impasto.statistics import (
    AMPLITUDES,
    Amplitude,
    Autocorrelation,
    Spectrum,
    distribution,
    histogram,
    powers,
    products,
    windows_counted,
)
from impasto.walk import WHOLE, Plan, Reaches, look, walk

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

    def thinned(self, kept: Sequence[int], of: int) -> Objective:
        """J of some positions along the first axis, drawn out of `of`, as if they were all.

        For networks by slices, and for losses that look at one position each.
        """
        masks = {term.mask: term.mask.thinned(kept) for term in self.terms if term.mask}
        terms = tuple(
            replace(
                term,
                loss=loss.thinned(kept, of) if isinstance(loss, Content | SmoothContent) else loss,
                mask=masks[term.mask] if term.mask else None,
            )
            for term in self.terms
            for loss in [term.loss]
        )
        return Objective(self.network, terms, self.region.thinned(kept))

    def sums(self, layer: str, activation: Tensor, region: Region) -> Sums:
        """What the terms of a layer add up over a region; never in bfloat16."""
        reaches = {term.key: term.loss.reach for term in self.terms if term.layer == layer}
        activation = exact(activation)
        patch = Patch(activation, region.grown(dict(self.reaches)[layer]))
        found: Sums = {}
        for key, reach in reaches.items():
            _, sums, mask = key
            around = region.grown(reach)
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
    weight: Tensor | None = None,
    style_weights: Sequence[Tensor | None] = (),
    rate: float = 1.0,
    places: Sequence[tuple[float, Tensor | None]] = (),
) -> Objective:
    """J for a content, one or more styles and a network.

    Each content layer has an equal share of alpha; lambda of the style layers and the weights of
    the styles are used as given. The relative normalization measures style in the network's metric
    where it has one. content, styles: what this process has of them. plan: of the content, which
    G shares; style_plans: of each style. weight: how much each position of the content, and with
    it of G, counts, shape (1, 1, *space) over the whole grid; style_weights: those of the styles.
    rate: positions a second, of signals. places: for each style its share, and how much each
    position of G takes of it, shape (1, 1, *space) over the whole grid, None for as much as it
    counts; else the shares are those of the config.
    Raises LayerError for a layer the network does not have.
    """
    network.check(config.layers)
    terms: list[Term] = []
    mask = None if weight is None else Mask.of(weight, network, {INPUT, *config.layers})
    if config.alpha and config.content_layers:
        share = config.alpha / len(config.content_layers)
        for layer, loss in _content(content, network, config, plan, mask).items():
            terms.append(Term("content", layer, loss, share, mask))
    if config.beta or config.statistics:
        places = places or [(share, None) for share in config.style_shares(len(styles))]
        plans = style_plans or [plan] * len(styles)
        weights = style_weights or [None] * len(styles)
        lambdas = dict(config.style_layers) if config.beta else {}
        masks: dict[int, Mask] = {}
        for style, (share, place), style_plan, own in zip(
            styles, places, plans, weights, strict=True
        ):
            of_style = None if own is None else Mask.of(own, network, {INPUT, *lambdas})
            if lambdas:
                there = mask
                if place is not None:  # styles of one place share its sums
                    there = masks.get(id(place)) or Mask.of(place, network, lambdas)
                    masks[id(place)] = there
                found = _style(style, network, config, style_plan, of_style)
                terms += [
                    Term("style", layer, style_loss, config.beta * share * lambdas[layer], there)
                    for layer, style_loss in found.items()
                ]
            if config.statistics:
                length = content.region.whole[0]
                terms += [
                    Term(kind, INPUT, statistic, share * factor, mask)
                    for kind, factor, statistic in _statistics(
                        style, network, config, style_plan, of_style, rate, length
                    )
                ]
        if mask and config.spectrum:
            window = 2 * round(config.spectrum_window * rate / 2)
            _counted(windows_counted(mask.weights[INPUT], window), "--spectrum-window", "content")
    if config.gamma:
        tv = TotalVariation(config.tv_power, config.chosen_normalization)
        terms.append(Term("tv", INPUT, tv, config.gamma, mask))
    return Objective(network, tuple(terms), content.region)


def _content(
    content: Patch, network: Network, config: ObjectiveConfig, plan: Plan, mask: Mask | None
) -> dict[str, Content | SmoothContent]:
    """The content loss of each of its layers."""
    layers = config.content_layers
    reaches = frozenset((layer, 0) for layer in layers)
    targets: dict[str, Assembly] = {}
    for leg in walk(network, content.region.whole, reaches, plan):
        targets |= {layer: Assembly(region, plan.new) for layer, region in leg.seen.items()}
    power = torch.zeros(len(layers), dtype=torch.float64)

    def see(layer: str, activation: Tensor, region: Region) -> None:
        targets[layer].put(Patch(activation, region))
        weight = mask.over(layer, region) if mask else None
        power[layers.index(layer)] += weighted(exact(activation).square(), weight).sum()

    look(network, content, reaches, plan, see)
    power = plan.group.total(power)
    grids = network.grids(content.region.whole, layers)
    losses: dict[str, Content | SmoothContent] = {}
    for index, layer in enumerate(layers):
        none = (0,) * network.dims
        nothing = Patch(
            torch.empty((1, network.widths[layer], *none)), Region(none, none, grids[layer])
        )
        target = targets[layer].patch() if layer in targets else nothing
        if config.smoothing == "softmax":
            weight = mask.over(layer, target.region) if mask else None
            losses[layer] = SmoothContent.of(
                target, config.chosen_normalization, weight, plan.group
            )
        else:
            losses[layer] = Content(target, power[index], config.chosen_normalization)
    return losses


def _style(
    style: Patch, network: Network, config: ObjectiveConfig, plan: Plan, mask: Mask | None
) -> dict[str, Gram | MetricGram | Moments | SmoothGram]:
    """The style loss of each of its layers."""
    reaches = frozenset((layer, 0) for layer, _ in config.style_layers)
    grids = network.grids(style.region.whole, dict(reaches))
    counts = mask.counts if mask else {layer: prod(grid) for layer, grid in grids.items()}
    tops = _tops(style, network, reaches, plan) if config.smoothing == "softmax" else {}
    measured = config.chosen_normalization == "relative" and not tops
    metrics = {layer: root.double() for layer, root in network.metrics.items() if measured}
    moments = {layer for layer, kind in config.style_kinds.items() if kind == "moments"}
    augmented = tops.keys() | metrics.keys() | moments
    widths = {layer: network.widths[layer] + (layer in augmented) for layer in grids}
    totals = {
        layer: torch.zeros((width, width), dtype=torch.float64) for layer, width in widths.items()
    }

    def see(layer: str, activation: Tensor, region: Region) -> None:
        exactly = exact(activation)
        weight = mask.over(layer, region).to(exactly.dtype) if mask else None
        if layer in tops:
            totals[layer] += exponential_products(exactly, region, weight, tops[layer])
        else:
            kind = MetricGram if layer in augmented else Gram
            totals[layer] += kind.sums(exactly, region, weight)

    look(network, style, reaches, plan, see)
    losses: dict[str, Gram | MetricGram | Moments | SmoothGram] = {}
    for layer in grids:
        target = plan.group.total(totals[layer]) / counts[layer]
        if layer in tops:
            losses[layer] = SmoothGram.of(target, tops[layer], config.chosen_normalization)
        elif layer in moments:
            losses[layer] = Moments(target, config.chosen_normalization, metrics.get(layer))
        elif layer in metrics:
            losses[layer] = MetricGram(target, metrics[layer])
        else:
            losses[layer] = Gram(target, config.chosen_normalization)
    return losses


def _tops(style: Patch, network: Network, reaches: Reaches, plan: Plan) -> dict[str, float]:
    """The largest value of each layer."""
    layers = [layer for layer, _ in reaches]
    found = torch.full((len(layers),), -torch.inf, dtype=torch.float64)

    def see(layer: str, activation: Tensor, region: Region) -> None:
        index = layers.index(layer)
        found[index] = torch.maximum(found[index], peak(activation))

    look(network, style, reaches, plan, see)
    return dict(zip(layers, largest(found, plan.group).tolist(), strict=True))


def _statistics(
    style: Patch,
    network: Network,
    config: ObjectiveConfig,
    plan: Plan,
    mask: Mask | None,
    rate: float,
    length: int,
) -> list[tuple[str, float, Loss]]:
    """The losses on a signal itself that have a weight: their kinds, their weights, they.

    length: positions of the content.
    """
    if network.dims != 1:
        raise ConfigError(
            subject="--autocorrelation --spectrum --amplitude",
            expected="a signal",
            found=f"a sample over {network.dims} axes",
            remedy="leave them out",
        )
    lags, window = round(config.lag * rate), 2 * round(config.spectrum_window * rate / 2)
    shorter = min(length, style.region.whole[0])
    for flag, used, positions, least in (
        ("--lag", config.autocorrelation, lags, 1),
        ("--spectrum-window", config.spectrum, window, 4),
    ):
        if used and not least <= positions < shorter:
            raise ConfigError(
                subject=flag,
                expected=f"from {least} positions to less than the content and the style have, "
                f"at {rate:g} a second",
                found=f"{positions} of {shorter}",
                remedy="pass another one, or longer signals",
            )

    channels = network.channels

    def total(
        sums: Callable[[Tensor, Region, Tensor | None], Tensor], reach: int, *shape: int
    ) -> Tensor:
        found = torch.zeros(shape, dtype=torch.float64)

        def see(layer: str, activation: Tensor, region: Region) -> None:
            weight = mask.over(layer, region.grown(reach)) if mask else None
            found.add_(sums(activation, region, weight))

        look(network, style, frozenset({(INPUT, reach)}), plan, see)
        return plan.group.total(found)

    found: list[tuple[str, float, Loss]] = []
    if config.autocorrelation:
        pairs = total(partial(products, lags=lags), lags, channels + 1, lags + 2)
        pairs = _counted(pairs, "--lag", "style")
        found.append(("autocorrelation", config.autocorrelation, Autocorrelation.of(pairs)))
    if config.spectrum:
        power = total(partial(powers, window=window), window - 1, channels + 1, window // 2)
        power = _counted(power, "--spectrum-window", "style")
        found.append(("spectrum", config.spectrum, Spectrum.of(power)))
    if config.amplitude:
        low, high = Amplitude.range_of(total(partial(products, lags=0), 0, channels + 1, 2))
        counts = total(
            lambda x, _, w: histogram(x, w, low.to(x), high.to(x)), 0, channels, AMPLITUDES
        )
        amplitude = Amplitude(distribution(counts), low, high)
        found.append(("amplitude", config.amplitude, amplitude))
    return found


def _counted(sums: Tensor, flag: str, role: str) -> Tensor:
    """The sums of a sample, whose last row says of how many pairs or windows they are."""
    counts = sums[-1]
    if counts.min() < 1e-3 + 1e-6 * counts.max():  # rounding leaves a little of none
        raise SampleError(
            expected=f"a {role} with stretches between its gaps as long as {flag}",
            found="none",
            remedy=f"pass a shorter {flag}, or choose another part of the {role}",
        )
    return sums
