"""Convert sounds to log-magnitude spectrograms, whose channels are frequencies, and back.

Ulyanov and Lebedev 2016 (Audio texture synthesis and style transfer).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from jaxtyping import Complex, Float
from torch import Tensor

from impasto.errors import SampleError
from impasto.kinds.refusals import check_sound
from impasto.media.sample import Sample
from impasto.media.signals.signal import Signal

WINDOW = 2048
"""The length of an STFT window in positions (n_fft). STFT windows begin a quarter of it apart."""

FAINTEST = 1e-4
"""The unit of magnitudes, as a fraction of the loudest: magnitudes more than 80 dB below the
loudest are nearly 0 in log(1 + magnitude / unit)."""

_ROUNDS = 100
_MOMENTUM = 0.99


@dataclass(frozen=True, eq=False)
class Spectrogram(Sample):
    """log(1 + |STFT(x - mean)| / unit) of a sound x, shape (channel * (WINDOW / 2 + 1), frame).

    Attributes:
        sound: the sound, whose phase and mean `invert` starts from.
        unit: the magnitude that becomes log(2).
    """

    sound: Signal | None = None
    unit: float = 1.0

    def invert(self) -> Signal:
        """Reconstructs a sound from this spectrogram, with the metadata of `sound`."""
        assert self.sound is not None
        own = torch.from_numpy(self.sound.data)
        logarithms = torch.from_numpy(self.data).reshape(len(own), WINDOW // 2 + 1, -1)
        start = transform(own)
        phase = start / start.abs().clamp_min(1e-8)
        centered = griffin_lim(logarithms.expm1() * self.unit, phase, own.shape[1])
        return self.sound.with_data((centered + own.mean(1, keepdim=True)).numpy())


def transform(
    x: Float[Tensor, "channel time"],
) -> Complex[Tensor, "channel frequency frame"]:
    """Returns the short-time Fourier transform of x - mean, with Hann windows around the frames."""
    transformed: Tensor = torch.stft(
        x - x.mean(1, keepdim=True),
        WINDOW,
        WINDOW // 4,
        window=torch.hann_window(WINDOW),
        return_complex=True,
    )
    return transformed


def griffin_lim(
    magnitude: Float[Tensor, "channel frequency frame"],
    phase: Complex[Tensor, "channel frequency frame"],
    length: int,
) -> Float[Tensor, "channel time"]:
    """Finds a sound whose STFT has approximately the given magnitude.

    Griffin and Lim 1984 (Signal estimation from modified short-time Fourier transform), with the
    momentum of Perraudin et al. 2013 (A fast Griffin-Lim algorithm).

    Args:
        magnitude: |STFT|.
        phase: the first guess of STFT / |STFT|.
        length: the number of positions of the sound.
    """
    window = torch.hann_window(WINDOW)
    before = torch.zeros_like(phase)
    for _ in range(_ROUNDS):
        sound = torch.istft(magnitude * phase, WINDOW, WINDOW // 4, window=window, length=length)
        here = transform(sound)
        ahead = here + _MOMENTUM * (here - before)
        phase, before = ahead / ahead.abs().clamp_min(1e-8), here
    inverse: Tensor = torch.istft(
        magnitude * phase, WINDOW, WINDOW // 4, window=window, length=length
    )
    return inverse


def spectrograms(samples: Sequence[Sample]) -> list[Sample]:
    """Converts sounds to spectrograms that have one unit and one range, so that they compare.

    Raises:
        SampleError: a sample is not a signal or is shorter than an STFT window.
    """
    sounds = [_check_sound(sample) for sample in samples]
    magnitudes = [transform(torch.from_numpy(sound.data)).abs().flatten(0, 1) for sound in sounds]
    unit = FAINTEST * max(float(each.max()) for each in magnitudes) or 1.0
    data = [(each / unit).log1p().numpy() for each in magnitudes]
    top = max(float(each.max()) for each in data) or 1.0
    return [
        Spectrogram(each, (0.0, top), sound, unit) for each, sound in zip(data, sounds, strict=True)
    ]


def _check_sound(sample: Sample) -> Signal:
    """Returns the sample; raises SampleError if it is not a signal of at least one STFT window."""
    sound = check_sound(sample, "spectrogram")
    if (length := sound.space[0]) < WINDOW:
        raise SampleError(
            expected=f"a sound of at least {WINDOW} positions, one STFT window",
            found=f"{length}",
            remedy="pass a longer one, or --representation waveform",
        )
    return sound
