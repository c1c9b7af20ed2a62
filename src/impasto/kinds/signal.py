"""The kind of signals: leads, spans, rates and units, and spectrograms of sounds."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

from impasto.config.config import Config
from impasto.errors import ConfigError, SampleError
from impasto.kinds.cochleagrams import Cochleagram, cochleagrams
from impasto.kinds.fitted import Fitted, fit_signals, with_units
from impasto.kinds.guidance import apply_strength, guides_of, refuse_guidance
from impasto.kinds.kind import First, Kind, Prepared
from impasto.kinds.padding import LEAST, cropped, padded
from impasto.kinds.refusals import check_channels, refuse_air, refuse_colors
from impasto.kinds.spectrograms import Spectrogram, spectrograms
from impasto.kinds.units import Units
from impasto.linear.signals import (
    SHORTEST,
    coordinates,
    linear_signal,
    longest_stretch,
    with_spectrum,
)
from impasto.linear.spectrograms import linear_spectrogram
from impasto.media.blocks import New
from impasto.media.sample import Sample
from impasto.media.signals.leads import is_audio, is_unnamed, named_alike
from impasto.media.signals.signal import Signal, place
from impasto.networks.stage import Network, Terms
from impasto.optimizers.loop import Precondition

logger = logging.getLogger(__name__)

CLIPPED = 0.05
"""A lead looks clipped if more than this fraction of its positions is at its minimum or maximum."""


def part(signal: Signal, leads: Sequence[str], span: Sequence[float]) -> Signal:
    """Selects leads and seconds of a signal, and logs leads that are flat or look clipped.

    Args:
        signal: the signal.
        leads: names or numbers of leads; all if empty.
        span: the first and the last second; all if empty.

    Raises:
        SampleError: the signal does not have such a lead or these seconds.
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


def match_to_content(
    style: Signal, content: Signal, pairs: Sequence[str] = (), *, in_order: bool = False
) -> Signal:
    """Gives a style the content's leads, units and rate, and logs what changes.

    Args:
        style: the style.
        content: the content.
        pairs: which leads of the style go with which of the content, as in I=II; others go by name.
        in_order: the leads of the style are in the order of the content's, whatever their names.

    Raises:
        ConfigError: a pair is none.
        SampleError: the leads or units cannot be matched.
    """
    style = _with_leads(style, content, pairs, in_order)
    if style.units != content.units:
        style = with_units(style, content.units)
    if style.rate != content.rate:
        logger.info(
            "style resampled from %g to %g Hz, the content's rate", style.rate, content.rate
        )
        style = style.resampled(content.rate)
    return style


def check_varies(style: Signal) -> None:
    """Raises SampleError for a flat lead, whose spectrum and autocorrelation are undefined."""
    if flat := style.flat_channels:
        raise SampleError(
            expected="leads that vary, for --autocorrelation, --spectrum and --amplitude",
            found=f"{', '.join(flat) or 'one'} flat throughout",
            remedy="leave it out with --leads, or choose another with --style-leads",
        )


def _with_leads(style: Signal, content: Signal, pairs: Sequence[str], in_order: bool) -> Signal:
    """Gives a style the leads of the content, in their order."""
    count = len(content.data)
    if is_audio(content) and not pairs and len(style.data) != count:
        if len(style.data) == 1:
            logger.info(
                "the style has one channel, which is the style of all the content's channels"
            )
        elif is_audio(style):
            logger.info("the style's %d channels are mixed down to one", len(style.data))
            style = style.mixed()
        if len(style.data) == 1:
            return style.at([0] * count)
    chosen = _partners(style, content, pairs, in_order)
    if chosen != list(range(len(style.data))):
        style = style.at(chosen)
    if style.names != content.names:
        names = ", ".join
        logger.info("lead %s is the style of lead %s", names(style.names), names(content.names))
    return style


def _partners(style: Signal, content: Signal, pairs: Sequence[str], in_order: bool) -> list[int]:
    """Returns the channel of the style that goes with each lead of the content.

    By `pairs`; else by position, if the user has put them in order, or there is one of each, or
    names tell nothing; else by name.
    """
    count, own = len(content.data), len(style.data)
    given = dict(_pair(text, content, style) for text in pairs)
    if not given and ((in_order and own == count) or (own, count) == (1, 1)):
        return list(range(count))
    rest = [channel for channel in range(count) if channel not in given]
    left = [channel for channel in range(own) if channel not in given.values()]
    ours, theirs = [content.names[i] for i in rest], [style.names[i] for i in left]
    alike = named_alike(ours, theirs)
    nameless = all(map(is_unnamed, ours)) or all(map(is_unnamed, theirs))
    if not alike and nameless and len(left) >= len(rest):
        alike = [(place, place) for place in range(len(rest))]
    found = given | {rest[here]: left[there] for here, there in alike}
    if missing := [content.names[i] for i in range(count) if i not in found]:
        raise SampleError(
            expected=f"the content's leads {', '.join(content.names)}",
            found=f"{', '.join(style.names)}, none of which is named as {', '.join(missing)}",
            remedy=f"pair them, as in --pair {missing[0]}={style.names[0]}, or choose some with "
            "--leads and --style-leads",
        )
    return [found[channel] for channel in range(count)]


def _pair(text: str, content: Signal, style: Signal) -> tuple[int, int]:
    """Returns the channels of the content and of the style in a text such as I=II."""
    cuts = [cut for cut, letter in enumerate(text) if letter == "="]
    for cut in cuts:
        ours, theirs = place(content.names, text[:cut]), place(style.names, text[cut + 1 :])
        if ours is not None and theirs is not None:
            return ours, theirs
    raise ConfigError(
        subject="--pair",
        expected=f"a lead of the content ({', '.join(content.names)}), =, and one of the style "
        f"({', '.join(style.names)})",
        found=text,
        remedy="name one of each, or their numbers from 1 up",
    )


class SignalKind(Kind):
    """Sounds, ECGs and other recordings."""

    def part(self, sample: Sample, leads: Sequence[str], span: Sequence[float]) -> Sample:
        """Selects leads and seconds, as the function `part` does."""
        assert isinstance(sample, Signal)
        return part(sample, leads, span)

    def bring(self, style: Sample, content: Sample, config: Config) -> Sample:
        """Gives a style the content's leads, units and rate."""
        if not isinstance(style, Signal) or not isinstance(content, Signal):
            return style
        settings = config.signal
        selected = part(style, (), settings.style_span)
        matched_style = match_to_content(
            selected, content, settings.pair, in_order=bool(settings.style_leads)
        )
        if config.objective.statistics:
            check_varies(matched_style)
        return matched_style

    def settle(self, content: Sample, styles: Sequence[Sample], config: Config) -> Config:
        """Shortens the lag and the windows of statistics for signals of a few positions."""
        length = min(sample.space[0] for sample in (content, *styles))
        if length >= LEAST or not config.objective.statistics:
            return config
        half, objective = length // 2, config.objective
        seconds = half / self.rate(content)
        objective = replace(
            objective,
            lag=min(objective.lag, seconds or objective.lag),
            spectrum_window=min(objective.spectrum_window, seconds or objective.spectrum_window),
            autocorrelation=objective.autocorrelation if half >= 1 else 0.0,
            spectrum=objective.spectrum if half >= 4 else 0.0,
            amplitude=objective.amplitude if half >= 1 else 0.0,
        )
        logger.info(
            "for a signal of %d positions: --lag and --spectrum-window %.3g s, "
            "--autocorrelation %g, --spectrum %g, --amplitude %g",
            *(length, seconds, objective.autocorrelation, objective.spectrum, objective.amplitude),
        )
        return replace(config, objective=objective)

    def prepare(
        self,
        content: Sample,
        styles: Sequence[Sample],
        shares: Sequence[float],
        config: Config,
        new: New,
    ) -> Prepared:
        """Converts sounds to spectrograms or cochleagrams, if the settings ask for them."""
        refuse_air(content, config)
        refuse_guidance(content, config.guidance)
        refuse_colors(config)
        prepared, *prepared_styles = (padded(sample, config) for sample in (content, *styles))
        if config.signal.representation == "spectrogram":
            prepared, *prepared_styles = spectrograms([content, *styles])
        if config.signal.representation == "cochleagram":
            sounds = [content, *styles]
            prepared, *prepared_styles = cochleagrams(sounds, shares, config.amount)
        guides = apply_strength(guides_of(shares), config.guidance)
        return Prepared(content, prepared, prepared_styles, guides)

    def fit(
        self, content: Sample, styles: Sequence[Sample], network: Network
    ) -> tuple[Sample, list[Sample]]:
        """Gives the samples the leads, the units and the rate that the network asks for."""
        fitted_styles = list(styles)
        if isinstance(content, Signal) and network.terms != Terms():
            content, *fitted_styles = list[Sample](fit_signals(content, styles, network))
        check_channels(content, network)
        return content, fitted_styles

    def in_units(self, network: Network, units: Units) -> Network:
        """Returns the network for G in these units; it converts G to units such as mV if needed."""
        if network.terms.units is None or not isinstance(units.content, Signal):
            return network
        return network.taking(units.low, units.span)

    def rate(self, content: Sample) -> float:
        """Returns the sampling rate in Hz.

        A spectrogram has the nominal rate of arrays, because its positions are frames.
        """
        if isinstance(content, Signal | Cochleagram):
            return content.rate
        return super().rate(content)

    def start(self, init: Sample, content: Sample) -> Sample:
        """Gives a sample that G starts from the content's leads, units and rate."""
        if isinstance(init, Signal) and isinstance(content, Signal):
            return match_to_content(init, content)
        return init

    def first(self, content: Sample, styles: Sequence[Sample]) -> First:
        """Returns linear, if all are signals that are long enough."""
        signals = [sample for sample in (content, *styles) if isinstance(sample, Signal)]
        whole = len(signals) > len(styles) and longest_stretch(signals) >= SHORTEST
        return "linear" if whole else "content"

    def linear(
        self, content: Sample, styles: Sequence[Sample], shares: Sequence[float], amount: float
    ) -> Sample:
        """Brings a signal to the styles' spectrum and their power in bands over time."""
        if isinstance(content, Spectrogram | Cochleagram):
            data = [style.data for style in styles]
            return content.with_data(linear_spectrogram(content.data, data, shares, amount))
        signals = [style for style in styles if isinstance(style, Signal)]
        if not isinstance(content, Signal) or len(signals) < len(styles):
            return super().linear(content, styles, shares, amount)
        return linear_signal(content, signals, shares, amount)

    def finish(
        self,
        g: Sample,
        content: Sample,
        styles: Sequence[Sample],
        shares: Sequence[float],
        amount: float,
    ) -> Sample:
        """Gives a signal the spectrum that `linear` has given the content."""
        if not isinstance(g, Signal) or not isinstance(content, Signal):
            return g
        signals = [style for style in styles if isinstance(style, Signal)]
        return with_spectrum(g, content, signals, shares, amount)

    def coordinates(
        self, styles: Sequence[Sample], shares: Sequence[float], factor: float
    ) -> Precondition | None:
        """Makes steps as large at each frequency as the styles are loud there."""
        signals = [style for style in styles if isinstance(style, Signal)]
        return coordinates(signals, shares, signals[0].rate * factor) if signals else None

    def restore(self, result: Sample, given: Sample, config: Config, new: New) -> Sample:
        """Inverts what the settings made of a sound, and restores its leads, units and rate."""
        sound = result.invert() if isinstance(result, Spectrogram | Cochleagram) else result
        own = sound.restored() if isinstance(sound, Fitted) else sound
        return cropped(own, given, config)

    def stretch(self, sample: Sample, span: Sequence[float]) -> Sample:
        """Cuts a signal to the seconds from `span[0]` to `span[1]`."""
        if not isinstance(sample, Signal) or len(span) != 2:
            return super().stretch(sample, span)
        return sample.stretch(*span)
