"""Ranks that are threads of this process: the package's own way of exchanging, on small samples."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from queue import Empty, SimpleQueue
from typing import TypeVar

import pytest
import torch
from torch import Tensor

from impasto.grids import parallel
from impasto.grids.parallel import Ranks

T = TypeVar("T")
Operation = tuple[str, Tensor, int]


class Threads:
    """What `impasto.grids.parallel` uses of torch.distributed, among threads.

    Stricter than the real one: what is received must have the shape and type of what was sent,
    and nothing may be sent that nobody receives.
    """

    isend, irecv = "isend", "irecv"

    def __init__(self, size: int) -> None:
        self.ranks = [Ranks(rank, size) for rank in range(size)]
        self.here = threading.local()
        self.failed = threading.Event()
        self.queues: list[list[SimpleQueue[Tensor]]] = [
            [SimpleQueue() for _ in self.ranks] for _ in self.ranks
        ]

    def P2POp(self, kind: str, tensor: Tensor, peer: int) -> Operation:  # noqa: N802
        return kind, tensor, peer

    def batch_isend_irecv(self, operations: Sequence[Operation]) -> list[object]:
        mine: int = self.here.rank
        for kind, tensor, peer in operations:
            assert peer != mine
            assert tensor.is_contiguous()
            if kind == self.isend:
                self.queues[mine][peer].put(tensor.clone())
        for kind, tensor, peer in operations:
            if kind == self.irecv:
                received = self._get(self.queues[peer][mine])
                assert received.dtype is tensor.dtype
                assert received.shape == tensor.shape
                tensor.copy_(received)
        return []

    def all_reduce(self, tensor: Tensor) -> None:
        mine: int = self.here.rank
        for peer in range(len(self.ranks)):
            self.queues[mine][peer].put(tensor.clone())
        parts = [self._get(queues[mine]) for queues in self.queues]
        assert {part.dtype for part in parts} == {tensor.dtype}
        assert {part.shape for part in parts} == {tensor.shape}
        tensor.copy_(torch.stack(parts).sum(0))

    def run(self, work: Callable[[Ranks], T]) -> list[T]:
        """What each rank's work comes to; the first error when one fails."""

        def one(rank: Ranks) -> T:
            self.here.rank = rank.rank
            try:
                return work(rank)
            except BaseException:
                self.failed.set()
                raise

        errors, results = [], []
        with pytest.MonkeyPatch.context() as patch, ThreadPoolExecutor(len(self.ranks)) as pool:
            patch.setattr(parallel, "distributed", self)
            for future in [pool.submit(one, rank) for rank in self.ranks]:
                error = future.exception()
                if error is None:
                    results.append(future.result())
                else:
                    errors.append(error)
        for error in sorted(errors, key=lambda error: isinstance(error, AbandonedError)):
            raise error
        assert all(queue.empty() for queues in self.queues for queue in queues)
        return results

    def _get(self, queue: SimpleQueue[Tensor]) -> Tensor:
        while True:
            try:
                return queue.get(timeout=0.05)
            except Empty:
                if self.failed.is_set():
                    raise AbandonedError from None


class AbandonedError(Exception):
    """Another rank has failed, and this one waits for it in vain."""
