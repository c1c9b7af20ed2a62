"""Color profiles, resolution, alpha and recipes survive a round trip."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import pyvips
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from PIL import Image

from impasto.errors import OutputError
from impasto.media import save
from impasto.media.pictures.picture import (
    Picture,
    from_array,
    open_picture,
    read_recipe,
)
from impasto.media.pictures.xmp import packet_with, recipe_in
from tests.media.pictures import CMYK, LOSSLESS, P3, hwc, noise, pil, smooth


@pytest.mark.parametrize("suffix", [".jpg", ".png", ".tif", ".webp"])
def test_a_profile_comes_back(tmp_path: Path, suffix: str) -> None:
    """Colors inside sRGB, in a Display P3 file: other numbers within, the same numbers after."""
    inside = 96 + smooth(40, 60) / 4
    path, out = tmp_path / f"a{suffix}", tmp_path / f"b{suffix}"
    options: dict[str, Any] = (
        {"lossless": True} if suffix == ".webp" else {"quality": 100, "subsampling": 0}
    )
    Image.fromarray(inside.astype(np.uint8)).save(path, icc_profile=P3, **options)
    stored = np.asarray(pil(path), float)
    picture = open_picture(path)
    assert picture.profile == P3
    assert np.abs(hwc(picture) * 255 - stored).max() > 3
    save(picture, out)
    assert pil(out).info["icc_profile"] == P3
    error = np.abs(np.asarray(pil(out), float) - stored)
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
    assert np.abs(got - expected).max() < 2 / 255


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
    assert open_picture(tmp_path / f"b{suffix}").dpi == pytest.approx((300, 150), abs=0.1)
    assert pil(tmp_path / f"b{suffix}").info["dpi"][0] == pytest.approx(300, abs=0.1)


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


@settings(deadline=None, max_examples=60)
@given(
    recipe=st.dictionaries(st.text(), st.text() | st.floats(allow_nan=False) | st.integers()),
    suffix=st.sampled_from([".jpg", ".png", ".tif", ".webp"]),
    ascii_only=st.booleans(),
)
def test_recipes_survive(
    tmp_path_factory: pytest.TempPathFactory, recipe: dict[str, Any], suffix: str, ascii_only: bool
) -> None:
    text = json.dumps(recipe, ensure_ascii=ascii_only)
    try:
        text.encode()
    except UnicodeEncodeError:
        assume(False)
    path = tmp_path_factory.mktemp("recipe") / f"a{suffix}"
    save(from_array(smooth(3, 3)), path, text)
    assert read_recipe(path) == text


def test_a_recipe_does_not_cost_the_profile_and_the_resolution(tmp_path: Path) -> None:
    for suffix in (".jpg", ".png", ".tif", ".webp"):
        picture = Picture(data=from_array(smooth(9, 9)).data, profile=P3, dpi=(300.0, 300.0))
        path = tmp_path / f"a{suffix}"
        save(picture, path, '{"a": "<&>"}')
        assert read_recipe(path) == '{"a": "<&>"}'
        assert open_picture(path).profile == P3
        if suffix != ".webp":  # which has no place for it
            assert open_picture(path).dpi == pytest.approx((300, 300), abs=0.1)


def test_no_recipe(tmp_path: Path) -> None:
    save(from_array(smooth(3, 3)), tmp_path / "a.png")
    assert read_recipe(tmp_path / "a.png") is None
    bomb = b'<!DOCTYPE a [<!ENTITY b "c">]><a>&b;</a>'
    foreign = b'<x:xmpmeta xmlns:x="adobe:ns:meta/"/>'
    for packet in (b"", b"no xml", bomb, foreign):
        Image.new("RGB", (3, 3)).save(tmp_path / "b.webp", xmp=packet)
        assert read_recipe(tmp_path / "b.webp") is None


@pytest.mark.parametrize("code", ["utf-8", "utf-16", "utf-16-be"])
def test_entities_are_not_expanded_in_whatever_code(code: str) -> None:
    plain = packet_with("the recipe").decode()
    inside = plain[plain.index("<x:") : plain.index("<?xpacket end")]
    head = '<!DOCTYPE a [<!ENTITY bomb "boom">]>'
    hostile = inside.replace("the recipe", "&bomb;" * 3)
    for start in ("", f'<?xml version="1.0" encoding="{code}"?>'):
        assert recipe_in(f"{start}{head}{hostile}".encode(code)) is None
    assert recipe_in(f'<?xml version="1.0" encoding="no-such"?>{inside}'.encode()) is None


def test_a_recipe_too_long_for_jpeg_is_said(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match="at most 65502 bytes in a JPEG"):
        save(from_array(smooth(3, 3)), tmp_path / "a.jpg", "x" * 70_000)
    save(from_array(smooth(3, 3)), tmp_path / "a.webp", "x" * 70_000)
    assert read_recipe(tmp_path / "a.webp") == "x" * 70_000
