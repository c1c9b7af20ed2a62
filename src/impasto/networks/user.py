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
    """What `module:callable` makes of the keywords dims, channels and rate, as a Network.

    name: that, or one that a program has `PassedNetwork`. The callable gives a Network, or any
    nn.Module whose layers `trace` can take; wanted: those that are looked at. Of what it gives
    these attributes are taken, where it has them, for samples are brought to them:
    sampling_rate, in Hz; units, of its values ("mV"; "" for those of whatever sample); and
    channel_names, in the order of its channels. Without units the sample comes with values in
    [0, 1], or with its mean at 1/2 and three deviations to either side at 0 and 1. rate: positions
    a second, of signals.
    Raises ConfigError when there is no such callable, or what it gives cannot be used; LayerError
    for a layer that it does not have.
    """
    made = _made(name, {"dims": dims, "channels": channels, "rate": rate})
    terms = _terms(made, name)
    if not isinstance(made, Network):
        channels = len(terms.names) or channels
        made = trace(made, name, dims=dims, channels=channels, wanted=wanted)
    made.terms = terms
    return made


def user_layers(name: str, *, dims: int, channels: int, rate: float) -> tuple[str, ...]:
    """The layers that `user_network` can give of it, in their order; raises as that does."""
    made = _made(name, {"dims": dims, "channels": channels, "rate": rate})
    if isinstance(made, Network):
        return made.layers[1:]
    return layers_of(made, name, dims=dims, channels=len(_terms(made, name).names) or channels)


def _made(name: str, keywords: dict[str, Any]) -> nn.Module:
    """The module of that name, or that a program has passed, left as it is. Its maker is given
    those of the keywords that it takes."""
    try:
        with _modules_here():
            make = name.network if isinstance(name, PassedNetwork) else _imported(name)
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


def _imported(name: str) -> Any:
    """What a module has under that name."""
    module, _, attribute = name.partition(":")
    return getattr(import_module(module), attribute)


@contextmanager
def _modules_here() -> Iterator[None]:
    """Python looks for modules in the current folder too, and no longer afterwards."""
    before = list(sys.path)
    sys.path.insert(0, os.getcwd())
    try:
        yield
    finally:
        sys.path[:] = before


def file_of(name: str, here: Path) -> Path | None:
    """The file with the module of `module:callable`, were `here` the current folder; nothing of it
    is run, nor of the packages around it. None where there is no such file."""
    module, places = name.partition(":")[0], [str(here), *sys.path]
    spec = None
    for dot in (index for index, letter in enumerate(f"{module}.") if letter == "."):
        spec = PathFinder.find_spec(module[:dot], places)
        if spec is None:
            return None
        places = list(spec.submodule_search_locations or [])
    return Path(spec.origin) if spec and spec.has_location and spec.origin else None


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
