"""Code that a run folder names runs only if the user trusts it."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import chdir, contextmanager
from pathlib import Path

from impasto.errors import ConfigError
from impasto.networks.user import file_of
from impasto.runs.origin import file_hash

logger = logging.getLogger(__name__)


def check_trusted(folder: Path, network: str, where: Path, trust: bool) -> None:
    """Checks whether the network of a run is code that the user trusts. It runs no code.

    Args:
        folder: the run folder.
        network: the name of the network.
        where: the folder that the run was started in.
        trust: whether the user trusts the code; if so, its file is logged.

    Raises:
        ConfigError: the network is code and `trust` is False, or another module of the same name
            is already loaded. The message names the file.
    """
    if ":" not in network:
        return
    file, module = file_of(network, where), network.partition(":")[0]
    code = f"{network} in {file}, SHA-256 {file_hash(file)}" if file else f"{network}, in no file"
    if not trust:
        raise ConfigError(
            subject=str(folder),
            expected="--trust, since the network of the run is code",
            found=code,
            remedy="look at that file, and pass --trust to run it",
        )
    loaded = getattr(sys.modules.get(module), "__file__", None)
    if file and loaded and not os.path.samefile(file, loaded):
        raise ConfigError(
            subject=str(folder),
            expected=f"the {module} of the run, {file}",
            found=f"another one that is in use, {loaded}",
            remedy="use a new process",
        )
    logger.warning("runs the network %s", code)


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """Changes the current folder for a block, without letting Python import modules from it.

    Where Python would import from the current folder, it imports from the previous one.
    """
    before = list(sys.path)
    sys.path[:] = [entry or os.getcwd() for entry in before]
    try:
        with chdir(folder):
            yield
    finally:
        sys.path[:] = before
