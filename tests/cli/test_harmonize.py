"""impasto harmonize, as a person meets it."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("scipy")
pytest.importorskip("skimage")
pytest.importorskip("nibabel")

from impasto import media
from impasto.linear.volumes import body_of, linear_volume
from tests.cli.test_cli import impasto, one_line
from tests.linear.phantoms import phantom
from tests.media.volumes import loaded


@pytest.fixture
def scans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a soft and a sharp CT of two bodies, and files that are no CT."""
    monkeypatch.chdir(tmp_path)
    kind = np.dtype(np.int16)
    for name, blur, seed in (("soft", 1.2, 0), ("sharp", 0.8, 1)):
        ct = phantom(blur, 3.0, seed)
        media.save(replace(ct, data=np.rint(ct.data), dtype=kind), tmp_path / f"{name}.nii.gz")
    mri = np.abs(phantom().data)
    media.save(replace(phantom(), data=mri, unit=""), tmp_path / "mri.nii.gz")
    np.save("picture.npy", np.zeros((20, 30, 3), np.float32))
    return tmp_path


def harmonize(*flags: str, series: str = "soft.nii.gz", to: str = "sharp.nii.gz") -> int:
    return impasto("harmonize", series, "--to", to, *flags)


def test_the_result_is_the_filter_in_the_file_of_the_series(
    scans: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert harmonize("-o", "out.nii.gz") == 0
    out, err = capfd.readouterr()
    assert "filter within slices exp(" in err
    for name in ("soft tissue, spread (HU)", "LAA-950 (%)", "edge width", "GLCM contrast"):
        assert name in out
    content, other, result = (loaded(Path(f"{n}.nii.gz")) for n in ("soft", "sharp", "out"))
    np.testing.assert_array_equal(result.affine, content.affine)
    assert result.dtype == np.int16
    expected = linear_volume(content, [other], [1.0])
    np.testing.assert_allclose(result.data, expected.data, atol=0.51)
    outside = ~body_of(content)
    np.testing.assert_array_equal(result.data[0][outside], content.data[0][outside])
    import nibabel

    header = nibabel.load("out.nii.gz").header
    assert any(b"not for diagnosis" in extension.get_content() for extension in header.extensions)


def test_json_is_one_object(scans: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert harmonize("-o", "out.nrrd", "--json") == 0
    out, err = capfd.readouterr()
    assert err == ""
    record = json.loads(out)
    assert record["output"] == "out.nrrd"
    rows = {row["name"]: row for row in record["rows"]}
    edge = rows["edge width, 10 to 90 %"]
    assert edge["unit"] == "mm"
    assert edge["after"] < edge["before"]
    assert abs(rows["soft tissue"]["after"] - rows["soft tissue"]["before"]) < 1


def test_another_grid_and_a_plot(scans: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("matplotlib")
    media.save(loaded(Path("sharp.nii.gz")).resampled((0.7, 0.9, 2.0)), Path("fine.nii.gz"))
    assert harmonize("-o", "out.nii.gz", "--plot", "plot.png", to="fine.nii.gz") == 0
    assert "style resampled from 0.7 x 0.9 x 2 to 0.8 x 0.8 x 2 mm" in capfd.readouterr().err
    assert Path("plot.png").read_bytes().startswith(b"\x89PNG")


@pytest.mark.parametrize(
    ("series", "to", "flags", "message"),
    [
        ("none.nii.gz", "sharp.nii.gz", ["-o", "out.nii.gz"], r"none\.nii\.gz: .*none there"),
        ("mri.nii.gz", "sharp.nii.gz", ["-o", "out.nii.gz"], r"mri\.nii\.gz: expected a CT in HU"),
        ("soft.nii.gz", "mri.nii.gz", ["-o", "out.nii.gz"], r"mri\.nii\.gz: expected a CT in HU"),
        ("soft.nii.gz", "picture.npy", ["-o", "out.nii.gz"], r"picture\.npy: expected a CT"),
        ("soft.nii.gz", "sharp.nii.gz", ["-o", "soft.nii.gz"], "not one of the inputs"),
        ("soft.nii.gz", "sharp.nii.gz", ["-o", "sharp.nii.gz"], "not one of the inputs"),
        ("soft.nii.gz", "sharp.nii.gz", ["-o", "out.jpg"], "out.jpg"),
        ("soft.nii.gz", "sharp.nii.gz", ["-o", "a.nii.gz", "--plot", "a.txt"], "--plot"),
        ("soft.nii.gz", "sharp.nii.gz", ["-o", "no/out.nii.gz"], "no"),
    ],
)
def test_what_does_not_fit_is_said_in_one_line(
    scans: Path,
    capfd: pytest.CaptureFixture[str],
    series: str,
    to: str,
    flags: list[str],
    message: str,
) -> None:
    before = {path.name: path.read_bytes() for path in scans.iterdir()}
    assert harmonize(*flags, series=series, to=to) == 2
    assert re.search(message, one_line(capfd))
    assert {path.name: path.read_bytes() for path in scans.iterdir()} == before


def test_a_folder_of_dicom_images(scans: Path) -> None:
    pytest.importorskip("pydicom")
    from tests.media.series import series

    stored = np.rint(phantom(2.0, 3.0).data[0].T) + 1024
    series(Path("scan"), stored.astype(np.int16))
    assert harmonize("-o", "out.dcm", series="scan") == 0
    before, after = loaded(Path("scan")), loaded(Path("out.dcm"))
    assert (after.data != before.data).mean() > 0.3
