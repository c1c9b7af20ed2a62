"""Networks by module:callable, and signals brought to their rate, units and channels and back."""

from __future__ import annotations

import logging
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn

from impasto.config.config import Config
from impasto.config.presets import configure
from impasto.errors import ConfigError, SampleError
from impasto.kinds import SIGNAL
from impasto.kinds.fitted import Fitted
from impasto.media.blocks import in_memory
from impasto.media.sample import Sample
from impasto.media.signals.signal import Signal
from impasto.networks.stage import Network, Stage, Terms
from impasto.networks.user import user_network
from impasto.transfer.stylize import stylize
from tests.signals import heartbeats, signal

MODULE = """
import torch
from torch import nn

class Net(nn.Module):
    def __init__(self, dims=1, channels=2, rate=100.0):
        super().__init__()
        torch.manual_seed(0)
        self.conv = nn.Conv1d(channels, 4, 5, padding=2)
        self.relu = nn.ReLU()
        self.head = nn.Linear(4, 2)

    def forward(self, x):
        seen.append(x)
        return self.head(self.relu(self.conv(x)).mean(2))

seen = []

class Termed(Net):
    sampling_rate = 50
    units = "uV"
    channel_names = ["II", "I"]

def termed(dims, channels, rate):
    return Termed()

class Wrong(Net):
    {wrong}

def none(dims, channels, rate):
    return None
"""


@pytest.fixture
def module(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """The current folder with a module `mine` in it."""
    path = tmp_path / "mine.py"
    path.write_text(MODULE.replace("{wrong}", "units = 3"))
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.delitem(sys.modules, "mine", raising=False)
    yield path
    sys.modules.pop("mine", None)


def opened(name: str, *wanted: str, channels: int = 2) -> Network:
    return user_network(name, dims=1, channels=channels, rate=100.0, wanted=wanted or ("relu",))


@pytest.mark.usefixtures("module")
def test_a_module_in_the_current_folder() -> None:
    network = opened("mine:Net")
    assert (network.name, network.channels, network.terms) == ("mine:Net", 2, Terms())
    assert network.layers == ("input", "conv", "relu")
    network = opened("mine:termed", channels=12)
    assert (network.channels, network.terms) == (2, Terms(50, "uV", ("II", "I")))


@pytest.mark.usefixtures("module")
@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("nowhere:Net", "No module named 'nowhere'"),
        ("mine:Nett", "has no attribute 'Nett'"),
        ("mine:seen", "is not a callable object"),
        ("mine:none", "found NoneType from mine:none"),
        ("mine:Wrong", "found None, 3 and () of mine:Wrong"),
    ],
)
def test_what_is_no_network_is_one_line(name: str, words: str) -> None:
    with pytest.raises(ConfigError) as caught:
        opened(name)
    assert words in str(caught.value)
    assert str(caught.value).startswith("--network: expected")


# Terms.


def network(channels: int, **terms: Any) -> Network:
    """One convolution."""
    stage = Stage([("conv", nn.Conv1d(channels, 2, 1)), ("relu", nn.ReLU())], dims=1)
    found = Network("mine:net", [stage], dims=1, channels=channels)
    found.terms = Terms(**terms)
    return found


def smooth(names: str, length: int = 500, rate: float = 100.0) -> Signal:
    """Slow waves in mV, a lead a word."""
    times = np.arange(length) / rate
    leads = [np.sin(2 * np.pi * (times * (1 + 0.3 * i) + 0.1 * i)) for i in range(9)]
    found = tuple(names.split())
    return signal(np.stack(leads[: len(found)]), rate, names=found)


def fitted(samples: list[Signal], network: Network) -> list[Sample]:
    """The content and its styles as the network takes them."""
    content, styles = SIGNAL.fit(samples[0], samples[1:], network)
    return [content, *styles]


def restored(sample: Sample) -> Sample:
    """What it was taken of, with its values."""
    return SIGNAL.restore(sample, sample, Config(), in_memory)


def test_leads_units_and_rate_are_the_networks_and_come_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "impasto")
    content = smooth("I II III V1")
    other = network(3, rate=64, units="uV", names=("v1", "I", "II"))
    found, style = fitted([content, content.with_data(2 * content.data)], other)
    assert isinstance(found, Signal)
    assert (found.rate, found.units, found.names) == (64, ("uV",) * 3, ("V1", "I", "II"))
    assert found.data.shape == (3, 320)
    np.testing.assert_allclose(style.data, 2 * found.data, rtol=1e-5, atol=1e-2)
    back = restored(found)
    assert isinstance(back, Signal)
    assert not isinstance(back, Fitted)
    assert (back.rate, back.units, back.names) == (100, ("mV",) * 3, ("I", "II", "V1"))
    expected = content.data[[0, 1, 3]]
    np.testing.assert_allclose(back.data[:, 20:-20], expected[:, 20:-20], atol=2e-3)
    for words in (
        "mine:net is given V1, I, II as its v1, I, II",
        "mine:net is given values in uV",
        "resampled from 100 to 64 Hz; the result comes back at 100 Hz",
    ):
        assert words in caplog.text


@pytest.mark.parametrize("length", range(301, 312))
@pytest.mark.parametrize("rate", [37.0, 250.0])
def test_any_length_comes_back(length: int, rate: float) -> None:
    content = smooth("I", length)
    (found,) = fitted([content], network(1, rate=rate))
    assert restored(found).data.shape == (1, length)


def test_results_at_other_scales_come_back_at_the_contents_rate() -> None:
    content = smooth("I II")
    (found,) = fitted([content], network(2, rate=80.0))
    half = found.with_data(np.ascontiguousarray(found.data[:, ::2]))
    assert restored(half).data.shape == content.data.shape


def test_a_network_without_terms_takes_signals_as_they_are() -> None:
    content = smooth("I II")
    assert fitted([content], network(2)) == [content]
    assert restored(content) is content


def test_gaps_are_kept() -> None:
    gaps = np.zeros((2, 500), np.bool_)
    gaps[1, 100:200] = True
    content = smooth("I II")
    content = Signal(content.data, rate=100.0, names=("I", "II"), units=("mV",) * 2, gaps=gaps)
    (found,) = fitted([content], network(2, rate=50.0))
    assert found.weight is not None
    np.testing.assert_array_equal(
        found.weight == 0, (np.arange(250) >= 50) & (np.arange(250) < 100)
    )
    back = restored(found)
    assert isinstance(back, Signal)
    assert back.gaps is gaps or np.array_equal(back.gaps, gaps)  # type: ignore[arg-type]


def test_leads_whose_names_tell_nothing_are_taken_in_their_order(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.INFO, "impasto")
    (found,) = fitted([smooth("1 2")], network(2, names=("I", "II")))
    assert isinstance(found, Signal)
    assert found.names == ("1", "2")
    assert "is given 1, 2 as its I, II" in caplog.text


def test_leads_are_taken_however_they_are_written() -> None:
    (found,) = fitted([smooth("V5 MLII ECG_I")], network(2, names=("I", "II")))
    assert isinstance(found, Signal)
    assert found.names == ("ECG_I", "MLII")
    with pytest.raises(SampleError, match="the leads of mine:net: I, II, found no I among MLII"):
        fitted([smooth("MLII V5")], network(2, names=("I", "II")))


def test_what_the_network_does_not_take_is_one_line() -> None:
    with pytest.raises(
        SampleError, match="content: expected the leads of mine:net: I, V6, found no V6"
    ):
        fitted([smooth("I II")], network(2, names=("I", "V6")))
    with pytest.raises(SampleError, match="--network: expected 3 channels for mine:net, found 2"):
        fitted([smooth("I II")], network(3))
    breath = signal(np.ones((1, 100)), units=("l",))
    with pytest.raises(SampleError, match="content: expected a unit that can become 'mV'"):
        fitted([breath], network(1, units="mV"))


# Whole runs.


def recording(rate: float, seed: int, names: tuple[str, ...]) -> Signal:
    beats = heartbeats(6, rate, 0.7 + 0.1 * seed)
    noise = 0.05 * np.random.default_rng(seed).normal(size=(len(names), len(beats)))
    return signal(np.stack([beats] * len(names)) + noise, rate, names=names)


SETTINGS: dict[str, Any] = {
    "content_layers": ("relu",),
    "style_layers": (("relu", 1.0),),
    "coarsest": 0,
    "steps": (3,),
}


@pytest.mark.usefixtures("module")
def test_a_run_sees_values_in_the_networks_units_and_gives_the_contents_back() -> None:
    pytest.importorskip("scipy")
    content, style = recording(125.0, 1, ("I", "II", "V1")), recording(100.0, 2, ("II", "I", "V1"))
    config = configure("ecg", network="mine:termed", **SETTINGS)
    seen: list[float] = []
    right = torch.nn.functional.conv1d

    def conv1d(x: torch.Tensor, *args: Any, **kwargs: Any) -> torch.Tensor:
        seen.append(float(x.detach().abs().max()))
        return right(x, *args, **kwargs)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("impasto.networks.operations._CONVOLVE", (conv1d,))
        result = stylize(content, style, config)
    assert 400 < min(filter(None, seen)) < max(seen) < 1600  # uV
    found = result.sample
    assert isinstance(found, Signal)
    assert (found.rate, found.names, found.units) == (125, ("I", "II"), ("mV", "mV"))
    assert found.data.shape == (2, 750)
    assert np.corrcoef(found.data[0], content.data[0])[0, 1] > 0.8


@pytest.mark.usefixtures("module")
def test_softmax_smoothing_in_a_run() -> None:
    content, style = recording(100.0, 1, ("I", "II")), recording(100.0, 2, ("I", "II"))
    values = [
        stylize(
            content, style, configure("ecg", network="mine:Net", smoothing=how, **SETTINGS)
        ).value
        for how in ("none", "softmax")
    ]
    assert all(np.isfinite(values))
    assert values[0] != pytest.approx(values[1], rel=1e-3)
