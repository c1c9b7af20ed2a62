"""NRRD in and out: pynrrd is the oracle."""

from __future__ import annotations

import gzip
import os
from pathlib import Path
from typing import Any

import nrrd
import numpy as np
import pytest

from impasto.media import grid, load, save
from tests.media.memory import growth, on_linux
from tests.media.volumes import TILTED, loaded, smooth, volume

SUFFIXES = (".nrrd", ".nhdr")
TYPES = ("u1", "i1", "<i2", ">i2", "<u2", "<i4", ">f4", "<f4", "<f8", "<u8")
FLIPPED = np.diag([-1.0, -1.0, 1.0, 1.0]) @ TILTED
PLACED: dict[str, Any] = {
    "space": "left-posterior-superior",
    "space directions": FLIPPED[:3, :3].T,
    "space origin": FLIPPED[:3, 3],
    "kinds": ["domain", "domain", "domain"],
}


def stored(path: Path, values: np.ndarray, header: dict[str, Any], **options: Any) -> Path:
    nrrd.write(str(path), values, dict(header), **options)
    return path


def same(ours: Any, theirs: Any) -> bool:
    return np.array_equal(np.asarray(ours), np.asarray(theirs))


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("encoding", ["raw", "gzip"])
@pytest.mark.parametrize("dtype", TYPES)
def test_both_ways(tmp_path: Path, suffix: str, encoding: str, dtype: str) -> None:
    values = (np.arange(12 * 10 * 8) % 120).reshape(12, 10, 8).astype(dtype)
    more = {"space units": ["mm", "mm", "mm"], "Scanner Name": "a:=b \\", "encoding": encoding}
    path = stored(tmp_path / f"a{suffix}", values, PLACED | more)
    _, theirs = nrrd.read(str(path))
    sample = loaded(path)
    assert np.array_equal(sample.data[0], values)
    assert np.allclose(sample.affine, TILTED)
    assert sample.dtype == np.dtype(dtype).newbyteorder("=")
    assert grid(path) == (1, (12, 10, 8))
    for other in SUFFIXES:
        save(sample, tmp_path / f"b{other}", '{"a": "b\\\\c"}')
        read, ours = nrrd.read(str(tmp_path / f"b{other}"))
        assert np.array_equal(read, values)
        assert read.dtype == np.dtype(dtype)
        assert ours.pop("intended use") == "not for diagnosis"
        assert ours.pop("impasto") == '{"a": "b\\\\\\\\c"}'
        for header in (ours, theirs):
            header.pop("data file", None)
        assert ours.keys() == theirs.keys()
        assert all(same(ours[key], theirs[key]) for key in ours)
        again = loaded(tmp_path / f"b{other}")
        assert np.array_equal(again.affine, sample.affine)
    values_file = "b.raw.gz" if encoding == "gzip" else "b.raw"
    assert {"b.nrrd", "b.nhdr", values_file} <= set(os.listdir(tmp_path))


def test_a_recipe_is_replaced_and_comments_stay(tmp_path: Path) -> None:
    path = stored(tmp_path / "a.nrrd", smooth(4, 5, 6)[0], PLACED)
    raw = path.read_bytes().replace(b"NRRD0005\n", "NRRD0005\n# of the archivé\n".encode(), 1)
    path.write_bytes(raw)
    for recipe in ("first", None, "second"):
        save(load(path), path, recipe)
    head = path.read_bytes().split(b"\n\n")[0].decode().splitlines()
    assert head[1] == "# of the archivé"
    assert head[-2:] == ["intended use:=not for diagnosis", "impasto:=second"]
    assert len(head) == len(raw.split(b"\n\n")[0].splitlines()) + 2


@pytest.mark.parametrize(
    ("space", "signs"),
    [
        ("right-anterior-superior", (1, 1, 1)),
        ("RAS", (1, 1, 1)),
        ("left-anterior-superior", (-1, 1, 1)),
        ("LAS", (-1, 1, 1)),
        ("LPS", (-1, -1, 1)),
        ("scanner-xyz", (1, 1, 1)),
        (None, (1, 1, 1)),
    ],
)
def test_spaces_decide_the_signs_of_the_affine(
    tmp_path: Path, space: str | None, signs: tuple[int, ...]
) -> None:
    header = {**PLACED, "space": space} if space else {**PLACED, "space dimension": 3}
    if not space:
        del header["space"]
    sample = loaded(stored(tmp_path / "a.nrrd", smooth(4, 5, 6)[0], header))
    assert np.allclose(sample.affine, np.diag([*signs, 1]) @ FLIPPED)


@pytest.mark.parametrize(("unit", "factor"), [("um", 1e-3), ("m", 1e3), ("cm", 10), ("mm", 1)])
def test_units_of_length(tmp_path: Path, unit: str, factor: float) -> None:
    header = PLACED | {"space units": [unit] * 3}
    sample = loaded(stored(tmp_path / "a.nrrd", smooth(4, 5, 6)[0], header))
    assert np.allclose(sample.affine[:3], factor * TILTED[:3])
    save(sample, tmp_path / "b.nrrd")
    assert nrrd.read_header(str(tmp_path / "b.nrrd"))["space units"] == [unit] * 3


def test_spacings_alone_and_axes_of_one(tmp_path: Path) -> None:
    plain = loaded(stored(tmp_path / "a.nrrd", smooth(4, 5, 6)[0], {"spacings": [0.5, 0.5, 2]}))
    assert np.array_equal(plain.affine, np.diag([0.5, 0.5, 2, 1]))
    directions = np.vstack([[np.nan] * 3, FLIPPED[:3, :3].T])
    header = PLACED | {"space directions": directions, "kinds": ["list", *["domain"] * 3]}
    path = stored(tmp_path / "b.nrrd", smooth(4, 5, 6), header)
    sample = loaded(path)
    assert np.array_equal(sample.data, smooth(4, 5, 6))
    assert np.allclose(sample.affine, TILTED)
    save(sample, tmp_path / "c.nrrd")
    assert nrrd.read(str(tmp_path / "c.nrrd"))[0].shape == (1, 4, 5, 6)
    save(sample.resampled(2.0), tmp_path / "d.nrrd")
    assert nrrd.read(str(tmp_path / "d.nrrd"))[0].shape == sample.resampled(2.0).space


@pytest.mark.parametrize(("lines", "skip"), [(0, 7), (2, 0), (2, 5), (0, -1)])
def test_values_that_begin_later(tmp_path: Path, lines: int, skip: int) -> None:
    values = np.arange(120, dtype=np.int16).reshape((4, 5, 6), order="F")
    for packed in (False, True):
        if packed and skip == -1:
            continue
        body = b"x" * max(0, skip) + values.tobytes("F")
        junk = b"one\ntwo\n" if lines else b""
        if skip == -1:
            junk = b"whatever"
        (tmp_path / "a.bin").write_bytes(junk + (gzip.compress(body) if packed else body))
        (tmp_path / "a.nhdr").write_text(
            "NRRD0004\ntype: short\ndimension: 3\nsizes: 4 5 6\nendian: little\n"
            f"encoding: {'gz' if packed else 'raw'}\nline skip: {lines}\nbyte skip: {skip}\n"
            "data file: a.bin\n"
        )
        assert np.array_equal(loaded(tmp_path / "a.nhdr").data[0], values)
        save(load(tmp_path / "a.nhdr"), tmp_path / "b.nrrd")
        assert np.array_equal(nrrd.read(str(tmp_path / "b.nrrd"))[0], values)


def test_volumes_from_elsewhere(tmp_path: Path) -> None:
    for dtype, slope, intercept, expected in (
        ("u2", 1.0, 0.0, "u2"),
        ("u1", 1.0, -1024.0, "i2"),
        ("u2", 1.0, -1024.0, "i4"),
        ("i2", 0.5, 0.0, "f4"),
        ("i4", 2.0, 0.0, "f4"),
        ("f8", 1.0, 0.0, "f8"),
        ("f2", 1.0, 0.0, "f4"),
    ):
        data = np.abs(volume().data) % 200 * np.float32(slope) + np.float32(intercept)
        sample = volume(data=data, dtype=np.dtype(dtype), slope=slope, intercept=intercept)
        for suffix in SUFFIXES:
            save(sample, tmp_path / f"a{suffix}")
            values, header = nrrd.read(str(tmp_path / f"a{suffix}"))
            assert np.array_equal(values, data[0])
            assert values.dtype == np.dtype(expected)
            assert header["encoding"] == "gzip"
            assert np.array_equal(loaded(tmp_path / f"a{suffix}").affine, TILTED)


def test_other_grids_and_types(tmp_path: Path) -> None:
    header = PLACED | {"Scanner": "one", "encoding": "raw"}
    sample = loaded(stored(tmp_path / "a.nrrd", smooth(12, 10, 8)[0].astype(np.int16), header))
    moved = sample.resampled(1.5)
    save(moved, tmp_path / "b.nrrd")
    values, again = nrrd.read(str(tmp_path / "b.nrrd"))
    assert (values.shape, again["Scanner"], again["encoding"]) == (moved.space, "one", "raw")
    assert np.array_equal(loaded(tmp_path / "b.nrrd").affine, moved.affine)
    assert np.abs(values - moved.data[0]).max() <= 0.5


@pytest.mark.slow
@on_linux
@pytest.mark.parametrize("encoding", ["raw", "gzip"])
def test_memory_beside_the_array(tmp_path: Path, encoding: str) -> None:
    """16 million voxels of 16 bits, 64 MB as floats, 32 MB in the file."""
    values = np.tile(smooth(64, 64, 32)[0].astype(np.int16), (4, 4, 8))
    header = PLACED | {"encoding": encoding}
    stored(tmp_path / "big.nrrd", values, header, compression_level=1)
    stored(tmp_path / "small.nrrd", values[:40, :40, :40], header)
    assert growth(tmp_path, ".nrrd") < 60
    assert np.array_equal(nrrd.read(str(tmp_path / "copy.nrrd"))[0], values)
