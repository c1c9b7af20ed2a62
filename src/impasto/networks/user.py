"""Networks of the user's own, by `module:callable`."""

from __future__ import annotations

import os
import sys
from importlib import import_module

from torch import nn

from impasto.errors import ConfigError, SampleError
from impasto.networks.stage import Network, Stage


def user_network(name: str, *, dims: int, channels: int, rate: float) -> Network:
    """What `module:callable` makes of the keywords dims, channels and rate, as a Network.

    The module is looked for in the current folder too. The callable gives a Network, or an
    nn.Sequential of operations that each look at a few positions (convolutions without "same"
    padding by name, poolings, and what works position by position); its layers are the names in
    it. The sample comes with values in [0, 1], or with its mean at 1/2 and three deviations to
    either side at 0 and 1; rate: positions a second, of signals.
    Raises ConfigError when there is no such callable, or what it gives is neither.
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
    if isinstance(made, nn.Sequential):
        made = Network(name, stages_of(made, dims), dims=dims, channels=channels)
    if not isinstance(made, Network):
        raise ConfigError(
            subject="--network",
            expected="an nn.Sequential or an impasto.networks.Network",
            found=f"{type(made).__name__} from {name}",
            remedy="give back one of those",
        )
    try:
        assert made.widths
    except (RuntimeError, ValueError) as error:
        raise SampleError(
            subject="--network",
            expected=f"a network that takes {channels} channels over {dims} axes",
            found=f"{name}, where PyTorch says: {str(error).splitlines()[0]}",
            remedy="change it, or choose other leads",
        ) from error
    return made


def stages_of(network: nn.Sequential, dims: int) -> list[Stage]:
    """Its operations, a stage ending with each that makes the grid coarser."""
    stages: list[Stage] = []
    operations: list[tuple[str, nn.Module]] = []
    for name, operation in network.named_children():
        operations.append((name, operation))
        stage = Stage(operations, dims=dims)
        if max(stage.strides[name]) > 1:
            stages.append(stage)
            operations = []
    return [*stages, Stage(operations, dims=dims)] if operations else stages
