"""What of the machine is free for this process: memory and cores, as its control groups have them.

In a container, or under a batch system, a control group's limits are below those of the machine;
psutil tells of the machine. Both versions of Linux's control groups are read, and all groups above.
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
"""The least seconds that others are watched for: the system counts in hundredths."""

PROC = Path("/proc/self")


def free_memory() -> float:
    """Bytes that this process may still take before the system has to end something.

    Pages of files count as free, in a control group too: the system takes them back.
    """
    free = float(psutil.virtual_memory().available)
    for group in _groups("memory"):
        limit = min(_number(group, name) for name in ("memory.max", "memory.limit_in_bytes"))
        taken = min(_number(group, name) for name in ("memory.current", "memory.usage_in_bytes"))
        if math.isfinite(limit) and math.isfinite(taken):
            free = min(free, limit - taken + _file_pages(group))
    return max(0.0, free)


def memory_limit(setting: str) -> float:
    """Bytes that the process may come to hold: "4GB", "500 MB"; "auto": most of what the machine
    and the control group have free, in equal parts for the processes that torchrun started here.

    Raises ConfigError when the setting is neither.
    """
    if setting == "auto":
        return _held() + 0.8 * free_memory() / int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    found = re.fullmatch(r"\s*(\d+(?:\.\d*)?)\s*([KMGT]?)B?\s*", setting, re.IGNORECASE)
    if not found or not float(found[1]):
        raise ConfigError(
            subject="--memory",
            expected="auto or an amount of memory",
            found=repr(setting),
            remedy="give for example --memory 4GB",
        )
    return float(found[1]) * 1000.0 ** " KMGT".index(found[2].upper() or " ")


def memory_left(limit: float) -> float:
    """Bytes that may still be taken."""
    return limit - _held()


def _held() -> int:
    memory = psutil.Process().memory_info()
    # Pages of files, those of Arrays among them, are not held: the system takes them back.
    held: int = memory.rss - getattr(memory, "shared", 0)
    return held


def cores() -> float:
    """Cores that this process may use, whoever else does: a control group may allow 1.5."""
    count = float(len(_own_cores()))
    for group in _groups("cpu"):
        quota = _number(group, "cpu.max"), _number(group, "cpu.max", 1)
        if not math.isfinite(quota[0]):
            quota = _number(group, "cpu.cfs_quota_us"), _number(group, "cpu.cfs_period_us")
        if 0 < quota[0] < math.inf and 0 < quota[1] < math.inf:
            count = min(count, quota[0] / quota[1])
    return count


class Watch:
    """How many of this process's cores others keep busy, from when it is made."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.busy, self.own = _busy()

    def others(self) -> float:
        """Cores that others were busy on so far; waits until that can be told."""
        time.sleep(max(0.0, self.began + LOOK - time.monotonic()))
        busy, own = _busy()
        seconds = time.monotonic() - self.began
        return max(0.0, (busy - self.busy) - (own - self.own)) / seconds


def _busy() -> tuple[float, float]:
    """Seconds that this process's cores have worked, and that it has worked itself."""
    each = psutil.cpu_times(percpu=True)
    here = [each[number] for number in _own_cores() if number < len(each)]
    # Time of virtual machines is in that of user programs; that taken by the host is nobody's here.
    busy = sum(t.user + t.system + sum(getattr(t, n, 0.0) for n in ("nice", "irq")) for t in here)
    own = os.times()
    return busy, own.user + own.system


def _own_cores() -> list[int]:
    """The numbers of the cores that this process may run on."""
    if hasattr(os, "sched_getaffinity"):
        return sorted(os.sched_getaffinity(0))
    return list(range(os.cpu_count() or 1))


def _groups(controller: str) -> Iterator[Path]:
    """The folders of this process's control group, and of those above it, for a controller."""
    with suppress(OSError, ValueError):  # another system's, or one unheard of
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
    """A group's folder and those above it, below where the hierarchy from `root` on is mounted."""
    # In a container the path may be the host's, of which only the mounted end is seen.
    inside = path.relative_to(root) if path.is_relative_to(root) else PurePosixPath()
    folder = point / inside
    yield folder
    while folder != point:
        folder = folder.parent
        yield folder


def _number(group: Path, name: str, column: int = 0) -> float:
    """A number in a group's file; infinite where there is none, as in "max 100000"."""
    with suppress(OSError, ValueError, IndexError):
        return float((group / name).read_text().split()[column].replace("max", "inf"))
    return math.inf


def _file_pages(group: Path) -> float:
    """Bytes of files that the group's memory holds, and would give back."""
    with suppress(OSError, ValueError):
        lines = (line.split() for line in (group / "memory.stat").read_text().splitlines())
        found = {name: float(value) for name, value in lines}
        # Version 1 tells of the group alone, and as a total of those below it too.
        prefix = "total_" if "total_inactive_file" in found else ""
        return sum(found.get(f"{prefix}{kind}_file", 0.0) for kind in ("active", "inactive"))
    return 0.0
