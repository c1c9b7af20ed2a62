"""The formulas again in NumPy float64, written from the papers and not from the package.

Shapes: an activation is (channel, *space); positions come after channels.
"""

from __future__ import annotations

from itertools import product
from typing import Any

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view
from numpy.typing import NDArray

Array = NDArray[np.float64]

FAINT = 1e-6  # a mean square that counts as silence

PAD_MODES: dict[str, dict[str, Any]] = {
    "zeros": {"mode": "constant"},
    "replicate": {"mode": "edge"},
    "reflect": {"mode": "reflect"},
}


def convolve(x: Array, weight: Array, bias: Array | None, pad: int, mode: str) -> Array:
    """Cross-correlation: y_o[p] = b_o + sum over c and offsets q of w_oc[q] x_c[p + q]."""
    dims = x.ndim - 1
    padded = np.pad(x, [(0, 0)] + [(pad, pad)] * dims, **PAD_MODES[mode])
    windows = sliding_window_view(padded, weight.shape[2:], axis=tuple(range(1, dims + 1)))
    axes = ([0, *range(dims + 1, 2 * dims + 1)], [1, *range(2, dims + 2)])
    y = np.moveaxis(np.tensordot(windows, weight, axes), -1, 0)
    return y if bias is None else y + bias.reshape(-1, *(1,) * dims)


def pool(x: Array, kind: str, size: int = 2) -> Array:
    """Maxima or means of disjoint windows; what does not fill a window at the end is dropped."""
    space = [length // size for length in x.shape[1:]]
    corners = [
        x[
            (
                slice(None),
                *(slice(o, o + n * size, size) for o, n in zip(offset, space, strict=True)),
            )
        ]
        for offset in product(range(size), repeat=x.ndim - 1)
    ]
    return np.asarray(np.max(corners, axis=0) if kind == "max" else np.mean(corners, axis=0))


def gram(a: Array) -> Array:
    """Gram_kk' = sum over positions of a_k a_k', position by position."""
    total = np.zeros((len(a), len(a)))
    for position in np.ndindex(a.shape[1:]):
        column = a[(slice(None), *position)]
        total += np.outer(column, column)
    return total


def content_loss(a_content: Array, a_g: Array, normalization: str) -> float:
    """1/2 the squared error (Gatys 2015, equation 1), or the squared error over ||a(C)||^2."""
    error = float(((a_content - a_g) ** 2).sum())
    if normalization == "relative":
        return error / max(float((a_content**2).sum()), FAINT * a_content.size)
    return error / a_content.size if normalization == "mean" else error / 2


def style_loss(a_style: Array, a_g: Array, normalization: str) -> float:
    """1/(2 n_H n_W n_C)^2 ||Gram(S) - Gram(G)||^2 and its variants; S and G of one size."""
    positions, channels = a_g[0].size, len(a_g)
    assert a_style[0].size == positions
    gram_style, gram_g = gram(a_style), gram(a_g)
    error = float(((gram_style - gram_g) ** 2).sum())
    match normalization:
        case "mean":
            return float(((gram_style / positions - gram_g / positions) ** 2).mean())
        case "course":
            return error / float(2 * positions * channels) ** 2
        case "notes":
            return error / float(2 * positions) ** 2
        case _:
            mean_style, mean_g = gram_style / positions, gram_g / positions
            power = mean_style.diagonal() + 0.1 * mean_style.diagonal().mean()
            scale = np.diag(1 / np.sqrt(np.maximum(power, FAINT)))
            norm = float(((scale @ mean_style @ scale) ** 2).sum())
            distance = float(((scale @ (mean_style - mean_g) @ scale) ** 2).sum())
            return distance / max(norm, FAINT)


def metric_style_loss(a_style: Array, a_g: Array, weights: Array) -> float:
    """||Gram(S) - Gram(G)||^2 / ||Gram(S)||^2 of the wide activations W [a 1], made in full."""
    grams = []
    for a in (a_style, a_g):
        constant = np.ones((1, *a.shape[1:]))
        wide = np.tensordot(weights, np.concatenate((a, constant)), axes=1)
        grams.append(gram(wide) / a[0].size)
    norm = float((grams[0] ** 2).sum())
    return float(((grams[1] - grams[0]) ** 2).sum()) / max(norm, FAINT)


def moments_style_loss(
    a_style: Array, a_g: Array, normalization: str, weights: Array | None = None
) -> float:
    """W2^2 of two normal distributions, by the letter (Dowson and Landau 1982, equation 4).

    weights: W of the wide activations W [a 1], which are made in full. The little white noise of
    both is that of the narrow ones: what W makes of it reaches as far as W does.
    """
    channels = len(a_style)
    style, of_g = a_style.reshape(channels, -1), a_g.reshape(channels, -1)
    if weights is None:
        power = (style**2).mean(1)
        scale = 1 / np.sqrt(np.maximum(power + 0.1 * power.mean(), FAINT))
        diagonal = scale if normalization == "relative" else np.ones(channels)
        weights = np.concatenate((np.diag(diagonal), np.zeros((channels, 1))), axis=1)
    linear, bias = weights[:, :-1], weights[:, -1:]
    noise = 1e-3 * max(float(((linear @ style) ** 2).mean(1).sum()) / channels, FAINT)
    spread = noise * linear @ np.linalg.pinv(linear)
    wide = [linear @ a + bias for a in (style, of_g)]
    (mean_style, mean_g) = (a.mean(1) for a in wide)
    (cov_style, cov_g) = (np.atleast_2d(np.cov(a, bias=True)) + spread for a in wide)
    root = _root(cov_style)
    both = np.trace(cov_style + cov_g - 2 * _root(root @ cov_g @ root))
    distance = float(((mean_style - mean_g) ** 2).sum() + both)
    if normalization == "relative":
        return distance / max(float((wide[0] ** 2).mean(1).sum()), FAINT)
    return distance / channels if normalization == "mean" else distance


def _root(matrix: Array) -> Array:
    """Of a symmetric matrix."""
    values, vectors = np.linalg.eigh(matrix)
    return np.asarray(vectors * np.sqrt(np.maximum(values, 0)) @ vectors.T)


def total_variation(x: Array, power: float, normalization: str) -> float:
    """Sum over channels, positions and axes of |x[i + 1] - x[i]|^p, or its mean over positions."""
    total = sum(float((np.abs(np.diff(x, axis=axis)) ** power).sum()) for axis in range(1, x.ndim))
    return total / x[0].size if normalization in ("mean", "relative") else total


def adam(gradient: Any, x: Array, rate: float, betas: tuple[float, float], steps: int) -> Array:
    """Algorithm 1 of Kingma and Ba 2015."""
    m, v = np.zeros_like(x), np.zeros_like(x)
    for t in range(1, steps + 1):
        g = gradient(x)
        m = betas[0] * m + (1 - betas[0]) * g
        v = betas[1] * v + (1 - betas[1]) * g * g
        x = x - rate * (m / (1 - betas[0] ** t)) / (np.sqrt(v / (1 - betas[1] ** t)) + 1e-8)
    return x


def activations(network: Any, x: Array) -> dict[str, Array]:
    """Every layer of a network, its weights taken as they are and each operation done anew."""
    found = {"input": x}
    for stage in network.stages:
        if type(stage).__name__ == "Octave":
            found |= _octave(stage, x)
            x = found[stage.layers[-1]]
            continue
        made = {"input": x}
        for name, operation in stage.operations.items():
            x = made[name] = _apply(operation, *(made[one] for one in stage.sources[name]))
            found[name] = x
    return found


def _octave(stage: Any, x: Array) -> dict[str, Array]:
    """The layers of one octave of the filterbank: see its docstring for what each is."""
    colors, _, waves, _, amplitude, blur, strokes, _, edge, octave = stage.operations.values()
    responses = _apply(waves, x)
    of_the_mean = responses[: 2 * amplitude.pairs].reshape(-1, 2, *responses.shape[1:])
    cosine, sine = np.moveaxis(of_the_mean, 1, 0)
    fine = _apply(strokes, _apply(blur, np.sqrt(cosine**2 + sine**2 + 1e-4)))
    outputs = (
        np.maximum(_apply(colors, x), 0),
        _halves(responses),
        _halves(fine),
        _apply(edge, x),
        _apply(octave, x),
    )
    return dict(zip(stage.layers, outputs, strict=True))


def _halves(x: Array) -> Array:
    return np.concatenate([np.maximum(x, 0), np.maximum(-x, 0)])


def _apply(operation: Any, x: Array) -> Array:
    kind = type(operation).__name__
    if kind.startswith("Conv"):
        bias = None if operation.bias is None else operation.bias.double().numpy()
        pad, mode = operation.padding[0], operation.padding_mode
        y = convolve(x, operation.weight.double().numpy(), bias, pad, mode)
        return y[(slice(None), *(slice(None, None, step) for step in operation.stride))]
    if kind == "Each":
        return np.concatenate([_apply(operation.operation, channel[None]) for channel in x])
    if kind == "ReLU":
        return np.maximum(x, 0)
    if kind.startswith(("MaxPool", "AvgPool")):
        return pool(x, "max" if kind.startswith("Max") else "average")
    if kind == "Normalize":
        mean, std = (t.double().numpy()[0] for t in (operation.mean, operation.std))
        return np.asarray((x - mean) / std)
    raise NotImplementedError(kind)


def objective(
    network: Any, content: Array, styles: list[Array], g: Array, config: Any
) -> dict[str, float]:
    """J_content, J_style and TV of G times alpha, beta, gamma, those above 0; they add up to J."""
    a_content, a_g = activations(network, content), activations(network, g)
    a_styles = [activations(network, style) for style in styles]
    layers, how = config.content_layers, config.normalization
    shares = np.resize(np.array(config.style_weights, float), len(styles))
    shares /= shares.sum()
    contents = [content_loss(a_content[layer], a_g[layer], how) for layer in layers]
    terms = {
        "content": config.alpha * float(np.mean(contents)) if layers else 0.0,
        "style": config.beta
        * sum(
            float(share)
            * weight
            * _style(network, layer, a_style[layer], a_g[layer], how, config.style_kinds[layer])
            for share, a_style in zip(shares, a_styles, strict=True)
            for layer, weight in config.style_layers
        ),
        "tv": config.gamma * total_variation(g, config.tv_power, how),
    }
    return {kind: term for kind, term in terms.items() if term}


def _style(
    network: Any, layer: str, a_style: Array, a_g: Array, normalization: str, kind: str
) -> float:
    """In the network's metric where it has one and the normalization is relative."""
    root = None
    if normalization == "relative" and layer in network.metrics:
        root = network.metrics[layer].double().numpy()
    if kind == "moments":
        return moments_style_loss(a_style, a_g, normalization, root)
    assert kind == "gram", f"the oracle knows no {kind}"
    if root is not None:
        return metric_style_loss(a_style, a_g, root)
    return style_loss(a_style, a_g, normalization)


def nearest_places(sought: Array, among: Array) -> NDArray[np.int64]:
    """For each row of features the other row at the smallest angle, both less their means."""
    ours, theirs = sought - sought.mean(0), among - among.mean(0)
    found = []
    for row in ours:
        cosines = [row @ other / np.linalg.norm(row) / np.linalg.norm(other) for other in theirs]
        found.append(int(np.argmax(cosines)))
    return np.array(found)


def cosine_loss(target: Array, a_g: Array, mean: Array) -> float:
    """The mean over positions of 1 - cos(a(G) - mean, target - mean)."""
    distances = []
    for position in np.ndindex(a_g.shape[1:]):
        a, b = (x[(slice(None), *position)] - mean for x in (a_g, target))
        distances.append(1 - a @ b / np.sqrt((a @ a) * (b @ b)))
    return float(np.mean(distances))
