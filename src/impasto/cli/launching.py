"""`--devices`: the same command in several processes, which share the sample."""

from __future__ import annotations

import logging
import os
from collections.abc import Sequence
from typing import Any, NoReturn

from impasto.cli.arguments import Stylize, Texture
from impasto.cli.piped import is_piped
from impasto.errors import ConfigError
from impasto.system.machine import cores

SHARED = "WORLD_SIZE"
"""The variable that torchrun sets in the processes that it starts."""


def launches(devices: int) -> bool:
    """Whether this process has to start others for a command with this `--devices`."""
    return devices > 1 and SHARED not in os.environ


def launch(devices: int, arguments: Sequence[str]) -> NoReturn:
    """Runs the command in one process for each device, and exits as the first of them that fails.

    PyTorch's own launcher starts them, passes signals on to them and waits for them.

    Args:
        devices: the number of processes.
        arguments: the command as typed after `impasto`.
    """
    from torch.distributed import run
    from torch.distributed.elastic.multiprocessing.api import SignalException
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError

    # Each process tells what is wrong with its arguments in a line of its own.
    logging.getLogger("torch.distributed.elastic").setLevel(logging.CRITICAL)
    # Else the launcher gives each process one thread and says so.
    os.environ.setdefault("OMP_NUM_THREADS", str(max(1, int(cores() / devices))))
    processes = f"--nproc-per-node={devices}"
    launcher: Any = run
    try:
        launcher.main(["--standalone", processes, "-m", "--", "impasto", *arguments])
    except ChildFailedError as error:
        raise SystemExit(error.get_first_failure()[1].exitcode) from None
    except SignalException as error:
        raise SystemExit(128 + error.sigval) from None
    raise SystemExit(0)


def check_launch(command: Stylize | Texture) -> None:
    """Raises ConfigError where several processes cannot share what a command reads or writes."""
    if is_piped(command):
        raise ConfigError(
            subject="--devices",
            expected="files, which several processes can read",
            found="standard input or output",
            remedy="name files, or leave out --devices",
        )
