"""Arrays of the size of a sample: how they are made, and how to walk over them in blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from itertools import product
from math import prod

import numpy as np
from jaxtyping import Float32, Shaped

from impasto.errors import MemoryLimitError, amount
from impasto.system.machine import free_memory

New = Callable[[tuple[int, ...]], np.ndarray]
"""Makes the float32 array of a given shape that holds the values of a sample.

The array may be a file mapped into memory (numpy.memmap), for a sample larger than memory. Its
values are arbitrary until they are written.
"""

_BLOCK = 2**20
"""The values in a block: few beside a large array, many beside the cost of a call."""


def in_memory(shape: tuple[int, ...]) -> Float32[np.ndarray, "..."]:
    """Makes a float32 array in memory, with arbitrary values.

    Example:
        >>> in_memory((3, 4, 5)).shape
        (3, 4, 5)

    Raises:
        MemoryLimitError: there cannot be an array of that shape.
    """
    try:
        return np.empty(shape, np.float32)
    except (MemoryError, ValueError) as error:
        raise MemoryLimitError(
            expected=f"{amount(4 * prod(shape))} of memory for values of shape {shape}",
            found="less than that",
            remedy="pass a smaller --size, or a part of it",
        ) from error


def check_memory(shape: tuple[int, ...], dtype: np.dtype[np.generic]) -> None:
    """Refuses a file that is decoded whole and does not fit into the free memory.

    A compressed file of a few bytes may claim any number of values; this check comes before the
    first of them is decoded.

    Args:
        shape: of the values in the file.
        dtype: of the values as they are decoded. They are held together with their float32 form.

    Raises:
        MemoryLimitError: the machine has less free memory than both need.
    """
    needed = prod(shape) * (dtype.itemsize + 4)
    if needed > (free := free_memory()):
        raise MemoryLimitError(
            expected=f"{amount(needed)} of memory for values of shape {shape}",
            found=f"{amount(free)} free",
            remedy="cut a part out of the file, or convert it to .npy or .zarr, which stream",
        )


@contextmanager
def within_memory() -> Iterator[None]:
    """Turns what NumPy raises where there is no memory for an array into a MemoryLimitError."""
    try:
        yield
    except MemoryError as error:
        raise MemoryLimitError(
            expected="memory for the whole sample",
            found=f"less than that ({error})",
            remedy="pass a smaller --size, or a part of it",
        ) from error


def blocks(shape: Sequence[int], unit: Sequence[int] = ()) -> Iterator[tuple[slice, ...]]:
    """Cuts an array into blocks of about a million values.

    Example:
        >>> total = 0.0
        >>> values = np.ones((3, 1000, 1000))
        >>> for block in blocks(values.shape):
        ...     total += float(values[block].sum())
        >>> total
        3000000.0

    Args:
        shape: of the array.
        unit: the sides of the chunks in which the array is stored; a block never splits a chunk.
            Without them, a block is one contiguous piece of an array in C order.

    Yields:
        The slices of each block, in C order.
    """
    sides = [min(pair) for pair in zip(unit or (1,) * len(shape), shape, strict=True)]
    for axis in reversed(range(len(shape))):
        sides[axis] = min(shape[axis], sides[axis] * max(1, _BLOCK // prod(sides)))
    yield from cells(shape, sides)


def cells(shape: Sequence[int], sides: Sequence[int]) -> Iterator[tuple[slice, ...]]:
    """Cuts an array into boxes of the given sides.

    Example:
        >>> [cell[0] for cell in cells((5,), (2,))]
        [slice(0, 2, None), slice(2, 4, None), slice(4, 5, None)]

    Yields:
        The slices of each box, in C order.
    """
    for corner in product(*map(range, [0] * len(shape), shape, sides)):
        yield tuple(
            slice(start, min(start + side, length))
            for start, side, length in zip(corner, sides, shape, strict=True)
        )


def count_non_finite(values: Shaped[np.ndarray, "..."]) -> int:
    """Counts the values that are NaN or infinite, in little memory.

    Example:
        >>> count_non_finite(np.array([1.0, np.nan, np.inf]))
        2
    """
    finite = (np.count_nonzero(np.isfinite(values[block])) for block in blocks(values.shape))
    return values.size - int(sum(finite))
