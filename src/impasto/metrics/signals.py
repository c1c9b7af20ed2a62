"""The metrics of a stylized signal, lead by lead."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
from jaxtyping import Float64

from impasto.errors import SampleError
from impasto.kinds.fitted import with_units
from impasto.linear.signals import equalized
from impasto.media.signals.beats import SLOWEST_RATE, r_peaks
from impasto.media.signals.leads import Lead, is_audio, lead, matched
from impasto.media.signals.signal import Signal
from impasto.metrics import Comparison, Row
from impasto.metrics.beats import beat_agreement
from impasto.metrics.series import (
    amplitude_distance,
    autocorrelation_distance,
    burst_distance,
    kurtosis_distance,
    log_spectral_distance,
)
from impasto.metrics.sounds import onsets_kept, pitch_kept, texture_distance

LAG = 2.0
"""The longest lag of the autocorrelation in seconds: at least one heartbeat."""

AUDIO_LAG = 0.05
"""The longest lag for sounds, in seconds: one period of 20 Hz."""

LOWEST = 1.0
"""The lowest frequency of the bands of bursts, in Hz."""

AUDIO_LOWEST = 62.5
"""That for sounds."""

Distance = Callable[[Lead, Lead], float]

Values = tuple[float, float, float, float]
"""A metric of the result, of the content in its place (no-op), between halves of the style (floor),
and of the content through one filter."""


def compare_signals(out: Signal, content: Signal, style: Signal) -> Comparison:
    """Measures what is kept of the content, and the distances of `metrics.series`.

    `leads.matched` pairs the leads. A metric is the mean over the leads for which it is defined.
    Kept are the onsets and the pitch of sounds, and the R peaks of leads in mV or without a unit.
    Amplitudes are compared if both leads have the same unit, with one row for each unit. Two sounds
    have the distance of their textures, too.

    Raises:
        MissingExtraError: scipy or wfdb is not installed.
    """
    baseline = _baseline(content, style)
    if is_audio(content):
        kept = _heard(out, content, baseline)
    else:
        kept = {"R-peak F1": _beats(out, content, baseline)}
    rows = [
        Row(metric, "", "content", "higher", *_means(values))
        for metric, values in kept.items()
        if values
    ]
    lag, lowest = (AUDIO_LAG, AUDIO_LOWEST) if is_audio(style) else (LAG, LOWEST)
    measures = _distances(lag, lowest)
    if is_audio(content) and is_audio(style):
        measures.append(("texture distance", "", _textural))
    no_ops, filtered = (
        {channel: lead(each, place) for place, channel in matched(each, style)} if each else {}
        for each in (content, baseline)
    )
    names: list[tuple[str, str]] = []
    distances: dict[tuple[str, str], list[Values]] = {}
    for place, channel in matched(out, style):
        result, target = lead(out, place), lead(style, channel)
        middle = len(target.values) // 2
        halves = lead(style, channel, 0, middle), lead(style, channel, middle)
        others = no_ops.get(channel), filtered.get(channel)
        names.append((result.name, target.name))
        for metric, unit, distance in measures:
            no_op, linear = (distance(each, target) if each else np.nan for each in others)
            values = distance(result, target), no_op, distance(*halves), linear
            distances.setdefault((metric, target.unit if unit is None else unit), []).append(values)
    rows += [
        Row(metric, unit, "style", "lower", *_means(values))
        for (metric, unit), values in distances.items()
    ]
    return Comparison(tuple(names), tuple(rows))


def _baseline(content: Signal, style: Signal) -> Signal | None:
    """Filters the content for the style's spectrum; None where its leads cannot have one."""
    pairs = matched(content, style)
    ours = content.at([place for place, _ in pairs])
    theirs = style.at([channel for _, channel in pairs])
    try:
        theirs = with_units(theirs, ours.units).resampled(content.rate)
        return equalized(ours, [theirs], [1.0]) if pairs else None
    except SampleError:
        return None


def _beats(out: Signal, content: Signal, baseline: Signal | None) -> list[Values]:
    """Returns the F1 of each lead in whose content beats are detected."""
    if min(out.rate, content.rate) < SLOWEST_RATE:
        return []
    found: list[Values] = []
    filtered = {channel: place for place, channel in matched(baseline, content)} if baseline else {}
    for place, channel in matched(out, content):
        reference = lead(content, channel)
        if reference.unit not in ("mV", ""):
            continue
        beats = r_peaks(reference.values, reference.rate)
        if len(beats):
            at = filtered.get(channel)
            linear = np.nan if baseline is None or at is None else _f1(baseline, at, beats)
            found.append((_f1(out, place, beats), 1.0, np.nan, linear))
    return found


def _heard(out: Signal, content: Signal, baseline: Signal | None) -> dict[str, list[Values]]:
    """Returns how much of the onsets and of the pitch each channel keeps."""
    found: dict[str, list[Values]] = {}
    filtered = {channel: place for place, channel in matched(baseline, content)} if baseline else {}
    for place, channel in matched(out, content):
        own, result, at = lead(content, channel), lead(out, place), filtered.get(channel)
        linear = None if baseline is None or at is None else lead(baseline, at)
        for metric, kept in (("onset F1", onsets_kept), ("pitch kept", pitch_kept)):
            one, no_op, other = (
                kept(each.values, own.values, (each.rate, own.rate)) if each else np.nan
                for each in (result, own, linear)
            )
            found.setdefault(metric, []).append((one, no_op, np.nan, other))
    return found


def _textural(one: Lead, other: Lead) -> float:
    return texture_distance(one.values, other.values, (one.rate, other.rate))


def _f1(signal: Signal, channel: int, beats: Float64[np.ndarray, " beat"]) -> float:
    found = lead(signal, channel)
    return beat_agreement(r_peaks(found.values, found.rate), beats).f1


def _distances(lag: float, lowest: float) -> list[tuple[str, str | None, Distance]]:
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

    def bursting(one: Lead, other: Lead) -> float:
        return burst_distance(one.values, other.values, (one.rate, other.rate), lowest)

    return [
        ("log-spectral distance", "dB", spectral),
        ("burst distance", "dB", bursting),
        ("autocorrelation distance", "", periodic),
        ("amplitude distance", None, amplitude),
        ("kurtosis difference", "", peaked),
    ]


def _means(values: Sequence[Values]) -> Values:
    """Averages each column over the leads that have a finite value."""
    columns = [
        [value for value in column if np.isfinite(value)] for column in zip(*values, strict=True)
    ]
    one, no_op, floor, linear = (float(np.mean(c)) if c else np.nan for c in columns)
    return one, no_op, floor, linear
