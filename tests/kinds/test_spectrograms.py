"""Spectrograms of sounds, and the way back."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from impasto.config.config import Config
from impasto.config.presets import configure
from impasto.errors import SampleError
from impasto.kinds import SIGNAL
from impasto.kinds.cochleagrams import cochleagrams, limited
from impasto.kinds.spectrograms import (
    FAINTEST,
    WINDOW,
    Spectrogram,
    griffin_lim,
    spectrograms,
    transform,
)
from impasto.linear.cochlea import BANDS, FRAMES
from impasto.media.blocks import in_memory
from impasto.media.sample import Sample
from impasto.media.signals.signal import Signal
from impasto.metrics import compare
from impasto.transfer.stylize import stylize
from tests.signals import sound


def chirp(
    seconds: float = 1.0, rate: float = 8000.0, channels: int = 1, low: float = 200.0
) -> Signal:
    """A tone that rises, with a knock every quarter second."""
    times = np.arange(round(seconds * rate)) / rate
    tones = [
        0.3 * np.sin(2 * np.pi * (low * (c + 1) * times * (1 + times))) for c in range(channels)
    ]
    knocks = 0.3 * np.exp(-40 * (times % 0.25)) * np.sin(2 * np.pi * 900 * times)
    return sound(np.stack(tones) + knocks, rate)


def decibels(expected: np.ndarray, actual: np.ndarray) -> float:
    """The signal-to-noise ratio."""
    return float(10 * np.log10((expected**2).sum() / ((actual - expected) ** 2).sum()))


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("length", [WINDOW, 8000, 8191])
def test_an_unchanged_spectrogram_is_the_sound(channels: int, length: int) -> None:
    whole = chirp(2.0, channels=channels)
    one = sound(whole.data[:, :length] + 0.1)
    (spectrogram,) = spectrograms([one])
    assert isinstance(spectrogram, Spectrogram)
    assert spectrogram.data.shape == (channels * (WINDOW // 2 + 1), length // (WINDOW // 4) + 1)
    assert spectrogram.data.min() >= 0
    back = spectrogram.invert()
    assert isinstance(back, Signal)
    assert back.rate == one.rate
    assert back.data.shape == one.data.shape
    assert decibels(one.data, back.data) > 60


def test_the_values_are_logarithms_of_magnitudes() -> None:
    one, other = chirp(), chirp(low=150.0)
    found, _ = spectrograms([one, other])
    assert isinstance(found, Spectrogram)
    magnitudes = [transform(torch.from_numpy(each.data)).abs().numpy() for each in (one, other)]
    unit = FAINTEST * max(each.max() for each in magnitudes)
    np.testing.assert_allclose(found.data, np.log1p(magnitudes[0][0] / unit), rtol=1e-4, atol=1e-4)


def test_those_compared_have_one_range_and_one_unit() -> None:
    loud, faint = chirp(), chirp()
    faint = sound(0.01 * faint.data)
    one, other = spectrograms([loud, faint])
    assert isinstance(one, Spectrogram)
    assert isinstance(other, Spectrogram)
    assert one.value_range == other.value_range
    assert one.unit == other.unit
    assert one.value_range is not None
    assert one.value_range[1] == pytest.approx(float(one.data.max()))
    assert other.data.max() < one.data.max()


def test_griffin_lim_comes_nearer_from_another_phase() -> None:
    """From the content's phase, to the magnitudes of another sound."""
    content, target = (torch.from_numpy(chirp(low=low).data) for low in (200.0, 300.0))
    magnitude, start = transform(target).abs(), transform(content)
    phase = start / start.abs().clamp_min(1e-8)

    def error(x: torch.Tensor) -> float:
        return float((transform(x).abs() - magnitude).norm() / magnitude.norm())

    window = torch.hann_window(WINDOW)
    first = torch.istft(magnitude * phase, WINDOW, WINDOW // 4, window=window, length=8000)
    found = griffin_lim(magnitude, phase, 8000)
    assert found.shape == (1, 8000)
    assert error(found) < 0.3 * error(first)
    assert error(found) < 0.1


def test_silence_stays_silent() -> None:
    (silent,) = spectrograms([sound(np.zeros(4000))])
    assert isinstance(silent, Spectrogram)
    back = silent.invert()
    assert np.abs(back.data).max() < 1e-6


def test_what_is_no_sound_is_refused() -> None:
    with pytest.raises(SampleError, match="at least 2048 positions, one STFT window, found 2047"):
        spectrograms([sound(np.zeros(WINDOW - 1))])
    with pytest.raises(SampleError, match="--representation spectrogram: expected signals"):
        spectrograms([Sample(np.zeros((1, 5000), np.float32))])
    sample = Sample(np.zeros((1, 20), np.float32))
    assert SIGNAL.restore(sample, sample, Config(), in_memory) is sample


@pytest.mark.slow
@pytest.mark.parametrize("preset", ["audio-texture", "audio-transfer"])
def test_the_audio_presets_give_a_sound_like_the_content(preset: str) -> None:
    content, style = chirp(0.6), chirp(0.5, low=320.0)
    result = stylize(content, style, configure(preset, steps=(3,)))
    assert isinstance(result.sample, Signal)
    assert result.sample.data.shape == content.data.shape
    assert result.sample.rate == content.rate
    assert result.sample.value_range == (-1, 1)
    assert np.isfinite(result.sample.data).all()


def test_a_cochleagram_has_the_levels_of_bands() -> None:
    content, style = chirp(1.0, channels=2), chirp(1.5, channels=2, low=320.0)
    one, other = cochleagrams([content, style], (1.0,), 1.0)
    assert (one.space, other.space) == ((100,), (150,))
    assert len(one.data) == 2 * BANDS
    assert one.value_range == other.value_range
    assert SIGNAL.rate(one) == FRAMES
    with pytest.raises(SampleError, match="--representation cochleagram: expected signals"):
        cochleagrams([Sample(np.zeros((1, 50), np.float32))], (), 1.0)
    with pytest.raises(SampleError, match=r"a sound of at least 0.16 s, found 0.15 s"):
        cochleagrams([chirp(0.15), style], (1.0,), 1.0)


def test_the_preset_gives_the_style_without_steps(one_thread: None) -> None:
    """The content's times, the style's loudness and spectrum, and no peak that would be cut."""
    times = np.arange(16_000) / 8000
    content = chirp(2.0)
    random = np.random.default_rng(0).normal(size=16_000)
    style = sound(0.25 * random * (0.1 + (np.sin(2 * np.pi * times) > 0)))
    result = stylize(content, style, configure("audio-transfer"))
    assert isinstance(result.sample, Signal)
    assert result.sample.data.shape == content.data.shape
    assert np.abs(result.sample.data).max() <= 1 + 1e-5
    found = {row.metric: row for row in compare(result.sample, content, style).rows}
    for metric in ("log-spectral distance", "burst distance"):
        assert found[metric].result < 0.6 * found[metric].no_op, metric
    texture = found["texture distance"]
    assert texture.result < texture.linear < texture.no_op


def test_less_of_the_style_stays_nearer_to_the_content() -> None:
    content, style = chirp(1.0), chirp(1.0, low=500.0)
    apart = []
    for beta in (0.0, 1.0, 6.0):
        result = stylize(content, style, configure("audio-transfer", beta=beta))
        apart.append(float(np.square(result.sample.data - content.data).mean()))
    assert apart[0] < 1e-8 < apart[1] < apart[2]


@settings(max_examples=50)
@given(x=arrays(np.float32, (2, 60), elements=st.floats(-3, 3, width=32)), reach=st.integers(1, 20))
def test_limited_sounds_have_no_peaks(x: np.ndarray, reach: int) -> None:
    found = limited(x, reach)
    assert np.abs(found).max() <= 1 + 1e-5
    assert (np.abs(found) <= np.abs(x) + 1e-6).all()
    if np.abs(x).max() <= 1:
        np.testing.assert_array_equal(found, x)
