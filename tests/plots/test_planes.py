"""Planes of volumes: which way they are turned, how large they are, and what is in the rows."""

from __future__ import annotations

from itertools import permutations, product
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("nibabel")

from impasto.errors import ConfigError
from impasto.media.pictures.picture import open_picture
from impasto.media.sample import Sample
from impasto.media.volumes.volume import Volume
from impasto.plots import View, plot
from impasto.plots.planes import DIVERGING, PLANES, Page, Row, place_of, turned
from impasto.plots.planes_print import planes_figure
from impasto.plots.volume import page_of
from tests.media.volumes import TILTED, volume

SPACING = np.array([0.8, 1.0, 2.5])
CONTENT = volume(20, 24, 10)
ORDERS = list(permutations(range(3)))
SIGNS = list(product((1, -1), repeat=3))


def affine_of(order: tuple[int, ...], signs: tuple[int, ...], tilt: float = 0.0) -> np.ndarray:
    """Axes along those of the body in that order, either way, then all turned by some degrees."""
    c, s = np.cos(np.radians(tilt)), np.sin(np.radians(tilt))
    turn = np.array([[1, 0, 0], [0, c, -s], [0, s, c]]) @ [[c, -s, 0], [s, c, 0], [0, 0, 1]]
    affine = np.eye(4)
    affine[:3, :3] = turn @ np.eye(3)[:, order] * signs * SPACING
    return affine


def octants(affine: np.ndarray, space: tuple[int, int, int] = (8, 8, 8)) -> Volume:
    """1 on the right, 2 in front and 4 above, added up."""
    affine = affine.copy()
    affine[:3, 3] = -affine[:3, :3] @ (np.array(space) - 1) / 2
    places = np.indices(space).reshape(3, -1)
    right, front, above = affine[:3, :3] @ places + affine[:3, 3:] > 0
    values = 1 * right + 2 * front + 4 * above
    return Volume(values.reshape(1, *space).astype(np.float32), affine=affine)


def row_of(sample: Volume, **settings: Any) -> Row:
    return Row("a", turned(sample), place_of(turned(sample), None), (0, 7), **settings)


@pytest.mark.parametrize("tilt", [0, 10])
def test_planes_are_radiological_however_the_axes_run(tilt: int) -> None:
    for order, signs in product(ORDERS, SIGNS):
        row = row_of(octants(affine_of(order, signs, tilt)))
        corners = {}
        for plane in PLANES:
            image = row.image(plane).astype(int)
            corners[plane.name] = np.array([image[0, 0], image[0, -1], image[-1, 0], image[-1, -1]])
        # The third of right, front and above is that of the middle, on either side.
        assert (corners["axial"] & 3).tolist() == [3, 2, 1, 0]
        assert (corners["coronal"] & 5).tolist() == [5, 4, 1, 0]
        assert (corners["sagittal"] & 6).tolist() == [6, 4, 2, 0]


def test_letters_say_where_the_sides_are() -> None:
    for order, signs in product(ORDERS, SIGNS):
        row = row_of(octants(affine_of(order, signs)))
        assert row.ends == [("R", "L"), ("A", "P"), ("S", "I")]
    # 30 degrees around the axis from left to right
    tilted = row_of(volume(affine=TILTED))
    assert tilted.ends == [("R", "L"), ("AI", "PS"), ("SA", "IP")]


def test_a_place_in_mm_is_a_voxel() -> None:
    for order, tilt in product(ORDERS, (0, 20)):
        sample = turned(octants(affine_of(order, (1, -1, 1), tilt)))
        for place in ((0, 0, 0), (7, 3, 5)):
            at = sample.affine[:3] @ [*place, 1]
            assert place_of(sample, tuple(at + 0.1)) == place
    assert place_of(sample, None) == (4, 4, 4)


@pytest.mark.parametrize("at", [(30.0, 0.0, 0.0), (0.0, 0.0, -12.0), (float("nan"), 0.0, 0.0)])
def test_a_place_outside_is_refused(tmp_path: Path, at: tuple[float, float, float]) -> None:
    sample = octants(affine_of((0, 1, 2), (1, 1, 1)))
    with pytest.raises(ConfigError, match=r"--at.*-3 to 3, -4 to 4, -9 to 9 mm"):
        plot([sample], ["a"], tmp_path / "out.png", View(at=at))
    assert not list(tmp_path.iterdir())


def test_rows_are_content_style_result_and_difference() -> None:
    style = volume(8, 9, 7)
    result = CONTENT.with_data(CONTENT.data + 10)
    page = page_of([result, CONTENT, style], ["g", "c", "s"], View())
    assert [row.title for row in page.rows] == ["c", "s", "g", "g less c"]
    content, own, out, change = page.rows
    assert content.limits == out.limits == pytest.approx(np.percentile(CONTENT.data, (0.5, 99.5)))
    assert own.limits == content.limits  # both are in HU
    gray = style.with_data(np.abs(style.data))
    own = page_of([result, CONTENT, gray], ["g", "c", "s"], View(window=("lung",))).rows[1]
    assert own.limits == pytest.approx(np.percentile(gray.data, (0.5, 99.5)))
    assert change.limits == pytest.approx((-10.5, 10.5))
    assert [row.difference for row in page.rows] == [False, False, False, True]
    assert (change.volume.data == 10).all()
    named = page_of([result, CONTENT, style], ["g", "c", "s"], View(window=("lung",)))
    assert [row.limits for row in named.rows[:3]] == [(-1350, 150)] * 3


def test_others_cross_at_the_same_share_of_the_way() -> None:
    style = octants(affine_of((2, 0, 1), (1, -1, 1)), (16, 8, 32))
    content = octants(affine_of((0, 1, 2), (1, 1, 1)))
    page = page_of([content, style], ["c", "s"], View(at=(2.8, -3.5, 1.25)))
    first, second = page.rows
    assert first.place == (0, 7, 3)
    assert second.place == (0, 30, 7)
    assert second.volume.space == (8, 32, 16)


def test_what_lies_elsewhere_has_no_difference() -> None:
    affine = CONTENT.affine.copy()
    affine[0, 3] += 0.5
    moved = Volume(CONTENT.data, affine=affine)
    for other in (moved, volume(8, 9, 7)):
        assert len(page_of([other, CONTENT], ["g", "c"], View()).rows) == 2


def test_axes_stored_the_other_way_are_the_same_result() -> None:
    affine = CONTENT.affine.copy()
    affine[:, 2] *= -1
    affine[:3, 3] = (CONTENT.affine @ [0, 0, 9, 1])[:3]
    reversed_ = Volume(CONTENT.data[..., ::-1], affine=affine)
    page = page_of([reversed_, CONTENT], ["g", "c"], View())
    assert len(page.rows) == 3
    assert (page.rows[-1].volume.data == 0).all()


def on_page(figure: Any, axes: Any) -> np.ndarray:
    """Width and height in mm."""
    return np.asarray(axes.get_position().size * figure.get_size_inches() * 25.4)


def test_a_mm_is_as_long_in_all_planes() -> None:
    page = page_of([CONTENT, volume(8, 9, 7)], ["a", "b"], View())
    figure = planes_figure(page)
    shown = [axes for axes in figure.axes if axes.images]
    assert [axes.images[0].get_gid() for axes in shown] == ["axial", "coronal", "sagittal"] * 2
    sizes = [
        (row.extent[plane.columns], row.extent[plane.rows]) for row in page.rows for plane in PLANES
    ]
    scales = [on_page(figure, axes) / size for axes, size in zip(shown, sizes, strict=True)]
    assert np.ptp(scales) == pytest.approx(0, abs=1e-9)
    x, y, z = page.rows[0].extent
    assert (x, y, z) == pytest.approx((20 * 0.8, 24 * 0.9, 10 * 1.2))
    axial = shown[0]
    assert (axial.get_xlim(), axial.get_ylim()) == ((0, x), (y, 0))
    bar = next(line for line in axial.lines if line.get_gid() == "scale")
    assert np.ptp(bar.get_xdata()) == pytest.approx(2)
    assert "2 mm" in [text.get_text() for text in axial.texts]


def test_what_is_far_smaller_has_its_own_scale() -> None:
    small = Volume(CONTENT.data, affine=CONTENT.affine * [[0.1, 0.1, 0.1, 1]])
    page = page_of([CONTENT, small], ["a", "b"], View())
    assert page.scales == pytest.approx([1, 10])
    assert planes_figure(page)


def test_the_cross_is_where_the_planes_meet() -> None:
    page = page_of([CONTENT], ["a"], View())
    for axes, plane in zip(planes_figure(page).axes[1:], PLANES, strict=False):
        lines = [part.get_segments()[0] for part in axes.collections if part.get_gid() == "cross"]
        ups = [line[0, 0] for line in lines if line[0, 0] == line[1, 0]]
        acrosses = [line[0, 1] for line in lines if line[0, 1] == line[1, 1]]
        middle = np.multiply(page.rows[0].volume.space, page.rows[0].volume.spacing) / 2
        middle += np.array(page.rows[0].volume.spacing) / 2
        assert ups == pytest.approx([middle[plane.columns]] * 2)
        assert acrosses == pytest.approx([middle[plane.rows]] * 2)


def test_colors_say_which_way_a_difference_goes(tmp_path: Path) -> None:
    data = np.zeros((1, 20, 20, 20), np.float32)
    content, left = Volume(data), np.where(np.arange(20) < 10, 5, -5).reshape(1, 20, 1, 1)
    row = Row("a", turned(Volume((data + left).astype(np.float32))), (10, 10, 10), (-5, 5), True)
    image = planes_figure(Page(page_of([content], ["a"], View()).heading, [row])).axes[1].images[0]
    colors = image.to_rgba(image.get_array(), bytes=True)[:, [0, -1], :3]
    ends = [
        [int(color[n : n + 2], 16) for n in (1, 3, 5)] for color in (DIVERGING[0], DIVERGING[-1])
    ]
    assert (colors == ends).all()  # the patient's right, which is negative, is on the left


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf", ".html"])
@pytest.mark.parametrize("space", [(9, 8, 1), (1, 1, 1), (2, 300, 2)])
def test_few_slices_are_drawn(tmp_path: Path, space: tuple[int, ...], suffix: str) -> None:
    sample = Sample(np.ones((1, *space), np.float32))
    plot([sample, sample], ["a", "b"], tmp_path / f"out{suffix}", View())
    if suffix == ".png":
        assert open_picture(tmp_path / "out.png").data.min() < 0.1


def test_too_many_volumes(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at most 6"):
        plot([CONTENT] * 7, list("abcdefg"), tmp_path / "out.png", View())


def test_a_window_that_is_none() -> None:
    with pytest.raises(ConfigError, match="--window"):
        View(window=("liver",))


def test_real_volumes(shared: Path, tmp_path: Path) -> None:
    from impasto import media

    chest = media.load(shared / "volumes" / "ct_chest_256.nii.gz")
    assert isinstance(chest, Volume)
    row = row_of(chest)
    axial, coronal, sagittal = (row.image(plane) for plane in PLANES)
    bone = 300
    # The table is behind the patient, spine before it; the skin in front has air before it.
    assert (axial[-30:] > -500).mean() > (axial[:30] > -500).mean()
    assert (sagittal[:, 128:] > bone).mean() > 2 * (sagittal[:, :128] > bone).mean()
    # The liver is under the right lung, and the apex of the heart on the left.
    assert coronal[-20:, 60:110].mean() > coronal[-20:, 150:200].mean()
