"""Masks as they are painted: by their alpha, with lacy edges, one for each style."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageDraw
from skimage.data import astronaut

from impasto.config.presets import configure
from impasto.config.settings import GuidanceConfig
from impasto.errors import ConfigError, SampleError
from impasto.kinds.guidance import make_guides
from impasto.kinds.masks import BLACK, WHITE, open_mask, regions
from impasto.media.pictures.picture import Picture, from_array
from impasto.transfer.stylize import stylize
from impasto.transfer.textures import texture
from tests.paintings import painting

QUICK: dict[str, Any] = {"size": (0,), "coarsest": 0, "steps": (4,)}
RED, BLUE, GREEN = (255, 0, 0), (0, 0, 255), (0, 255, 0)


@pytest.fixture(scope="module")
def content() -> Picture:
    return from_array(astronaut()[:240, :320], (64,))


@pytest.fixture(scope="module")
def style() -> Picture:
    return from_array(painting(90, 120, seed=3), (64,))


def shape(color: tuple[int, int, int], ground: int = 0) -> np.ndarray:
    """A rectangle of one color, over the same color where it is transparent."""
    mask = np.empty((48, 64, 4), np.uint8)
    mask[:] = (*color, ground)
    mask[12:36, 16:48, 3] = 255
    return mask


def saved(path: Path, values: np.ndarray) -> str:
    Image.fromarray(values).save(path)
    return str(path)


@pytest.mark.parametrize("color", [WHITE, BLACK, RED, (10, 10, 10)])
def test_the_shape_of_a_mask_may_be_in_its_alpha(
    tmp_path: Path, content: Picture, style: Picture, color: tuple[int, int, int]
) -> None:
    mask = saved(tmp_path / "a.png", shape(color))
    found, _ = make_guides(content, [style], [1.0], GuidanceConfig(mask=(mask,)))
    inside = np.zeros((48, 64), np.bool_)
    inside[12:36, 16:48] = True
    assert found.free is not None
    np.testing.assert_array_equal(found.free, inside)


def test_an_alpha_that_hides_nothing_is_left_aside(tmp_path: Path, content: Picture) -> None:
    mask = shape(WHITE, ground=255)
    mask[:, :20, :3] = 0
    found = regions(open_mask(saved(tmp_path / "a.png", mask), content))
    assert found[BLACK].mean() == pytest.approx(20 / 64)


def test_colors_of_a_mask_with_alpha_stay_regions(tmp_path: Path, content: Picture) -> None:
    mask = shape(RED)
    mask[12:36, 32:48, :3] = BLUE
    found = regions(open_mask(saved(tmp_path / "a.png", mask), content))
    assert list(found) == [BLACK, BLUE, RED]
    assert found[RED].mean() == pytest.approx(found[BLUE].mean())


def lace(size: int = 10, gap: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """A mask of blue discs on red, four times as fine and shrunk, and how blue each pixel is."""
    large = Image.new("L", (640, 480), 0)
    draw = ImageDraw.Draw(large)
    for top in range(0, 480, 4 * (size + gap)):
        for left in range(0, 640, 4 * (size + gap)):
            draw.ellipse((left, top, left + 4 * size, top + 4 * size), fill=255)
    share = np.asarray(large.resize((160, 120), Image.Resampling.BOX), float) / 255
    mask = np.stack([255 * (1 - share), 0 * share, 255 * share], -1)
    return np.rint(mask).astype(np.uint8), share


@pytest.mark.parametrize("gap", [2, 3, 6])
def test_lacy_edges_are_mixtures(gap: int) -> None:
    mask, share = lace(gap=gap)
    between = ((share > 0.02) & (share < 0.98)).mean()
    assert between > 0.1  # of the mask is edges
    found = regions(from_array(mask))
    assert list(found) == [BLUE, RED]
    np.testing.assert_allclose(found[BLUE], share, atol=0.04)
    np.testing.assert_allclose(found[BLUE] + found[RED], 1, atol=1e-6)


def test_edges_of_three_colors_each_belong_to_two() -> None:
    large = Image.new("RGB", (320, 240), RED)
    draw = ImageDraw.Draw(large)
    draw.polygon([(0, 0), (200, 0), (90, 240), (0, 240)], fill=BLUE)
    draw.ellipse((180, 60, 300, 200), fill=GREEN)
    found = regions(from_array(np.asarray(large.resize((160, 120), Image.Resampling.LANCZOS))))
    assert list(found) == [BLUE, GREEN, RED]
    np.testing.assert_allclose(np.sum([*found.values()], axis=0), 1, atol=1e-6)
    assert np.sum([plane > 0 for plane in found.values()], axis=0).max() <= 2


def test_masks_saved_as_jpeg_have_their_colors() -> None:
    large = Image.new("RGB", (160, 120), RED)
    ImageDraw.Draw(large).rectangle((0, 0, 70, 120), fill=BLUE)
    import io

    file = io.BytesIO()
    large.save(file, "JPEG", quality=85)
    found = regions(from_array(np.asarray(Image.open(file))))
    assert len(found) == 2
    first, second = found.values()
    assert first[:, :64].min() > 0.9
    assert second[:, 80:].min() > 0.9


def test_gradients_and_photographs_are_no_masks_of_colors(content: Picture) -> None:
    y, x = np.mgrid[:60, :80]
    ramp = np.stack([3 * x, 4 * y, 120 + 0 * x], -1).astype(np.uint8)
    for many in (content, from_array(ramp)):
        with pytest.raises(SampleError, match="a mask of a few even colors, or of grays"):
            regions(many)


# One mask for each style.


def stripes(folder: Path, count: int) -> tuple[str, ...]:
    """Soft masks of upright stripes that cover the content together."""
    x = np.linspace(0, count - 1, 64)
    names = []
    for number in range(count):
        light = np.clip(1.2 - np.abs(x - number), 0, 1)
        values = np.tile(np.rint(255 * light).astype(np.uint8), (48, 1))
        names.append(saved(folder / f"{count}-{number}.png", values))
    return tuple(names)


@pytest.mark.parametrize("count", [2, 3, 5])
def test_each_style_goes_where_its_mask_is_light(
    tmp_path: Path, content: Picture, style: Picture, count: int
) -> None:
    settings = GuidanceConfig(mask=stripes(tmp_path, count))
    shares = [1 / count] * count
    found, guides = make_guides(content, [style] * count, shares, settings)
    assert [guide.style for guide in guides] == list(range(count))
    places = [guide.place for guide in guides if guide.place is not None]
    total = np.sum(places, axis=0)
    np.testing.assert_allclose(total, np.minimum(total, 1), atol=1e-6)
    assert total.max() == pytest.approx(1)
    for number, place in enumerate(places):
        at = round(63 * number / (count - 1))
        assert place[24, at] > 0.7
        assert place[24, (at + 32) % 64] < 0.4
    assert found.free is not None
    assert {guide.source is None for guide in guides} == {True}


def test_where_no_mask_is_light_the_content_stays(
    tmp_path: Path, content: Picture, style: Picture
) -> None:
    left, right = np.zeros((2, 48, 64), np.uint8)
    left[:, :20] = 255
    right[:, 44:] = 255
    masks = saved(tmp_path / "l.png", left), saved(tmp_path / "r.png", right)
    other = style.with_data(1 - style.data)
    result = stylize(content, [style, other], configure(mask=masks, **QUICK)).sample
    np.testing.assert_array_equal(result.data[..., 22:42], content.data[..., 22:42])
    assert np.abs(result.data[..., :18] - content.data[..., :18]).mean() > 0.01
    swapped = stylize(content, [other, style], configure(mask=masks[::-1], **QUICK)).sample
    np.testing.assert_allclose(swapped.data, result.data, atol=1e-3)


def test_where_masks_overlap_the_shares_decide(
    tmp_path: Path, content: Picture, style: Picture
) -> None:
    white = np.full((48, 64), 255, np.uint8)
    masks = saved(tmp_path / "a.png", white), saved(tmp_path / "b.png", white)
    _, (one, other) = make_guides(content, [style] * 2, [0.25, 0.75], GuidanceConfig(mask=masks))
    for guide, share in ((one, 0.25), (other, 0.75)):
        assert guide.place is not None
        np.testing.assert_allclose(guide.place, share, atol=1e-6)


def test_other_numbers_of_masks_are_told(tmp_path: Path, content: Picture, style: Picture) -> None:
    masks = stripes(tmp_path, 5)
    words = "one mask, 3 for so many styles, or 4: the content's, then each style's, found 5"
    with pytest.raises(ConfigError, match=words):
        make_guides(content, [style] * 3, [1 / 3] * 3, GuidanceConfig(mask=masks))


# Transparent pixels.


def cut(picture: Picture, hidden: float, soft: bool = False) -> Picture:
    """The left half transparent, with that gray under it; soft: with half an edge."""
    alpha = np.ones(picture.space, np.float32)
    alpha[:, : picture.space[1] // 2] = 0
    if soft:
        alpha[:, picture.space[1] // 2] = 0.5
    data = np.where(alpha == 0, np.float32(hidden), picture.data)
    return Picture(data, alpha=alpha)


@pytest.mark.parametrize("color", ["style", "match", "palette", "luminance", "oklab"])
@pytest.mark.parametrize("soft", [False, True])
def test_hidden_colors_change_nothing_that_is_visible(
    content: Picture, style: Picture, color: str, soft: bool
) -> None:
    config = configure(color=color, **QUICK)
    dark, light = (
        stylize(cut(content, gray, soft), cut(style, gray), config).sample for gray in (0.0, 1.0)
    )
    np.testing.assert_array_equal(dark.data[..., 32:], light.data[..., 32:])
    assert np.abs(dark.data[..., 34:] - content.data[..., 34:]).mean() > 0.005
    np.testing.assert_array_equal(dark.data[..., :32], 0)  # and comes back as it was
    np.testing.assert_array_equal(light.data[..., :32], 1)


def test_hidden_colors_under_masks(tmp_path: Path, content: Picture, style: Picture) -> None:
    mask = np.zeros((48, 64, 3), np.uint8)
    mask[:24], mask[24:] = RED, BLUE
    masks = (saved(tmp_path / "a.png", mask),) * 2
    config = configure(mask=masks, **QUICK)
    dark, light = (
        stylize(cut(content, gray), cut(style, gray), config).sample.data for gray in (0.0, 1.0)
    )
    np.testing.assert_array_equal(dark[..., 32:], light[..., 32:])


def test_hidden_colors_of_the_exemplar_of_a_texture(style: Picture) -> None:
    config = configure("texture", steps=2, coarsest=0)
    dark, light = (texture(cut(style, gray), (32, 32), config).sample.data for gray in (0.0, 1.0))
    np.testing.assert_array_equal(dark, light)


def test_a_picture_of_nothing_visible_is_told(content: Picture, style: Picture) -> None:
    nothing = Picture(content.data, alpha=np.zeros(content.space, np.float32))
    with pytest.raises(SampleError, match="that count"):
        stylize(content, nothing, configure(**QUICK))
