"""Style as the mean and the covariance of activations, compared by the Wasserstein distance.

A Gram matrix mixes the two, and squares: what is strong in the style says nearly all. Between the
normal distributions of those moments (Dowson and Landau 1982, equation 4)

    W2^2 = |mu_S - mu_G|^2 + tr(Cov_S + Cov_G - 2 (Cov_S^1/2 Cov_G Cov_S^1/2)^1/2)

is in units of the activations squared, so that each direction counts by its own power.
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
"""White noise that both distributions get, over the style's mean power: a covariance that is
singular, as that of a dead channel, then has a derivative, and rounding does not matter."""


@dataclass(frozen=True, eq=False)
class Moments:
    """J_style of a layer: W2^2, as it is, over the number of channels, or relative to the style's
    own power.

    The relative one is W2^2 / (|mu_S|^2 + tr Cov_S), by which pictures keep as much of their
    content as with Gram matrices at the same beta (docs/decisions.md). As there, channels are
    brought to about one, or measured in the metric of a wider network: with W' = [W b] as in
    `MetricGram` its moments are W mu + b and W Cov W^T; W2 does not see rotations, so any square R
    with R^T R = W^T W will do in place of W.

    target: the mean over the style's positions of [a 1] [a 1]^T, shape (channel + 1, channel + 1).
    root: of that shape too, as that of `MetricGram`; None for no metric.
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
        """The distance, normalized; in [0, inf).

        At the style itself it is 0, and so is its derivative, to the last bit: Adam would make
        whole steps of what rounding leaves of none.
        """
        products = sums / count
        distance, slope = self._distance(products)
        own_distance, own_slope = self._rounding
        toward = ((slope - own_slope) * (products - products.detach())).sum()
        return distance - own_distance + toward

    @cached_property
    def _rounding(self) -> tuple[Tensor, Tensor]:
        """What is found of the style itself."""
        return self._distance(self.target)

    def _distance(self, products: Tensor) -> tuple[Tensor, Tensor]:
        """The normalized distance of the means of [a 1] [a 1]^T, and its derivative by them."""
        with torch.enable_grad():
            leaf = products.detach().requires_grad_(True)
            mean, covariance = self._moments(leaf)
            own_mean, own_covariance = self._own
            # Eigenvalues, unlike eigenvectors, have a derivative where some are equal. With the
            # noise none is below its square but by rounding.
            shared = torch.linalg.eigvalsh(self._deviation @ covariance @ self._deviation)
            shared = shared.clamp_min(self._noise.square() / 4).sqrt().sum()
            traces = covariance.trace() + own_covariance.trace()
            distance = (mean - own_mean).square().sum() + traces - 2 * shared
            (slope,) = torch.autograd.grad(self._factor * distance, leaf)
        return self._factor * distance.detach(), slope

    def _moments(self, products: Tensor) -> tuple[Tensor, Tensor]:
        """mu and Cov, as the frame has them, from the means of [a 1] [a 1]^T."""
        mean = products[:-1, -1]
        covariance = products[:-1, :-1] - mean[:, None] * mean
        noise = torch.eye(len(mean)).to(mean) * self._noise
        return self._frame @ mean, self._frame @ covariance @ self._frame.T + noise

    @cached_property
    def _frame(self) -> Float[Tensor, "channel channel"]:
        """R: what activations are multiplied by."""
        power = self.target.diagonal()[:-1]
        if self.normalization != "relative":
            return torch.eye(len(power)).to(power)
        if self.root is not None:
            frame: Tensor = torch.linalg.qr(self.root[:, :-1]).R
            return frame
        return (power + 0.1 * power.mean()).clamp_min(FAINT).rsqrt().diag()

    @cached_property
    def _noise(self) -> Tensor:
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
    def _factor(self) -> Tensor | float:
        """What the distance is in units of."""
        if self.normalization == "mean":
            return 1 / (len(self.target) - 1)
        if self.normalization != "relative":
            return 1.0
        root, target = self.root, self.target
        if root is None:
            root, target = self._frame, self.target[:-1, :-1]
        return 1 / (root @ target @ root.T).trace().clamp_min(FAINT)
