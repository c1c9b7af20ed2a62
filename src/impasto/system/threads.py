"""How many of the processor's threads a run takes: by who else is at work, and by the grid."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property

import torch

from impasto.system.machine import Watch, cores

GIVEN = ("OMP_NUM_THREADS", "MKL_NUM_THREADS")
"""Where a user, or torchrun, has said how many there are to be."""


class Team:
    """Those of one run, which is watching the others from when this is made.

    setting: as many, or 0 to choose. Two threads on two cores of which another program uses one
    wait for each other at every step; on a small grid there is too little for two to do.
    """

    def __init__(self, setting: int) -> None:
        self.setting = setting
        self.before = 0
        """the most that the same run took when it began, on which its last bits depend"""
        self.known = torch.get_num_threads()
        self.watch = Watch()

    @cached_property
    def most(self) -> int:
        """Those that the run takes on a large grid."""
        known = self.known
        if self.fixed or known == 1:
            return self.setting or known
        if self.before:
            return min(self.before, known)
        processes = int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
        # Those of one sample would look like others to each other.
        free = cores() / processes if processes > 1 else cores() - self.watch.others()
        return max(1, min(known, round(free)))

    @property
    def fixed(self) -> bool:
        """Whether the user has chosen."""
        return self.setting > 0 or any(name in os.environ for name in GIVEN)

    def take(self, worth: int) -> None:
        """Sets PyTorch's, for a grid that is worth so many."""
        count = self.most if self.fixed or worth > 1 else 1
        torch.set_num_threads(count if self.fixed else min(worth, count))


@contextmanager
def restore_threads() -> Iterator[None]:
    """Leaves PyTorch's threads as many as they were before."""
    before = torch.get_num_threads()
    try:
        yield
    finally:
        torch.set_num_threads(before)
