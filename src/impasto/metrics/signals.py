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
"""Seconds of autocorrelation that are compared: one heartbeat or more."""

AUDIO_LAG = 0.05
"""The same for sounds: a period of 20 Hz."""

Triple = tuple[float, float, float]
"""A metric of the result, of doing nothing, and of the style against itself."""


def compare_signals(out: Signal, content: Signal, style: Signal) -> Comparison:
    """R-peak F1 against the content's beats, and the distances of `metrics.series` to the style.

    Leads belong together as `leads.matched` says, and a metric is the mean over those that have
    it. Beats are looked for in voltages and in leads without a unit, not in sounds; amplitudes are
    compared where both have the same unit, in a row for each.
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
    """The F1 of each lead whose content may have beats."""
    if is_audio(content) or min(out.rate, content.rate) < SLOWEST_RATE:
        return []
    triples: list[Triple] = []
    for place, channel in matched(out, content):
        reference = lead(content, channel)
        if reference.unit not in ("mV", ""):
            continue
        beats = r_peaks(reference.values, reference.rate)
        if len(beats):
            found = r_peaks(lead(out, place).values, out.rate)
            triples.append((beat_agreement(found, beats).f1, 1.0, np.nan))
    return triples


def _distances(lag: float) -> list[tuple[str, str | None, Callable[[Lead, Lead], float]]]:
    """Name, unit (None: that of the values) and function of each distance to the style."""

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
    """The means over leads, each over those that have a value."""
    columns = [
        [value for value in column if np.isfinite(value)] for column in zip(*triples, strict=True)
    ]
    one, no_op, floor = (float(np.mean(column)) if column else np.nan for column in columns)
    return one, no_op, floor
