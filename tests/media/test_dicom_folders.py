"""Folders of DICOM as they come: copies, exports of archives, old files, and images of frames."""

from __future__ import annotations

import logging
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian, generate_uid

from impasto.errors import SampleError
from impasto.media import holds_volume, load, save
from tests.media.series import AXIAL, in_order, series, stored_values
from tests.media.volumes import loaded

VALUES = stored_values(6)
EXPECTED = VALUES.T.astype(np.float32) - 1024


@pytest.fixture
def notes(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.INFO, "impasto")
    return caplog


def test_copies_of_a_slice_are_left_out(tmp_path: Path, notes: pytest.LogCaptureFixture) -> None:
    folder = series(tmp_path / "a", VALUES)
    shutil.copy(folder / "IM014", folder / "IM014 (1)")
    np.testing.assert_array_equal(loaded(folder).data[0], EXPECTED)
    assert "IM014 (1) is a copy of IM014: left out" in notes.text


def test_a_slice_that_was_sent_twice_has_a_name_of_its_own(tmp_path: Path) -> None:
    """The same pixels in the same place, under another UID, as some archives give each copy."""
    folder = series(tmp_path / "a", VALUES)
    again = pydicom.dcmread(folder / "IM014")
    again.SOPInstanceUID = again.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    again.save_as(folder / "again")
    np.testing.assert_array_equal(loaded(folder).data[0], EXPECTED)


def test_the_same_pixels_by_another_slope_are_another_image(tmp_path: Path) -> None:
    folder = series(tmp_path / "a", VALUES)
    again = pydicom.dcmread(folder / "IM014")
    again.RescaleSlope = 2
    again.save_as(folder / "again")
    with pytest.raises(SampleError, match="one image for each place, found 1 too many"):
        load(folder)


@pytest.mark.parametrize("beside", ["", "DICOMDIR", "readme.txt"])
def test_exports_of_archives(tmp_path: Path, beside: str) -> None:
    """PATIENT/STUDY/SERIES, with what lies beside it on a disc."""
    root = tmp_path / "export"
    (root / "PAT" / "STUDY").mkdir(parents=True)
    series(root / "PAT" / "STUDY" / "SERIES", VALUES)
    if beside:
        (root / beside).write_text("from the archive")
    assert holds_volume(root)
    np.testing.assert_array_equal(loaded(root).data[0], EXPECTED)


def test_exports_of_several_series_name_their_folders(tmp_path: Path) -> None:
    for name in ("one", "two"):
        (tmp_path / "all" / name).mkdir(parents=True)
        series(tmp_path / "all" / name / "s", VALUES)
    with pytest.raises(SampleError, match=r"one series, found 2: .*such as one/s/IM000\), .*two/s"):
        load(tmp_path / "all")


def test_a_folder_with_other_files_is_no_export(tmp_path: Path) -> None:
    (tmp_path / "all" / "deep").mkdir(parents=True)
    series(tmp_path / "all" / "deep" / "s", VALUES)
    (tmp_path / "all" / "a.jpg").write_bytes(b"")
    assert not holds_volume(tmp_path / "all")


@pytest.mark.parametrize("suffix", ["", ".dcm"])
@pytest.mark.parametrize("implicit", [False, True])
@pytest.mark.parametrize("meta", [False, True])
def test_files_without_a_preamble(tmp_path: Path, suffix: str, implicit: bool, meta: bool) -> None:
    folder = series(tmp_path / "a", VALUES)
    for image in in_order(folder):
        Path(image.filename).unlink()
        syntax = ImplicitVRLittleEndian if implicit else ExplicitVRLittleEndian
        image.file_meta.TransferSyntaxUID = syntax
        path = Path(f"{image.filename}{suffix}")
        if meta:
            pydicom.dcmwrite(path, image, implicit_vr=implicit, little_endian=True)
            path.write_bytes(path.read_bytes()[132:])
        else:
            del image.file_meta
            image.preamble = None
            pydicom.dcmwrite(path, image, implicit_vr=implicit, little_endian=True)
    sample = loaded(folder)
    np.testing.assert_array_equal(sample.data[0], EXPECTED)
    save(sample, tmp_path / "out.dcm")
    written = [image.pixel_array for image in in_order(tmp_path / "out.dcm")]
    np.testing.assert_array_equal(written, VALUES)


def enhanced(path: Path, values: np.ndarray, step: float = 2.5, shared: bool = True) -> Path:
    """An enhanced CT: one file of several frames, of which the second half is stored first."""
    folder = series(path.parent / "single", values[:1])
    made = in_order(folder)[0]
    shutil.rmtree(folder)
    for name in (
        *("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "SliceThickness"),
        *("RescaleSlope", "RescaleIntercept", "RescaleType", "DataSetTrailingPadding"),
    ):
        if name in made:
            delattr(made, name)
    made.SOPClassUID = made.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.1.1.2.1"

    def item(**elements: Any) -> list[Dataset]:
        found = Dataset()
        for name, value in elements.items():
            setattr(found, name, value)
        return [found]

    common = Dataset()
    common.PixelMeasuresSequence = item(PixelSpacing=[0.75, 0.5], SliceThickness=9)
    common.PlaneOrientationSequence = item(ImageOrientationPatient=list(AXIAL))
    scaling = item(RescaleSlope=1, RescaleIntercept=-1024, RescaleType="HU")
    order = [*range(len(values) // 2, len(values)), *range(len(values) // 2)]
    frames = []
    for number in order:
        frame = Dataset()
        frame.PlanePositionSequence = item(ImagePositionPatient=[-30, -40, -100 + step * number])
        (common if shared else frame).PixelValueTransformationSequence = scaling
        frames.append(frame)
    made.SharedFunctionalGroupsSequence = [common]
    made.PerFrameFunctionalGroupsSequence = frames
    made.NumberOfFrames = len(values)
    made.PixelData = values[order].tobytes()
    made.save_as(path)
    return path


@pytest.mark.parametrize("shared", [True, False])
def test_an_enhanced_image_is_a_series_in_a_file(tmp_path: Path, shared: bool) -> None:
    (tmp_path / "a").mkdir()
    sample = loaded(enhanced(tmp_path / "a" / "all.dcm", VALUES, shared=shared))
    np.testing.assert_array_equal(sample.data[0], EXPECTED)
    assert sample.spacing == pytest.approx((0.5, 0.75, 2.5))
    assert sample.unit == "HU"
    np.testing.assert_array_equal(loaded(tmp_path / "a").data, sample.data)
    save(sample, tmp_path / "out.dcm")
    images = in_order(tmp_path / "out.dcm")
    np.testing.assert_array_equal([image.pixel_array for image in images], VALUES)
    assert {image.SOPClassUID for image in images} == {"1.2.840.10008.5.1.4.1.1.2"}
    sources = {image.SourceImageSequence[0].ReferencedSOPClassUID for image in images}
    assert sources == {"1.2.840.10008.5.1.4.1.1.2.1"}
    assert not any("NumberOfFrames" in image for image in images)


def test_frames_in_one_place_are_refused(tmp_path: Path) -> None:
    path = enhanced(tmp_path / "all.dcm", VALUES, step=0.0)
    with pytest.raises(SampleError, match="expected "):
        load(path)
