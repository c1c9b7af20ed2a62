"""Wasserstein-2 distances of Gaussian distributions."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from jaxtyping import Float64


@dataclass(frozen=True, eq=False)
class Gaussian:
    """A Gaussian distribution of activations: a value a channel."""

    mean: Float64[np.ndarray, " channel"]
    covariance: Float64[np.ndarray, "channel channel"]

    @classmethod
    def of(
        cls,
        products: Float64[np.ndarray, "augmented augmented"],
        root: Float64[np.ndarray, "wide augmented"] | None = None,
    ) -> Gaussian:
        """With the mean and covariance of the activations.

        products: the mean over positions of [a 1] [a 1]^T. root: of a network's metric, where the
        activations are to be those of the wider network, W [a 1] with W^T W = root^T root: their
        distances are those of root [a 1].
        """
        mean, squares = products[:-1, -1], products[:-1, :-1]
        if root is not None:
            mean, squares = root @ products[:, -1], root @ products @ root.T
        return cls(mean, squares - np.outer(mean, mean))

    @property
    def power(self) -> float:
        """The mean of ||a||^2: its squared distance to silence."""
        return float(self.mean @ self.mean + np.trace(self.covariance))


def wasserstein2(one: Gaussian, other: Gaussian) -> float:
    """The Wasserstein-2 distance (Dowson and Landau 1982, The Fréchet distance between multivariate
    normal distributions, equation 4).

        W_2^2 = ||m - n||^2 + tr(A + B - 2 (A^1/2 B A^1/2)^1/2)

    m, A and n, B: their means and covariances.
    """
    root = _root(one.covariance)
    eigenvalues = np.linalg.eigvalsh(root @ other.covariance @ root)
    common = np.sqrt(np.maximum(eigenvalues, 0)).sum()
    spread = np.trace(one.covariance) + np.trace(other.covariance) - 2 * common
    return float(np.sqrt(np.sum((one.mean - other.mean) ** 2) + max(0.0, spread)))


def _root(
    covariance: Float64[np.ndarray, "channel channel"],
) -> Float64[np.ndarray, "channel channel"]:
    """Symmetric, positive semidefinite, and its square is the covariance."""
    eigenvalues, vectors = np.linalg.eigh(covariance)
    return np.asarray((vectors * np.sqrt(np.maximum(eigenvalues, 0))) @ vectors.T)
