"""Cochlear bands, and sounds with other envelopes."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from impasto.linear.cochlea import BANDS, FRAMES, LOWEST, TOP, WIDTH, envelopes, with_envelopes

RATE = 8000.0
TIMES = torch.arange(16_000, dtype=torch.float64) / RATE
NOISE = torch.randn(2, 16_001, generator=torch.Generator().manual_seed(0), dtype=torch.float64)


@pytest.mark.parametrize("length", [16_000, 16_001, 1000, 17])
def test_a_sound_with_its_own_envelopes_is_itself(length: int) -> None:
    x = NOISE[:, :length] - NOISE[:, :length].mean(1, keepdim=True)
    torch.testing.assert_close(with_envelopes(x, RATE, envelopes(x, RATE)), x)


def test_the_power_of_the_bands_adds_up_to_that_of_the_sound() -> None:
    """An analytic signal has twice the power, and the squared weights of the bands add up to 1."""
    found = envelopes(NOISE, RATE)
    assert found.shape == (2, BANDS, round(16_001 / RATE * FRAMES))
    power = found.square().sum(1).mean(1)
    torch.testing.assert_close(power, 2 * NOISE.square().mean(1), rtol=0.03, atol=0)


def test_envelopes_are_those_of_the_formula() -> None:
    """A tone in the middle of a band that becomes twice as loud: moving means of its power."""
    erbs = 9.265 * np.log(1 + np.array([LOWEST, TOP * RATE]) / 228.85)
    middle = erbs[0] + 14 * (erbs[1] - erbs[0]) / (BANDS - 1)
    frequency = 228.85 * (np.exp(middle / 9.265) - 1)
    loudness = torch.where(TIMES < 1, 1.0, 2.0)
    found = envelopes((loudness * torch.sin(2 * np.pi * frequency * TIMES))[None], RATE)[0, 14]
    at = torch.arange(len(found)) / FRAMES
    later = ((at + WIDTH / 2 - 1) / WIDTH).clamp(0, 1)
    torch.testing.assert_close(
        found[20:180], (1 + 3 * later).sqrt()[20:180].double(), rtol=0.02, atol=0
    )


def test_a_sound_gets_the_envelopes_and_keeps_its_pitch() -> None:
    """Noise that swells: its envelopes on a sound of three tones, whose frequencies stay."""
    frequencies = torch.tensor([300.0, 900.0, 2200.0], dtype=torch.float64)
    tones = torch.sin(2 * np.pi * frequencies[:, None] * TIMES).sum(0, keepdim=True)
    swell = (0.3 + torch.sin(np.pi * TIMES / 2).square())[None]
    target = envelopes(tones * swell, RATE)
    found = with_envelopes(tones, RATE, target)
    error = (envelopes(found, RATE) - target).norm() / target.norm()
    assert error < 0.02
    spectrum = torch.fft.rfft(found[0]).abs()
    assert set((spectrum.topk(3).indices * RATE / len(TIMES)).tolist()) == set(frequencies.tolist())


def test_what_is_silent_stays_silent() -> None:
    silent = torch.zeros(1, 4000, dtype=torch.float64)
    assert not with_envelopes(silent, RATE, torch.ones(1, BANDS, 50, dtype=torch.float64)).any()
