"""Spectrograms brought to a style: the levels of each frequency get the style's distribution."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from jaxtyping import Float32

from impasto.linear.bands import LEVELS, mapped, quantiles


def linear_spectrogram(
    content: Float32[np.ndarray, "frequency frame"],
    styles: Sequence[Float32[np.ndarray, "frequency other"]],
    shares: Sequence[float],
    amount: float,
) -> Float32[np.ndarray, "frequency frame"]:
    """Maps the levels of each frequency, in their order, to quantiles of the styles' levels.

    Args:
        content: logarithms of magnitudes.
        styles: of the same unit and frequencies.
        shares: the weight of each style; they add up to 1.
        amount: how far to go, in [0, 1].
    """
    own = torch.from_numpy(content).double()
    goal = torch.zeros(len(own), LEVELS, dtype=torch.float64)
    for style, share in zip(styles, shares, strict=True):
        goal += share * quantiles(torch.from_numpy(style).double())
    return torch.lerp(own, mapped(own, goal), amount).float().numpy()
