"""What is taken of the signals of a run, and how the styles are brought to the content's terms."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from impasto.errors import SampleError
from impasto.leads import is_audio, matched
from impasto.media.signal import Signal

logger = logging.getLogger(__name__)


def part(signal: Signal, leads: Sequence[str], span: Sequence[float]) -> Signal:
    """The leads of these names, from and to these seconds; all where none are given.

    Raises SampleError when there is no such lead or stretch.
    """
    if leads:
        signal = signal.select(leads)
    return signal.stretch(*span) if span else signal


def alike(style: Signal, content: Signal) -> Signal:
    """A style with the content's leads, units and rate; what that changes is logged.

    Raises SampleError when leads or units do not go together.
    """
    style = _with_leads(style, content)
    if style.units != content.units:
        style = _with_units(style, content)
    if style.rate != content.rate:
        logger.info(
            "style resampled from %g to %g Hz, the content's rate", style.rate, content.rate
        )
        style = style.resampled(content.rate)
    return style


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


def _with_units(style: Signal, content: Signal) -> Signal:
    """Each channel in the unit of the content's; unknown units are taken for the other's."""
    data, units = [], []
    for channel, unit in enumerate(content.units):
        own = replace(
            style,
            data=style.data[channel : channel + 1],
            names=style.names[channel : channel + 1],
            units=style.units[channel : channel + 1],
            gaps=None,
            source=None,
        )
        if unit and own.units[0]:
            own = own.in_units(unit)
        else:
            logger.info("the unit of %s is not known for both: taken to be the same", own.names[0])
        data.append(own.data)
        units.append(unit)
    return replace(style, data=np.concatenate(data), units=tuple(units), source=None)
