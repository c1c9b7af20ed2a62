"""Each benchmark can be started on something small, and what it compares is the same."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import cache
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from skimage.data import astronaut

from benchmarks import (
    _evaluation,
    breakdown,
    busy,
    checkpoints,
    detector,
    device,
    engine,
    evaluation,
    instant,
    optimizers,
    painted,
    presets,
    recipes,
    signals,
    sizes,
    startup,
)
from benchmarks import moments as roots
from benchmarks._collaborative import Collaborative
from benchmarks._evaluation import Case, report
from benchmarks._microast import MicroAst
from benchmarks._recipes import (
    NeuralStyle,
    Pair,
    StyleTransfer,
    Wasserstein,
    moments,
    with_replicated_border,
)
from impasto import media
from impasto.config.presets import configure
from impasto.media.pictures.picture import Picture, from_array
from impasto.media.signals.leads import lead
from impasto.media.signals.signal import Annotation, Signal
from impasto.metrics.wasserstein import Gaussian, wasserstein2
from impasto.networks import Network
from impasto.transfer.scale import Scale
from tests.paintings import painting
from training.beat.hearts import QRS, heartbeats

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="memory is read from /proc")


def printed(
    benchmark: ModuleType,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    *arguments: str,
) -> list[str]:
    """The lines of the tables that a benchmark prints, heads left out."""
    monkeypatch.setattr(sys, "argv", [benchmark.__name__, *arguments])
    benchmark.main()
    lines = capsys.readouterr().out.splitlines()
    return [line for line in lines if line.startswith("| ")][1:]


@pytest.mark.parametrize(
    ("network", "space"), [("lite", (64, 48)), ("filterbank", (200,)), ("filterbank", (16,) * 3)]
)
def test_the_obvious_loop_has_the_same_j(network: str, space: tuple[int, ...]) -> None:
    ours = report(Case(network, space, warm=0))
    streamed = report(Case(network, space, plan="streamed", kept=0, warm=0))
    plain = report(Case(network, space, loop="plain", warm=0))
    assert plain.value == pytest.approx(ours.value, rel=1e-5)
    assert streamed.value == pytest.approx(ours.value, rel=1e-5)
    assert streamed.operations["all"] >= 1.5 * ours.operations["all"] > 0


@pytest.mark.slow
@pytest.mark.parametrize(
    ("part", "lines"),
    [("time", 12), ("big", 4), ("limit", 8), ("growth", 4), ("precision", 2), ("model", 21)],
)
def test_the_parts_of_the_engine(
    part: str,
    lines: int,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    """All in this process, and with enough memory for the library's scratch in each case; in
    bfloat16 where the processor has it."""

    def here(case: Case) -> _evaluation.Report:
        memory = "+1GB" if case.memory.startswith("+") else "auto"
        return report(replace(case, memory=memory))

    for module in (_evaluation, engine):
        monkeypatch.setattr(module, "measure", here)
    if not torch.cpu.get_capabilities().get("avx512_bf16"):
        monkeypatch.delitem(engine.TARGETS, "bf16")
        lines = -(-lines // 2)
    first = {name: spaces[:1] for name, spaces in engine.GROWTH.items()}
    monkeypatch.setattr(engine, "GROWTH", first)
    arguments = ["--part", part, "--runs", "1", "--shrink", "1000000"]
    assert len(printed(engine, monkeypatch, capsys, *arguments)) >= lines


@pytest.mark.slow
def test_processes_that_share_a_case(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--part", "shards", "--runs", "1", "--shrink", "1000000"]
    assert len(printed(engine, monkeypatch, capsys, *arguments)) == 2


@pytest.mark.slow
def test_the_optimizers(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--seconds", "0.5", "--runs", "1"]
    assert len(printed(optimizers, monkeypatch, capsys, *arguments)) == 6


@pytest.mark.slow
def test_the_quiet_and_the_busy_machine(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One run, and the table of programs that only print."""
    assert busy.seconds(64, 1, busy.PASSIVE, first=False) > 0
    monkeypatch.setattr(busy, "_RUN", "print(2)")
    lines = printed(busy, monkeypatch, capsys, "--runs", "1", "--hogs", "1")
    assert len(lines) == 6
    assert all(line.split("|")[3].strip() == "1.00" for line in lines)


def test_the_ways_to_take_the_root(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = printed(roots, monkeypatch, capsys, "--runs", "1", "--widths", "8")
    cells = [[cell.strip() for cell in line.split("|")] for line in lines]
    errors = [float(error) for _, _, _, kind, _, error, _ in cells if kind == "float64"]
    assert max(errors[:2]) < 1e-8 < errors[2]


@pytest.mark.slow
def test_the_sizes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--sizes", "48", "64", "--preset", "draft", *saved(pictures(), tmp_path)]
    lines = printed(sizes, monkeypatch, capsys, *arguments)
    assert [line.split("|")[1].strip() for line in lines] == ["48", "64", "within"]


@pytest.mark.slow
def test_the_content_has_all_of_itself_and_nothing_of_the_style() -> None:
    content, style = (
        from_array(picture) for picture in (astronaut()[:96, :128], painting(96, 128, 3))
    )
    config = configure()
    assert sizes.shares(content, content, style, config) == pytest.approx((0, 1))
    lost, missing = sizes.shares(style, content, style, config)
    assert lost == pytest.approx(1, abs=0.3)
    assert missing == pytest.approx(0, abs=1e-6)


@pytest.mark.slow
def test_the_breakdown(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(breakdown, monkeypatch, capsys, "--size", "48", "--runs", "1")
    assert lines[0].startswith("| start-up")
    assert lines[-1].startswith("| in all")


@pytest.mark.slow
def test_start_up(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    monkeypatch.setattr(startup, "RUNS", 1)
    assert len(printed(startup, monkeypatch, capsys)) == len(startup.COMMANDS)


@pytest.mark.slow
def test_recordings_of_several_lengths(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(signals, "HOURS", (0.01, 0.02))
    assert len(printed(signals, monkeypatch, capsys, "--part", "length")) == 2


def pictures() -> tuple[Picture, Picture]:
    whole = astronaut()
    return from_array(whole[100:196, 150:278]), from_array(whole[300:396, 200:328, ::-1])


def saved(pair: tuple[Picture, Picture], folder: Path) -> list[str]:
    """The flags that name a content and a style."""
    flags = []
    for picture, name in zip(pair, ("content", "style"), strict=True):
        media.save(picture, folder / f"{name}.png")
        flags += [f"--{name}", f"{folder}/{name}.png"]
    return flags


@pytest.mark.parametrize("kind", [NeuralStyle, pytest.param(StyleTransfer, marks=pytest.mark.slow)])
def test_our_engine_minimizes_the_recipes_j(kind: type[recipes.Recipe]) -> None:
    content, style = pictures()
    settings: dict[str, str | None] = {"network": "vgg16", "weights": None}
    pair = Pair(*(torch.from_numpy(picture.data)[None] for picture in (content, style)))
    network = recipes.plain_network(settings, content)
    recipe: recipes.Recipe = NeuralStyle(network, pair)
    if kind is StyleTransfer:
        recipe = StyleTransfer(with_replicated_border(network), pair, 128)
    exact: dict[str, str | None] = settings | {"precision": "fp32"}
    ours, scales = recipes.our_engine(content, style, exact, "adam", recipe)
    assert scales[-1][0] == content.space
    scale = Scale.begin(ours, content.space, None, None)
    noise = torch.rand(pair.content.shape, generator=torch.Generator().manual_seed(0))
    for picture in (pair.content, 0.8 * pair.content + 0.2 * noise):
        expected = recipe.value(picture).item()
        found = sum(scale.ensemble.terms(picture).values())
        assert found == pytest.approx(expected, rel=1e-5 if kind is NeuralStyle else 1e-3)


def test_the_recipes_wasserstein_distance() -> None:
    generator = torch.Generator().manual_seed(0)
    factor = torch.randn((6, 6), generator=generator, dtype=torch.float64)
    one, other = (
        torch.einsum("kc,chw->khw", factor + shift, torch.rand(
            (6, 30, 40), generator=generator, dtype=torch.float64))[None] for shift in (0, 0.3)
    )  # fmt: skip
    gaussians = [
        Gaussian(rows.mean(1), np.cov(rows, bias=True) + 1e-4 * np.eye(6))
        for rows in (a[0].flatten(1).numpy() for a in (one, other))
    ]
    found = Wasserstein.of(*moments(other)).squared(*moments(one))  # by a root not quite converged
    assert found.item() == pytest.approx(wasserstein2(*gaussians) ** 2 / 6, rel=1e-2)


@pytest.mark.slow
def test_the_published_recipes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    files = saved(pictures(), tmp_path)
    arguments = ["--size", "64", "--steps", "4", "--cap", "10", "--sheet", f"{tmp_path}/sheet.png"]
    lines = printed(recipes, monkeypatch, capsys, *arguments, *files)
    assert len(lines) == 3 + 1 + 4
    assert media.load(tmp_path / "sheet.png").space[0] == 48


@pytest.mark.slow
def test_the_presets(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["draft", "--size", "48", "--steps", "2", *saved(pictures(), tmp_path)]
    _, line = printed(presets, monkeypatch, capsys, *arguments)  # after the import of torch
    seconds, peak = (float(cell.split()[0]) for cell in line.split("|")[3:5])
    assert seconds > 0.1
    assert peak > 0.1


@pytest.mark.slow
def test_an_evaluation(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Each grid has the time of ours, of its convolutions, and the ratio of both."""
    lines = printed(evaluation, monkeypatch, capsys, "--runs", "1", "--threads", "1")
    assert len(lines) == 5
    for line in lines:
        ours, alone, ratio = (float(cell.split()[0]) for cell in line.split("|")[2:5])
        assert ours > 0
        assert ratio == pytest.approx(ours / alone, rel=0.1)


@pytest.mark.slow
def test_painted(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The content is nothing of itself away, and a preset is nearer to the style than that."""
    files = [str(tmp_path / name) for name in ("content.png", "style.png")]
    media.save(from_array(astronaut()[64:256, 128:320]), files[0])
    media.save(from_array(painting(256, 256, seed=3)), files[1])
    whole = Path(__file__).parents[2] / "shared/assets/weights/vgg16_convs.pth"
    recipe = ["--recipe", str(whole), "--share", "0.003"] if whole.is_file() else []
    arguments = ["--content", files[0], "--style", files[1], "--size", "96", "--presets", "draft"]
    sheets = tmp_path / "sheets"
    lines = printed(painted, monkeypatch, capsys, *arguments, "--sheets", str(sheets), *recipe)
    rows = {cells[0]: cells for line in lines for cells in [line.strip("| ").split(" | ")]}
    names = ["doing nothing", "draft", *(["recipe"] if recipe else [])]
    assert list(rows) == names
    assert rows["doing nothing"][2:5:2] == ["1.00", "0.00"]
    assert float(rows["draft"][2]) < 1
    assert float(rows["draft"][4]) > 0
    sheet = media.load(sheets / "01-content-style.png")
    assert sheet.space[1] > 96 * (1 + len(names))


@pytest.mark.slow
def test_instant(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    content, style = painted.PAIRS[0]
    for folder, name, data in (
        ("content", content, astronaut()),
        ("style", style, painting(256, 256, seed=3)),
    ):
        (tmp_path / folder).mkdir()
        media.save(from_array(data), tmp_path / folder / name)
    monkeypatch.setattr(instant, "AGAIN", 1)
    folders = ["--assets", tmp_path, "--weights", tmp_path, "--sheets", tmp_path / "sheets"]
    small = ["--pairs", "1", "--size", "96", "--amounts", "0.5", "1"]
    lines = printed(instant, monkeypatch, capsys, *map(str, folders), *small)
    rows = [line.strip("| ").split(" | ") for line in lines[:4]]
    assert [row[:2] for row in rows] == [
        [name, amount] for name in ("instant", "instant, twice") for amount in ("0.5", "1")
    ]
    styles = [float(row[2]) for row in rows]
    assert styles[1] < styles[0] < 1
    assert styles[3] < styles[2] < 1
    assert len(list((tmp_path / "sheets").iterdir())) == 1


@pytest.mark.slow
def test_rivals_of_instant(shared: Path) -> None:
    """All of the way to a style changes a picture more than none of it, at any size."""
    x, s = (torch.rand((1, 3, *space)) for space in ((45, 62), (40, 40)))
    for rival in (MicroAst(shared / "weights"), Collaborative(shared / "weights")):
        none, all_of_it = (rival(x, s, amount) for amount in (0.0, 1.0))
        assert none.shape == x.shape
        assert 0 <= all_of_it.min() <= all_of_it.max() <= 1
        assert (none - all_of_it).abs().mean() > 0.01


@pytest.mark.slow
def test_checkpoints(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    lines = printed(checkpoints, monkeypatch, capsys, "--size", "900", "800", "--runs", "1")
    memory = {
        cells[0]: float(cells[2].removesuffix(" MB"))
        for line in lines
        for cells in [line.strip("| ").split(" | ")]
    }
    assert memory["safetensors.save"] > 20  # of 43
    assert memory["impasto"] < 5


TINY = ("--sizes", "48", "--style", "48", "--huge", "64", "--runs", "1", "--memory", "2GB")


@pytest.fixture
def one_network(monkeypatch: pytest.MonkeyPatch) -> None:
    """Random weights are drawn once for all parts: there are many of them."""
    monkeypatch.setattr(device, "random_vgg19", lambda config: drawn(config.engine.precision))


@cache
def drawn(precision: str) -> Network:
    return _evaluation.random_vgg19(configure(precision=precision))


@pytest.mark.slow
@pytest.mark.usefixtures("one_network")
def test_devices(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    arguments = ("--device", "cpu", *TINY, "--part", "steps", "huge")
    lines = printed(device, monkeypatch, capsys, *arguments)
    rows = [line for line in lines if line.startswith("| 48 |")]
    assert len(rows) >= 3
    assert all(" ms |" in row for row in rows)
    assert any(line.startswith("| 64 x 64, fp32 |") for line in lines)


@pytest.mark.usefixtures("one_network")
def test_no_row_begins_late(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ("--device", "cpu", *TINY, "--minutes", "0")
    lines = printed(device, monkeypatch, capsys, *arguments)
    assert all("no time left" in line for line in lines if line.startswith("| 48 |"))


@pytest.mark.slow
@pytest.mark.usefixtures("one_network")
def test_whole_runs_on_devices(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = printed(device, monkeypatch, capsys, "--device", "cpu", *TINY, "--part", "runs")
    assert len([row for row in rows if row.startswith("| 48 | ")]) >= 3


def recording(seed: int, rate: float, names: tuple[str, ...], seconds: float) -> Signal:
    """A simulated ECG with noise, the same in each lead, whose beats are marked."""
    random = np.random.default_rng(seed)
    heart = heartbeats(random, round(seconds * rate), rate)
    data = heart.values + 0.02 * random.standard_normal((len(names), len(heart.values)))
    marks = tuple(Annotation(float(time), symbol="N") for time in heart.tops[QRS])
    units = ("mV",) * len(names)
    return Signal(data.astype(np.float32), rate=rate, names=names, units=units, annotations=marks)


def test_tops_are_told_by_the_median_beat() -> None:
    """Of a lead with P and T waves at known places; not where it goes both ways."""
    beats, rate = np.arange(1.0, 59.0, 0.9), 250.0
    times = np.arange(15000) / rate

    def around(away: float, height: float, width: float = 0.03) -> np.ndarray:
        wave = np.exp(-(((times[:, None] - beats - away) / width) ** 2) / 2).sum(1)
        return np.asarray(height * wave)

    x = around(0, 1, 0.012) + around(-0.15, 0.1) + around(0.25, -0.2)
    x += 0.05 * np.random.default_rng(0).standard_normal(len(x))
    twofold = x + around(0.36, 0.25)
    for values, after in ((x, 0.25), (twofold, None)):
        one = Signal(values[None].astype(np.float32), rate=rate, names=("II",), units=("mV",))
        p, t = detector.waves_around(lead(one, 0), beats)
        assert p == pytest.approx(-0.15, abs=0.02)
        assert t == (after and pytest.approx(after, abs=0.02))


def test_a_detector_that_knows_the_tops_finds_them() -> None:
    (stretch,) = detector.simulated(1, 30.0)

    class Oracle(torch.nn.Module):
        """Answers with the target, window after window."""

        def __init__(self) -> None:
            super().__init__()
            margin = round(detector.MARGIN * detector.RATE)
            whole = np.pad(detector.target(stretch), ((0, 0), (margin // 2,) * 2), mode="edge")
            self.answers = torch.from_numpy(whole).float()
            self.first = 0

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            part = self.answers[:, self.first : self.first + x.shape[2] // 2]
            self.first += round(detector.WINDOW * detector.RATE) // 2
            return 20 * (part[None] - 0.4)

    assert min(detector.scores(Oracle(), stretch)) > 0.95


@pytest.mark.slow
def test_a_detector_learns_each_way(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    recorded = (
        recording(1, 360.0, ("MLII", "V5"), 90),
        recording(2, 1000.0, ("i", "ii", "v2", "v5"), 38.4),
        recording(3, 250.0, ("II", "V"), 60),
    )
    monkeypatch.setattr(detector, "opened", lambda _: recorded)
    monkeypatch.setattr(
        detector, "SPANS", (((0, 40), (50, 90)), ((0, 20), (20, 38)), ((0, 30), (30, 60)))
    )
    monkeypatch.setattr(detector, "STEPS", 60)
    lines = printed(detector, monkeypatch, capsys, "--seeds", "1", "--ecgs", "2")
    rows = {cells[0]: cells for line in lines for cells in [line.strip("| ").split(" | ")]}
    assert list(rows) == [*detector.WAYS, detector.RECORDED]
    assert {rows["clean"][-1], rows[detector.RECORDED][-1]} in ({"0.00", "1.00"}, {"no gap"})
