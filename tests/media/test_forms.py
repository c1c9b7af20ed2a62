"""The two places that a NIfTI header gives a volume, and what is said where they disagree."""

from __future__ import annotations

import logging
import struct
from pathlib import Path
from typing import Any

import nibabel
import numpy as np
import pytest

from impasto.errors import SampleError
from impasto.media import load, save
from tests.media.test_nifti import same_header
from tests.media.volumes import TILTED, loaded, smooth

FLIPPED = np.diag([-1.0, 1, 1, 1]) @ TILTED
MOVED = TILTED + np.array([[0, 0, 0, 9.0], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
CLOSE = TILTED + np.array([[0, 0, 0, 0.1], [0, 0, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])


def stored(path: Path, sform: Any, qform: Any, codes: tuple[int, int] = (1, 1)) -> Path:
    image = nibabel.Nifti1Image(smooth(12, 10, 8)[0], TILTED)
    image.set_sform(sform, codes[0])
    image.set_qform(qform, codes[1])
    nibabel.save(image, path)
    return path


@pytest.mark.parametrize(
    ("sform", "qform", "codes", "affine", "words"),
    [
        (TILTED, TILTED, (1, 1), TILTED, ""),
        (TILTED, CLOSE, (1, 1), TILTED, ""),
        (TILTED, FLIPPED, (1, 1), TILTED, "(left and right are opposite): taken by sform"),
        (TILTED, MOVED, (2, 1), TILTED, "differently (by up to 9 units of length): taken by sform"),
        (TILTED, FLIPPED, (1, 0), TILTED, ""),
        (TILTED, FLIPPED, (0, 1), FLIPPED, ""),
    ],
)
def test_what_is_taken_and_said(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    sform: Any,
    qform: Any,
    codes: tuple[int, int],
    affine: Any,
    words: str,
) -> None:
    path = stored(tmp_path / "a.nii", sform, qform, codes)
    sample = loaded(path)
    np.testing.assert_allclose(sample.affine, affine, atol=1e-5)
    said = [record.getMessage() for record in caplog.records]
    assert [words in message and message.startswith("a.nii: ") for message in said] == (
        [True] if words else []
    )
    save(sample, tmp_path / "out.nii")
    same_header(tmp_path / "out.nii", path)


@pytest.mark.parametrize("value", [0.0, np.nan])
def test_a_form_that_is_none_gives_way_to_the_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, value: float
) -> None:
    path = stored(tmp_path / "a.nii", TILTED, TILTED)
    raw = bytearray(path.read_bytes())
    raw[280:328] = struct.pack("<12f", *[value] * 12)
    path.write_bytes(raw)
    np.testing.assert_allclose(loaded(path).affine, TILTED, atol=1e-4)
    assert "its sform is singular or not finite" in caplog.text
    assert caplog.records[0].levelno == logging.WARNING
    raw[252:254] = bytes(2)  # no qform either
    path.write_bytes(raw)
    with pytest.raises(SampleError, match="found one that is singular or not finite"):
        load(path)


@pytest.mark.parametrize("side", [0.8, -0.8])
def test_without_forms_left_and_right_are_not_known(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, side: float
) -> None:
    path = stored(tmp_path / "a.nii", TILTED, TILTED, (0, 0))
    raw = bytearray(path.read_bytes())
    struct.pack_into("<f", raw, 80, side)
    path.write_bytes(raw)
    assert loaded(path).spacing == pytest.approx((0.8, 0.9, 1.2))
    assert "a.nii: neither sform nor qform says where it lies: left and right are" in caplog.text
