"""Tables of watches and apps: keys above, the rate in words, and no column of time."""

from __future__ import annotations

from pathlib import Path

import pytest

from impasto.errors import SampleError
from impasto.media import grid, load, save
from tests.media.signals import loaded

APPLE = """Name,Jane Doe
Date of Birth,"Jan 1, 1970"
Recorded Date,2019-01-05 12:00:11 +0100
Classification,Sinus Rhythm
Symptoms,
Software Version,1.82
Device,"Watch4,2"
Sample Rate,512 hertz

Lead,Lead I
Unit,µV

"""
LAYOUTS = {
    "watch": APPLE + "-61.298\n12\n0.5\n",
    "windows": (APPLE + "-61.298\n12\n0.5\n").replace("\n", "\r\n"),
    "commas at the end": APPLE + "-61.298,\n12,\n0.5,\n",
    "decimal commas": APPLE + '"-61,298"\n12\n"0,5"\n',
    "semicolons": APPLE.replace(",", ";").replace("512 hertz", "512,0 Hertz")
    + "-61,298\n12\n0,5\n",
    "one line": "Sample Rate,512 hertz\n\n-61.298\n12\n0.5\n",
    "one column and its name": "Recorded,2020\nSampling rate: 512 Hz\nI [µV]\n-61.298\n12\n0.5\n",
    "a key without a unit": "Recorded,2020\nSampling frequency,512\n\n-61.298\n12\n0.5\n",
    "several columns": "Device,X1\nRate,0.512 kHz\nI,II\n-61.298,1\n12,2\n0.5,3\n",
    "a comment": "# Sampling rate: 512 Hz\n-61.298\n12\n0.5\n",
}


@pytest.mark.parametrize("layout", LAYOUTS)
def test_both_ways(tmp_path: Path, layout: str) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(LAYOUTS[layout].encode())
    sample = loaded(path)
    assert sample.rate == 512
    assert sample.data[0].tolist() == pytest.approx([-61.298, 12, 0.5])
    assert grid(path) == (len(sample.data), (3,))
    if "µV" in LAYOUTS[layout]:
        assert sample.units == ("µV",)
        assert sample.names in (("Lead I",), ("I",))
    save(sample, tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_bytes() == path.read_bytes()
    save(sample, tmp_path / "b.csv", '{"seed": 1}')
    again = loaded(tmp_path / "b.csv")
    assert (again.rate, again.data.tolist()) == (512, sample.data.tolist())
    save(again, tmp_path / "b.csv", '{"seed": 2}')
    assert (tmp_path / "b.csv").read_text().count("# impasto: ") == 1


def test_a_time_column_goes_before_the_words(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("Device,X1\nSample Rate,512 Hz\n\ntime,I\n0.00,1\n0.01,2\n0.02,3\n")
    sample = loaded(path)
    assert (sample.rate, sample.names, sample.data.tolist()) == (100, ("I",), [[1, 2, 3]])
    save(sample, tmp_path / "b.csv")
    assert (tmp_path / "b.csv").read_text() == path.read_text()


def test_two_rows_of_names_are_told(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("time,ECG\ns,mV\n0.00,1\n0.01,2\n")
    with pytest.raises(SampleError, match=r"times that increase|numbers, found 's' in row 1"):
        load(path)


def test_without_a_rate_it_is_asked_for(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("Name,Jane\nDevice,X1\n\n1\n2\n3\n")
    with pytest.raises(SampleError, match="expected "):
        load(path)
