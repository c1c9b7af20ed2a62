"""J once more in plain PyTorch: whole, by automatic differentiation, written from the papers.

A network's modules are called as torch made them, with their own padding; nothing of the way the
package takes through them, of its losses or of its sums is used.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from types import SimpleNamespace
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import relu

FAINT = 1e-6  # a mean square that counts as silence


def value_and_grad(
    network: Any,
    content: Tensor,
    styles: Sequence[Tensor],
    g: Tensor,
    config: Any,
    weights: Sequence[Tensor | None],
) -> tuple[dict[str, float], Tensor]:
    """The weighted terms of J, those above 0, and dJ/dG.

    weights: how much each position of the content and of each style counts.
    """
    leaf = g.clone().requires_grad_(True)
    terms = objective(network, content, styles, leaf, config, weights)
    (gradient,) = torch.autograd.grad(torch.stack(list(terms.values())).sum(), leaf)
    return {kind: term.item() for kind, term in terms.items()}, gradient


def objective(
    network: Any,
    content: Tensor,
    styles: Sequence[Tensor],
    g: Tensor,
    config: Any,
    weights: Sequence[Tensor | None],
) -> dict[str, Tensor]:
    """J_content, J_style and TV of G times alpha, beta, gamma, those with a weight above 0."""
    how, layers = config.normalization, config.layers
    smoothed = config.smoothing == "softmax"
    a_g = activations(network, g, layers)
    with torch.no_grad():
        a_content = activations(network, content, config.content_layers)
        a_styles = [activations(network, x, dict(config.style_layers)) for x in styles]
    terms = {}
    weight, *style_weights = weights
    if smoothed:
        a_content = {layer: sigma(a, weight) for layer, a in a_content.items()}
        a_styles = [
            {layer: sigma(a, own) for layer, a in a_style.items()}
            for a_style, own in zip(a_styles, style_weights, strict=True)
        ]
        a_g = {layer: sigma(a, weight) for layer, a in a_g.items()}
    if config.alpha:
        share = config.alpha / len(config.content_layers)
        terms["content"] = share * torch.stack(
            [
                content_loss(a_content[layer], a_g[layer], how, weight)
                for layer in config.content_layers
            ]
        ).sum(0)
    if config.beta:
        given = torch.tensor(config.style_weights).double().expand(len(styles))
        shares = given / given.sum()
        measured = SimpleNamespace(metrics={}) if smoothed else network
        kinds = np.broadcast_to(config.style_losses, len(config.style_layers))
        parts = [
            share.item()
            * factor
            * STYLE_LOSSES[str(kind)](
                measured, layer, a_style[layer], a_g[layer], how, of_style, weight
            )
            for share, a_style, of_style in zip(shares, a_styles, style_weights, strict=True)
            for (layer, factor), kind in zip(config.style_layers, kinds, strict=True)
        ]
        terms["style"] = config.beta * torch.stack(parts).sum(0)
    if config.autocorrelation + config.spectrum + config.amplitude:
        given = torch.tensor(config.style_weights).double().expand(len(styles))
        for share, style, of_style in zip(given / given.sum(), styles, style_weights, strict=True):
            one, other = ((x, brought(w, x)) for x, w in ((style, of_style), (g, weight)))
            for kind, part in statistics(*one, *other, config).items():
                terms[kind] = terms.get(kind, 0) + share.item() * part
    if config.gamma:
        terms["tv"] = config.gamma * total_variation(g, config.tv_power, how, weight)
    return terms


def activations(network: Any, x: Tensor, wanted: Collection[str]) -> dict[str, Tensor]:
    """The wanted layers of a network and those on the way; nothing past the last of them."""
    found, wanted = {"input": x}, set(wanted)
    if hasattr(network, "original"):
        return found | _overheard(network.original, x, wanted - {"input"})
    for stage in network.stages:
        if type(stage).__name__ == "Octave":
            layers = _octave(stage, x)
            found |= {name: layers[name]() for name in layers if name in wanted}
            if not found.keys() >= wanted:
                x = found[stage.output] = layers[stage.output]()
        else:
            made = {"input": x}
            for name, operation in stage.operations.items():
                if not found.keys() >= wanted:
                    x = made[name] = _applied(
                        operation, *(made[one] for one in stage.sources[name])
                    )
                    found[name] = x
        if found.keys() >= wanted:
            break
    return found


def _overheard(module: Any, x: Tensor, wanted: Collection[str]) -> dict[str, Tensor]:
    """What the submodules of those names give while the module itself runs."""
    found: dict[str, Tensor] = {}

    def hook(name: str) -> Any:
        # A copy: the module may write over it later.
        return lambda module, given, result: found.update({name: result.clone()})

    hooks = [module.get_submodule(name).register_forward_hook(hook(name)) for name in wanted]
    module(x.clone())
    for each in hooks:
        each.remove()
    return found


def sigma(a: Tensor, weight: Tensor | None) -> Tensor:
    """The softmax over all channels and those positions that count, its mean 1 (Wang 2021)."""
    e = (a - a.max()).exp()
    return e / ((brought(weight, a) * e).sum() / (a.shape[1] * brought(weight, a).sum()))


def content_loss(
    a_content: Tensor, a_g: Tensor, normalization: str, weight: Tensor | None
) -> Tensor:
    w = brought(weight, a_g)
    error = (w * (a_g - a_content) ** 2).sum()
    if normalization == "relative":
        norm, count = float((w * a_content**2).sum()), a_content.shape[1] * float(w.sum())
        return error / max(norm, FAINT * count)
    return error / 2


def style_loss(
    network: Any,
    layer: str,
    a_style: Tensor,
    a_g: Tensor,
    normalization: str,
    style_weight: Tensor | None,
    weight: Tensor | None,
) -> Tensor:
    """The distance of mean Gram matrices, which S and G of different sizes have too."""
    channels = a_g.shape[1]
    if normalization == "relative" and layer in network.metrics:
        style, of_g = (
            _gram(torch.cat([a, torch.ones_like(a[:, :1])], 1), w)
            for a, w in ((a_style, style_weight), (a_g, weight))
        )
        root: Tensor = network.metrics[layer].to(a_g.dtype)
        style, of_g = (root @ gram @ root.T for gram in (style, of_g))
        return ((of_g - style) ** 2).sum() / (style**2).sum().clamp_min(FAINT)
    style, of_g = _gram(a_style, style_weight), _gram(a_g, weight)
    if normalization == "relative":
        power = style.diagonal() + 0.1 * style.diagonal().mean()
        scale = torch.diag(power.clamp_min(FAINT) ** -0.5)
        style, of_g = (scale @ gram @ scale for gram in (style, of_g))
        return ((of_g - style) ** 2).sum() / (style**2).sum().clamp_min(FAINT)
    error = ((of_g - style) ** 2).sum() / 4
    return error / channels**2 if normalization == "course" else error


def moments_loss(
    network: Any,
    layer: str,
    a_style: Tensor,
    a_g: Tensor,
    normalization: str,
    style_weight: Tensor | None,
    weight: Tensor | None,
) -> Tensor:
    """W2^2 of normal distributions; tr (A^1/2 B A^1/2)^1/2 is the sum of the singular values of
    M^T N, where A = M M^T and B = N N^T."""
    channels, relative = a_g.shape[1], normalization == "relative"
    eye = torch.eye(channels).to(a_g)
    linear, bias = eye, torch.zeros(channels).to(a_g)
    own, of_g = (
        (a.flatten(2)[0], brought(w, a).flatten())
        for a, w in ((a_style, style_weight), (a_g, weight))
    )
    if relative and layer in network.metrics:
        root = network.metrics[layer].to(a_g.dtype)
        linear, bias = root[:, :-1], root[:, -1]
    elif relative:
        power = (own[0] ** 2 * own[1]).sum(1) / own[1].sum()
        linear = torch.diag((power + 0.1 * power.mean()).clamp_min(FAINT) ** -0.5)
    _, narrow = torch.linalg.qr(linear)
    means, factors, noise = [], [], 0.0
    for rows, w in (own, of_g):
        share = w / w.sum()
        mean = (rows * share).sum(1, keepdim=True)
        spread = narrow @ (rows - mean)
        noise = noise or 1e-3 * max(float(((narrow @ rows) ** 2 * share).sum()) / channels, FAINT)
        means.append(linear @ mean[:, 0])
        factors.append(torch.linalg.cholesky((spread * share) @ spread.T + noise * eye))
    both = torch.linalg.svdvals(factors[0].T @ factors[1]).sum()
    traces = sum((factor**2).sum() for factor in factors)
    distance: Tensor = ((means[1] - means[0]) ** 2).sum() + traces - 2 * both
    if not relative:
        return distance
    mean_power = (((linear @ own[0] + bias[:, None]) ** 2) * own[1]).sum() / own[1].sum()
    return distance / mean_power.clamp_min(FAINT)


STYLE_LOSSES = {"gram": style_loss, "moments": moments_loss}
"""By the words of --style-losses."""


def total_variation(x: Tensor, power: float, normalization: str, weight: Tensor | None) -> Tensor:
    w = brought(weight, x)
    total = torch.zeros((), dtype=x.dtype)
    for axis in range(2, x.ndim):
        near, far = (w.movedim(axis, 0)[part] for part in (slice(None, -1), slice(1, None)))
        both = torch.where(near < far, near, far).movedim(0, axis)
        total = total + (both * x.diff(dim=axis).abs() ** power).sum()
    return total / w.sum() if normalization == "relative" else total


def statistics(
    style: Tensor, style_weight: Tensor, g: Tensor, weight: Tensor, config: Any
) -> dict[str, Tensor]:
    """The weighted distances of two signals at one position a second, as in `series`."""
    (s,), (x,), v, w = style, g, style_weight[0, 0], weight[0, 0]
    lags, window = round(config.lag), round(config.spectrum_window)
    mean, covariances = moments(s, v, lags)
    terms = {}
    if config.autocorrelation:
        distance = ((moments(x, w, lags)[1] - covariances) ** 2).sum(1)
        norm = (covariances**2).sum(1).clamp_min(FAINT**2)
        terms["autocorrelation"] = config.autocorrelation * (distance / norm).mean()
    if config.spectrum:
        difference = log_density(x, w, window) - log_density(s, v, window)
        lower = difference[:, : round(0.96 * window / 2)]
        terms["spectrum"] = config.spectrum * (lower**2).mean()
    if config.amplitude:
        reach = 10 * covariances[:, :1].clamp_min(FAINT) ** 0.5
        own, of_g = (
            distribution(255 * (y - mean + reach) / (2 * reach), u) for y, u in ((s, v), (x, w))
        )
        parts = ((of_g - own) ** 2).sum(1) / (own * (1 - own)).sum(1).clamp_min(FAINT)
        terms["amplitude"] = config.amplitude * parts.mean()
    return terms


def moments(x: Tensor, w: Tensor, lags: int) -> tuple[Tensor, Tensor]:
    """The mean and the autocovariances of each channel."""
    mean = (w * x).sum(1, keepdim=True) / w.sum().clamp_min(FAINT)
    means = []
    for lag in range(lags + 1):
        near, far = (slice(0, len(w) - lag), slice(lag, None))
        both = w[near] * w[far]
        means.append((both * x[:, near] * x[:, far]).sum(1) / both.sum().clamp_min(FAINT))
    return mean, torch.stack(means, 1) - mean**2


def log_density(x: Tensor, w: Tensor, window: int) -> Tensor:
    hann = torch.hann_window(window, dtype=x.dtype)
    total, count = torch.zeros(()), torch.zeros(())
    hop = window // 2
    # Beyond the ends there are the mirror images of half a window.
    x, w = (torch.cat([y[..., :hop].flip(-1), y, y[..., -hop:].flip(-1)], -1) for y in (x, w))
    length = len(w) - window
    for start in (*range(0, length, hop), length):
        if 0 < start < length and start + window > length + hop:
            continue  # a window that would see some of the image
        part = x[:, start : start + window]
        least = w[start : start + window].min()
        spectrum = torch.fft.rfft((part - part.mean(1, keepdim=True)) * hann)[:, 1:]
        total = total + least * (spectrum.real**2 + spectrum.imag**2) / (hann**2).sum()
        count = count + least
    density = total / count.clamp_min(FAINT)
    floor = density.detach().mean(1, keepdim=True).clamp_min(FAINT)
    return (density + 1e-8 * floor).log()


def distribution(place: Tensor, w: Tensor) -> Tensor:
    """The part of the positions up to each of the places 0 to 255, a hat function around each."""
    place = place.clamp(0, 255)
    hats = (1 - (place[..., None] - torch.arange(256)).abs()).clamp_min(0)
    counts = (hats * w[:, None]).sum(1)
    return counts.cumsum(1) / counts.sum(1, keepdim=True).clamp_min(FAINT)


def brought(weight: Tensor | None, a: Tensor) -> Tensor:
    """The weight over the grid of an activation: there the mean of what a position covers."""
    if weight is None:
        return torch.ones_like(a[:, :1])
    for axis in range(2, a.ndim):
        n, m = weight.shape[axis], a.shape[axis]
        parts = [
            weight.narrow(axis, i * n // m, -(-(i + 1) * n // m) - i * n // m).mean(
                axis, keepdim=True
            )
            for i in range(m)
        ]
        weight = torch.cat(parts, axis)
    return weight


def _gram(a: Tensor, weight: Tensor | None) -> Tensor:
    rows, w = a.flatten(2)[0], brought(weight, a).flatten()
    return torch.einsum("ip,jp,p->ij", rows, rows, w) / w.sum()


def _octave(stage: Any, x: Tensor) -> dict[str, Callable[[], Tensor]]:
    """One octave of the filterbank: see its docstring for what each layer is."""
    color, _, waves, _, amplitude, blur, strokes, _, edge, octave = stage.operations.values()

    def stroke() -> Tensor:
        cosine, sine = (waves(x)[:, part : 2 * amplitude.pairs : 2] for part in (0, 1))
        return _halves(_each(strokes, _each(blur, torch.sqrt(cosine**2 + sine**2 + 1e-4))))

    layers = (
        lambda: relu(color(x)),
        lambda: _halves(waves(x)),
        stroke,
        lambda: edge(x),
        lambda: _each(octave, x),
    )
    return dict(zip(stage.layers, layers, strict=True))


def _applied(operation: Any, x: Tensor) -> Tensor:
    if type(operation).__name__ == "Each":
        return _each(operation, x)
    y: Tensor = operation(x)
    return y


def _each(each: Any, x: Tensor) -> Tensor:
    return torch.cat([each.operation(channel) for channel in torch.split(x, 1, dim=1)], 1)


def _halves(x: Tensor) -> Tensor:
    return torch.cat([relu(x), relu(-x)], 1)
