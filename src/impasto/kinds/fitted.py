"""Signals with the leads, the units and the rate that a network takes, and the way back."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from impasto.errors import SampleError, about
from impasto.media.sample import Sample
from impasto.media.signals.leads import is_unnamed, named_alike
from impasto.media.signals.signal import Signal
from impasto.networks.stage import Network

logger = logging.getLogger(__name__)


@dataclass(frozen=True, eq=False)
class Fitted(Signal):
    """A signal with the leads, the units and the rate that a network takes.

    Attributes:
        own: the signal before, with the leads that the network takes.
        places: for each lead of `own`, its index in this signal.
    """

    own: Signal | None = None
    places: tuple[int, ...] = ()

    def restored(self) -> Signal:
        """Converts these values back to the order, units, rate and metadata of `own`."""
        assert self.own is not None
        back = with_units(replace(self, gaps=None).at(self.places), self.own.units)
        data = back.resampled(self.own.rate).data
        within = np.minimum(np.arange(self.own.space[0]), data.shape[1] - 1)
        return self.own.with_data(data[:, within])


def fit_signals(content: Signal, styles: Sequence[Sample], network: Network) -> list[Signal]:
    """Gives signals the leads, units and rate that a network takes, and logs what changes.

    Args:
        content: the content.
        styles: styles with the content's leads, units and rate.
        network: the network.

    Returns:
        The content and then the styles.

    Raises:
        SampleError: a lead is missing, or a unit cannot be converted to the network's.
    """
    with about("content"):
        leads = _lead_indices(content, network)
        signals = [sample for sample in (content, *styles) if isinstance(sample, Signal)]
        fitted = [_fit(signal, leads, network) for signal in signals]
    _log_fit(content, leads, network)
    return fitted


def _lead_indices(content: Signal, network: Network) -> list[int]:
    """Returns the indices of the leads that a network takes, in its order."""
    wanted, own = network.terms.names, content.names
    found = dict(named_alike(wanted, own))
    nameless = all(map(is_unnamed, own)) or all(map(is_unnamed, wanted))
    if not wanted or (len(own) == len(wanted) and not found and nameless):
        return list(range(len(own)))
    if missing := [name for place, name in enumerate(wanted) if place not in found]:
        raise SampleError(
            expected=f"the leads of {network.name}: {', '.join(wanted)}",
            found=f"no {', '.join(missing)} among {', '.join(own)}",
            remedy="choose a recording that has them",
        )
    return [found[place] for place in range(len(wanted))]


def _fit(signal: Signal, leads: Sequence[int], network: Network) -> Signal:
    terms = network.terms
    selected = signal.at(leads)
    if terms.units:
        selected = with_units(selected, [terms.units] * len(leads))
    selected = selected.resampled(terms.rate or selected.rate)
    in_order = sorted(leads)
    return Fitted(
        selected.data,
        selected.value_range,
        rate=selected.rate,
        names=selected.names,
        units=selected.units,
        gaps=selected.gaps,
        own=signal.at(in_order),
        places=tuple(leads.index(lead) for lead in in_order),
    )


def _log_fit(content: Signal, leads: Sequence[int], network: Network) -> None:
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


def with_units(signal: Signal, units: Sequence[str]) -> Signal:
    """Converts each channel to the unit given for it.

    If one of the two units is unknown, they are taken to be the same.
    """
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
