"""Wasserstein-2 distances of Gaussian distributions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64


@dataclass(frozen=True, eq=False)
class Gaussian:
    """A Gaussian distribution of activations.

    Attributes:
        mean: the mean, shape (channel,).
        covariance: the covariance, shape (channel, channel).
    """

    mean: Float64[np.ndarray, " channel"]
    covariance: Float64[np.ndarray, "channel channel"]

    @classmethod
    def of(
        cls,
        products: Float64[np.ndarray, "augmented augmented"],
        root: Float64[np.ndarray, "wide augmented"] | None = None,
    ) -> Gaussian:
        """Makes the Gaussian with the mean and the covariance of activations a.

        Args:
            products: the mean over positions of [a 1] [a 1]^T.
            root: a network's metric. The Gaussian is then that of root [a 1], whose distances are
                those of the wider network's activations W [a 1], as W^T W = root^T root.
        """
        mean, squares = products[:-1, -1], products[:-1, :-1]
        if root is not None:
            mean, squares = root @ products[:, -1], root @ products @ root.T
        return cls(mean, squares - np.outer(mean, mean))

    @property
    def power(self) -> float:
        """The mean of ||a||^2, which is the squared distance to zero activations."""
        return float(self.mean @ self.mean + np.trace(self.covariance))


def wasserstein2(one: Gaussian, other: Gaussian) -> float:
    """Returns the Wasserstein-2 distance between two Gaussians.

        W_2^2 = ||m - n||^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2)

    m, A and n, B are the means and the covariances (Dowson and Landau 1982, The Fréchet distance
    between multivariate normal distributions, equation 4).

    Example:
        >>> one = Gaussian(np.zeros(2), np.eye(2))
        >>> wasserstein2(one, Gaussian(np.array([3.0, 4.0]), np.eye(2)))
        5.0
    """
    root = _root(one.covariance)
    eigenvalues = np.linalg.eigvalsh(root @ other.covariance @ root)
    common = np.sqrt(np.maximum(eigenvalues, 0)).sum()
    spread = np.trace(one.covariance) + np.trace(other.covariance) - 2 * common
    return float(np.sqrt(np.sum((one.mean - other.mean) ** 2) + max(0.0, spread)))


def _root(
    covariance: Float64[np.ndarray, "channel channel"],
) -> Float64[np.ndarray, "channel channel"]:
    """Returns the symmetric square root of a covariance."""
    eigenvalues, vectors = np.linalg.eigh(covariance)
    return np.asarray((vectors * np.sqrt(np.maximum(eigenvalues, 0))) @ vectors.T)
