"""NPZ archives in and out: NumPy is the oracle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from impasto.media import grid, load, save
from tests.media.memory import growth, on_linux
from tests.media.signals import loaded, signal, waves, with_gaps


@pytest.mark.parametrize("dtype", ["<f4", "<f8", "<f2", ">f4", "<i2", "|u1"])
@pytest.mark.parametrize("fortran", [False, True])
@pytest.mark.parametrize("packed", [np.savez, np.savez_compressed])
def test_both_ways(tmp_path: Path, dtype: str, fortran: bool, packed: object) -> None:
    values = (waves(3, 100_000).T * 100).astype(dtype)
    stored = np.asfortranarray(values) if fortran else values
    names, units = ["I", "II", "V"], ["mV", "uV", ""]
    assert callable(packed)
    packed(tmp_path / "a.npz", signal=stored, fs=np.float32(128.5), names=names, units=units)
    sample = loaded(tmp_path / "a.npz")
    assert np.array_equal(sample.data, values.T.astype(np.float32))
    assert (sample.rate, sample.names, sample.units) == (128.5, tuple(names), tuple(units))
    assert grid(tmp_path / "a.npz") == (3, (100_000,))
    save(sample, tmp_path / "b.npz", "how")
    with np.load(tmp_path / "b.npz") as again:
        assert again["signal"].dtype == (dtype if values.dtype.kind == "f" else np.float32)
        assert np.array_equal(again["signal"], values)
        assert again["fs"] == 128.5
        assert again["names"].tolist() == names
        assert again["units"].tolist() == units
        assert again["impasto"] == "how"


def test_bare_archives(tmp_path: Path) -> None:
    np.savez(tmp_path / "a.npz", signal=np.arange(9), fs=[250])
    sample = loaded(tmp_path / "a.npz")
    assert (sample.data.tolist(), sample.rate) == ([list(range(9))], 250)
    assert (sample.names, sample.units) == (("1",), ("",))


def test_gaps_are_nan(tmp_path: Path) -> None:
    sample = with_gaps()
    assert sample.gaps is not None
    save(sample, tmp_path / "a.npz")
    with np.load(tmp_path / "a.npz") as stored:
        assert np.array_equal(np.isnan(stored["signal"]), sample.gaps.T)
    again = loaded(tmp_path / "a.npz")
    assert again.gaps is not None
    assert np.array_equal(again.gaps, sample.gaps)
    assert np.allclose(again.data, sample.data, atol=1e-7)


def test_real_archives(shared: Path, tmp_path: Path) -> None:
    for name in ("ptb_s0010_re", "challenge2015_a103l"):
        path = shared / "signals" / f"{name}.npz"
        save(load(path), tmp_path / "a.npz")
        with np.load(path) as before, np.load(tmp_path / "a.npz") as after:
            for key in ("signal", "fs", "names", "units"):
                assert np.array_equal(before[key], after[key])


@on_linux
@pytest.mark.slow
def test_memory_beside_the_values(tmp_path: Path) -> None:
    """10 million positions of two channels, 76 MB as floats: at most four times that."""
    save(signal(length=20_000), tmp_path / "small.npz")
    save(signal(data=np.tile(waves(2, 10_000), 1000)), tmp_path / "big.npz")
    assert growth(tmp_path, ".npz") < 300
