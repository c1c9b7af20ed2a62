"""Array files in and out: .npy by numpy.save and Zarr by its library are the oracles."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from impasto.errors import ConfigError, OutputError
from impasto.media import ArraySample, Sample, as_sample, check_target, grid, load, save
from impasto.media.blocks import blocks
from impasto.media.pictures.picture import from_array
from tests.media.memory import growth, on_linux
from tests.media.pictures import noise

SUFFIXES = (".npy", ".zarr")
TYPES = ["<f4", "<f8", ">f4", "<f2", "|i1", "|u1", "<i2", ">u2", "<i4", "<u4", "<i8", "<u8"]


def stored(path: Path, values: np.ndarray, **options: Any) -> Path:
    """The values in a file, by the libraries that own the formats."""
    if path.suffix == ".npy":
        np.save(path, values)
    else:
        zarr.create_array(str(path), data=values, **options)
    return path


def contents(path: Path) -> np.ndarray:
    values = np.load(path) if path.suffix == ".npy" else zarr.open_array(str(path), mode="r")[:]
    return np.asarray(values)


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize(
    "shape", [(100,), (1,), (1, 100), (12, 1), (3, 20, 30), (1, 1, 1), (2, 7, 8, 9)]
)
@pytest.mark.parametrize("dtype", TYPES)
def test_both_ways(tmp_path: Path, suffix: str, shape: tuple[int, ...], dtype: str) -> None:
    values = (np.arange(np.prod(shape)) % 120).reshape(shape).astype(dtype)
    sample = load(stored(tmp_path / f"a{suffix}", values))
    assert sample.data.dtype == np.float32
    assert sample.data.shape == (shape if len(shape) > 1 else (1, *shape))
    assert np.array_equal(sample.data.reshape(shape), values)
    assert sample.value_range is None
    assert grid(tmp_path / f"a{suffix}") == (len(sample.data), sample.space)
    for other in SUFFIXES:
        save(sample, tmp_path / f"b{other}")
        again = contents(tmp_path / f"b{other}")
        assert again.dtype == np.dtype(dtype).newbyteorder("=")
        assert np.array_equal(again, values)
    assert sorted(os.listdir(tmp_path)) == [f"a{suffix}", "b.npy", "b.zarr"]


@settings(deadline=None, max_examples=80)
@given(
    values=hnp.arrays(
        st.sampled_from([np.float32, np.float64, np.int16]),
        hnp.array_shapes(min_dims=1, max_dims=4, max_side=9),
        elements=st.integers(-1000, 1000),
    ),
    fortran=st.booleans(),
)
def test_any_array(
    tmp_path_factory: pytest.TempPathFactory, values: np.ndarray, fortran: bool
) -> None:
    path = tmp_path_factory.mktemp("any") / "a.npy"
    np.save(path, np.asfortranarray(values) if fortran else values)
    sample = load(path)
    assert np.array_equal(sample.data.reshape(values.shape), values)
    save(sample, path)
    assert np.array_equal(np.load(path), values)


@pytest.mark.parametrize("most", [1, 5, 64, 10**6])
@pytest.mark.parametrize("shape", [(7,), (3, 5), (2, 3, 4), (2, 5, 1, 6)])
def test_blocks_cover_an_array_once_and_in_order(
    monkeypatch: pytest.MonkeyPatch, most: int, shape: tuple[int, ...]
) -> None:
    monkeypatch.setattr("impasto.media.blocks._BLOCK", most)
    values = np.arange(np.prod(shape)).reshape(shape)
    pieces = [values[block] for block in blocks(shape)]
    assert np.array_equal(np.concatenate([piece.ravel() for piece in pieces]), values.ravel())
    assert max(piece.size for piece in pieces) <= most
    units = [piece.shape for piece in (values[block] for block in blocks(shape, (2,) * len(shape)))]
    assert sum(int(np.prod(unit)) for unit in units) == values.size
    for block in blocks(shape, (2,) * len(shape)):
        assert all(side.start % 2 == 0 for side in block), "no chunk is read twice"


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_small_blocks_give_the_same(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, suffix: str
) -> None:
    monkeypatch.setattr("impasto.media.blocks._BLOCK", 50)
    monkeypatch.setattr("impasto.media.arrays.CHUNK_SIDES", (7, 5, 3))
    for shape in ((2, 99), (3, 13, 17), (2, 7, 8, 9)):
        values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        save(Sample(values), tmp_path / f"a{suffix}")
        assert np.array_equal(contents(tmp_path / f"a{suffix}"), values)
        assert np.array_equal(load(tmp_path / f"a{suffix}").data, values)


def test_values_that_the_type_does_not_hold(tmp_path: Path) -> None:
    """Rounded to even, and the nearest in the type's range; never wrapped around."""
    values = np.array([[-1e30, -1.5, -0.4, 0.5, 1.5, 254.6, 1e30]], np.float32)
    expected: dict[str, list[Any]] = {
        "u1": [0, 0, 0, 0, 2, 255, 255],
        "i2": [-32768, -2, 0, 0, 2, 255, 32767],
        "u4": [0, 0, 0, 0, 2, 255, 2**32 - 1],
        "i8": [-(2**63), -2, 0, 0, 2, 255, 2**63 - 1024],
        "u8": [0, 0, 0, 0, 2, 255, 2**64 - 2048],
        "f2": [-65504, -1.5, np.float16(-0.4), 0.5, 1.5, np.float16(254.6), 65504],
    }
    for dtype, row in expected.items():
        save(ArraySample(values, dtype=np.dtype(dtype)), tmp_path / "a.npy")
        assert np.load(tmp_path / "a.npy")[0].tolist() == row, dtype
    for wide in (values > 0, values.astype(np.longdouble)):
        sample = load(stored(tmp_path / "b.npy", wide))
        assert isinstance(sample, ArraySample)
        assert sample.dtype == np.float32


@pytest.mark.parametrize("version", [2, 3])
def test_what_a_zarr_array_carries(tmp_path: Path, version: Any) -> None:
    attributes = {"spacing": [0.7, 0.7, 2.5], "unit": "mm", "nested": {"a": None}}
    values = np.arange(2 * 5 * 6 * 7).reshape(2, 5, 6, 7).astype(np.int16)
    names = {"dimension_names": ("c", "x", None, "z")} if version == 3 else {}
    stored(
        tmp_path / "a.zarr",
        values,
        chunks=(1, 2, 4, 7),
        zarr_format=version,
        attributes=attributes,
        **names,
    )
    sample = load(tmp_path / "a.zarr")
    assert np.array_equal(sample.data, values)
    save(sample.with_data(sample.data + 1), tmp_path / "b.zarr", '{"a": 1}')
    again = zarr.open_array(str(tmp_path / "b.zarr"), mode="r")
    assert again.attrs.asdict() == {**attributes, "impasto": '{"a": 1}'}
    assert again.metadata.zarr_format == version
    assert getattr(again.metadata, "dimension_names", None) == names.get("dimension_names")
    assert again.dtype == np.int16
    assert np.array_equal(np.asarray(again[:]), values + 1)


def test_shards_and_arrays_inside_groups(tmp_path: Path) -> None:
    values = np.random.default_rng(0).normal(size=(2, 400)).astype(np.float32)
    stored(tmp_path / "a.zarr", values, chunks=(1, 30), shards=(1, 120))
    assert np.array_equal(load(tmp_path / "a.zarr").data, values)
    zarr.open_group(str(tmp_path / "g.zarr"), mode="w").create_array("0", data=values)
    assert np.array_equal(load(tmp_path / "g.zarr" / "0").data, values)
    assert np.array_equal(load(f"{tmp_path / 'a.zarr'}/").data, values)


def test_an_old_array_is_replaced_and_nothing_else(tmp_path: Path) -> None:
    target = tmp_path / "a.zarr"
    for value in (1, 2):
        save(Sample(np.full((1, 5, 6), value, np.float32)), target)
        check_target(target)
        assert (contents(target) == value).all()
    (tmp_path / "empty.zarr").mkdir()
    save(Sample(np.zeros((1, 5), np.float32)), tmp_path / "empty.zarr")
    (tmp_path / "link.zarr").symlink_to(target)
    save(Sample(np.zeros((1, 5), np.float32)), tmp_path / "link.zarr")
    assert (tmp_path / "link.zarr").is_symlink()
    assert contents(target).shape == (1, 5)
    assert sorted(os.listdir(tmp_path)) == ["a.zarr", "empty.zarr", "link.zarr"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_the_values_go_where_the_caller_says(tmp_path: Path, suffix: str) -> None:
    def new(shape: tuple[int, ...]) -> np.ndarray:
        return np.memmap(tmp_path / "big.bin", np.float32, "w+", shape=shape)

    values = np.random.default_rng(0).normal(size=(3, 20, 30)).astype(np.float32)
    sample = as_sample(stored(tmp_path / f"a{suffix}", values), new=new)
    assert isinstance(sample.data, np.memmap)
    assert np.array_equal(np.fromfile(tmp_path / "big.bin", np.float32), values.ravel())
    save(sample, tmp_path / f"b{suffix}")
    assert np.array_equal(contents(tmp_path / f"b{suffix}"), values)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_sizes(tmp_path: Path, suffix: str) -> None:
    path = stored(tmp_path / f"a{suffix}", np.zeros((2, 20, 30), np.float32))
    for size in ((0,), (30,), (20, 30)):
        assert load(path, size).space == grid(path, size)[1] == (20, 30)
    for size in ((20,), (20, 31)):
        for attempt in (load, grid):
            with pytest.raises(ConfigError, match=r"--size: .* its grid of 20 x 30, found .* 0"):
                attempt(path, size)
    with pytest.raises(ConfigError, match="--size"):
        load(path, (1, 2, 3))


def test_grids_of_pictures(tmp_path: Path) -> None:
    save(from_array(noise(30, 40, 4)), tmp_path / "a.png")
    assert grid(tmp_path / "a.png") == (3, (30, 40))
    assert grid(tmp_path / "a.png", (20,)) == (3, (15, 20))
    assert grid(tmp_path / "a.png", (9, 7)) == (3, (9, 7))


def test_pictures_as_arrays_and_arrays_as_pictures(tmp_path: Path) -> None:
    values = noise(20, 30, 3)
    picture = from_array(values)
    save(picture, tmp_path / "a.npy")
    assert np.array_equal(np.load(tmp_path / "a.npy"), picture.data)
    save(load(tmp_path / "a.npy"), tmp_path / "a.png")
    assert np.allclose(load(tmp_path / "a.png").data, picture.data)
    for planes in (np.moveaxis(values, 2, 0), np.moveaxis(values, 2, 0) * np.uint16(257)):
        save(load(stored(tmp_path / "b.npy", planes)), tmp_path / "b.png")
        assert np.allclose(load(tmp_path / "b.png").data, picture.data, atol=1e-6)


def test_targets_that_cannot_hold_the_sample(tmp_path: Path) -> None:
    for shape in ((1, 20, 30), (3, 20), (3, 4, 5, 6)):
        save(Sample(np.zeros(shape, np.float32)), tmp_path / "a.npy")
        channels, space = grid(tmp_path / "a.npy")
        words = r"a picture file, .* save it as \.npy or \.zarr"
        with pytest.raises(OutputError, match=words):
            check_target(tmp_path / "a.png", space, channels)
        with pytest.raises(OutputError, match=words):
            save(load(tmp_path / "a.npy"), tmp_path / "a.png")
        check_target(tmp_path / "b.npy", space, channels)
        check_target(tmp_path / "b.zarr", space, channels)
    assert os.listdir(tmp_path) == ["a.npy"]


@pytest.mark.slow
@on_linux
@pytest.mark.parametrize("suffix", SUFFIXES)
def test_memory_beside_the_array(tmp_path: Path, suffix: str) -> None:
    """32 million values of 16 bits, 128 MB as floats, from a file and into another."""
    values = (np.arange(2 * 32 * 2**19) % 1000).astype(np.int16).reshape(1, 128, 512, 512)
    chunks = {} if suffix == ".npy" else {"chunks": (1, 64, 64, 64)}
    stored(tmp_path / f"big{suffix}", values, **chunks)
    stored(tmp_path / f"small{suffix}", values[:, :40, :40, :40], **chunks)
    # The pages of the .npy file that is read are counted too, though they can be dropped.
    mapped = values.nbytes / 2**20 if suffix == ".npy" else 0
    assert growth(tmp_path, suffix) < 100 + mapped
    assert np.array_equal(contents(tmp_path / f"copy{suffix}"), values)
