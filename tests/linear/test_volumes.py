"""The filter that brings a volume to another one's reconstruction kernel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

pytest.importorskip("scipy")

from scipy import ndimage

from impasto.linear.volume_noise import drawn_noise, missing_noise
from impasto.linear.volumes import body_of, filtered, kernel_gain, linear_volume
from impasto.media.volumes.volume import Volume
from tests.linear.phantoms import SPACE, body, phantom

SOFT, SHARP = 1.2, 0.8
EXPONENTS = st.floats(-60, 60)


def off(result: Volume, truth: Volume) -> float:
    """RMS in the body."""
    return float(np.sqrt(np.mean((result.data[0] - truth.data[0])[body(result.space)] ** 2)))


def oracle(values: np.ndarray, spacing: tuple[float, ...], exponent: float) -> np.ndarray:
    """Within slices: values mirrored at each border, a Fourier transform of the whole, float64."""
    mirrored = values.astype(np.float64)
    for axis in (0, 1):
        mirrored = np.concatenate([mirrored, np.flip(mirrored, axis)], axis)
    grids = np.meshgrid(*map(np.fft.fftfreq, mirrored.shape[:2], spacing[:2]), indexing="ij")
    g = np.exp(exponent * (grids[0] ** 2 + grids[1] ** 2))
    gain = g / (1 + (g / 8) ** 8) * (1 + 8.0**-8)
    spectrum = np.fft.fft2(mirrored, axes=(0, 1)) * gain[..., None]
    return np.asarray(np.fft.ifft2(spectrum, axes=(0, 1)).real)[
        : values.shape[0], : values.shape[1]
    ]


@pytest.mark.parametrize("exponent", [-3.0, 0.8, 5.0])
def test_the_filter_equals_its_definition(exponent: float) -> None:
    values = np.random.default_rng(0).normal(size=(14, 11, 3)).astype(np.float32)
    spacing = (0.7, 0.9, 2.0)
    found = filtered(values, spacing, (0, 1), exponent)
    np.testing.assert_allclose(found, oracle(values, spacing, exponent), atol=2e-5)


@given(exponent=EXPONENTS, axes=st.sampled_from([(0, 1), (2,), (0, 2)]), seed=st.integers(0, 99))
@settings(max_examples=30, deadline=None)
def test_the_filter_keeps_means_and_is_linear(
    exponent: float, axes: tuple[int, ...], seed: int
) -> None:
    one, other = np.random.default_rng(seed).normal(size=(2, 9, 8, 10)).astype(np.float32)
    first, second, both = (
        filtered(v, (1.0, 1.5, 2.0), axes, exponent) for v in (one, other, 100 + one - 2 * other)
    )
    np.testing.assert_allclose(first.mean(axes), one.mean(axes), atol=1e-5)
    np.testing.assert_allclose(both, 100 + first - 2 * second, atol=2e-3)
    assert np.square(first).sum() <= 5.5**2 * np.square(one).sum()


@given(exponent=EXPONENTS, frequency=st.floats(0, 4))
@settings(deadline=None)
def test_no_gain_runs_away(exponent: float, frequency: float) -> None:
    start, gain = kernel_gain(np.array([0.0, frequency**2]), exponent)
    assert start == pytest.approx(1, abs=1e-12)
    assert 0 <= gain <= 5.5
    wanted = np.exp(exponent * frequency**2)
    assert gain <= wanted * (1 + 1e-6)
    if wanted < 4:
        assert gain == pytest.approx(wanted, rel=0.01)


@pytest.mark.parametrize("noise", [0.0, 10.0])
def test_the_same_kernel_leaves_the_content_as_it_is(noise: float) -> None:
    content = phantom(SHARP, noise)
    itself = linear_volume(content, [content], [1.0])
    np.testing.assert_array_equal(itself.data, content.data)
    other = linear_volume(content, [phantom(SHARP, noise, 1)], [1.0])
    np.testing.assert_allclose(other.data, content.data, atol=3)


@pytest.mark.parametrize(
    ("own", "other", "left"), [(SOFT, SHARP, 0.4), (SHARP, SOFT, 0.25)], ids=["sharper", "softer"]
)
@pytest.mark.parametrize("seed", [1, 2])
def test_the_style_of_another_anatomy_brings_its_kernel(
    own: float, other: float, left: float, seed: int
) -> None:
    content, truth = phantom(own), phantom(other)
    result = linear_volume(content, [phantom(other, seed=seed)], [1.0])
    assert off(result, truth) < left * off(content, truth)


def test_the_size_of_voxels_does_not_matter() -> None:
    affine = np.diag([0.4, 0.4, 1.0, 1.0])
    pair = phantom(SHARP), phantom(SOFT, seed=1)
    small = [replace(volume, affine=affine) for volume in pair]
    np.testing.assert_allclose(
        linear_volume(small[0], small[1:], [1.0]).data,
        linear_volume(pair[0], pair[1:], [1.0]).data,
        atol=0.1,
    )


def test_slices_may_run_across_any_axis() -> None:
    pair = phantom(SHARP), phantom(SOFT, seed=1)
    expected = linear_volume(pair[0], pair[1:], [1.0]).data[0]
    turned = [
        replace(
            v, data=np.ascontiguousarray(v.data.swapaxes(1, 3)), affine=v.affine[:, [2, 1, 0, 3]]
        )
        for v in pair
    ]
    found = linear_volume(turned[0], turned[1:], [1.0]).data[0]
    np.testing.assert_allclose(found.swapaxes(0, 2), expected, atol=0.1)


@pytest.mark.parametrize(("own", "other"), [(SOFT, SHARP), (SHARP, SOFT)])
def test_tissues_keep_their_means_and_the_surroundings_their_bits(own: float, other: float) -> None:
    content = phantom(own, 5.0)
    result = linear_volume(content, [phantom(other, 5.0, 1)], [1.0])
    outside = ~body_of(content)
    assert outside.mean() > 0.2
    np.testing.assert_array_equal(result.data[0][outside], content.data[0][outside])
    muscle = ndimage.binary_erosion(abs(phantom(0.8).data[0] - 40) < 1, iterations=2)
    assert muscle.sum() > 1000
    for mask in (muscle, ndimage.binary_erosion(body(), iterations=3)):
        assert abs((result.data[0] - content.data[0])[mask].mean()) < 1
    assert result.data.min() >= content.data.min()


def test_padding_and_holes_stay_and_do_not_leak() -> None:
    content, style = phantom(SHARP), phantom(SOFT, seed=1)
    expected = linear_volume(content, [style], [1.0])
    holes = np.zeros(SPACE, np.bool_)
    holes[38:42, 34:38, 8:12] = True
    x, y, _ = np.meshgrid(*(np.linspace(-1, 1, side) for side in SPACE), indexing="ij")
    padding = np.hypot(x, y) > 1.0
    values = np.where(holes, -5000, np.where(padding, -3024, content.data[0])).astype(np.float32)
    result = linear_volume(replace(content, data=values[None], holes=holes), [style], [1.0])
    np.testing.assert_array_equal(result.data[0][holes | padding], values[holes | padding])
    far = body() & ~ndimage.binary_dilation(holes, iterations=6)
    assert np.sqrt(np.square(result.data[0] - expected.data[0])[far].mean()) < 5
    near = ndimage.binary_dilation(holes, iterations=2) & ~holes
    assert result.data[0][near].min() > -1000


@pytest.mark.parametrize(
    ("own", "other"), [(SOFT, SHARP), (SHARP, SOFT)], ids=["sharper", "softer"]
)
@pytest.mark.parametrize("turned", [False, True])
def test_the_border_of_the_field_of_view_is_no_edge(own: float, other: float, turned: bool) -> None:
    x, y, _ = np.meshgrid(*(np.arange(side) - (side - 1) / 2 for side in SPACE), indexing="ij")
    radius = np.hypot(x, y)

    def cut(volume: Volume) -> Volume:
        values = np.where(radius < 36, volume.data[0], -1000)  # through the body
        if not turned:
            return volume.with_data(values[None])
        data = np.ascontiguousarray(values.swapaxes(0, 2)[None])
        return replace(volume, data=data, affine=volume.affine[:, [2, 1, 0, 3]])

    content, truth, style = phantom(own), phantom(other), phantom(other, seed=1)
    found = linear_volume(cut(content), [cut(style)], [1.0]).data[0]
    found = found.swapaxes(0, 2) if turned else found
    np.testing.assert_array_equal(found[radius > 37], -1000)
    for near, left in (((radius > 33) & (radius < 35.5), 0.9), (radius < 33, 0.4)):
        error, before = (
            np.sqrt(np.square((values - truth.data[0])[near]).mean())
            for values in (found, content.data[0])
        )
        assert error < left * before


@pytest.mark.parametrize("slices", [1, 3, 9])
def test_few_slices_are_enough(slices: int) -> None:
    content, style, truth = (
        phantom(blur, seed=seed, space=(112, 104, slices))
        for blur, seed in ((SHARP, 0), (SOFT, 1), (SOFT, 0))
    )
    result = linear_volume(content, [style], [1.0])
    assert off(result, truth) < 0.5 * off(content, truth)


def test_few_slices_do_not_tell_their_thickness() -> None:
    content, style = phantom(SHARP, 5.0), phantom(SHARP, 5.0, 1)
    thick = style.with_data(ndimage.gaussian_filter1d(style.data, 1.0, axis=3))
    result = linear_volume(content, [thick], [1.0])
    change = (result.data - content.data)[0][body()]
    assert np.sqrt(np.square(change).mean()) < 5


@pytest.mark.parametrize("space", [(1, 1, 1), (5, 6, 7), (40, 3, 3), (12, 12, 4)])
def test_too_little_to_compare_changes_nothing(space: tuple[int, int, int]) -> None:
    one, other = (np.random.default_rng(n).normal(size=(1, *space)) for n in range(2))
    content, style = (Volume(values.astype(np.float32)) for values in (one, other))
    np.testing.assert_array_equal(linear_volume(content, [style], [1.0]).data, content.data)


def test_shares_mix_kernels() -> None:
    content, soft, same = phantom(SHARP), phantom(SOFT, seed=1), phantom(SHARP, seed=2)
    changes = [
        np.square(linear_volume(content, [soft, same], shares).data - content.data).mean()
        for shares in ([1.0, 0.0], [0.5, 0.5], [0.0, 1.0])
    ]
    assert changes[0] > 1.5 * changes[1] > 0
    assert changes[2] < 0.01 * changes[1]


def test_noise_that_is_missing_is_drawn_and_no_anatomy() -> None:
    content = phantom(SHARP, 2.0)
    result = linear_volume(content, [phantom(SHARP, 20.0, 1)], [1.0])
    inner = ndimage.binary_erosion(body(), iterations=3)
    added = (result.data[0] - content.data[0])[inner]
    assert added.std() == pytest.approx(20, rel=0.25)
    assert abs(added.mean()) < 1
    again = linear_volume(content, [phantom(SHARP, 20.0, 1)], [1.0])
    np.testing.assert_array_equal(result.data, again.data)
    calm = linear_volume(phantom(SHARP, 20.0), [phantom(SHARP, 2.0, 1)], [1.0])
    assert off(calm, phantom(SHARP, 20.0)) < 3  # noise cannot be taken away without blur


@pytest.mark.parametrize(("dose", "kept"), [(0.6, 1.0), (1.0, 1.0), (5.0, 5.0), (60.0, 1.0)])
def test_a_noisier_patient_is_no_kernel(dose: float, kept: float) -> None:
    white = np.random.default_rng(0).normal(size=(2, 400, 16, 16, 8))
    lost = [ndimage.gaussian_filter(each, (0, 0.5, 0.5, 0), mode="wrap") for each in white]
    fast = np.hypot(*np.meshgrid(*(16 * np.fft.fftfreq(16),) * 2, indexing="ij"))[..., None] > 7
    waves = np.fft.fft2(lost[0], axes=(1, 2)) * np.where(fast, 0.1, 1.0)
    ours = np.fft.ifft2(waves, axes=(1, 2)).real.astype(np.float32)
    theirs = (np.sqrt(dose) * lost[1]).astype(np.float32)
    power = missing_noise(ours, theirs)
    expected = dose / kept * (np.abs(np.fft.fftn(lost[1], axes=(1, 2, 3))) ** 2).mean(0) / 2048
    well = np.broadcast_to(ndimage.binary_erosion(fast, np.ones((3, 3, 1))), power.shape)
    assert power[well].mean() == pytest.approx(expected[well].mean(), rel=0.2)


@pytest.mark.parametrize("sides", [(16, 16, 8), (16, 16, 1)])
def test_noise_is_drawn_with_the_spectrum_of_the_style(sides: tuple[int, int, int]) -> None:
    rng = np.random.default_rng(0)
    shape = (400, *sides)
    white = rng.normal(size=shape)
    smooth = ndimage.gaussian_filter(white, (0, 1, 1, 0), mode="wrap")
    theirs = (white - smooth).astype(np.float32)
    power = missing_noise(np.zeros_like(theirs), theirs)
    expected = (np.abs(np.fft.fftn(theirs, axes=(1, 2, 3))) ** 2).mean(0) / np.prod(sides)
    fast = power > 0
    assert fast.mean() > 0.5
    assert power[fast].mean() == pytest.approx(expected[fast].mean(), rel=0.1)
    assert np.median(abs(np.log(power[fast] / expected[fast]))) < 0.2
    noise = drawn_noise(power, (48, 48, sides[2] * 3 if sides[2] > 1 else 1))
    assert noise.var() == pytest.approx(power.mean(), rel=0.1)
    waves = np.abs(np.fft.fft2(noise, axes=(0, 1)))
    assert waves[20:28, 20:28].mean() > 2 * waves[:3, :3, :2].mean()  # 48 / 2 is the fastest
