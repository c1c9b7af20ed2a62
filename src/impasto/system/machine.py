"""Memory and cores that this process may use.

In a container or under a batch system, a control group may allow less than the machine has, and
psutil reports the machine. This module therefore reads the control groups of Linux, versions 1 and
2, of this process and of all groups above it.
"""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path, PurePosixPath

import psutil

from impasto.errors import ConfigError

LOOK = 0.2
"""Seconds for which the load is measured at least: the system counts in hundredths."""

PROC = Path("/proc/self")


def free_memory() -> float:
    """Returns the bytes that this process may still take.

    The cache of files counts as free memory, in a control group too, because the system can reclaim
    it.
    """
    free = float(psutil.virtual_memory().available)
    for group in _groups("memory"):
        limit = min(_number(group, name) for name in ("memory.max", "memory.limit_in_bytes"))
        taken = min(_number(group, name) for name in ("memory.current", "memory.usage_in_bytes"))
        if math.isfinite(limit) and math.isfinite(taken):
            free = min(free, limit - taken + _file_pages(group))
    return max(0.0, free)


def memory_limit(setting: str) -> float:
    """Returns the bytes that this process may hold.

    Args:
        setting: an amount such as "4GB" or "500 MB"; or "auto": what the process holds, and of
            80 % of the free memory the part of one of the processes on this machine.

    Raises:
        ConfigError: the setting is neither of the two.

    Example:
        >>> memory_limit("500 MB")
        500000000.0
    """
    limit = bytes_of(setting)
    if limit is None:
        return held() + 0.8 * free_memory() / int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return limit


def bytes_of(setting: str) -> float | None:
    """Returns the bytes of an amount such as "4GB"; None for "auto".

    Raises:
        ConfigError: the setting is neither of the two.

    Example:
        >>> bytes_of("4 KB")
        4000.0
    """
    if setting == "auto":
        return None
    parsed = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([KMGT]?)B?\s*", setting, re.IGNORECASE)
    if not parsed or not float(parsed[1]):
        raise ConfigError(
            subject="--memory",
            expected="auto or an amount of memory",
            found=repr(setting),
            remedy="give for example --memory 4GB",
        )
    return float(parsed[1]) * 1000.0 ** " KMGT".index(parsed[2].upper() or " ")


def memory_left(limit: float) -> float:
    """Returns the bytes that this process may still take under a limit in bytes."""
    return limit - held()


def held() -> int:
    """Returns the bytes that this process holds, without mapped files."""
    memory = psutil.Process().memory_info()
    # Shared pages are mostly cached files, such as those of Arrays, which the system can reclaim.
    own: int = memory.rss - getattr(memory, "shared", 0)
    return own


def cores() -> float:
    """Returns the number of cores that this process may use, whether they are busy or not.

    A control group may allow a fraction, such as 1.5.
    """
    count = float(len(_own_cores()))
    for group in _groups("cpu"):
        quota = _number(group, "cpu.max"), _number(group, "cpu.max", 1)
        if not math.isfinite(quota[0]):
            quota = _number(group, "cpu.cfs_quota_us"), _number(group, "cpu.cfs_period_us")
        if 0 < quota[0] < math.inf and 0 < quota[1] < math.inf:
            count = min(count, quota[0] / quota[1])
    return count


class Watch:
    """Measures how busy other processes keep this process's cores, from its creation on."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.busy, self.own = _busy()

    def others(self) -> float:
        """Returns the mean number of cores that other processes have used so far.

        Waits until LOOK seconds are measured.
        """
        time.sleep(max(0.0, self.began + LOOK - time.monotonic()))
        busy, own = _busy()
        seconds = time.monotonic() - self.began
        return max(0.0, (busy - self.busy) - (own - self.own)) / seconds


def _busy() -> tuple[float, float]:
    """Returns the seconds of work of this process's cores, and of this process alone."""
    each = psutil.cpu_times(percpu=True)
    here = [each[number] for number in _own_cores() if number < len(each)]
    # The time of guests is part of the user time. Time that the host takes away is not counted.
    busy = sum(t.user + t.system + sum(getattr(t, n, 0.0) for n in ("nice", "irq")) for t in here)
    own = os.times()
    return busy, own.user + own.system


def _own_cores() -> list[int]:
    """Returns the numbers of the cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _groups(controller: str) -> Iterator[Path]:
    """Yields the folders of this process's control group and of all groups above it."""
    with suppress(OSError, ValueError):  # not Linux, or a format that is not known
        lines = (PROC / "cgroup").read_text().splitlines()
        mounts = (PROC / "mountinfo").read_text().splitlines()
        paths: dict[str, str] = {}
        for line in lines:
            _, names, path = line.split(":", 2)
            paths |= dict.fromkeys(names.split(","), path)
        for mount in mounts:
            fields, _, system = mount.partition(" - ")
            kind, _, options = system.split(" ", 2)
            root, point = fields.split(" ")[3:5]
            name = {"cgroup2": "", "cgroup": controller}.get(kind)
            if name in paths and name in ("", *options.split(",")):
                yield from _upward(Path(point), PurePosixPath(root), PurePosixPath(paths[name]))


def _upward(point: Path, root: PurePosixPath, path: PurePosixPath) -> Iterator[Path]:
    """Yields a group's folder and those above it, up to where the hierarchy is mounted."""
    # In a container the path may be the host's; only the part that is mounted can be read.
    inside = path.relative_to(root) if path.is_relative_to(root) else PurePosixPath()
    folder = point / inside
    yield folder
    while folder != point:
        folder = folder.parent
        yield folder


def _number(group: Path, name: str, column: int = 0) -> float:
    """Returns a number from a file of the group; infinity for "max" or for no such file."""
    with suppress(OSError, ValueError, IndexError):
        return float((group / name).read_text().split()[column].replace("max", "inf"))
    return math.inf


def _file_pages(group: Path) -> float:
    """Returns the bytes of cached files in the group's memory that can be reclaimed."""
    with suppress(OSError, ValueError):
        lines = (line.split() for line in (group / "memory.stat").read_text().splitlines())
        statistics = {name: float(value) for name, value in lines}
        # Version 1 counts the group alone, and under "total_" the groups below it too.
        prefix = "total_" if "total_inactive_file" in statistics else ""
        return sum(statistics.get(f"{prefix}{kind}_file", 0.0) for kind in ("active", "inactive"))
    return 0.0
