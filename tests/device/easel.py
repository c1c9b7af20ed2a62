"""The test device: PyTorch's PrivateUse1, compiled once from easel.cpp."""

from __future__ import annotations

import hashlib
import os
import shutil
import sys
import time
from functools import cache
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import platformdirs
import pytest
import torch

SOURCE = Path(__file__).with_suffix(".cpp")

TOOLS = ("c++", "ninja")
"""The programs that compile the device."""

PATH = os.pathsep.join([os.environ.get("PATH", ""), str(Path(sys.executable).parent)])
"""Where they are; the package ninja puts its program beside Python's."""

present = False
"""Whether PyTorch's module for the device says that it is there; "auto" takes it then."""


LONGEST = 200.0
"""Seconds that compiling takes at most."""


@cache
def operations() -> Any:
    """Compiles the device, once for each source and PyTorch, and registers it.

    Skips the test where there is no compiler.
    """
    for tool in TOOLS:
        if shutil.which(tool, path=PATH) is None:
            pytest.skip(f"the test device needs {tool}, which this machine does not have")
    from torch.utils.cpp_extension import load

    os.environ["PATH"] = PATH

    key = hashlib.sha256(SOURCE.read_bytes() + torch.__version__.encode()).hexdigest()[:16]
    folder = platformdirs.user_cache_path("impasto-tests") / f"easel-{key}"
    folder.mkdir(parents=True, exist_ok=True)
    lock = folder / "lock"  # a compiler that was killed leaves it, and all others wait for ever
    if lock.exists() and time.time() - lock.stat().st_mtime > LONGEST:
        lock.unlink()
    registration: Any = torch.utils.backend_registration
    registration.rename_privateuse1_backend("easel")
    load(
        "easel",
        [str(SOURCE)],
        build_directory=str(folder),
        extra_cflags=["-O1"],
        is_python_module=False,
    )
    torch._register_device_module("easel", _module())  # type: ignore[no-untyped-call]
    registration.generate_methods_for_privateuse1_backend()
    return torch.ops.easel


def _module() -> Any:
    """Returns what PyTorch takes for `torch.easel`."""
    ops: Any = torch.ops.easel
    return SimpleNamespace(
        is_available=lambda: present,
        device_count=lambda: 1,
        current_device=lambda: 0,
        set_device=lambda device: None,
        is_initialized=lambda: True,
        _is_in_bad_fork=lambda: False,
        manual_seed_all=lambda seed: None,
        get_amp_supported_dtype=lambda: [torch.bfloat16],
        get_device_name=lambda device=None: "an easel",
        max_memory_allocated=lambda device=None: ops.peak(),
        reset_peak_memory_stats=lambda device=None: ops.limit(ops.total()),
        mem_get_info=lambda device=None: (ops.total() - ops.taken(), ops.total()),
    )
