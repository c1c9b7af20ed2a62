"""What property tests draw from: grids and values in one, two and three dimensions."""

from __future__ import annotations

import numpy as np
import torch
from hypothesis import strategies as st
from torch import Tensor

from impasto.grids.geometry import Space


@st.composite
def spaces(draw: st.DrawFn, smallest: int = 1, largest: int = 9) -> Space:
    """A grid of one to three axes, odd and even sides."""
    dims = draw(st.integers(1, 3))
    return tuple(draw(st.integers(smallest, largest)) for _ in range(dims))


seeds = st.integers(0, 2**31)


def normal(seed: int, *shape: int) -> Tensor:
    """Reproducible float64 values."""
    return torch.from_numpy(np.random.default_rng(seed).normal(size=shape))
