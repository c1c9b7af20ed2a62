"""impasto plot and impasto compare, as a person meets them."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from impasto import media
from impasto.cli.main import main
from tests.signals import heartbeats, signal, sound

ECG = signal([heartbeats(30), -heartbeats(30)], 250.0)
FILES = {
    "out.ecg": signal(ECG.data + 0.02 * np.random.default_rng(0).normal(size=ECG.data.shape), 250),
    "content.ecg": ECG,
    "style.ecg": signal(np.tile(heartbeats(30, 360, 0.5), (2, 1)), 360.0, units=("uV", "uV")),
    "sound.ecg": sound(0.3 * np.sin(np.arange(16_000) / 5)),
}


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a picture, an array, and signals that `media.load` knows."""
    pytest.importorskip("matplotlib")
    pytest.importorskip("wfdb")
    real = media.load
    monkeypatch.setattr(
        media, "load", lambda path, *rest: FILES.get(path.name) or real(path, *rest)
    )
    monkeypatch.chdir(tmp_path)
    for name in FILES:
        (tmp_path / name).touch()
    Image.new("RGB", (30, 20), "teal").save("picture.png")
    noise = np.random.default_rng(0).integers(0, 255, (24, 36, 3), np.uint8)
    Image.fromarray(noise).save("noise.png")
    Image.new("RGB", (30, 3), "teal").save("low.png")
    np.save("volume.npy", np.random.default_rng(0).normal(size=(1, 9, 8, 7)).astype(np.float32))
    np.save("volumes.npy", np.zeros((2, 4, 4, 4), np.float32))
    return tmp_path


def impasto(line: str) -> int:
    try:
        main(line.split())
    except SystemExit as leaving:
        return leaving.code if isinstance(leaving.code, int) else 1
    return 0


def one_line(capfd: pytest.CaptureFixture[str]) -> str:
    """The error, which is all that was printed."""
    out, err = capfd.readouterr()
    assert out == ""
    assert re.fullmatch(r"impasto: [^\n]+; [^\n]+\n", err), err
    return err


@pytest.mark.parametrize("suffix", [".png", ".svg", ".pdf", ".html", ".PNG"])
def test_plot_writes_the_format_of_the_suffix(
    folder: Path, capfd: pytest.CaptureFixture[str], suffix: str
) -> None:
    before = {path.name for path in folder.iterdir()}
    assert impasto(f"plot out.ecg content.ecg style.ecg -o plot{suffix}") == 0
    assert capfd.readouterr() == ("", "")
    start = {".p": b"\x89PNG", ".s": b"<?xml", ".h": b"<!DOCTYPE html>"}
    begins = b"%PDF" if suffix == ".pdf" else start[suffix[:2].lower()]
    assert (folder / f"plot{suffix}").read_bytes().startswith(begins)
    assert {path.name for path in folder.iterdir()} == before | {f"plot{suffix}"}


@pytest.mark.parametrize(
    ("flags", "width"),
    [
        ("", 280),
        ("--seconds 4", 130),
        ("--from 20 --seconds 4 --leads II", 130),
        ("--from 28", 120),
    ],
)
def test_plot_takes_a_stretch_and_leads(folder: Path, flags: str, width: int) -> None:
    assert impasto(f"plot content.ecg -o plot.png {flags}") == 0
    with Image.open("plot.png") as picture:
        assert picture.width / picture.info["dpi"][0] * 25.4 == pytest.approx(width, abs=0.2)


@pytest.mark.parametrize("view", ["auto", "ecg", "spectrum", "spectrogram"])
@pytest.mark.parametrize("name", ["content.ecg", "sound.ecg"])
def test_plot_has_views(folder: Path, view: str, name: str) -> None:
    assert impasto(f"plot {name} -o plot.png --view {view}") == 0
    with Image.open("plot.png") as picture:
        picture.load()


@pytest.mark.parametrize("suffix", [".png", ".html"])
@pytest.mark.parametrize("flags", ["", "--window lung", "--window -600 1500 --at 1 2 3.4"])
def test_plot_draws_volumes(folder: Path, suffix: str, flags: str) -> None:
    assert impasto(f"plot volume.npy volume.npy -o plot{suffix} {flags}") == 0
    assert (folder / f"plot{suffix}").stat().st_size > 10_000


def test_plot_puts_pictures_side_by_side(folder: Path) -> None:
    assert impasto("plot picture.png picture.png -o plot.png") == 0
    with Image.open("plot.png") as picture:
        assert picture.size == (61, 20)


@pytest.mark.parametrize(
    ("line", "words"),
    [
        ("plot content.ecg -o plot.gif", ".png, .svg, .pdf, .html"),
        ("plot content.ecg -o missing/plot.png", "no folder"),
        ("plot picture.png -o picture.png", "not one of the inputs"),
        ("plot content.ecg picture.png -o ./picture.png", "not one of the inputs"),
        ("plot missing.png -o plot.png", "none there"),
        ("plot content.ecg -o plot.png --from 31", "--from"),
        ("plot content.ecg -o plot.png --from -1", "--from"),
        ("plot content.ecg -o plot.png --seconds 0", "--seconds"),
        ("plot content.ecg -o plot.png --seconds nan", "--seconds"),
        ("plot content.ecg -o plot.png --leads I V5", "found V5"),
        ("plot content.ecg picture.png -o plot.png", "signals"),
        ("plot volumes.npy -o plot.png", "volumes only"),
        ("plot volume.npy picture.png -o plot.png", "volumes only"),
        ("plot volume.npy -o plot.png --window liver", "mediastinum"),
        ("plot volume.npy -o plot.png --window 40 -1", "--window"),
        ("plot volume.npy -o plot.png --at 0 0 9", "0 to 8, 0 to 7, 0 to 6 mm"),
        ("plot picture.png -o plot.html", ".png, for pictures"),
        ("plot content.ecg content.ecg content.ecg content.ecg -o plot.png", "at most 3"),
        ("compare picture.png content.ecg style.ecg", "three signals"),
        ("compare picture.png picture.png volume.npy", "three pictures"),
        ("compare picture.png low.png low.png", "style: expected at least 4"),
        ("compare low.png picture.png picture.png", "result: expected at least 4"),
        ("compare picture.png picture.png picture.png --window lung", "leave --window out"),
        ("compare picture.png picture.png picture.png --network vgg", "--network: expected"),
        ("compare picture.png picture.png picture.png --weights missing.pth", "--network for a"),
        (
            "compare picture.png picture.png picture.png --network lite --weights missing.pth",
            "missing.pth: expected a weights file",
        ),
        ("compare picture.png picture.png picture.png --content-layers relu6_1", "relu6_1"),
        ("compare picture.png picture.png picture.png --style-layers relu1_1 -1", "from 0 up"),
        ("compare picture.png picture.png picture.png --style-layers relu1_1 0", "above 0"),
        ("compare picture.png picture.png picture.png --lpips missing.pth", "missing.pth"),
        ("compare picture.png picture.png picture.png --span 1 2", "leave --span"),
        ("compare content.ecg content.ecg style.ecg --network lite", "leave --network"),
        ("compare content.ecg content.ecg style.ecg --lpips a.pth b.pth", "leave --lpips"),
        ("compare volume.npy volume.npy volume.npy --lpips a.pth", "leave --lpips"),
        ("compare missing.png content.ecg style.ecg", "none there"),
        ("compare volume.npy volume.npy content.ecg", "three volumes"),
        ("compare volume.npy volume.npy volume.npy --region 0 9 0 8 0 8", "--region"),
        ("compare volume.npy volume.npy volume.npy --region 0 9", "--region"),
        ("compare volume.npy volume.npy volume.npy --style-region -1 9 0 8 0 7", "--style-region"),
        ("compare volume.npy volume.npy volume.npy --window liver", "--window"),
        ("compare content.ecg content.ecg style.ecg --region 0 9 0 8 0 7", "leave --region"),
    ],
)
def test_what_cannot_be_is_refused(
    folder: Path, capfd: pytest.CaptureFixture[str], line: str, words: str
) -> None:
    before = {path.name: path.read_bytes() for path in folder.iterdir()}
    assert impasto(line) == 2
    assert words in one_line(capfd)
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before


def test_compare_prints_a_table(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert impasto("compare out.ecg content.ecg style.ecg") == 0
    out, err = capfd.readouterr()
    assert err == ""
    for words in ("R-peak F1", "log-spectral distance (dB)", "no-op", "floor", "I, II"):
        assert words in out
    assert all(len(line) <= 80 for line in out.splitlines())
    assert "…" not in out  # no number is cut


def test_compare_prints_json(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert impasto("compare out.ecg content.ecg style.ecg --json") == 0
    out, err = capfd.readouterr()
    assert err == ""
    found: dict[str, Any] = json.loads(out)
    assert found["leads"] == [["I", "I"], ["II", "II"]]
    first, *others = found["rows"]
    assert (first["metric"], first["no_op"], first["floor"]) == ("R-peak F1", 1, None)
    assert first["result"] > 0.95
    assert all(row["floor"] < row["no_op"] for row in others if row["unit"] == "dB")


def test_compare_volumes_in_a_table(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert impasto("compare volume.npy volume.npy volume.npy --style-region 0 9 1 8 0 7") == 0
    out, err = capfd.readouterr()
    assert err == ""
    for words in ("SSIM, PSNR: higher", "largest over smallest", "inf", "0 9 1 8 0 7 of the style"):
        assert words in " ".join(out.split())
    assert all(len(line) <= 80 for line in out.splitlines())


def test_compare_volumes_in_json(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    region = "--region 0 8 1 8 0 7 --style-region 0 9 1 8 0 7"
    assert impasto(f"compare volume.npy volume.npy volume.npy --json {region}") == 0
    found: dict[str, Any] = json.loads(capfd.readouterr().out, parse_constant=pytest.fail)
    assert found["regions"] == [[0, 8, 1, 8, 0, 7], [0, 9, 1, 8, 0, 7]]
    assert found["leads"] == []
    rows = {row["metric"]: row for row in found["rows"]}
    assert (rows["PSNR"]["result"], rows["SSIM"]["result"]) == (None, 1)


def test_compare_pictures_in_a_table(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("skimage")
    assert impasto("compare noise.png picture.png noise.png") == 0
    out, err = capfd.readouterr()
    assert err == ""
    for words in ("SSIM: higher", "style distance, W2", "floor", "Activations are those of lite."):
        assert words in " ".join(out.split())
    assert all(len(line) <= 80 for line in out.splitlines())


def test_compare_pictures_in_json(folder: Path, capfd: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("skimage")
    layers = "--content-layers relu2_1 --style-layers relu1_1 1 relu2_1 2"
    assert impasto(f"compare noise.png picture.png noise.png --json {layers}") == 0
    found: dict[str, Any] = json.loads(capfd.readouterr().out, parse_constant=pytest.fail)
    assert found["network"] == "lite"
    rows = {row["metric"]: row for row in found["rows"]}
    assert rows["style distance, Gram"]["result"] == 0
    assert rows["color distance"]["no_op"] > 0.1
    assert rows["content distance"]["no_op"] == 0
    assert rows["SSIM"]["floor"] is None
