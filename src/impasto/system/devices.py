"""The device that a run computes on: the processor, or an accelerator that PyTorch sees."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch

from impasto.errors import ConfigError
from impasto.system.machine import bytes_of

logger = logging.getLogger(__name__)

CPU = torch.device("cpu")
"""The processor and its memory."""

WITHOUT_FLOAT64 = {"mps"}
"""Kinds of devices that have no float64, and on which not every resampling works."""

USABLE = 0.9
"""The part of an accelerator's free memory that a run plans with. PyTorch's caching allocator loses
some of the rest between blocks of different sizes."""


def choose_device(setting: str) -> torch.device:
    """Returns the device that a run computes on.

    If torchrun started several processes, each one takes the accelerator of its own number.

    Args:
        setting: "auto", "cpu", or a device as PyTorch names it, such as "cuda", "cuda:1", "mps" or
            "xpu". "auto" is an accelerator where PyTorch sees one for each process, else the CPU.

    Raises:
        ConfigError: PyTorch does not know the device or does not see it.

    Example:
        >>> choose_device("cpu")
        device(type='cpu')
    """
    if setting == "auto":
        return _best()[0]
    try:
        named = torch.device(setting)
    except RuntimeError:
        raise _no_device(setting, "no device that PyTorch knows") from None
    if named.type == "cpu":
        return CPU
    count = _count(named.type)
    if not count:
        raise _no_device(setting, f"that PyTorch {torch.__version__} sees no such device")
    index = _own_number() if named.index is None else named.index
    if index >= count:
        raise _no_device(setting, f"{count} of them, counted from 0")
    return torch.device(named.type, index)


def tell_device(setting: str, device: torch.device) -> None:
    """Logs which device a run computes on, and why.

    There is nothing to tell a user who chose the CPU, or whose PyTorch is made for the CPU alone;
    then the reason is at the level DEBUG.
    """
    if setting == "auto":
        level = logging.INFO if device.type != "cpu" or _made_for_accelerators() else logging.DEBUG
        logger.log(level, "computing on %s: %s", device, _best()[1])
    elif device.type != "cpu":
        logger.info("computing on %s: %s", device, name_of(device))


def device_of_rank(kind: str) -> torch.device | None:
    """Returns the device of this process's number; None if there is not one for each process.

    Args:
        kind: the kind of device, such as "cuda".
    """
    enough = _count(kind) >= int(os.environ.get("LOCAL_WORLD_SIZE", "1"))
    return torch.device(kind, _own_number()) if enough else None


def name_of(device: torch.device) -> str:
    """Returns what the maker calls the device, or PyTorch's name for it."""
    get_name = getattr(_module(device), "get_device_name", None)
    return str(get_name(device)) if get_name and device.type != "cpu" else str(device)


def device_room(device: torch.device, setting: str) -> float:
    """Returns the bytes that this process may still take of an accelerator's memory.

    Args:
        device: the accelerator.
        setting: what the process may hold there, such as "8GB"; or "auto" for nine tenths of what
            is free.
    """
    module = _module(device)
    taken = float(module.memory_allocated(device)) if hasattr(module, "memory_allocated") else 0.0
    if device.type == "mps":
        taken = float(module.current_allocated_memory())
        free = float(module.recommended_max_memory()) - float(module.driver_allocated_memory())
        held = float(module.driver_allocated_memory())
    else:
        free = float(module.mem_get_info(device)[0])
        held = float(module.memory_reserved(device)) if hasattr(module, "memory_reserved") else 0.0
    free += max(0.0, held - taken)  # blocks that the caching allocator keeps, but nobody uses
    room = USABLE * free
    limit = bytes_of(setting)
    return room if limit is None else min(room, limit - taken)


def free_cache(device: torch.device) -> None:
    """Returns the blocks that the caching allocator keeps to the device."""
    empty = getattr(_module(device), "empty_cache", None)
    if empty and device.type != "cpu":
        empty()


def home_of_sums(device: torch.device) -> torch.device:
    """Returns where sums in float64 are added up: the device, or the CPU if it has no float64."""
    return CPU if device.type in WITHOUT_FLOAT64 else device


def has_bfloat16(device: torch.device) -> bool:
    """Whether the device computes convolutions faster in bfloat16 than in float32."""
    if device.type == "cuda":
        return bool(torch.cuda.get_device_capability(device) >= (8, 0))
    if device.type != "cpu":
        return False
    capabilities: dict[str, Any] = getattr(torch.cpu, "get_capabilities", dict)()
    return bool(capabilities.get("avx512_bf16"))


@contextmanager
def repeatable(device: torch.device, *, tf32: bool = False) -> Iterator[None]:
    """Lets an accelerator compute the same numbers each time, inside the `with` block.

    The CPU does so anyway. Operations that have no such variant warn and go on.

    Args:
        device: the device.
        tf32: whether products in float32 may be rounded to 10 bits of mantissa, which is faster on
            NVIDIA's devices.
    """
    if device.type == "cpu":
        yield
        return
    os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")
    cuda, cudnn = torch.backends.cuda.matmul, torch.backends.cudnn
    filling: Any = torch.utils.deterministic
    before = (
        torch.are_deterministic_algorithms_enabled(),
        torch.is_deterministic_algorithms_warn_only_enabled(),
        filling.fill_uninitialized_memory,
        cuda.allow_tf32,
        cudnn.allow_tf32,
        cudnn.benchmark,
    )
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Every array of ours is written before it is read, so filling it first would only cost time.
    filling.fill_uninitialized_memory = False
    cuda.allow_tf32 = cudnn.allow_tf32 = tf32
    cudnn.benchmark = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before[0], warn_only=before[1])
        filling.fill_uninitialized_memory = before[2]
        cuda.allow_tf32, cudnn.allow_tf32, cudnn.benchmark = before[3:]


def _best() -> tuple[torch.device, str]:
    """Returns the device that "auto" takes, and in a few words why."""
    kind = torch.accelerator.current_accelerator() if torch.accelerator.is_available() else None
    if kind is None:
        return CPU, f"PyTorch {torch.__version__} sees no accelerator"
    device = device_of_rank(kind.type)
    if device is None:
        return CPU, f"there are more processes than devices ({_count(kind.type)} of {kind.type})"
    return device, name_of(device)


def _made_for_accelerators() -> bool:
    """Whether this build of PyTorch can compute on anything but the CPU."""
    return torch.accelerator.current_accelerator() is not None


def _own_number() -> int:
    """Returns the number of this process on this machine, from 0."""
    return int(os.environ.get("LOCAL_RANK", "0"))


def _count(kind: str) -> int:
    """Returns how many devices of a kind PyTorch sees."""
    try:
        module = torch.get_device_module(kind)
    except RuntimeError:
        return 0
    if not (hasattr(module, "is_available") and module.is_available()):
        return 0
    return int(module.device_count())


def _module(device: torch.device) -> Any:
    """Returns PyTorch's module for devices of a kind, such as torch.cuda."""
    return torch.get_device_module(device)


def _no_device(setting: str, found: str) -> ConfigError:
    """Returns the error for a device that is not there."""
    return ConfigError(
        subject="--device",
        expected=f"auto, cpu or a device of this machine for {setting!r}",
        found=found,
        remedy="pass --device auto, or install a build of PyTorch for the device",
    )
