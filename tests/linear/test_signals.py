"""Signals brought to a style's spectrum and power in bands over time."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import signal as scipy_signal

from impasto.config.presets import configure
from impasto.errors import ConfigError, SampleError
from impasto.linear.bands import LEVELS, centers, levels, mapped, quantiles, split, with_levels
from impasto.linear.signals import coordinates, equalized, linear_signal, with_spectrum
from impasto.linear.spectra import Density, density, filtered, gain, mixed
from impasto.media.signals.beats import r_peaks
from impasto.media.signals.gaps import fill_gaps
from impasto.media.signals.signal import Signal
from impasto.metrics.beats import beat_agreement
from impasto.metrics.series import burst_distance, log_spectral_distance
from impasto.transfer.stylize import stylize
from tests.signals import signal

RATE = 200.0


def noise(seed: int, seconds: float = 40.0, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(channels, round(seconds * RATE)))


def humming(seed: int = 1) -> Signal:
    """Noise of low frequencies, with a burst of high ones in each second."""
    rough = noise(seed)
    smooth = scipy_signal.lfilter([0.1], [1, -0.9], rough)
    bursts = (np.arange(rough.shape[1]) % RATE < 0.2 * RATE) * noise(seed + 9)
    return signal(0.05 * smooth + 0.02 * bursts, RATE)


def beating(seed: int = 2) -> Signal:
    """Beats of an uneven rhythm, as hearts have, with a little noise."""
    random = np.random.default_rng(seed)
    beats = np.cumsum(random.normal(0.85, 0.06, 60))
    times = np.arange(round(40 * RATE)) / RATE
    values = sum(
        height * np.exp(-(((times[:, None] - beats - late) / width) ** 2)).sum(1)
        for height, late, width in ((1.0, 0.0, 0.015), (0.25, 0.25, 0.05))
    )
    return signal(values + 0.01 * noise(seed)[0], RATE)


def spectral(one: Signal, other: Signal) -> float:
    ours, theirs = (x.data[0].astype(np.float64) for x in (one, other))
    return log_spectral_distance(ours, theirs, (one.rate, other.rate))


# One filter.


def oracle(content: np.ndarray, style: np.ndarray, window: int) -> np.ndarray:
    """The filter in NumPy, over a content continued by turning it about its ends."""
    frequencies, ours = scipy_signal.welch(content, RATE, nperseg=window)
    theirs = scipy_signal.welch(style, RATE, nperseg=window)[1]
    more = 2 * window + -(len(content) + 4 * window) % 1024
    turned: dict[str, Any] = {"mode": "reflect", "reflect_type": "odd"}
    wide = np.pad(content - content.mean(), (2 * window, more), **turned)
    grid = np.fft.rfftfreq(len(wide), 1 / RATE)
    levels = np.interp(grid, frequencies[1:], np.sqrt(theirs[1:] / ours[1:]))
    back = np.fft.irfft(np.fft.rfft(wide) * levels, len(wide))
    return np.asarray(back[2 * window : -more] + style.mean())


def test_one_filter_is_that_of_numpy() -> None:
    content, style = beating(), humming()
    found = equalized(content, [style], [1.0]).data[0]
    one, other = (x.data[0].astype(np.float64) for x in (content, style))
    expected = oracle(one, other, 600)
    np.testing.assert_allclose(found, expected, atol=2e-6 * np.abs(expected).max())


def test_one_filter_gives_the_spectrum_and_the_mean_and_keeps_the_beats() -> None:
    content, style = beating(), signal(humming().data + 0.7, RATE)
    found = equalized(content, [style], [1.0])
    assert spectral(content, style) > 5
    assert spectral(found, style) < 1.5
    assert found.data.mean() == pytest.approx(0.7, abs=0.02)
    ours, theirs = (r_peaks(x.data[0].astype(np.float64), RATE) for x in (found, content))
    assert beat_agreement(ours, theirs).f1 > 0.95


def test_a_signal_in_its_own_style_stays() -> None:
    content = beating()
    np.testing.assert_allclose(equalized(content, [content], [1.0]).data, content.data, atol=1e-6)
    found = linear_signal(content, [content], [1.0])
    np.testing.assert_allclose(found.data, content.data, atol=0.01)


def test_each_lead_has_a_filter_of_its_own() -> None:
    both = signal(np.concatenate([beating().data, humming(3).data]), RATE)
    styles = signal(np.concatenate([humming().data, 5 * humming(4).data]), RATE)
    found = linear_signal(both, [styles], [1.0])
    for lead in range(2):
        alone = linear_signal(both.at([lead]), [styles.at([lead])], [1.0])
        np.testing.assert_allclose(found.data[lead], alone.data[0], atol=1e-6)


def test_the_density_of_a_mixture() -> None:
    parts = [density(noise(seed), RATE, 100) for seed in range(2)]
    found = mixed(parts, [0.25, 0.75])
    expected = 0.25 * parts[0].values + 0.75 * parts[1].values
    torch.testing.assert_close(found.values, expected)
    assert found.step == 2.0


def test_smoothing_keeps_a_density_that_falls_evenly() -> None:
    falling = torch.exp(-0.01 * torch.arange(300, dtype=torch.float64))[None]
    found = Density(falling, 1 / 3).smoothed(1.0).values
    torch.testing.assert_close(found[:, 4:-4], falling[:, 4:-4])


def test_gaps_count_nothing() -> None:
    style = humming()
    gaps = np.zeros(style.data.shape, bool)
    gaps[:, 2000:4000] = True
    line = style.data.copy()
    fill_gaps(line, gaps)
    holed = signal(line, RATE, gaps=gaps)
    found, expected = (linear_signal(beating(), [x], [1.0]) for x in (holed, style))
    assert spectral(found, expected) < 1.0
    assert found.data.std() == pytest.approx(expected.data.std(), rel=0.1)


def test_a_flat_lead_stays_flat() -> None:
    content = signal(np.stack([beating().data[0], np.full(8000, 3.0)]), RATE)
    styles = signal(np.concatenate([humming().data, humming(5).data]), RATE)
    found = linear_signal(content, [styles], [1.0]).data
    assert np.isfinite(found).all()
    assert np.ptp(found[1]) == 0


def test_signals_too_short_for_a_filter_are_named() -> None:
    short = signal(noise(0)[:, :7], RATE)
    with pytest.raises(SampleError, match=r"8 positions in a row, for filters, found 7"):
        linear_signal(short, [humming()], [1.0])


@settings(max_examples=25, deadline=None)
@given(length=st.integers(8, 300), seed=st.integers(0, 99))
def test_any_length_gives_finite_values(length: int, seed: int) -> None:
    content = signal(noise(seed, channels=2)[:, :length], RATE)
    style = signal(10 * noise(seed + 1, channels=2)[:, : 2 * length], RATE)
    found = linear_signal(content, [style], [1.0])
    assert found.data.shape == content.data.shape
    assert np.isfinite(found.data).all()


# Bands over time.


def test_bands_add_up_to_the_signal() -> None:
    x = torch.from_numpy(noise(0, channels=2))
    middles = centers(RATE, 40.0)
    total = sum(split(x, RATE, middles, 400))
    torch.testing.assert_close(total, x, atol=1e-10, rtol=0)


@settings(max_examples=30, deadline=None)
@given(seed=st.integers(0, 999), count=st.integers(2, 400))
def test_a_map_keeps_the_order_and_gives_the_distribution(seed: int, count: int) -> None:
    random = torch.Generator().manual_seed(seed)
    own = torch.randn(2, count, generator=random, dtype=torch.float64)
    goal = torch.rand(2, 777, generator=random, dtype=torch.float64)
    found = mapped(own, quantiles(goal))
    assert torch.equal(found.argsort(1), own.argsort(1))
    torch.testing.assert_close(found.amin(1), goal.amin(1))
    torch.testing.assert_close(found.amax(1), goal.amax(1))


def test_the_levels_of_a_band_become_the_goal() -> None:
    middle, x = 10.0, torch.from_numpy(noise(0))
    band = filtered(x, RATE, lambda f: ((f > 8) & (f < 12)).double()[None], 400)
    goal = torch.linspace(-3, 1, LEVELS, dtype=torch.float64)[None]
    found = levels(with_levels(band, RATE, middle, goal), RATE, middle)[0]
    expected = mapped(levels(band, RATE, middle)[0], goal)
    assert (found - expected).abs().mean() < 0.2
    assert (levels(band, RATE, middle)[0] - expected).abs().mean() > 0.5


def test_bursts_come_where_the_content_is_loud() -> None:
    content, style = beating(), humming()
    values = [x.data[0].astype(np.float64) for x in (content, style)]
    found = linear_signal(content, [style], [1.0]).data[0].astype(np.float64)
    filtered_only = equalized(content, [style], [1.0]).data[0].astype(np.float64)
    rates = (RATE, RATE)
    ours, theirs = (burst_distance(x, values[1], rates, 1.0) for x in (found, filtered_only))
    assert ours < 0.8 * theirs
    assert spectral(signal(found, RATE), style) < 3.0
    beats = r_peaks(values[0], RATE)
    assert beat_agreement(r_peaks(found, RATE), beats).f1 > 0.95


def test_the_amount_goes_from_the_content_to_the_style() -> None:
    content, style = beating(), signal(humming().data + 1, RATE)
    none, half, all_ = (linear_signal(content, [style], [1.0], a) for a in (0.0, 0.5, 1.0))
    np.testing.assert_allclose(none.data, content.data, atol=0.01)
    assert none.data.mean() < half.data.mean() < all_.data.mean()
    assert spectral(all_, style) < spectral(half, style) < spectral(none, style)


# After the steps, and between them.


def test_the_last_filter_gives_the_spectrum_back_and_leaves_slow_changes() -> None:
    content, style = beating(), humming()
    start = linear_signal(content, [style], [1.0])
    slow = 0.3 * np.sin(2 * np.pi * 1.5 * np.arange(8000) / RATE)
    rough = start.with_data((start.data + slow + 0.05 * noise(6)).astype(np.float32))
    found = with_spectrum(rough, content, [style], [1.0])
    assert spectral(found, style) < 0.5 * spectral(rough, style)
    change = (found.data - rough.data)[0]
    power = np.abs(np.fft.rfft(change)) ** 2
    frequencies = np.fft.rfftfreq(8000, 1 / RATE)
    assert power[frequencies < 3.5].sum() < 1e-3 * power.sum()


def test_steps_are_symmetric_and_as_loud_as_the_root_of_the_style() -> None:
    style = humming()
    apply = coordinates([style], [1.0], RATE)
    one, other = (torch.from_numpy(noise(seed)).float()[None] for seed in (7, 8))
    left, right = one.clone(), other.clone()
    apply(left)
    apply(right)
    inner = (left * other).sum(), (one * right).sum()
    torch.testing.assert_close(*inner, rtol=1e-4, atol=1e-2)
    frequencies, power = scipy_signal.welch(left[0, 0].numpy(), RATE, nperseg=400)
    theirs = scipy_signal.welch(style.data[0], RATE, nperseg=400)[1]
    inside = (frequencies > 2) & (frequencies < 90)
    slope = np.polyfit(np.log(theirs[inside]), np.log(power[inside]), 1)[0]
    assert slope == pytest.approx(0.5, abs=0.1)


def test_a_filter_between_equal_densities_is_none() -> None:
    own = density(noise(0), RATE, 200)
    response = gain(own, own)(torch.linspace(0, 100, 50, dtype=torch.float64))
    torch.testing.assert_close(response, torch.ones_like(response))


# In a run.


def test_a_run_of_no_steps_is_the_filter() -> None:
    content, style = beating(), humming()
    found = stylize(content, style, configure("ecg", steps=0)).sample
    np.testing.assert_allclose(
        found.data,
        with_spectrum(linear_signal(content, [style], [1.0]), content, [style], [1.0]).data,
        atol=1e-5,
    )


def test_the_preset_is_nearer_to_the_style_than_the_content_is_and_keeps_beats() -> None:
    content, style = beating(), humming()
    found = stylize(content, style, configure("ecg", steps=10)).sample
    assert isinstance(found, Signal)
    assert spectral(found, style) < 0.4 * spectral(content, style)
    ours, theirs = (r_peaks(x.data[0].astype(np.float64), RATE) for x in (found, content))
    assert beat_agreement(ours, theirs).f1 > 0.9


def test_a_picture_has_no_such_start() -> None:
    picture = np.random.default_rng(0).random((24, 24, 3))
    with pytest.raises(ConfigError, match=r"--init linear: expected a signal or a volume"):
        stylize(picture, picture, configure(size=0, init="linear", steps=1))
