"""What a finished run leaves in memory: nothing."""

from __future__ import annotations

import weakref
from typing import Any

import numpy as np
import pytest

from impasto.config.presets import configure
from impasto.media.sample import Sample
from impasto.networks import Network
from impasto.transfer import stylize as transfer
from impasto.transfer.network import network_for
from impasto.transfer.stylize import stylize


def test_no_network_outlives_its_run(monkeypatch: pytest.MonkeyPatch) -> None:
    """Twenty runs, without waiting for Python to look for what refers to itself."""
    made: list[weakref.ref[Network]] = []

    def opened(*arguments: Any, **named: Any) -> Network:
        network = network_for(*arguments, **named)
        made.append(weakref.ref(network))
        return network

    monkeypatch.setattr(transfer, "network_for", opened)
    sample = Sample(np.sin(np.arange(100) / 15, dtype=np.float32)[None])
    for _ in range(20):
        stylize(sample, sample, configure(coarsest=0, steps=(1,)))
    assert len(made) == 20
    assert [network() for network in made if network() is not None] == []
