"""What is free for this process, control groups counted."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from impasto.errors import ConfigError
from impasto.system import machine
from impasto.system.machine import Watch, cores, free_memory, memory_left, memory_limit

GIGABYTE = 10**9


def a_group(folder: Path, **files: str) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in files.items():
        (folder / name.replace("__", ".")).write_text(text + "\n")


@pytest.fixture
def hierarchy(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A process in the group /batch/job of version 2, on a machine with 8 GB free and 8 cores."""

    class Free:
        available = 8 * GIGABYTE

    monkeypatch.setattr(psutil, "virtual_memory", Free)
    monkeypatch.setattr(machine, "_own_cores", lambda: list(range(8)))
    monkeypatch.setattr(machine, "PROC", tmp_path)
    (tmp_path / "cgroup").write_text("0::/batch/job\n")
    mount = f"41 31 0:38 / {tmp_path}/fs rw,relatime shared:4 - cgroup2 cgroup2 rw\n"
    (tmp_path / "mountinfo").write_text("23 1 254:0 / / rw - ext4 /dev/vda rw\n" + mount)
    a_group(tmp_path / "fs/batch/job", memory__max="max", cpu__max="max 100000")
    return tmp_path / "fs"


def test_a_group_without_limits_changes_nothing(hierarchy: Path) -> None:
    assert free_memory() == 8 * GIGABYTE
    assert cores() == 8


def test_the_narrowest_group_above_counts(hierarchy: Path) -> None:
    a_group(
        hierarchy / "batch",
        memory__max=str(3 * GIGABYTE),
        memory__current=str(2 * GIGABYTE),
        memory__stat=f"anon 1\nactive_file {GIGABYTE}\ninactive_file 5\nshmem 7",
        cpu__max="150000 100000",
    )
    a_group(
        hierarchy / "batch/job", memory__max=str(5 * GIGABYTE), memory__current="0", memory__stat=""
    )
    assert free_memory() == 2 * GIGABYTE + 5
    assert cores() == 1.5


def test_groups_of_version_1_as_a_container_sees_them(hierarchy: Path, tmp_path: Path) -> None:
    (tmp_path / "cgroup").write_text("4:memory:/docker/a1\n3:cpu,cpuacct:/docker/a1\n0::/\n")
    lines = (
        f"35 31 0:32 /docker/a1 {tmp_path}/fs/memory ro - cgroup cgroup rw,memory",
        f"32 31 0:29 /docker/a1 {tmp_path}/fs/cpu ro - cgroup cgroup rw,cpu,cpuacct",
    )
    (tmp_path / "mountinfo").write_text("\n".join(lines))
    a_group(
        hierarchy / "memory",
        memory__limit_in_bytes=str(GIGABYTE),
        memory__usage_in_bytes="900000000",
        memory__stat="inactive_file 3\ntotal_inactive_file 400000000\ntotal_active_file 0",
    )
    a_group(hierarchy / "cpu", cpu__cfs_quota_us="200000", cpu__cfs_period_us="100000")
    assert free_memory() == 500_000_000
    assert cores() == 2
    a_group(hierarchy / "cpu", cpu__cfs_quota_us="-1")
    assert cores() == 8


def test_what_is_no_group_changes_nothing(hierarchy: Path, tmp_path: Path) -> None:
    for text in ("", "nonsense\n", "0::/gone\n"):
        (tmp_path / "cgroup").write_text(text)
        assert free_memory() == 8 * GIGABYTE
        assert cores() == 8


def test_the_automatic_limit_is_of_what_the_group_has(hierarchy: Path) -> None:
    a_group(hierarchy / "batch", memory__max=str(GIGABYTE), memory__current="0", memory__stat="")
    assert memory_left(memory_limit("auto")) == pytest.approx(0.8 * GIGABYTE, rel=0.1)


def test_others_are_seen_at_work_and_this_process_is_not_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    looks = iter([(100.0, 5.0), (101.5, 5.5)])
    clock = iter([50.0, 50.5, 50.5])
    monkeypatch.setattr(machine, "_busy", lambda: next(looks))
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    assert Watch().others() == pytest.approx(2.0)


@pytest.fixture
def hog() -> Iterator[None]:
    """A program that keeps a core busy, whatever this one does."""
    with subprocess.Popen([sys.executable, "-c", "while True: pass"]) as process:
        yield
        process.kill()


@pytest.mark.usefixtures("hog")
def test_a_busy_core_is_found() -> None:
    time.sleep(0.1)
    assert Watch().others() > 0.3


@pytest.mark.skipif(not hasattr(os, "sched_getaffinity"), reason="the system has no affinities")
def test_cores_are_those_this_process_may_run_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(os, "sched_getaffinity", lambda process: {0})
    assert cores() <= 1


@pytest.mark.parametrize(
    ("setting", "expected"),
    [("4GB", 4e9), ("500 MB", 5e8), ("1.5g", 1.5e9), ("2e", None), ("1000000", 1e6), ("64k", 64e3)],
)
def test_an_amount_of_memory(setting: str, expected: float | None) -> None:
    if expected is None:
        with pytest.raises(ConfigError, match="--memory: expected auto or an amount of memory"):
            memory_limit(setting)
    else:
        assert memory_limit(setting) == expected


@pytest.mark.parametrize("setting", ["", "much", "-1GB", "0", "0GB", "4 GB of it", "nan"])
def test_what_is_no_amount_of_memory(setting: str) -> None:
    with pytest.raises(ConfigError, match="give for example --memory 4GB"):
        memory_limit(setting)


def test_auto_is_four_fifths_of_what_is_free_shared_among_processes(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    class Free:
        available = 1_000_000_000

    monkeypatch.setattr(psutil, "virtual_memory", Free)
    assert memory_left(memory_limit("auto")) == pytest.approx(0.8e9, rel=0.1)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "4")
    assert memory_left(memory_limit("auto")) == pytest.approx(0.2e9, rel=0.1)
