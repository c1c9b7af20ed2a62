"""Enhanced DICOM: images of several frames, taken apart into images of one frame each.

Such a file says where each frame lies in sequences of its own; an image of one frame says it in its
elements. What is written is a series of the latter.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from impasto.system.libraries import library

_ENHANCED = "1.2.840.10008.5.1.4.1.1."
CLASSIC = {
    f"{_ENHANCED}2.1": f"{_ENHANCED}2",  # CT
    f"{_ENHANCED}2.2": f"{_ENHANCED}2",
    f"{_ENHANCED}4.1": f"{_ENHANCED}4",  # MR
    f"{_ENHANCED}4.4": f"{_ENHANCED}4",
    f"{_ENHANCED}130": f"{_ENHANCED}128",  # PET
    f"{_ENHANCED}128.1": f"{_ENHANCED}128",
}
"""The class of images of one frame, by the class of those of several."""

_GROUPS = "SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence"
_OF_SEVERAL = (
    *_GROUPS,
    *("NumberOfFrames", "DimensionOrganizationSequence", "DimensionIndexSequence"),
    *("DimensionOrganizationType", "PixelData", "ConcatenationUID", "InConcatenationNumber"),
)
_MOVED = {
    "PlanePositionSequence": ("ImagePositionPatient",),
    "PlaneOrientationSequence": ("ImageOrientationPatient",),
    "PixelMeasuresSequence": ("PixelSpacing", "SliceThickness", "SpacingBetweenSlices"),
    "PixelValueTransformationSequence": ("RescaleSlope", "RescaleIntercept", "RescaleType"),
    "FrameVOILUTSequence": ("WindowCenter", "WindowWidth"),
}
"""The elements of an image of one frame, by the sequences that have them for several."""


def has_frames(header: Any) -> bool:
    """Whether a header describes several frames, one by one."""
    frames = header.get("PerFrameFunctionalGroupsSequence") or ()
    return len(frames) == int(header.get("NumberOfFrames") or 1) > 1


def frames_of(header: Any) -> Iterator[Any]:
    """Gives the header of each frame, as an image of one frame has it, in the file's order."""
    pydicom = library("pydicom", "for DICOM files", "volumes")
    plain = {each.tag: each for each in header if each.keyword not in _OF_SEVERAL}
    shared = list(header.get(_GROUPS[0]) or ())
    for number, own in enumerate(header.get(_GROUPS[1]), start=1):
        frame = pydicom.Dataset(dict(plain))
        frame.file_meta = header.file_meta
        frame.InstanceNumber = number
        for sequence, names in _MOVED.items():
            groups = [group[sequence].value for group in (own, *shared) if sequence in group]
            for name in names:
                if groups and groups[0] and name in groups[0][0]:
                    setattr(frame, name, groups[0][0][name].value)
        yield frame
