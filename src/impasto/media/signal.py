"""Signals: channels over time, with their rate, names, units and gaps."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float32

from impasto.errors import SampleError
from impasto.media.sample import Sample


@dataclass(frozen=True, eq=False)
class Signal(Sample):
    """Channels (the leads of an ECG, the channels of a sound) over time.

    data: float32, shape (channel, time), in `units`; across a gap a straight line.
    rate: positions a second, in Hz. names, units: of each channel, such as "II" and "mV"; "" where
    the file gives none. gaps: shape (channel, time), True where the recording has no value; None
    where it has them all. source: what the file needs beside these to be written as it came.
    """

    rate: float = 1.0
    names: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    gaps: Bool[np.ndarray, "channel time"] | None = None
    source: Any = None

    def __post_init__(self) -> None:
        super().__post_init__()
        channels = len(self.data)
        if self.dims != 1 or {len(self.names), len(self.units)} != {channels}:
            raise SampleError(
                expected="channels over time, each with a name and a unit",
                found=f"shape {self.data.shape}, {len(self.names)} names, {len(self.units)} units",
                remedy="make signals with impasto.media.load",
            )
        if not 0 < self.rate < float("inf"):
            raise SampleError(
                expected="a sampling rate above 0 Hz", found=f"{self.rate}", remedy="correct it"
            )

    @property
    def weight(self) -> Float32[np.ndarray, " time"] | None:
        """0 where any channel has a gap, 1 elsewhere; None where there are no gaps."""
        if self.gaps is None:
            return None
        whole = np.logical_not(np.any(self.gaps, axis=0))
        return np.asarray(whole, np.float32)
