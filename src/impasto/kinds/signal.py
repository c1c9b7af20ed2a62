"""Signals: leads, spans, rates and units, and sounds as spectrograms."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import ClassVar

import numpy as np

from impasto.config.config import Config
from impasto.errors import SampleError, about
from impasto.kinds.guidance import evenly, guides_of, refuse_guidance
from impasto.kinds.kind import Kind, Prepared, check_channels, refuse_air, refuse_colors
from impasto.kinds.spectrograms import Spectrogram, spectrograms
from impasto.kinds.units import Units
from impasto.media.blocks import New
from impasto.media.sample import Sample
from impasto.media.signals.leads import is_audio, matched
from impasto.media.signals.signal import Signal
from impasto.networks.stage import Network, Terms

logger = logging.getLogger(__name__)

CLIPPED = 0.05
"""Share of the positions that a lead may be at its least or its largest value."""


def part(signal: Signal, leads: Sequence[str], span: Sequence[float]) -> Signal:
    """The leads of these names, from and to these seconds; all where none are given.

    Leads that are flat there, or look clipped, are logged.
    Raises SampleError when there is no such lead or stretch.
    """
    if leads:
        signal = signal.select(leads)
    if span:
        signal = signal.stretch(*span)
    for name, values in zip(signal.names, signal.data, strict=True):
        ends = values.min(), values.max()
        if ends[0] == ends[1]:
            logger.info("lead %s is flat throughout", name or "without a name")
        elif (share := max((values == end).mean() for end in ends)) > CLIPPED:
            logger.info(
                "lead %s may be clipped: it is at its limit %.0f %% of the time",
                name or "without a name",
                100 * share,
            )
    return signal


def alike(style: Signal, content: Signal) -> Signal:
    """A style with the content's leads, units and rate; what that changes is logged.

    Raises SampleError when leads or units do not go together.
    """
    style = _with_leads(style, content)
    if style.units != content.units:
        style = _with_units(style, content.units)
    if style.rate != content.rate:
        logger.info(
            "style resampled from %g to %g Hz, the content's rate", style.rate, content.rate
        )
        style = style.resampled(content.rate)
    return style


def check_varies(style: Signal) -> None:
    """Raises SampleError for a flat lead: its spectrum and the like are those of nothing."""
    if flat := style.flat_channels:
        raise SampleError(
            expected="leads that vary, for --autocorrelation, --spectrum and --amplitude",
            found=f"{', '.join(flat) or 'one'} flat throughout",
            remedy="leave it out with --leads, or choose another with --style-leads",
        )


@dataclass(frozen=True, eq=False)
class Fitted(Signal):
    """A signal as a network takes it.

    own: the same with the leads in their own order, in their own units and at their own rate.
    places: of each of those leads, from 0 up.
    """

    own: Signal | None = None
    places: tuple[int, ...] = ()

    def restored(self) -> Signal:
        """These values as those of its own leads, units and rate, with their metadata."""
        assert self.own is not None
        back = _with_units(replace(self, gaps=None).at(self.places), self.own.units)
        data = back.resampled(self.own.rate).data
        within = np.minimum(np.arange(self.own.space[0]), data.shape[1] - 1)
        return self.own.with_data(data[:, within])


def fit_signals(content: Signal, styles: Sequence[Sample], network: Network) -> list[Signal]:
    """A content and styles like it with the leads, the units and the rate that a network takes;
    what that changes is logged.

    Raises SampleError where a lead is missing or a unit does not go with the network's.
    """
    with about("content"):
        leads = _leads(content, network)
        signals = [sample for sample in (content, *styles) if isinstance(sample, Signal)]
        taken = [_fit(signal, leads, network) for signal in signals]
    _tell(content, leads, network)
    return taken


def _leads(content: Signal, network: Network) -> list[int]:
    """The numbers of the leads that a network takes, in its order."""
    wanted = [name.strip().casefold() for name in network.terms.names]
    own = [name.strip().casefold() for name in content.names]
    if not wanted or (len(own) == len(wanted) and not set(own) & set(wanted)):
        return list(range(len(own)))
    missing = [name for name in network.terms.names if name.strip().casefold() not in own]
    if missing:
        raise SampleError(
            expected=f"the leads of {network.name}: {', '.join(network.terms.names)}",
            found=f"no {', '.join(missing)} among {', '.join(content.names)}",
            remedy="choose a recording that has them",
        )
    return [own.index(name) for name in wanted]


def _fit(signal: Signal, leads: Sequence[int], network: Network) -> Signal:
    terms = network.terms
    found = signal.at(leads)
    if terms.units:
        found = _with_units(found, [terms.units] * len(leads))
    found = found.resampled(terms.rate or found.rate)
    inside = sorted(leads)
    return Fitted(
        found.data,
        found.value_range,
        rate=found.rate,
        names=found.names,
        units=found.units,
        gaps=found.gaps,
        own=signal.at(inside),
        places=tuple(leads.index(lead) for lead in inside),
    )


def _tell(content: Signal, leads: Sequence[int], network: Network) -> None:
    names, terms = network.terms.names, network.terms
    if names and (list(leads) != list(range(len(content.names))) or names != content.names):
        taken = ", ".join(content.names[lead] for lead in leads)
        logger.info("%s is given %s as its %s", network.name, taken, ", ".join(names))
    if terms.units and set(content.units) != {terms.units}:
        logger.info("%s is given values in %s", network.name, terms.units)
    if terms.rate and terms.rate != content.rate:
        logger.info(
            "%s is given signals resampled from %g to %g Hz; the result comes back at %g Hz",
            *(network.name, content.rate, terms.rate, content.rate),
        )


def _with_leads(style: Signal, content: Signal) -> Signal:
    names = ", ".join
    if is_audio(content) and len(style.data) == 1 < len(content.data):
        logger.info("style has one channel, which serves all of the content's")
        return style.at([0] * len(content.data))
    pairs = matched(content, style)
    if len(pairs) < len(content.data):
        raise SampleError(
            expected=f"the content's leads {names(content.names)}",
            found=names(style.names),
            remedy="choose some of the content's with --leads and theirs with --style-leads",
        )
    chosen = [index for _, index in pairs]
    if chosen != list(range(len(style.data))):
        style = style.at(chosen)
    if style.names != content.names:
        logger.info("lead %s of the style goes with %s", names(style.names), names(content.names))
    return style


def _with_units(signal: Signal, units: Sequence[str]) -> Signal:
    """Each channel in its own of the units; an unknown one is taken for the other."""
    data = []
    for channel, unit in enumerate(units):
        own = replace(
            signal,
            data=signal.data[channel : channel + 1],
            names=signal.names[channel : channel + 1],
            units=signal.units[channel : channel + 1],
            gaps=None,
            source=None,
        )
        if unit and own.units[0]:
            own = own.in_units(unit)
        else:
            logger.info("the unit of %s is not known for both: taken to be the same", own.names[0])
        data.append(own.data)
    return replace(signal, data=np.concatenate(data), units=tuple(units), source=None)


class SignalKind(Kind):
    """ECGs and other recordings, and sounds."""

    name: ClassVar[str] = "signal"

    def part(self, sample: Sample, leads: Sequence[str], span: Sequence[float]) -> Sample:
        """The leads of these names, from and to these seconds."""
        assert isinstance(sample, Signal)
        return part(sample, leads, span)

    def bring(self, style: Sample, content: Sample, config: Config) -> Sample:
        """With the content's leads, units and rate."""
        if not isinstance(style, Signal) or not isinstance(content, Signal):
            return style
        settings = config.signal
        brought = alike(part(style, settings.style_leads, settings.style_span), content)
        if config.objective.statistics:
            check_varies(brought)
        return brought

    def prepare(
        self,
        content: Sample,
        styles: Sequence[Sample],
        shares: Sequence[float],
        config: Config,
        new: New,
    ) -> Prepared:
        """As they are, or as spectrograms."""
        refuse_air(content, config)
        refuse_guidance(content, config.guidance)
        refuse_colors(config)
        seen, *brought = content, *styles
        if config.signal.representation == "spectrogram":
            seen, *brought = spectrograms([content, *styles])
        guides = evenly(guides_of(shares), config.guidance)
        return Prepared(content, seen, brought, guides)

    def fit(
        self, content: Sample, styles: Sequence[Sample], network: Network
    ) -> tuple[Sample, list[Sample]]:
        """With the leads, the units and the rate that the network takes, where it says so."""
        brought = list(styles)
        if isinstance(content, Signal) and network.terms != Terms():
            content, *brought = list[Sample](fit_signals(content, styles, network))
        check_channels(content, network)
        return content, brought

    def in_units(self, network: Network, units: Units) -> Network:
        """The network as it sees G, where it expects mV, say."""
        if network.terms.units is None or not isinstance(units.content, Signal):
            return network
        return network.taking(units.low, units.span)

    def rate(self, content: Sample) -> float:
        """Its sampling rate; of a spectrogram, whose positions are frames, that of arrays."""
        return content.rate if isinstance(content, Signal) else super().rate(content)

    def start(self, init: Sample, content: Sample) -> Sample:
        """With the content's leads, units and rate."""
        if isinstance(init, Signal) and isinstance(content, Signal):
            return alike(init, content)
        return init

    def restore(self, result: Sample, given: Sample, config: Config, new: New) -> Sample:
        """A sound of the spectrogram; the leads, units and rate of the content."""
        sound = result.invert() if isinstance(result, Spectrogram) else result
        return sound.restored() if isinstance(sound, Fitted) else sound

    def stretch(self, sample: Sample, span: Sequence[float]) -> Sample:
        """From and to these seconds."""
        if not isinstance(sample, Signal) or len(span) != 2:
            return super().stretch(sample, span)
        return sample.stretch(*span)
