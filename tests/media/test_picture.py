"""Pictures in and out: sizes, colors, depths, alpha, metadata; PIL is the independent oracle."""

from __future__ import annotations

import io
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from impasto.errors import ConfigError, OutputError, SampleError
from impasto.media import as_sample, check_target, load, save
from impasto.media.formats import SUFFIXES
from impasto.media.picture import (
    Picture,
    from_array,
    from_pil,
    from_tensor,
    open_picture,
    read_recipe,
    save_picture,
)
from impasto.media.sample import Sample

LOSSLESS = (".png", ".tif")
STEP_8, STEP_16 = 1 / 255, 1 / 65535
P3: bytes = pyvips.Operation.call("profile_load", "p3")
CMYK: bytes = pyvips.Operation.call("profile_load", "cmyk")


def noise(*shape: int, dtype: Any = np.uint8) -> np.ndarray:
    top = np.iinfo(dtype).max + 1
    return np.random.default_rng(0).integers(0, top, shape, dtype=dtype)


def smooth(height: int, width: int) -> np.ndarray:
    """RGB ramps, which JPEG and WebP keep nearly as they are."""
    y, x = np.mgrid[:height, :width]
    planes = [255 * y / max(1, height - 1), 255 * x / max(1, width - 1), 128 + 0 * x]
    return np.stack(planes, axis=2).astype(np.uint8)


def hwc(picture: Sample) -> np.ndarray:
    return np.moveaxis(picture.data, 0, 2)


# -- files: what comes in --------------------------------------------------------------------


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
    assert np.abs(hwc(again) * 255 - smooth(40, 60)).max() < (0.01 if suffix != ".jpg" else 6)
    assert np.abs(np.asarray(Image.open(path), float) - smooth(40, 60)).max() <= 6


@pytest.mark.parametrize("suffix", LOSSLESS)
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
    options = {"lossless": True} if suffix == ".webp" else {"quality": 95}
    Image.fromarray(smooth(24, 48)).save(path, exif=exif, **options)
    upright = np.asarray(ImageOps.exif_transpose(Image.open(path)).convert("RGB"))
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
    source.save(path, **({"lossless": True, "exact": True} if suffix == ".webp" else {}))
    picture = open_picture(path)
    expected = np.asarray(Image.open(path).convert("RGBA"), np.float32) / 255
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
        assert np.abs(plane - values / 65535).max() < 0.5 * STEP_16


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
        options = {"icc_profile": profile} if profile else {}
        Image.new("CMYK", (8, 8), ink).save(path, quality=100, **options)
        picture = open_picture(path)
        assert np.abs(picture.data.mean(axis=(1, 2)) - color).max() < 0.16, ink
        assert picture.profile is None
        assert np.array_equal(from_pil(Image.open(path)).data, picture.data)
        save(picture, tmp_path / "b.png")
        assert "icc_profile" not in Image.open(tmp_path / "b.png").info


def test_floats_in_a_tiff_are_taken_as_they_are(tmp_path: Path) -> None:
    values = noise(6, 7, 3).astype(np.float32) / 256
    image = pyvips.Image.new_from_array(values)
    image.copy(interpretation="srgb").write_to_file(str(tmp_path / "a.tif"))
    picture = open_picture(tmp_path / "a.tif")
    assert np.array_equal(hwc(picture), values)
    assert picture.bits == 16


def test_the_first_of_several_pages_and_frames(tmp_path: Path) -> None:
    frames = [Image.new("RGB", (6, 4), color) for color in ("red", "blue")]
    for name, options in (("a.tif", {}), ("a.webp", {"lossless": True}), ("a.png", {})):
        frames[0].save(tmp_path / name, save_all=True, append_images=frames[1:], **options)
        picture = open_picture(tmp_path / name)
        assert picture.space == (4, 6)
        assert np.allclose(picture.data[:, 2, 3], (1, 0, 0), atol=0.01)


def test_the_contents_decide_not_the_name(tmp_path: Path) -> None:
    save(from_array(smooth(5, 6)), tmp_path / "a.png")
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    assert np.array_equal(hwc(open_picture(tmp_path / "a.jpg")), smooth(5, 6).astype("f4") / 255)


def test_a_file_that_changed_is_read_anew(tmp_path: Path) -> None:
    for value in (0, 255):
        save(from_array(np.full((4, 4), value, np.uint8)), tmp_path / "a.png")
        assert open_picture(tmp_path / "a.png").data.max() == value / 255


@pytest.mark.parametrize("name", ["with space [n=-1].png", "häßlich.png", "\udcff.png"])
def test_any_name_will_do(tmp_path: Path, name: str) -> None:
    save(from_array(smooth(5, 6)), tmp_path / name)
    assert load(tmp_path / name).space == (5, 6)


# -- sizes -----------------------------------------------------------------------------------


@settings(deadline=None, max_examples=60)
@given(
    height=st.integers(1, 70),
    width=st.integers(1, 70),
    size=st.tuples(st.integers(1, 90)) | st.tuples(st.integers(1, 90), st.integers(1, 90)),
    alpha=st.booleans(),
)
def test_any_size_is_met_exactly(
    height: int, width: int, size: tuple[int, ...], alpha: bool
) -> None:
    picture = from_array(noise(height, width, 3 + alpha), size)
    long = max(height, width)
    expected = size
    if len(size) == 1:
        expected = tuple(max(1, round(side * size[0] / long)) for side in (height, width))
    assert picture.space == expected
    assert picture.data.min() >= 0
    assert picture.data.max() <= 1
    if alpha:
        assert picture.alpha is not None
        assert picture.alpha.shape == expected


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("size", [(30,), (100,), (301,), (20, 60), (700,)])
def test_files_and_arrays_are_resized_alike(
    tmp_path: Path, suffix: str, size: tuple[int, ...]
) -> None:
    path = tmp_path / f"a{suffix}"
    save(from_array(smooth(300, 411)), path)
    picture = open_picture(path, size)
    whole = open_picture(path)
    assert picture.space == as_sample(whole, size).space
    assert np.abs(picture.data - as_sample(whole, size).data).max() < 0.02


@pytest.mark.parametrize("side", [17, 64, 100, 129, 256])
def test_resizing_maps_centers_to_centers(side: int) -> None:
    ramp = np.linspace(0, 1, 64, dtype=np.float32)
    picture = from_array(np.tile(ramp, (64, 1)), (side,))
    positions = (np.arange(side) + 0.5) * 64 / side - 0.5
    inner = slice(side // 8, -(side // 8))
    expected = (positions / 63)[inner]
    assert np.abs(picture.data[0, side // 2, inner] - expected).max() < 0.001


def test_shrinking_does_not_alias_nor_ring() -> None:
    checks = (np.indices((512, 512)).sum(axis=0) % 2).astype(np.uint8) * 255
    assert np.abs(from_array(checks, (64,)).data - 0.5).max() < 0.01
    edge = np.zeros((64, 64), np.uint8)
    edge[:, 32:] = 255
    for side in (20, 50, 90):
        small = from_array(edge, (side,)).data
        assert small.min() == 0
        assert small.max() == 1
        assert small[:, :, : side // 4].max() < 0.01
        assert small[:, :, -(side // 4) :].min() > 0.99


def test_two_sides_crop_about_the_center() -> None:
    wide = np.zeros((10, 40), np.uint8)
    wide[:, 15:25] = 255
    assert (from_array(wide, (10, 10)).data == 1).all()
    assert (from_array(wide.T, (5, 5)).data > 0.99).all()
    assert from_array(wide, (20, 80)).space == (20, 80)


def test_transparent_colors_do_not_bleed() -> None:
    values = np.zeros((32, 32, 4), np.uint8)
    values[:, :16] = (255, 0, 0, 255)
    values[:, 16:] = (0, 255, 0, 0)
    picture = from_array(values, (9,))
    assert picture.alpha is not None
    seen = picture.alpha > 0.05
    assert np.allclose(picture.data[:, seen].T, (1, 0, 0), atol=1e-5)
    assert 0 < picture.alpha[4, 4] < 1
    untouched = from_array(values)
    assert untouched.data[1, 0, 20] == 1, "colors under alpha 0 stay when nothing is mixed"


@pytest.mark.parametrize("size", [(-1,), (), (1, 2, 3), (0, 5)])
def test_impossible_sizes(tmp_path: Path, size: tuple[int, ...]) -> None:
    save(from_array(smooth(5, 6)), tmp_path / "a.png")
    with pytest.raises(ConfigError, match="--size"):
        load(tmp_path / "a.png", size)


def test_a_result_too_large_to_be_meant() -> None:
    with pytest.raises(SampleError, match="at most 1073741824 pixels"):
        from_array(smooth(4, 4), (10**6,))


def test_a_large_file_is_cheap_when_little_is_asked(tmp_path: Path) -> None:
    """48 megapixels, 576 MB as floats, in a process that may grow by far less."""
    for suffix in (".jpg", ".png"):
        big = pyvips.Image.black(8000, 6000, bands=3).copy(interpretation="srgb") + 99
        big.cast("uchar").write_to_file(str(tmp_path / f"big{suffix}"))
        script = (
            "import resource, sys; from impasto.media import load\n"
            "def peak(): return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024\n"
            "before = peak(); picture = load(sys.argv[1], (512,))\n"
            "assert picture.space == (384, 512), picture.space\n"
            "assert abs(picture.data - 99 / 255).max() < 0.01\n"
            "print(peak() - before)"
        )
        grown = subprocess.run(
            [sys.executable, "-c", script, str(tmp_path / f"big{suffix}")],
            capture_output=True,
            text=True,
            check=True,
        )
        assert int(grown.stdout) < 250


# -- color profiles, resolution, alpha out, recipes -----------------------------------------


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_a_profile_comes_back(tmp_path: Path, suffix: str) -> None:
    """Colors inside sRGB, in a Display P3 file: other numbers within, the same numbers after."""
    inside = (0.25 + smooth(40, 60) / 510) * 255
    path, out = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    options = {"lossless": True} if suffix == ".webp" else {"quality": 100, "subsampling": 0}
    Image.fromarray(inside.astype(np.uint8)).save(path, icc_profile=P3, **options)
    stored = np.asarray(Image.open(path), float)
    picture = open_picture(path)
    assert picture.profile == P3
    assert np.abs(hwc(picture) * 255 - stored).max() > 5
    save(picture, out)
    assert Image.open(out).info["icc_profile"] == P3
    error = np.abs(np.asarray(Image.open(out), float) - stored)
    assert error.max() <= (2 if suffix in LOSSLESS else 12)
    assert error.mean() < (0.2 if suffix in LOSSLESS else 2)


def test_a_known_color_of_display_p3(tmp_path: Path) -> None:
    """P3 (0.5, 0.5, 0.2) is sRGB (0.5049, 0.4994, 0.1285), by the two matrices and curves."""
    to_xyz = {
        "p3": [[0.48657, 0.26567, 0.19822], [0.22897, 0.69174, 0.07929], [0, 0.04511, 1.04394]],
        "srgb": [
            [0.41239, 0.35758, 0.18048],
            [0.21264, 0.71517, 0.07219],
            [0.01933, 0.11919, 0.95053],
        ],
    }
    color = np.array([128, 128, 51]) / 255
    linear = ((color + 0.055) / 1.055) ** 2.4
    linear = np.linalg.solve(np.array(to_xyz["srgb"]), np.array(to_xyz["p3"]) @ linear)
    expected = 1.055 * linear ** (1 / 2.4) - 0.055
    Image.new("RGB", (4, 4), (128, 128, 51)).save(tmp_path / "a.png", icc_profile=P3)
    got = open_picture(tmp_path / "a.png").data[:, 0, 0]
    assert np.abs(got - expected).max() < 2 * STEP_8


@pytest.mark.parametrize("bits", [8, 16])
def test_an_srgb_profile_changes_nothing(tmp_path: Path, bits: int) -> None:
    srgb: bytes = pyvips.Operation.call("profile_load", "srgb")
    values = noise(20, 30, 3, dtype=np.uint8 if bits == 8 else np.uint16)
    image = pyvips.Image.new_from_array(values)
    image = image.copy(interpretation="srgb" if bits == 8 else "rgb16")
    image.set_type(pyvips.GValue.blob_type, "icc-profile-data", srgb)
    image.write_to_file(str(tmp_path / "a.png"))
    save(open_picture(tmp_path / "a.png"), tmp_path / "b.png")
    assert np.array_equal(pyvips.Image.new_from_file(str(tmp_path / "b.png")).numpy(), values)


@pytest.mark.parametrize(
    "profile", [b"junk" * 100, P3[:128] + bytes(400), CMYK, P3[:36] + b"nope" + P3[40:]]
)
def test_a_profile_that_is_none_is_left_out(tmp_path: Path, profile: bytes) -> None:
    Image.fromarray(smooth(9, 9)).save(tmp_path / "a.tif", icc_profile=profile)
    picture = open_picture(tmp_path / "a.tif")
    assert np.abs(hwc(picture) * 255 - smooth(9, 9)).max() < 1
    assert picture.profile is None


def test_a_gray_profile_is_applied_and_not_kept(tmp_path: Path) -> None:
    """A linear gray profile: 0.5 of the light is 0.735 in sRGB."""
    curve = b"curv" + bytes(4) + (0).to_bytes(4, "big")
    white = b"XYZ " + bytes(4) + bytes.fromhex("0000f6d6000100000000d32d")
    table = (2).to_bytes(4, "big")
    table += b"kTRC" + (156).to_bytes(4, "big") + (12).to_bytes(4, "big")
    table += b"wtpt" + (168).to_bytes(4, "big") + (20).to_bytes(4, "big")
    head = (188).to_bytes(4, "big") + bytes(4) + bytes.fromhex("02100000") + b"mntrGRAYXYZ "
    head += bytes(12) + b"acsp" + bytes(28) + white[8:] + bytes(48)
    profile = head + table + curve + white
    assert len(head) == 128
    assert len(profile) == 188
    Image.new("L", (4, 4), 128).save(tmp_path / "a.png", icc_profile=profile)
    picture = open_picture(tmp_path / "a.png")
    assert picture.profile is None
    assert np.abs(picture.data - 0.735).max() < 0.01


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif"])
def test_resolution_survives(tmp_path: Path, suffix: str) -> None:
    Image.fromarray(smooth(9, 9)).save(tmp_path / f"a{suffix}", dpi=(300, 150))
    picture = open_picture(tmp_path / f"a{suffix}", (5,))
    assert picture.dpi == pytest.approx((300, 150), abs=0.1)
    save(picture, tmp_path / f"b{suffix}")
    assert Image.open(tmp_path / f"b{suffix}").info["dpi"] == pytest.approx((300, 150), abs=0.1)


def test_jpeg_lays_alpha_on_white(tmp_path: Path) -> None:
    values = np.zeros((16, 16, 4), np.uint8)
    values[..., 3] = 64
    save(from_array(values), tmp_path / "a.jpg")
    assert np.abs(open_picture(tmp_path / "a.jpg").data - 191 / 255).max() < 0.02


def test_alpha_follows_the_grid_of_the_result() -> None:
    values = noise(20, 30, 4)
    values[:, :15, 3], values[:, 15:, 3] = 0, 255
    picture = from_array(values)
    same = picture.with_data(picture.data[:, ::-1].copy())
    assert same.alpha is picture.alpha
    result = picture.with_data(np.zeros((3, 8, 12), np.float32))
    assert result.alpha is not None
    assert result.alpha.shape == (8, 12)
    assert result.alpha.min() == 0
    assert result.alpha.max() == 1
    assert result.alpha[:, :4].max() < 0.01
    assert result.alpha[:, 8:].min() > 0.99


@settings(deadline=None, max_examples=20)
@given(recipe=st.dictionaries(st.text(), st.text() | st.floats(allow_nan=False) | st.integers()))
def test_recipes_survive(tmp_path_factory: pytest.TempPathFactory, recipe: dict[str, Any]) -> None:
    folder = tmp_path_factory.mktemp("recipe")
    for ascii_only in (True, False):
        try:
            text = json.dumps(recipe, ensure_ascii=ascii_only)
            text.encode()
        except UnicodeEncodeError:
            continue
        for suffix in (".jpg", ".png", ".tif", ".webp"):
            save(from_array(smooth(3, 3)), folder / f"a{suffix}", text)
            assert read_recipe(folder / f"a{suffix}") == text


def test_a_recipe_does_not_cost_the_profile_and_the_resolution(tmp_path: Path) -> None:
    for suffix in (".jpg", ".png", ".tif", ".webp"):
        picture = Picture(data=from_array(smooth(9, 9)).data, profile=P3, dpi=(300.0, 300.0))
        path = tmp_path / f"a{suffix}"
        save(picture, path, '{"a": "<&>"}')
        assert read_recipe(path) == '{"a": "<&>"}'
        assert open_picture(path).profile == P3
        assert open_picture(path).dpi == pytest.approx((300, 300), abs=0.1)


def test_no_recipe(tmp_path: Path) -> None:
    save(from_array(smooth(3, 3)), tmp_path / "a.png")
    assert read_recipe(tmp_path / "a.png") is None
    bomb = b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'
    foreign = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
    for packet in (b"", b"no xml", bomb, foreign):
        Image.new("RGB", (3, 3)).save(tmp_path / "b.webp", xmp=packet)
        assert read_recipe(tmp_path / "b.webp") is None


def test_a_recipe_too_long_for_jpeg_is_said(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="at most 65502 bytes in a JPEG"):
        save(from_array(smooth(3, 3)), tmp_path / "a.jpg", "x" * 70_000)
    save(from_array(smooth(3, 3)), tmp_path / "a.webp", "x" * 70_000)
    assert read_recipe(tmp_path / "a.webp") == "x" * 70_000


# -- arrays, tensors, PIL ------------------------------------------------------------------


def test_arrays_of_every_type() -> None:
    values = noise(5, 4, 3)
    expected = values.astype(np.float32) / 255
    assert np.allclose(hwc(from_array(values)), expected, atol=1e-7)
    assert np.array_equal(hwc(from_array(expected)), expected)
    assert np.array_equal(hwc(from_array(expected.astype(np.float64))), expected)
    deep = values.astype(">u2") * 257
    assert np.allclose(hwc(from_array(deep)), expected, atol=1e-7)
    assert from_array(deep).bits == 16
    mask = values[..., 0] > 99
    assert np.array_equal(from_array(mask).data[1], mask)
    assert np.array_equal(
        from_array(values[::-1, ::2]).data, from_array(values[::-1, ::2].copy()).data
    )
    for gray in (values[..., 0], values[..., :1]):
        assert np.array_equal(from_array(gray).data, from_array(np.dstack([gray] * 3)).data)


def test_one_pixel_will_do(tmp_path: Path) -> None:
    for suffix in SUFFIXES:
        save(from_array(np.full((1, 1), 200, np.uint8)), tmp_path / f"a{suffix}")
        assert load(tmp_path / f"a{suffix}").data == pytest.approx(200 / 255, abs=0.01)


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros(5), r"found shape \(5,\)"),
        (np.zeros((3, 5, 6)), "channels last"),
        (np.zeros((2, 5, 6, 3)), "found shape"),
        (np.zeros((0, 5, 3)), "found shape"),
        (np.zeros((5, 6, 5)), "found shape"),
        (np.full((5, 6), np.nan), "30 that are NaN or infinite; replace"),
        (np.full((5, 6), np.inf), "30 that are NaN or infinite"),
        (np.full((5, 6), 128.0), "values from 128 to 128; divide by 255"),
        (np.full((5, 6), -1.0), "bring them to"),
        (np.zeros((5, 6), np.int64), "found int64"),
        (np.zeros((5, 6), complex), "found complex128"),
        (np.array([["a", "b"]]), "found <U1"),
    ],
)
def test_arrays_that_are_no_pictures(array: np.ndarray, words: str) -> None:
    with pytest.raises(SampleError, match=words):
        as_sample(array)


def test_tensors() -> None:
    torch = pytest.importorskip("torch")
    values = torch.rand(3, 5, 6, requires_grad=True)
    expected = values.detach().numpy()
    for tensor in (values, values[None], values.double()):
        assert np.array_equal(as_sample(tensor).data, expected)
    assert np.abs(as_sample(values.bfloat16()).data - expected).max() < 0.01
    with_alpha = as_sample(torch.rand(4, 5, 6))
    assert isinstance(with_alpha, Picture)
    assert with_alpha.alpha is not None
    assert as_sample(torch.rand(1, 5, 6), (12,)).space == (10, 12)
    for wrong, words in ((torch.rand(5, 6), "channel, height"), (values * 255, "divide by 255")):
        with pytest.raises(SampleError, match=words):
            from_tensor(wrong)


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "YCbCr", "HSV", "I;16", "F"])
def test_pil_modes(mode: str) -> None:
    source = Image.fromarray(smooth(9, 11))
    if mode == "I;16":
        image = Image.fromarray(smooth(9, 11)[..., 1].astype(np.uint16) * 257)
        source = source.getchannel(1)
    elif mode == "F":
        image = Image.fromarray(smooth(9, 11)[..., 1].astype(np.float32) / 255)
        source = source.getchannel(1)
    else:
        image = source = source.convert(mode)
    picture = as_sample(image)
    assert isinstance(picture, Picture)
    expected = np.asarray(source.convert("RGBA"), np.float32) / 255
    assert np.abs(hwc(picture) - expected[..., :3]).max() < 1e-6
    assert (picture.alpha is not None) == mode.endswith("A")


def test_pil_orientation_profile_and_resolution(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    path = tmp_path / "a.jpg"
    Image.fromarray(smooth(8, 16)).save(path, exif=exif, icc_profile=P3, dpi=(300, 300))
    ours, theirs = open_picture(path), from_pil(Image.open(path))
    assert theirs.space == (16, 8)
    assert np.abs(ours.data - theirs.data).max() < 0.02
    assert theirs.profile == P3
    assert theirs.dpi == pytest.approx((300, 300))


def test_a_truncated_pil_image() -> None:
    data = io.BytesIO()
    Image.fromarray(noise(64, 64, 3)).save(data, "PNG")
    with pytest.raises(SampleError, match="PIL says"):
        from_pil(Image.open(io.BytesIO(data.getvalue()[:-3000])))


def test_samples_and_strangers() -> None:
    signal = Sample(np.zeros((2, 100), np.float32))
    assert as_sample(signal, (50,)) is signal
    picture = from_array(noise(5, 6, 4, dtype=np.uint16))
    assert as_sample(picture, (6,)) is picture
    resized = as_sample(picture, (3,))
    assert isinstance(resized, Picture)
    assert (resized.space, resized.bits) == ((2, 3), 16)
    assert resized.alpha is not None
    with pytest.raises(SampleError, match="found dict"):
        as_sample({})
    with pytest.raises(SampleError, match="3 channels"):
        Picture(np.zeros((1, 5, 6), np.float32))


def test_plain_samples_are_saved_as_pictures_where_they_can_be(tmp_path: Path) -> None:
    save(Sample(np.full((3, 4, 5), 2, np.float32)), tmp_path / "a.png")
    assert (load(tmp_path / "a.png").data == 1).all(), "values outside [0, 1] are clipped"
    with pytest.raises(OutputError, match="shape"):
        save(Sample(np.zeros((2, 100), np.float32)), tmp_path / "b.png")


# -- targets -------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["out", "out.gif", "out.png.bak", ".png"])
def test_unknown_suffixes_to_save(tmp_path: Path, name: str) -> None:
    for attempt in (check_target, lambda path: save(from_array(smooth(3, 3)), path)):
        with pytest.raises(OutputError, match="expected a name that ends in .jpg, .jpeg, .png"):
            attempt(tmp_path / name)


def test_targets_are_checked_before_the_work(tmp_path: Path) -> None:
    check_target(tmp_path / "a.PNG", (20_000, 20_000))
    with pytest.raises(OutputError, match="no folder"):
        check_target(tmp_path / "missing" / "a.png")
    with pytest.raises(OutputError, match="at most 16383 pixels for WebP, found .*20000 x 9"):
        check_target(tmp_path / "a.webp", (9, 20_000))
    with pytest.raises(OutputError, match="at most 65500 pixels for JPEG"):
        save_picture(from_array(np.zeros((1, 65_501), np.uint8)), tmp_path / "a.jpg")
    assert list(tmp_path.iterdir()) == []


def test_importing_media_loads_neither_torch_nor_pil() -> None:
    script = "import sys, impasto.media; print({'torch', 'PIL'} & set(sys.modules))"
    run = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert run.stdout == "set()\n"
