"""Networks of the user's own, by `module:callable` or passed by a program."""

from __future__ import annotations

import inspect
import math
import os
import sys
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from copy import deepcopy
from importlib import import_module
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from torch import nn

from impasto.config.settings import PassedNetwork
from impasto.errors import ConfigError
from impasto.networks.stage import Network, Terms
from impasto.networks.traced import layers_of, trace


def user_network(
    name: str, *, dims: int, channels: int, rate: float, wanted: Collection[str]
) -> Network:
    """Returns the network that `module:callable` makes.

    The callable gets those of the keywords dims, channels and rate that it takes. It returns a
    Network, or an nn.Module whose layers `trace` accepts.

    Samples are adapted to these attributes of the module, if it has them: `sampling_rate` in Hz;
    `units` of its values, such as "mV", or "" for those of any sample; `channel_names` in order.
    Without units, the module gets values in [0, 1], or values shifted and scaled so that the mean
    is 1/2 and three deviations to either side are 0 and 1.

    Args:
        name: `module:callable`, or a `PassedNetwork`.
        dims: how many axes the samples have.
        channels: how many channels they have.
        rate: positions per second of signals.
        wanted: the layers to compute.

    Raises:
        ConfigError: there is no such callable, or its result cannot be used.
        LayerError: the module does not have one of the layers.
    """
    made = _make(name, {"dims": dims, "channels": channels, "rate": rate})
    terms = _read_terms(made, name)
    if not isinstance(made, Network):
        channels = len(terms.names) or channels
        made = trace(made, name, dims=dims, channels=channels, wanted=wanted)
    made.terms = terms
    return made


def user_layers(name: str, *, dims: int, channels: int, rate: float) -> tuple[str, ...]:
    """Returns the layers that `user_network` accepts, in order; raises the same errors."""
    made = _make(name, {"dims": dims, "channels": channels, "rate": rate})
    if isinstance(made, Network):
        return made.layers[1:]
    return layers_of(made, name, dims=dims, channels=len(_read_terms(made, name).names) or channels)


def _make(name: str, keywords: dict[str, Any]) -> nn.Module:
    """Returns the module of that name, or a copy of the module that a program has passed.

    A callable gets those of the keywords that it takes.
    """
    try:
        with _import_from_here():
            make = name.network if isinstance(name, PassedNetwork) else _import(name)
            if isinstance(make, nn.Module):
                return deepcopy(make)
            parameters = inspect.signature(make).parameters.values()
            if all(each.kind is not each.VAR_KEYWORD for each in parameters):
                taken = {each.name for each in parameters}
                keywords = {key: value for key, value in keywords.items() if key in taken}
            made = make(**keywords)
    except (ImportError, AttributeError, TypeError, ValueError) as error:
        raise ConfigError(
            subject="--network",
            expected="module:callable, which takes the keywords dims, channels and rate or fewer",
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
    return made


def _import(name: str) -> Any:
    """Imports what `module:callable` names."""
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)


@contextmanager
def _import_from_here() -> Iterator[None]:
    """Lets Python import modules from the current folder, inside of the `with` block."""
    before = list(sys.path)
    sys.path.insert(0, os.getcwd())
    try:
        yield
    finally:
        sys.path[:] = before


def file_of(name: str, here: Path) -> Path | None:
    """Returns the file of the module of `module:callable`; None where there is none.

    Nothing of it is run, nor of the packages around it.

    Args:
        name: `module:callable`.
        here: the folder that counts as the current one.
    """
    module, places = name.partition(":")[0], [str(here), *sys.path]
    spec = None
    for dot in (index for index, letter in enumerate(f"{module}.") if letter == "."):
        spec = PathFinder.find_spec(module[:dot], places)
        if spec is None:
            return None
        places = list(spec.submodule_search_locations or [])
    return Path(spec.origin) if spec and spec.has_location and spec.origin else None


def _read_terms(made: nn.Module, name: str) -> Terms:
    """Returns what the module expects of its samples."""
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
