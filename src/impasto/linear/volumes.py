"""Bring a volume to the reconstruction kernel of another one, of another part or another patient.

A kernel does two things: it passes edges with a transfer function (MTF), and it leaves noise with a
spectrum (NPS). Here both are measured on patches of 16 voxels. The power of all patches less that
of the most even ones is the power of edges, E. Of two bodies it differs in how many edges there
are, which is a factor, and in how sharp they are, which is taken for a Gaussian of the frequency:

    1/2 log(E_style(f) / E_content(f)) = amount + a f^2

The amount is the anatomy's. The filter exp(a f^2) is the kernels', and it keeps means: it is 1 at
f = 0. Where it is large, the content has nothing but rounding, and the filter falls again.

Compare Gallardo-Estrella et al. (2016), Normalizing computed tomography data reconstructed with
different filter kernels: effect on emphysema quantification (European Radiology 26), which scales
the energy of frequency bands, and so takes the anatomy's amount for the kernel's.
"""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
from jaxtyping import Bool, Float32, Float64

from impasto.linear.volume_noise import drawn_noise, missing_noise
from impasto.media.volumes.body import around_body
from impasto.media.volumes.volume import Volume
from impasto.media.volumes.windows import in_hounsfield
from impasto.system.libraries import library

logger = logging.getLogger(__name__)

SIDE = 16
"""Voxels along a side of a patch."""

_FEWEST = 8  # voxels along a side of a patch
_FEW = 32  # patches: the anatomy of fewer is taken for a kernel
_MOST = 4000  # patches that are looked at
_SLICES = 32  # of fewer slices the anatomy is taken for their thickness
_FULL = 0.95  # of the voxels of a patch lie in the body
_EVEN = 0.25  # of the patches: the ones that show noise, and nearly no edge
_BANDS = (1.5, 5.5), (2.5, 7.5)
"""The frequencies that are compared within slices and across them, in steps of 1 / SIDE a voxel.
Below them stands the shape of organs, above them noise."""
_SAME = 1.0, 2.5
"""Exponents below so many squared voxels within slices and across them are none: two parts of one
scan differ by up to 0.9 and 2.2."""
_LARGEST = 8.0
"""Where the filter would be larger, it falls again; its maximum is about half of that."""
_STEEPNESS = 8
_PADDING = -1024.0
"""Less HU than this is no air but padding."""

Values = Float32[np.ndarray, "x y z"]
Voxels = Bool[np.ndarray, "x y z"]
Patches = Float32[np.ndarray, "_ x y z"]


def linear_volume(content: Volume, styles: Sequence[Volume], shares: Sequence[float]) -> Volume:
    """Brings a volume to the reconstruction kernel of the styles, by a filter with a closed form.

    What lies around the body and has no value stays, to the bit. Means of tissues stay. Along axes
    with too few voxels, or where too few patches lie in the body, nothing changes.

    Args:
        content: the content, in HU or any unit.
        styles: with the content's axes and spacing, as `kinds.volume.match_to_content` gives them.
        shares: how much of each style; they add up to 1.

    Raises:
        MissingExtraError: scipy is not installed.

    Example:
        >>> noise = np.random.default_rng(0).normal(0, 20, (1, 32, 32, 4)).astype(np.float32)
        >>> content = Volume(noise)
        >>> bool((linear_volume(content, [content], [1.0]).data == noise).all())
        True
    """
    ready, *others = (_continued(volume) for volume in (content, *styles))
    sides = np.minimum(SIDE, [volume.space for volume in (content, *styles)]).min(axis=0).tolist()
    ours, *theirs = (_patches(volume, sides) for volume in (ready, *others))
    if min(map(len, (ours, *theirs))) < _FEW:
        logger.warning("too little of the body is there to compare reconstruction kernels")
        return content
    axes = _axes(content)
    exponents = np.array([kernel_exponents(ours, each, content.spacing, axes) for each in theirs])
    if min(volume.space[axes[1][0]] for volume in (content, *styles)) < _SLICES:
        exponents[:, 1] = 0
    values = ready.data[0]
    lowest = values.min() if in_hounsfield(content) else -np.inf  # nothing is less than air
    exponent = np.asarray(shares) @ exponents
    for along, each in zip(axes, exponent.tolist(), strict=True):
        if each:
            values = filtered(values, content.spacing, along, each)
    ours = _patches(ready.with_data(values[None]), sides)
    power = np.tensordot(shares, np.stack([missing_noise(ours, each) for each in theirs]), 1)
    if not (exponent.any() or power.any()):
        logger.info("the reconstruction kernels are the same, as far as the anatomy tells")
        return content
    logger.info(
        "filter within slices exp(%.3g f^2), across them exp(%.3g f^2), f in 1/mm; noise drawn: "
        "standard deviation %.2g",
        *(*exponent, np.sqrt(power.mean())),
    )
    values = np.maximum(values + drawn_noise(power, content.space), np.float32(lowest))
    return content.with_data(np.where(body_of(ready), values, content.data[0])[None])


def body_of(volume: Volume) -> Voxels:
    """Returns the voxels of the body that have a value."""
    around = volume.around
    if around is None:
        around = around_body(volume.data[0], hounsfield=in_hounsfield(volume))
    body = np.ones(volume.space, np.bool_) if around is None else ~around
    return body if volume.holes is None else body & ~volume.holes


def kernel_exponents(
    ours: Patches, theirs: Patches, spacing: Sequence[float], axes: Sequence[tuple[int, ...]]
) -> tuple[float, float]:
    """Returns a of the filter exp(a f^2) in the slices, and of the one across them, in mm^2.

    It is 0 along axes with too few voxels.

    Args:
        ours: patches of the content.
        theirs: of the style, of the same shape.
        spacing: mm between voxels along each axis.
        axes: those of a slice, and the one across slices.
    """
    in_plane, across = (
        _exponent(ours, theirs, spacing, along, band, same)
        if min(ours.shape[axis + 1] for axis in along) >= _FEWEST
        else 0.0
        for along, band, same in zip(axes, _BANDS, _SAME, strict=True)
    )
    return in_plane, across


def filtered(
    values: Values, spacing: Sequence[float], axes: Sequence[int], exponent: float
) -> Values:
    """Multiplies frequencies by g / (1 + (g / 8)^8), g = exp(exponent |f|^2), but for a factor.

    The factor is nearly 1 and keeps the mean. Values go on beyond the border by reflection (the
    discrete cosine transform), so that nothing is doubled there.

    Args:
        values: the values.
        spacing: mm between voxels along each axis.
        axes: along which f is measured, in 1 / mm.
        exponent: in mm^2.
    """
    fft = library("scipy.fft", "to filter volumes", "volumes")
    grids = [
        np.arange(values.shape[axis]) / (2 * values.shape[axis] * spacing[axis]) for axis in axes
    ]
    squared = sum(grid**2 for grid in np.meshgrid(*grids, indexing="ij"))
    gain = kernel_gain(np.asarray(squared), exponent).astype(np.float32)
    spectrum = fft.dctn(values, axes=axes)
    spectrum *= np.expand_dims(gain, [axis for axis in range(3) if axis not in axes])
    return np.asarray(fft.idctn(spectrum, axes=axes, overwrite_x=True), np.float32)


def kernel_gain(
    squared: Float64[np.ndarray, "*space"], exponent: float
) -> Float64[np.ndarray, "*space"]:
    """Returns the gain at squared frequencies; it is 1 at 0, and at most 5.5.

    Example:
        >>> kernel_gain(np.array([0.0, 0.04, 0.16]), 10.0).round(2).tolist()
        [1.0, 1.49, 4.85]
    """
    # In logarithms, for which no gain is too large.
    log, top = exponent * squared, np.log(_LARGEST)
    fall = np.logaddexp(0, _STEEPNESS * (log - top)) - np.logaddexp(0, -_STEEPNESS * top)
    return np.asarray(np.exp(log - fall))


def _axes(volume: Volume) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Returns the axes of a slice, and the one across slices: the one nearest to the body's."""
    across = int(np.abs(volume.affine[2, :3] / volume.spacing).argmax())
    return tuple(axis for axis in range(3) if axis != across), (across,)


def _continued(volume: Volume) -> Volume:
    """Returns the volume with what is not the body marked as `around` it.

    In holes, padding and beyond the field of view its values are the nearest ones that are none of
    these.
    """
    body = body_of(volume)
    padding = (volume.data[0] < _PADDING) & in_hounsfield(volume)
    empty = ~body & (padding | _beyond_field(volume))
    if volume.holes is not None:
        empty |= volume.holes
    marked = replace(volume, around=~body)
    if not empty.any() or empty.all():
        return marked
    ndimage = library("scipy.ndimage", "to continue volumes", "volumes")
    nearest = ndimage.distance_transform_edt(
        empty, sampling=volume.spacing, return_distances=False, return_indices=True
    )
    return marked.with_data(volume.data[0][tuple(nearest)][None])


def _beyond_field(volume: Volume) -> Voxels:
    """Returns what lies farther from the middle of the slices than all values but the lowest.

    A scanner's field of view is round. Where it cuts the body off stands the sharpest edge of all,
    and no kernel has made it.
    """
    values = volume.data[0]
    plane, (across,) = _axes(volume)
    grids = [
        (np.arange(values.shape[axis]) - (values.shape[axis] - 1) / 2) * volume.spacing[axis]
        for axis in plane
    ]
    radius = np.hypot(*np.meshgrid(*grids, indexing="ij"))
    seen = (values > values.min()).any(axis=across)
    field = radius[seen].max(initial=0.0) * (1 + 1e-9)
    return np.broadcast_to(np.expand_dims(radius > field, across), values.shape)


def _patches(volume: Volume, sides: Sequence[int]) -> Patches:
    """Returns patches of the body that overlap by half, without their mean."""
    steps = tuple(slice(None, None, max(1, side // 2)) for side in sides)
    values, body = (
        np.lib.stride_tricks.sliding_window_view(array, tuple(sides))[steps]
        for array in (volume.data[0], body_of(volume))
    )
    places = np.argwhere(body.mean(axis=(3, 4, 5)) >= _FULL)
    places = places[:: len(places) // _MOST + 1]
    patches = values[tuple(places.T)]
    return np.asarray(patches - patches.mean(axis=(1, 2, 3), keepdims=True))


def _exponent(
    ours: Patches,
    theirs: Patches,
    spacing: Sequence[float],
    axes: Sequence[int],
    band: tuple[float, float],
    same: float,
) -> float:
    """Fits 1/2 log(E_style / E_content) = amount + a f^2 and returns a in mm^2."""
    sides = [ours.shape[1 + axis] for axis in axes]
    steps = np.meshgrid(*(np.fft.fftfreq(side, 1 / SIDE) for side in sides), indexing="ij")
    squared = sum(
        (step / (SIDE * spacing[axis])) ** 2 for step, axis in zip(steps, axes, strict=True)
    )
    radius = np.sqrt(sum(step**2 for step in steps))
    (own, own_share), (other, other_share) = (_edges(patches, axes) for patches in (ours, theirs))
    weight = np.where((radius > band[0]) & (radius < band[1]), own_share * other_share, 0.0)
    used = weight > 0
    if used.sum() < 3:
        return 0.0
    ratio = 0.5 * np.log(other[used] / own[used])
    slope, _ = np.polyfit(squared[used], ratio, 1, w=np.sqrt(weight[used]))
    least = same * max(spacing[axis] for axis in axes) ** 2
    return float(slope) if abs(slope) > least else 0.0


def _edges(
    patches: Patches, axes: Sequence[int]
) -> tuple[Float64[np.ndarray, "*frequency"], Float64[np.ndarray, "*frequency"]]:
    """Returns the power of edges, and its share in all power; both are 0 where there are none."""
    signal = library("scipy.signal", "to compare volumes", "volumes")
    values = patches.astype(np.float64)
    for axis in axes:
        # What rises all along a patch is no edge; its ends would look like one.
        values = signal.detrend(values, axis=axis + 1)
        window = signal.windows.hann(values.shape[axis + 1] + 2)[1:-1]
        values = values * np.expand_dims(window, [other for other in range(3) if other != axis])
    places = tuple(axis + 1 for axis in axes)
    rest = tuple(axis for axis in range(1, 4) if axis not in places)
    power = (np.abs(np.fft.fftn(values, axes=places)) ** 2).mean(axis=rest)
    spread = patches.std(axis=(1, 2, 3))
    all_ = power.mean(axis=0)
    even = power[spread <= np.quantile(spread, _EVEN)].mean(axis=0)
    edges = np.maximum(all_ - even, 0)
    return edges, np.divide(edges, all_, out=np.zeros_like(edges), where=all_ > 0)
