"""SIGINT and SIGTERM while a run goes on: the step at hand is finished, and the run ends."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""What a terminal sends at Ctrl-C, and what batch systems send before they kill."""

_DEFAULTS = (signal.default_int_handler, signal.SIG_DFL)


class Interrupted(KeyboardInterrupt):
    """A signal has ended the work, by its number."""

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Interrupts:
    """What signals do.

    Before the first step they raise Interrupted. From then on there is a result: the step at hand
    is finished, and the run ends. A second Ctrl-C raises Interrupted wherever it comes.
    Of processes that torchrun started, all have to end alike: there the first signal waits for a
    step in any case, and the second Ctrl-C is torchrun's, which hands on what the terminal has
    sent to all already, so that it takes a third.
    """

    def __init__(self) -> None:
        self.stepped = False
        self.number = 0
        self.shared = int(os.environ.get("WORLD_SIZE", "1")) > 1
        self._presses = 0

    @property
    def pending(self) -> bool:
        """Whether the run is to end."""
        return self.number > 0

    def handle(self, number: int, frame: FrameType | None) -> None:
        """The handler of signals."""
        self.number = self.number or number
        self._presses += number == signal.SIGINT
        if self._presses > 1 + self.shared or not (self.stepped or self.shared):
            raise Interrupted(number)


@contextmanager
def catch_interrupts(*numbers: int) -> Iterator[Interrupts]:
    """In charge of these signals, but of those that are ignored (as after nohup) or are the
    caller's; who is in charge already stays so."""
    owners = (getattr(signal.getsignal(number), "__self__", None) for number in SIGNALS)
    for owner in owners:
        if isinstance(owner, Interrupts):
            yield owner
            return
    interrupts, before = Interrupts(), {}
    if threading.current_thread() is threading.main_thread():
        before = {n: signal.getsignal(n) for n in numbers if signal.getsignal(n) in _DEFAULTS}
    for number in before:
        signal.signal(number, interrupts.handle)
    try:
        yield interrupts
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
