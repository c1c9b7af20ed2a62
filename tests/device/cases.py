"""Runs on a second device, made for the tests: the same results as on the CPU.

test_device.py runs these in a process of their own, because PyTorch counts its devices only once,
before the first gradient.
"""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch.utils._python_dispatch import TorchDispatchMode

from benchmarks import device as benchmark
from benchmarks._evaluation import random_vgg19
from impasto import media
from impasto.config.config import Config
from impasto.config.presets import configure
from impasto.engine import plan
from impasto.engine.plan import choose_plan
from impasto.engine.walk import Plan
from impasto.errors import MemoryLimitError
from impasto.grids import resample as resampling
from impasto.grids.arrays import Arrays
from impasto.media.pictures.picture import from_array
from impasto.media.sample import Sample
from impasto.media.volumes.volume import Volume
from impasto.networks import Network
from impasto.reports import report
from impasto.system import devices
from impasto.transfer import setup as setups
from impasto.transfer import stylize as transfer
from impasto.transfer.descent import Progress
from impasto.transfer.stylize import Result, stylize
from tests.device import easel
from tests.signals import heartbeats, signal

pytestmark = pytest.mark.usefixtures("one_thread")

GIGABYTE = 10**9

ROOM = 12 * 10**6
"""Bytes of the device in which 160 x 136 pixels of `lite` do not fit whole."""


@pytest.fixture(scope="module")
def device() -> Iterator[Any]:
    """The operations of the test device, which "auto" takes as long as the fixture lasts."""
    operations = easel.operations()
    easel.present = True
    yield operations
    easel.present = False


@pytest.fixture(autouse=True)
def all_memory(device: Any) -> Iterator[None]:
    device.limit(8 * GIGABYTE)
    yield
    device.limit(8 * GIGABYTE)


def pictures() -> tuple[Sample, Sample]:
    rng = np.random.default_rng(0)
    content, style = (rng.integers(0, 256, (44, 52, 3), np.uint8) for _ in range(2))
    return from_array(content), from_array(style)


def signals() -> tuple[Sample, Sample]:
    beats = heartbeats(8.0)
    noise = np.random.default_rng(1).normal(size=beats.shape)
    return signal(beats, 250.0), signal(beats + 0.1 * noise, 250.0)


def volumes() -> tuple[Sample, Sample]:
    rng = np.random.default_rng(2)
    content, style = (rng.normal(size=(1, 16, 18, 20)).astype(np.float32) for _ in range(2))
    return Volume(content), Volume(style)


def short(preset: str = "standard", **settings: Any) -> Config:
    fast: dict[str, Any] = {"precision": "fp32", "steps": (4, 3), "coarsest": 32}
    fast |= {"init": "content"}  # one pass has tests of its own; its rounding is larger
    return configure(preset, **fast | settings)


def steady(steps: int = 3) -> Config:
    """Of a run whose result hardly depends on last bits, as Adam's first steps do."""
    settings: dict[str, Any] = {"optimizer": "gradient-descent", "learning_rate": 0.1}
    return short(size=(160,), coarsest=0, steps=(steps,), **settings)


def on(config: Config, device: str, **engine: Any) -> Config:
    return replace(config, engine=replace(config.engine, device=device, **engine))


def check(samples: tuple[Sample, Sample], config: Config) -> Result:
    """Runs on the CPU and on the test device and compares the results."""
    there = stylize(*samples, on(config, "easel"))
    here = stylize(*samples, on(config, "cpu"))
    span = np.ptp(here.sample.data)
    np.testing.assert_allclose(there.sample.data / span, here.sample.data / span, atol=1e-5)
    assert there.terms == pytest.approx(here.terms, rel=1e-5)
    return there


def small_arrays(monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    """Counts all arrays and no fixed memory; lets arrays take a share of the device's memory."""
    monkeypatch.setattr(Arrays, "SMALL", 0)
    monkeypatch.setattr(plan, "FIXED", 0)
    monkeypatch.setattr(setups, "FOR_ARRAYS", share)
    monkeypatch.setattr(transfer, "FOR_ARRAYS", share)


SIGNAL_TERMS = {"autocorrelation": 1.0, "spectrum": 1.0, "amplitude": 1.0}


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"optimizer": "lbfgs"},
        {"optimizer": "gradient-descent", "init": "noise"},
        {"style_losses": ("gram",), "smoothing": "softmax"},
        {"padding": "periodic", "size": (32, 48), "coarsest": 0},
        {"preset": "notes", "network": "lite", "content_layers": ("relu2_1",)},
        {"network": "filterbank"},
        {"precision": "bf16"},
    ],
    ids=str,
)
def test_pictures(settings: dict[str, Any]) -> None:
    check(pictures(), short(**{"size": (48,)} | settings))


def test_one_pass(tmp_path: Path) -> None:
    mask = str(tmp_path / "strength.png")
    media.save(from_array(np.linspace(0, 1, 44 * 52, dtype=np.float32).reshape(44, 52)), Path(mask))
    for settings in ({}, {"beta": 2.0}, {"strength": mask}):
        config = configure("instant", precision="fp32", size=0, **settings)
        check(pictures(), config)


def test_one_pass_on_a_small_device(device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """In tiles, whose results are in memory, or some there and some on the device."""
    content = from_array(np.random.default_rng(0).integers(0, 256, (640, 96, 3), np.uint8))
    config = configure("instant", precision="fp32", size=0)
    for share in (0.0, 0.5):
        small_arrays(monkeypatch, share)
        device.limit(device.taken() + 220 * 10**6)
        check((content, pictures()[1]), config)
        assert device.refused() == 0


def test_nearest_positions() -> None:
    layers = tuple((f"relu{block}_1", 1.0) for block in range(1, 4))
    losses = ("moments", "nearest", "nearest")
    settings: dict[str, Any] = {"content_layers": ("relu3_1",), "style_layers": layers}
    check(pictures(), short("paint", network="lite", style_losses=losses, size=(40,), **settings))


def test_masks(tmp_path: Path) -> None:
    """One where the content stays, and a strength at each position."""
    mask, strength = np.zeros((44, 52, 3), np.uint8), np.zeros((44, 52, 3), np.uint8)
    mask[:, 20:], strength[10:] = 255, 255
    names = []
    for name, picture in (("mask.png", mask), ("strength.png", strength)):
        names.append(str(tmp_path / name))
        media.save(from_array(picture), Path(names[-1]))
    result = check(pictures(), short(mask=(names[0],), size=(0,)))
    kept = result.sample.data[:, :, :18]
    np.testing.assert_array_equal(kept, pictures()[0].data[:, :, :18])
    check(pictures(), short(strength=names[1], size=(48,)))


def test_signals_with_gaps() -> None:
    content, style = signals()
    gaps = np.zeros(content.data.shape, bool)
    gaps[:, 300:340] = True
    content = signal(content.data, 250.0, gaps=gaps)
    settings: dict[str, Any] = {"optimizer": "gradient-descent", "learning_rate": 0.01}
    config = short("ecg", coarsest=500, **settings, **SIGNAL_TERMS)
    check((content, style), config)
    check((content, style), on(config, "cpu", plan="streamed"))


def test_volumes() -> None:
    check(volumes(), short("ct", slices=3))
    check(volumes(), short("ct", slices=0, keep_air=True))
    check(volumes(), short("ct", network="filterbank", gamma=0.1))


class NoFloat64(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Refuses values in float64 on the test device, as Apple's devices do."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        found = func(*args, **(kwargs or {}))
        for x in found if isinstance(found, tuple | list) else [found]:
            if isinstance(x, torch.Tensor) and x.device.type == "easel":
                assert x.dtype is not torch.float64, func
        return found


@pytest.mark.parametrize("kind", ["picture", "softmax", "paint", "signal", "volume"])
def test_a_device_without_float64(kind: str) -> None:
    devices.WITHOUT_FLOAT64.add("easel")
    gram: dict[str, Any] = {"style_losses": ("gram",), "smoothing": "softmax"}
    paint: dict[str, Any] = {"style_losses": ("moments", "nearest", "nearest"), "network": "lite"}
    paint |= {"content_layers": ("relu3_1",), "size": (40,)}
    paint |= {"style_layers": tuple((f"relu{block}_1", 1.0) for block in range(1, 4))}
    cases: dict[str, tuple[tuple[Sample, Sample], Config]] = {
        "picture": (pictures(), short(size=(48,), coarsest=0)),
        "softmax": (pictures(), short(size=(48,), coarsest=0, **gram)),
        "paint": (pictures(), short("paint", **paint)),
        "signal": (signals(), short("ecg", coarsest=500, **SIGNAL_TERMS)),
        "volume": (volumes(), short("ct", slices=3, gamma=0.1)),
    }
    samples, config = cases[kind]
    try:
        here = stylize(*samples, on(config, "cpu"))
        with NoFloat64():  # type: ignore[no-untyped-call]
            there = stylize(*samples, on(config, "easel"))
    finally:
        devices.WITHOUT_FLOAT64.discard("easel")
    assert there.terms == pytest.approx(here.terms, rel=1e-3)


@pytest.mark.parametrize("share", [0.0, 0.5])
def test_a_small_device(device: Any, monkeypatch: pytest.MonkeyPatch, share: float) -> None:
    """The network sees tiles; arrays are in memory, or some there and some on the device."""
    small_arrays(monkeypatch, share)
    device.limit(device.taken() + ROOM)
    check(pictures(), steady())
    assert device.refused() == 0


@pytest.mark.parametrize("optimizer", ["adam", "lbfgs"])
def test_a_run_goes_on_to_the_same_bytes(tmp_path: Path, optimizer: str) -> None:
    config = short(size=(48,), optimizer=optimizer, checkpoint_every=0.0)
    once = stylize(*pictures(), on(config, "easel")).sample.data

    def until_five(progress: Progress) -> bool:
        return progress.step < 5

    run = tmp_path / "run"
    stylize(*pictures(), on(config, "easel"), run=run, callback=until_five)
    again = stylize(*pictures(), on(config, "easel"), run=run).sample.data
    np.testing.assert_array_equal(again, once)


def test_a_run_goes_on_elsewhere(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    config = short(size=(48,), checkpoint_every=0.0)
    once = stylize(*pictures(), on(config, "cpu")).sample.data

    def until_five(progress: Progress) -> bool:
        return progress.step < 5

    caplog.set_level(logging.INFO)
    stylize(*pictures(), on(config, "easel"), run=tmp_path / "run", callback=until_five)
    again = stylize(*pictures(), on(config, "cpu"), run=tmp_path / "run").sample.data
    np.testing.assert_allclose(again, once, atol=1e-5)
    assert "going on on cpu, after easel:0: the last bits may differ" in caplog.text


def test_without_memory_the_run_plans_again(
    device: Any, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    """More room is planned with than there is, as when another program takes some."""
    small_arrays(monkeypatch, 0.5)
    device.limit(device.taken() + ROOM)
    monkeypatch.setattr(transfer, "device_room", lambda *_: 6.0 * ROOM)
    caplog.set_level(logging.INFO)
    check(pictures(), steady())
    assert device.refused() > 0
    assert "easel:0 has run out of memory; planning again with 36 MB" in caplog.text


def test_in_the_middle_of_a_scale(device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    small_arrays(monkeypatch, 0.5)
    config = steady(6)
    expected = stylize(*pictures(), on(config, "cpu"))
    steps = []

    def take_memory(progress: Progress) -> None:
        steps.append(progress.step)
        if progress.step == 3:
            device.limit(device.taken() + 8 * 10**6)

    found = stylize(*pictures(), on(config, "easel", memory="200MB"), callback=take_memory)
    assert device.refused() > 0
    assert steps == [1, 2, 3, 4, 5, 6]
    np.testing.assert_allclose(found.sample.data, expected.sample.data, atol=1e-5)


def test_too_small_a_device(device: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(transfer, "device_room", lambda *_: 1.0 * GIGABYTE)
    device.limit(device.taken() + 3 * 10**6)
    for init in ("content", "instant"):
        with pytest.raises(MemoryLimitError):
            stylize(*pictures(), on(short(init=init), "easel"))


def test_large_grids_are_resampled_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    x = torch.rand(1, 2, 40, 70)
    expected = resampling.resample(x, (31, 90))
    monkeypatch.setattr(resampling, "ROWS", 7)
    assert torch.equal(resampling.resample(x.to("easel"), (31, 90)).cpu(), expected)
    monkeypatch.setattr(resampling, "MOST_SHRUNK", 2)
    small = resampling.resample(x.to("easel"), (10, 30))
    assert small.device.type == "easel"
    assert torch.equal(small.cpu(), resampling.resample(x, (10, 30)))


def test_arrays_of_more_values_than_a_device_counts(monkeypatch: pytest.MonkeyPatch) -> None:
    config = replace(steady(), engine=replace(steady().engine, plan="auto"))
    monkeypatch.setattr(plan, "MOST_VALUES", 50_000)
    plans: list[Plan] = []

    def noted(*arguments: Any) -> Plan:
        plans.append(choose_plan(*arguments))
        return plans[-1]

    monkeypatch.setattr(setups, "choose_plan", noted)
    check(pictures(), config)
    assert [bool(each.tiles) for each in plans if each.device.type == "easel"] == [True, True]


def test_no_room_for_the_network(device: Any) -> None:
    device.limit(device.taken() + 10**5)
    with pytest.raises(MemoryLimitError, match="room on the device for the network"):
        stylize(*pictures(), on(short(), "easel", memory="1GB"))


def test_auto_takes_the_device(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)
    stylize(*signals(), short("ecg", coarsest=0, steps=(1,)))
    assert "computing on easel:0: an easel" in caplog.text


def test_a_tensor_left_on_the_cpu_is_caught(monkeypatch: pytest.MonkeyPatch) -> None:
    def stays(self: Network, *_: Any) -> Network:
        return self

    monkeypatch.setattr(Network, "to", stays)
    with pytest.raises(RuntimeError, match=r"easel|same device|mixed devices"):
        stylize(*pictures(), on(short(steps=(1,)), "easel"))


def test_the_device_refuses_mixed_operators() -> None:
    x = torch.ones(3, device="easel")
    with pytest.raises(RuntimeError, match=r"easel"):
        torch.bmm(x.reshape(1, 1, 3), torch.ones(1, 3, 1))
    with pytest.raises(RuntimeError, match=r"index"):
        x[torch.tensor([0, 1])]
    assert (x * torch.tensor(2.0)).cpu().tolist() == [2.0, 2.0, 2.0]  # a number may be anywhere


def test_a_report(tmp_path: Path) -> None:
    """It is of the CPU, whatever the run was of."""
    content, style = tmp_path / "content.png", tmp_path / "style.png"
    for name, picture in zip((content, style), pictures(), strict=True):
        media.save(picture, name)
    stylize(content, style, short(size=(48,)), run=tmp_path / "run")
    report(tmp_path / "run", tmp_path / "report.html")
    assert (tmp_path / "report.html").stat().st_size > 50_000


@pytest.mark.filterwarnings("ignore:An output with one or more elements was resized")
def test_the_benchmark(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """All but the plain loop, whose copy of the network PyTorch makes for its own devices only."""
    sizes = ("--sizes", "48", "--style", "48", "--huge", "64", "--runs", "1", "--memory", "2GB")
    monkeypatch.setattr("sys.argv", ["device", "--device", "easel", *sizes, "--part", "huge"])
    monkeypatch.setitem(benchmark.PARTS, "huge", one_of_each)
    benchmark.main()
    output = capsys.readouterr().out
    assert output.startswith("easel:0 (an easel)")
    assert re.search(r"\| 64 x 64, fp32 \| [0-9.]+ s \| [0-9.]+ s \| 0\.\d\d GB \|", output)


def one_of_each(bench: benchmark.Bench) -> None:
    benchmark.our_step(bench, "fp32", 48)()
    network = random_vgg19(benchmark.settings(bench, "fp32", (64, 64))).to(bench.device)
    benchmark.recipe_step(bench, network, 48)()
    benchmark.huge(bench)
