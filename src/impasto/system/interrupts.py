"""SIGINT and SIGTERM during a run: the current step is finished, then the run ends."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

SIGNALS = (signal.SIGINT, signal.SIGTERM)
"""A terminal sends SIGINT at Ctrl-C; batch systems send SIGTERM before they kill."""

_DEFAULTS = (signal.default_int_handler, signal.SIG_DFL)


class Interrupted(KeyboardInterrupt):
    """A signal has ended the work.

    Attributes:
        number: the number of the signal.
    """

    def __init__(self, number: int) -> None:
        super().__init__(number)
        self.number = number


class Interrupts:
    """Handles signals and remembers whether one has come.

    Before the first step, a signal raises Interrupted. Once a step is done there is a result, so a
    signal lets the current step finish and the run then ends. A second Ctrl-C raises
    Interrupted at once.

    Processes that torchrun started must all end at the same step. There the first signal always
    waits for a step. torchrun also passes on the Ctrl-C that the terminal has already sent to every
    process, so each press arrives twice and only the third signal raises Interrupted.

    Once the result is saved, nothing raises Interrupted.

    Attributes:
        stepped: whether a step is done.
        saved: whether the result is in its file.
        number: the first signal that came, 0 for none.
        shared: whether several processes share the run.
    """

    def __init__(self) -> None:
        self.stepped = False
        self.saved = False
        self.number = 0
        self.shared = int(os.environ.get("WORLD_SIZE", "1")) > 1
        self._presses = 0

    @property
    def pending(self) -> bool:
        """Whether a signal has come, so that the run is to end."""
        return self.number > 0

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Handles a signal, as `signal.signal` expects of a handler."""
        self.number = self.number or number
        self._presses += number == signal.SIGINT
        if self.saved:
            return
        if self._presses > 1 + self.shared or not (self.stepped or self.shared):
            raise Interrupted(number)


@contextmanager
def catch_interrupts(*numbers: int) -> Iterator[Interrupts]:
    """Handles these signals inside the `with` block.

    Signals that are ignored (as after nohup) or that the caller handles stay as they are. Inside of
    another such block, the outer Interrupts is given again.

    Yields:
        The Interrupts that says whether a signal has come.
    """
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
