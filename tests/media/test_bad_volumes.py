"""Damaged, hostile and mistaken volumes in one file: one line that says what to do."""

from __future__ import annotations

import gzip
import os
from contextlib import suppress
from pathlib import Path
from typing import Any

import nibabel
import nrrd
import numpy as np
import pytest
import zarr
from hypothesis import given, settings
from hypothesis import strategies as st

from impasto.errors import ConfigError, InputError, SampleError
from impasto.media import grid, load, save
from tests.media.places import Refused, check_read_or_refused, spoil
from tests.media.test_nrrd import PLACED
from tests.media.test_ome import axes
from tests.media.test_ome import stored as stored_ome
from tests.media.volumes import TILTED, smooth, volume

FILES = (".nii", ".nii.gz", ".hdr", ".img", ".nrrd", ".nhdr")


@pytest.mark.parametrize("suffix", FILES)
def test_nothing_there_and_nothing_in_it(tmp_path: Path, refused: Refused, suffix: str) -> None:
    refused(tmp_path / f"a{suffix}", "found none there; check the path")
    kept = ".hdr" if suffix == ".img" else suffix
    (tmp_path / f"a{kept}").write_bytes(b"")
    refused(tmp_path / f"a{suffix}", "found an empty file; get it again")
    (tmp_path / f"b{kept}").mkdir()
    refused(tmp_path / f"b{suffix}", "found a folder; name a file")
    os.mkfifo(tmp_path / f"c{kept}")
    refused(tmp_path / f"c{suffix}", "found a device, pipe or socket")
    (tmp_path / f"d{kept}").write_bytes(b"dear diary, today\n" * 50)
    refused(tmp_path / f"d{suffix}", "expected ")


@pytest.mark.parametrize("suffix", [*FILES, "raw.nrrd"])
@pytest.mark.parametrize("kept", [0.001, 0.1, 0.6, 0.995])
def test_truncated_files(tmp_path: Path, refused: Refused, suffix: str, kept: float) -> None:
    path = tmp_path / f"a{suffix}"
    noise = np.random.default_rng(0).normal(size=(1, 20, 20, 20)).astype(np.float32)
    if suffix == "raw.nrrd":
        nrrd.write(str(path), noise[0], PLACED | {"encoding": "raw"})
    else:
        save(volume(data=noise, dtype=np.dtype(np.float32)), path)
    file = {".img": tmp_path / "a.img", ".nhdr": tmp_path / "a.raw.gz"}.get(suffix, path)
    data = file.read_bytes()
    file.write_bytes(data[: int(kept * len(data))])
    if (suffix, kept) == (".hdr", 0.995):  # which cuts off no more than the recipe
        assert np.array_equal(load(path).data, noise)
        return
    with pytest.raises(SampleError, match="expected ") as caught:
        load(path)
    assert "\n" not in str(caught.value)
    with suppress(SampleError):
        grid(path)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd"])
def test_gzip_whose_checksum_does_not_fit(tmp_path: Path, refused: Refused, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    save(volume(), path)
    data = bytearray(path.read_bytes())
    data[-6] ^= 1
    path.write_bytes(data)
    refused(path, "a file whole to its end, found an error of gzip: CRC check failed", early=False)


def nifti(path: Path, values: np.ndarray, **fields: Any) -> Path:
    """A NIfTI file whose header says something else; nothing of it is checked."""
    image = nibabel.Nifti1Image(values, TILTED, dtype=values.dtype)
    image.to_filename(path)
    raw = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    header = nibabel.Nifti1Header(raw[:348], check=False)
    for name, value in fields.items():
        header[name] = value
    raw = header.binaryblock + raw[348:]
    path.write_bytes(gzip.compress(raw) if path.suffix == ".gz" else raw)
    return path


ONES = np.ones((4, 5, 6), np.int16)
RGB = np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")])


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.ones((4, 5, 6, 2), np.int16), r"three axes, found shape \(4, 5, 6, 2\); save one vol"),
        (np.ones((4, 5, 6, 1, 3), np.int16), r"three axes, found shape \(4, 5, 6, 1, 3\)"),
        (np.zeros((4, 5, 6), RGB), "integers or real numbers, found colors; save one channel"),
        (np.ones((4, 5, 6), np.complex64), "real numbers, found values of type complex64"),
    ],
)
def test_nifti_of_other_things(
    tmp_path: Path, refused: Refused, values: np.ndarray, words: str
) -> None:
    refused(nifti(tmp_path / "a.nii", values), words)


@pytest.mark.parametrize("suffix", [".nii", ".nii.gz"])
@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"dim": [3, 32767, 32767, 32767, 1, 1, 1, 1]}, "bytes for a volume of shape .32767, "),
        ({"dim": [3, -4, 5, 6, 1, 1, 1, 1]}, "none of them empty, found dim = "),
        ({"dim": [3, 4, 0, 6, 1, 1, 1, 1]}, "none of them empty, found dim = "),
        ({"dim": [9, 4, 5, 6, 1, 1, 1, 1]}, "expected "),
        ({"dim": [0, 4, 5, 6, 1, 1, 1, 1]}, "expected "),
        ({"datatype": 999}, "a NIfTI header, found an error of nibabel: .*999"),
        ({"datatype": 1}, "expected "),
        ({"vox_offset": np.nan}, "values from byte 352 on, found a vox_offset of nan"),
        ({"vox_offset": -8}, "values from byte 352 on, found a vox_offset of -8"),
        ({"vox_offset": 1e30}, "bytes for a volume of shape|found a vox_offset of"),
        ({"xyzt_units": 5}, "m, mm or µm for the unit of length, found the code 5"),
        ({"scl_slope": 1.0, "scl_inter": np.nan}, "an error of nibabel: Valid slope but"),
        ({"srow_x": [0, 0, 0, 0]}, "places voxels in space, found one that is singular or not"),
        ({"srow_x": [1, 0, 0, np.inf]}, "places voxels in space, found one that is singular or"),
        (
            {"sform_code": 0, "qform_code": 1, "quatern_b": 7},
            "found one that is w2 should be positive",
        ),
        ({"magic": b"ni1"}, "header and values in one file, found the header of a pair; rename"),
        ({"magic": b"xyz"}, "a NIfTI header, found Analyze 7.5, which gives no orientation; conv"),
        ({"magic": b"xyz", "sizeof_hdr": 0}, "a NIfTI header, found another file"),
    ],
)
def test_nifti_headers_that_lie(
    tmp_path: Path, refused: Refused, suffix: str, fields: dict[str, Any], words: str
) -> None:
    refused(nifti(tmp_path / f"a{suffix}", ONES, **fields), words)


def test_a_compressed_header_that_lies_a_little(tmp_path: Path, refused: Refused) -> None:
    path = nifti(tmp_path / "a.nii.gz", ONES, dim=[3, 4, 5, 60, 1, 1, 1, 1])
    refused(path, "a value for every voxel, found the end of the file before", early=False)
    path.write_bytes(path.read_bytes()[:60])
    refused(path, "whole to its end, found an error of gzip: Compressed file ended")


def test_values_that_are_not_finite(tmp_path: Path, refused: Refused) -> None:
    values = np.ones((4, 5, 6), np.float32)
    values[1, 2, 3:5] = np.inf
    words = "finite values, found 2 that are NaN or infinite; replace or cut them out first"
    refused(nifti(tmp_path / "a.nii.gz", values), words, early=False)
    nrrd.write(str(tmp_path / "a.nrrd"), values, PLACED)
    refused(tmp_path / "a.nrrd", words, early=False)
    refused(stored_ome(tmp_path / "a.zarr", values), words, early=False)
    big = nifti(tmp_path / "b.nii", ONES, scl_slope=3e38, scl_inter=3e38)
    refused(big, "finite values, found 120 that are NaN or infinite", early=False)


def test_pairs_of_one_and_names_that_lie(tmp_path: Path, refused: Refused) -> None:
    save(volume(), tmp_path / "a.hdr")
    (tmp_path / "a.img").unlink()
    for name in ("a.hdr", "a.img"):
        refused(tmp_path / name, "the .img file beside it, found none there")
    save(volume(), tmp_path / "b.nii")
    (tmp_path / "b.nii").rename(tmp_path / "b.hdr")
    refused(tmp_path / "b.hdr", "the header of a pair, found those of one file; rename it to .nii")
    save(volume(), tmp_path / "c.nii")
    (tmp_path / "c.nii").rename(tmp_path / "c.nii.gz")
    refused(tmp_path / "c.nii.gz", "found an error of gzip: Not a gzipped file")
    save(volume(), tmp_path / "d.nii.gz")
    (tmp_path / "d.nii.gz").rename(tmp_path / "d.nii")
    refused(tmp_path / "d.nii", "a NIfTI header, found another file")


HEAD = {
    "type": "short",
    "dimension": "3",
    "sizes": "4 5 6",
    "space": "left-posterior-superior",
    "space directions": "(1,0,0) (0,1,0) (0,0,1)",
    "space origin": "(0,0,0)",
    "endian": "little",
    "encoding": "raw",
}


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({"sizes": "4 5 600000000000"}, "24000000000[0-9]{3} bytes for a volume of shape"),
        ({"sizes": "4 5 7"}, r"[0-9]+ bytes for a volume of shape \(4, 5, 7\), found"),
        ({"sizes": "4 5 -6"}, r"as many sizes above 0 as there are dimensions, found \[4, 5, -6"),
        ({"sizes": "4 5"}, r"as many sizes above 0 .*, found \[4, 5\] of 3"),
        ({"sizes": "a b c"}, "an NRRD header, found an error of pynrrd: could not convert"),
        ({"sizes": None}, "an NRRD header, found an error of pynrrd: KeyError"),
        ({"type": None}, "found an error of pynrrd: KeyError"),
        ({"type": "block"}, "integers or real numbers, found values of type block; convert"),
        ({"endian": None}, "endian: little or big, found none; correct the header"),
        ({"endian": "middle"}, "endian: little or big, found middle"),
        ({"encoding": "hex"}, "raw, gzip, bzip2 or ascii, found hex; convert it, for example"),
        ({"encoding": "zrl"}, "raw, gzip, bzip2 or ascii, found zrl"),
        ({"space directions": "(1,0,0) (0,1,0) (1,1,0)"}, "found one that is singular"),
        ({"space directions": "(1,0,0) none (0,0,1)"}, "found one that is singular or not finite"),
        ({"space directions": "(1,0) (0,1) (1,1)"}, "expected "),
        ({"space origin": "(0,0)"}, "expected "),
        ({"space units": '"furlong" "mm" "mm"'}, "a unit of length, such as mm, found 'furlong'"),
        ({"data file": "../../etc/passwd"}, "in the header's folder, found data file: ../../etc"),
        ({"data file": "/etc/passwd"}, "in the header's folder, found data file: /etc/passwd; pu"),
        ({"data file": "..\\x.raw"}, "in the header's folder, found data file: ..*x.raw"),
        ({"data file": "slice%03d.raw 1 6 1"}, "one file of values in the header's folder, found"),
        ({"data file": "LIST"}, "one file of values in the header's folder, found data file: LI"),
        ({"data file": "a\0b"}, "one file of values in the header's folder, found data file: a"),
        ({"data file": ""}, "one file of values in the header's folder, found data file: ;"),
        ({"data file": "missing.raw"}, "the file missing.raw beside it, found none there; check"),
        ({"data file": "."}, "header's folder, found data file: .; put"),
        ({"byte skip": "-2"}, "byte skip from 0 up, found -2"),
        ({"line skip": "-1"}, "line skip from 0 up, found -1"),
        ({"byte skip": "99999999"}, "bytes for a volume of shape"),
        ({"line skip": "99999999"}, "bytes for a volume of shape"),
        ({"dimension": "4", "sizes": "3 4 5 6"}, "one volume of three axes, found sizes 3 4 5 6"),
        ({"dimension": "2", "sizes": "4 5"}, "one volume of three axes, found sizes 4 5"),
        ({"nonsense": None, "no colon": ""}, "expected |"),
    ],
)
def test_nrrd_headers_that_lie(
    tmp_path: Path, refused: Refused, changes: dict[str, Any], words: str
) -> None:
    fields = {name: value for name, value in (HEAD | changes).items() if value is not None}
    if changes.get("dimension"):
        del fields["space directions"], fields["space origin"], fields["space"]
    text = "NRRD0004\n" + "".join(f"{name}: {value}\n" for name, value in fields.items())
    (tmp_path / "a.nrrd").write_bytes(text.encode() + b"\n" + ONES.tobytes())
    if "no colon" in changes:
        raw = (tmp_path / "a.nrrd").read_bytes().replace(b"no colon: ", b"no colon")
        (tmp_path / "a.nrrd").write_bytes(raw)
        words = "an NRRD header, found an error of pynrrd"
    refused(tmp_path / "a.nrrd", words)


def test_a_header_without_an_end(tmp_path: Path, refused: Refused) -> None:
    (tmp_path / "a.nrrd").write_bytes(b"NRRD0004\n" + b"x" * 2**23)
    refused(tmp_path / "a.nrrd", "a blank line after the header, found none")


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"names": "cyx"}, r"three axes of space, found axes c: 4, y: 5, x: 6; .* name the array"),
        ({"names": "zyx", "axes": axes("cyx")}, "three axes of space, found axes c: 4, y: 5, x: 6"),
        ({"names": "czyx"}, "three axes of space, found axes c: 2, z: 4, y: 5, x: 6"),
        ({"names": "tzyx"}, "three axes of space, found axes t: 2, z: 4, y: 5, x: 6"),
        ({"version": "0.2"}, "OME-Zarr 0.4 or 0.5, found version 0.2; convert it to one of th"),
        ({"axes": axes("zyx", unit="parsec")}, "units of length: angstrom, .*, found parsec"),
        ({"axes": axes("yx")}, "an array whole to its end, found an error of its decoder"),
        ({"axes": ["z", "y", "x"]}, "found an error of its decoder"),
        ({"axes": None}, "found an error of its decoder"),
        ({"datasets": []}, "found an error of its decoder"),
        ({"datasets": [{"path": "../b"}]}, "arrays within the folder, found the path ../b; corr"),
        ({"datasets": [{"path": "/etc"}]}, "arrays within the folder, found the path /etc"),
        ({"datasets": [{"path": "none"}]}, "found an error of its decoder"),
        (
            {"datasets": [{"path": "s0"}]},
            "decoder: KeyError\\('coordinateTransformations'\\)",
        ),
        ({"steps": [{"type": "scale", "scale": [1, 0, 1]}]}, "found one that is singular"),
        ({"steps": [{"type": "scale", "scale": [1, "x", 1]}]}, "found an error of its decoder"),
        ({"steps": [{"type": "scale", "scale": [1]}]}, "found an error of its decoder"),
        ({"steps": [{"type": "scale", "scale": [1, 1, float("inf")]}]}, "not finite|damage"),
        ({"steps": [{"type": "affine", "affine": [1, 1, 1]}]}, "transformation of type affine"),
    ],
)
def test_ome_metadata_that_lie(
    tmp_path: Path, refused: Refused, more: dict[str, Any], words: str
) -> None:
    shape = (2, 4, 5, 6)[-len(more.get("names", "zyx")) :]
    refused(stored_ome(tmp_path / "a.zarr", np.ones(shape, np.int16), **more), words)


def test_ome_arrays_of_other_things(tmp_path: Path, refused: Refused) -> None:
    path = stored_ome(tmp_path / "a.zarr", np.ones((4, 5, 6), np.complex64))
    refused(path, "integers or real numbers, found values of type complex64")
    path = stored_ome(tmp_path / "b.zarr", np.random.default_rng(0).normal(size=(4, 5, 6)))
    for chunk in (path / "s0" / "c").rglob("0"):
        if chunk.is_file():
            chunk.write_bytes(chunk.read_bytes()[:9])
    refused(path, "found an error of its decoder", early=False)
    (path / "s0" / "zarr.json").write_text("{")
    refused(path, "found an error of its decoder")


def test_a_channel_of_an_ome_picture_is_an_array(tmp_path: Path) -> None:
    values = np.arange(60, dtype=np.int16).reshape(3, 4, 5)
    path = stored_ome(tmp_path / "a.zarr", values, names="cyx")
    assert np.array_equal(load(path / "s0").data, values)
    assert zarr.open_group(str(path), mode="r").attrs


@pytest.mark.parametrize("name", ["a.nii", "a.nii.gz", "a.hdr", "a.nrrd", "a.ome.zarr"])
def test_sizes(tmp_path: Path, name: str) -> None:
    save(volume(affine=np.eye(4)), tmp_path / name)
    for size in ((0,), (12,), (12, 10, 8)):
        assert load(tmp_path / name, size).space == grid(tmp_path / name, size)[1] == (12, 10, 8)
    for attempt in (load, grid):
        with pytest.raises(ConfigError, match=r"--size: .* a volume, .* its grid of 12 x 10 x 8"):
            attempt(tmp_path / name, (20,))


def test_one_slice_and_one_voxel(tmp_path: Path) -> None:
    for space in ((12, 10, 1), (1, 1, 1)):
        sample = volume(data=smooth(*space), dtype=np.dtype(np.float32), affine=np.eye(4))
        for name in ("a.nii.gz", "a.nrrd", "a.ome.zarr"):
            save(sample, tmp_path / name)
            assert np.array_equal(load(tmp_path / name).data, sample.data)


@settings(deadline=None, max_examples=150)
@given(
    suffix=st.sampled_from([".nii", ".nii.gz", ".hdr", ".nrrd", ".nhdr"]),
    where=st.floats(0, 1),
    garbage=st.binary(min_size=1, max_size=40),
)
def test_garbage_is_an_error_or_a_volume(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, where: float, garbage: bytes
) -> None:
    path = tmp_path_factory.mktemp("garbage") / f"a{suffix}"
    save(volume(data=np.ones((1, 4, 5, 6), np.float32)), path)
    spoil(path, where, garbage)
    check_read_or_refused(path)


def test_unreadable_messages_name_no_other_kind(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"ends in .*\.nii\.gz.* found \.gz|found \.foo\.gz"):
        load(tmp_path / "a.foo.gz")
