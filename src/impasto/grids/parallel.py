"""Processes that share a sample: who has which part, and how parts and sums are exchanged."""

from __future__ import annotations

import atexit
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from itertools import pairwise
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, distributed

from impasto.errors import ProcessError
from impasto.grids.geometry import Region, Space
from impasto.grids.patch import Patch


@runtime_checkable
class Group(Protocol):
    """Processes, numbered from 0, each with a slab of the sample."""

    @property
    def rank(self) -> int:
        """This process's number."""

    @property
    def size(self) -> int:
        """How many there are."""

    def slabs(self, space: Space) -> list[Region]:
        """The part of a sample that each process has: a partition along the longest axis."""

    def exchange(self, own: Patch, owned: Sequence[Region], needed: Sequence[Region]) -> Patch:
        """The values over what this process needs, of those that each has over what it owns."""

    def collect(self, part: Patch, owned: Sequence[Region], needed: Sequence[Region]) -> Patch:
        """The sum over what this process owns, of the values that each has over what it needed."""

    def total(self, sums: Tensor) -> Tensor:
        """The sum over all processes, the same numbers on each."""


@dataclass(frozen=True)
class Alone:
    """One process with all of the sample."""

    rank: int = 0
    size: int = 1

    def slabs(self, space: Space) -> list[Region]:
        return [Region.all_of(space)]

    def exchange(self, own: Patch, owned: Sequence[Region], needed: Sequence[Region]) -> Patch:
        return Patch(own.over(needed[0]), needed[0])

    def collect(self, part: Patch, owned: Sequence[Region], needed: Sequence[Region]) -> Patch:
        if part.region == owned[0]:
            return part
        values = part.values.new_zeros((*part.values.shape[:2], *owned[0].space))
        values[part.region.within(owned[0])] = part.values
        return Patch(values, owned[0])

    def total(self, sums: Tensor) -> Tensor:
        return sums


ALONE = Alone()


@dataclass(frozen=True)
class Ranks:
    """The processes of torch.distributed, started by torchrun, say."""

    rank: int
    size: int

    def slabs(self, space: Space) -> list[Region]:
        axis = space.index(max(space))
        length = space[axis]
        # Cuts at multiples of 32 fall between the positions of every stage alike.
        even = 32 if length >= 64 * self.size else 1
        cuts = [length * rank // self.size // even * even for rank in range(self.size)]
        start, slabs = [0] * len(space), []
        for low, high in pairwise([*cuts, length]):
            start[axis], stop = low, list(space)
            stop[axis] = high
            slabs.append(Region(tuple(start), tuple(stop), space))
        return slabs

    def exchange(self, own: Patch, owned: Sequence[Region], needed: Sequence[Region]) -> Patch:
        mine = needed[self.rank]
        values = own.values.new_empty((1, own.values.shape[1], *mine.space))
        coming = [mine.common(region) for region in owned]
        going = [region.common(owned[self.rank]) for region in needed]
        for part, received in self._swap(own, going, coming):
            values[part.within(mine)] = received
        return Patch(values, mine)

    def collect(self, part: Patch, owned: Sequence[Region], needed: Sequence[Region]) -> Patch:
        mine = owned[self.rank]
        values = part.values.new_zeros((1, part.values.shape[1], *mine.space))
        coming = [region.common(mine) for region in needed]
        going = [needed[self.rank].common(region) for region in owned]
        for shared, received in self._swap(part, going, coming):
            values[shared.within(mine)] += received
        return Patch(values, mine)

    def total(self, sums: Tensor) -> Tensor:
        total = sums.clone()
        with _all_there():
            distributed.all_reduce(total)
        return total

    def _swap(
        self, patch: Patch, going: Sequence[Region], coming: Sequence[Region]
    ) -> list[tuple[Region, Tensor]]:
        """What every process, this one too, has sent of the regions that come from it."""
        operations, received = [], []
        for peer, (to, of) in enumerate(zip(going, coming, strict=True)):
            if peer == self.rank:
                if not of.empty:
                    received.append((of, patch.over(of)))
                continue
            if not to.empty:
                sent = patch.over(to).contiguous()
                operations.append(distributed.P2POp(distributed.isend, sent, peer))
            if not of.empty:
                buffer = patch.values.new_empty((1, patch.values.shape[1], *of.space))
                operations.append(distributed.P2POp(distributed.irecv, buffer, peer))
                received.append((of, buffer))
        with _all_there():
            for request in distributed.batch_isend_irecv(operations) if operations else []:
                request.wait()
        return received


@contextmanager
def _all_there() -> Iterator[None]:
    try:
        yield
    except RuntimeError as error:
        raise ProcessError(
            expected="all the processes that share the sample",
            found="one that has ended",
            remedy="see what it said; a run with --run goes on by impasto resume",
        ) from error


@dataclass(frozen=True)
class Sharing:
    """Processes with slabs of one grid that are given, rather than its own partition."""

    group: Group
    given: tuple[Region, ...]

    @property
    def rank(self) -> int:
        return self.group.rank

    @property
    def size(self) -> int:
        return self.group.size

    def slabs(self, space: Space) -> list[Region]:
        return list(self.given)

    def exchange(self, own: Patch, owned: Sequence[Region], needed: Sequence[Region]) -> Patch:
        return self.group.exchange(own, owned, needed)

    def collect(self, part: Patch, owned: Sequence[Region], needed: Sequence[Region]) -> Patch:
        return self.group.collect(part, owned, needed)

    def total(self, sums: Tensor) -> Tensor:
        return self.group.total(sums)


def with_slabs(group: Group, slabs: Sequence[Region]) -> Group:
    """The processes, each with one of these slabs."""
    return Sharing(group, tuple(slabs)) if group.size > 1 else ALONE


@cache
def current_group() -> Group:
    """The processes that torchrun started with this one; otherwise this one alone."""
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return ALONE
    if not distributed.is_initialized():
        distributed.init_process_group("gloo")
        atexit.register(_leave)  # else a thread of gloo's may abort the process as Python ends
    return Ranks(distributed.get_rank(), distributed.get_world_size())


def _leave() -> None:
    if distributed.is_initialized():
        distributed.destroy_process_group()


def broadcast(group: Group, values: Tensor) -> Tensor:
    """The first process's values, on each."""
    return group.total(values if group.rank == 0 else torch.zeros_like(values))


def gather(group: Group, own: Patch) -> Tensor:
    """The whole of which each process has its slab."""
    whole = own.region.whole
    slabs = group.slabs(whole)
    return group.exchange(own, slabs, [Region.all_of(whole)] * group.size).values
