"""Damaged, hostile and mistaken arrays: one line that says what to do, and nothing else printed."""

from __future__ import annotations

import json
import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.media.places import Bomb, Refused, as_nobody, check_read_or_refused, spoil

SUFFIXES = (".npy", ".zarr")


def stored(path: Path, values: np.ndarray) -> Path:
    if path.suffix == ".npy":
        np.save(path, values)
    else:
        zarr.create_array(str(path), data=values, chunks=tuple(max(1, n) for n in values.shape))
    return path


def metadata(folder: Path, **changes: Any) -> Path:
    """A Zarr array whose zarr.json says something else; None leaves a key out."""
    stored(folder, np.zeros((2, 6, 7), np.float32))
    described = json.loads((folder / "zarr.json").read_text()) | changes
    described = {key: value for key, value in described.items() if value is not None}
    (folder / "zarr.json").write_text(json.dumps(described))
    return folder


def chunks_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.suffix != ".json"]


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_values_that_are_no_real_numbers(tmp_path: Path, refused: Refused, suffix: str) -> None:
    words = "integers or real numbers, found values of type complex64; convert"
    refused(stored(tmp_path / f"a{suffix}", np.zeros((2, 9), np.complex64)), words)


@pytest.mark.parametrize("dtype", [object, "U3", "S3", "M8[s]", "V4", [("a", "f4")]])
def test_npy_files_of_other_things(tmp_path: Path, refused: Refused, dtype: Any) -> None:
    np.save(tmp_path / "a.npy", np.zeros((2, 9), dtype), allow_pickle=True)
    refused(tmp_path / "a.npy", "integers or real numbers, found values of type")


def test_nothing_is_unpickled(tmp_path: Path, refused: Refused) -> None:
    values = np.empty((1, 2), object)
    values[:] = Bomb()
    np.save(tmp_path / "a.npy", values, allow_pickle=True)
    refused(tmp_path / "a.npy", "integers or real numbers, found values of type object")
    described = {
        "zarr_format": 2,
        "shape": [1, 4],
        "chunks": [1, 4],
        "dtype": "<f4",
        "fill_value": 0,
        "order": "C",
        "filters": None,
        "compressor": {"id": "pickle"},
    }
    (tmp_path / "a.zarr").mkdir()
    (tmp_path / "a.zarr" / ".zarray").write_text(json.dumps(described))
    (tmp_path / "a.zarr" / "0.0").write_bytes(values.dumps())
    refused(tmp_path / "a.zarr", "an error of its decoder: .*pickle")
    for filters in ([{"id": "pickle"}], [{"id": "zlib"}, {"id": "pickle"}]):
        described |= {"compressor": None, "filters": filters}
        (tmp_path / "a.zarr" / ".zarray").write_text(json.dumps(described))
        refused(tmp_path / "a.zarr", "an error of its decoder: .*pickle")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (3, 0, 5), (1, 2, 3, 4, 5)])
def test_shapes_of_no_sample(
    tmp_path: Path, refused: Refused, suffix: str, shape: tuple[int, ...]
) -> None:
    path = stored(tmp_path / f"a{suffix}", np.zeros(shape, np.float32))
    refused(path, r"shape \(time,\), \(channel, time\), .* found shape \(.*\); put the channels")


@pytest.mark.parametrize("suffix", SUFFIXES)
@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_values_that_are_not_finite(
    tmp_path: Path, refused: Refused, suffix: str, value: float
) -> None:
    values = np.zeros((2, 9))
    values[1, 3:5] = value
    path = stored(tmp_path / f"a{suffix}", values)
    refused(path, "finite values, found 2 that are NaN or infinite", early=False)


@pytest.mark.parametrize("name", ["a.npy", "a.zarr", "folder/a.npy", "folder/a.zarr", "a.zarr/0"])
def test_a_missing_array_is_refused(tmp_path: Path, refused: Refused, name: str) -> None:
    refused(tmp_path / name, "found none there; check the path")
    assert os.listdir(tmp_path) == []


def test_things_of_another_kind(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "a.npy").mkdir()
    refused(tmp_path / "a.npy", "an array file, found a folder; name a file")
    os.mkfifo(tmp_path / "b.npy")
    refused(tmp_path / "b.npy", "found a device, pipe or socket")
    (tmp_path / "b.zarr").write_bytes(b"")
    refused(tmp_path / "b.zarr", "a Zarr folder, found a file; unpack it")
    (tmp_path / "c.zarr").mkdir()
    (tmp_path / "c.zarr" / "notes.txt").write_text("no array")
    refused(tmp_path / "c.zarr", "a Zarr array, found a folder without one's metadata; name")


def test_groups_instead_of_arrays(tmp_path: Path, refused: Refused) -> None:
    group = zarr.open_group(str(tmp_path / "a.zarr"), mode="w")
    refused(tmp_path / "a.zarr", "one Zarr array, found a group without arrays")
    for name in ("1", "0"):
        group.create_array(name, shape=(2, 9), dtype="f4")
    refused(tmp_path / "a.zarr", "found a group of arrays; name an array in it, such as .*a.zarr/0")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_unreadable_files(others: Path, refused: Refused, suffix: str) -> None:
    path = stored(others / f"a{suffix}", np.zeros((2, 9)))
    path.chmod(0)
    as_nobody()
    refused(path, "cannot be read .*; check its permissions")


def test_files_that_are_no_npy(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "a.npy").write_bytes(b"")
    refused(tmp_path / "a.npy", "an array, found an empty file; get it again")
    np.savez(tmp_path / "a.npz", a=np.zeros(3))
    (tmp_path / "a.npz").rename(tmp_path / "b.npy")
    refused(tmp_path / "b.npy", r"a \.npy file .*; write it with numpy.save")
    for contents in (b"dear diary" * 20, b"\x93NUMPY", b"\x93NUMPY\x09\x00" + bytes(200)):
        (tmp_path / "c.npy").write_bytes(contents)
        refused(tmp_path / "c.npy", r"a \.npy file of version 1 or 2, found another")


@pytest.mark.parametrize("kept", [0.005, 0.05, 0.5, 0.99])
def test_truncated_npy_files(tmp_path: Path, refused: Refused, kept: float) -> None:
    path = stored(tmp_path / "a.npy", np.zeros((2, 900)))
    data = path.read_bytes()
    path.write_bytes(data[: int(kept * len(data))])
    refused(path, "header; write" if kept == 0.005 else "14528 bytes for an array of shape")


def test_a_header_that_claims_what_is_not_there(tmp_path: Path, refused: Refused) -> None:
    for shape in ((10**12, 10**12), (2**62, 8), (-5, 3)):
        header = {"descr": "<f8", "fortran_order": False, "shape": shape}
        with open(tmp_path / "a.npy", "wb") as file:
            np.lib.format.write_array_header_1_0(file, header)
            file.write(bytes(1000))
        refused(tmp_path / "a.npy", r"bytes for an array of shape|found shape")


def test_damaged_chunks(tmp_path: Path, refused: Refused) -> None:
    values = np.random.default_rng(0).normal(size=(2, 500))
    for keep in (0, 3, 1000):
        path = stored(tmp_path / f"{keep}.zarr", values)
        (chunk,) = chunks_in(path)
        chunk.write_bytes(chunk.read_bytes()[:keep])
        refused(
            path,
            "an array whole to its end, found an error of its decoder: .*; get",
            early=False,
        )


@pytest.mark.parametrize(
    "changes",
    [
        {"shape": [-1, 2, 3]},
        {"shape": "x"},
        {"shape": [2, 2]},
        {"chunk_grid": None},
        {"chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [0, 0, 0]}}},
        {"codecs": [{"name": "numcodecs.pickle"}]},
        {"codecs": []},
        {"data_type": "float9"},
        {"node_type": "nothing"},
        {"zarr_format": 9},
        {"attributes": 5},
    ],
)
def test_damaged_metadata(tmp_path: Path, refused: Refused, changes: dict[str, Any]) -> None:
    refused(metadata(tmp_path / "a.zarr", **changes), "expected an? (array whole|Zarr array)")


def test_metadata_that_is_no_json(tmp_path: Path, refused: Refused) -> None:
    for text in ("", "{", "[]", '"array"', "\udcff"):
        path = metadata(tmp_path / "a.zarr")
        (path / "zarr.json").write_bytes(os.fsencode(text))
        refused(path, "expected an? (array whole|Zarr array)")
        shutil.rmtree(path)


@settings(deadline=None, max_examples=150)
@given(
    suffix=st.sampled_from(SUFFIXES),
    where=st.floats(0, 1),
    garbage=st.binary(min_size=1, max_size=40),
    chunk=st.booleans(),
)
def test_garbage_is_an_error_or_an_array(
    tmp_path_factory: pytest.TempPathFactory,
    suffix: str,
    where: float,
    garbage: bytes,
    chunk: bool,
) -> None:
    path = stored(tmp_path_factory.mktemp("garbage") / f"a{suffix}", np.ones((2, 40)))
    file = path
    if suffix == ".zarr":
        file = chunks_in(path)[0] if chunk else path / "zarr.json"
    spoil(file, where, garbage)
    check_read_or_refused(path)
