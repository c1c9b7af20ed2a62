"""Convert sounds to cochleagrams, whose channels are the envelopes of cochlear bands, and back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from jaxtyping import Float32
from torch.nn import functional

from impasto.errors import SampleError
from impasto.kinds.padding import LEAST
from impasto.kinds.refusals import check_sound
from impasto.linear.cochlea import FRAMES, envelopes, with_envelopes
from impasto.linear.signals import with_spectrum
from impasto.media.sample import Sample
from impasto.media.signals.signal import Signal

FAINTEST = 1e-4
"""The unit of amplitudes, as a fraction of the loudest: those more than 80 dB below it are nearly 0
in log(1 + amplitude / unit)."""

LIMITING = 0.01
"""Seconds for which a sound is turned down before and after a peak that is too loud."""


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
        """Gives the sound these envelopes, then the styles' spectrum, and no peaks beyond 1."""
        assert self.sound is not None
        x = torch.from_numpy(self.sound.data).double()
        means = x.mean(1, keepdim=True)
        target = torch.from_numpy(self.data).double().expm1().clamp_min(0) * self.unit
        target = target.reshape(len(x), -1, self.data.shape[1])
        found = with_envelopes(x - means, self.sound.rate, target)
        sound = self.sound.with_data((found + means).float().numpy())
        sound = with_spectrum(sound, self.sound, self.styles, self.shares, self.amount)
        return sound.with_data(limited(sound.data, round(LIMITING * sound.rate)))


def limited(
    x: Float32[np.ndarray, "channel time"], reach: int
) -> Float32[np.ndarray, "channel time"]:
    """Turns a sound down around peaks beyond -1 and 1, smoothly and before they come.

    Args:
        x: the sound.
        reach: how many positions before and after a peak it is turned down.

    Example:
        >>> peak = np.array([[0.5, 0.5, 0.5, 2.0, 0.5, 0.5, 0.5]], np.float32)
        >>> [f"{value:.2f}" for value in limited(peak, 1)[0]]
        ['0.50', '0.44', '0.31', '1.00', '0.31', '0.44', '0.50']
    """
    if np.abs(x).max() <= 1:
        return x
    size = 2 * reach + 1
    peaks = functional.max_pool1d(torch.from_numpy(x).abs(), size, 1, reach)
    gain = functional.pad(1 / peaks.clamp_min(1), (reach, reach), mode="replicate")
    hann = torch.hann_window(size + 2, periodic=False)[1:-1]
    smooth = functional.conv1d(gain[:, None], (hann / hann.sum())[None, None])[:, 0]
    return np.asarray(x * smooth.numpy())


def cochleagrams(samples: Sequence[Sample], shares: Sequence[float], amount: float) -> list[Sample]:
    """Converts a content and its styles to cochleagrams of one unit and one range.

    Args:
        samples: the content, then the styles.
        shares, amount: as for `Cochleagram`.

    Raises:
        SampleError: a sample is not a signal, or is too short.
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
    """Returns the sample; raises SampleError if it is no signal, or too short for a network."""
    sound = check_sound(sample, "cochleagram")
    if (seconds := sound.space[0] / sound.rate) < LEAST / FRAMES:
        raise SampleError(
            expected=f"a sound of at least {LEAST / FRAMES:g} s",
            found=f"{seconds:.3g} s",
            remedy="pass a longer one, or --representation waveform",
        )
    return sound
