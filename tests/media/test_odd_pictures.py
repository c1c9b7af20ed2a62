"""Pictures as cameras, microscopes and browsers write them."""

from __future__ import annotations

import importlib.util
import logging
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
from PIL import Image

from impasto.errors import ImpastoError, MissingExtraError, OutputError, SampleError
from impasto.media import check_target, grid, load, save
from impasto.media.pictures.alpha import filled, hides
from impasto.media.pictures.picture import Picture, from_array, open_picture
from impasto.media.pictures.sources import from_pil
from tests.media.pictures import hwc, noise, pil, smooth


def stored(path: Path, values: np.ndarray, **options: Any) -> Path:
    Image.fromarray(values).save(path, **options)
    return path


# Depths.


@pytest.mark.parametrize(("top", "full"), [(255, 255), (4095, 65535), (65535, 65535)])
@pytest.mark.parametrize("dtype", [np.int32, np.uint32])
def test_long_integers_are_taken_for_as_few_bits_as_they_need(
    tmp_path: Path, dtype: Any, top: int, full: int
) -> None:
    values = (np.arange(12 * 14) * top // 167).reshape(12, 14).astype(dtype)
    pyvips.Image.new_from_array(values).write_to_file(str(tmp_path / "a.tif"))
    picture = open_picture(tmp_path / "a.tif")
    np.testing.assert_allclose(picture.data[0], values / full, atol=1e-6)
    assert picture.bits == (8 if full == 255 else 16)
    assert grid(tmp_path / "a.tif") == (3, (12, 14))


def test_long_integers_of_all_bits_and_below_0(tmp_path: Path) -> None:
    values = np.array([[0, 2**30], [2**31 - 1, 5]], np.int32)
    for dtype, full in ((np.int32, 2**31 - 1), (np.uint32, 2**32)):
        scaled = values.astype(dtype) * (1 if dtype is np.int32 else 2)
        pyvips.Image.new_from_array(scaled.astype(dtype)).write_to_file(str(tmp_path / "a.tif"))
        np.testing.assert_allclose(load(tmp_path / "a.tif").data[0], scaled / full, atol=1e-6)
    pyvips.Image.new_from_array(values - 9).write_to_file(str(tmp_path / "a.tif"))
    with pytest.raises(SampleError, match="values from 0 up, found -9; bring them to 8 or 16 bits"):
        load(tmp_path / "a.tif")


def test_long_integers_of_pil() -> None:
    values = (np.arange(120) * 500).reshape(10, 12).astype(np.int32)
    np.testing.assert_allclose(from_pil(Image.fromarray(values)).data[0], values / 65535, atol=1e-6)


# Several pictures in one file.


@pytest.mark.parametrize("name", ["a.webp", "a.gif", "a.tif", "a.png"])
@pytest.mark.parametrize("count", [1, 3])
def test_of_several_pictures_the_first_is_used_and_that_is_said(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, count: int
) -> None:
    caplog.set_level(logging.INFO, "impasto")
    frames = [Image.fromarray(np.full((20, 30, 3), 60 * n, np.uint8)) for n in range(1, count + 1)]
    rest: dict[str, Any] = {"save_all": True, "append_images": frames[1:]} if count > 1 else {}
    frames[0].save(tmp_path / name, **rest)
    picture = open_picture(tmp_path / name)
    np.testing.assert_allclose(255 * picture.data, 60, atol=2)
    said = [record.getMessage() for record in caplog.records]
    assert said == ([f"{name} holds 3 pictures: the first is used"] if count > 1 else [])


def test_a_style_of_several_pages_in_a_run(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    from impasto.config.presets import configure
    from impasto.transfer.stylize import stylize

    caplog.set_level(logging.INFO, "impasto")
    frames = [Image.fromarray(noise(24, 24, 3)) for _ in range(2)]
    frames[0].save(tmp_path / "a.tif", save_all=True, append_images=frames[1:])
    content = smooth(24, 24)
    stylize(content, str(tmp_path / "a.tif"), configure(size=24, steps=1))
    assert caplog.text.count("a.tif holds 2 pictures") == 1


# Formats.


@pytest.mark.parametrize("mode", ["RGB", "L", "P", "1", "RGBA"])
def test_bmp_as_pillow_reads_it(tmp_path: Path, mode: str) -> None:
    image = Image.fromarray(smooth(21, 33)).convert(mode)
    image.save(tmp_path / "a.bmp")
    picture = open_picture(tmp_path / "a.bmp")
    assert grid(tmp_path / "a.bmp") == (3, (21, 33))
    expected = np.asarray(pil(tmp_path / "a.bmp").convert("RGB"))
    np.testing.assert_allclose(255 * hwc(picture), expected, atol=1e-3)
    assert load(tmp_path / "a.bmp", (11,)).space == (7, 11)


def test_a_damaged_bmp(tmp_path: Path) -> None:
    path = stored(tmp_path / "a.bmp", smooth(21, 33))
    path.write_bytes(path.read_bytes()[:200])
    with pytest.raises(SampleError, match="whole to its end, found an error of its decoder"):
        load(path)


def test_gif_with_transparency(tmp_path: Path) -> None:
    values = np.dstack([smooth(20, 30), np.full((20, 30), 255, np.uint8)])
    values[:, :10, 3] = 0
    picture = open_picture(stored(tmp_path / "a.gif", values))
    assert picture.alpha is not None
    np.testing.assert_array_equal(picture.alpha[:, :10], 0)
    np.testing.assert_array_equal(picture.alpha[:, 10:], 1)


def test_avif_by_another_name_and_with_alpha(tmp_path: Path) -> None:
    values = np.dstack([smooth(20, 30), np.full((20, 30), 255, np.uint8)])
    values[:10, :, 3] = 0
    stored(tmp_path / "a.avif", values, quality=95)
    (tmp_path / "a.avif").rename(tmp_path / "a.heic")
    picture = open_picture(tmp_path / "a.heic")
    assert picture.alpha is not None
    assert picture.alpha[:9].max() < 0.1
    save(picture, tmp_path / "b.avif", '{"seed": 1}')
    again = np.asarray(pil(tmp_path / "b.avif"), float)
    assert np.abs(again[12:, :, :3] - values[12:, :, :3]).mean() < 4


def test_formats_that_are_read_only(tmp_path: Path) -> None:
    for name in ("a.gif", "a.bmp", "a.heic", "a.jxl"):
        words = r"ends in \.jpg, .*\.avif, found \.[a-z]+; choose"
        with pytest.raises(OutputError, match=words):
            check_target(tmp_path / name)
        with pytest.raises(OutputError, match=words):
            save(from_array(smooth(9, 9)), tmp_path / name)


def test_formats_without_a_decoder_say_what_to_do(tmp_path: Path) -> None:
    heic = b"\0\0\0\x18ftypheic\0\0\0\0mif1heic" + bytes(100)
    (tmp_path / "a.heic").write_bytes(heic)
    installed = importlib.util.find_spec("pillow_heif") is not None
    error: type[ImpastoError] = SampleError if installed else MissingExtraError
    with pytest.raises(error, match="whole to its end" if installed else r"impasto\[heic\]"):
        load(tmp_path / "a.heic")
    (tmp_path / "a.jxl").write_bytes(b"\xff\x0a" + bytes(100))
    with pytest.raises(SampleError, match=r"JPEG XL; save it as PNG or|an error of its decoder"):
        load(tmp_path / "a.jxl")


def test_heic_by_pillow_heif(tmp_path: Path) -> None:
    heif = pytest.importorskip("pillow_heif")
    heif.from_pillow(Image.fromarray(smooth(64, 96))).save(tmp_path / "a.heic", quality=95)
    picture = open_picture(tmp_path / "a.heic")
    assert np.abs(255 * hwc(picture) - smooth(64, 96)).mean() < 3
    assert grid(tmp_path / "a.heic") == (3, (64, 96))


# Transparent pixels.


def cut(values: np.ndarray, hidden: tuple[int, int, int]) -> Picture:
    """A picture whose left third is transparent, with that color under it."""
    values = np.dstack([values, np.full(values.shape[:2], 255, np.uint8)])
    values[:, : values.shape[1] // 3] = (*hidden, 0)
    return from_array(values)


@pytest.mark.parametrize("space", [(8, 12), (9, 13), (1, 3), (40, 41)])
def test_what_is_hidden_gets_the_colors_around_it(space: tuple[int, int]) -> None:
    dark, light = (cut(noise(*space, 3), color) for color in ((0, 0, 0), (255, 255, 255)))
    assert hides(dark)
    shown = filled(dark)
    np.testing.assert_array_equal(shown.data, filled(light).data)
    assert dark.alpha is not None
    np.testing.assert_array_equal(shown.data[:, dark.alpha > 0], dark.data[:, dark.alpha > 0])
    visible = dark.data[:, dark.alpha > 0]
    assert shown.data.min() >= visible.min() - 1e-6
    assert shown.data.max() <= visible.max() + 1e-6


def test_pictures_without_transparent_pixels_are_left_as_they_are() -> None:
    picture = from_array(noise(8, 9, 3))
    assert filled(picture) is picture
    assert picture.weight is None
    opaque = from_array(np.dstack([noise(8, 9, 3), np.full((8, 9), 255, np.uint8)]))
    assert filled(opaque) is opaque
    assert opaque.weight is None
    invisible = from_array(np.dstack([noise(8, 9, 3), np.zeros((8, 9), np.uint8)]))
    assert filled(invisible) is invisible
