"""The map that makes activations distributed like a style's: optimal transport between Gaussians.

Among all maps from N(m, A) to N(n, B), the one that moves activations the least on average is

    T(f) = n + A^-1/2 (A^1/2 B A^1/2)^1/2 A^-1/2 (f - m)

(Gelbrich 1990, On a formula for the L2 Wasserstein metric between measures on Euclidean and Hilbert
spaces). It brings the style term of `impasto.losses.wasserstein` to zero. `amount` of the way,
(1 - amount) f + amount T(f), is optimal too: it follows the geodesic from one to the other.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Float, Float64
from torch import Tensor

RIDGE = 1e-3
"""Variance that is added to both distributions in all directions, over their mean variance.

Directions in which the content hardly varies would else be amplified without bound.
"""

LEAST = 1e-8
"""The least variance that is added."""

STEPS, ENOUGH = 60, 1e-10
"""Of the iteration for a barycenter: the most, and the relative change after which it ends."""


@dataclass(frozen=True, eq=False)
class Gaussian:
    """Mean and covariance of activations, in double precision.

    Attributes:
        mean: shape (*batch, channel).
        covariance: shape (*batch, channel, channel).
    """

    mean: Float64[Tensor, "*batch channel"]
    covariance: Float64[Tensor, "*batch channel channel"]

    @classmethod
    def of(cls, sums: Float64[Tensor, "*batch augmented augmented"]) -> Gaussian:
        """Makes it from the sums over positions of [f 1] [f 1]^T."""
        products = sums / sums[..., -1:, -1:]
        mean = products[..., :-1, -1]
        return cls(mean, products[..., :-1, :-1] - mean[..., :, None] * mean[..., None, :])

    @property
    def products(self) -> Float64[Tensor, "*batch augmented augmented"]:
        """The mean over positions of [f 1] [f 1]^T."""
        inner = self.covariance + self.mean[..., :, None] * self.mean[..., None, :]
        one = torch.ones_like(self.mean[..., :1, None])
        top = torch.cat([inner, self.mean[..., :, None]], -1)
        return torch.cat([top, torch.cat([self.mean[..., None, :], one], -1)], -2)


@dataclass(frozen=True, eq=False)
class Affine:
    """The map f -> matrix f + offset.

    Attributes:
        matrix: shape (*batch, channel, channel).
        offset: shape (*batch, channel).
    """

    matrix: Float64[Tensor, "*batch channel channel"]
    offset: Float64[Tensor, "*batch channel"]

    def part(self, amount: float | Tensor) -> Affine:
        """Returns the map that goes `amount` of the way, in [0, 1]."""
        share = torch.as_tensor(amount, dtype=self.offset.dtype, device=self.offset.device)
        eye = torch.eye(self.matrix.shape[-1], dtype=share.dtype, device=share.device)
        by_matrix = share[..., None, None]
        return Affine(eye + by_matrix * (self.matrix - eye), share[..., None] * self.offset)

    def __call__(
        self, f: Float[Tensor, "batch channel height width"]
    ) -> Float[Tensor, "batch channel height width"]:
        """Returns the map's values, in the type of f."""
        matrix, offset = (each.to(f) for each in (self.matrix, self.offset))
        if matrix.ndim == 2:
            return torch.nn.functional.conv2d(f, matrix[:, :, None, None], offset)
        moved = torch.einsum("bij,bjhw->bihw", matrix, f)
        return moved + offset[:, :, None, None]


def transport(content: Gaussian, style: Gaussian, ridge: float = RIDGE) -> Affine:
    """Returns the optimal map from the content's distribution to the style's.

    Both get the same ridge, so that it is the identity where they are equal, and bounded where the
    content's covariance is singular.

    Args:
        content: the distribution of what is mapped.
        style: the distribution that it gets; the same shape.
        ridge: see `RIDGE`.

    Example:
        >>> one = Gaussian(torch.zeros(1).double(), torch.eye(1).double())
        >>> two = Gaussian(torch.ones(1).double(), 4 * torch.eye(1).double())
        >>> transport(one, two).offset
        tensor([1.], dtype=torch.float64)
    """
    matrix = _matrix(*ridged(content.covariance, style.covariance, ridge))
    return Affine(matrix, style.mean - (matrix @ content.mean[..., None])[..., 0])


def _matrix(a: Tensor, b: Tensor) -> Tensor:
    """Returns that of the optimal map between centered distributions."""
    root, inverse = _roots(a)
    return inverse @ _root(root @ b @ root) @ inverse


def ridged(a: Tensor, b: Tensor, ridge: float = RIDGE) -> tuple[Tensor, Tensor]:
    """Returns both covariances with the same ridge."""
    width = a.shape[-1]
    power = (a + b).diagonal(dim1=-2, dim2=-1).mean(-1) / 2
    more = (ridge * power).clamp_min(LEAST)[..., None, None]
    more = more * torch.eye(width, dtype=a.dtype, device=a.device)
    return a + more, b + more


def geodesic(content: Gaussian, style: Gaussian, amount: float | Tensor) -> Gaussian:
    """Returns the distribution that the content has after `amount` of the way to the style."""
    way = transport(content, style).part(amount)
    mean = (way.matrix @ content.mean[..., None])[..., 0] + way.offset
    return Gaussian(mean, way.matrix @ content.covariance @ way.matrix.mT)


def barycenter(styles: Sequence[Gaussian], shares: Sequence[float]) -> Gaussian:
    """Returns the distribution that is nearest to several, each weighted by its share.

    It minimizes the sum of share * W2^2. That of two lies on the geodesic between them; that of
    more comes from the fixed-point iteration of Álvarez-Esteban et al. 2016 (A fixed-point approach
    to barycenters in Wasserstein space), theorem 4.2.

    Args:
        styles: one or more.
        shares: as many weights, at least 0, of a sum above 0.
    """
    total = sum(shares)
    mean = torch.stack([s / total * g.mean for s, g in zip(shares, styles, strict=True)]).sum(0)
    pairs = [(s / total, g.covariance) for s, g in zip(shares, styles, strict=True) if s > 0]
    if len(pairs) == 1:
        return Gaussian(mean, pairs[0][1])
    if len(pairs) == 2:
        (_, one), (share, other) = pairs
        return Gaussian(mean, _between(one, other, share))
    found = torch.stack([share * covariance for share, covariance in pairs]).sum(0)
    for _ in range(STEPS):
        root, inverse = _roots(ridged(found, found)[0])
        mixed = torch.stack([share * _root(root @ each @ root) for share, each in pairs]).sum(0)
        following = inverse @ mixed @ mixed @ inverse
        change = (following - found).norm() / found.norm().clamp_min(LEAST)
        found = following
        if change < ENOUGH:
            break
    return Gaussian(mean, found)


def _between(one: Tensor, other: Tensor, share: float) -> Tensor:
    """Returns the covariance that is `share` of the way from one to the other."""
    a, b = ridged(one, other)
    way = _matrix(a, b)
    eye = torch.eye(a.shape[-1], dtype=a.dtype, device=a.device)
    part = eye + share * (way - eye)
    return part @ a @ part.mT - (a - one)  # without the ridge, which it keeps


def _roots(a: Tensor) -> tuple[Tensor, Tensor]:
    """Returns A^1/2 and A^-1/2 of a positive definite matrix."""
    values, vectors = torch.linalg.eigh(a)
    values = values.clamp_min(LEAST / 4).sqrt()[..., None, :]
    return vectors * values @ vectors.mT, vectors / values @ vectors.mT


def _root(a: Tensor) -> Tensor:
    """Returns the symmetric root of a positive semi-definite matrix."""
    values, vectors = torch.linalg.eigh((a + a.mT) / 2)
    root: Tensor = vectors * values.clamp_min(0).sqrt()[..., None, :] @ vectors.mT
    return root
