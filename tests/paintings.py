"""Pictures of strokes, each painted once in a process: to lay the strokes takes seconds."""

from __future__ import annotations

from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from examples.painter import paint


@cache
def _painted(height: int, width: int, seed: int) -> NDArray[Any]:
    return paint(height, width, seed=seed)


def painting(height: int, width: int, seed: int) -> NDArray[Any]:
    """Returns what `paint` does, an array of one's own."""
    return np.array(_painted(height, width, seed))
