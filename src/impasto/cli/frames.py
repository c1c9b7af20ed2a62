"""Keep small pictures of G during a run: what a page shows, and the frames of a film."""

from __future__ import annotations

import math
import os
import re
import time
from collections.abc import Callable
from pathlib import Path

import torch

from impasto import media
from impasto.errors import ConfigError, OutputError
from impasto.grids.parallel import Group
from impasto.media.files import as_output_error
from impasto.media.looks import as_picture
from impasto.media.pictures.picture import fit_picture
from impasto.transfer.descent import Progress

SIDE = 768
"""The longest side of a frame in pixels."""

EVERY = 0.5
"""The least seconds between two frames."""

SHARE = 0.01
"""Frames take at most this share of a run's time; the next one waits for as long as it needs."""

_NAME = re.compile(r"step\d{6,}\.jpg")


class Frames:
    """Keeps frames of a run in a folder. Once one cannot be written, there are no more.

    Args:
        folder: the folder, which is made if there is none.
        group: the processes that share the sample: they join it for a frame, the first one writes.
        warn: is called with a warning.

    Raises:
        OutputError: the folder cannot be made.
    """

    def __init__(self, folder: Path, group: Group, warn: Callable[[str], None]) -> None:
        self.folder, self.group, self.warn, self.next = folder, group, warn, 0.0
        if group.rank == 0:
            with as_output_error(folder / "step000001.jpg"):
                folder.mkdir(parents=True, exist_ok=True)

    def step(self, progress: Progress) -> None:
        """Keeps a frame of this step, if it is time for one."""
        now = time.monotonic()
        due = self.group.rank == 0 and now >= self.next and len(progress.space) > 1
        if not self.group.total(torch.tensor([float(due)])):
            return
        sample = progress.sample()
        if not due:
            return
        picture = as_picture(sample)
        if max(picture.space) > SIDE:
            picture = fit_picture(picture, (SIDE,))
        try:
            media.save(picture, self.folder / f"step{progress.step:06d}.jpg")
        except OutputError as error:  # the run goes on: there may be space for the result
            self.next = math.inf
            self.warn(f"{error}; there are no more frames")
        else:
            self.next = now + max(EVERY, (time.monotonic() - now) / SHARE)


def check_frames(folder: Path) -> None:
    """Checks that a folder holds nothing but frames.

    Raises:
        ConfigError: there is another file in it, or it is no folder.
    """
    try:
        strange = [name for name in os.listdir(folder) if not _NAME.fullmatch(name)]
    except FileNotFoundError:
        return
    except OSError as error:
        strange = [error.strerror or str(error)]
    if strange:
        raise ConfigError(
            subject="--frames",
            expected="a new folder, or one that holds frames only",
            found=f"{folder}, with {strange[0]}",
            remedy="choose another folder",
        )
