"""The memory that a piece of work takes, measured in a process of its own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

# Not getrusage: what a process is told there begins with the memory of the one that started it.
_PEAK = """
import sys
import numpy as np

def peak():
    with open("/proc/self/status") as file:
        return next(int(line.split()[1]) for line in file if line.startswith("VmHWM")) / 1024
"""

_GROWTH = """
from impasto.media import load, save
small, big, copy = sys.argv[1:]
save(load(small), copy)
before = peak()
sample = load(big)
save(sample, copy)
print(peak() - before - sample.data.nbytes / 2**20)
"""

on_linux = pytest.mark.skipif(sys.platform != "linux", reason="reads /proc/self/status")


def printed(script: str, *arguments: object) -> float:
    """The number a script prints, which may call peak(): the most megabytes it held so far.

    Arrays above a megabyte go back to the system at once: else the holes in the heap of glibc,
    which moves its threshold as it goes, make the same work's peak differ by 100 MB.
    """
    run = subprocess.run(
        [sys.executable, "-c", _PEAK + script, *map(str, arguments)],
        capture_output=True,
        text=True,
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", "MALLOC_MMAP_THRESHOLD_": str(2**20)},
    )
    return float(run.stdout)


def growth(folder: Path, suffix: str) -> float:
    """The megabytes beside its values that reading `big` and writing a copy of it takes.

    `small` is read and written before, which loads what that needs.
    """
    return printed(_GROWTH, *(folder / f"{name}{suffix}" for name in ("small", "big", "copy")))
