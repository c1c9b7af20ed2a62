"""Whole runs on the test device, as cases.py describes them."""

from __future__ import annotations

import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.device.easel import PATH, TOOLS

CASES = Path(__file__).with_name("cases.py")


@pytest.mark.slow
@pytest.mark.timeout(900)  # the device is compiled first, once for each machine
def test_runs_on_the_test_device() -> None:
    for tool in TOOLS:
        if shutil.which(tool, path=PATH) is None:
            pytest.skip(f"the test device needs {tool}, which this machine does not have")
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", str(CASES)]
    root = Path(__file__).resolve().parents[2]
    run = subprocess.run(command, capture_output=True, text=True, cwd=root)
    assert run.returncode == 0, run.stdout[-8000:] + run.stderr[-2000:]
    assert " passed" in run.stdout
