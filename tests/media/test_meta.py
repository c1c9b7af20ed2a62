"""MetaImage in and out: the bytes themselves are the oracle, written as ITK writes them."""

from __future__ import annotations

import gzip
import zlib
from pathlib import Path

import numpy as np
import pytest

from impasto.errors import OutputError, SampleError
from impasto.media import check_target, grid, holds_volume, load, save
from tests.media.places import Refused
from tests.media.volumes import TILTED, loaded, smooth, volume

VALUES = np.rint(smooth(7, 6, 5)[0]).astype("<i2")
# 30 degrees around z, as ITK writes the directions of the axes, one after the other.
TURNED = "0.8660254037844387 0.5 0 -0.5 0.8660254037844387 0 0 0 1"
HEAD = f"""ObjectType = Image
NDims = 3
BinaryData = True
BinaryDataByteOrderMSB = False
CompressedData = False
TransformMatrix = {TURNED}
Offset = -12.5 -10 5
CenterOfRotation = 0 0 0
AnatomicalOrientation = RAI
ElementSpacing = 0.8 0.9 2
DimSize = 7 6 5
Modality = MET_MOD_CT
ElementType = MET_SHORT
ElementDataFile = LOCAL
"""


def stored(path: Path, values: np.ndarray = VALUES, **fields: str) -> Path:
    """A file of these values, with other fields; ElementDataFile: of a file beside it."""
    lines = dict(line.split(" = ") for line in HEAD.splitlines()) | fields
    text = "".join(f"{name} = {value}\n" for name, value in lines.items() if value)
    raw = values.tobytes(order="F")
    if lines["CompressedData"] == "True":
        raw = zlib.compress(raw)
    if lines["ElementDataFile"] == "LOCAL":
        path.write_bytes(text.encode() + raw)
    else:
        path.write_text(text)
        (path.parent / lines["ElementDataFile"]).write_bytes(raw)
    return path


def expected_affine() -> np.ndarray:
    c, s = np.cos(np.pi / 6), 0.5
    directions = np.array([[c, -s, 0], [s, c, 0], [0, 0, 1]]) * (0.8, 0.9, 2)
    affine = np.eye(4)
    affine[:3, :3], affine[:3, 3] = directions, (-12.5, -10, 5)
    return np.asarray(np.diag([-1.0, -1, 1, 1]) @ affine)


@pytest.mark.parametrize("compressed", ["False", "True"])
@pytest.mark.parametrize("suffix", [".mha", ".mhd"])
def test_what_itk_writes(tmp_path: Path, suffix: str, compressed: str) -> None:
    name = "LOCAL" if suffix == ".mha" else "a.zraw"
    path = stored(tmp_path / f"a{suffix}", CompressedData=compressed, ElementDataFile=name)
    sample = loaded(path)
    np.testing.assert_array_equal(sample.data[0], VALUES)
    np.testing.assert_allclose(sample.affine, expected_affine(), atol=1e-12)
    assert sample.dtype == np.int16
    assert sample.spacing == pytest.approx((0.8, 0.9, 2))
    assert grid(path) == (1, (7, 6, 5))
    assert holds_volume(path)
    out = tmp_path / f"out{suffix}"
    save(sample, out, '{"seed": 1}')
    np.testing.assert_array_equal(loaded(out).data, sample.data)
    np.testing.assert_array_equal(loaded(out).affine, sample.affine)
    text = out.read_bytes()[:2000].decode("latin-1")
    for line in (f"TransformMatrix = {TURNED}", "Offset = -12.5 -10 5", "Modality = MET_MOD_CT"):
        assert line in text  # to the letter
    assert 'Comment = impasto, not for diagnosis: {"seed": 1}' in text


@pytest.mark.parametrize(
    ("kind", "dtype"), [("UCHAR", "u1"), ("USHORT", "<u2"), ("FLOAT", "<f4"), ("DOUBLE", ">f8")]
)
def test_types_and_byte_orders(tmp_path: Path, kind: str, dtype: str) -> None:
    values = np.abs(VALUES % 200).astype(dtype)
    big = str(dtype.startswith(">"))
    path = stored(tmp_path / "a.mha", values, ElementType=f"MET_{kind}", BinaryDataByteOrderMSB=big)
    sample = loaded(path)
    np.testing.assert_array_equal(sample.data[0], values)
    save(sample, tmp_path / "b.mha")
    assert loaded(tmp_path / "b.mha").dtype == np.dtype(dtype).newbyteorder("=")


def test_a_header_that_says_little(tmp_path: Path) -> None:
    """Of old programs: no direction, another word for the place, values at the file's end."""
    path = stored(
        tmp_path / "a.mhd",
        ElementDataFile="a.raw",
        TransformMatrix="",
        Offset="",
        Position="1 2 3",
        ElementSpacing="",
        CenterOfRotation="",
        HeaderSize="-1",
    )
    raw = (tmp_path / "a.raw").read_bytes()
    (tmp_path / "a.raw").write_bytes(b"a header of its own" + raw)
    text = path.read_text().splitlines()
    moved = [line for line in text if "ElementDataFile" in line]  # which ends the header
    path.write_text("\n".join([line for line in text if line not in moved] + moved))
    sample = loaded(path)
    np.testing.assert_array_equal(sample.data[0], VALUES)
    np.testing.assert_array_equal(
        sample.affine, np.array([[-1, 0, 0, -1], [0, -1, 0, -2], [0, 0, 1, 3], [0, 0, 0, 1]], float)
    )


def test_nan_is_a_hole(tmp_path: Path) -> None:
    values = VALUES.astype("<f4")
    values[1, 2] = np.nan
    sample = loaded(stored(tmp_path / "a.mha", values, ElementType="MET_FLOAT"))
    assert sample.holes is not None
    np.testing.assert_array_equal(sample.holes, np.isnan(values))
    save(sample, tmp_path / "b.mha")
    again = loaded(tmp_path / "b.mha")
    np.testing.assert_array_equal(again.holes, sample.holes)


@pytest.mark.parametrize("suffix", [".mha", ".mhd"])
def test_volumes_from_elsewhere(tmp_path: Path, suffix: str) -> None:
    sample = volume()
    save(sample, tmp_path / f"a{suffix}")
    again = loaded(tmp_path / f"a{suffix}")
    np.testing.assert_array_equal(again.data, sample.data)
    np.testing.assert_allclose(again.affine, TILTED, atol=1e-9)
    scaled = volume(data=sample.data / 2, slope=0.5)
    save(scaled, tmp_path / f"b{suffix}")
    np.testing.assert_array_equal(loaded(tmp_path / f"b{suffix}").data, scaled.data)


def test_files_of_others_stay(tmp_path: Path) -> None:
    (tmp_path / "a.raw").write_bytes(b"mine")
    for write in (check_target, lambda path: save(volume(), path)):
        with pytest.raises(OutputError, match="something else's and would be written too"):
            write(tmp_path / "a.mhd")
    assert (tmp_path / "a.raw").read_bytes() == b"mine"
    (tmp_path / "a.raw").unlink()
    save(volume(), tmp_path / "a.mhd")
    save(volume(), tmp_path / "a.mhd")  # an earlier result may be replaced


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"DimSize": "7 6"}, "one volume of three axes, found DimSize = 7 6"),
        ({"DimSize": "7 6 0"}, "one volume of three axes"),
        ({"NDims": "4", "DimSize": "7 6 5 2"}, "one volume of three axes"),
        ({"DimSize": "7 6 500"}, "bytes for a volume of shape .7, 6, 500., found"),
        ({"DimSize": "7 6 x"}, "numbers in the header, found x; correct it"),
        (
            {"ElementType": "MET_STRING"},
            "of one channel, of MET_CHAR, .* found MET_STR",
        ),
        ({"ElementNumberOfChannels": "3"}, "of one channel, .* found MET_SHORT, 3 channels"),
        ({"BinaryData": "False"}, "binary values of one channel"),
        ({"TransformMatrix": "1 0 0 1 0 0 0 0 1"}, "one that is singular or not finite"),
        ({"TransformMatrix": "1 0 0 1"}, "and 9 of the matrix, found 3, 3 and 4"),
        ({"ElementSpacing": "1 1 inf"}, "finite numbers for ElementSpacing"),
        ({"ElementDataFile": "/home/someone/a.raw"}, "one file of values in the header's folder"),
        ({"ElementDataFile": "LIST"}, "one file of values in the header's folder"),
        ({"NDims": ""}, "a MetaImage header, from NDims to ElementDataFile, found something else"),
    ],
)
def test_headers_that_lie(
    tmp_path: Path, refused: Refused, fields: dict[str, str], words: str
) -> None:
    lines = dict(line.split(" = ") for line in HEAD.splitlines()) | fields
    text = "".join(f"{name} = {value}\n" for name, value in lines.items() if value)
    last = next((line for line in text.splitlines(True) if "ElementDataFile" in line), "")
    text = text.replace(last, "") + last
    (tmp_path / "a.mha").write_bytes(text.encode() + VALUES.tobytes(order="F"))
    refused(tmp_path / "a.mha", words)


def test_damage(tmp_path: Path, refused: Refused) -> None:
    path = stored(tmp_path / "a.mha", CompressedData="True")
    path.write_bytes(path.read_bytes()[:-60])
    refused(path, "a value for every voxel, found the end of the file", early=False)
    head = path.read_bytes()[: HEAD.index("LOCAL") + 6]
    path.write_bytes(head.replace(b"False\nTrans", b"True\nTrans") + bytes(200))
    with pytest.raises(SampleError, match="expected "):
        load(path)
    path.write_bytes(b"")
    refused(path, "found an empty file; get it again")
    (tmp_path / "b.mhd").write_text(HEAD.replace("LOCAL", "b.raw"))
    refused(tmp_path / "b.mhd", "the file b.raw beside it, found none there")


def test_gzip_in_place_of_zlib(tmp_path: Path) -> None:
    path = stored(tmp_path / "a.mha", CompressedData="True")
    head = path.read_bytes().split(b"LOCAL\n")[0] + b"LOCAL\n"
    path.write_bytes(head + gzip.compress(VALUES.tobytes(order="F")))
    np.testing.assert_array_equal(loaded(path).data[0], VALUES)
