"""Tissues, edges, emphysema and co-occurrence of a CT of known values."""

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("skimage")
pytest.importorskip("nibabel")

from scipy import ndimage

from impasto.media.volumes.volume import Volume
from impasto.metrics.tissues import TISSUES, Trait, compare_kernels, edge_width, tissues

AFFINE = np.diag([1.5, 1.5, 3.0, 1.0])
SPACE = (96, 90, 6)


def chest(noise: float = 0.0, blur: float = 0.0, seed: int = 0) -> Volume:
    """A lung of -860 HU in muscle of 50, with fat around and a bone, in air."""
    x, y, _ = np.meshgrid(*(np.linspace(-1, 1, side) for side in SPACE), indexing="ij")
    values = np.full(SPACE, -1000.0)
    for radius, inside in ((0.9, -90.0), (0.75, 50.0), (0.45, -860.0)):
        values[np.hypot(x, y) < radius] = inside
    values[np.hypot(x - 0.6, y) < 0.1] = 400.0
    values = ndimage.gaussian_filter(values, (blur, blur, 0))
    values += noise * np.random.default_rng(seed).normal(size=SPACE)
    return Volume(values[None].astype(np.float32), affine=AFFINE, unit="HU")


def named(traits: Iterable[Trait]) -> dict[str, Trait]:
    return {trait.name: trait for trait in traits}


def test_means_and_spreads_are_those_of_the_tissues() -> None:
    found = named(compare_kernels(chest(5.0), chest(20.0), chest(10.0, seed=1)))
    for name, mean in zip(TISSUES, (-860, -90, 50, 400), strict=True):
        trait, spread = found[name], found[f"{name}, spread"]
        for value in (trait.before, trait.after, trait.style):
            assert value == pytest.approx(mean, abs=6)
        if name != "bone":  # of few voxels
            assert spread.before == pytest.approx(5, rel=0.1)
            assert spread.after == pytest.approx(20, rel=0.1)
            assert spread.style == pytest.approx(10, rel=0.1)


def test_the_emphysema_index_is_the_share_of_a_normal_distribution() -> None:
    for noise in (45.0, 90.0):
        trait = named(compare_kernels(chest(), chest(noise), chest()))["LAA-950"]
        share = 50 * math.erfc(90 / noise / math.sqrt(2))
        assert trait.before == 0
        assert trait.after == pytest.approx(share, rel=0.15)


@pytest.mark.parametrize("blur", [1.0, 1.5])
def test_the_width_of_an_edge_is_that_of_its_gaussian(blur: float) -> None:
    volume = chest(5.0, blur)
    expected = 2 * 1.2816 * math.hypot(blur, 0.4) * 1.5  # with the voxel, in mm
    assert edge_width(volume, tissues(volume)["air in the body"]) == pytest.approx(
        expected, rel=0.12
    )


def test_co_occurrence_follows_noise() -> None:
    found = named(compare_kernels(chest(5.0), chest(30.0), chest(5.0, seed=1)))
    contrast, correlation, energy = (
        found[f"GLCM {name} of soft tissue"] for name in ("contrast", "correlation", "energy")
    )
    # Independent neighbors: twice the variance, in grays of 25 HU, and that of rounding.
    assert contrast.after == pytest.approx(2 * ((30 / 25) ** 2 + 1 / 12), rel=0.05)
    assert abs(correlation.after) < 0.03
    assert energy.after < energy.before
    assert contrast.style == pytest.approx(contrast.before, rel=0.1)


def test_tissues_do_not_overlap_and_leave_edges_out() -> None:
    masks = tissues(chest(10.0))
    assert np.sum(list(masks.values()), axis=0).max() == 1
    values = chest().data[0]
    for name, mean in zip(TISSUES, (-860, -90, 50, 400), strict=True):
        assert mask_is(values[masks[name]], mean), name


def mask_is(values: np.ndarray, mean: float) -> bool:
    return values.size > 50 and bool((values == mean).all())


def test_what_is_not_there_is_nan() -> None:
    muscle = Volume(np.full((1, 20, 20, 5), 40, np.float32), unit="HU")
    found = named(compare_kernels(muscle, muscle, muscle))
    assert found["soft tissue"].after == 40
    for name in ("fat", "bone, spread", "LAA-950", "edge width, 10 to 90 %"):
        assert math.isnan(found[name].after)


def test_the_axes_may_run_anywhere() -> None:
    straight, noisy = chest(8.0), chest(25.0)
    turned = [
        Volume(
            np.ascontiguousarray(np.flip(v.data, 2).transpose(0, 3, 1, 2)),
            affine=AFFINE @ np.array([[0, 1, 0, 0], [0, 0, -1, 89], [1, 0, 0, 0], [0, 0, 0, 1.0]]),
            unit="HU",
        )
        for v in (straight, noisy)
    ]
    expected = named(compare_kernels(straight, noisy, straight))
    for name, trait in named(compare_kernels(turned[0], turned[1], turned[0])).items():
        assert trait.after == pytest.approx(expected[name].after, rel=1e-5, nan_ok=True), name
