"""What a signal does before the first step, after it, and once the result is saved."""

from __future__ import annotations

import signal

import pytest

from impasto.system.interrupts import Interrupted, Interrupts, catch_interrupts


def test_a_signal_raises_until_there_is_a_step() -> None:
    interrupts = Interrupts()
    with pytest.raises(Interrupted):
        interrupts.handle(signal.SIGINT, None)
    interrupts = Interrupts()
    interrupts.stepped = True
    interrupts.handle(signal.SIGTERM, None)
    assert interrupts.number == signal.SIGTERM


def test_a_second_ctrl_c_raises_unless_the_result_is_saved() -> None:
    for saved in (False, True):
        with catch_interrupts(signal.SIGINT) as interrupts:
            interrupts.stepped = True
            signal.raise_signal(signal.SIGINT)
            with catch_interrupts() as inner:  # as a part of the same run gets it
                inner.saved = saved
            if saved:
                signal.raise_signal(signal.SIGINT)
            else:
                with pytest.raises(Interrupted):
                    signal.raise_signal(signal.SIGINT)
            assert interrupts.pending
