"""A picture is brought to exactly the size asked for, without shifts or fringes."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import pyvips
from hypothesis import given, settings
from hypothesis import strategies as st

from impasto.errors import ConfigError, SampleError
from impasto.media import as_sample, load, save
from impasto.media.pictures.formats import WRITTEN as SUFFIXES
from impasto.media.pictures.picture import (
    from_array,
    open_picture,
)
from tests.media.memory import on_linux, printed
from tests.media.pictures import noise, smooth


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


@pytest.mark.slow
@on_linux
def test_a_large_file_is_cheap_when_little_is_asked(tmp_path: Path) -> None:
    """48 megapixels, 576 MB as floats, in a process that may grow by far less."""
    for suffix in (".jpg", ".png"):
        big = pyvips.Image.black(8000, 6000, bands=3).copy(interpretation="srgb") + 99
        big.cast("uchar").write_to_file(str(tmp_path / f"big{suffix}"))
        script = (
            "from impasto.media import load\n"
            "before = peak(); picture = load(sys.argv[1], (512,))\n"
            "assert picture.space == (384, 512), picture.space\n"
            "assert abs(picture.data - 99 / 255).max() < 0.01\n"
            "print(peak() - before)"
        )
        assert printed(script, tmp_path / f"big{suffix}") < 250
