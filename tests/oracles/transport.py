"""Optimal transport between Gaussians in NumPy, by another formula than the package's.

A^-1/2 (A^1/2 B A^1/2)^1/2 A^-1/2 is the geometric mean of A^-1 and B, which is also
B^1/2 (B^1/2 A B^1/2)^-1/2 B^1/2.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Matrix = NDArray[np.float64]


def power(a: Matrix, exponent: float) -> Matrix:
    """A^exponent of a symmetric positive definite matrix."""
    values, vectors = np.linalg.eigh(a)
    return np.asarray(vectors @ np.diag(values**exponent) @ vectors.T)


def ridge(a: Matrix, b: Matrix) -> float:
    return float(max(1e-8, 1e-3 * (np.trace(a) + np.trace(b)) / (2 * len(a))))


def transported(f: Matrix, style: Matrix) -> Matrix:
    """Activations, shape (position, channel), moved to the distribution of a style's."""
    a, b = (np.cov(rows, rowvar=False, bias=True).reshape((f.shape[1],) * 2) for rows in (f, style))
    more = ridge(a, b) * np.eye(len(a))
    root = power(b + more, 0.5)
    matrix = root @ power(root @ (a + more) @ root, -0.5) @ root
    return np.asarray(style.mean(0) + (f - f.mean(0)) @ matrix.T)


def w2_squared(a: Matrix, b: Matrix) -> float:
    """Between Gaussians of these covariances and equal means."""
    root = power(a, 0.5)
    values = np.linalg.eigvalsh(root @ b @ root)
    return float(np.trace(a) + np.trace(b) - 2 * np.sqrt(np.maximum(values, 0)).sum())
