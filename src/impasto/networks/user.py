"""Networks of the user's own, by `module:callable`."""

from __future__ import annotations

import math
import os
import sys
from collections.abc import Collection
from importlib import import_module

from torch import nn

from impasto.errors import ConfigError
from impasto.networks.stage import Network, Terms
from impasto.networks.traced import traced


def user_network(
    name: str, *, dims: int, channels: int, rate: float, wanted: Collection[str]
) -> Network:
    """What `module:callable` makes of the keywords dims, channels and rate, as a Network.

    The module is looked for in the current folder too. The callable gives a Network, or any
    nn.Module whose layers `traced` can take; wanted: those that are looked at. Of what it gives
    these attributes are taken, where it has them, for samples are brought to them:
    sampling_rate, in Hz; units, of its values ("mV"; "" for those of whatever sample); and
    channel_names, in the order of its channels. Without units the sample comes with values in
    [0, 1], or with its mean at 1/2 and three deviations to either side at 0 and 1. rate: positions
    a second, of signals.
    Raises ConfigError when there is no such callable, or what it gives cannot be used; LayerError
    for a layer that it does not have.
    """
    module, _, attribute = name.partition(":")
    if (here := os.getcwd()) not in sys.path:
        sys.path.insert(0, here)
    try:
        make = getattr(import_module(module), attribute)
        made = make(dims=dims, channels=channels, rate=rate)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ConfigError(
            subject="--network",
            expected="module:callable, which takes the keywords dims, channels and rate",
            found=f"{name}, where Python says: {error}",
            remedy="correct one of them",
        ) from error
    if not isinstance(made, nn.Module):
        raise ConfigError(
            subject="--network",
            expected="an nn.Module or an impasto.networks.Network",
            found=f"{type(made).__name__} from {name}",
            remedy="give back one of those",
        )
    terms = _terms(made, name)
    if not isinstance(made, Network):
        channels = len(terms.names) or channels
        made = traced(made, name, dims=dims, channels=channels, wanted=wanted)
    made.terms = terms
    return made


def _terms(made: nn.Module, name: str) -> Terms:
    """What the module says of its samples."""
    rate, units = getattr(made, "sampling_rate", None), getattr(made, "units", None)
    names = getattr(made, "channel_names", ())
    if (
        isinstance(names, str)
        or not all(isinstance(each, str) for each in names)
        or not isinstance(units, str | None)
        or not (rate is None or (isinstance(rate, int | float) and 0 < rate < math.inf))
    ):
        raise ConfigError(
            subject="--network",
            expected="sampling_rate in Hz, units such as 'mV', channel_names such as ['I', 'II']",
            found=f"{rate!r}, {units!r} and {names!r} of {name}",
            remedy="correct or remove them",
        )
    return Terms(rate, units, tuple(names))
