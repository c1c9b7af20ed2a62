"""Style as the mean and the covariance of activations, compared by the Wasserstein distance.

A Gram matrix mixes the two and squares activations, so strong features outweigh the others. The
distance between the normal distributions of those moments (Dowson and Landau 1982, equation 4),

    W2^2 = |mu_S - mu_G|^2 + tr(Cov_S + Cov_G - 2 (Cov_S^1/2 Cov_G Cov_S^1/2)^1/2),

is quadratic in the activations, so each direction counts by its own power.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor

from impasto.losses.gram import MetricGram
from impasto.losses.loss import FAINT, Normalization

NOISE = 1e-3
"""Variance of the white noise that is added to both distributions, over the style's mean power.

With it a singular covariance, such as that of a channel that is always 0, has a derivative.
"""


@dataclass(frozen=True, eq=False)
class Moments:
    """J_style of a layer: W2^2 between the activations of G and S.

    `course` and `notes` leave it as it is, and `mean` divides it by the number of channels.
    `relative` is W2^2 / (|mu_S|^2 + tr Cov_S), with which pictures keep as much of their content as
    with Gram matrices at the same beta (docs/decisions.md). There, as in `Gram`, each channel is
    first scaled to about 1, or measured in the metric of a wider network. With W' = [W b] as in
    `MetricGram`, the wide moments are W mu + b and W Cov W^T. W2 does not change under rotations,
    so any square R with R^T R = W^T W replaces W.

    Attributes:
        target: the mean over the style's positions of [a 1] [a 1]^T, shape (channel + 1, channel +
            1).
        normalization: see `impasto.losses.loss`.
        root: the metric, as in `MetricGram`; None for no metric.

    Example:
        >>> import torch
        >>> from impasto.grids.geometry import Region
        >>> space = Region.all_of((4, 4))
        >>> style, g = torch.ones(1, 1, 4, 4), 3 * torch.ones(1, 1, 4, 4)
        >>> loss = Moments(Moments.sums(style, space) / 16, "mean")
        >>> print(f"{loss.score(loss.sums(g, space), count=16):.2f}")
        4.00
    """

    target: Float[Tensor, "augmented augmented"]
    normalization: Normalization
    root: Float[Tensor, "augmented augmented"] | None = None
    reach: ClassVar[int] = 0
    sums = staticmethod(MetricGram.sums)

    @property
    def shape(self) -> tuple[int, ...]:
        """(channel + 1, channel + 1)."""
        return tuple(self.target.shape)

    def score(self, sums: Float[Tensor, "augmented augmented"], count: float) -> Float[Tensor, ""]:
        """Returns the normalized distance, in [0, inf).

        At the style itself it and its derivative are exactly 0. Adam would otherwise take full
        steps along the rounding errors.
        """
        products = sums / count
        distance, slope = self._distance(products)
        own_distance, own_slope = self._rounding
        toward = ((slope - own_slope) * (products - products.detach())).sum()
        return distance - own_distance + toward

    @cached_property
    def _rounding(self) -> tuple[Tensor, Tensor]:
        """The distance of the style from itself, and its derivative: rounding errors."""
        return self._distance(self.target)

    def _distance(self, products: Tensor) -> tuple[Tensor, Tensor]:
        """Returns the normalized distance for means of [a 1] [a 1]^T, and its derivative.

        With D = Cov_S^1/2 the derivative of tr (D Cov D)^1/2 by Cov is D (D Cov D)^-1/2 D / 2.
        """
        products = products.detach()
        mean = products[:-1, -1]
        covariance = products[:-1, :-1] - mean[:, None] * mean
        shift = self._frame @ mean - self._own[0]
        shared = torch.addmm(self._faint, self._seen @ covariance, self._seen.T)
        # The noise keeps eigenvalues above its square; smaller ones are rounding errors, and have
        # no derivative.
        values, vectors = torch.linalg.eigh(shared)
        roots = values.clamp_min(self._least).sqrt()
        traces = (self._metric * covariance).sum() + self._traces
        distance = shift.square().sum() + traces - 2 * roots.sum()
        pulled = self._seen.T @ vectors
        slope = torch.zeros_like(products)
        by_covariance = slope[:-1, :-1]
        weights = torch.where(values < self._least, 0.0, 1 / roots)
        torch.addmm(self._metric, pulled * weights, pulled.T, alpha=-1, out=by_covariance)
        slope[:-1, -1] = 2 * (self._frame.T @ shift - by_covariance @ mean)
        return self._factor * distance, self._factor * slope

    def _moments(self, products: Tensor) -> tuple[Tensor, Tensor]:
        """Returns R mu and R Cov R^T plus noise, from the means of [a 1] [a 1]^T."""
        mean = products[:-1, -1]
        covariance = products[:-1, :-1] - mean[:, None] * mean
        noise = torch.eye(len(mean), dtype=mean.dtype, device=mean.device) * self._noise
        return self._frame @ mean, self._frame @ covariance @ self._frame.T + noise

    @cached_property
    def _frame(self) -> Float[Tensor, "channel channel"]:
        """R, by which activations are multiplied."""
        power = self.target.diagonal()[:-1]
        if self.normalization != "relative":
            return torch.eye(len(power), dtype=power.dtype, device=power.device)
        if self.root is not None:
            frame: Tensor = torch.linalg.qr(self.root[:, :-1]).R
            return frame
        return (power + 0.1 * power.mean()).clamp_min(FAINT).rsqrt().diag()

    @cached_property
    def _noise(self) -> Tensor:
        """The variance of the noise."""
        products = self._frame @ self.target[:-1, :-1] @ self._frame.T
        return NOISE * products.diagonal().mean().clamp_min(FAINT)

    @cached_property
    def _own(self) -> tuple[Tensor, Tensor]:
        """The style's moments."""
        return self._moments(self.target)

    @cached_property
    def _deviation(self) -> Float[Tensor, "channel channel"]:
        """Cov_S^1/2."""
        values, vectors = torch.linalg.eigh(self._own[1])
        deviation: Tensor = vectors * values.clamp_min(0).sqrt() @ vectors.T
        return deviation

    @cached_property
    def _seen(self) -> Float[Tensor, "channel channel"]:
        """Cov_S^1/2 R."""
        return self._deviation @ self._frame

    @cached_property
    def _metric(self) -> Float[Tensor, "channel channel"]:
        """R^T R."""
        return self._frame.T @ self._frame

    @cached_property
    def _faint(self) -> Float[Tensor, "channel channel"]:
        """Cov_S^1/2 N Cov_S^1/2, N being the noise's covariance."""
        return self._noise * (self._deviation @ self._deviation)

    @cached_property
    def _least(self) -> Tensor:
        """Eigenvalues below are rounding errors."""
        return self._noise.square() / 4

    @cached_property
    def _traces(self) -> Tensor:
        """tr Cov_S + tr N."""
        return self._own[1].trace() + self._noise * len(self._frame)

    @cached_property
    def _factor(self) -> Tensor | float:
        """What the distance is multiplied by."""
        if self.normalization == "mean":
            return 1 / (len(self.target) - 1)
        if self.normalization != "relative":
            return 1.0
        root, target = self.root, self.target
        if root is None:
            root, target = self._frame, self.target[:-1, :-1]
        return 1 / (root @ target @ root.T).trace().clamp_min(FAINT)
