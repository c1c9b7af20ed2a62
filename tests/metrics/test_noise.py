"""Noise power spectra against their definition, and their distances."""

from __future__ import annotations

from itertools import product

import numpy as np
import pytest

from impasto.media.volumes.volume import Volume
from impasto.metrics.noise import noise_distance, noise_power_spectrum

pytest.importorskip("scipy")

AXIAL, ALL = (0, 1), (0, 1, 2)


def noise(
    *space: int, spacing: tuple[float, ...] = (1.0, 1.0, 1.0), sigma: float = 10.0, seed: int = 0
) -> Volume:
    values = sigma * np.random.default_rng(seed).normal(size=(1, *space))
    return Volume(values.astype(np.float32), affine=np.diag([*spacing, 1]))


def defined(patch: np.ndarray, spacing: tuple[float, ...]) -> np.ndarray:
    """The definition, term by term: least squares, then sums over all positions."""
    places = np.array(list(np.ndindex(patch.shape)), float)
    axes = patch.ndim
    columns = [np.ones(len(places)), *places.T]
    columns += [places[:, a] * places[:, b] for a in range(axes) for b in range(a, axes)]
    design = np.stack(columns, axis=1)
    trend = design @ np.linalg.lstsq(design, patch.ravel(), rcond=None)[0]
    residue = patch.ravel() - trend
    power = np.empty(patch.shape)
    for frequency in product(*map(range, patch.shape)):
        phases = places @ (np.array(frequency) / patch.shape)
        power[frequency] = abs(np.sum(residue * np.exp(-2j * np.pi * phases))) ** 2
    return power * np.prod(spacing) / patch.size


@pytest.mark.parametrize(
    ("shape", "spacing"), [((9,), (0.5,)), ((6, 7), (0.7, 1.5)), ((4, 5, 6), (0.7, 0.8, 2.5))]
)
def test_the_noise_power_spectrum_equals_its_definition(
    shape: tuple[int, ...], spacing: tuple[float, ...]
) -> None:
    patches = 100 + np.random.default_rng(0).normal(size=(3, *shape))
    expected = np.mean([defined(patch, spacing) for patch in patches], axis=0)
    assert np.allclose(noise_power_spectrum(patches, spacing), expected, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("spacing", [(1.0, 1.0), (0.5, 2.0), (0.4, 0.9, 3.0)])
def test_white_noise_is_flat_and_integrates_to_its_variance(spacing: tuple[float, ...]) -> None:
    sides = (32, 32, 8)[: len(spacing)]
    patches = 7 * np.random.default_rng(1).normal(size=(400, *sides))
    power = noise_power_spectrum(patches, spacing)
    step = 1 / np.prod(np.multiply(sides, spacing))
    # The trend takes its share: 6 of 1024 terms, or 10 of 8192.
    assert power.sum() * step == pytest.approx(49, rel=0.01)
    high = power[(slice(6, -6),) * 2]
    assert high.mean() == pytest.approx(49 * np.prod(spacing), rel=0.01)
    assert high.std() / high.mean() < 0.06  # 1 / sqrt(400)


def test_anatomy_of_second_order_is_no_noise() -> None:
    x, y = np.meshgrid(np.arange(16.0), np.arange(20.0), indexing="ij")
    ramp = 1000 + 3 * x - 2 * y + 0.1 * x * y - 0.2 * y**2 + 0.3 * x**2
    assert noise_power_spectrum(ramp[None], (1.0, 1.0)).max() < 1e-15
    assert noise_power_spectrum(np.full((1, 16, 20), 0.1), (1.0, 1.0)).max() == 0


@pytest.mark.parametrize("axes", [AXIAL, ALL])
def test_twice_the_noise_is_6_db(axes: tuple[int, ...]) -> None:
    one, other = noise(48, 48, 16), noise(48, 48, 16, sigma=20)
    assert noise_distance(one, other, axes) == pytest.approx(20 * np.log10(2), abs=1e-3)
    assert noise_distance(one, other, axes) == noise_distance(other, one, axes)
    assert noise_distance(one, one, axes) == 0


@pytest.mark.parametrize("axes", [AXIAL, ALL])
def test_frequencies_are_in_mm(axes: tuple[int, ...]) -> None:
    """White noise of one spectral density at two spacings is the same, in the band of both."""
    fine, coarse = (0.6, 0.6, 1.0), (1.2, 1.0, 2.0)
    share = np.sqrt([np.prod([one[a] for a in axes]) for one in (fine, coarse)])
    one = noise(96, 96, 40, spacing=fine, sigma=10 / share[0])
    other = noise(48, 60, 24, spacing=coarse, sigma=10 / share[1], seed=1)
    assert noise_distance(one, other, axes) < 0.6
    same = noise(48, 60, 24, spacing=coarse, sigma=10 / share[0], seed=1)
    off = 20 * np.log10(share[1] / share[0])
    assert noise_distance(one, same, axes) == pytest.approx(off, abs=0.6)


def test_smoother_noise_is_farther_the_higher_the_frequency() -> None:
    from scipy.ndimage import gaussian_filter

    sharp = noise(96, 96, 24)
    blurred = sharp.with_data(gaussian_filter(sharp.data, (0, 0.6, 0.6, 0)))
    kernel = gaussian_filter(np.eye(1, 31, 15)[0], 0.6)
    # Its response along an axis, at k / 32 mm^-1 for k = 1 to 15.
    k = np.arange(1, 16) / 32
    response = kernel @ np.cos(2 * np.pi * np.outer(np.arange(-15, 16), k))
    expected = np.sqrt(np.mean((20 * np.log10(response)) ** 2))
    assert noise_distance(blurred, sharp, AXIAL) == pytest.approx(expected, rel=0.1)


def test_noise_between_slices_is_seen_in_3d_only() -> None:
    one = noise(48, 48, 24)
    other = one.with_data(np.cumsum(one.data, axis=3) / np.sqrt(np.arange(1, 25, dtype=np.float32)))
    assert noise_distance(other, one, AXIAL) < 1
    assert noise_distance(other, one, ALL) > 2


def test_silence() -> None:
    silent = Volume(np.full((1, 32, 32, 8), 50.0, np.float32))
    assert noise_distance(silent, silent, AXIAL) == 0
    assert noise_distance(silent, noise(32, 32, 8), AXIAL) == pytest.approx(100, abs=3)


@pytest.mark.parametrize("space", [(5, 5, 5), (32, 32, 1), (1, 32, 32)])
def test_what_is_too_small_has_no_value(space: tuple[int, ...]) -> None:
    assert np.isnan(noise_distance(noise(*space), noise(*space, seed=1), ALL))
