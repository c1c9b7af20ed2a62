"""The metrics of volumes, and the region that they look at."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from impasto.errors import ConfigError, SampleError
from impasto.media.sample import Sample
from impasto.media.volumes.volume import Volume
from impasto.metrics import Comparison, Row, compare, grams
from impasto.metrics.regions import check_region, even_region, part
from impasto.metrics.texture import flicker, roughness
from tests.signals import heartbeats, signal

pytest.importorskip("nibabel")
pytest.importorskip("skimage")

SPACE = 48, 40, 32
AFFINE = np.diag([-2.0, -2.0, 2.5, 1.0])


def body(sigma: float = 10.0, seed: int = 0, space: tuple[int, ...] = SPACE, **more: Any) -> Volume:
    """Air around tissue of 40, a lung of -800 and a bone of 900 in it, under noise."""
    x, y, z = (np.linspace(-1, 1, side) for side in space)
    across = x[:, None, None] ** 2 + y[:, None] ** 2 + 0 * z
    values = np.where(across < 0.9, 40.0, -1000.0)
    values[(abs(x[:, None, None] + 0.5) < 0.2) & (abs(y[:, None]) < 0.3) & (z > 0.0)] = -800
    values[(abs(x[:, None, None] - 0.4) < 0.1) & (abs(y[:, None]) < 0.1) & (z < 2)] = 900
    values += sigma * np.random.default_rng(seed).normal(size=space)
    return Volume(values[None].astype(np.float32), **({"affine": AFFINE} | more))


@pytest.fixture(autouse=True)
def few_slices(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gram matrices of some slices only, which is faster."""
    monkeypatch.setattr(grams, "SLICES", 4)


CONTENT, STYLE = body(), body(30, seed=1)


def rows(comparison: Comparison) -> dict[str, Row]:
    return {row.metric: row for row in comparison.rows}


def test_the_metrics_of_volumes_are_these() -> None:
    comparison = compare(CONTENT, CONTENT, STYLE)
    assert [(row.metric, row.unit, row.against, row.better) for row in comparison.rows] == [
        ("SSIM", "", "content", "higher"),
        ("PSNR", "dB", "content", "higher"),
        ("flicker along z", "", "content", "lower"),
        ("histogram distance", "", "style", "lower"),
        ("Gram distance across x", "", "style", "lower"),
        ("Gram distance across y", "", "style", "lower"),
        ("Gram distance across z", "", "style", "lower"),
        ("Gram, largest over smallest", "", "style", "lower"),
        ("noise power spectrum, axial", "dB", "style", "lower"),
        ("noise power spectrum, 3-D", "dB", "style", "lower"),
        ("roughness along x", "", "style", "one"),
        ("roughness along y", "", "style", "one"),
        ("roughness along z", "", "style", "one"),
        ("roughness, largest over smallest", "", "style", "lower"),
        ("flicker in the region", "", "style", "one"),
    ]
    assert comparison.leads == ()
    assert comparison.regions == (even_region(CONTENT), even_region(STYLE))


def test_the_content_itself_is_the_no_op() -> None:
    for row in compare(CONTENT, CONTENT, STYLE).rows:
        assert row.result == row.no_op
    found = rows(compare(CONTENT, CONTENT, STYLE))
    assert found["SSIM"].result == found["flicker along z"].result == 1
    assert found["PSNR"].result == math.inf
    for n, axis in enumerate("xyz"):
        # A third of the style's noise, as much as there is in these regions.
        assert found[f"roughness along {axis}"].result == pytest.approx(1 / 3, rel=0.05), n
    assert found["flicker in the region"].result == pytest.approx(1 / 3, rel=0.1)
    for name in ("noise power spectrum, axial", "noise power spectrum, 3-D"):
        assert found[name].result == pytest.approx(20 * np.log10(3), abs=1)
        assert found[name].floor < 1.5


def test_the_style_itself_is_at_no_distance() -> None:
    found = rows(compare(STYLE, CONTENT, STYLE, style_region=even_region(CONTENT)))
    for name in (
        "histogram distance",
        "Gram distance across x",
        "Gram distance across z",
        "noise power spectrum, axial",
        "noise power spectrum, 3-D",
    ):
        assert found[name].result == 0
    for name in (
        "roughness along x",
        "roughness along z",
        "roughness, largest over smallest",
        "flicker in the region",
    ):
        assert found[name].result == 1
    assert 0 < found["SSIM"].result < 1


def test_gram_matrices_tell_the_noise_across_each_axis() -> None:
    found = rows(compare(body(30, seed=2), CONTENT, STYLE, window=("mediastinum",)))
    for axis in "xyz":
        row = found[f"Gram distance across {axis}"]
        assert row.result < 0.1 * row.no_op
    assert found["Gram, largest over smallest"].no_op < 2


def test_psnr_and_histogram_in_numbers() -> None:
    out = CONTENT.with_data(CONTENT.data + 20)
    found = rows(compare(out, CONTENT, CONTENT))
    span = np.ptp(CONTENT.data)
    assert found["PSNR"].result == pytest.approx(20 * np.log10(span / 20), abs=1e-3)
    assert found["histogram distance"].result == pytest.approx(20, rel=1e-4)
    assert found["histogram distance"].no_op == 0


def test_slices_that_do_not_follow_flicker() -> None:
    steps = 40 * np.random.default_rng(2).normal(size=(1, 1, 1, SPACE[2]))
    found = rows(compare(CONTENT.with_data(CONTENT.data + np.float32(steps)), CONTENT, STYLE))
    assert found["flicker along z"].result > 2
    assert found["roughness, largest over smallest"].result > 2
    assert found["Gram, largest over smallest"].result > 2
    assert found["roughness along z"].result > 2 * found["roughness along x"].result


def test_flicker_and_roughness_against_sums() -> None:
    values = np.random.default_rng(0).normal(size=(4, 5, 6)).astype(np.float32)
    second = [
        abs(values[x, y, z + 1] - 2 * values[x, y, z] + values[x, y, z - 1])
        for x in range(4)
        for y in range(5)
        for z in range(1, 5)
    ]
    assert flicker(values) == pytest.approx(np.mean(second), rel=1e-5)
    along_y = [
        abs(values[x, y + 1, z] - values[x, y, z])
        for x in range(4)
        for y in range(4)
        for z in range(6)
    ]
    assert roughness(values)[1] == pytest.approx(np.mean(along_y), rel=1e-5)
    assert np.isnan(roughness(values[:, :1])[1])
    assert np.isnan(flicker(values[..., :2]))


def turned(sample: Volume, axes: tuple[int, ...], reverse: int) -> Volume:
    """The same volume stored with its axes in another order, one of them the other way."""
    data = np.flip(sample.data.transpose(0, *(axis + 1 for axis in axes)), reverse + 1)
    matrix = np.eye(4)[:, [*axes, 3]]
    flip = np.eye(4)
    flip[reverse, reverse], flip[reverse, 3] = -1, data.shape[reverse + 1] - 1
    return Volume(np.ascontiguousarray(data), affine=sample.affine @ matrix @ flip)


def test_how_axes_are_stored_does_not_count() -> None:
    out = body(20, seed=5)
    region = 30, 42, 4, 30, 2, 20
    expected = rows(compare(out, CONTENT, STYLE, region, region))
    stored = turned(out, (2, 0, 1), 1), turned(STYLE, (1, 2, 0), 0)
    x0, x1, y0, y1, z0, z1 = region
    theirs = SPACE[1] - y1, SPACE[1] - y0, z0, z1, x0, x1
    found = rows(compare(stored[0], CONTENT, stored[1], region, theirs))
    for name, row in expected.items():
        assert found[name].result == pytest.approx(row.result, rel=1e-4), name
        assert found[name].floor == pytest.approx(row.floor, rel=1e-4, nan_ok=True), name


def test_styles_may_have_another_spacing() -> None:
    # Smooth noise, of one spectrum per mm^-1, over voxels half as large.
    from scipy.ndimage import gaussian_filter

    fine = body(0, space=(96, 80, 64), affine=np.diag([-1.0, -1.0, 1.25, 1.0]))
    grain = np.random.default_rng(3).normal(size=fine.data.shape)
    fine = fine.with_data(fine.data + np.float32(200 * gaussian_filter(grain, (0, 3, 3, 2.4))))
    coarse = fine.resampled((2.0, 2.0, 2.5))
    found = rows(compare(coarse, coarse, fine, (30, 44, 8, 32, 4, 28), (60, 88, 16, 64, 8, 56)))
    assert found["noise power spectrum, axial"].result < 1.5
    for axis in "xyz":
        assert found[f"roughness along {axis}"].result == pytest.approx(1, abs=0.1)


def test_a_style_that_is_no_hu_is_brought_onto_the_content() -> None:
    gray = STYLE.with_data((STYLE.data + 1000) / 8)
    found = rows(compare(STYLE, STYLE, gray))
    assert found["histogram distance"].result < 1
    assert found["noise power spectrum, 3-D"].result < 0.1
    assert found["Gram distance across z"].result < 1e-6
    soft = rows(compare(CONTENT, CONTENT, STYLE, window=("mediastinum",)))
    for name, row in rows(compare(CONTENT, CONTENT, STYLE)).items():
        if "Gram" not in name:
            assert soft[name].result == row.result
        elif "across" in name:
            assert soft[name].result > 2 * row.result  # the noise is small in a wide window


def test_the_region_is_even_tissue() -> None:
    for sample in (CONTENT, STYLE, turned(CONTENT, (2, 0, 1), 1)):
        values = part(sample, even_region(sample)).data
        assert values.mean() == pytest.approx(40, abs=3)
        assert values.std() < 40
    # Less noise in a part of the tissue draws the region there.
    quiet = CONTENT.data.copy()
    quiet[..., :18] = 40 + (quiet[..., :18] - 40) * 0.8
    assert even_region(CONTENT.with_data(quiet))[5] <= 19


def test_what_a_stored_type_cuts_off_is_no_region() -> None:
    data = CONTENT.data.copy()
    low = data[..., :16]
    low[low > -500] = 200
    sample = CONTENT.with_data(data)
    assert part(sample, even_region(sample)).data.std() > 1


def test_a_part_is_where_it_was() -> None:
    piece = part(CONTENT, (3, 10, 4, 20, 5, 30))
    assert piece.space == (7, 16, 25)
    assert (piece.affine @ [1, 2, 3, 1]).tolist() == (CONTENT.affine @ [4, 6, 8, 1]).tolist()
    assert piece.data[0, 1, 2, 3] == CONTENT.data[0, 4, 6, 8]


@pytest.mark.parametrize(
    "region",
    [
        (0, 10, 0, 10),
        (0, 10, 0, 10, 0, 33),
        (-1, 10, 0, 10, 0, 10),
        (10, 0, 0, 10, 0, 10),
        (0, 3, 0, 10, 0, 10),
    ],
)
def test_regions_that_cannot_be(region: tuple[int, ...]) -> None:
    with pytest.raises(ConfigError, match="0 48 0 40 0 32"):
        check_region(region, CONTENT)
    with pytest.raises(ConfigError, match="--region: "):
        compare(CONTENT, CONTENT, STYLE, region)
    with pytest.raises(ConfigError, match="--style-region: "):
        compare(CONTENT, CONTENT, STYLE, (), region)


def test_results_on_another_grid_are_refused() -> None:
    affine = AFFINE.copy()
    affine[0, 3] = 1
    smaller = CONTENT.with_data(CONTENT.data[..., :-1])
    for out in (Volume(CONTENT.data, affine=affine), smaller):
        with pytest.raises(SampleError, match="over the content's"):
            compare(out, CONTENT, STYLE)


def test_an_array_lies_where_the_content_does() -> None:
    out = Sample(CONTENT.data)
    for row in compare(out, CONTENT, STYLE).rows:
        assert row.result == row.no_op
    with pytest.raises(SampleError, match="over the content's"):
        compare(Sample(CONTENT.data[..., 1:]), CONTENT, STYLE)


def test_other_kinds_are_refused() -> None:
    ecg = signal([heartbeats(5)], 250.0)
    several = Sample(np.zeros((2, 8, 8, 8), np.float32))
    for other in (ecg, several):
        with pytest.raises(SampleError, match="or three volumes"):
            compare(CONTENT, CONTENT, other)
    for settings in ({"region": (0, 4, 0, 4, 0, 4)}, {"window": ("lung",)}):
        with pytest.raises(ConfigError, match=r"leave --region out|leave --window out"):
            compare(ecg, ecg, ecg, **settings)


@pytest.mark.parametrize("space", [(48, 40, 1), (48, 40, 2), (1, 1, 1), (9, 9, 9), (2, 60, 60)])
def test_few_slices_are_no_error(space: tuple[int, ...]) -> None:
    flat = Volume(np.ones((1, *space), np.float32))
    found = compare(flat, flat, flat)
    assert all(isinstance(row.result, float) for row in found.rows)
    noisy = [body(10, seed, (48, 40, space[2])) for seed in range(2)]
    assert rows(compare(noisy[0], noisy[0], noisy[1]))["PSNR"].result == math.inf


def test_a_real_chest(shared: Path) -> None:
    from impasto import media

    chest = media.load(shared / "volumes" / "ct_chest_256.nii.gz")
    assert isinstance(chest, Volume)
    values = part(chest, even_region(chest)).data
    assert 0 < values.mean() < 100  # soft tissue
    assert values.std() < 20
