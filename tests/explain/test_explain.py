"""The page of `impasto explain`: its runs, what is in the file, and what a browser makes of it."""

from __future__ import annotations

import base64
import io
import json
import re
from collections.abc import Sequence
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import torch
from PIL import Image
from skimage.data import astronaut

from impasto.cli.main import main
from impasto.config.config import Config
from impasto.config.settings import NetworkConfig
from impasto.explain import experiments as module
from impasto.explain.experiments import BETAS, MIXTURE, Explanation, experiments, explain, layers_of
from impasto.explain.page import curves, page
from impasto.networks.lite import load_lite
from impasto.networks.vgg import VGG19, WIDTHS, vgg
from impasto.transfer.descent import Progress
from tests.browser import probed

pytestmark = pytest.mark.slow  # whole runs

DEPTHS = ("relu1_1", "relu2_1", "relu3_1", "relu4_1", "relu5_1")


def chapter(name: str) -> list[Config]:
    planned = experiments("s.png", 256, NetworkConfig())
    return [each.config for each in planned if each.chapter == name]


def hurried(planned: Sequence[module.Experiment]) -> tuple[module.Experiment, ...]:
    """The experiments with one step a scale."""
    return tuple(
        replace(each, config=replace(config, schedule=replace(config.schedule, steps=(1,))))
        for each in planned
        for config in [each.config]
    )


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A content and a style whose names are not to be taken for HTML."""
    folder = tmp_path_factory.mktemp("pictures")
    Image.fromarray(astronaut()[0:96, 150:278]).save(folder / "a & <b>.png")
    Image.fromarray(astronaut()[300:380, 300:400]).save(folder / "style.png")
    return folder


@pytest.fixture(scope="module")
def explanation(folder: Path) -> Explanation:
    """Some runs of each chapter, with one step a scale."""
    with pytest.MonkeyPatch.context() as patch:
        planned = module.experiments

        def some(*arguments: Any, **named: Any) -> tuple[module.Experiment, ...]:
            found = hurried(planned(*arguments, **named))
            return (found[0], found[5], *found[10:14], found[20], *found[-3:])

        patch.setattr(module, "experiments", some)
        return explain(folder / "a & <b>.png", folder / "style.png", 48)


# --- The runs


def test_contents_are_reconstructed_from_noise_one_layer_each() -> None:
    configs = chapter("content")
    assert [config.objective.content_layers for config in configs] == [(name,) for name in DEPTHS]
    for config in configs:
        assert (config.objective.alpha, config.objective.beta) == (1, 0)
        assert config.schedule.init == "noise"
        assert config.optimizer.optimizer == "lbfgs"


def test_styles_are_reconstructed_from_noise_by_more_and_more_layers() -> None:
    configs = chapter("style")
    layers = [dict(config.objective.style_layers) for config in configs]
    assert [tuple(each) for each in layers] == [DEPTHS[:count] for count in range(1, 6)]
    for config, shares in zip(configs, layers, strict=True):
        assert sum(shares.values()) == pytest.approx(1)
        assert len(set(shares.values())) == 1
        assert (config.objective.alpha, config.schedule.init) == (0, "noise")
        assert config.schedule.coarsest == 0  # or the scale of the forms would not be the layers'


def test_the_grid_is_of_layers_by_ratios() -> None:
    configs = chapter("ratio")
    found = [(config.objective.content_layers, config.objective.beta) for config in configs]
    assert found == [((layer,), beta) for layer in ("relu2_1", "relu4_1") for beta in BETAS]
    assert {config.objective.alpha for config in configs} == {1.0}


def test_starts_and_optimizers_share_one_objective() -> None:
    starts, optimizers = chapter("start"), chapter("optimizer")
    assert len({config.objective for config in (*starts, *optimizers)}) == 1
    assert starts[0].objective.beta == MIXTURE
    inits = [(config.schedule.init, config.schedule.seed) for config in starts]
    assert inits == [("content", 0), ("s.png", 0), ("noise", 0), ("noise", 1)]
    assert len({config.schedule for config in optimizers}) == 1
    names = [config.optimizer.optimizer for config in optimizers]
    assert names == ["gradient-descent", "adam", "lbfgs"]


def test_quick_is_a_tenth_of_the_steps() -> None:
    for slow, quick in zip(
        experiments("s.png", 256, NetworkConfig()),
        experiments("s.png", 256, NetworkConfig(), quick=True),
        strict=True,
    ):
        steps = tuple(count // 10 for count in slow.config.schedule.steps)
        assert quick.config.schedule.steps == steps
        assert replace(quick.config, schedule=slow.config.schedule) == slow.config


@pytest.mark.parametrize("name", ["lite", "vgg19"])
def test_receptive_fields_are_where_the_gradient_is(name: str) -> None:
    torch.manual_seed(0)
    network = load_lite(padding="replicate", pooling="max")
    if name == "vgg19":
        network = vgg(name, VGG19, [8 * width // 64 for width in WIDTHS], dims=2)
    # The gradient of a maximum reaches one of four pixels only, that of a mean all of them.
    for stage in network.stages:
        for key, operation in stage.operations.items():
            if isinstance(operation, torch.nn.MaxPool2d):
                stage.operations.add_module(key, torch.nn.AvgPool2d(2))
            if isinstance(operation, torch.nn.ReLU):
                stage.operations.add_module(key, torch.nn.Identity())
    layers = [layer for layer in layers_of(network, (320, 320)) if layer.name in DEPTHS]
    x = torch.rand((1, 3, 320, 320), requires_grad=True)
    for layer, seen in zip(
        layers, network(x, [layer.name for layer in layers]).values(), strict=True
    ):
        assert (layer.channels, layer.space) == (seen.shape[1], tuple(seen.shape[2:]))
        middle = layer.space[0] // 2
        (gradient,) = torch.autograd.grad(seen[0, :, middle, middle].sum(), x, retain_graph=True)
        touched = gradient.abs().sum((0, 1)).nonzero()
        assert (touched.amax(0) - touched.amin(0) + 1).tolist() == [layer.field] * 2
    assert [layer.field for layer in layers] == [3, 10, 24, 68, 156][: len(layers)]
    assert len(layers) == (3 if name == "lite" else 5)


def test_steps_are_counted_over_all_runs(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    planned = experiments(folder / "style.png", 48, NetworkConfig(), quick=True)[5:8]
    monkeypatch.setattr(module, "experiments", lambda *_, **__: planned)
    seen: list[Progress] = []
    explain(folder / "a & <b>.png", folder / "style.png", 48, callback=seen.append)
    assert [progress.step for progress in seen] == list(range(1, 46))
    assert {progress.steps for progress in seen} == {45}
    notes = {progress.step: progress.note for progress in seen if progress.note}
    assert notes == {
        1: "run 1 of 3: style, relu1_1",
        16: "run 2 of 3: style, relu1_1 + 2_1",
        31: "run 3 of 3: style, relu1_1 + 2_1 + 3_1",
    }


def test_an_interrupted_run_and_those_after_it_are_left_out(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    planned = experiments(folder / "style.png", 48, NetworkConfig(), quick=True)[5:8]
    monkeypatch.setattr(module, "experiments", lambda *_, **__: planned)

    def interrupt(progress: Progress) -> None:
        if progress.step == 20:
            raise KeyboardInterrupt

    found = explain(folder / "a & <b>.png", folder / "style.png", 48, callback=interrupt)
    assert [outcome.experiment for outcome in found.outcomes] == [planned[0]]
    text = page(found)
    assert "Interrupted: 1 of 3 runs" in text
    assert text.count("not run: interrupted") == 3  # two pictures and the curves


# --- The page


class Tags(HTMLParser):
    """All start tags with their attributes; that they are closed in order."""

    VOID = frozenset({"meta", "img", "br"})

    def __init__(self, text: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str | None]]] = []
        self.open: list[str] = []
        self.feed(text)
        assert not self.open

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))
        if tag not in self.VOID:
            self.open.append(tag)

    def handle_startendtag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, dict(attrs)))

    def handle_endtag(self, tag: str) -> None:
        assert self.open.pop() == tag


def test_the_page_loads_nothing(explanation: Explanation) -> None:
    text = page(explanation)
    for tag, attributes in Tags(text).found:
        for name in ("src", "href", "action", "data"):
            value = attributes.get(name) or "#"
            assert value.startswith(("#", "data:image/jpeg;base64,")), (tag, value[:80])
    assert not re.search(r"https?:|url\(|@import", text)
    assert "<!--" not in text.removeprefix("<!DOCTYPE html>")
    assert "a &amp; &lt;b&gt;.png" in text
    assert "<b>.png" not in text


def test_every_run_has_its_picture_and_its_terms(explanation: Explanation) -> None:
    text = page(explanation)
    images = [attributes for tag, attributes in Tags(text).found if tag == "img"]
    assert all(image["alt"] for image in images if "src" in image)
    sources = [image["src"] or "" for image in images if "src" in image]
    for source in sources:
        with Image.open(io.BytesIO(base64.b64decode(source.partition(",")[2]))) as image:
            image.load()
            assert max(image.size) == 48
    extra = 6  # C and S at the top and beside their reconstructions, a G, and C under the squares
    assert len(sources) == len(explanation.experiments) + extra
    for outcome in explanation.outcomes:
        objective = outcome.experiment.config.objective
        terms = outcome.result.terms
        content = terms.get("content", 0) / (objective.alpha or 1)
        style = terms.get("style", 0) / (objective.beta or 1)
        assert not content or f"content {objective.alpha:g} &times; {content:.3g}" in text
        assert not style or f"style {objective.beta:g} &times; {style:.3g}" in text


def test_curves_end_where_j_ends(explanation: Explanation) -> None:
    outcomes = [
        replace(outcome, curve=curve)
        for outcome, curve in zip(
            explanation.outcomes[-3:], ((10.0, 1.0), (10.0, 0.1), (10.0,)), strict=True
        )
    ]
    lines = re.findall(r'polyline points="(.*?)"', curves(outcomes))
    ends = [[float(n) for n in line.split()[-1].split(",")] for line in lines]
    starts = [[float(n) for n in line.split()[0].split(",")] for line in lines]
    assert starts[0] == starts[1] == starts[2] == ends[2]
    (top, middle, bottom) = (starts[0][1], ends[0][1], ends[1][1])
    assert middle - top == pytest.approx(bottom - middle, abs=0.2)  # a tenth is as far as a tenth


PROBE = """
<script>
buttons[4].click()
const first = document.querySelector("dialog img").src
dialog.dispatchEvent(new KeyboardEvent("keydown", { key: "ArrowRight" }))
const next = document.querySelector("dialog img").src
const seen = {
  open: dialog.open,
  first: first === buttons[4].querySelector("img").src,
  next: next === buttons[5].querySelector("img").src,
  wide: document.documentElement.scrollWidth <= window.innerWidth,
  formulas: [...document.querySelectorAll("math[display]")].map(math =>
    math.getBoundingClientRect().height > 15),
}
const pre = document.createElement("pre")
pre.id = "seen"
pre.textContent = JSON.stringify(seen)
document.body.append(pre)
</script>
"""


@pytest.mark.parametrize("width", [1280, 500])
def test_a_browser_shows_it(explanation: Explanation, tmp_path: Path, width: int) -> None:
    seen = probed(page(explanation), PROBE, tmp_path, f"--window-size={width},900")
    assert len(seen.pop("formulas")) == 9
    assert seen == {"open": True, "first": True, "next": True, "wide": True}


# --- The command


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ("missing.png style.png -o page.html", "missing.png"),
        ("style.png tone.wav -o page.html", "tone.wav: expected a picture"),
        ("style.png style.png -o page.pdf", "ends in .html"),
        ("style.png style.png -o nowhere/page.html", "no folder"),
        ("style.png style.png -o page.html --size 8", "16 positions"),
        ("style.png style.png -o page.html --network filterbank", "--network"),
    ],
)
def test_bad_input_is_one_line(
    folder: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: str,
    words: str,
) -> None:
    monkeypatch.chdir(folder)
    (folder / "tone.wav").write_bytes(b"RIFF")
    with pytest.raises(SystemExit) as leaving:
        main(["explain", *arguments.split()])
    assert leaving.value.code == 2
    message = capsys.readouterr().err
    assert words in message
    assert message.count("\n") == 1
    assert not (folder / "page.html").exists()


@pytest.mark.slow
def test_the_command_writes_the_page(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    planned = module.experiments

    def quick(*arguments: Any, **named: Any) -> tuple[module.Experiment, ...]:
        assert named["quick"] is True
        return hurried(planned(*arguments, **named))

    monkeypatch.setattr(module, "experiments", quick)
    monkeypatch.chdir(folder)
    command = "style.png style.png -o page.html --size 32 --quick --json"
    main(["explain", *command.split()])
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert lines[-1]["text"] == "page.html  (27 of 27 runs)"
    assert lines[-2]["step"] == lines[-2]["steps"]
    assert "27 runs" in (folder / "page.html").read_text()
