"""Noise that a volume lacks beside another one, drawn with its spectrum.

Noise is what all parts of a body show alike. At each frequency its power is told by the quietest
patches: the power of a patch of noise is exponentially distributed, so a low quantile of it gives
the mean. Where half of the patches show more than that allows, the power is anatomy's.

A thicker patient, or a lower dose, has more noise at all frequencies by one factor. That is no
kernel's, and is not drawn.
"""

from __future__ import annotations

import numpy as np
from jaxtyping import Bool, Float32, Float64

from impasto.system.libraries import library

Patches = Float32[np.ndarray, "_ x y z"]
Power = Float64[np.ndarray, "x y z"]
Frequencies = Bool[np.ndarray, "x y z"]

_QUIET, _MIDDLE = 0.1, 0.5
"""The quantiles of the patches' power that tell noise, and whether it is noise."""
_ALIKE = 1.5
"""Noise by the middle of the patches is below this many times noise by the quiet ones."""
_MORE = 4.0
"""Noise is missing where the style has more than this many times its power, but for the dose."""
_LOWEST, _TOLD = 2.5, 5.5
"""Slower than the first, in waves along 16 voxels, is anatomy. Up to the second, edges have told
the filter: there what differs in noise is the dose."""
_NO_POWER = 1e-30
_DOSES = 10.0
"""A style with more than this many times the power there is noisy on purpose, and all of its noise
is wanted."""


def missing_noise(ours: Patches, theirs: Patches) -> Power:
    """Returns the power of noise that the first patches lack beside the second.

    Its mean is the variance of the noise. The axes are frequencies, as of `numpy.fft.fftn`.

    Args:
        ours: patches of the volume that may lack noise, after the filter.
        theirs: of the one that has it, of the same shape.
    """
    own, (other, middle) = _noise_power(ours)[0], _noise_power(theirs)
    grids = np.meshgrid(*(16 * np.fft.fftfreq(side) for side in own.shape), indexing="ij")
    squared = np.asarray(sum(grid**2 for grid in grids))
    noise = (squared > _LOWEST**2) & (middle < _ALIKE * other)
    other = other / _dose(own, other, noise & (squared < _TOLD**2))
    return np.where(noise & (other > _MORE * own), other - own, 0.0)


def drawn_noise(power: Power, space: tuple[int, ...]) -> Float32[np.ndarray, "i j k"]:
    """Draws noise of a spectrum over a grid: the same for the same spectrum and grid.

    Example:
        >>> noise = drawn_noise(np.full((4, 4, 4), 9.0), (40, 40, 40))
        >>> bool(abs(noise.std() - 3) < 0.1)
        True

    Args:
        power: as `missing_noise` returns it.
        space: of the grid.
    """
    if not power.any():
        return np.zeros(space, np.float32)
    signal = library("scipy.signal", "to draw noise", "volumes")
    kernel = np.fft.fftshift(np.fft.ifftn(np.sqrt(power)).real).astype(np.float32)
    # Wide enough for the convolution not to see where it ends.
    wide = [side + other - 1 for side, other in zip(space, kernel.shape, strict=True)]
    white = np.random.default_rng(0).standard_normal(wide, np.float32)
    return np.asarray(signal.oaconvolve(white, kernel, mode="valid"), np.float32)


def _dose(own: Power, other: Power, told: Frequencies) -> float:
    """Returns how many times its power the style has at all frequencies alike; 1 where it has less,
    as a quiet style takes no noise away, and where it has far more."""
    if not told.any():
        return 1.0
    ratio = float(np.median(other[told] / np.maximum(own[told], _NO_POWER)))
    return ratio if 1 < ratio < _DOSES else 1.0


def _noise_power(patches: Patches) -> tuple[Power, Power]:
    """Returns the power of noise by the quiet patches, and by the middle ones."""
    ndimage = library("scipy.ndimage", "to compare noise", "volumes")
    signal = library("scipy.signal", "to compare noise", "volumes")
    values, square = patches.astype(np.float64), 1.0
    for axis in (axis for axis in (1, 2, 3) if patches.shape[axis] > 1):
        window = signal.windows.hann(patches.shape[axis] + 2)[1:-1]
        window = np.expand_dims(window, [other for other in range(3) if other != axis - 1])
        values = values * window
        square = square * (window**2).mean()
    voxels = values[0].size
    power = np.abs(np.fft.fftn(values, axes=(1, 2, 3))) ** 2 / (square * voxels)
    quiet, middle = (
        ndimage.uniform_filter(
            np.quantile(power, share, axis=0) / -np.log1p(-share), 3, mode="wrap"
        )
        for share in (_QUIET, _MIDDLE)
    )
    return quiet, middle
