"""Open the folder of a run, and plan with the memory that the run began with."""

from __future__ import annotations

import logging
from contextlib import ExitStack
from dataclasses import asdict
from pathlib import Path

from impasto.runs.checkpoints import Checkpoint
from impasto.runs.folder import RunFolder, check_no_strangers
from impasto.runs.holding import hold
from impasto.runs.origin import Origin, file_hash, fingerprint, settings_files
from impasto.transfer.descent import Scales
from impasto.transfer.setup import Setup
from impasto.version import __version__

logger = logging.getLogger(__name__)

HOW = ("device", "memory", "threads", "checkpoint_every")
"""Settings that do not change the result: a run may be resumed with other values of them."""


def run_folder(
    run: str | Path | None, origin: Origin, setup: Setup, ending: ExitStack
) -> RunFolder | None:
    """Opens the run folder, or returns None if `run` is None.

    The folder is locked for this run until `ending` closes.
    """
    if run is None:
        return None
    check_no_strangers(Path(run))
    ending.enter_context(hold(Path(run), setup.group))
    files = settings_files(setup.config)
    config = asdict(setup.config)
    for name in HOW:
        del config["engine"][name]
    identity = {
        "impasto": __version__,
        "config": config,
        "content": fingerprint(setup.given),
        "styles": [fingerprint(style.sample) for style in setup.styles],
        "shares": [guide.share for guide in setup.guides],
        "files": {role: file_hash(path) for role, path in files.items()},
        "processes": setup.group.size,
    }
    every = setup.config.engine.checkpoint_every
    return RunFolder(Path(run), origin, identity, setup.group, every)


def memory_to_plan(setup: Setup, resumed: Checkpoint, scales: Scales) -> float:
    """Returns the bytes of memory that a resumed run plans with.

    Tiles depend on the memory, and the last bits of the result depend on the tiles. So the run
    plans with the memory that it began with, unless much less is free now.
    """
    logger.info("going on after step %d of %d", resumed.step, sum(count for _, count in scales))
    memory, device = setup.memory, resumed.scalars.get("device", "cpu")
    if device != str(setup.device):
        logger.info("going on on %s, after %s: the last bits may differ", setup.device, device)
        return memory
    before: float = resumed.scalars["memory"]
    if 0.8 * before <= memory:
        return before
    logger.info("less memory is free than when the run began: the last bits may differ")
    return memory
