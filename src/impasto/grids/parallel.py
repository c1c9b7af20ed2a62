"""Processes that share a sample: which part each has, and how they exchange parts and sums."""

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
from impasto.system.devices import CPU, device_of_rank


@runtime_checkable
class Group(Protocol):
    """The processes that share a sample; each has one slab of it.

    Attributes:
        rank: the number of this process, from 0.
        size: the number of processes.
    """

    @property
    def rank(self) -> int:
        """The number of this process, from 0."""

    @property
    def size(self) -> int:
        """The number of processes."""

    def slabs(self, space: Space) -> list[Region]:
        """Returns the slab of each process.

        The slabs are a partition of `space` along its longest axis.
        """

    def exchange(self, own: Patch, owned: Sequence[Region], needed: Sequence[Region]) -> Patch:
        """Returns this process's values over the region that it needs.

        Args:
            own: this process's values, over the region that it owns.
            owned: the region that each process owns.
            needed: the region that each process needs.
        """

    def collect(self, part: Patch, owned: Sequence[Region], needed: Sequence[Region]) -> Patch:
        """Returns the sum of all processes' values over the region that this process owns.

        Args:
            part: this process's values, over the region that it needed.
            owned: the region that each process owns.
            needed: the region that each process needed.
        """

    def total(self, sums: Tensor) -> Tensor:
        """Returns the sum over all processes; each gets the same numbers."""


@dataclass(frozen=True)
class Alone:
    """One process that has the whole sample."""

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
    """The processes of torch.distributed, such as those that torchrun starts.

    Attributes:
        rank: the number of this process, from 0.
        size: the number of processes.
        wire: where values have to be in order to be sent: the GPU of this process with NCCL, the
            CPU with gloo.
    """

    rank: int
    size: int
    wire: torch.device = CPU

    def slabs(self, space: Space) -> list[Region]:
        axis = space.index(max(space))
        length = space[axis]
        # At a multiple of 32, a cut falls between two positions on the grid of every stage.
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
            values[part.within(mine)] = received.to(values.device)
        return Patch(values, mine)

    def collect(self, part: Patch, owned: Sequence[Region], needed: Sequence[Region]) -> Patch:
        mine = owned[self.rank]
        values = part.values.new_zeros((1, part.values.shape[1], *mine.space))
        coming = [region.common(mine) for region in needed]
        going = [needed[self.rank].common(region) for region in owned]
        for shared, received in self._swap(part, going, coming):
            values[shared.within(mine)] += received.to(values.device)
        return Patch(values, mine)

    def total(self, sums: Tensor) -> Tensor:
        total = sums.clone() if sums.device == self.wire else sums.to(self.wire)
        with _expect_all_processes():
            distributed.all_reduce(total)
        return total.to(sums.device)

    def _swap(
        self, patch: Patch, going: Sequence[Region], coming: Sequence[Region]
    ) -> list[tuple[Region, Tensor]]:
        """Sends regions of `patch` to the processes and receives theirs.

        Args:
            patch: this process's values.
            going: the region to send to each process.
            coming: the region to receive from each process.

        Returns:
            The received regions that are not empty, with their values; this process's own too.
        """
        operations, received = [], []
        for peer, (to, of) in enumerate(zip(going, coming, strict=True)):
            if peer == self.rank:
                if not of.empty:
                    received.append((of, patch.over(of)))
                continue
            if not to.empty:
                sent = patch.over(to).contiguous().to(self.wire)
                operations.append(distributed.P2POp(distributed.isend, sent, peer))
            if not of.empty:
                shape = (1, patch.values.shape[1], *of.space)
                buffer = patch.values.new_empty(shape, device=self.wire)
                operations.append(distributed.P2POp(distributed.irecv, buffer, peer))
                received.append((of, buffer))
        with _expect_all_processes():
            for request in distributed.batch_isend_irecv(operations) if operations else []:
                request.wait()
        return received


@contextmanager
def _expect_all_processes() -> Iterator[None]:
    """Raises ProcessError where another process has ended."""
    try:
        yield
    except RuntimeError as error:
        raise ProcessError(
            expected="all the processes that share the sample",
            found="that one has ended",
            remedy="read its last message; impasto resume continues a run that has a --run folder",
        ) from error


@dataclass(frozen=True)
class Sharing:
    """Processes whose slabs are given instead of being cut from the grid."""

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
    """Returns the group with the given slabs, one for each process."""
    return Sharing(group, tuple(slabs)) if group.size > 1 else ALONE


@cache
def current_group() -> Group:
    """Returns the group that torchrun started this process in.

    Without torchrun it is this process alone. The processes talk through NCCL where each one has a
    CUDA device of its own, and through gloo elsewhere.
    """
    if int(os.environ.get("WORLD_SIZE", "1")) == 1:
        return ALONE
    own = device_of_rank("cuda")
    if not distributed.is_initialized():
        if own:
            torch.cuda.set_device(own)
        distributed.init_process_group("nccl" if own else "gloo")
        atexit.register(_leave)  # else a thread of gloo may abort the process when Python ends
    wire = own if own and "nccl" in distributed.get_backend() else CPU
    return Ranks(distributed.get_rank(), distributed.get_world_size(), wire)


def _leave() -> None:
    if distributed.is_initialized():
        distributed.destroy_process_group()


def broadcast(group: Group, values: Tensor) -> Tensor:
    """Returns the first process's values, on every process."""
    return group.total(values if group.rank == 0 else torch.zeros_like(values))


def gather(group: Group, own: Patch) -> Tensor:
    """Returns the values over the whole grid, from each process's slab."""
    whole = own.region.whole
    slabs = group.slabs(whole)
    return group.exchange(own, slabs, [Region.all_of(whole)] * group.size).values
