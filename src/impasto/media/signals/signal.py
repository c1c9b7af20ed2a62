"""Signals: channels over time, with their rate, names, units, gaps and annotations."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, time, timedelta
from fractions import Fraction
from typing import Any, NamedTuple

import numpy as np
from jaxtyping import Bool, Float32, Float64

from impasto.errors import SampleError
from impasto.media.sample import Sample
from impasto.media.signals.gaps import fill_gaps

_VOLTS = {"V": 1.0, "mV": 1e-3, "uV": 1e-6, "µV": 1e-6, "μV": 1e-6, "nV": 1e-9}
_RECIPE = "impasto: "

_CONTINUED = 5.0
"""Seconds of a signal beyond its ends that its resampling sees."""

_FINEST = 100_000
"""The largest denominator of a ratio of two rates."""


class Annotation(NamedTuple):
    """A mark in a recording.

    Attributes:
        time: seconds from the first position.
        text: free text.
        duration: in seconds, None where the format has none.
        symbol: WFDB's code of what is marked: "N" for a normal beat, '"' for text alone.
        subtype, channel, number: WFDB's.
        annotator: the suffix of the WFDB file with the annotation.
    """

    time: float
    text: str = ""
    duration: float | None = None
    symbol: str = '"'
    subtype: int = 0
    channel: int = 0
    number: int = 0
    annotator: str = "atr"


@dataclass(frozen=True)
class Source:
    """What a file needs beside a signal to be written as it came; each format has a subclass.

    The methods keep it in step with a signal that changes.
    """

    def select(self, channels: Sequence[int]) -> Source:
        """Returns the source for a signal of these channels only."""
        return self

    def scaled(self, factors: Sequence[float]) -> Source:
        """Returns the source for a signal whose channels were multiplied by these factors."""
        return self


@dataclass(frozen=True, eq=False)
class Signal(Sample):
    """Channels (the leads of an ECG, the channels of a sound) over time.

    Example:
        >>> values = np.zeros((2, 500), np.float32)
        >>> signal = Signal(values, rate=250.0, names=("I", "II"), units=("mV", "mV"))
        >>> signal.select(["ii"]).names, signal.stretch(1, 2).space
        (('II',), (250,))

    Attributes:
        data: float32, shape (channel, time), in `units`; a straight line across each gap.
        rate: positions a second, in Hz.
        names, units: of each channel, such as "II" and "mV"; "" where the file gives none.
        gaps: shape (channel, time), True where the recording has no value; None where it has all.
        annotations: in the order of the file.
        start: when the first position was recorded; a time alone where the file has no date.
        source: what the file needs beside these to be written as it came.

    Raises:
        SampleError: these do not fit together.
    """

    rate: float = 1.0
    names: tuple[str, ...] = ()
    units: tuple[str, ...] = ()
    gaps: Bool[np.ndarray, "channel time"] | None = None
    annotations: tuple[Annotation, ...] = field(default=(), repr=False)
    start: datetime | time | None = None
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
        if self.gaps is not None and self.gaps.shape != self.data.shape:
            raise SampleError(
                expected=f"gaps of the shape of the data, {self.data.shape}",
                found=f"{self.gaps.shape}",
                remedy="make signals with impasto.media.load",
            )

    @property
    def weight(self) -> Float32[np.ndarray, " time"] | None:
        """0 where any channel has a gap, 1 elsewhere; None where there are no gaps."""
        if self.gaps is None:
            return None
        whole = np.logical_not(np.any(self.gaps, axis=0))
        return np.asarray(whole, np.float32)

    @property
    def flat_channels(self) -> tuple[str, ...]:
        """The names of the channels with one value throughout, such as a lead that fell off."""
        flat = self.data.min(axis=1) == self.data.max(axis=1)
        return tuple(name for name, same in zip(self.names, flat, strict=True) if same)

    def with_data(self, data: Float32[np.ndarray, "channel time"]) -> Signal:
        """Returns the signal with other values; another number of positions changes the rate."""
        ours, theirs = self.space[0], data.shape[1]
        if ours == theirs:
            return replace(self, data=data)
        return self._at(data, self.rate * theirs / ours)

    def resampled(self, rate: float) -> Signal:
        """Brings the signal to another rate, with gaps and annotations where they were.

        By the Fourier transform, which keeps all frequencies below half the lower rate as they are.
        Beyond its ends, the signal goes on turned about them.

        Args:
            rate: in Hz.

        Raises:
            SampleError: the rate is not above 0, or no position is left at it.
        """
        length = round(self.space[0] * rate / self.rate) if 0 < rate < float("inf") else 0
        if not length:
            raise SampleError(
                expected="a sampling rate above 0 Hz, at which one position or more is left",
                found=f"{rate} Hz",
                remedy="pass another",
            )
        if rate == self.rate:
            return self
        ratio = Fraction(rate / self.rate).limit_denominator(_FINEST)
        wanted = min(self.space[0] - 1, round(_CONTINUED * self.rate))
        before = -(-wanted // ratio.denominator) * ratio.denominator
        after = before + -self.space[0] % ratio.denominator
        first = before * ratio.numerator // ratio.denominator
        data = np.empty((len(self.data), length), np.float32)
        for row, result in zip(self.data, data, strict=True):
            wide = np.pad(
                row.astype(np.float64), (before, after), mode="reflect", reflect_type="odd"
            )
            count = len(wide) * ratio.numerator // ratio.denominator
            slope = (wide[-1] - wide[0]) / (len(wide) - 1)
            bent = wide - (wide[0] + slope * np.arange(len(wide)))  # its two ends meet
            line = wide[0] + slope * np.arange(first, first + length) * (self.rate / rate)
            result[:] = with_positions(bent, count)[first : first + length] + line
        return self._at(data, rate)

    def stretch(self, start: float, stop: float) -> Signal:
        """Cuts out the signal from one time to another.

        Args:
            start, stop: seconds from the beginning.

        Raises:
            SampleError: the signal does not last so long, or a channel is all gap there.
        """
        first, last = round(start * self.rate), round(stop * self.rate)
        length = self.space[0]
        if not 0 <= first < last <= length:
            raise SampleError(
                expected=f"a stretch between 0 and {length / self.rate:g} s",
                found=f"{start:g} to {stop:g} s",
                remedy="choose another",
            )
        gaps = None if self.gaps is None else self.gaps[:, first:last]
        if gaps is not None and gaps.all(axis=1).any():
            raise SampleError(
                expected="values of every channel",
                found=f"a gap from {start:g} to {stop:g} s",
                remedy="choose another stretch or other channels",
            )
        began = self.start
        if isinstance(began, datetime):
            began += timedelta(seconds=first / self.rate)
        elif began is not None:
            day = datetime.combine(date.min, began) + timedelta(seconds=first / self.rate)
            began = day.time()
        return replace(
            self,
            data=np.ascontiguousarray(self.data[:, first:last]),
            gaps=gaps,
            annotations=tuple(
                mark._replace(time=mark.time - first / self.rate)
                for mark in self.annotations
                if first <= mark.time * self.rate < last
            ),
            start=began,
        )

    def select(self, names: Sequence[str]) -> Signal:
        """Takes the channels of these names, in this order.

        Args:
            names: in upper or lower case, or numbers from 1 up.

        Raises:
            SampleError: a name is not among the signal's, which the error lists.
        """
        return self.at(places(self.names, names))

    def at(self, channels: Sequence[int]) -> Signal:
        """Takes the channels of these numbers, from 0 up, in this order."""
        chosen = list(channels)
        return replace(
            self,
            data=self.data[chosen],
            names=tuple(self.names[i] for i in chosen),
            units=tuple(self.units[i] for i in chosen),
            gaps=None if self.gaps is None else self.gaps[chosen],
            source=self.source.select(chosen) if self.source else None,
        )

    def mixed(self) -> Signal:
        """Mixes all channels down to one, their mean, as sounds are mixed to mono."""
        return replace(
            self,
            data=self.data.mean(axis=0, keepdims=True),
            names=("mixed",),
            units=self.units[:1],
            gaps=None if self.gaps is None else np.asarray(self.gaps.any(axis=0))[None],
            source=None,
        )

    def in_units(self, units: str) -> Signal:
        """Brings all channels to one unit.

        Args:
            units: V, mV, uV or nV, or the unit that all channels have.

        Raises:
            SampleError: a channel's unit cannot become that.
        """
        factors = []
        for name, unit in zip(self.names, self.units, strict=True):
            if unit != units and not {unit, units} <= _VOLTS.keys():
                raise SampleError(
                    expected=f"a unit that can become {units!r} (V, mV, uV and nV can each other)",
                    found=f"{unit!r} of the channel {name!r}",
                    remedy="choose other channels, or correct the unit",
                )
            factors.append(1.0 if unit == units else _VOLTS[unit] / _VOLTS[units])
        data = self.data * np.array(factors, np.float32)[:, None]
        source = self.source.scaled(factors) if self.source else None
        return replace(self, data=data, units=(units,) * len(self.units), source=source)

    def _at(self, data: Float32[np.ndarray, "channel time"], rate: float) -> Signal:
        """Returns the signal with values at another rate, and its gaps where they were."""
        gaps = self.gaps
        if gaps is not None:
            nearest = np.arange(data.shape[1]) * (self.rate / rate) + 0.5
            gaps = gaps[:, np.minimum(nearest.astype(np.int64), gaps.shape[1] - 1)]
            if np.all(gaps, axis=1).any():
                raise SampleError(
                    expected="a rate at which every channel keeps a value",
                    found=f"{rate:g} Hz, where one is all gaps",
                    remedy="choose a higher rate",
                )
            fill_gaps(data, gaps)
        return replace(self, data=data, rate=rate, gaps=gaps)


def with_positions(values: Float64[np.ndarray, " time"], count: int) -> np.ndarray:
    """Resamples one period of a periodic signal to so many positions, by its Fourier series.

    As scipy.signal does, whose import takes 0.5 s.
    """
    shared = min(len(values), count)
    series = np.zeros(count // 2 + 1, complex)
    series[: shared // 2 + 1] = np.fft.rfft(values)[: shared // 2 + 1]
    if shared % 2 == 0:  # the shared one's highest frequency stands for two of the longer one
        series[shared // 2] *= 2 if count < len(values) else 0.5 if count > len(values) else 1
    return np.asarray(np.fft.irfft(series, count) * (count / len(values)))


def place(names: Sequence[str], wanted: str) -> int | None:
    """Finds a name among others.

    Example:
        >>> place(["I", "II"], "ii"), place(["I", "II"], "1"), place(["I", "II"], "V5")
        (1, 0, None)

    Args:
        names: the others.
        wanted: a name, in upper or lower case, or a number from 1 up.

    Returns:
        Its place from 0, None where it is not among them.
    """
    own = [_key(name) for name in names]
    if (key := _key(wanted)) in own:
        return own.index(key)
    if key.isdecimal() and 1 <= int(key) <= len(own):
        return int(key) - 1
    return None


def places(names: Sequence[str], wanted: Sequence[str] | None) -> list[int]:
    """Finds several names among others, as `place` does.

    Example:
        >>> places(["I", "II", "V5"], ["v5", "1"])
        [2, 0]

    Args:
        names: the others.
        wanted: the names to find; None for all.

    Raises:
        SampleError: one is not among them, or stands there twice; the error lists those that are.
    """
    if wanted is None:
        return list(range(len(names)))
    indices = [place(names, name) for name in wanted]
    missing = [name for name, index in zip(wanted, indices, strict=True) if index is None]
    for name in wanted:
        alike = [i for i, own in enumerate(names, start=1) if _key(own) == _key(name)]
        if len(alike) > 1:
            raise SampleError(
                expected=f"one channel named {name}",
                found=f"{len(alike)}, numbers {' and '.join(map(str, alike))}",
                remedy="name them by their numbers",
            )
    if missing or not wanted:
        raise SampleError(
            expected=f"some of the channels {', '.join(names)}, or their numbers from 1 up",
            found=", ".join(missing) or "none",
            remedy="choose among those",
        )
    return [index for index in indices if index is not None]


def _key(name: str) -> str:
    return name.strip().casefold()


def with_recipe(lines: Sequence[str], recipe: str | None) -> Iterator[str]:
    """Gives lines of comment, and a recipe in the place of an earlier one.

    Example:
        >>> list(with_recipe(["by hand", "impasto: old"], "new"))
        ['by hand', 'impasto: new']
    """
    yield from (line for line in lines if not line.startswith(_RECIPE))
    if recipe is not None:
        yield _RECIPE + " ".join(recipe.split())
