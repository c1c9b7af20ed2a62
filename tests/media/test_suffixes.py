"""What is said of a name that tells no format: the suffixes of the likely kind, not all."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from impasto.config.presets import configure
from impasto.errors import OutputError, SampleError
from impasto.media import check_target, grid, load, save
from impasto.media.pictures.picture import from_array
from impasto.transfer.stylize import stylize
from tests.media.signals import signal
from tests.media.volumes import volume

PICTURE = r"ends in \.jpg, \.jpeg, \.png, .*\.bmp, found"
RECORDING = r"ends in \.hea, \.dat, \.edf, \.bdf, \.csv, \.npz, found"
SOUND = r"ends in \.wav, \.flac, \.ogg, \.mp3, found"
VOLUME = r"ends in \.nii, \.nii\.gz, \.hdr, \.img, \.dcm, \.nrrd, \.nhdr, \.mhd, \.mha, found"
ANY = r"ends in \.png, \.wav, \.edf, \.nii\.gz, \.npy or the suffix of another picture, sound"


@pytest.mark.parametrize(
    ("name", "like", "words"),
    [
        ("a.psd", None, PICTURE),
        ("a.m4a", None, SOUND),
        ("a.scp", None, RECORDING),
        ("a.mgz", None, VOLUME),
        ("a.xyz", None, ANY),
        ("a.xyz", "b.png", PICTURE),
        ("a.xyz", "b.edf", RECORDING),
        ("a.mgz", "b.mp3", SOUND),
        ("a", "b.nii.gz", VOLUME),
        ("a.xyz", from_array(np.zeros((4, 4))), PICTURE),
        ("a.xyz", signal(), RECORDING),
        ("a.xyz", volume(), VOLUME),
        ("a.xyz", "b.zzz", ANY),
    ],
)
def test_names_to_read(tmp_path: Path, name: str, like: Any, words: str) -> None:
    (tmp_path / name).write_bytes(b"anything")
    for read in (load, grid):
        with pytest.raises(SampleError, match=words):
            read(tmp_path / name, like=like)


def test_names_to_write(tmp_path: Path) -> None:
    written = r"ends in \.jpg, \.jpeg, \.png, \.tif, \.tiff, \.webp, \.avif, found"
    with pytest.raises(OutputError, match=written):
        check_target(tmp_path / "a.xyz", like="b.heic")
    with pytest.raises(OutputError, match=written):
        save(from_array(np.zeros((4, 4))), tmp_path / "a.xyz")
    with pytest.raises(OutputError, match=written):
        check_target(tmp_path / "a.gif")
    with pytest.raises(OutputError, match=VOLUME):
        save(volume(), tmp_path / "a.xyz")
    with pytest.raises(OutputError, match=ANY):
        check_target(tmp_path / "a.xyz")


def test_in_a_run_the_other_argument_tells_the_kind(tmp_path: Path) -> None:
    save(from_array(np.zeros((20, 20))), tmp_path / "a.png")
    (tmp_path / "b.xyz").write_bytes(b"anything")
    for pair in (("a.png", "b.xyz"), ("b.xyz", "a.png")):
        content, style = (str(tmp_path / name) for name in pair)
        with pytest.raises(SampleError, match=PICTURE):
            stylize(content, style, configure(steps=1))
