"""How many threads a run uses: it depends on the load of the machine and on the grid."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

import torch

from impasto.system.machine import Watch, cores

GIVEN = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Variables in which a user or torchrun sets the number of threads."""


class Team:
    """Chooses the number of PyTorch's threads for one run.

    Two threads on two cores wait for each other at every step where another program uses one of the
    cores, and a small grid has too little work for two. The load is measured from the creation of
    the object on.

    Args:
        setting: the number of threads, or 0 to choose it.

    Attributes:
        before: the largest number that the same run took when it began, or 0; the last bits of its
            results depend on it.
        known: the number of threads that PyTorch starts with.
    """

    def __init__(self, setting: int) -> None:
        self.setting = setting
        self.before = 0
        self.known = torch.get_num_threads()
        self.watch = Watch()

    @cached_property
    def most(self) -> int:
        """The number of threads for a large grid."""
        known = self.known
        if self.fixed or known == 1:
            return self.setting or known
        if self.before:
            return min(self.before, known)
        processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        # Processes that share a sample would count each other as load.
        free = cores() / processes if processes > 1 else cores() - self.watch.others()
        return max(1, min(known, round(free)))

    @property
    def fixed(self) -> bool:
        """Whether the user has chosen the number."""
        return self.setting > 0 or any(name in os.environ for name in GIVEN)

    def take(self, worth: int) -> None:
        """Sets PyTorch's threads for a grid that keeps `worth` threads busy."""
        count = self.most if self.fixed or worth > 1 else 1
        torch.set_num_threads(count if self.fixed else min(worth, count))


@contextmanager
def restore_threads() -> Iterator[None]:
    """Restores PyTorch's number of threads at the end of the `with` block."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)
