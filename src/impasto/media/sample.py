"""Sample: what is stylized, whatever its number of dimensions."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from jaxtyping import Bool, Float32

from impasto.errors import ConfigError, SampleError
from impasto.grids.geometry import fitted_space
from impasto.media.blocks import count_non_finite

NOT_FOR_DIAGNOSIS = "not for diagnosis"
"""What this package writes into files of medical formats."""

# Not typing.Self: the shape checker of the tests, which decorates methods, refuses it.
Own = TypeVar("Own", bound="Sample")


@dataclass(frozen=True, eq=False)
class Sample:
    """Values of one or more channels over a grid of positions: a content, a style or a result.

    A sample with more to keep (an alpha plane, a sampling rate, an affine) is a subclass with more
    fields; `with_data` hands them on to the result.

    Example:
        >>> sample = Sample(np.zeros((3, 4, 5), np.float32), value_range=(0, 1))
        >>> sample.dims, sample.space
        (2, (4, 5))

    Attributes:
        data: float32, shape (channel, *space), one to three axes of space, every value finite.
        value_range: what the values are clipped to, (0, 1) for pictures; None leaves them free.

    Raises:
        SampleError: the shape, the type or the values are others.
    """

    data: Float32[np.ndarray, "channel *space"]
    value_range: tuple[float, float] | None = None

    def __post_init__(self) -> None:
        shape = self.data.shape
        if not 2 <= len(shape) <= 4 or 0 in shape:
            raise SampleError(
                expected="channels over one to three axes, none of them empty",
                found=f"an array of shape {shape}",
                remedy="put the channels first, then time, rows and columns, or x, y and z",
            )
        if self.data.dtype != np.float32:
            raise SampleError(
                expected="float32 values",
                found=f"{self.data.dtype}",
                remedy="convert with .astype(numpy.float32)",
            )
        if bad := count_non_finite(self.data):
            raise SampleError(
                expected="finite values",
                found=f"{bad} that are NaN or infinite",
                remedy="replace or cut them out first",
            )

    @property
    def dims(self) -> int:
        """1 for a signal, 2 for a picture, 3 for a volume."""
        return self.data.ndim - 1

    @property
    def space(self) -> tuple[int, ...]:
        """Positions along each axis."""
        return tuple(self.data.shape[1:])

    @property
    def weight(self) -> Float32[np.ndarray, "*space"] | None:
        """How much each position counts, in [0, 1]; None where all of them count fully."""
        return None

    @property
    def free(self) -> Bool[np.ndarray, "*space"] | None:
        """Where a result may differ from this sample; None for everywhere."""
        return None

    def with_data(self: Own, data: Float32[np.ndarray, "channel *space"]) -> Own:
        """Returns a sample of the same class and metadata, with other values."""
        return replace(self, data=data)


def check_own_space(space: tuple[int, ...], size: tuple[int, ...], what: str) -> None:
    """Refuses a size that asks for another grid of a sample that keeps its own.

    Args:
        space: of the sample.
        size: as for `impasto.media.load`.
        what: the sample in words, for the error.

    Raises:
        ConfigError: the size is another.
    """
    if fitted_space(space, size) != space:
        raise ConfigError(
            subject="--size",
            expected=f"0 for {what}, which keeps its grid of {' x '.join(map(str, space))}",
            found=" x ".join(map(str, size)),
            remedy="pass --size 0, or resample it first",
        )
