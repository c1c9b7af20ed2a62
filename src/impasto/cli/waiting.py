"""A process that has loaded what a run needs, and waits for one: `python -m impasto.cli.waiting`.

The studio starts it ahead, so that a run begins at once. It reads one line of JSON: the folder of
the run, and the arguments of the command.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import sys
import time
from pathlib import Path

import impasto.cli.commands  # noqa: F401: what takes long to load
import impasto.cli.parsing  # noqa: F401
from impasto.cli.main import main
from impasto.studio.runs import ENDED, ERRORS, LINES, LOCK, QUEUE

TRIES, BETWEEN = 50, 0.02
"""The server looks at the lock for moments, in which it cannot be had."""


def wait_for_a_run() -> None:
    """Waits for a run, makes it, and says how it ended."""
    line = sys.stdin.readline()
    if not line:  # the server has ended
        return
    told = json.loads(line)
    folder = Path(told["folder"])
    os.chdir(folder)
    with open(LOCK, "a+b", buffering=0) as lock:
        if not _held(lock.fileno()):
            return  # another process works on it
        os.ftruncate(lock.fileno(), 0)
        os.write(lock.fileno(), f"{os.getpid()}".encode())
        try:
            os.unlink(QUEUE)
        except FileNotFoundError:
            return  # it waits no longer
        _print_into(LINES, 1)
        _print_into(ERRORS, 2)
        # A killed process may have left a part of a line.
        print("\n" + json.dumps({"event": "begun"}), flush=True)
        code = 0
        # The studio stops a run by this signal, even where it was itself told to ignore it.
        signal.signal(signal.SIGINT, signal.default_int_handler)
        try:
            main(told["arguments"])
        except SystemExit as end:
            code = end.code if isinstance(end.code, int) else 1
        except BaseException as error:
            code = 1
            print(json.dumps({"event": "error", "message": f"{type(error).__name__}: {error}"}))
            raise
        finally:
            print(json.dumps({"event": ENDED, "code": code}), flush=True)


def _held(lock: int) -> bool:
    """Takes the lock of the run, which the kernel frees when this process ends."""
    for _ in range(TRIES):
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return True
        time.sleep(BETWEEN)
    return False


def _print_into(path: str, descriptor: int) -> None:
    """Makes what is printed go to the end of a file."""
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
    os.dup2(file, descriptor)
    os.close(file)


if __name__ == "__main__":
    wait_for_a_run()
