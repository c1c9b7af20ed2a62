"""A control group that ends what takes more memory than its limit: runs hold under it."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from impasto import media
from impasto.media.pictures.picture import from_array

LIMIT = 700 * 10**6

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def group() -> Iterator[Path]:
    """The processes file of a control group of LIMIT bytes, of either version."""
    name = f"impasto-test-{os.getpid()}"
    for root, limit in (("memory", "memory.limit_in_bytes"), (".", "memory.max")):
        folder = Path("/sys/fs/cgroup") / root / name
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            (folder / limit).write_text(str(LIMIT))
            yield folder / "cgroup.procs"
            return
        except OSError:
            continue
        finally:
            folder.rmdir()
    pytest.skip("control groups of memory cannot be made here")


@pytest.fixture(scope="module")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    generator = np.random.default_rng(0)
    for name, side in (("content", 1200), ("style", 400)):
        values = generator.integers(0, 255, (side, side, 3), np.uint8)
        media.save(from_array(values), folder / f"{name}.png")
    return folder


@pytest.mark.parametrize("memory", ["auto", f"{LIMIT}"])
def test_a_run_is_not_ended_by_the_limit(memory: str, group: Path, pictures: Path) -> None:
    """What a picture of 1200 x 1200 takes without a limit is twice as much."""
    inputs = f"{pictures}/content.png {pictures}/style.png -o {pictures}/{memory}.png"
    settings = f"--size 0 --coarsest 0 --steps 1 --threads 1 --memory {memory} -q"
    command = f"echo $$ > {group} && exec {sys.executable} -m impasto stylize {inputs} {settings}"
    run = subprocess.run(["sh", "-c", command], capture_output=True, text=True)
    assert (run.returncode, run.stderr) == (0, "")
    assert media.grid(pictures / f"{memory}.png")[1] == (1200, 1200)
