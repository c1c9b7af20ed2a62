"""Signals in a run: their leads, units, rates and gaps."""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, time
from typing import Any

import numpy as np
import pytest
import torch

from impasto.config.presets import configure
from impasto.config.settings import ObjectiveConfig
from impasto.engine.gradient import value_and_grad
from impasto.engine.objective import StylePatch, build_objective
from impasto.errors import ConfigError, SampleError
from impasto.grids.patch import Patch
from impasto.kinds.signal import match_to_content, part
from impasto.media.signals.signal import Annotation, Signal
from impasto.networks.series import series_bank
from impasto.transfer.stylize import stylize
from tests.signals import heartbeats, signal, sound
from tests.strategies import normal


def leads(names: str, seed: int = 0, length: int = 500, rate: float = 100.0) -> Signal:
    """Noise in mV, a lead a word."""
    found = tuple(names.split())
    values = np.random.default_rng(seed).normal(size=(len(found), length))
    return signal(values, rate, names=found)


@pytest.fixture
def notes(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    """What is logged."""
    caplog.set_level(logging.INFO, "impasto")
    return caplog


# Leads.


def test_leads_go_together_by_name(notes: pytest.LogCaptureFixture) -> None:
    style = leads("V1 ii I", seed=1)
    found = match_to_content(style, leads("I II"))
    np.testing.assert_array_equal(found.data, style.data[[2, 1]])
    assert "lead I, ii is the style of lead I, II" in notes.text


def test_leads_go_together_however_they_are_written(notes: pytest.LogCaptureFixture) -> None:
    style = leads("V1 AVR MLII", seed=1)
    found = match_to_content(style, leads("II aVR"))
    np.testing.assert_array_equal(found.data, style.data[[2, 1]])
    assert "lead MLII, AVR is the style of lead II, aVR" in notes.text


def test_leads_of_other_names_are_asked_for() -> None:
    style, content = leads("V1 V2 V3", seed=1), leads("I II")
    words = r"found V1, V2, V3, none .* named as I, II; pair them, as in --pair I=V1, or"
    with pytest.raises(SampleError, match=words):
        match_to_content(style, content)
    found = match_to_content(style, content, ("I=V2", "ii=3"))
    np.testing.assert_array_equal(found.data, style.data[1:])
    in_order = match_to_content(style.select(["V3", "V1"]), content, in_order=True)
    np.testing.assert_array_equal(in_order.data, style.data[[2, 0]])


def test_a_pair_goes_before_names() -> None:
    style, content = leads("I II aVR", seed=1), leads("I II")
    found = match_to_content(style, content, ("I=II", "II=aVR"))
    np.testing.assert_array_equal(found.data, style.data[1:])
    odd = match_to_content(replace(style, names=("a=b", "b", "c")), content, ("I=a=b", "II=c"))
    np.testing.assert_array_equal(odd.data, style.data[[0, 2]])


@pytest.mark.parametrize("pair", ["I", "I=V9", "V9=I", "=", "III=I"])
def test_a_pair_that_is_none_is_told(pair: str) -> None:
    with pytest.raises(
        ConfigError, match=r"--pair: expected a lead of the content \(I, II\), =, a"
    ):
        match_to_content(leads("I II"), leads("I II"), (pair,))


def test_one_lead_of_each_goes_together_and_is_said(notes: pytest.LogCaptureFixture) -> None:
    style = leads("V5", seed=1)
    np.testing.assert_array_equal(match_to_content(style, leads("I")).data, style.data)
    assert "lead V5 is the style of lead I" in notes.text


@pytest.mark.parametrize("names", [("", "", ""), ("1", "2", "3"), ("Ch 1", "Ch 2", "Ch 3")])
def test_leads_without_names_go_together_by_position(names: tuple[str, ...]) -> None:
    style = replace(leads("a b c", seed=1), names=names)
    np.testing.assert_array_equal(match_to_content(style, leads("I II")).data, style.data[:2])


def test_of_leads_of_one_name_each_is_itself() -> None:
    style = leads("ECG ECG EMG", seed=1)
    found = match_to_content(style, leads("ECG ECG"))
    np.testing.assert_array_equal(found.data, style.data[:2])
    with pytest.raises(SampleError, match="one channel named ecg, found 2, numbers 1 and 2; name"):
        style.select(["ecg"])
    np.testing.assert_array_equal(style.select(["2"]).data, style.data[1:2])


def test_the_same_leads_are_left_as_they_are(notes: pytest.LogCaptureFixture) -> None:
    style = leads("I II", seed=1)
    assert match_to_content(style, leads("I II")) is style
    assert not notes.records


@pytest.mark.parametrize("names", ["I", "II V1", "V1"])
def test_a_missing_lead_is_told_in_one_line(names: str) -> None:
    with pytest.raises(SampleError, match=r"the content's leads I, II, found .*--style-leads"):
        match_to_content(leads(names), leads("I II"))


def test_a_mono_sound_serves_both_channels(notes: pytest.LogCaptureFixture) -> None:
    mono, stereo = sound(np.sin(np.arange(3000))), sound(np.zeros((2, 3000)))
    found = match_to_content(mono, stereo)
    np.testing.assert_array_equal(found.data, mono.data[[0, 0]])
    assert "style has one channel" in notes.text


def test_a_stereo_style_is_mixed_down_for_a_mono_content(
    notes: pytest.LogCaptureFixture,
) -> None:
    values = np.random.default_rng(0).normal(size=(6, 3000)) / 9
    values[0] = 0  # a silent left channel
    found = match_to_content(sound(values[:2]), sound(np.zeros((1, 3000))))
    np.testing.assert_allclose(found.data, values[:2].mean(0, keepdims=True), atol=1e-7)
    found = match_to_content(sound(values), sound(np.zeros((2, 3000))))
    np.testing.assert_allclose(found.data, np.stack([values.mean(0)] * 2), atol=1e-7)
    assert "the style's 6 channels are mixed down to one" in notes.text


# Units.


def test_units_are_converted() -> None:
    style = replace(leads("I II", seed=1), units=("uV", "V"))
    found = match_to_content(style, leads("I II"))
    assert found.units == ("mV", "mV")
    factors = np.array([[1e-3], [1e3]])
    np.testing.assert_allclose(found.data, style.data * factors, rtol=1e-6)


def test_an_unknown_unit_is_taken_for_the_contents(notes: pytest.LogCaptureFixture) -> None:
    style = replace(leads("I II", seed=1), units=("", "uV"))
    found = match_to_content(style, leads("I II"))
    assert found.units == ("mV", "mV")
    np.testing.assert_array_equal(found.data[0], style.data[0])
    np.testing.assert_allclose(found.data[1], style.data[1] / 1000, rtol=1e-6)
    assert "the unit of I is not known for both" in notes.text
    assert "of II" not in notes.text


def test_units_of_other_things_are_refused() -> None:
    style = replace(leads("I II"), units=("mV", "mmHg"))
    with pytest.raises(SampleError, match=r"a unit that can become 'mV'.*found 'mmHg'"):
        match_to_content(style, leads("I II"))


def test_gaps_stay_where_they_are_in_other_units() -> None:
    gaps = np.zeros((2, 500), np.bool_)
    gaps[1, 40:60] = True
    style = replace(leads("I II"), units=("uV", "mV"), gaps=gaps)
    found = match_to_content(style, leads("I II"))
    assert found.gaps is not None
    np.testing.assert_array_equal(found.gaps, gaps)


# Rates.


def test_the_style_comes_to_the_contents_rate(notes: pytest.LogCaptureFixture) -> None:
    pytest.importorskip("scipy")
    wave = np.sin(np.arange(2000) / 250 * 2 * np.pi * 3)
    found = match_to_content(signal(wave, 250.0), signal(np.zeros(400), 100.0))
    assert (found.rate, found.space) == (100.0, (800,))
    expected = np.sin(np.arange(800) / 100 * 2 * np.pi * 3)
    np.testing.assert_allclose(found.data[0, 50:-50], expected[50:-50], atol=5e-3)
    assert "style resampled from 250 to 100 Hz, the content's rate" in notes.text


# A part of a signal.


def test_a_part_is_of_some_leads_and_some_seconds() -> None:
    whole = replace(
        leads("I II V1"),
        start=datetime(2020, 1, 1, 23, 59, 59),
        annotations=(Annotation(0.5), Annotation(1.5, "beat"), Annotation(3.0)),
    )
    found = part(whole, ["v1", "I"], (1.0, 3.0))
    assert found.names == ("V1", "I")
    np.testing.assert_array_equal(found.data, whole.data[[2, 0], 100:300])
    assert found.annotations == (Annotation(0.5, "beat"),)
    assert found.start == datetime(2020, 1, 2)
    timed = part(replace(whole, start=time(23, 59, 59, 500000)), (), (1.0, 3.0))
    assert timed.start == time(0, 0, 0, 500000)
    assert part(whole, (), ()) is whole


@pytest.mark.parametrize("span", [(0.0, 5.1), (4.999, 5.0), (6.0, 7.0), (1.0, 1.001)])
def test_a_span_that_is_not_there_is_told_in_one_line(span: tuple[float, float]) -> None:
    with pytest.raises(SampleError, match=r"a stretch between 0 and 5 s, found .* s; choose"):
        part(leads("I"), (), span)


def test_flat_and_clipped_leads_are_told(notes: pytest.LogCaptureFixture) -> None:
    wave = np.sin(np.arange(1000) / 20).astype(np.float32)
    data = np.stack([wave, np.zeros_like(wave), wave.clip(-0.9, 2)])
    part(replace(leads("I II III"), data=data), (), ())
    assert notes.messages == [
        "lead II is flat throughout",
        "lead III may be clipped: it is at its limit 14 % of the time",
    ]


def test_a_lead_that_is_not_there_is_told_in_one_line() -> None:
    with pytest.raises(SampleError, match=r"channels I, II, or their .* found aVR"):
        part(leads("I II"), ["aVR"], ())


def test_a_span_of_nothing_but_a_gap_is_refused() -> None:
    gaps = np.zeros((2, 500), np.bool_)
    gaps[1, 100:300] = True
    whole = replace(leads("I II"), gaps=gaps)
    with pytest.raises(SampleError, match="a gap from 1 to 2 s"):
        part(whole, (), (1.0, 2.0))
    assert part(whole, ["I"], (1.0, 2.0)).gaps is not None


# Gaps, in a run.

STATISTICS: dict[str, Any] = {
    "autocorrelation": 1.0,
    "spectrum": 0.1,
    "amplitude": 1.0,
    "lag": 0.3,
    "spectrum_window": 0.4,
    "coarsest": 0,
    "steps": (4,),
}


def with_gap(values: np.ndarray, start: int, stop: int, inside: float = 0.0) -> Signal:
    """A lead with a gap, whose values there are `inside`."""
    gaps = np.zeros((1, len(values)), np.bool_)
    gaps[:, start:stop] = True
    return signal(np.where(gaps[0], inside, values), gaps=gaps)


def test_what_is_in_a_styles_gap_does_not_matter() -> None:
    content, wave = signal(heartbeats(6, 100.0)), heartbeats(7, 100.0, 0.5)
    config = configure(**STATISTICS, beta=0.0)
    one, other = (
        stylize(content, with_gap(wave, 200, 330, inside), config) for inside in (0.0, 50.0)
    )
    np.testing.assert_allclose(one.numpy(), other.numpy(), atol=1e-6)
    assert one.value == pytest.approx(other.value, rel=1e-6)


def test_the_result_has_the_contents_gaps() -> None:
    content = with_gap(heartbeats(6, 100.0), 200, 330)
    result = stylize(content, signal(heartbeats(7, 100.0, 0.5)), configure(**STATISTICS))
    assert isinstance(result.sample, Signal)
    assert result.sample.gaps is not None
    assert content.gaps is not None
    np.testing.assert_array_equal(result.sample.gaps, content.gaps)
    assert np.isfinite(result.numpy()).all()


def test_deep_in_the_contents_gap_nothing_changes() -> None:
    """Further in than the network reaches; its longest filter has 11 taps, at a quarter rate."""
    network = series_bank(1, 10.0, (0.3, 1.0), padding="replicate", seed=0).double()
    config = ObjectiveConfig(
        content_layers=("width5",),
        style_layers=tuple((f"width{number}", 1.0) for number in range(1, 9)),
        gamma=1.0,
        autocorrelation=1.0,
        spectrum=1.0,
        amplitude=1.0,
        lag=0.7,
        spectrum_window=1.2,
    )
    weight = torch.ones(1, 1, 400).double()
    weight[..., 150:300] = 0
    content, style, g = (normal(seed, 1, 1, 400) for seed in range(3))
    objective = build_objective(
        Patch.whole(content),
        [StylePatch(Patch.whole(style))],
        network,
        config,
        weight=weight,
        rate=10.0,
    )
    gradient = value_and_grad(objective, g).gradient[0, 0]
    assert gradient[170:280].abs().max() < 1e-15
    assert gradient[:150].abs().min() > 0
    assert gradient[300:].abs().min() > 0
