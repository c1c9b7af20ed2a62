"""What recorders do to an ECG: filters, wander, the noise of muscles and mains, rounding."""

from __future__ import annotations

from dataclasses import astuple, dataclass, fields

import numpy as np
from jaxtyping import Float64

MARGIN = 2.0
"""Seconds on either side that are cut away afterwards: filters by Fourier's transform go round."""


@dataclass(frozen=True)
class Recorder:
    """What was done, all of it logarithms to the base 2: the cutoffs in Hz, the rest over the
    deviation of the clean ECG.

    Attributes:
        high_pass: the frequency below which little passes.
        low_pass: that above which little passes.
        mains: the amplitude of the hum.
        noise: the deviation of the noise of muscles and electronics.
        color: the slope of its power over frequency.
        bursts: how much its level changes.
        wander: the deviation of the baseline's wander.
    """

    high_pass: float
    low_pass: float
    mains: float
    noise: float
    color: float
    bursts: float
    wander: float

    @classmethod
    def drawn(cls, random: np.random.Generator, rate: float) -> Recorder:
        """Draws a recorder for signals of so many positions per second."""
        highest = np.log2(0.45 * rate)
        return cls(
            high_pass=random.uniform(np.log2(0.02), np.log2(1.5)),
            low_pass=min(random.uniform(np.log2(15), np.log2(300)), highest),
            mains=random.uniform(-9, -1) if random.random() < 0.6 else -9.0,
            noise=random.uniform(-8, 0.5),
            color=random.uniform(-2, 0.5),
            bursts=random.uniform(-3, 0.7),
            wander=random.uniform(-6, 1.5),
        )

    @property
    def target(self) -> Float64[np.ndarray, " part"]:
        """The numbers that a network learns, each with about a mean of 0 and a deviation of 1."""
        return np.asarray((np.array(astuple(self)) - CENTER) / SPREAD)


PARTS = tuple(part.name for part in fields(Recorder))

CENTER = np.array([-2.5, 6.0, -6.5, -3.7, -0.75, -1.2, -2.2])
SPREAD = np.array([1.8, 1.2, 2.6, 2.4, 0.7, 1.1, 2.2])


def recorded(
    random: np.random.Generator, clean: Float64[np.ndarray, " time"], rate: float, it: Recorder
) -> Float64[np.ndarray, " time"]:
    """Returns the ECG as that recorder gives it, in mV; its ends go round."""
    count = len(clean)
    level = clean.std()
    frequencies = np.fft.rfftfreq(count, 1 / rate)
    burst = 2 ** (2**it.bursts * _noise(random, frequencies, count, 1.0, -1.0))
    noise = burst * _noise(random, frequencies, count, rate, it.color)
    noise *= 2**it.noise / noise.std()
    slow = _noise(random, frequencies, count, random.uniform(0.2, 0.7), -1.0)
    times = np.arange(count) / rate
    hum = 2**it.mains * _hum(random, times, burst)
    x = clean + level * (noise + 2**it.wander * slow + hum)
    low, high = 2**it.high_pass, 2**it.low_pass
    order = random.integers(1, 5)
    response = 1 / np.sqrt(1 + (frequencies / high) ** (2 * order))
    if random.random() < 0.5:  # as an amplifier's capacitor does; else without a shift of phase
        response = response * (1j * frequencies) / (1j * frequencies + low)
    else:
        response = response / np.sqrt(1 + (low / np.maximum(frequencies, 1e-9)) ** 4)
    x = np.fft.irfft(np.fft.rfft(x) * response, count)
    x = x + level * 2 ** random.uniform(-11, -6) * random.standard_normal(count)
    quantum = random.choice([0.001, 0.005, 0.012])
    return np.asarray(np.round(x / quantum) * quantum)


def _noise(
    random: np.random.Generator,
    frequencies: Float64[np.ndarray, " frequency"],
    count: int,
    highest: float,
    slope: float,
) -> Float64[np.ndarray, " time"]:
    """Noise of unit deviation up to a frequency; its power is a power of the frequency."""
    power = np.maximum(frequencies, 0.2) ** (slope / 2) * (frequencies < highest)
    power[0] = 0
    phases = random.standard_normal((2, len(frequencies)))
    found = np.fft.irfft(power * (phases[0] + 1j * phases[1]), count)
    return np.asarray(found / max(found.std(), 1e-9))


def _hum(
    random: np.random.Generator,
    times: Float64[np.ndarray, " time"],
    burst: Float64[np.ndarray, " time"],
) -> Float64[np.ndarray, " time"]:
    """The mains of 50 or 60 Hz, with a third harmonic; sometimes as uneven as the noise."""
    mains = random.choice([50.0, 60.0]) + 0.02 * random.standard_normal()
    found = np.sin(2 * np.pi * mains * times + random.uniform(0, 6.3))
    found += random.uniform(0, 0.4) * np.sin(6 * np.pi * mains * times + random.uniform(0, 6.3))
    return np.asarray(found * (burst if random.random() < 0.3 else 1.0))
