"""CSV files in and out: the text itself is the oracle."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from impasto.media import grid, save
from tests.media.memory import growth, on_linux
from tests.media.signals import loaded, signal, waves, with_gaps

LAYOUTS = {
    "commas": "time,II [mV],V5\n0.00,1.5,-2\n0.01,0.25,7\n0.02,,1e-05\n",
    "round brackets": "Time (s),II (mV),V5 (uV)\n0.00,1.5,-2\n0.01,0.25,7\n0.02,-1,0\n",
    "semicolons and commas": "t;II;V5\n0,00;1,5;-2\n0,01;0,25;7\n0,02;0;0\n",
    "tabs": "seconds\tII\tV5\n10.00\t1.5\t-2\n10.01\t0.25\t7\n10.02\t\t0\n",
    "milliseconds": "ms,II,V5\n0,1.5,-2\n10,0.25,7\n20,0,0\n",
    "milliseconds in brackets": "time [ms],II,V5\n0,1.5,-2\n10,0.25,7\n20,0,0\n",
    "time in the middle": "II [mV],time,V5\n1.5,0.00,-2\n0.25,0.01,7\n1,0.02,0\n",
    "a first column of equal steps": "clock,II,V5\n5.00,1.5,-2\n5.01,0.25,7\n5.02,0,0\n",
    "no names": "0.00,1.5,-2\n0.01,0.25,7\n0.02,0,0\n",
    "comments": "# recorded by hand\n# in 1999\ntime,II,V5\n0.00,1.5,-2\n0.01,0.25,7\n0.02,0,0\n",
    "windows": "time,II,V5\r\n0.00,1.5,-2\r\n0.01,0.25,7\r\n0.02,0,0\r\n",
    "quotes": 'time,"II, raw [mV]",V5\n0.00,1.5,-2\n0.01,0.25,7\n0.02,0,0\n',
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_both_ways(tmp_path: Path, layout: str) -> None:
    """The same bytes, in whatever layout."""
    path = tmp_path / "a.csv"
    path.write_bytes(LAYOUTS[layout].encode())
    sample = loaded(path)
    assert sample.rate == 100
    assert sample.data[:, :2].tolist() == [[1.5, 0.25], [-2, 7]]
    assert grid(path) == (2, (3,))
    if layout != "no names":
        assert sample.names[0] in ("II", "II, raw")
        assert sample.units[0] == ("mV" if "mV" in LAYOUTS[layout] else "")
    save(sample, tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_bytes() == path.read_bytes()
    save(sample, tmp_path / "b.csv", '{"seed": 1}')
    again = loaded(tmp_path / "b.csv")
    save(again, tmp_path / "b.csv", '{"seed": 2}')
    above = (tmp_path / "b.csv").read_text().count("# impasto: ")
    assert above == 1
    assert '# impasto: {"seed": 2}' in (tmp_path / "b.csv").read_text()


def test_blanks_and_a_byte_order_mark(tmp_path: Path) -> None:
    text = "\ufeff time , II [ mV ] \n\n 0 , 1 \n\n0.5, NaN\n 1 , 3\n\n"
    (tmp_path / "a.csv").write_text(text)
    sample = loaded(tmp_path / "a.csv")
    assert (sample.rate, sample.names, sample.units) == (2, ("II",), ("mV",))
    assert sample.data.tolist() == [[1, 2, 3]]
    assert sample.gaps is not None
    assert sample.gaps.tolist() == [[False, True, False]]


@settings(max_examples=60)
@given(
    rate=st.sampled_from([0.1, 1, 50, 128, 128.5, 250, 360, 1000, 22050, 44100, 1000 / 3]),
    length=st.integers(2, 3000),
    scale=st.sampled_from([1e-20, 1e-3, 1.0, 1e9]),
)
def test_any_signal(
    tmp_path_factory: pytest.TempPathFactory, rate: float, length: int, scale: float
) -> None:
    path = tmp_path_factory.mktemp("any") / "a.csv"
    sample = signal(rate=float(rate), data=waves(2, length) * np.float32(scale))
    save(sample, path)
    again = loaded(path)
    assert np.array_equal(again.data, sample.data)
    assert again.rate == pytest.approx(rate, rel=1e-7)
    if rate != 1000 / 3:
        assert again.rate == rate
    assert (again.names, again.units) == (sample.names, sample.units)


def test_times_that_were_rounded(tmp_path: Path) -> None:
    """360 Hz in whole milliseconds: steps of 2 and 3."""
    rows = [f"{n / 360:.3f},{n}" for n in range(3601)]
    (tmp_path / "a.csv").write_text("\n".join(["t,II", *rows, ""]))
    sample = loaded(tmp_path / "a.csv")
    assert sample.rate == 360
    save(sample, tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_text() == (tmp_path / "a.csv").read_text()
    save(sample.resampled(3600), tmp_path / "b.csv")
    assert loaded(tmp_path / "b.csv").rate == pytest.approx(3600)


def test_gaps_are_empty_fields(tmp_path: Path) -> None:
    sample = with_gaps()
    save(sample, tmp_path / "a.csv")
    again = loaded(tmp_path / "a.csv")
    assert again.gaps is not None
    assert sample.gaps is not None
    assert np.array_equal(again.gaps, sample.gaps)
    assert np.allclose(again.data, sample.data, atol=1e-6)
    assert "\n0.000000000,,0." in (tmp_path / "a.csv").read_text().replace(",-0.", ",0.")


def test_names_in_any_language(tmp_path: Path) -> None:
    for encoding in ("utf-8", "latin-1"):
        text = "time,größe [µV]\n0,1\n1,2\n".encode(encoding)
        (tmp_path / "a.csv").write_bytes(text)
        save(loaded(tmp_path / "a.csv"), tmp_path / "b.csv")
        assert (tmp_path / "b.csv").read_bytes() == text
    odd = replace(signal(1), names=('a "b",\nc',))
    save(odd, tmp_path / "c.csv")
    assert loaded(tmp_path / "c.csv").names == ('a "b", c',)


@on_linux
@pytest.mark.slow
def test_memory_beside_the_values(tmp_path: Path) -> None:
    save(signal(length=20_000), tmp_path / "small.csv")
    save(signal(length=500_000), tmp_path / "big.csv")
    assert growth(tmp_path, ".csv") < 60
