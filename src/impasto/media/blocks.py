"""Arrays that may be larger than memory: where they are put, and walking over them in blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import product
from math import prod

import numpy as np
from jaxtyping import Float32, Shaped

from impasto.errors import MemoryLimitError, amount

New = Callable[[tuple[int, ...]], np.ndarray]
"""Makes the float32 array of a shape that a sample's values are put in; all of them are written.

It may be a file mapped into memory (numpy.memmap), for a sample that is larger than memory.
"""

_BLOCK = 2**20
"""Values in a block: few beside any array that is worth walking over, many beside a call."""


def in_memory(shape: tuple[int, ...]) -> Float32[np.ndarray, "..."]:
    """The float32 array that values are put in unless the caller says otherwise.

    Raises MemoryLimitError when there cannot be one of that shape.
    """
    try:
        return np.empty(shape, np.float32)
    except (MemoryError, ValueError) as error:
        raise MemoryLimitError(
            expected=f"{amount(4 * prod(shape))} of memory for values of shape {shape}",
            found="less than that",
            remedy="pass a smaller --size, or a part of it",
        ) from error


def blocks(shape: Sequence[int], unit: Sequence[int] = ()) -> Iterator[tuple[slice, ...]]:
    """What cuts an array of that shape into blocks of some million values, in C order.

    unit: the sides of the chunks that the values are stored in, which are never split. Without,
    a block is one contiguous piece of an array in C order.

        for block in blocks(values.shape):
            values[block] ...
    """
    sides = [min(pair) for pair in zip(unit or (1,) * len(shape), shape, strict=True)]
    for axis in reversed(range(len(shape))):
        sides[axis] = min(shape[axis], sides[axis] * max(1, _BLOCK // prod(sides)))
    yield from cells(shape, sides)


def cells(shape: Sequence[int], sides: Sequence[int]) -> Iterator[tuple[slice, ...]]:
    """What cuts an array of that shape into boxes with these sides, in C order."""
    for corner in product(*map(range, [0] * len(shape), shape, sides)):
        yield tuple(
            slice(start, min(start + side, length))
            for start, side, length in zip(corner, sides, shape, strict=True)
        )


def count_non_finite(values: Shaped[np.ndarray, "..."]) -> int:
    """How many values are NaN or infinite."""
    finite = (np.count_nonzero(np.isfinite(values[block])) for block in blocks(values.shape))
    return values.size - int(sum(finite))
