"""The targets of losses, computed from the content and the styles tile by tile."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from math import prod
from typing import NamedTuple

import torch
from torch import Tensor

from impasto.config.settings import ObjectiveConfig
from impasto.engine.mask import Mask
from impasto.engine.walk import Plan, Reaches, look, walk
from impasto.errors import ConfigError, SampleError
from impasto.grids.geometry import Region
from impasto.grids.patch import Assembly, Patch
from impasto.losses.content import Content
from impasto.losses.gram import Gram, MetricGram
from impasto.losses.loss import Loss, exact, weigh
from impasto.losses.series import (
    AMPLITUDES,
    Amplitude,
    Autocorrelation,
    Spectrum,
    distribution,
    histogram,
    powers,
    products,
)
from impasto.losses.smoothing import SmoothContent, SmoothGram, exponential_products, largest, peak
from impasto.losses.wasserstein import Moments
from impasto.networks.stage import INPUT, Network
from impasto.system.devices import home_of_sums


def content_losses(
    content: Patch, network: Network, config: ObjectiveConfig, plan: Plan, mask: Mask | None
) -> dict[str, Content | SmoothContent]:
    """Returns the content loss of each content layer."""
    layers = config.content_layers
    reaches = frozenset((layer, 0) for layer in layers)
    targets: dict[str, Assembly] = {}
    for leg in walk(network, content.region.whole, reaches, plan):
        targets |= {layer: Assembly(region, plan.new) for layer, region in leg.seen.items()}
    power = torch.zeros(len(layers), dtype=torch.float64, device=home_of_sums(plan.device))

    def see(layer: str, activation: Tensor, region: Region) -> None:
        targets[layer].put(Patch(activation, region))
        weight = mask.over(layer, region) if mask else None
        part = weigh(exact(activation).square(), weight).sum()
        power[layers.index(layer)] += part.to(power.device)

    look(network, content, reaches, plan, see)
    power = plan.group.total(power)
    grids = network.grids(content.region.whole, layers)
    losses: dict[str, Content | SmoothContent] = {}
    for index, layer in enumerate(layers):
        none = (0,) * network.dims
        nothing = Patch(
            torch.empty((1, network.widths[layer], *none), device=plan.device),
            Region(none, none, grids[layer]),
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


class _Measure(NamedTuple):
    """How a style layer is measured.

    shape: of the sums. sums: adds them up over a region, of an activation and the weight of its
    positions. loss: makes the loss from the sums over the number of positions.
    """

    shape: tuple[int, ...]
    sums: Callable[[Tensor, Region, Tensor | None], Tensor]
    loss: Callable[[Tensor], Loss]


def style_losses(
    style: Patch,
    network: Network,
    config: ObjectiveConfig,
    layers: Sequence[str],
    plan: Plan,
    mask: Mask | None,
) -> dict[str, Loss]:
    """Returns the style loss of each of the layers."""
    reaches = frozenset((layer, 0) for layer in layers)
    grids = network.grids(style.region.whole, dict(reaches))
    counts = mask.counts if mask else {layer: prod(grid) for layer, grid in grids.items()}
    tops = _tops(style, network, reaches, plan) if config.smoothing == "softmax" else {}
    home = home_of_sums(plan.device)
    measures = {layer: _measure(layer, network, config, tops, home) for layer in grids}
    totals = {
        layer: torch.zeros(measure.shape, dtype=torch.float64, device=home)
        for layer, measure in measures.items()
    }

    def see(layer: str, activation: Tensor, region: Region) -> None:
        exactly = exact(activation)
        weight = mask.over(layer, region).to(exactly.dtype) if mask else None
        totals[layer] += measures[layer].sums(exactly, region, weight).to(home)

    look(network, style, reaches, plan, see)
    return {
        layer: measure.loss(plan.group.total(totals[layer]) / counts[layer])
        for layer, measure in measures.items()
    }


def _measure(
    layer: str,
    network: Network,
    config: ObjectiveConfig,
    tops: Mapping[str, float],
    home: torch.device,
) -> _Measure:
    """Returns how a style layer is measured: the one place that knows each style loss by its word.

    tops: the largest activation of each layer, where activations are smoothed. home: the device of
    the sums.
    """
    normalization, width = config.chosen_normalization, network.widths[layer]
    square, augmented = (width, width), (width + 1, width + 1)
    metric = None
    if normalization == "relative" and not tops and layer in network.metrics:
        metric = network.metrics[layer].to(home).double()
    if tops:
        top = tops[layer]
        return _Measure(
            augmented,
            lambda x, region, weight: exponential_products(x, region, weight, top),
            lambda target: SmoothGram.of(target, top, normalization),
        )
    match config.style_kinds[layer]:
        case "moments":
            return _Measure(
                augmented, MetricGram.sums, lambda target: Moments(target, normalization, metric)
            )
        case "gram" if metric is not None:
            return _Measure(augmented, MetricGram.sums, lambda target: MetricGram(target, metric))
        case "gram":
            return _Measure(square, Gram.sums, lambda target: Gram(target, normalization))
        case kind:
            raise AssertionError(f"{kind} is no sum over positions")


def _tops(style: Patch, network: Network, reaches: Reaches, plan: Plan) -> dict[str, float]:
    """Returns the largest activation of each layer."""
    layers = [layer for layer, _ in reaches]
    home = home_of_sums(plan.device)
    tops = torch.full((len(layers),), -torch.inf, dtype=torch.float64, device=home)

    def see(layer: str, activation: Tensor, region: Region) -> None:
        index = layers.index(layer)
        tops[index] = torch.maximum(tops[index], peak(activation))

    look(network, style, reaches, plan, see)
    return dict(zip(layers, largest(tops, plan.group).tolist(), strict=True))


def statistic_losses(
    style: Patch,
    network: Network,
    config: ObjectiveConfig,
    plan: Plan,
    mask: Mask | None,
    rate: float,
    length: int,
) -> list[tuple[str, float, Loss]]:
    """Returns the losses on signals themselves whose weight is not 0.

    Args:
        style: the part of the style that this process has.
        network: the network, of which the input is used.
        config: the weights of the losses.
        plan: how the engine evaluates the style.
        mask: how much each position of the style counts.
        rate: positions per second.
        length: positions of the content.

    Returns:
        Kind, weight and loss of each.

    Raises:
        ConfigError: the sample is no signal, or a lag or window is longer than a signal.
    """
    lags, window = round(config.lag * rate), 2 * round(config.spectrum_window * rate / 2)
    _check_statistics(network, config, lags, window, min(length, style.region.whole[0]), rate)
    channels = network.channels

    def total(
        sums: Callable[[Tensor, Region, Tensor | None], Tensor], reach: int, *shape: int
    ) -> Tensor:
        totals = torch.zeros(shape, dtype=torch.float64, device=home_of_sums(plan.device))

        def see(layer: str, activation: Tensor, region: Region) -> None:
            weight = mask.over(layer, region.grow(reach)) if mask else None
            totals.add_(sums(activation, region, weight).to(totals.device))

        look(network, style, frozenset({(INPUT, reach)}), plan, see)
        return plan.group.total(totals)

    losses: list[tuple[str, float, Loss]] = []
    if config.autocorrelation:
        pairs = total(partial(products, lags=lags), lags, channels + 1, lags + 2)
        pairs = check_counts(pairs, "--lag", "style")
        losses.append(("autocorrelation", config.autocorrelation, Autocorrelation.of(pairs)))
    if config.spectrum:
        power = total(partial(powers, window=window), window - 1, channels + 1, window // 2)
        power = check_counts(power, "--spectrum-window", "style")
        losses.append(("spectrum", config.spectrum, Spectrum.of(power)))
    if config.amplitude:
        low, high = Amplitude.range_of(total(partial(products, lags=0), 0, channels + 1, 2))
        counts = total(
            lambda x, _, w: histogram(x, w, low.to(x), high.to(x)), 0, channels, AMPLITUDES
        )
        amplitude = Amplitude(distribution(counts), low, high)
        losses.append(("amplitude", config.amplitude, amplitude))
    return losses


def _check_statistics(
    network: Network, config: ObjectiveConfig, lags: int, window: int, shorter: int, rate: float
) -> None:
    """Raises ConfigError for what is no signal, and for lags and windows that are too long.

    Args:
        network: the network.
        config: the weights of the losses.
        lags: the longest lag, in positions.
        window: the length of the windows, in positions.
        shorter: positions of the shorter one of content and style.
        rate: positions per second.
    """
    if network.dims != 1:
        raise ConfigError(
            subject="--autocorrelation --spectrum --amplitude",
            expected="a signal",
            found=f"a sample over {network.dims} axes",
            remedy="leave them out",
        )
    for flag, used, positions, least in (
        ("--lag", config.autocorrelation, lags, 1),
        ("--spectrum-window", config.spectrum, window, 4),
    ):
        if used and not least <= positions < shorter:
            raise ConfigError(
                subject=flag,
                expected=f"at least {least} positions and fewer than content and style have, "
                f"at {rate:g} per second",
                found=f"{positions} of {shorter}",
                remedy="pass another one, or longer signals",
            )


def check_counts(sums: Tensor, flag: str, role: str) -> Tensor:
    """Raises SampleError where a sample has no pair or window to count; returns the sums.

    Args:
        sums: their last row has the number of pairs or windows.
        flag: the flag that sets the length of a pair or window.
        role: "content" or "style".
    """
    counts = sums[-1]
    if counts.min() < 1e-3 + 1e-6 * counts.max():  # a little above 0, because of rounding
        raise SampleError(
            expected=f"a {role} with stretches between its gaps as long as {flag}",
            found="no such stretch",
            remedy=f"pass a shorter {flag}, or choose another part of the {role}",
        )
    return sums
