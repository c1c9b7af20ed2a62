"""Sounds as log-magnitude spectrograms, frequencies as channels, and back (Ulyanov 2016)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from impasto.errors import SampleError
from impasto.media.sample import Sample
from impasto.media.signal import Signal

WINDOW = 2048
"""Positions of a window, n_fft; they are a quarter of it apart."""

_ROUNDS = 100
_MOMENTUM = 0.99


@dataclass(frozen=True, eq=False)
class Spectrogram(Sample):
    """log(1 + |STFT|) of a sound, of shape (channel * (WINDOW / 2 + 1), frame).

    sound: what it was taken of, whose phase the way back starts from.
    """

    sound: Signal | None = None

    @classmethod
    def of(cls, sound: Signal) -> Spectrogram:
        """The spectrogram of a sound. Raises SampleError for less than a window."""
        length = sound.space[0]
        if length < WINDOW:
            raise SampleError(
                expected=f"a sound of at least {WINDOW} positions, one window",
                found=f"{length}",
                remedy="pass a longer one, or --representation waveform",
            )
        data = transform(torch.from_numpy(sound.data)).abs().log1p().flatten(0, 1).numpy()
        return cls(data=data, sound=sound)

    def inverted(self) -> Signal:
        """A sound of this spectrogram, with the metadata of the one that it was taken of."""
        assert self.sound is not None
        own = torch.from_numpy(self.sound.data)
        magnitude = torch.from_numpy(self.data).reshape(len(own), WINDOW // 2 + 1, -1).expm1()
        start = transform(own)
        found = griffin_lim(magnitude, start / start.abs().clamp_min(1e-8), own.shape[1])
        return self.sound.with_data(found.numpy())


def transform(
    x: Float[Tensor, "channel time"],
) -> Complex[Tensor, "channel frequency frame"]:
    """The short-time Fourier transform: Hann windows centered on the frames."""
    found: Tensor = torch.stft(
        x, WINDOW, WINDOW // 4, window=torch.hann_window(WINDOW), return_complex=True
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
    """The spectrograms of sounds that are compared, in one range.

    Raises SampleError for anything else.
    """
    found = []
    for sample in samples:
        if not isinstance(sample, Signal):
            raise SampleError(
                subject="--representation spectrogram",
                expected="signals with a sampling rate",
                found=f"a {type(sample).__name__.lower()}",
                remedy="leave it out, or choose another --preset",
            )
        found.append(Spectrogram.of(sample))
    top = max(float(each.data.max()) for each in found) or 1.0
    return [replace(each, value_range=(0.0, top)) for each in found]


def heard(sample: Sample) -> Sample:
    """The sound of a spectrogram; any other sample itself."""
    return sample.inverted() if isinstance(sample, Spectrogram) else sample
