"""Which device a run takes, and where arrays go. The cases on a device are in tests/device."""

from __future__ import annotations

import logging
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from impasto.config.presets import configure
from impasto.errors import ConfigError
from impasto.grids.arrays import Arrays
from impasto.grids.parallel import Ranks
from impasto.media.sample import Sample
from impasto.system import devices
from impasto.system.devices import (
    CPU,
    choose_device,
    device_of_rank,
    device_room,
    has_bfloat16,
    home_of_sums,
    repeatable,
    tell_device,
)


def fake_cuda(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    """Lets PyTorch seem to see some CUDA devices."""
    module = SimpleNamespace(
        is_available=lambda: count > 0,
        device_count=lambda: count,
        get_device_name=lambda device: "a card",
        mem_get_info=lambda device: (6e9, 8e9),
        memory_reserved=lambda device: 2e9,
        memory_allocated=lambda device: 5e8,
    )
    accelerator = SimpleNamespace(
        is_available=lambda: count > 0, current_accelerator=lambda: torch.device("cuda")
    )
    monkeypatch.setattr(torch, "get_device_module", lambda device: module)
    monkeypatch.setattr(torch, "accelerator", accelerator)


def test_auto_is_the_cpu_without_an_accelerator(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fake_cuda(monkeypatch, 0)
    caplog.set_level(logging.INFO)
    assert choose_device("auto") == choose_device("cpu") == CPU
    tell_device("cpu", CPU)
    assert not caplog.text
    tell_device("auto", CPU)
    assert "computing on cpu: PyTorch" in caplog.text
    assert "sees no accelerator" in caplog.text


def test_auto_takes_an_accelerator(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fake_cuda(monkeypatch, 2)
    caplog.set_level(logging.INFO)
    assert choose_device("auto") == torch.device("cuda:0")
    tell_device("auto", torch.device("cuda:0"))
    assert "computing on cuda:0: a card" in caplog.text
    assert choose_device("cuda:1") == torch.device("cuda:1")
    with pytest.raises(ConfigError, match=r"--device: .*found 2 of them"):
        choose_device("cuda:2")


def test_each_process_takes_its_own(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    fake_cuda(monkeypatch, 2)
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "2")
    monkeypatch.setenv("LOCAL_RANK", "1")
    assert choose_device("auto") == choose_device("cuda") == torch.device("cuda:1")
    assert device_of_rank("cuda") == torch.device("cuda:1")
    monkeypatch.setenv("LOCAL_WORLD_SIZE", "3")
    caplog.set_level(logging.INFO)
    assert choose_device("auto") == CPU
    tell_device("auto", CPU)
    assert device_of_rank("cuda") is None
    assert "more processes than devices (2 of cuda)" in caplog.text


@pytest.mark.parametrize("setting", ["cuda:99", "spoon", "xpu", ""])
def test_a_device_that_is_not_there(setting: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ConfigError, match="--device: expected auto, cpu or a device"):
        choose_device(setting)


def test_the_room_of_a_device(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is free, and what the caching allocator keeps; no more than the limit leaves."""
    fake_cuda(monkeypatch, 1)
    device = torch.device("cuda:0")
    assert device_room(device, "auto") == pytest.approx(devices.USABLE * 7.5e9)
    assert device_room(device, "4GB") == pytest.approx(3.5e9)


def test_what_devices_have(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (7, 5))
    assert not has_bfloat16(torch.device("cuda:0"))
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda device: (8, 0))
    assert has_bfloat16(torch.device("cuda:0"))
    assert home_of_sums(torch.device("mps")) == CPU
    assert home_of_sums(torch.device("cuda:0")) == torch.device("cuda:0")


def test_settings_of_pytorch_come_back() -> None:
    def state() -> tuple[Any, ...]:
        return (
            torch.are_deterministic_algorithms_enabled(),
            torch.backends.cuda.matmul.allow_tf32,
            torch.backends.cudnn.allow_tf32,
            torch.backends.cudnn.benchmark,
        )

    before = state()
    with repeatable(torch.device("cuda:0")):
        assert state() == (True, False, False, False)
    with repeatable(torch.device("cuda:0"), tf32=True):
        assert state() == (True, True, True, False)
    with repeatable(CPU):
        assert state() == before
    assert state() == before


def test_arrays_leave_a_full_device() -> None:
    """The meta device stands for one of 5 MB."""
    arrays = Arrays(1e9, device=torch.device("meta"), device_room=5e6)
    first = arrays.new((1, 1, 1000, 1000), torch.float32)
    second = arrays.new((1, 1, 1000, 1000), torch.float32)
    assert (first.device.type, second.device.type) == ("meta", "cpu")
    assert arrays.new((1, 1, 10), torch.float32).device.type == "meta"
    assert arrays.numpy((3, 5)).shape == (3, 5)
    del first
    assert arrays.new((1, 1, 1000, 1000), torch.float32).device.type == "meta"


def test_small_totals_travel_where_the_processes_talk(monkeypatch: pytest.MonkeyPatch) -> None:
    """With NCCL they have to be on the process's device; here gloo would get them on the CPU."""
    seen: list[torch.device] = []
    monkeypatch.setattr(torch.distributed, "all_reduce", lambda total: seen.append(total.device))
    ranks = Ranks(0, 2, wire=torch.device("meta"))
    assert ranks.total(torch.ones(3, device="meta")).device.type == "meta"
    assert Ranks(0, 2).total(torch.ones(3)).tolist() == [1, 1, 1]
    assert [device.type for device in seen] == ["meta", "cpu"]


def test_the_setting_is_checked_before_work_starts() -> None:

    from impasto import stylize

    sample = Sample(np.sin(np.arange(100) / 15, dtype=np.float32)[None])
    with pytest.raises(ConfigError, match="--device"):
        stylize(sample, sample, configure(device="spoon"))
