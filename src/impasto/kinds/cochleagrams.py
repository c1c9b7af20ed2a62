"""Convert sounds to cochleagrams, whose channels are the envelopes of cochlear bands, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from impasto.errors import SampleError
from impasto.linear.cochlea import FRAMES, envelopes, with_envelopes
from impasto.linear.signals import with_spectrum
from impasto.media.sample import Sample
from impasto.media.signals.signal import Signal

FAINTEST = 1e-4
"""The unit of amplitudes, as a fraction of the loudest: those more than 80 dB below it are nearly 0
in log(1 + amplitude / unit)."""


@dataclass(frozen=True, eq=False)
class Cochleagram(Sample):
    """log(1 + amplitude / unit) of a sound's cochlear bands, shape (channel * band, frame).

    Attributes:
        sound: the sound, whose fine structure `invert` keeps.
        unit: the amplitude that becomes log(2).
        styles: the sounds whose spectrum `invert` gives.
        shares: the weight of each.
        amount: how far to go from the sound's spectrum to theirs, in [0, 1].
    """

    sound: Signal | None = None
    unit: float = 1.0
    styles: Sequence[Signal] = ()
    shares: Sequence[float] = ()
    amount: float = 1.0

    rate = FRAMES

    def invert(self) -> Signal:
        """Gives the sound these envelopes, then the styles' spectrum."""
        assert self.sound is not None
        x = torch.from_numpy(self.sound.data).double()
        means = x.mean(1, keepdim=True)
        target = torch.from_numpy(self.data).double().expm1().clamp_min(0) * self.unit
        target = target.reshape(len(x), -1, self.data.shape[1])
        found = with_envelopes(x - means, self.sound.rate, target)
        result = self.sound.with_data((found + means).float().numpy())
        return with_spectrum(result, self.sound, self.styles, self.shares, self.amount)


def cochleagrams(samples: Sequence[Sample], shares: Sequence[float], amount: float) -> list[Sample]:
    """Converts a content and its styles to cochleagrams of one unit and one range.

    Args:
        samples: the content, then the styles.
        shares, amount: as for `Cochleagram`.

    Raises:
        SampleError: a sample is not a signal.
    """
    sounds = [_checked(sample) for sample in samples]
    found = []
    for sound in sounds:
        x = torch.from_numpy(sound.data).double()
        found.append(envelopes(x - x.mean(1, keepdim=True), sound.rate).flatten(0, 1))
    unit = FAINTEST * max(float(each.max()) for each in found) or 1.0
    data = [(each / unit).log1p().float().numpy() for each in found]
    top = max(float(each.max()) for each in data) or 1.0
    return [
        Cochleagram(each, (0.0, top), sound, unit, sounds[1:], shares, amount)
        for each, sound in zip(data, sounds, strict=True)
    ]


def _checked(sample: Sample) -> Signal:
    if isinstance(sample, Signal):
        return sample
    raise SampleError(
        subject="--representation cochleagram",
        expected="signals with a sampling rate",
        found=f"a {type(sample).__name__.lower()}",
        remedy="leave it out, or choose another --preset",
    )
