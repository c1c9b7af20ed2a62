"""The benchmark of batches on something small: nothing is lost, and the bytes are the same."""

from __future__ import annotations

import sys

import pytest

from benchmarks import batch

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]


def printed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], *arguments: str
) -> str:
    small = ["--pictures", "2", "--size", "48", "--steps", "20"]
    monkeypatch.setattr(sys, "argv", ["batch", *small, *arguments])
    batch.main()
    return capsys.readouterr().out


def test_one_command_against_many(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = printed(monkeypatch, capsys, "--part", "folder")
    assert "same bytes: yes" in told
    (ratio,) = (line for line in told.splitlines() if line.startswith("| ratio"))
    assert 0 < float(ratio.split("|")[3]) < 1


def test_a_shard_that_is_killed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    told = printed(monkeypatch, capsys, "--part", "shards", "--kills", "2")
    assert told.splitlines()[-1] == "| 2 | 2 | 0 | 0 | 0 | 0 | 0 0 |"
