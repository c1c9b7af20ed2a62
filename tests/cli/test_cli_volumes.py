"""The command on volumes and textures."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from impasto import media
from impasto.cli import arguments, commands, parsing
from impasto.config.presets import PRESETS
from impasto.media.volumes.volume import Volume
from impasto.plots import View, plot
from tests.cli.test_cli import impasto, one_line
from tests.media.volumes import TILTED, smooth

FEW = ("--steps", "2", "--content-layers", "relu2_1", "--style-layers", "relu1_1", "1", "-q")
SPACE = (20, 18, 17)


@pytest.fixture
def scans(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a content and a style of tilted voxels."""
    pytest.importorskip("nibabel")
    for name, seed in (("content", 0), ("style", 1)):
        data = np.rint(smooth(*SPACE, seed=seed))
        media.save(
            Volume(data, affine=TILTED, dtype=np.dtype(np.int16)), tmp_path / f"{name}.nii.gz"
        )
    monkeypatch.chdir(tmp_path)
    return tmp_path


def stylize(*others: str, style: str = "style.nii.gz", out: str = "out.nii.gz") -> int:
    return impasto("stylize", "content.nii.gz", style, "-o", out, *FEW, *others)


def test_a_scan_comes_back_with_its_geometry_and_what_lies_outside_the_window(scans: Path) -> None:
    assert stylize("--window", "-100", "600") == 0
    content, out = media.load("content.nii.gz"), media.load("out.nii.gz")
    assert isinstance(content, Volume)
    assert isinstance(out, Volume)
    np.testing.assert_array_equal(out.affine, content.affine)
    assert out.dtype == np.int16
    changed = out.data != content.data
    inside = (content.data >= -400) & (content.data <= 200)
    assert not changed[~inside].any()
    assert changed[inside].mean() > 0.8


def test_a_window_by_name_a_mask_and_a_picture(scans: Path) -> None:
    inside = np.zeros((1, *SPACE), np.float32)
    inside[:, 4:16] = 1
    media.save(Volume(inside, affine=TILTED, dtype=np.dtype(np.uint8)), "mask.nii")
    noise = np.random.default_rng(0).integers(0, 255, (24, 24, 3), np.uint8)
    Image.fromarray(noise).save("style.png")
    flags = ("--window", "mediastinum", "--mask", "mask.nii", "--keep-air", "--slices", "3")
    assert stylize(*flags, style="style.png", out="out.nrrd") == 0
    changed = media.load("out.nrrd").data != media.load("content.nii.gz").data
    assert not changed[inside == 0].any()
    assert changed.any()


def test_volumes_have_a_preset_of_their_own(scans: Path) -> None:
    for name in ("scan.nii", "scan.nii.gz", "scan.nrrd", "scan.dcm"):
        for style, preset in (("other.nii", "ct"), ("other.png", "volume")):
            command = parsing.parse(["stylize", name, style, "-o", "out.nii", "--plot", "p.png"])
            assert isinstance(command, arguments.Stylize)
            assert command.config == PRESETS[preset]
    command = parsing.parse(["stylize", "a.png", "b.png", "--mask", "c.nii", "-o", "out.png"])
    assert isinstance(command, arguments.Stylize)
    assert command.config.optimizer == PRESETS["standard"].optimizer


def stylized(content: str, style: str, output: str, *flags: str) -> tuple[Volume, Volume]:
    """The content and the result of a command that takes the preset of volumes."""
    command = "stylize", content, style, "-o", output, *flags, *FEW
    parsed = parsing.parse(command)
    assert isinstance(parsed, arguments.Stylize)
    assert parsed.config.schedule.coarsest == PRESETS["ct"].schedule.coarsest
    assert impasto(*command) == 0
    found, out = media.load(content), media.load(output)
    assert isinstance(found, Volume)
    assert isinstance(out, Volume)
    return found, out


@pytest.mark.slow
def test_a_folder_of_dicom_images(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("pydicom")
    from tests.media.series import series, stored_values

    monkeypatch.chdir(tmp_path)
    series(Path("scan"), stored_values(18, 20, 22))
    series(Path("other"), stored_values(18, 20, 22, seed=1), step=1.0)
    content, out = stylized("scan", "other", "out.dcm", "--window", "1000", "1500")
    painted = parsing.parse(["stylize", "scan", "other.png", "-o", "out"])
    assert isinstance(painted, arguments.Stylize)
    assert painted.config == PRESETS["volume"]
    np.testing.assert_allclose(out.affine, content.affine, atol=1e-6)
    changed, inside = out.data != content.data, abs(content.data - 1000) <= 750
    assert not changed[~inside].any()
    assert changed[inside].mean() > 0.8


def test_an_ome_zarr_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("zarr")
    monkeypatch.chdir(tmp_path)
    affine = np.diag([0.002, 0.002, 0.004, 1.0])
    for name, seed in (("cells", 0), ("grain", 1)):
        values = np.rint(smooth(20, 18, 17, seed=seed) + 1000)
        media.save(Volume(values, affine=affine, dtype=np.dtype("u2")), f"{name}.ome.zarr")
    content, out = stylized("cells.ome.zarr", "grain.ome.zarr", "out.ome.zarr")
    assert out.dtype == np.dtype("u2")
    np.testing.assert_allclose(out.affine, affine)
    assert (out.data != content.data).mean() > 0.8


def test_a_plot_has_the_window_of_the_run_and_no_pictures(
    scans: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    Image.fromarray(np.zeros((24, 24, 3), np.uint8)).save("style.png")
    drawn: list[tuple[list[media.Sample], list[str], View]] = []

    def draw(samples: list[media.Sample], labels: list[str], output: Path, view: View) -> None:
        drawn.append((samples, labels, view))
        plot(samples, labels, output, view)

    monkeypatch.setattr(commands, "plot", draw)
    flags = "--window", "100", "900", "--plot", "plot.html"
    assert stylize(*flags) == 0
    assert stylize(*flags, style="style.png") == 0
    for (samples, labels, view), count in zip(drawn, (3, 2), strict=True):
        assert len(samples) == len(labels) == count
        assert view.window == ("100", "900")
    assert Path("plot.html").read_text().count("voxels of") == 3  # content, result, difference


@pytest.mark.parametrize(
    ("flags", "message"),
    [
        (("--window", "skin"), "--window: expected auto, lung"),
        (("--window", "0", "0"), "--window: expected auto, lung"),
        (("--window", "4000", "10"), "expected values from 3995 to 4005, the intensity window"),
        (("--slices", "-1"), "--slices: expected a whole number from 0 up"),
        (("--optimizer", "lbfgs"), "--slices: expected 0, which takes all slices, with lbfgs"),
        (("--style-axes",), "--style-axes: expected a volume and three styles"),
        (("--mask", "absent.nii"), "absent.nii"),
        (("--kernel", "4"), "--kernel: expected 0 or an odd number"),
    ],
)
def test_bad_settings_are_one_line(
    flags: tuple[str, ...], message: str, scans: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert stylize(*flags) == 2
    assert message in one_line(capfd)
    assert not Path("out.nii.gz").exists()


@pytest.mark.parametrize(
    ("out", "size", "shape"),
    [
        ("solid.npy", ("16", "18", "20"), (3, 16, 18, 20)),
        ("solid.nii.gz", ("16", "18", "20"), (1, 16, 18, 20)),
        ("wall.png", ("20", "30"), (3, 20, 30)),
    ],
)
def test_textures_have_the_size_and_the_channels_asked_for(
    out: str,
    size: tuple[str, ...],
    shape: tuple[int, ...],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.chdir(tmp_path)
    noise = np.random.default_rng(0).integers(0, 255, (24, 24, 3), np.uint8)
    Image.fromarray(noise).save("brick.png")
    layers = ("--style-layers", "relu1_1", "1", "--steps", "2", "-q")
    assert impasto("texture", "brick.png", "-o", out, "--size", *size, *layers) == 0
    assert media.load(out).data.shape == shape


def test_textures_have_two_or_three_sides(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Image.fromarray(np.zeros((24, 24, 3), np.uint8)).save("brick.png")
    assert impasto("texture", "brick.png", "-o", "out.npy", "--size", "20") == 2
    assert "--size: expected two numbers for a picture or three for a solid" in one_line(capfd)
