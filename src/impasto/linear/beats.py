"""Beats of an ECG: the waves of a style's usual beat, at the places of the content's own waves.

A beat has seven knots: its start, the top of its P wave, the beginning, the middle and the end of
its QRS complex, the top of its T wave, and its end, halfway to the next P wave. Between the knots
time is stretched smoothly, and hardly within the QRS complex.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from jaxtyping import Bool, Float64, Int64

from impasto.media.signals.beats import SLOWEST_RATE, r_peaks
from impasto.system.libraries import library

FEWEST = 8
"""Beats without which there is no usual one."""

FASTEST = 4.0
"""Beats a second at most."""

LONGEST = 4_000_000
"""Positions of a recording, four hours at 250 Hz, above which finding beats would need more memory
than the run."""

MOST = 400
"""Beats that the usual one is the median of; of more, evenly spread ones."""

QRS = 0.07
"""Seconds from the middle of a QRS complex to either end."""

ALIKE = 0.8
"""The correlation of its QRS complex with the usual one, from which on a beat is usual."""

SHARE = 0.7
"""The share of the beats that are usual, below which there is no usual one."""

P_TOP, T_TOP = 0.16, 0.28
"""Seconds from the middle of a QRS complex to tops of P and T waves that cannot be told; that of T
grows with the root of the length of the beat in seconds."""

LARGEST = 0.32, 0.5
"""Seconds, at 60 beats a minute, up to which the tops of P and T waves are looked for."""

FAINT = 0.01
"""The height of a wave over that of the QRS complex, below which it has no top that can be told."""

JITTER = 0.05
"""Seconds by which the top of a wave may be elsewhere than in the usual beat."""

SMOOTH = 40.0
"""Hz up to which waves are those of the usual beat. Above it medians and stretched time are not
exact enough for quiet recordings; what is there belongs to the rest."""

Form = Callable[[Float64[np.ndarray, " time"]], Float64[np.ndarray, " time"]]


@dataclass(frozen=True, eq=False)
class Beats:
    """The beats of one lead.

    Attributes:
        rate: in Hz.
        places: for each beat the positions of its knots after the first, which is the last of the
            beat before.
        start: that of the first beat.
        usual: the beats that look like most.
        gains: the size of each usual beat over that of the median.
        form: the values of the median beat at positions from the middle of its QRS complex.
        knots: the positions of the knots of the median beat.
        size: the height of its QRS complex.
        has_p: whether it has a P wave.
    """

    rate: float
    places: Float64[np.ndarray, "beat 6"]
    start: float
    usual: Bool[np.ndarray, " beat"]
    gains: Float64[np.ndarray, " usual"]
    form: Form
    knots: Float64[np.ndarray, "7"]
    size: float
    has_p: bool

    def waves(self, x: Float64[np.ndarray, " time"], other: Beats) -> Float64[np.ndarray, " time"]:
        """Returns the waves of another recording's usual beat at the places of these.

        The sizes of the beats are distributed as the other's, in the order of these. Unusual beats
        keep their own form, as large as the other's are. Where these have no P wave none is added.
        The waves of a recording in its own form are its beats; what is left is its rest.

        Args:
            x: the values that these are the beats of.
            other: the beats to take the form of.
        """
        beat, place, inside = self._phases(len(x), other.knots)
        gains = np.ones(len(self.usual))
        ranks = self.gains.argsort().argsort() / max(1, len(self.gains) - 1)
        gains[self.usual] = np.quantile(other.gains, ranks)
        values = other.form(place)
        if other.has_p and not self.has_p:
            start, end = other.knots[[0, 2]]
            line = np.interp(place, [start, end], other.form(other.knots[[0, 2]]))
            values = np.where(place < end, line, values)
        own = np.where(inside, x - self._lines(x), 0.0) * (other.size / self.size)
        values = np.where(inside & self.usual[beat], gains[beat] * values, own)
        return _smooth(values, self.rate, SMOOTH)

    def _phases(
        self, length: int, knots: Float64[np.ndarray, "7"]
    ) -> tuple[Int64[np.ndarray, " time"], Float64[np.ndarray, " time"], Bool[np.ndarray, " time"]]:
        """For each position its beat, the place in one of those knots, and if it is in any."""
        interpolate = library("scipy.interpolate", "to find heartbeats", "signals")
        edges = np.concatenate([[self.start], self.places.ravel()])
        period = knots[-1] - knots[0]
        turns = period * np.arange(len(self.places))[:, None]
        phases = np.concatenate([knots[:1], (knots[1:] + turns).ravel()])
        times = np.arange(length).clip(edges[0], edges[-1])
        phase = interpolate.PchipInterpolator(edges, phases)(times)
        beat = ((phase - knots[0]) // period).astype(np.int64).clip(0, len(self.places) - 1)
        inside = (times > edges[0]) & (times < edges[-1])
        return beat, phase - beat * period, inside

    def _lines(self, x: Float64[np.ndarray, " time"]) -> Float64[np.ndarray, " time"]:
        """Lines from the end of each beat to the next."""
        ends = np.append(self.start, self.places[:, -1]).clip(0, len(x) - 1)
        times = np.arange(len(x))
        return np.asarray(np.interp(times, ends, np.interp(ends, times, x)))


def find(x: Float64[np.ndarray, " time"], rate: float) -> Beats | None:
    """Finds the beats of a lead and their usual form.

    Args:
        x: the values, without gaps.
        rate: in Hz.

    Returns:
        The beats; None where there are fewer than `FEWEST`, fewer than `SHARE` are usual, or the
        lead is longer than `LONGEST`.

    Raises:
        MissingExtraError: scipy or wfdb is not installed.

    Example:
        >>> times = np.arange(5000) / 250
        >>> x = np.exp(-(((times % 0.8 - 0.4) / 0.012) ** 2))
        >>> beats = find(x, 250.0)
        >>> float(np.abs(beats.waves(x, beats) - x).max()) < 0.1
        True
    """
    if rate < SLOWEST_RATE or not FEWEST / FASTEST * rate <= len(x) <= LONGEST:
        return None
    middles = r_peaks(x, rate) * rate
    if len(middles) < FEWEST:
        return None
    fast = x - _smooth(x, rate, 3.0)
    middles = _aligned(fast, middles, rate)
    reach = round(0.1 * rate)
    found = _around(fast, middles, -reach, reach + 1)
    median = np.median(found, 0)
    power = (median**2).sum()
    products = found @ median
    alike = products / np.sqrt((found**2).sum(1) * power + np.finfo(float).tiny)
    gains = products / max(power, np.finfo(float).tiny)
    usual = (alike > ALIKE) & (gains > 0.4) & (gains < 2)
    if usual.mean() < SHARE:
        return None
    lengths = np.diff(middles)
    period = float(np.median(lengths))
    first, last = -round(0.7 * period), round(0.9 * period)
    whole = middles[usual & (middles + first >= 0) & (middles + last < len(x))]
    if len(whole) < FEWEST / 2:
        return None
    whole = whole[np.linspace(0, len(whole) - 1, min(MOST, len(whole))).astype(int)]
    return _described(x, rate, middles, usual, gains, _around(x, whole, first, last), first)


def _described(
    x: Float64[np.ndarray, " time"],
    rate: float,
    middles: Float64[np.ndarray, " beat"],
    usual: Bool[np.ndarray, " beat"],
    gains: Float64[np.ndarray, " beat"],
    found: Float64[np.ndarray, "chosen place"],
    first: int,
) -> Beats:
    """The beats with their median, and the knots of each."""
    interpolate = library("scipy.interpolate", "to find heartbeats", "signals")
    around = np.arange(found.shape[1]) + first
    inner = np.abs(around) < 0.08 * rate
    median = np.median(found - np.median(found[:, inner], 1, keepdims=True), 0)
    size = float(np.ptp(median[np.abs(around) < 0.1 * rate]))
    period = float(np.median(np.diff(middles)))
    beat = np.sqrt(period / rate)
    qrs = QRS * rate
    own = [
        _top(median, around, low, high, FAINT * size)
        for low, high in (
            (-min(LARGEST[0] * beat * rate, 0.45 * period), -qrs),
            (1.4 * qrs, min(LARGEST[1] * beat * rate, 0.65 * period)),
        )
    ]
    p = own[0] or -P_TOP * rate
    t = own[1] or min(T_TOP * beat * rate, 0.65 * period)
    lengths = np.diff(middles, prepend=middles[0] - period, append=middles[-1] + period)
    p_tops = np.maximum(np.full(len(middles), p), -0.45 * lengths[:-1])
    t_tops = np.minimum(t * np.sqrt((lengths[1:] / period).clip(0.5, 2)), 0.65 * lengths[1:])
    low = _smooth(x, rate, 15.0)
    for tops, top in ((p_tops, own[0]), (t_tops, own[1])):
        if top is not None:
            tops += _moved(low, middles + tops, median, round(top) - first, round(JITTER * rate))
    p_tops, t_tops = np.minimum(p_tops, -1.3 * qrs), np.maximum(t_tops, 1.3 * qrs)
    following = np.append(lengths[1:-1] + p_tops[1:], period + p)
    ends = (t_tops + following) / 2
    places = np.stack(
        [p_tops, *(np.full(len(middles), z) for z in (-qrs, 0, qrs)), t_tops, ends], 1
    )
    places += middles[:, None]
    places = np.maximum.accumulate(places.ravel()) + 1e-3 * np.arange(places.size)
    end = (t + period + p) / 2
    knots = np.array([end - period, min(p, -1.3 * qrs), -qrs, 0.0, qrs, max(t, 1.3 * qrs), end])
    knots = np.maximum.accumulate(knots) + 1e-3 * np.arange(7)
    ends_at = knots[[0, 6]]
    line = np.interp(around, ends_at, np.interp(ends_at, around, median))
    return Beats(
        rate=rate,
        places=places.reshape(-1, 6),
        start=min(places[0] - 1, middles[0] + end - period),
        usual=usual,
        gains=gains[usual],
        form=interpolate.CubicSpline(around, median - line),
        knots=knots,
        size=size,
        has_p=own[0] is not None,
    )


def _aligned(
    fast: Float64[np.ndarray, " time"], middles: Float64[np.ndarray, " beat"], rate: float
) -> Float64[np.ndarray, " beat"]:
    """Moves beats so that they look alike, and then to the middle of the energy of their slope: of
    a complex of several peaks, detectors choose any."""
    reach, shifts = round(0.1 * rate), np.arange(-round(0.04 * rate), round(0.04 * rate) + 1)
    for _ in range(2):
        median = np.median(_around(fast, middles, -reach, reach + 1), 0)
        fits = [_around(fast, middles + shift, -reach, reach + 1) @ median for shift in shifts]
        moves = shifts[np.argmax(fits, 0)]
        middles = middles + moves - np.median(moves)
    reach = round(0.12 * rate)
    for _ in range(3):
        slope = np.gradient(np.median(_around(fast, middles, -reach, reach + 1), 0)) ** 2
        total = max(slope.sum(), np.finfo(float).tiny)
        middles = middles + (np.arange(-reach, reach + 1) * slope).sum() / total
    return middles


def _top(
    median: Float64[np.ndarray, " place"],
    around: Int64[np.ndarray, " place"],
    low: float,
    high: float,
    least: float,
) -> float | None:
    """The place of the most prominent top, up or down, between two places."""
    inside = np.flatnonzero((around >= low) & (around <= high))
    values = np.convolve(median, np.ones(5) / 5, "same")[inside]
    found: list[tuple[float, int]] = []
    signal = library("scipy.signal", "to find heartbeats", "signals")
    for sign in (1, -1):
        tops, told = signal.find_peaks(sign * values, prominence=least)
        found += zip(told["prominences"].tolist(), tops.tolist(), strict=True)
    return float(around[inside[max(found)[1]]]) if found else None


def _moved(
    low: Float64[np.ndarray, " time"],
    tops: Float64[np.ndarray, " beat"],
    median: Float64[np.ndarray, " place"],
    at: int,
    reach: int,
) -> Float64[np.ndarray, " beat"]:
    """How far the top of a wave is from where it was looked for; 0 where there is none nearby."""
    sign = np.sign(median[at] - np.median(median[max(0, at - 2 * reach) : at + 2 * reach]))
    found = sign * _around(low, tops, -2 * reach, 2 * reach + 1)
    found = found - np.linspace(found[:, 0], found[:, -1], found.shape[1], axis=1)
    best = found[:, reach : 3 * reach + 1].argmax(1) - reach
    return np.where(np.abs(best) == reach, 0, best).astype(np.float64)


def _around(
    x: Float64[np.ndarray, " time"], places: Float64[np.ndarray, " beat"], first: int, last: int
) -> Float64[np.ndarray, "beat place"]:
    """The values from `first` up to `last` around each place."""
    found: Any = np.interp(places[:, None] + np.arange(first, last), np.arange(len(x)), x)
    return np.asarray(found)


def _smooth(
    x: Float64[np.ndarray, " time"], rate: float, highest: float
) -> Float64[np.ndarray, " time"]:
    """The frequencies up to `highest`, without a shift."""
    if highest >= 0.45 * rate:
        return x
    signal = library("scipy.signal", "to find heartbeats", "signals")
    sections = signal.butter(4, highest, fs=rate, output="sos")
    return np.ascontiguousarray(signal.sosfiltfilt(sections, x))
