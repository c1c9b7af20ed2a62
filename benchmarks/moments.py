"""The derivative of tr (A^1/2 B A^1/2)^1/2 by B, three ways: time, and error.

A and B are covariances with the eigenvectors of noise in common, so that the derivative is known:
1/2 U (a / b)^1/2 U^T. Their eigenvalues fall from 1 to 1e-5 as those of lite's deep layers do, and
have the noise of `Moments`.

    python -m benchmarks.moments
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from benchmarks._tables import machine, table
from impasto.losses.wasserstein import NOISE

WIDTHS = (16, 32, 64, 128, 512)


def by_eigenvalues(a: Tensor, b: Tensor) -> Tensor:
    """The trace as `Moments` takes it, from A^1/2 and B."""
    trace: Tensor = torch.linalg.eigvalsh(a @ b @ a).clamp_min(0).sqrt().sum()
    return trace


def by_singular_values(a: Tensor, b: Tensor) -> Tensor:
    """The same from a factor of B."""
    trace: Tensor = torch.linalg.svdvals(a @ torch.linalg.cholesky(b)).sum()
    return trace


def by_newton_schulz(a: Tensor, b: Tensor, steps: int) -> Tensor:
    """The same by iterations that give the root y and its inverse z (Higham 2008, equation 6.35),
    and with them the derivative."""
    inner = a @ b @ a
    norm = inner.detach().norm()
    identity = torch.eye(len(a)).to(a)
    y, z = inner.detach() / norm, identity
    for _ in range(steps):
        t = 1.5 * identity - 0.5 * z @ y
        y, z = y @ t, t @ z
    root, inverse = y * norm.sqrt(), z / norm.sqrt()
    slope = (inverse * inner).sum() / 2
    trace: Tensor = root.trace() + slope - slope.detach()
    return trace


WAYS: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "eigenvalues": by_eigenvalues,
    "singular values": by_singular_values,
    "Newton-Schulz, 15 steps": partial(by_newton_schulz, steps=15),
    "Newton-Schulz, 30 steps": partial(by_newton_schulz, steps=30),
}


def problem(width: int) -> tuple[Tensor, Tensor, Tensor]:
    """A^1/2, B, and the derivative; float64."""
    torch.manual_seed(width)
    vectors, _ = torch.linalg.qr(torch.randn(width, width).double())
    falling = torch.logspace(0, -5, width).double()
    a, b = (falling * torch.rand(width).double() for _ in range(2))
    a, b = a + NOISE * a.mean(), b + NOISE * a.mean()
    root, covariance, slope = (
        vectors * values @ vectors.T for values in (a.sqrt(), b, (a / b).sqrt() / 2)
    )
    return root, covariance, slope


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--runs", type=int, default=9, help="runs, of which medians are taken")
    parser.add_argument("--widths", type=int, nargs="+", default=WIDTHS)
    arguments = parser.parse_args()
    print(machine())
    lines = []
    for width in arguments.widths:
        for name, way in WAYS.items():
            for dtype in (torch.float64, torch.float32):
                root, covariance, slope = (x.to(dtype) for x in problem(width))
                times = []
                for _ in range(arguments.runs):
                    leaf = covariance.clone().requires_grad_(True)
                    start = time.perf_counter()
                    (gradient,) = torch.autograd.grad(way(root, leaf), leaf)
                    times.append(time.perf_counter() - start)
                gradient = (gradient + gradient.T) / 2
                error = float((gradient - slope).norm() / slope.norm())
                milliseconds = f"{1e3 * statistics.median(times):.2f} ms"
                kind = str(dtype).removeprefix("torch.")
                lines.append([str(width), name, kind, milliseconds, f"{error:.0e}"])
    table(["channels", "by", "numbers", "time", "error of the derivative"], lines)


if __name__ == "__main__":
    main()
