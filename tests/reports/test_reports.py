"""The report of a run: what is in the file, and what a browser makes of it."""

from __future__ import annotations

import base64
import html
import json
import re
import shlex
import shutil
from collections.abc import Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image, ImageColor

from impasto import media
from impasto.cli.main import main
from impasto.config.presets import configure
from impasto.errors import ConfigError, MissingExtraError
from impasto.media.volumes.volume import Volume
from impasto.reports import page as pages
from impasto.reports import report
from impasto.reports.findings import _joined, _setup_of, findings_of
from impasto.reports.page import page_of
from impasto.runs.checkpoints import Checkpoint
from impasto.runs.reading import read_run, read_steps
from impasto.transfer.descent import Progress
from impasto.transfer.stylize import stylize
from impasto.transfer.textures import texture
from tests.browser import probed
from tests.missing import hide

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_thread")]  # whole runs

SMALL = ["--size", "32", "--coarsest", "16", "--steps", "4", "3", "--checkpoint-every", "0", "-q"]

# J falls by nothing, and each scale ends after three steps.
STILL = {"patience": 2, "optimizer": "gradient-descent", "learning_rate": 1e-9}

PROBE = """
<script>
setTimeout(() => {
  const slider = document.querySelector("#slider input")
  slider.value = 20
  slider.dispatchEvent(new Event("input"))
  const svg = document.querySelector("svg").getBoundingClientRect()
  document.querySelector("svg").dispatchEvent(
    new PointerEvent("pointermove", { clientX: svg.left + 46, clientY: svg.top + 50 }))
  const seen = {
    at: document.getElementById("slider").style.getPropertyValue("--at"),
    paths: [...document.querySelectorAll("svg path")].map(path => path.getAttribute("d")),
    legend: document.querySelector(".legend").innerText,
    images: [...document.images].map(image => image.naturalWidth),
    maps: [...document.querySelectorAll("canvas")].map(canvas =>
      [...canvas.getContext("2d").getImageData(0, 0, 2, 1).data]),
    width: document.documentElement.scrollWidth - document.documentElement.clientWidth,
  }
  const element = document.createElement("pre")
  element.id = "seen"
  element.textContent = JSON.stringify(seen)
  document.body.append(element)
}, 300)
</script>
"""


@pytest.fixture(scope="module")
def painted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A folder with a finished run, and its report, of pictures whose names are hostile."""
    folder = tmp_path_factory.mktemp("painted")
    rng = np.random.default_rng(0)
    for name in ("<b>&.png", "style.png"):
        Image.fromarray(rng.integers(0, 256, (24, 32, 3), np.uint8)).save(folder / name)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        main(["stylize", "<b>&.png", "style.png", "-o", "out.png", "--run", "run", *SMALL])
        main(["report", "run"])
        yield folder


class Page(HTMLParser):
    """The tags, the addresses they load, the words, and the page's data."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags = [""]
        self.loaded: list[str] = []
        self.words = ""
        self.feed(text)
        found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text)
        assert found
        self.data: Any = json.loads(found[1])

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.loaded += [value or "" for name, value in attributes if name in {"src", "href"}]

    def handle_data(self, data: str) -> None:
        if self.tags[-1] not in {"script", "style"}:
            self.words += data


def page(path: Path) -> Page:
    """The page, which asks nothing of the net."""
    text = path.read_text()
    found = Page(text)
    assert all(address.startswith("data:image/") for address in found.loaded)
    assert not re.search(r"url\(|@import|https?://(?!www\.w3\.org/2000/svg)", text)
    assert not re.search(r"<!--[\w.]+-->", text)
    return found


def pixels(address: str, folder: Path) -> np.ndarray:
    """The image in a data URL."""
    path = folder / "image.jpg"
    path.write_bytes(base64.b64decode(address.partition(",")[2]))
    with Image.open(path) as image:
        return np.asarray(image)


def test_the_report_of_a_picture(painted: Path, tmp_path: Path) -> None:
    found = page(painted / "run" / "report.html")
    assert found.tags[found.tags.index("h1") + 1] == "p"  # the name's <b> is no tag
    assert "<b>&.png in the style of style.png" in found.words
    content, style, result = (pixels(address, tmp_path) for address in found.loaded)
    for image, name in ((content, "<b>&.png"), (style, "style.png"), (result, "out.png")):
        with Image.open(painted / name) as original:
            assert np.abs(np.asarray(original) - image.astype(float)).mean() < 4
    assert "--size" in found.words
    assert "10 of 10 steps" in found.words
    digest = read_run(painted / "run").inputs["content"]
    assert digest
    assert digest in found.words
    assert torch.__version__ in found.words


def test_the_curves_are_those_of_the_lines(painted: Path) -> None:
    curves = page(painted / "run" / "report.html").data["curves"]
    lines = read_steps(painted / "run")
    assert curves["steps"] == [line["step"] for line in lines]
    assert curves["rows"]["J"] == pytest.approx([line["value"] for line in lines], rel=1e-5)
    assert set(curves["rows"]) == {"J", "content", "style"}
    assert [scale["grid"] for scale in curves["scales"]] == ["16 x 12", "23 x 17", "32 x 24"]
    assert [scale["step"] for scale in curves["scales"]] == [1, 5, 8]


def test_gram_matrices_are_those_of_the_definition(painted: Path) -> None:
    """Against NumPy, from the network's activations of the style's and the result's pixels."""
    run = read_run(painted / "run")
    findings = findings_of(run)
    network = _setup_of(run)[0].network
    found = {grams.name: grams for grams in findings.grams}
    assert list(found) == [f"relu{block}_1" for block in range(1, 4)]
    samples = {shown.role: shown.sample for shown in findings.shown}
    for name, grams in found.items():
        matrices = []
        for role in ("style", "result"):
            x = torch.from_numpy(samples[role].data)[None]
            rows = network(x, {name})[name][0].flatten(1).double().numpy()
            matrices.append(rows @ rows.T / rows.shape[1])
        power = np.diagonal(matrices[0])
        scale = 1 / np.sqrt(np.maximum(power + 0.1 * power.mean(), 1e-6))
        style, result = (matrix * np.outer(scale, scale) for matrix in matrices)
        np.testing.assert_allclose(grams.style, style, rtol=0.03, atol=0.02)  # bf16
        np.testing.assert_allclose(grams.result, result, rtol=0.03, atol=0.02)
        distance = np.linalg.norm(result - style) / np.linalg.norm(style)
        assert grams.distance == pytest.approx(distance, rel=0.05)


def test_heat_maps_are_8_bits_of_the_matrices(painted: Path) -> None:
    data = page(painted / "run" / "report.html").data["grams"]
    for grams, found in zip(findings_of(read_run(painted / "run")).grams, data, strict=True):
        assert found["side"] == found["channels"] == len(grams.style)
        style, result, change = (
            np.frombuffer(base64.b64decode(text), np.uint8).reshape(grams.style.shape)
            for text in found["maps"]
        )
        low, high = found["limits"]
        most = found["most"]
        for levels, matrix, ends in (
            (style, grams.style, (low, high)),
            (result, grams.result, (low, high)),
            (change, grams.result - grams.style, (-most, most)),
        ):
            back = ends[0] + levels / 255 * (ends[1] - ends[0])
            error = np.abs(back - np.clip(matrix.numpy(), *ends)).max()
            assert error <= 0.51 * (ends[1] - ends[0]) / 255


def test_wide_layers_are_shown_as_means(monkeypatch: pytest.MonkeyPatch, painted: Path) -> None:
    monkeypatch.setattr(pages, "LARGEST", 8)
    monkeypatch.setattr(pages, "MOST", 4)
    text = page_of(findings_of(read_run(painted / "run")))
    data = Page(text).data
    assert {gram["side"] for gram in data["grams"]} == {8}
    assert len(data["curves"]["steps"]) == 4
    assert data["curves"]["steps"][0] == 1


def test_settings_that_are_not_the_presets_are_marked(painted: Path) -> None:
    text = (painted / "run" / "report.html").read_text()
    changed = set(re.findall(r"<tr class=changed><th>(--[\w-]+)", text))
    assert changed == {"--size", "--coarsest", "--steps", "--checkpoint-every"}
    assert "<tr><th>--network<td>lite<td>auto" in text
    assert "<tr><th>--beta<td>6<td>6" in text


def test_the_command_repeats_the_run(painted: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = (painted / "run" / "report.html").read_text()
    found = re.search(r'<pre id="command">(.*?)</pre>', text, flags=re.DOTALL)
    assert found
    change, folder, and_, program, *arguments = shlex.split(html.unescape(found[1]))
    assert (change, folder, and_, program) == ("cd", str(painted), "&&", "impasto")
    assert "--run" not in arguments
    expected = (painted / "out.png").read_bytes()
    (painted / "out.png").unlink()
    main(arguments)
    assert (painted / "out.png").read_bytes() == expected


def test_a_run_on_its_way(tmp_path: Path, painted: Path) -> None:
    """Before its first step, and in the middle of its first scale."""
    config = configure(size=(32,), coarsest=16, steps=(4, 3), checkpoint_every=0.0)
    content, style = painted / "<b>&.png", painted / "style.png"

    def stop(progress: Progress) -> None:
        if progress.step == 2:
            raise KeyboardInterrupt

    stylize(content, style, config, run=tmp_path / "run", callback=stop)
    report(tmp_path / "run", tmp_path / "out.html")
    found = page(tmp_path / "out.html")
    assert "2 of 10 steps" in found.words
    assert len(found.loaded) == 3
    assert len(found.data["grams"]) == 3
    call = re.search(r"impasto\.stylize.*", found.words)
    assert call
    assert "configure('standard', size=(32,), coarsest=16, steps=(4, 3)" in call[0]
    for path in (tmp_path / "run").iterdir():
        if path.name != "run.json":
            path.unlink()
    report(tmp_path / "run", tmp_path / "out.html")
    found = page(tmp_path / "out.html")
    assert "No step is done yet." in found.words
    assert "no checkpoint yet" in found.words
    assert len(found.loaded) == 2
    assert found.data["grams"] == found.data["curves"]["steps"] == []


@pytest.mark.parametrize("color", ["match", "luminance", "palette"])
def test_styles_are_shown_as_given(color: str, tmp_path: Path) -> None:
    for name, tone in (("content.png", "teal"), ("style.png", "orange")):
        Image.new("RGB", (32, 24), tone).save(tmp_path / name)
    config = configure(size=(32,), coarsest=0, steps=(1,), color=color)
    stylize(tmp_path / "content.png", tmp_path / "style.png", config, run=tmp_path / "run")
    report(tmp_path / "run", tmp_path / "out.html")
    for address, tone in zip(
        page(tmp_path / "out.html").loaded[:2], ("teal", "orange"), strict=True
    ):
        np.testing.assert_allclose(
            pixels(address, tmp_path)[12, 16], ImageColor.getrgb(tone), atol=4
        )


@pytest.mark.parametrize(
    ("words", "settings"),
    [
        ("3 of 9 steps", {"coarsest": 0, "steps": (9,), **STILL}),
        ("6 of 15 steps", {"coarsest": 22, "steps": (9, 3), **STILL}),
        ("5 of 9 steps", {"coarsest": 0, "steps": (9,)}),
    ],
)
def test_a_run_that_ended_early_is_told_from_an_interrupted_one(
    words: str, settings: Any, tmp_path: Path, painted: Path
) -> None:
    def stop(progress: Progress) -> None:
        if progress.step == 5:
            raise KeyboardInterrupt

    config = configure(size=(32,), checkpoint_every=0.0, **settings)
    stylize(painted / "<b>&.png", painted / "style.png", config, run=tmp_path, callback=stop)
    report(tmp_path, tmp_path / "out.html")
    found = page(tmp_path / "out.html")
    assert words in found.words
    assert ("it ended early, as J no longer fell" in found.words) == ("patience" in settings)


def test_inputs_that_are_gone_are_left_out(tmp_path: Path, painted: Path) -> None:
    shutil.copytree(painted, tmp_path / "moved")
    record = tmp_path / "moved" / "run" / "run.json"
    record.write_text(record.read_text().replace(str(painted), str(tmp_path / "moved")))
    (tmp_path / "moved" / "style.png").unlink()
    report(tmp_path / "moved" / "run", tmp_path / "out.html")
    found = page(tmp_path / "out.html")
    assert "style.png: expected the style 1 of the run" in found.words
    assert found.loaded == []
    assert found.data["curves"]["steps"]


def test_arrays_are_not_kept(tmp_path: Path) -> None:
    config = configure(size=(16,), coarsest=0, steps=(2,))
    content, style = np.random.default_rng(0).random((2, 16, 16, 3), np.float32)
    stylize(content, style, config, run=tmp_path)
    report(tmp_path, tmp_path / "out.html")
    found = page(tmp_path / "out.html")
    assert "samples that a program passed" in found.words
    assert "impasto.stylize(content, [style], impasto.configure('standard'" in found.words


def test_no_run_is_told_in_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"expected the folder of a run, .* no run.json in it"):
        report(tmp_path, tmp_path / "out.html")


def test_the_report_of_a_signal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    monkeypatch.chdir(tmp_path)
    times = np.arange(1200) / 120
    for name, frequency in (("ecg.csv", 1.0), ("noisy.csv", 3.0)):
        values = np.sin(2 * np.pi * frequency * times) ** 9
        rows = [f"{t:.6f},{x:.4f}" for t, x in zip(times, values, strict=True)]
        (tmp_path / name).write_text("\n".join(["time (s),II (mV)", *rows, ""]))
    main(["stylize", "ecg.csv", "noisy.csv", "-o", "out.csv", "--steps", "3", "--run", "run", "-q"])
    report(tmp_path / "run", tmp_path / "out.html")
    found = page(tmp_path / "out.html")
    assert [address[:18] for address in found.loaded] == ["data:image/svg+xml"] * 2
    paper, spectrum = (
        base64.b64decode(address.partition(",")[2]).decode() for address in found.loaded
    )
    assert "25 mm/s" in paper
    assert "Power spectral density" in spectrum
    assert "spectrum" in found.data["curves"]["rows"]
    assert len(found.data["grams"]) == 8
    hide("matplotlib", monkeypatch)
    with pytest.raises(MissingExtraError, match=r"impasto\[plots\]"):
        report(tmp_path / "run", tmp_path / "out.html")


def test_the_report_of_a_volume(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("matplotlib")
    pytest.importorskip("nibabel")
    monkeypatch.chdir(tmp_path)
    for name, seed in (("chest.nii.gz", 0), ("sharp.nii.gz", 1)):
        values = np.random.default_rng(seed).normal(0, 300, (1, 20, 18, 18)).astype(np.float32)
        media.save(Volume(values, dtype=np.dtype(np.int16)), tmp_path / name)
    command = ["stylize", "chest.nii.gz", "sharp.nii.gz", "-o", "out.nii.gz", "--run", "run"]
    main([*command, "--steps", "2", "-q"])
    report(tmp_path / "run", tmp_path / "out.html")
    found = page(tmp_path / "out.html")
    assert [address[:15] for address in found.loaded] == ["data:image/png;"]
    names = [grams["name"] for grams in found.data["grams"]]
    assert names[0] == "relu1_1, slices across x"
    assert len(names) == 9


def test_the_report_of_a_texture(tmp_path: Path) -> None:
    Image.effect_noise((20, 20), 60).convert("RGB").save(tmp_path / "brick.png")
    config = configure("texture3d", coarsest=0, steps=(2,), network="filterbank", gamma=1.0)
    texture(tmp_path / "brick.png", (16, 16), config, run=tmp_path / "run")
    report(tmp_path / "run", tmp_path / "out.html")
    found = page(tmp_path / "out.html")
    assert "A texture like brick.png" in found.words
    assert len(found.loaded) == 2
    assert found.data["grams"][0]["name"] == "input"
    call = f"impasto.texture(['{tmp_path}/brick.png'], (16, 16), impasto.configure('texture', "
    assert call in found.words


def test_parts_of_several_processes_are_joined(painted: Path) -> None:
    engine, scales = _setup_of(read_run(painted / "run"))
    whole = torch.rand(1, 3, 24, 32)
    scalars = {"scale": len(scales)}

    def checkpoints(*parts: torch.Tensor) -> list[Checkpoint]:
        return [Checkpoint(7, {"average": part}, scalars) for part in parts]

    slabs = checkpoints(whole[..., :20], whole[..., 20:])
    torch.testing.assert_close(_joined(slabs, scales, engine), whole)
    torch.testing.assert_close(_joined(checkpoints(whole, whole), scales, engine), whole)


def test_a_browser_draws_the_report(painted: Path, tmp_path: Path) -> None:
    text = (painted / "run" / "report.html").read_text()
    flags = "--virtual-time-budget=10000", "--window-size=400,800"
    seen = probed(text, PROBE, tmp_path, *flags)
    assert seen["at"] == "20%"
    assert seen["images"] == [32] * 5
    lines = read_steps(painted / "run")
    assert len(seen["paths"]) == 3
    assert seen["paths"][0].count("L") == len(lines) - 1
    assert f"J {lines[0]['value']:.4g}" in seen["legend"]
    assert "step 1, scale 16 x 12" in seen["legend"]
    assert len(seen["maps"]) == 9
    assert all(map_[3::4] == [255, 255] for map_ in seen["maps"])
    assert seen["maps"][0] != seen["maps"][2]
    assert seen["width"] <= 0  # nothing is wider than a phone
