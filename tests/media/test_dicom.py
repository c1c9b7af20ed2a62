"""DICOM series in and out: pydicom, nibabel's conventions and dciodvfy are the oracles."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.data import get_testdata_file

from impasto.errors import OutputError
from impasto.media import check_target, folders, grid, is_picture, save
from tests.media.memory import growth, on_linux
from tests.media.places import contents
from tests.media.series import TILTED, image, in_order, series, stored_values
from tests.media.volumes import TILTED as TILTED_BOX
from tests.media.volumes import loaded, volume


def test_a_folder_and_any_file_of_it(tmp_path: Path) -> None:
    values = stored_values(9)
    folder = series(tmp_path / "series", values)
    (folder / "README.txt").write_text("from the archive")
    sample = loaded(folder)
    assert np.array_equal(sample.data[0], values.T.astype(np.float32) - 1024)
    assert sample.unit == "HU"
    assert (sample.slope, sample.intercept) == (1.0, -1024.0)
    assert sample.dtype == np.int16
    assert sample.spacing == pytest.approx((0.5, 0.75, 2.5))
    expected: Any = [[-0.5, 0, 0, 30], [0, -0.75, 0, 40], [0, 0, 2.5, -100], [0, 0, 0, 1]]
    assert np.allclose(sample.affine, expected)
    assert grid(folder) == (1, (12, 10, 9))
    assert not is_picture(folder)
    for file in (folder / "IM000", folder / "IM007"):
        assert np.array_equal(loaded(file).data, sample.data)


def test_orientations(tmp_path: Path) -> None:
    """Of a coronal series, each voxel's place is what DICOM's own formula gives."""
    (tmp_path / "a").mkdir()
    values = stored_values(5)
    for number, plane in enumerate(values):
        made = image(plane, (3.0 - 1.5 * number, 5, 7), ImageOrientationPatient=list(TILTED))
        made.save_as(tmp_path / "a" / f"{number}.dcm")
    sample = loaded(tmp_path / "a")
    for file in (tmp_path / "a").iterdir():
        one = pydicom.dcmread(file)
        position = np.array(one.ImagePositionPatient, float)
        for column, row in ((0, 0), (11, 9), (4, 7)):
            place = position + np.array(TILTED[:3]) * 0.5 * column
            place = (place + np.array(TILTED[3:]) * 0.75 * row) * (-1, -1, 1)
            x, y, z = np.rint(np.linalg.solve(sample.affine, (*place, 1)))[:3].astype(int)
            assert (x, y) == (column, row)
            assert sample.data[0, x, y, z] == one.pixel_array[row, column] - 1024
            assert np.allclose(sample.affine @ (x, y, z, 1), (*place, 1))


def test_a_tilted_gantry_is_kept(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    for number, plane in enumerate(stored_values(4)):
        made = image(plane, (0, 0.7 * number, 2.5 * number))
        made.save_as(tmp_path / "a" / f"{number}.dcm")
    sample = loaded(tmp_path / "a")
    assert np.allclose(sample.affine[:3, 2], (0, -0.7, 2.5))
    save(sample, tmp_path / "b.dcm")
    for ours, theirs in zip(in_order(tmp_path / "b.dcm"), in_order(tmp_path / "a"), strict=True):
        assert ours.ImagePositionPatient == theirs.ImagePositionPatient


@pytest.mark.parametrize(
    "elements",
    [
        {},
        {"PixelRepresentation": 0, "BitsStored": 12, "HighBit": 11},
        {"RescaleSlope": "0.5", "RescaleIntercept": "-10"},
        {"RescaleSlope": None, "RescaleIntercept": None, "Modality": "MR"},
        {"RescaleType": "US"},
    ],
)
def test_both_ways(tmp_path: Path, elements: dict[str, Any]) -> None:
    values = stored_values(6)
    folder = series(tmp_path / "a", values, **elements)
    sample = loaded(folder)
    assert sample.unit == ("" if {"Modality", "RescaleType"} & elements.keys() else "HU")
    save(sample, tmp_path / "b.dcm", '{"a": 1}')
    check_target(tmp_path / "b.dcm")
    assert np.array_equal(loaded(tmp_path / "b.dcm").data, sample.data)
    stays = {"PatientName", "PatientID", "StudyInstanceUID", "StudyDate", "FrameOfReferenceUID"}
    stays |= {"RescaleSlope", "RescaleIntercept", "BitsStored", "PixelRepresentation", "Rows"}
    stays |= {"ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "Modality"}
    stays |= {"InstanceNumber", "SOPClassUID", "KVP", "Manufacturer", "AcquisitionDate"}
    uids = set()
    for ours, theirs in zip(in_order(tmp_path / "b.dcm"), in_order(folder), strict=True):
        for name in stays:
            assert ours.get(name) == theirs.get(name), name
        assert np.array_equal(ours.pixel_array, theirs.pixel_array)
        assert ours.SeriesInstanceUID != theirs.SeriesInstanceUID
        assert ours.SOPInstanceUID != theirs.SOPInstanceUID
        assert ours.file_meta.MediaStorageSOPInstanceUID == ours.SOPInstanceUID
        assert ours.ImageType == ["DERIVED", "SECONDARY", "AXIAL"]
        assert ours.SeriesDescription == "Thorax (stylized, not for diagnosis)"
        assert "not for diagnosis" in ours.DerivationDescription
        assert ours.ImageComments == 'Uncompressed\r\nimpasto: {"a": 1}'
        (source,) = ours.SourceImageSequence
        assert source.ReferencedSOPInstanceUID == theirs.SOPInstanceUID
        assert not [element for element in ours if element.tag.is_private]
        assert "DataSetTrailingPadding" not in ours
        uids |= {ours.SOPInstanceUID, ours.SeriesInstanceUID}
    assert len(uids) == 7


def test_what_spoke_of_the_old_pixels_is_gone(tmp_path: Path) -> None:
    icon = pydicom.Dataset()
    icon.Rows = icon.Columns = 1
    elements: dict[str, Any] = {
        "IconImageSequence": [icon],
        "LossyImageCompression": "01",
        "LossyImageCompressionRatio": "7.5",
        "DerivationDescription": "x" * 1020,
        "SeriesDescription": "y" * 64,
    }
    folder = series(tmp_path / "a", stored_values(4), **elements)
    for file in folder.iterdir():
        made = pydicom.dcmread(file)
        made.add_new("SmallestImagePixelValue", "SS", -5)
        made.add_new("LargestImagePixelValue", "SS", 5)
        made.add_new((0x6000, 0x0010), "US", 10)
        made.add_new((0x6000, 0x0100), "US", 16)
        made.add_new((0x6002, 0x3000), "OW", bytes(16))
        made.file_meta.TransferSyntaxUID = pydicom.uid.ImplicitVRLittleEndian
        made.save_as(file, implicit_vr=True)  # which leaves open what has a sign
    for name in ("b.dcm", "c.dcm"):
        save(loaded(folder), tmp_path / name)
        folder = tmp_path / name
        for ours in in_order(folder):
            for gone in ("SmallestImagePixelValue", "LargestImagePixelValue", "IconImageSequence"):
                assert gone not in ours
            assert (ours.LossyImageCompression, ours.LossyImageCompressionRatio) == ("01", 7.5)
            assert ours.PixelPaddingValue == -2000
            assert (0x6000, 0x0010) not in ours
            assert (0x6002, 0x3000) in ours
            assert len(ours.DerivationDescription) <= 1024
            assert ours.DerivationDescription.count("not for diagnosis") == 1
            assert len(ours.SeriesDescription) == 64
            assert ours.SeriesDescription.endswith("y (stylized, not for diagnosis)")


def test_slopes_that_differ_from_slice_to_slice(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    values = stored_values(5)
    for number, plane in enumerate(values):
        made = image(plane, (0, 0, number), RescaleSlope=str(0.25 * (number + 1)), Modality="PT")
        made.save_as(tmp_path / "a" / f"{number}.dcm")
    sample = loaded(tmp_path / "a")
    slopes = 0.25 * np.arange(1, 6)
    assert np.array_equal(sample.data[0], values.T * slopes - 1024)
    assert sample.unit == ""
    changed = sample.data + np.float32(0.3)
    save(sample.with_data(changed), tmp_path / "b.dcm")
    again = loaded(tmp_path / "b.dcm")
    assert (np.abs(again.data - changed) <= slopes / 2 + 1e-6).all()


def test_values_beyond_the_bits_become_the_nearest(tmp_path: Path) -> None:
    for signed, low, high in ((0, 0, 4095), (1, -2048, 2047)):
        elements = {"PixelRepresentation": signed, "BitsStored": 12, "HighBit": 11}
        values = stored_values(4) - 2048 * signed
        sample = loaded(series(tmp_path / f"a{signed}", values, **elements))
        assert np.array_equal(sample.data[0], values.T - 1024)
        changed = sample.data.copy()
        changed[0, 0, 0, :2] = -1e6, 1e6
        save(sample.with_data(changed), tmp_path / f"b{signed}.dcm")
        again = loaded(tmp_path / f"b{signed}.dcm")
        assert again.data[0, 0, 0, :2].tolist() == [low - 1024, high - 1024]


def test_bits_above_those_that_count_are_left_out(tmp_path: Path) -> None:
    values = stored_values(4)
    dirty = values | np.int16(0x7000)
    elements = {"PixelRepresentation": 0, "BitsStored": 12, "HighBit": 11}
    sample = loaded(series(tmp_path / "a", dirty, **elements))
    assert np.array_equal(sample.data[0], values.T - 1024)


@pytest.mark.parametrize(
    "name", ["MR_small", "MR_small_bigendian", "MR_small_implicit", "MR_small_RLE", "CT_small"]
)
def test_transfer_syntaxes_are_decoded(tmp_path: Path, name: str) -> None:
    (tmp_path / "a").mkdir()
    shutil.copy(str(get_testdata_file(f"{name}.dcm")), tmp_path / "a")
    theirs = pydicom.dcmread(tmp_path / "a" / f"{name}.dcm")
    sample = loaded(tmp_path / "a")
    assert sample.space == (theirs.Columns, theirs.Rows, 1)
    between = theirs.get("SpacingBetweenSlices") or theirs.SliceThickness
    assert sample.spacing[2] == pytest.approx(float(between))
    save(sample, tmp_path / "b.dcm")
    ours = pydicom.dcmread(tmp_path / "b.dcm" / "0001.dcm")
    assert ours.file_meta.TransferSyntaxUID == pydicom.uid.ExplicitVRLittleEndian
    assert np.array_equal(ours.pixel_array, theirs.pixel_array)
    assert ours.PatientName == theirs.PatientName


def complaints(file: Path) -> set[str]:
    run = subprocess.run(["dciodvfy", str(file)], capture_output=True, text=True)
    return set(re.findall(r"^Error.*$", run.stdout + run.stderr, re.MULTILINE))


@pytest.mark.skipif(not shutil.which("dciodvfy"), reason="dciodvfy (dicom3tools) is not installed")
def test_a_validator_finds_no_new_errors(tmp_path: Path) -> None:
    folder = series(tmp_path / "a", stored_values(4, 128, 128), LossyImageCompression="01")
    shutil.copytree(folder, tmp_path / "b")
    for name in ("MR_small", "MR_small_implicit"):
        (tmp_path / name).mkdir()
        shutil.copy(str(get_testdata_file(f"{name}.dcm")), tmp_path / name)
        save(loaded(tmp_path / name), tmp_path / f"{name}.dcm", "{}")
        (file,) = (tmp_path / name).iterdir()
        (result,) = (tmp_path / f"{name}.dcm").iterdir()
        assert complaints(result) <= complaints(file)
    save(loaded(folder), tmp_path / "c.dcm", '{"a": 1}')
    known = set.union(*map(complaints, folder.iterdir()))
    for file in (tmp_path / "c.dcm").iterdir():
        assert complaints(file) <= known
    save(volume(unit="HU"), tmp_path / "d.dcm", "{}")
    save(volume(dtype=np.dtype(np.float32)), tmp_path / "e.dcm", "{}")
    for file in [*(tmp_path / "d.dcm").iterdir(), *(tmp_path / "e.dcm").iterdir()]:
        assert complaints(file) == set()


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "f4"])
def test_volumes_from_elsewhere(tmp_path: Path, dtype: str) -> None:
    data = volume().data if dtype[0] != "u" and dtype != "i1" else np.abs(volume().data) % 120
    sample = volume(data=data, dtype=np.dtype(dtype), slope=0.5, intercept=-7.0)
    mirrored = TILTED_BOX.copy()
    mirrored[:, 2] = -mirrored[:, 2]
    mirrored[:, 3] = TILTED_BOX @ (0, 0, 7, 1)
    assert np.linalg.det(mirrored) > 0
    for affine in (TILTED_BOX, mirrored):
        # The slices of a series lie in the order of a right-handed system.
        right = np.linalg.det(affine) > 0
        save(replace(sample, affine=affine), tmp_path / "b.dcm")
        again = loaded(tmp_path / "b.dcm")
        assert np.allclose(again.affine, mirrored, atol=1e-6)
        values = again.data if right else again.data[..., ::-1]
        assert np.abs(values - sample.data).max() <= max(again.slope, 0.5) / 2 + 1e-4
        assert again.unit == ""


def test_volumes_on_another_grid_and_sheared_ones(tmp_path: Path) -> None:
    sample = loaded(series(tmp_path / "a", stored_values(9)))
    other = sample.resampled(1.0)
    with pytest.raises(OutputError, match=r"the grid of the series, 12 x 10 x 9, .* Volume\.onto"):
        save(other, tmp_path / "b.dcm")
    save(other.onto(sample), tmp_path / "b.dcm")
    sheared = np.array([[1.0, 0.5, 0, 0], [0, 1, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]])
    with pytest.raises(OutputError, match="rows and columns at right angles"):
        save(volume(affine=sheared), tmp_path / "c.dcm")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "b.dcm"]


def test_only_results_are_replaced(tmp_path: Path) -> None:
    folder = series(tmp_path / "a.dcm", stored_values(4))
    for _ in range(2):
        save(loaded(folder), tmp_path / "b.dcm")
    (tmp_path / "c.dcm").mkdir()
    save(loaded(folder), tmp_path / "c.dcm")
    (tmp_path / "c.dcm" / "notes.txt").write_text("mine")
    shutil.copytree(tmp_path / "b.dcm", tmp_path / "d.dcm")
    shutil.copy(folder / "IM000", tmp_path / "d.dcm" / "0001.dcm")
    for file in (tmp_path / "d.dcm").glob("000[234].dcm"):
        file.unlink()
    shutil.copytree(tmp_path / "b.dcm", tmp_path / "e.dcm")
    head = (folder / "IM000").read_bytes()[:140]  # cut off in its first element
    for file in (tmp_path / "e.dcm").iterdir():
        file.write_bytes(head)
    for name in ("a.dcm", "c.dcm", "d.dcm", "e.dcm"):
        words = r"nothing there, or an earlier \.dcm that may be"
        with pytest.raises(OutputError, match=words):
            check_target(tmp_path / name)
        with pytest.raises(OutputError, match=words):
            save(loaded(folder), tmp_path / name)


@pytest.mark.parametrize("stranger", ["9001.dcm", "0002.dcm", "0004.dcm", "0042.dcm"])
def test_a_folder_with_a_file_of_another_stays_as_it_is(tmp_path: Path, stranger: str) -> None:
    """Beside a result or in the place of one of its images, DICOM or not, a link, or one that comes
    while the result is written."""
    content = loaded(series(tmp_path / "a", stored_values(3)))
    target = tmp_path / "out.dcm"
    words = r"nothing there, or an earlier \.dcm that may be replaced, found a folder that holds"
    strangers = {
        "another's": (tmp_path / "a" / "IM000").read_bytes(),
        "no DICOM": b"the only copy of my thesis",
    }
    for data in strangers.values():
        save(content, target)
        (target / stranger).write_bytes(data)
        before = contents(target)
        for attempt in (check_target, partial(save, content)):
            with pytest.raises(OutputError, match=words):
                attempt(target)
        assert contents(target) == before
        assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "out.dcm"]
        shutil.rmtree(target)


def test_a_link_and_an_image_of_another_series_are_not_replaced(tmp_path: Path) -> None:
    content = loaded(series(tmp_path / "a", stored_values(3)))
    for name in ("out.dcm", "other.dcm"):
        save(content, tmp_path / name)
    ours = tmp_path / "out.dcm" / "0002.dcm"
    ours.unlink()
    ours.symlink_to(tmp_path / "other.dcm" / "0002.dcm")
    with pytest.raises(OutputError, match="a folder that holds something else"):
        check_target(tmp_path / "out.dcm")
    ours.unlink()
    shutil.copy(tmp_path / "other.dcm" / "0002.dcm", ours)
    with pytest.raises(OutputError, match="a folder that holds something else"):
        save(content, tmp_path / "out.dcm")


def test_a_file_that_comes_while_the_result_is_written_stays(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    content = loaded(series(tmp_path / "a", stored_values(3)))
    target = tmp_path / "out.dcm"
    save(content, target)
    sync = folders._sync

    def meanwhile(folder: Path) -> None:
        sync(folder)
        (target / "9001.dcm").write_bytes(b"just saved")

    monkeypatch.setattr(folders, "_sync", meanwhile)
    with pytest.raises(OutputError, match="a folder that holds something else by now"):
        save(content, target)
    assert (target / "9001.dcm").read_bytes() == b"just saved"
    assert len(os.listdir(target)) == 4
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a", "out.dcm"]


@pytest.mark.slow
@on_linux
def test_memory_beside_the_array(tmp_path: Path) -> None:
    """48 images of 512 x 512, 50 MB as floats."""
    series(tmp_path / "big.dcm", stored_values(48, 512, 512))
    series(tmp_path / "small.dcm", stored_values(3))
    assert growth(tmp_path, ".dcm") < 30
