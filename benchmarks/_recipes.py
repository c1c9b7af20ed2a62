"""Two published recipes, written anew in plain PyTorch from what their programs do.

neural-style-pt (J. Johnson's neural-style, K. Taylor's port): one scale, L-BFGS from noise, mean
squared differences of activations and of Gram matrices, total variation by absolute differences.

style-transfer-pytorch (K. Crowson): five scales, Adam from the content with a running average, mean
squared differences of activations, Wasserstein-2 distances of their Gaussians, total variation by
squared differences over nine points.

Both see the same network as we do. Their weights are for VGG-19 as each of them feeds it. For
another network the first recipe's are such that each term starts with what its installation guide
prints for VGG-19; the second's stay, for a network whose activations have a mean of about one.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor, nn
from torch.nn import functional

from impasto.grids.geometry import Space
from impasto.grids.resample import resample
from impasto.networks import Network
from impasto.networks.vgg import Normalize

CONTENT = "relu4_2"
STYLE = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")

UNITS = 256.0
"""Of the first recipe's pictures, which are in 0 to 256 less Caffe's mean."""

MEAN = torch.tensor([123.68, 116.779, 103.939])[None, :, None, None]

PRINTED = dict(zip((CONTENT, *STYLE), (1616196, 29891, 658039, 145284, 11347409, 563), strict=True))
"""The terms of the first recipe's first step (neural-style-pt, INSTALL.md)."""

Targets = dict[str, Tensor]


def taps(network: Network, x: Tensor, wanted: Collection[str]) -> Targets:
    """The wanted activations, one operation after the other."""
    found: Targets = {}
    for stage in network.stages:
        for name, operation in stage.operations.items():
            x = operation(x)
            if name in wanted:
                found[name] = x
            if len(found) == len(wanted):
                return found
    return found


def with_replicated_border(network: Network) -> Network:
    """The same, but that its first convolution sees the border repeated and not zeros."""
    first = next(m for m in network.modules() if isinstance(m, nn.Conv2d))
    first.padding_mode = "replicate"
    first._reversed_padding_repeated_twice = [1] * 4
    return network


@dataclass(frozen=True)
class Pair:
    """A content and a style of any size, shape (1, 3, height, width), in [0, 1]."""

    content: Tensor
    style: Tensor

    def at(self, size: int) -> Pair:
        """With that long side."""
        return Pair(_sized(self.content, size), _sized(self.style, size))


def _sized(picture: Tensor, size: int) -> Tensor:
    height, width = picture.shape[2:]
    scale = size / max(height, width)
    return resample(picture, (round(height * scale), round(width * scale))).clamp(0, 1)


@dataclass(frozen=True)
class Run:
    """What a recipe came to: the picture in [0, 1], J as it ended, seconds."""

    picture: Tensor
    value: float
    seconds: float


@dataclass(frozen=True, eq=False)
class NeuralStyle:
    """neural-style-pt with its defaults. network: padded with zeros."""

    network: Network
    pair: Pair
    steps: int = 1000

    tv_weight = 1e-3

    @cached_property
    def weights(self) -> dict[str, float]:
        """Of content and style, by layer: 5 and 100 for VGG-19 with Caffe's weights."""
        fed = next((m for m in self.network.modules() if isinstance(m, Normalize)), None)
        if fed is not None and fed.std.max() < 0.01:
            return {CONTENT: 5.0} | dict.fromkeys(STYLE, 100.0)
        with torch.no_grad():
            terms = self.terms(MEAN.expand_as(self.pair.content) / UNITS)
            return {layer: PRINTED[layer] / term.item() for layer, term in terms.items()}

    @cached_property
    def targets(self) -> Targets:
        with torch.no_grad():
            content = taps(self.network, self.pair.content, (CONTENT,))
            style = taps(self.network, self.pair.style, STYLE)
            return content | {layer: self.gram(a) for layer, a in style.items()}

    @staticmethod
    def gram(a: Tensor) -> Tensor:
        rows = a[0].flatten(1)
        return rows @ rows.T / a.numel()

    def terms(self, picture: Tensor) -> Targets:
        """Of content and style, by layer."""
        found = taps(self.network, picture, (CONTENT, *STYLE))
        found |= {layer: self.gram(found[layer]) for layer in STYLE}
        return {layer: functional.mse_loss(a, self.targets[layer]) for layer, a in found.items()}

    def value(self, picture: Tensor) -> Tensor:
        """J of a picture in [0, 1], or beyond."""
        rough = UNITS * (picture.diff(dim=2).abs().sum() + picture.diff(dim=3).abs().sum())
        total = self.tv_weight * rough
        for layer, term in self.terms(picture).items():
            total = total + self.weights[layer] * term
        return total

    def run(self) -> Run:
        """From noise about the mean color; L-BFGS with no line search."""
        began = time.perf_counter()
        _ = self.weights
        generator = torch.Generator().manual_seed(0)
        x = 0.001 * torch.randn(self.pair.content.shape, generator=generator)
        x.requires_grad_(True)
        optimizer = torch.optim.LBFGS(
            [x], max_iter=self.steps, tolerance_change=-1, tolerance_grad=-1
        )

        def closure() -> Tensor:
            optimizer.zero_grad()
            value = self.value((x + MEAN) / UNITS)
            value.backward()  # type: ignore[no-untyped-call]
            return value

        optimizer.step(closure)  # type: ignore[no-untyped-call]
        seconds = time.perf_counter() - began
        with torch.no_grad():
            picture = (x + MEAN) / UNITS
            return Run(picture.clamp(0, 1), self.value(picture).item(), seconds)


@dataclass(frozen=True, eq=False)
class StyleTransfer:
    """style-transfer-pytorch with its defaults. pair: larger than the last size, or as large."""

    network: Network
    pair: Pair
    size: int
    first_steps: int = 1000
    steps: int = 500

    content_weight, tv_weight = 0.015, 2.0
    style_weights = tuple(weight / 341 for weight in (256, 64, 16, 4, 1))
    coarsest, rate, betas, decay = 128, 0.02, (0.9, 0.99), 0.99

    @property
    def sizes(self) -> list[int]:
        sizes = [round(self.size / 2 ** (n / 2)) for n in range(20)]
        return sorted(size for size in sizes if size >= min(self.coarsest, self.size))

    def objective(self, size: int) -> Callable[[Tensor], Tensor]:
        """J at one of the sizes."""
        pair = self.pair.at(size)
        with torch.no_grad():
            target = taps(self.network, pair.content, (CONTENT,))[CONTENT]
            style = taps(self.network, pair.style, STYLE)
            gaussians = {layer: Wasserstein.of(*moments(a)) for layer, a in style.items()}

        def value(picture: Tensor) -> Tensor:
            found = taps(self.network, picture, (CONTENT, *STYLE))
            total = self.content_weight * functional.mse_loss(found[CONTENT], target)
            for layer, weight in zip(STYLE, self.style_weights, strict=True):
                total = total + weight * gaussians[layer].squared(*moments(found[layer]))
            return total + self.tv_weight * nine_points(picture)

        return value

    @cached_property
    def value(self) -> Callable[[Tensor], Tensor]:
        """J of a picture in [0, 1], at the last size."""
        return self.objective(self.size)

    def run(self) -> Run:
        """From the content, scale by scale; Adam and its moments go on from one to the next."""
        began = time.perf_counter()
        picture = self.pair.at(self.sizes[0]).content
        state: dict[str, Tensor] = {}
        for size in self.sizes:
            space: Space = tuple(self.pair.at(size).content.shape[2:])
            x = _interpolated(picture, space, "bicubic").clamp(0, 1).requires_grad_(True)
            optimizer = torch.optim.Adam([x], lr=self.rate, betas=self.betas)
            if state:
                optimizer.state[x] = {
                    "step": state["step"],
                    "exp_avg": _interpolated(state["exp_avg"], space, "bicubic"),
                    "exp_avg_sq": _interpolated(state["exp_avg_sq"], space, "bilinear").relu(),
                }
            value = self.objective(size)
            total, weight = (1 - self.decay) * x.detach(), 1 - self.decay
            for _ in range(self.first_steps if size == self.sizes[0] else self.steps):
                optimizer.zero_grad()
                value(x).backward()  # type: ignore[no-untyped-call]
                optimizer.step()
                with torch.no_grad():
                    x.clamp_(0, 1)
                    total = self.decay * total + (1 - self.decay) * x
                    weight = self.decay * weight + 1 - self.decay
            picture, state = (total / weight).clamp(0, 1), optimizer.state[x]
        seconds = time.perf_counter() - began
        with torch.no_grad():
            return Run(picture, self.value(picture).item(), seconds)


def _interpolated(values: Tensor, space: Space, mode: str) -> Tensor:
    return functional.interpolate(values, space, mode=mode, align_corners=False)


def moments(a: Tensor) -> tuple[Tensor, Tensor]:
    """The means of a and of a a^T over positions."""
    rows = a[0].flatten(1)
    return rows.mean(1), rows @ rows.T / rows.shape[1]


@dataclass(frozen=True, eq=False)
class Wasserstein:
    """The Gaussian of the style's activations, to which distances are taken."""

    mean: Tensor
    covariance: Tensor
    root: Tensor

    @classmethod
    def of(cls, mean: Tensor, products: Tensor) -> Wasserstein:
        own = covariance(mean, products)
        return cls(mean, own, square_root(own))

    def squared(self, mean: Tensor, products: Tensor) -> Tensor:
        """W_2^2 over the number of channels."""
        own = covariance(mean, products)
        common = square_root(self.root @ own @ self.root)
        spread = (self.covariance + own - 2 * common).diagonal().mean()
        return (mean - self.mean).square().mean() + spread


def covariance(mean: Tensor, products: Tensor) -> Tensor:
    return (
        products
        - mean.outer(mean)
        + 1e-4 * torch.eye(len(mean), dtype=mean.dtype, device=mean.device)
    )


def square_root(matrix: Tensor, steps: int = 12) -> Tensor:
    """By Newton's and Schulz's iteration (Higham 2008, Functions of matrices, equation 6.35)."""
    norm = matrix.square().sum().sqrt()
    identity = torch.eye(len(matrix), dtype=matrix.dtype, device=matrix.device)
    y, z = matrix / norm, identity
    for _ in range(steps):
        step = (3 * identity - z @ y) / 2
        y, z = y @ step, step @ z
    return y * norm.sqrt()


def square_roots(values: Tensor, steps: int = 12) -> Tensor:
    """What that iteration makes of a matrix's eigenvalues."""
    norm = values.square().sum().sqrt()
    y, z = values / norm, torch.ones_like(values)
    for _ in range(steps):
        step = (3 - z * y) / 2
        y, z = y * step, step * z
    return y * norm.sqrt()


def nine_points(picture: Tensor) -> Tensor:
    """The mean squared slope, from neighbors along the axes and the diagonals."""
    x = functional.pad(picture, (1, 1, 1, 1), "replicate")
    inner = slice(1, -1)
    along = [
        x[..., inner, 2:] - x[..., inner, 1:-1],
        x[..., 2:, inner] - x[..., 1:-1, inner],
    ]
    across = [x[..., 1:, 1:] - x[..., :-1, :-1], x[..., 1:, :-1] - x[..., :-1, 1:]]
    axes = sum((steps.square().mean() for steps in along), torch.zeros(()))
    diagonals = sum((steps.square().mean() for steps in across), torch.zeros(()))
    return 2 * axes / 3 + diagonals / 6
