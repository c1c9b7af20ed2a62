"""Damaged, hostile and mistaken DICOM: one line that says what to do, and nothing printed."""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydicom.data import get_testdata_file

from impasto.errors import ConfigError, SampleError
from impasto.media import grid, load
from tests.media.places import Refused, check_read_or_refused, spoil
from tests.media.series import TILTED, image, series, stored_values


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six images, of which the third along z is IM014."""
    return series(tmp_path / "a", stored_values(6))


def changed(file: Path, **elements: Any) -> None:
    made = pydicom.dcmread(file)
    for name, value in elements.items():
        setattr(made, name, value)
    made.save_as(file)


def test_nothing_there_and_nothing_in_it(tmp_path: Path, refused: Refused) -> None:
    refused(tmp_path / "a.dcm", "a DICOM file, found none there; check the path")
    (tmp_path / "b.dcm").write_bytes(b"")
    refused(tmp_path / "b.dcm", "DICOM in b.dcm, found an empty file; get it again")
    (tmp_path / "c.dcm").write_bytes(b"dear diary" * 100)
    refused(tmp_path / "c.dcm", "found another file; convert it")
    os.mkfifo(tmp_path / "d.dcm")
    refused(tmp_path / "d.dcm", "found a device, pipe or socket")
    (tmp_path / "e.dcm").mkdir()
    refused(tmp_path / "e.dcm", "a folder of DICOM images, found none; name another folder")
    (tmp_path / "f").mkdir()
    refused(tmp_path / "f", "a name that ends in .*, found a folder")


def test_a_slice_that_is_empty_or_no_dicom(folder: Path, refused: Refused) -> None:
    (folder / "IM100.dcm").write_bytes(b"")
    for path in (folder, folder / "IM000"):
        refused(path, "DICOM in IM100.dcm, found an empty file; get it again")
    (folder / "IM100.dcm").write_bytes(b"x" * 500)
    refused(folder, "DICOM in IM100.dcm, found another file")


@pytest.mark.parametrize("kept", [140, 400, 2000, -9])
def test_truncated_files(folder: Path, refused: Refused, kept: int) -> None:
    file = folder / "IM014"
    made = pydicom.dcmread(file)
    del made.DataSetTrailingPadding
    made.save_as(file)
    file.write_bytes(file.read_bytes()[:kept])
    with pytest.raises(SampleError, match="expected ") as caught:
        load(folder)
    assert "\n" not in str(caught.value)
    if kept == -9:
        refused(folder, "whole to its end in IM014, found an error of pydicom: .*byt", early=False)


def test_objects_that_are_no_images(tmp_path: Path, refused: Refused) -> None:
    for name, words in (
        ("reportsi.dcm", r"one value a pixel, found no pixels \(Basic Text SR Storage\); name"),
        ("waveform_ecg.dcm", r"found no pixels \(12-lead ECG Waveform Storage\)"),
        ("SC_rgb_rle.dcm", r"found colors \(Secondary Capture Image Storage\)"),
        ("SC_rgb_rle_2frame.dcm", r"found colors \(Secondary Capture Image Storage\)"),
        ("rtdose.dcm", r"found 15 frames \(RT Dose Storage\)"),
    ):
        shutil.copy(str(get_testdata_file(name)), tmp_path / name)
        refused(tmp_path / name, words)
        (tmp_path / "alone").mkdir()
        (tmp_path / name).rename(tmp_path / "alone" / name)
        refused(tmp_path / "alone", "a folder of DICOM images, found .*; name another folder")
        shutil.rmtree(tmp_path / "alone")


def test_reports_beside_a_series_are_left_out(folder: Path) -> None:
    shutil.copy(str(get_testdata_file("reportsi.dcm")), folder)
    assert load(folder).space == (12, 10, 6)


def test_pdfs_and_directories(tmp_path: Path, folder: Path, refused: Refused) -> None:
    pdf = image(np.zeros((2, 2), np.int16), (0, 0, 0))
    for name in ("PixelData", "Rows", "Columns", "BitsAllocated"):
        delattr(pdf, name)
    pdf.SOPClassUID = pydicom.uid.EncapsulatedPDFStorage
    pdf.EncapsulatedDocument = b"%PDF"
    pdf.save_as(tmp_path / "a.dcm")
    refused(tmp_path / "a.dcm", r"found no pixels \(Encapsulated PDF Storage\)")
    listing = pydicom.Dataset()
    listing.file_meta = pydicom.dataset.FileMetaDataset()
    listing.file_meta.MediaStorageSOPClassUID = pydicom.uid.MediaStorageDirectoryStorage
    listing.file_meta.MediaStorageSOPInstanceUID = pydicom.uid.generate_uid()
    listing.file_meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
    listing.save_as(folder / "DICOMDIR", enforce_file_format=True)
    refused(folder / "DICOMDIR", "found a DICOMDIR, which lists other files; name a folder or")
    assert load(folder).space == (12, 10, 6)


def test_an_image_without_uids(folder: Path, refused: Refused) -> None:
    changed(folder / "IM014", SOPInstanceUID="")
    refused(folder / "IM014", r"found no UIDs \(CT Image Storage\); name a folder or a file")


def test_several_series_in_a_folder(tmp_path: Path, folder: Path, refused: Refused) -> None:
    other = series(tmp_path / "b", stored_values(3, 4, 4), SeriesDescription="Scout")
    for file in other.iterdir():
        shutil.move(file, folder / f"S{file.name}")
    refused(
        folder,
        r"one series, found 2: 'Thorax' \(6, such as IM000\), 'Scout' \(3, such as SIM000\); name "
        "a file of the one you want",
    )
    assert load(folder / "IM021").space == (12, 10, 6)
    assert load(folder / "SIM007").space == (4, 4, 3)
    for number in range(9):
        made = image(stored_values(1)[0], (0, 0, 0), SeriesInstanceUID=f"1.2.{number}")
        made.save_as(folder / f"X{number}")
    refused(folder, "found 11: .*, others; name a file")


def test_slices_that_are_missing_or_there_twice(folder: Path, refused: Refused) -> None:
    (folder / "IM014").rename(folder.parent / "IM014")
    refused(
        folder,
        "slices 2.5 mm apart in a straight line, found 5 mm from IM007 to IM021; add the slices",
    )
    shutil.copy(folder.parent / "IM014", folder / "IM014")
    shutil.copy(folder / "IM014", folder / "again")
    changed(folder / "again", PixelData=bytes(240))
    refused(folder, "one image for each place, found 1 too many, such as again where IM014 is|IM0")
    (folder / "again").unlink()
    changed(folder / "IM014", ImagePositionPatient=[-30, -40, -94.9])
    assert load(folder).space == (12, 10, 6)
    changed(folder / "IM014", ImagePositionPatient=[-30, -38, -95])
    refused(folder, "in a straight line, found IM014 2 mm beside it; add the")


@pytest.mark.parametrize(
    ("elements", "words"),
    [
        (
            {"ImageOrientationPatient": list(TILTED)},
            "size, spacing and orientation, found orientat",
        ),
        ({"PixelSpacing": [1, 1]}, r"spacing and orientation, found spacing \(0.75, 0.5\) in"),
        ({"ImagePositionPatient": None}, "where they lie, found IM014 without ImagePositionPati"),
        (
            {"ImagePositionPatient": [1, 2]},
            "of 3, 6 and 2 numbers, found other counts, or infini",
        ),
        ({"PixelSpacing": None}, "where they lie, found IM014 without PixelSpacing"),
        ({"RescaleSlope": 0}, "slope other than 0 and a finite intercept, found 0 and -1024 in I"),
        ({"Rows": 9}, "of one size, .* found rows 10 in IM000 and 9 in IM014"),
        ({"BitsStored": 99}, "slices 2.5 mm apart"),
    ],
)
def test_headers_that_do_not_fit(
    folder: Path, refused: Refused, elements: dict[str, Any], words: str
) -> None:
    changed(folder / "IM014", **elements)
    refused(folder, words, early="RescaleSlope" not in elements)


def test_headers_that_lie_alike(tmp_path: Path, refused: Refused) -> None:
    huge = series(tmp_path / "a", stored_values(3), Rows=65535, Columns=65535)
    refused(huge, "8589672450 bytes for 65535 x 65535 pixels in IM000, found [0-9]+; get it again")
    lut = pydicom.Dataset()
    table = series(tmp_path / "b", stored_values(3), ModalityLUTSequence=[lut])
    refused(table, "a rescale slope and intercept, found a lookup table in IM000; convert")
    flat = series(tmp_path / "c", stored_values(3), PixelSpacing=[0, 1])
    refused(flat, "places voxels in space, found one that is singular")
    alike = series(tmp_path / "d", stored_values(3), ImageOrientationPatient=[1, 0, 0, 1, 0, 0])
    refused(alike, "expected ")
    bits = series(tmp_path / "e", stored_values(3), BitsAllocated=12)
    refused(bits, "expected ")


def test_encodings_without_a_decoder(
    tmp_path: Path, refused: Refused, monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.copy(str(get_testdata_file("MR_small_jpeg_ls_lossless.dcm")), tmp_path / "a.dcm")
    decoder = pydicom.pixels.decoders.JPEGLSLosslessDecoder
    monkeypatch.setattr(decoder, "_available", {})
    words = r"found JPEG-LS Lossless .* in a.dcm, for which .* run: pip install 'pylibjpeg\[all\]'"
    refused(tmp_path / "a.dcm", words, early=False)


def test_sizes(folder: Path) -> None:
    for size in ((0,), (12,), (12, 10, 6)):
        assert load(folder, size).space == grid(folder, size)[1] == (12, 10, 6)
    for attempt in (load, grid):
        with pytest.raises(ConfigError, match=r"--size: .* a volume, .* its grid of 12 x 10 x 6"):
            attempt(folder, (20,))


@pytest.fixture(scope="module")
def three_images(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return series(tmp_path_factory.mktemp("three"), stored_values(3))


@pytest.mark.slow
@settings(deadline=None, max_examples=60)
@given(where=st.floats(0, 1), garbage=st.binary(min_size=1, max_size=40))
def test_garbage_is_an_error_or_a_volume(
    tmp_path_factory: pytest.TempPathFactory, three_images: Path, where: float, garbage: bytes
) -> None:
    folder = tmp_path_factory.mktemp("garbage") / "a"
    shutil.copytree(three_images, folder)
    file = folder / "IM007"
    spoil(file, where, garbage)
    check_read_or_refused(folder)
