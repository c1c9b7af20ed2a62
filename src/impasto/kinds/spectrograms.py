"""Sounds as log-magnitude spectrograms, frequencies as channels, and back (Ulyanov 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from impasto.errors import SampleError
from impasto.media.sample import Sample
from impasto.media.signals.signal import Signal

WINDOW = 2048
"""Positions of a window, n_fft; they are a quarter of it apart."""

FAINTEST = 1e-4
"""Of the loudest, the magnitude from which on its logarithm is told: 80 dB below."""

_ROUNDS = 100
_MOMENTUM = 0.99


@dataclass(frozen=True, eq=False)
class Spectrogram(Sample):
    """log(1 + |STFT| / unit) of a sound less its mean, shape (channel * (WINDOW / 2 + 1), frame).

    sound: what it was taken of, whose phase and mean the way back starts from.
    """

    sound: Signal | None = None
    unit: float = 1.0

    def invert(self) -> Signal:
        """A sound of this spectrogram, with the metadata of the one that it was taken of."""
        assert self.sound is not None
        own = torch.from_numpy(self.sound.data)
        logarithms = torch.from_numpy(self.data).reshape(len(own), WINDOW // 2 + 1, -1)
        start = transform(own)
        phase = start / start.abs().clamp_min(1e-8)
        found = griffin_lim(logarithms.expm1() * self.unit, phase, own.shape[1])
        return self.sound.with_data((found + own.mean(1, keepdim=True)).numpy())


def transform(
    x: Float[Tensor, "channel time"],
) -> Complex[Tensor, "channel frequency frame"]:
    """The short-time Fourier transform of what there is beside the mean: Hann windows centered on
    the frames."""
    found: Tensor = torch.stft(
        x - x.mean(1, keepdim=True),
        WINDOW,
        WINDOW // 4,
        window=torch.hann_window(WINDOW),
        return_complex=True,
    )
    return found


def griffin_lim(
    magnitude: Float[Tensor, "channel frequency frame"],
    phase: Complex[Tensor, "channel frequency frame"],
    length: int,
) -> Float[Tensor, "channel time"]:
    """A sound whose transform has about that magnitude, from a first guess of the phase.

    Griffin and Lim 1984, with the momentum of Perraudin et al. 2013.
    """
    window = torch.hann_window(WINDOW)
    before = torch.zeros_like(phase)
    for _ in range(_ROUNDS):
        sound = torch.istft(magnitude * phase, WINDOW, WINDOW // 4, window=window, length=length)
        here = transform(sound)
        ahead = here + _MOMENTUM * (here - before)
        phase, before = ahead / ahead.abs().clamp_min(1e-8), here
    found: Tensor = torch.istft(
        magnitude * phase, WINDOW, WINDOW // 4, window=window, length=length
    )
    return found


def spectrograms(samples: Sequence[Sample]) -> list[Sample]:
    """The spectrograms of sounds that are compared: with the same unit, and in the same range.

    Raises SampleError for anything but sounds, and for sounds of less than a window.
    """
    sounds = [_checked(sample) for sample in samples]
    magnitudes = [transform(torch.from_numpy(sound.data)).abs().flatten(0, 1) for sound in sounds]
    unit = FAINTEST * max(float(each.max()) for each in magnitudes) or 1.0
    data = [(each / unit).log1p().numpy() for each in magnitudes]
    top = max(float(each.max()) for each in data) or 1.0
    return [
        Spectrogram(each, (0.0, top), sound, unit) for each, sound in zip(data, sounds, strict=True)
    ]


def _checked(sample: Sample) -> Signal:
    if not isinstance(sample, Signal):
        raise SampleError(
            subject="--representation spectrogram",
            expected="signals with a sampling rate",
            found=f"a {type(sample).__name__.lower()}",
            remedy="leave it out, or choose another --preset",
        )
    if (length := sample.space[0]) < WINDOW:
        raise SampleError(
            expected=f"a sound of at least {WINDOW} positions, one window",
            found=f"{length}",
            remedy="pass a longer one, or --representation waveform",
        )
    return sample
