"""The metrics of a stylized signal, lead by lead."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from impasto.media.signals.leads import Lead, is_audio, lead, matched
from impasto.media.signals.signal import Signal
from impasto.metrics import Comparison, Row
from impasto.metrics.beats import SLOWEST_RATE, beat_agreement, r_peaks
from impasto.metrics.series import (
    amplitude_distance,
    autocorrelation_distance,
    kurtosis_distance,
    log_spectral_distance,
)

LAG = 2.0
"""The longest lag of the autocorrelation in seconds: at least one heartbeat."""

AUDIO_LAG = 0.05
"""The longest lag for sounds, in seconds: one period of 20 Hz."""

Triple = tuple[float, float, float]
"""A metric of the result, of the content in its place (no-op), and between halves of the style
(floor)."""


def compare_signals(out: Signal, content: Signal, style: Signal) -> Comparison:
    """Measures the F1 of R peaks against the content, and the distances of `metrics.series`.

    `leads.matched` pairs the leads. A metric is the mean over the leads for which it is defined.
    Beats are detected in leads in mV or without a unit, but not in sounds. Amplitudes are compared
    if both leads have the same unit, with one row for each unit.

    Raises:
        MissingExtraError: scipy or wfdb is not installed.
    """
    beats = _beats(out, content)
    rows = [Row("R-peak F1", "", "content", "higher", *_means(beats))] if beats else []
    lag = AUDIO_LAG if is_audio(style) else LAG
    no_ops = {channel: place for place, channel in matched(content, style)}
    names: list[tuple[str, str]] = []
    distances: dict[tuple[str, str], list[Triple]] = {}
    for place, channel in matched(out, style):
        result, target = lead(out, place), lead(style, channel)
        no_op = lead(content, no_ops[channel]) if channel in no_ops else None
        middle = len(target.values) // 2
        halves = lead(style, channel, 0, middle), lead(style, channel, middle)
        names.append((result.name, target.name))
        for metric, unit, distance in _distances(lag):
            triple = (
                distance(result, target),
                distance(no_op, target) if no_op else np.nan,
                distance(*halves),
            )
            distances.setdefault((metric, target.unit if unit is None else unit), []).append(triple)
    rows += [
        Row(metric, unit, "style", "lower", *_means(triples))
        for (metric, unit), triples in distances.items()
    ]
    return Comparison(tuple(names), tuple(rows))


def _beats(out: Signal, content: Signal) -> list[Triple]:
    """Returns the F1 of each lead in whose content beats are detected."""
    if is_audio(content) or min(out.rate, content.rate) < SLOWEST_RATE:
        return []
    triples: list[Triple] = []
    for place, channel in matched(out, content):
        reference = lead(content, channel)
        if reference.unit not in ("mV", ""):
            continue
        beats = r_peaks(reference.values, reference.rate)
        if len(beats):
            detected = r_peaks(lead(out, place).values, out.rate)
            triples.append((beat_agreement(detected, beats).f1, 1.0, np.nan))
    return triples


def _distances(lag: float) -> list[tuple[str, str | None, Callable[[Lead, Lead], float]]]:
    """Lists the name, the unit and the function of each distance to the style.

    The unit None stands for the unit of the values.
    """

    def spectral(one: Lead, other: Lead) -> float:
        return log_spectral_distance(one.values, other.values, (one.rate, other.rate))

    def periodic(one: Lead, other: Lead) -> float:
        return autocorrelation_distance(one.values, other.values, (one.rate, other.rate), lag)

    def amplitude(one: Lead, other: Lead) -> float:
        return amplitude_distance(one.values, other.values) if one.unit == other.unit else np.nan

    def peaked(one: Lead, other: Lead) -> float:
        return kurtosis_distance(one.values, other.values)

    return [
        ("log-spectral distance", "dB", spectral),
        ("autocorrelation distance", "", periodic),
        ("amplitude distance", None, amplitude),
        ("kurtosis difference", "", peaked),
    ]


def _means(triples: Sequence[Triple]) -> Triple:
    """Averages each column over the leads that have a finite value."""
    columns = [
        [value for value in column if np.isfinite(value)] for column in zip(*triples, strict=True)
    ]
    one, no_op, floor = (float(np.mean(column)) if column else np.nan for column in columns)
    return one, no_op, floor
