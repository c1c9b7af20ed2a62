"""Starts modules at once which take seconds to load: in forks of a process that has loaded them.

A studio starts a process for each run and each upload, and one that paints. Where tests start
dozens of them, most of their time would be the import of PyTorch. There, `sys.executable` of the
studio is a script that hands its streams to this process, which forks; the script ends when the
fork does.
"""

from __future__ import annotations

import contextlib
import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import tempfile
import traceback
from collections.abc import Iterator, Sequence
from pathlib import Path

LOADED = ("impasto.cli.waiting", "impasto.studio.painter", "impasto.studio.decoding")
DRAWING = ("impasto.studio.drawing", "matplotlib.figure", "matplotlib.backends.backend_agg")
"""What decoding loads where there is something to draw."""

SCRIPT = """#!{python} -IS
import json, os, socket, sys
if sys.argv[1:2] != ["-m"] or sys.argv[2] not in {loaded}:
    os.execv({python!r}, [{python!r}, *sys.argv[1:]])
_, _, module, *given = sys.argv
told = dict(module=module, given=given, folder=os.getcwd(), environment=dict(os.environ))
with socket.socket(socket.AF_UNIX) as link:
    link.connect({address!r})
    socket.send_fds(link, [json.dumps(told).encode()], [0, 1, 2])
    for stream in (0, 1, 2):
        os.close(stream)
    os._exit(link.recv(1)[0])
"""


@contextlib.contextmanager
def quick_python(folder: Path) -> Iterator[Path]:
    """What a studio takes for Python, for a block."""
    script, address = folder / "python", str(folder / "zygote")
    script.write_text(SCRIPT.format(python=sys.executable, loaded=LOADED, address=address))
    script.chmod(0o755)
    command = [sys.executable, "-m", "tests.studio.zygote", address]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as zygote:
        assert zygote.stdout is not None
        assert zygote.stdout.readline() == b"ready\n"
        yield script
        zygote.kill()


def serve(address: str) -> None:
    """Forks for ever, for whoever connects."""
    for name in LOADED:
        importlib.import_module(name)
        del sys.modules[name]  # in a fork it is the main module
    for name in DRAWING:
        importlib.import_module(name)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # those that keep forks need not be waited for
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(address)
        listener.listen(64)
        print("ready", flush=True)
        while True:
            link, _ = listener.accept()
            if not os.fork():
                listener.close()
                keep(link)
            link.close()


def keep(link: socket.socket) -> None:
    """Forks, and tells how that one ended; who kills the script kills the fork."""
    told, streams, _, _ = socket.recv_fds(link, 1 << 20, 3)
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    if child := os.fork():
        for stream in (*streams, 0, 1, 2):
            os.close(stream)
        ended = os.pidfd_open(child)
        ready, _, _ = select.select([ended, link.fileno()], [], [])
        if ended not in ready:
            os.kill(child, signal.SIGKILL)
        _, status = os.waitpid(child, 0)
        with contextlib.suppress(OSError):
            link.send(bytes([os.waitstatus_to_exitcode(status) % 256]))
        os._exit(0)
    link.close()
    os._exit(work(streams, **json.loads(told)))


def work(
    streams: Sequence[int],
    module: str,
    given: Sequence[str],
    folder: str,
    environment: dict[str, str],
) -> int:
    """Runs the module with other streams, and returns the exit code."""
    sys.argv[1:] = given
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    os.chdir(folder)
    os.environ.clear()
    os.environ.update(environment)
    tempfile.tempdir = None  # it may be another one there
    sys.stdin = open(0, closefd=False)  # noqa: SIM115
    sys.stdout = open(1, "w", closefd=False)  # noqa: SIM115
    try:
        runpy.run_module(module, run_name="__main__", alter_sys=True)
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else 1
    except BaseException:
        traceback.print_exc()
        return 1
    finally:
        sys.stdout.flush()
    return 0


if __name__ == "__main__":
    serve(sys.argv[1])
