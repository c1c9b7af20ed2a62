"""Signals: gaps, units, names and rates; NumPy's interpolation is the oracle of the gaps."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from impasto.errors import SampleError
from impasto.media import Annotation, ArraySample, Signal, load, save
from impasto.media.signals.gaps import fill_gaps, without_gaps
from impasto.media.signals.gaps import with_gaps as join_gaps
from impasto.media.signals.records import Lead, RecordSource
from impasto.media.signals.signal import place, with_positions
from tests.media.signals import signal, waves, with_gaps


@given(st.lists(st.booleans(), min_size=1, max_size=60).filter(lambda row: not all(row)))
def test_a_straight_line_across_each_gap(row: list[bool]) -> None:
    values = np.random.default_rng(len(row)).normal(size=(1, len(row))).astype(np.float32)
    gaps = np.array([row])
    filled = values.copy()
    fill_gaps(filled, gaps)
    here = np.flatnonzero(~gaps[0])
    expected = np.interp(np.arange(len(row)), here, values[0, here])
    assert np.allclose(filled[0], expected, atol=1e-6)
    assert np.array_equal(filled[~gaps], values[~gaps])


def test_values_are_separated_from_gaps_and_joined_again() -> None:
    sample = with_gaps()
    values = join_gaps(sample)
    assert sample.gaps is not None
    assert np.array_equal(np.isnan(values), sample.gaps)
    assert np.array_equal(values[~sample.gaps], sample.data[~sample.gaps])
    data, gaps = without_gaps(values)
    assert gaps is not None
    assert np.array_equal(gaps, sample.gaps)
    assert np.allclose(data, sample.data, atol=1e-7)
    assert without_gaps(values[:, 5:90])[1] is None


def test_a_channel_of_gaps_alone() -> None:
    with pytest.raises(SampleError) as caught:
        without_gaps(np.full((1, 9), np.nan))
    assert caught.value.expected == "values in every channel"
    assert caught.value.found == "none in channel 1: all NaN"


def test_the_weight_of_a_signal_leaves_out_gaps() -> None:
    weight = with_gaps().weight
    assert weight is not None
    assert weight.dtype == np.float32
    assert weight.sum() == 1000 - 5 - 1 - 500
    assert signal().weight is None


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"rate": 0.0}, "a sampling rate above 0 Hz, found 0.0"),
        ({"rate": float("nan")}, "a sampling rate above 0 Hz, found nan"),
        ({"names": ("a",)}, "each with a name and a unit, found .* 1 names, 2 units"),
        ({"gaps": np.zeros((2, 9), np.bool_)}, r"gaps of the shape of the data, \(2, 1000\)"),
    ],
)
def test_fields_that_do_not_fit(fields: dict[str, Any], words: str) -> None:
    with pytest.raises(SampleError, match=words):
        signal(**fields)


def test_channels_by_name() -> None:
    leads = tuple(Lead("16", gain, 0, 12, 0) for gain in (100.0, 200.0, 300.0))
    three = signal(3, names=("I", "II", "V5"), source=RecordSource(leads))
    three = replace(three, gaps=three.data > 0.5)
    chosen = three.select(["v5", "I"])
    assert chosen.names == ("V5", "I")
    assert np.array_equal(chosen.data, three.data[[2, 0]])
    assert three.gaps is not None
    assert chosen.gaps is not None
    assert np.array_equal(chosen.gaps, three.gaps[[2, 0]])
    assert [lead.gain for lead in chosen.source.leads] == [300, 100]
    with pytest.raises(
        SampleError,
        match=r"I, II, V5, or their .* found aVR; choose",
    ):
        three.select(["II", "aVR"])
    with pytest.raises(SampleError, match="found none"):
        three.select([])


def test_in_units_converts_values_and_sources() -> None:
    leads = tuple(Lead("16", 200.0, 7, 12, 0) for _ in range(2))
    millivolts = signal(units=("mV", "uV"), source=RecordSource(leads))
    microvolts = millivolts.in_units("uV")
    assert microvolts.units == ("uV", "uV")
    assert np.allclose(microvolts.data[0], millivolts.data[0] * 1000)
    assert np.array_equal(microvolts.data[1], millivolts.data[1])
    assert [round(lead.gain, 9) for lead in microvolts.source.leads] == [0.2, 200]
    assert np.allclose(microvolts.in_units("V").in_units("mV").data, millivolts.in_units("mV").data)
    with pytest.raises(
        SampleError, match=r"can become 'mV' .*, found 'NU' of the channel 'lead 2'"
    ):
        signal(units=("uV", "NU")).in_units("mV")
    assert signal(units=("NU", "NU")).in_units("NU").units == ("NU", "NU")


def test_flat_channels() -> None:
    data = waves(3)
    data[1] = 0.25
    assert signal(3, data=data).flat_channels == ("lead 2",)


@pytest.mark.parametrize("rate", [125.0, 360.0, 1000.0, 128.5, 249.99])
def test_resampling(rate: float) -> None:
    seconds = np.arange(5000) / 250
    data = np.stack([np.sin(2 * np.pi * 3 * seconds), 100 + seconds]).astype(np.float32)
    marks = (Annotation(1.5, "here"), Annotation(3.0, "there"))
    other = signal(data=data, annotations=marks).resampled(rate)
    assert other.rate == pytest.approx(rate, rel=1e-12)
    assert other.space[0] == pytest.approx(20 * rate, abs=1)
    again = np.arange(other.space[0]) / rate
    inner = (again > 0.2) & (again < 19.7)
    assert np.allclose(other.data[0][inner], np.sin(2 * np.pi * 3 * again)[inner], atol=2e-3)
    assert np.allclose(other.data[1][inner], 100 + again[inner], atol=1e-3)
    assert other.annotations == marks


def test_resampling_leaves_gaps_where_they_were() -> None:
    sample = with_gaps()
    other = sample.resampled(500)
    assert sample.gaps is not None
    assert other.gaps is not None
    assert np.array_equal(other.gaps[:, ::2], sample.gaps)
    assert np.all(other.data[1, 1000:] == other.data[1, 1000])
    assert sample.resampled(250) is sample
    lone = sample.gaps | True
    lone[:, 7] = False
    with pytest.raises(SampleError, match="at which every channel keeps a value, found 25 Hz"):
        replace(sample, gaps=lone).resampled(25)


@pytest.mark.parametrize("rate", [0.0, -5.0, 1e-9, float("inf"), float("nan")])
def test_rates_that_are_none(rate: float) -> None:
    with pytest.raises(SampleError, match="a sampling rate above 0 Hz"):
        signal().resampled(rate)


@given(st.integers(2, 60), st.integers(1, 90), st.integers(0, 99))
def test_resampling_by_the_fourier_series_is_that_of_scipy(
    length: int, count: int, seed: int
) -> None:
    resample = pytest.importorskip("scipy.signal").resample
    values = np.random.default_rng(seed).normal(size=length)
    np.testing.assert_allclose(with_positions(values, count), resample(values, count), atol=1e-12)


def test_with_data_keeps_gaps_and_scales_the_rate() -> None:
    sample = with_gaps()
    assert sample.with_data(-sample.data).gaps is sample.gaps
    half = sample.with_data(sample.data[:, ::2])
    assert half.rate == 125
    assert half.gaps is not None
    assert half.gaps.shape == (2, 500)


def test_arrays_of_a_signal_have_nan_in_the_gaps(tmp_path: object) -> None:
    sample = with_gaps()
    assert sample.gaps is not None
    save(sample, f"{tmp_path}/a.npy")
    stored = np.load(f"{tmp_path}/a.npy")
    assert np.array_equal(np.isnan(stored), sample.gaps)
    assert np.array_equal(stored[~sample.gaps], sample.data[~sample.gaps])


@pytest.mark.parametrize("suffix", [".hea", ".edf", ".csv", ".npz"])
def test_arrays_as_signals(tmp_path: object, suffix: str) -> None:
    """Positions are seconds, and channels numbered."""
    save(ArraySample(waves(2, 40)), f"{tmp_path}/a{suffix}")
    again = load(f"{tmp_path}/a{suffix}")
    assert isinstance(again, Signal)
    assert (again.rate, again.names) == (1, ("1", "2"))
    assert np.allclose(again.data, waves(2, 40), atol=1e-4)


@pytest.mark.parametrize(
    ("name", "found"), [("ii", 1), ("2", 1), ("1", 0), ("0", None), ("3", None), ("V1", None)]
)
def test_a_channel_is_found_by_name_or_number(name: str, found: int | None) -> None:
    assert place(["I", "II"], name) == found
