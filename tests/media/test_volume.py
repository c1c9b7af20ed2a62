"""Volumes: what must fit together, and other grids."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import ndimage

from impasto.errors import SampleError
from impasto.media import Volume
from tests.media.memory import on_linux, printed
from tests.media.volumes import TILTED, volume


def places(of: Volume) -> np.ndarray:
    """Where the voxels lie, in mm; shape (3, x, y, z)."""
    index = np.stack(np.meshgrid(*map(np.arange, of.space), indexing="ij"))
    return np.asarray(
        np.tensordot(of.affine[:3, :3], index, 1) + of.affine[:3, 3, None, None, None]
    )


def wave(at: np.ndarray) -> np.ndarray:
    """A smooth function of the place in mm."""
    x, y, z = at
    return np.asarray(np.sin(x / 5) + np.cos(y / 6) * np.sin(z / 7), np.float32)[None]


def waving(affine: np.ndarray, *space: int) -> Volume:
    empty = Volume(data=np.zeros((1, *space), np.float32), affine=affine)
    return empty.with_data(wave(places(empty)))


def test_spacing() -> None:
    assert volume().spacing == pytest.approx((0.8, 0.9, 1.2))
    assert volume().dims == 3
    assert volume().weight is None


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"data": np.zeros((2, 4, 5, 6), np.float32)}, r"shape \(1, x, y, z\), found \(2, 4"),
        ({"data": np.zeros((1, 4, 5), np.float32)}, r"shape \(1, x, y, z\), found \(1, 4, 5\)"),
        ({"affine": np.diag([1.0, 1, 0, 1])}, "singular or not finite: 1 0 0 0; 0 1 0 0; 0 0 0 0"),
        ({"affine": np.ones((4, 4))}, "singular or not finite"),
        ({"affine": np.diag([1.0, np.nan, 1, 1])}, "singular or not finite"),
        ({"affine": np.diag([1.0, 1, 1, 2])}, "singular or not finite"),
        ({"slope": 0.0}, "a finite slope other than 0"),
        ({"intercept": float("nan")}, "a finite slope other than 0"),
        ({"data": np.full((1, 4, 5, 6), np.nan, np.float32)}, "found 120 that are NaN or infinite"),
    ],
)
def test_what_does_not_fit_together(change: dict[str, object], words: str) -> None:
    with pytest.raises(SampleError, match=words):
        volume(**change)


def test_tiny_and_mirrored_voxels_are_as_good_as_others() -> None:
    assert volume(affine=np.diag([-1e-6, 2e-6, 1e-6, 1])).spacing == pytest.approx(
        (1e-6, 2e-6, 1e-6)
    )


def test_other_values_over_another_grid_fill_the_same_box() -> None:
    whole = volume(12, 10, 8)
    coarse = whole.with_data(np.zeros((1, 6, 5, 8), np.float32))
    corners = np.array([(-0.5, -0.5, -0.5, 1), (5.5, 4.5, 7.5, 1)])
    same = np.array([(-0.5, -0.5, -0.5, 1), (11.5, 9.5, 7.5, 1)])
    assert np.allclose(coarse.affine @ corners.T, whole.affine @ same.T)
    assert coarse.spacing == pytest.approx((1.6, 1.8, 1.2))


def test_resampled_values_are_those_of_the_places() -> None:
    whole = waving(TILTED, 50, 46, 40)
    fine = whole.resampled((0.7, 0.7, 0.7))
    assert fine.spacing == pytest.approx((0.7, 0.7, 0.7))
    assert fine.space == (57, 59, 69)
    middle = [places(of).mean(axis=(1, 2, 3)) for of in (whole, fine)]
    assert np.allclose(*middle)
    inner = (0, *(slice(8, -8),) * 3)
    assert np.abs(fine.data - wave(places(fine)))[inner].max() < 2e-4
    again = fine.onto(whole)
    assert np.array_equal(again.affine, whole.affine)
    assert np.abs(again.data - whole.data)[inner].max() < 4e-4


def test_a_grid_in_other_directions() -> None:
    whole = waving(TILTED, 60, 60, 60)
    turned = np.eye(4)
    turned[:3, :3] = np.array([[0, -1, 0], [0, 0, 1.1], [0.9, 0, 0]])
    turned[:3, 3] = places(whole)[:, 30, 30, 30] - turned[:3, :3] @ (6, 6, 6)
    other = volume(12, 12, 12, affine=turned)
    moved = whole.onto(other)
    assert moved.space == other.space
    assert np.abs(moved.data - wave(places(moved))).max() < 2e-4


def test_boxes_give_what_the_whole_would(monkeypatch: pytest.MonkeyPatch) -> None:
    sample = volume(40, 32, 24)
    for spacing in (0.7, 2.5, (0.8, 3.0, 0.5)):
        monkeypatch.setattr("impasto.media.volumes.volume._BOX", (64, 64, 64))
        whole = sample.resampled(spacing)
        monkeypatch.setattr("impasto.media.volumes.volume._BOX", (7, 7, 7))
        monkeypatch.setattr("impasto.media.blocks._BLOCK", 400)
        boxes = sample.resampled(spacing)
        assert np.abs(boxes.data - whole.data).max() < 1e-3
        factors = np.array(whole.spacing) / sample.spacing
        near = ndimage.gaussian_filter(
            sample.data[0], np.maximum(0, factors - 1) / 2, mode="nearest"
        )
        offset = np.linalg.solve(sample.affine, whole.affine)[:3, 3]
        plain = ndimage.affine_transform(
            near, factors, offset, whole.space, order=3, mode="nearest"
        )
        assert np.abs(whole.data[0] - plain).max() < 1e-3


def test_the_same_grid_is_the_same_volume() -> None:
    sample = volume()
    assert sample.onto(sample) is sample
    assert sample.resampled((0.8, 0.9, 1.2)).space == sample.space


def test_voxels_larger_than_the_volume_and_spacings_of_nothing() -> None:
    one = volume(4, 4, 4).resampled(100)
    assert one.space == (1, 1, 1)
    assert abs(float(one.data[0, 0, 0, 0]) - float(volume(4, 4, 4).data.mean())) < 300
    for spacing in (0, -1, float("nan"), (1, 1, 0)):
        with pytest.raises(SampleError, match="a spacing above 0 mm"):
            volume().resampled(spacing)


GROWTH = """
from impasto.media.volumes.volume import Volume
Volume(np.ones((1, 20, 20, 20), np.float32)).resampled(0.7)
volume = Volume(np.ones((1, 300, 300, 300), np.float32), affine=np.diag([0.7, 0.7, 1.4, 1]))
before = peak()
finer = volume.resampled(0.8)
assert 0.9999 < finer.data.min() <= finer.data.max() < 1.0001
print(peak() - before - finer.data.nbytes / 2**20)
"""


@pytest.mark.slow
@pytest.mark.slow
@on_linux
def test_memory_beside_the_array() -> None:
    assert printed(GROWTH) < 80
