"""Each benchmark can be started on something small, and what it compares is the same."""

from __future__ import annotations

import sys
from dataclasses import replace
from types import ModuleType

import pytest

from benchmarks import _evaluation, breakdown, engine, moments, optimizers, signals, startup
from benchmarks._evaluation import Case, report

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
    """All in this process, and with enough memory for the library's scratch in each case."""

    def here(case: Case) -> _evaluation.Report:
        memory = "+1GB" if case.memory.startswith("+") else "auto"
        return report(replace(case, memory=memory))

    for module in (_evaluation, engine):
        monkeypatch.setattr(module, "measure", here)
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


def test_the_ways_to_take_the_root(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = printed(moments, monkeypatch, capsys, "--runs", "1", "--widths", "8")
    errors = [float(line.split("|")[5]) for line in lines if "float64" in line and "32" not in line]
    assert max(errors[:2]) < 1e-9 < errors[2]


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
