from __future__ import annotations

import errno
import gc
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from impasto.config.presets import configure
from impasto.errors import MemoryLimitError
from impasto.grids.arrays import Arrays
from impasto.media.sample import Sample
from impasto.transfer import stylize as transfer
from impasto.transfer.stylize import stylize

MANY = (1, 3, 800, 400)
BYTES = 3 * 800 * 400 * 4


def test_memory_is_taken_and_given_back(tmp_path: Path) -> None:
    pool = Arrays(2.5 * BYTES, tmp_path)
    first = pool.new(MANY, torch.float32)
    second = pool.new(MANY, torch.float32)
    assert pool.room == pytest.approx(0.5 * BYTES)
    view = first[:, 1:]
    del first
    gc.collect()
    assert pool.room == pytest.approx(0.5 * BYTES)
    del view, second
    gc.collect()
    assert pool.room == pytest.approx(2.5 * BYTES)


def test_beyond_its_room_an_array_is_in_a_file_that_nobody_sees(tmp_path: Path) -> None:
    pool = Arrays(0, tmp_path)
    values = torch.rand(MANY).to(torch.bfloat16)
    array = pool.new(MANY, torch.bfloat16)
    array.copy_(values)
    assert torch.equal(array, values)
    assert f"{tmp_path}/impasto-" in Path("/proc/self/maps").read_text()
    assert list(tmp_path.iterdir()) == []
    assert pool.numpy(MANY).dtype == np.float32


def test_small_arrays_stay_in_memory(tmp_path: Path) -> None:
    Arrays(0, tmp_path).new((10, 10), torch.float64).zero_()
    assert f"{tmp_path}/impasto-" not in Path("/proc/self/maps").read_text()


def test_a_full_disk_is_told_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    with pytest.raises(MemoryLimitError, match=r"[GM]B of disk.*No space left.*TMPDIR"):
        Arrays(0, tmp_path).new(MANY, torch.float32)
    assert list(tmp_path.iterdir()) == []


def test_a_run_in_files_gives_the_same_bytes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TMPDIR", str(tmp_path))
    monkeypatch.setattr("tempfile.tempdir", None)
    monkeypatch.setattr(Arrays, "SMALL", 0)
    random = np.random.default_rng(0)
    content, style = (Sample(random.random((1, n), np.float32)) for n in (1500, 1000))
    config = configure(coarsest=700, steps=(3, 2))
    expected = stylize(content, style, config).numpy()
    monkeypatch.setattr(transfer, "FOR_ARRAYS", 0.0)
    mapped = []
    result = stylize(
        content,
        style,
        config,
        callback=lambda _: mapped.append(
            f"{tmp_path}/impasto-" in Path("/proc/self/maps").read_text()
        ),
    )
    assert all(mapped)
    np.testing.assert_array_equal(result.numpy(), expected)
