"""Writing a volume as a DICOM series: a folder of single-frame images, marked as derived.

pydicom writes one dataset to a file. Ours is what the dataset says: all that the source said but
what spoke of its old pixels, and that it was derived from the source, by what and how.
"""

from __future__ import annotations

import io
from collections.abc import Callable
from copy import deepcopy
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float64

from impasto.errors import OutputError, SampleError
from impasto.media.coding import encoding
from impasto.media.files import StrPath
from impasto.media.folders import atomic_folder, check_folder_writable
from impasto.media.sample import NOT_FOR_DIAGNOSIS
from impasto.media.volumes.dicom import LPS_TO_RAS, DicomSource
from impasto.media.volumes.dicom_frames import CLASSIC
from impasto.media.volumes.dicom_headers import decoding_dicom, pydicom_library, stored_dtype
from impasto.media.volumes.volume import Volume
from impasto.media.volumes.voxels import as_stored
from impasto.version import __version__

_CT = "1.2.840.10008.5.1.4.1.1.2"
# Elements about the old pixels: their range, a thumbnail of them, and who signed them.
_STALE = (
    "SmallestImagePixelValue",
    "LargestImagePixelValue",
    "SmallestPixelValueInSeries",
    "LargestPixelValueInSeries",
    "IconImageSequence",
    "DigitalSignaturesSequence",
    "MACParametersSequence",
    "DataSetTrailingPadding",
)
_LONGEST = {"LO": 64, "ST": 1024, "LT": 10240}
_RECIPE = "impasto: "
_MAKER = "impasto"


def save_dicom(volume: Volume, path: StrPath, recipe: str | None = None) -> None:
    """Writes a folder of images, a new series derived from the one the volume came from.

    Patient, study and frame of reference stay untouched; series and images have UIDs of their
    own, are DERIVED\\SECONDARY, name their sources and say "not for diagnosis". Pixels are written
    plain, whatever they were compressed with; that a compression once lost something stays said.

    Args:
        volume: each image keeps its bits, slope and intercept: values are rounded, and become the
            nearest that it can hold. A volume from elsewhere becomes CT images of 16 bits, of
            nobody in particular.
        path: of the folder.
        recipe: kept in the comment of every image, where that has room.

    Raises:
        OutputError: the volume was brought to another grid, the files cannot be written, or
            something else is in the folder's place.
        MissingExtraError: pydicom is not installed.
    """
    pydicom = pydicom_library()
    make = _derived(pydicom, volume) if _from_series(volume) else _created(pydicom, volume)
    stamp = _stamp(pydicom, recipe)
    errors = ValueError, TypeError, AttributeError, KeyError
    with (
        atomic_folder(path, _holds_result) as folder,
        encoding("a series that DICOM can hold", "pydicom", "save it as .nii.gz", errors),
    ):
        for number in range(volume.space[2]):
            image, slope, intercept = make(number)
            stamp(image)
            plane = volume.data[0, :, :, number].T
            _put_pixels(image, plane, slope, intercept)
            # In memory first: pydicom turns a full disk into an error without a number.
            whole = io.BytesIO()
            pydicom.dcmwrite(
                whole, image, implicit_vr=False, little_endian=True, enforce_file_format=True
            )
            (folder / _name(number + 1)).write_bytes(whole.getbuffer())


def check_dicom_target(path: StrPath) -> None:
    """Raises where `save_dicom` would for the path alone, before any work is done."""
    check_folder_writable(path, _holds_result)


_Make = Callable[[int], tuple[Any, float, float]]
"""Makes the image of a number, from 0, without pixels; returns its slope and intercept too."""


def _from_series(volume: Volume) -> bool:
    """Whether there are images to derive from; refuses those of another grid."""
    source = volume.source
    if not isinstance(source, DicomSource):
        return False
    if source.space != volume.space or not np.array_equal(source.affine, volume.affine):
        raise OutputError(
            expected=f"the grid of the series, {' x '.join(map(str, source.space))}",
            found=f"another, {' x '.join(map(str, volume.space))}",
            remedy="bring it back with Volume.onto, or save it as .nii.gz",
        )
    return True


def _derived(pydicom: Any, volume: Volume) -> _Make:
    """Returns what makes images like those of the source."""
    source = volume.source
    uid = pydicom.uid.generate_uid(prefix=None)

    def make(number: int) -> tuple[Any, float, float]:
        image = deepcopy(source.images[number])
        # Only the maker of the scanner knows which of them speak of the old pixels.
        image.remove_private_tags()
        _drop_stale(image)
        kind = list(image.get("ImageType") or ())
        image.ImageType = ["DERIVED", "SECONDARY", *kind[2:3]]
        image.SourceImageSequence = [_source_item(pydicom, image)]
        image.SOPClassUID = CLASSIC.get(image.SOPClassUID, image.SOPClassUID)
        image.SeriesInstanceUID = uid
        image.SeriesNumber = int(image.get("SeriesNumber") or 0) + 1000
        return image, *source.scalings[number]

    return make


def _created(pydicom: Any, volume: Volume) -> _Make:
    """Returns what makes CT images with all that the standard asks for, and little else."""
    series, study, frame = (pydicom.uid.generate_uid(prefix=None) for _ in range(3))
    whole = volume.dtype.kind in "iu" and volume.dtype.itemsize <= 2
    slope, intercept = volume.slope, volume.intercept
    if not whole:
        low, high = float(volume.data.min()), float(volume.data.max())
        slope = float(f"{(high - low) / 65000:.9g}") or 1.0
        intercept = float(f"{low:.9g}")
    signed = int(whole and volume.dtype.kind == "i")
    affine = LPS_TO_RAS @ volume.affine
    across, down, _ = volume.spacing
    directions = affine[:3, :2] / (across, down)
    _check_right_angle(directions)

    def make(number: int) -> tuple[Any, float, float]:
        image = pydicom.Dataset()
        image.file_meta = pydicom.dataset.FileMetaDataset()
        image.SpecificCharacterSet = "ISO_IR 100"
        image.SOPClassUID = _CT
        image.ImageType = ["DERIVED", "SECONDARY", "AXIAL"]
        image.Modality = "CT"
        for name in (
            *("StudyDate", "StudyTime", "AccessionNumber", "ReferringPhysicianName", "StudyID"),
            *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "Manufacturer"),
            *("PositionReferenceIndicator", "KVP", "AcquisitionNumber", "PatientPosition"),
            "Laterality",
        ):
            setattr(image, name, None)
        image.StudyInstanceUID, image.SeriesInstanceUID = study, series
        image.FrameOfReferenceUID = frame
        image.SeriesNumber, image.InstanceNumber = 1, number + 1
        image.ImageOrientationPatient = [_decimal(value) for value in directions.T.ravel()]
        place = affine @ (0, 0, number, 1)
        image.ImagePositionPatient = [_decimal(value) for value in place[:3]]
        image.PixelSpacing = [_decimal(down), _decimal(across)]
        image.SliceThickness = _decimal(volume.spacing[2])
        image.SamplesPerPixel, image.PhotometricInterpretation = 1, "MONOCHROME2"
        image.Columns, image.Rows = volume.space[:2]
        image.BitsAllocated, image.BitsStored, image.HighBit = 16, 16, 15
        image.PixelRepresentation = signed
        image.RescaleSlope, image.RescaleIntercept = _decimal(slope), _decimal(intercept)
        image.RescaleType = volume.unit or "US"
        return image, float(image.RescaleSlope), float(image.RescaleIntercept)

    return make


def _stamp(pydicom: Any, recipe: str | None) -> Callable[[Any], None]:
    """Returns what puts into an image all that every image of the new series says."""
    now = datetime.now()
    date, time = f"{now:%Y%m%d}", f"{now:%H%M%S}"
    said = "" if recipe is None else " ".join(recipe.split())
    said = said.encode("ascii", "backslashreplace").decode()

    def stamp(image: Any) -> None:
        image.SOPInstanceUID = pydicom.uid.generate_uid(prefix=None)
        meta = image.file_meta
        meta.MediaStorageSOPClassUID = image.SOPClassUID
        meta.MediaStorageSOPInstanceUID = image.SOPInstanceUID
        meta.TransferSyntaxUID = pydicom.uid.ExplicitVRLittleEndian
        for name in ("InstanceCreation", "Series", "Content"):
            setattr(image, f"{name}Date", date)
            setattr(image, f"{name}Time", time)
        image.SeriesDescription = _ending(
            image.get("SeriesDescription"), f"stylized, {NOT_FOR_DIAGNOSIS}", "LO"
        )
        image.DerivationDescription = _ending(
            image.get("DerivationDescription"),
            f"neural style transfer by impasto {__version__}, {NOT_FOR_DIAGNOSIS}",
            "ST",
        )
        lines = str(image.get("ImageComments") or "").splitlines()
        lines = [line for line in lines if not line.startswith(_RECIPE)]
        comment = "\r\n".join([*lines, _RECIPE + said])
        if said and len(comment) <= _LONGEST["LT"]:
            image.ImageComments = comment
        equipment = pydicom.Dataset()
        equipment.PurposeOfReferenceCodeSequence = [
            _code(pydicom, "109102", "Processing Equipment")
        ]
        equipment.Manufacturer = _MAKER
        equipment.SoftwareVersions = __version__
        earlier = list(image.get("ContributingEquipmentSequence") or ())
        image.ContributingEquipmentSequence = [*earlier, equipment]

    return stamp


def _put_pixels(image: Any, plane: np.ndarray, slope: float, intercept: float) -> None:
    """Puts the values into the image, within the bits that it stores."""
    dtype = stored_dtype(image)
    bits = image.BitsStored - image.PixelRepresentation
    low, high = -(2**bits) if image.PixelRepresentation else 0, 2**bits - 1
    stored = as_stored(plane, np.dtype(np.float64), slope, intercept)
    raw = np.clip(np.rint(stored), low, high).astype(dtype.newbyteorder("<")).tobytes()
    image.PixelData = raw + bytes(len(raw) % 2)
    image["PixelData"].VR = "OB" if image.BitsAllocated == 8 else "OW"


def _drop_stale(image: Any) -> None:
    """Drops what speaks of the old pixels, overlays within their bits among it."""
    for name in _STALE:
        if name in image:
            delattr(image, name)
    for group in range(0x6000, 0x6020, 2):
        if (group, 0x3000) not in image:  # an overlay within the bits that pixels leave over
            for element in [element.tag for element in image.group_dataset(group)]:
                del image[element]


def _source_item(pydicom: Any, image: Any) -> Any:
    item = pydicom.Dataset()
    item.ReferencedSOPClassUID = image.SOPClassUID
    item.ReferencedSOPInstanceUID = image.SOPInstanceUID
    item.SpatialLocationsPreserved = "YES"
    item.PurposeOfReferenceCodeSequence = [
        _code(pydicom, "121322", "Source image for image processing operation")
    ]
    return item


def _code(pydicom: Any, value: str, meaning: str) -> Any:
    item = pydicom.Dataset()
    item.CodeValue = value
    item.CodingSchemeDesignator = "DCM"
    item.CodeMeaning = meaning
    return item


def _ending(text: Any, mark: str, kind: str) -> str:
    """Returns the text with the mark at its end, cut so that both fit."""
    own = str(text or "").removesuffix(f"({mark})").removesuffix(mark).strip()
    return f"{own[: _LONGEST[kind] - len(mark) - 3].rstrip()} ({mark})" if own else mark


def _decimal(value: float) -> str:
    """Writes a number into the 16 characters that a header has for it."""
    for digits in range(16, 0, -1):
        text = f"{value:.{digits}g}"
        if len(text) <= 16:
            return text
    return "0"


def _check_right_angle(directions: Float64[np.ndarray, "3 2"]) -> None:
    if abs(float(directions[:, 0] @ directions[:, 1])) > 1e-4:
        raise OutputError(
            expected="rows and columns at right angles, as DICOM has",
            found="an affine that shears them",
            remedy="save it as .nii.gz",
        )


def _holds_result(folder: Path) -> bool:
    """Whether a folder may be replaced: it is empty, or holds one series of ours and no more."""
    files = list(folder.iterdir())
    names = {_name(number) for number in range(1, len(files) + 1)}
    if {file.name for file in files} != names:
        return False
    if any(file.is_symlink() or not file.is_file() for file in files):
        return False
    series = {_series_of_ours(file) for file in files}
    return len(series) <= 1 and None not in series


def _series_of_ours(file: Path) -> str | None:
    """Returns the UID of the series of an image of ours, None for any other file."""
    tags = ["SeriesDescription", "SeriesInstanceUID", "ContributingEquipmentSequence"]
    try:
        with decoding_dicom(file):
            read = pydicom_library().dcmread
            image = read(file, stop_before_pixels=True, specific_tags=tags)
            makers = [str(item.get("Manufacturer")) for item in image.get(tags[2]) or ()]
            if makers[-1:] != [_MAKER] or NOT_FOR_DIAGNOSIS not in str(image.get(tags[0])):
                return None
            return str(image.get(tags[1]))
    except SampleError:
        return None


def _name(number: int) -> str:
    """Returns the name of the file of an image; number: from 1."""
    return f"{number:04d}.dcm"
