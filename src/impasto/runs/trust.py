"""What a run's folder names that is code: it runs only where the user says so."""

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
    """Raises ConfigError where the network of a run is code that the user does not trust; nothing
    of it is run, and the error says which file it is. What is trusted is logged.

    folder: of the run. network: its name. where: the folder that the run was started in.
    """
    if ":" not in network:
        return
    file, module = file_of(network, where), network.partition(":")[0]
    found = f"{network} in {file}, SHA-256 {file_hash(file)}" if file else f"{network}, in no file"
    if not trust:
        raise ConfigError(
            subject=str(folder),
            expected="--trust, since the network of the run is code",
            found=found,
            remedy="look at that file, and pass --trust to run it",
        )
    loaded = getattr(sys.modules.get(module), "__file__", None)
    if file and loaded and not os.path.samefile(file, loaded):
        raise ConfigError(
            subject=str(folder),
            expected=f"the {module} of the run, {file}",
            found=f"another one that is in use, {loaded}",
            remedy="do it in a process of its own",
        )
    logger.warning("runs the network %s", found)


@contextmanager
def working_in(folder: Path) -> Iterator[None]:
    """In that folder, but Python looks for no module there: where it would in the current folder,
    it does in the one before."""
    before = list(sys.path)
    sys.path[:] = [entry or os.getcwd() for entry in before]
    try:
        with chdir(folder):
            yield
    finally:
        sys.path[:] = before
