"""The noise power spectrum of volumes.

ICRU Report 87 (2012), Radiation dose and image-quality assessment in computed tomography, section
5; AAPM Task Group 233 (2019), Performance evaluation of computed tomography systems; Siewerdsen,
Cunningham and Jaffray (2002), A framework for noise-power spectrum analysis of multidimensional
images (Medical Physics 29), for other numbers of dimensions than two.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations_with_replacement
from math import prod

import numpy as np
from jaxtyping import Float64

from impasto.media.volumes.volume import Volume
from impasto.metrics.series import SILENCE

PATCH = 32.0
"""The side of a patch in mm; in a smaller region, a patch has the region's side."""

_FEWEST = 3  # steps of frequency


def noise_power_spectrum(
    patches: Float64[np.ndarray, "patch *space"], spacing: Sequence[float]
) -> Float64[np.ndarray, "*space"]:
    """Computes the noise power spectrum of patches.

        NPS(f) = product of (spacing / positions) over the axes * mean over patches of |DFT(d)|^2

    d is a patch minus a fitted polynomial of second order, which removes the anatomy (AAPM TG-233).

    Args:
        patches: the patches, shape (patch, *space).
        spacing: mm between positions, along each axis.

    Returns:
        The spectrum in unit^2 mm^n for n axes, so that its integral over frequency is the variance
        of d. The frequencies along each axis are `numpy.fft.fftfreq(positions, spacing)`.
    """
    count, *sides = patches.shape
    grids = np.meshgrid(*(np.linspace(-1, 1, side) for side in sides), indexing="ij")
    terms = [np.ones(prod(sides)), *(grid.ravel() for grid in grids)]
    products = [one * other for one, other in combinations_with_replacement(terms, 2)]
    basis, _ = np.linalg.qr(np.stack(products, axis=1))
    flat = patches.reshape(count, -1)
    flat = flat - flat[:, :1]  # a constant is exactly 0
    residue = flat - flat @ basis @ basis.T
    axes = tuple(range(1, len(sides) + 1))
    power = np.abs(np.fft.fftn(residue.reshape(patches.shape), axes=axes)) ** 2
    return np.asarray(power.mean(axis=0) * prod(spacing) / prod(sides))


def noise_distance(one: Volume, other: Volume, axes: tuple[int, ...]) -> float:
    """Returns the log-spectral distance between two noise power spectra in dB.

        sqrt(mean over k of (10 log10 NPS_one(k) - 10 log10 NPS_other(k))^2)

    NPS(k) is the mean of `noise_power_spectrum` over the frequencies |f| within half a step of
    k / L mm^-1. L is the shortest side of a patch in mm. k runs from 1 to the lowest Nyquist
    frequency of both volumes, so that their spacings may differ. Patches overlap by half; their
    sides are PATCH, or shorter in a smaller volume. NPS is at least -100 dB of the largest value of
    both volumes, so that the distance of two constant volumes is 0.

    Args:
        one: a region of a volume.
        other: a region of another.
        axes: the axes of the spectrum; (0, 1) averages over all axial planes.

    Returns:
        The distance; NaN if there are too few frequencies.
    """
    lengths = [
        min(PATCH, *(volume.space[axis] * volume.spacing[axis] for volume in (one, other)))
        for axis in axes
    ]
    step = 1 / min(lengths)
    nyquist = 0.5 / max(volume.spacing[axis] for volume in (one, other) for axis in axes)
    bins = int(nyquist / step - 0.5)
    if bins < _FEWEST:
        return np.nan
    spectra = np.array([_radial(volume, axes, lengths, step, bins) for volume in (one, other)])
    floor = SILENCE * spectra.max()
    if floor == 0:
        return 0.0
    first, second = 10 * np.log10(np.maximum(spectra, floor))
    return float(np.sqrt(np.mean((first - second) ** 2)))


def _radial(
    volume: Volume, axes: tuple[int, ...], lengths: Sequence[float], step: float, bins: int
) -> Float64[np.ndarray, " bin"]:
    """Returns NPS(k) for k = 1 to `bins`.

    lengths: the sides of a patch in mm. step: 1 / L.
    """
    spacing = [volume.spacing[axis] for axis in axes]
    sides = [
        min(volume.space[axis], round(length / volume.spacing[axis]))
        for axis, length in zip(axes, lengths, strict=True)
    ]
    patches = np.lib.stride_tricks.sliding_window_view(
        volume.data[0].astype(np.float64), sides, axis=axes
    )
    patches = patches[tuple(slice(None, None, max(1, side // 2)) for side in sides)]
    power = np.mean(
        [noise_power_spectrum(slab.reshape(-1, *sides), spacing) for slab in patches], axis=0
    )
    frequencies = np.meshgrid(*map(np.fft.fftfreq, sides, spacing), indexing="ij")
    bin_ = np.rint(np.sqrt(sum(f**2 for f in frequencies)) / step).astype(int).ravel()
    return (np.bincount(bin_, power.ravel()) / np.maximum(1, np.bincount(bin_)))[1 : bins + 1]
