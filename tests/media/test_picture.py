"""Picture files in and out: formats, depths, modes; PIL is the independent oracle."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
from PIL import Image, ImageOps

from impasto.media import load, save
from impasto.media.pictures.formats import WRITTEN as SUFFIXES
from impasto.media.pictures.picture import Picture, from_array, open_picture
from impasto.media.pictures.sources import from_pil
from tests.media.pictures import CMYK, LOSSLESS, hwc, noise, pil, smooth


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_every_format_both_ways(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"picture{suffix.upper()}"
    save(from_array(smooth(40, 60)), path)
    again = load(path)
    assert isinstance(again, Picture)
    assert again.data.dtype == np.float32
    assert again.value_range == (0, 1)
    assert again.space == (40, 60)
    assert (again.alpha, again.bits, again.profile, again.dpi) == (None, 8, None, None)
    assert np.abs(hwc(again) * 255 - smooth(40, 60)).max() < (0.01 if suffix in LOSSLESS else 8)
    assert np.abs(np.asarray(pil(path), float) - smooth(40, 60)).max() < 8


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
@pytest.mark.parametrize("channels", [3, 4])
def test_lossless_formats_keep_every_bit(
    tmp_path: Path, suffix: str, dtype: Any, channels: int
) -> None:
    values = noise(13, 17, channels, dtype=dtype)
    path = tmp_path / f"a{suffix}"
    save(from_array(values), path)
    again = open_picture(path)
    top = np.iinfo(dtype).max
    assert again.bits == 8 * dtype().itemsize
    assert np.abs(hwc(again) - values[..., :3] / top).max() < 0.01 / top
    if channels == 4:
        assert again.alpha is not None
        assert np.abs(again.alpha - values[..., 3] / top).max() < 0.01 / top
    stored = pyvips.Image.new_from_file(str(path)).numpy()
    assert stored.dtype == dtype
    assert np.array_equal(stored, values)


@pytest.mark.parametrize("suffix", [".jpg", ".webp"])
def test_eight_bit_formats_take_sixteen_bit_pictures(tmp_path: Path, suffix: str) -> None:
    deep = smooth(20, 30).astype(np.uint16) * 257
    save(from_array(deep), tmp_path / f"a{suffix}")
    again = open_picture(tmp_path / f"a{suffix}")
    assert again.bits == 8
    assert np.abs(hwc(again) - deep / 65535).mean() < 0.02


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("size", [(0,), (12,), (15, 10)])
def test_orientation_is_applied_once(
    tmp_path: Path, suffix: str, orientation: int, size: tuple[int, ...]
) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    path = tmp_path / f"a{suffix}"
    options: dict[str, Any] = {"lossless": True} if suffix == ".webp" else {"quality": 95}
    Image.fromarray(smooth(24, 48)).save(path, exif=exif, **options)
    upright = np.asarray(ImageOps.exif_transpose(pil(path)).convert("RGB"))
    picture = open_picture(path, size)
    assert picture.data.shape == from_array(upright, size).data.shape
    assert np.abs(picture.data - from_array(upright, size).data).max() < 0.02
    save(picture, tmp_path / f"b{suffix}")
    assert open_picture(tmp_path / f"b{suffix}").space == picture.space


@pytest.mark.parametrize(
    ("mode", "suffix"),
    [(m, s) for m in ("1", "L", "P") for s in (".png", ".tif")]
    + [("L", ".jpg"), ("LA", ".png"), ("LA", ".tif"), ("RGBA", ".webp"), ("RGBA", ".tif")],
)
def test_every_mode_is_what_pil_sees(tmp_path: Path, mode: str, suffix: str) -> None:
    source = Image.fromarray(smooth(9, 11)).convert(mode)
    if mode.endswith("A"):
        source.putalpha(Image.fromarray(noise(9, 11)))
    path = tmp_path / f"a{suffix}"
    options: dict[str, Any] = {"lossless": True, "exact": True} if suffix == ".webp" else {}
    source.save(path, **options)
    picture = open_picture(path)
    expected = np.asarray(pil(path).convert("RGBA"), np.float32) / 255
    assert np.abs(hwc(picture) - expected[..., :3]).max() < 1e-6
    assert (picture.alpha is not None) == mode.endswith("A")
    if picture.alpha is not None:
        assert np.abs(picture.alpha - expected[..., 3]).max() < 1e-6


def test_gray_is_three_equal_channels_of_sixteen_bits(tmp_path: Path) -> None:
    values = noise(7, 5, dtype=np.uint16)
    pyvips.Image.new_from_array(values).copy(interpretation="grey16").write_to_file(
        str(tmp_path / "a.png")
    )
    picture = open_picture(tmp_path / "a.png")
    assert picture.bits == 16
    for plane in picture.data:
        assert np.abs(plane - values / 65535).max() < 0.5 / 65535


def test_a_transparent_color_of_a_palette_is_alpha(tmp_path: Path) -> None:
    palette = Image.new("P", (4, 2))
    palette.putpalette([255, 0, 0, 0, 255, 0])
    palette.putpixel((0, 0), 1)
    palette.save(tmp_path / "a.png", transparency=1)
    picture = open_picture(tmp_path / "a.png")
    assert picture.alpha is not None
    assert picture.alpha.tolist() == [[0, 1, 1, 1], [1, 1, 1, 1]]
    assert picture.data[:, 1, 1].tolist() == [1, 0, 0]


@pytest.mark.parametrize("suffix", [".jpg", ".tif"])
@pytest.mark.parametrize("profile", [None, CMYK])
def test_cmyk_becomes_srgb(tmp_path: Path, suffix: str, profile: bytes | None) -> None:
    inks = {
        (0, 0, 0, 0): (1, 1, 1),
        (0, 0, 0, 255): (0.14, 0.12, 0.13),
        (0, 255, 255, 0): (0.93, 0.11, 0.14),
        (255, 0, 0, 0): (0, 0.68, 0.94),
    }
    for ink, color in inks.items():
        path = tmp_path / f"a{suffix}"
        options: dict[str, Any] = {"icc_profile": profile} if profile else {}
        Image.new("CMYK", (8, 8), ink).save(path, quality=100, **options)
        picture = open_picture(path)
        assert np.abs(picture.data.mean(axis=(1, 2)) - color).max() < 0.16, ink
        assert picture.profile is None
        assert np.array_equal(from_pil(pil(path)).data, picture.data)
        save(picture, tmp_path / "b.png")
        assert "icc_profile" not in pil(tmp_path / "b.png").info


def test_floats_in_a_tiff_are_taken_as_they_are(tmp_path: Path) -> None:
    values = noise(6, 7, 3).astype(np.float32) / 256
    image = pyvips.Image.new_from_array(values)
    image.copy(interpretation="srgb").write_to_file(str(tmp_path / "a.tif"))
    picture = open_picture(tmp_path / "a.tif")
    assert np.array_equal(hwc(picture), values)
    assert picture.bits == 16


def test_the_first_of_several_pages_and_frames(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (6, 4), color) for color in ("red", "blue")]
    for name in ("a.tif", "a.webp", "a.png"):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], quality=100)
        picture = open_picture(tmp_path / name)
        assert picture.space == (4, 6)
        assert np.allclose(picture.data[:, 2, 3], (1, 0, 0), atol=0.05)


def test_the_contents_decide_not_the_name(tmp_path: Path) -> None:
    save(from_array(smooth(5, 6)), tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    assert np.allclose(hwc(open_picture(tmp_path / "a.jpg")), smooth(5, 6) / 255, atol=1e-6)


def test_a_file_that_changed_is_read_anew(tmp_path: Path) -> None:
    for value in (0, 255):
        save(from_array(np.full((4, 4), value, np.uint8)), tmp_path / "a.png")
        assert open_picture(tmp_path / "a.png").data.max() == value / 255


@pytest.mark.parametrize("name", ["with space [n=-1].png", "häßlich.png", "\udcff.png"])
def test_any_name_will_do(tmp_path: Path, name: str) -> None:
    save(from_array(smooth(5, 6)), tmp_path / name)
    assert load(tmp_path / name).space == (5, 6)
