"""Recordings as recorders and archives write them: what pyedflib and wfdb refuse or lose."""

from __future__ import annotations

import logging
import struct
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path

import numpy as np
import pyedflib
import pytest

from impasto.config.presets import configure
from impasto.errors import SampleError
from impasto.media import grid, load, save
from impasto.transfer.stylize import stylize
from tests.media.signals import loaded, signal, waves

VALUES = waves(2, 2000)
QUICK = configure("ecg", steps=2, spectrum_window=1.0)


def edf(
    path: Path,
    signals: Sequence[tuple[bytes, bytes, np.ndarray, int, float, float]],
    kind: bytes = b"EDF+C",
    onsets: Sequence[float] | None = None,
    records: int | None = None,
    digital: tuple[int, int] = (-32768, 32767),
) -> Path:
    """A file byte by byte, of records of a second.

    signals: label, unit, values, samples a record, and the physical range of each.
    """
    count = len(signals[0][2]) // signals[0][3]
    head = b"0".ljust(8) + b"X X X X".ljust(80) + b"Startdate 01-JAN-2020 X X X".ljust(80)
    head += b"01.01.2000.00.00" + b"%-8d" % (256 * (len(signals) + 2)) + kind.ljust(44)
    head += b"%-8d" % (count if records is None else records) + b"%-8d" % 1
    columns: list[list[bytes]] = [[] for _ in range(10)]
    for label, unit, _, samples, low, high in signals:
        ends = digital if low != high else (0, 0)
        numbers = [b"%-8g" % low, b"%-8g" % high, *(b"%-8d" % end for end in ends)]
        fields = label.ljust(16), b" " * 80, unit.ljust(8), *numbers, b" " * 80, b"%-8d" % samples
        for column, field in zip(columns, (*fields, b" " * 32), strict=True):
            column.append(field)
    marks = [b"EDF Annotations".ljust(16), b" " * 80, b" " * 8, b"-1".ljust(8), b"1".ljust(8)]
    marks += [b"-32768".ljust(8), b"32767".ljust(8), b" " * 80, b"30".ljust(8), b" " * 32]
    for column, field in zip(columns, marks, strict=True):
        column.append(field)
    body = b""
    for record in range(count):
        for _, _, values, samples, low, high in signals:
            part = values[record * samples : (record + 1) * samples].astype(float)
            steps = np.zeros(samples)
            if low != high:
                steps = (part - low) / (high - low) * (digital[1] - digital[0]) + digital[0]
            body += np.rint(steps).astype("<i2").tobytes()
        onset = onsets[record] if onsets else record
        body += (b"+%g\x14\x14\0" % onset).ljust(60, b"\0")
    head += b"%-4d" % (len(signals) + 1)
    path.write_bytes(head + b"".join(map(b"".join, columns)) + body)
    return path


ECG = (b"ECG", b"mV", VALUES[0], 250, -2.0, 2.0)


def close(found: np.ndarray, values: np.ndarray, quantum: float = 4 / 65535) -> None:
    np.testing.assert_allclose(found, values, atol=0.51 * quantum)


@pytest.mark.parametrize("begin", [0.0, 0.25])
def test_interrupted_by_its_mark_alone(tmp_path: Path, begin: float) -> None:
    path = edf(tmp_path / "a.edf", [ECG], b"EDF+D", [begin + n for n in range(8)])
    close(loaded(path).data, VALUES[:1])
    assert grid(path) == (1, (2000,))


def test_a_pause_is_told_and_where(tmp_path: Path) -> None:
    onsets = [0, 1, 2, 3.5, 4.5, 5.5, 6.5, 7.5]
    path = edf(tmp_path / "a.edf", [ECG], b"EDF+D", onsets)
    words = "without interruptions, found an EDF.D file with a pause of 0.5 s after 3 s; cut it the"
    for read in (load, grid):
        with pytest.raises(SampleError, match=words):
            read(path)


def test_an_interrupted_recording_that_does_not_say_when(tmp_path: Path) -> None:
    path = edf(tmp_path / "a.edf", [ECG], b"EDF+D")
    raw = path.read_bytes()
    path.write_bytes(raw.replace(b"+3\x14\x14", b"\0\0\0\0"))
    with pytest.raises(SampleError, match="with no mark of when its record 4 begins; cut it"):
        load(path)
    path.write_bytes(raw[:244] + b"soon    " + raw[252:])
    with pytest.raises(SampleError, match="with no length of its records"):
        load(path)


@pytest.mark.parametrize(
    ("unit", "name"), [(b"\xb5V", "µV"), ("µV".encode(), "µV"), (b"\xb0C", "°C")]
)
def test_units_and_names_that_are_no_ascii(tmp_path: Path, unit: bytes, name: str) -> None:
    row = ("Müller".encode("latin-1"), unit, 1000 * VALUES[0], 250, -2000.0, 2000.0)
    sample = loaded(edf(tmp_path / "a.edf", [row]))
    assert (sample.names, sample.units) == (("Müller",), (name,))
    close(sample.data, 1000 * VALUES[:1], 4000 / 65535)
    save(sample, tmp_path / "b.edf")
    with pyedflib.EdfReader(str(tmp_path / "b.edf")) as file:  # which EDF has in ASCII
        assert file.getLabel(0).strip() == "Muller"
        assert file.getPhysicalDimension(0).strip() == name.replace("µ", "u").replace("°", "")
    close(loaded(tmp_path / "b.edf").data, sample.data, 4000 / 65535)


def test_microvolts_in_latin_1_are_microvolts(tmp_path: Path) -> None:
    row = (b"ECG", b"\xb5V", 1000 * VALUES[0], 250, -2000.0, 2000.0)
    content = load(edf(tmp_path / "a.edf", [row]))
    style = loaded(edf(tmp_path / "b.edf", [ECG]))
    close(style.in_units("µV").data, 1000 * VALUES[:1], 4000 / 65535)
    assert stylize(content, style, QUICK).sample.data.std() > 100


@pytest.mark.parametrize("value", [0.0, 5.0])
def test_blank_channels(tmp_path: Path, caplog: pytest.LogCaptureFixture, value: float) -> None:
    caplog.set_level(logging.INFO, "impasto")
    blank = (b"-", b"", 0 * VALUES[0], 250, value, value)
    path = edf(tmp_path / "a.edf", [blank, ECG])
    sample = loaded(path)
    assert sample.names == ("-", "ECG")
    np.testing.assert_array_equal(sample.data[0], value)
    close(sample.data[1], VALUES[0])
    assert "channel - is blank" in caplog.text
    caplog.clear()
    close(load(path, leads=["ECG"]).data, VALUES[:1])
    assert not caplog.records
    save(sample, tmp_path / "b.edf")
    close(loaded(tmp_path / "b.edf").data, sample.data)


def test_a_recorder_that_never_came_to_its_end(tmp_path: Path) -> None:
    path = edf(tmp_path / "a.edf", [ECG], records=-1)
    path.write_bytes(path.read_bytes()[:-100])  # in the middle of the last record
    close(loaded(path).data, VALUES[:1, :1750])


def test_channels_at_other_rates_are_left_out(tmp_path: Path) -> None:
    slow = (b"SpO2", b"%", np.full(8, 97.0), 1, 0.0, 100.0)
    path = edf(tmp_path / "a.edf", [slow, ECG])
    style = edf(tmp_path / "b.edf", [(b"ECG", b"mV", VALUES[1], 250, -2.0, 2.0), slow])
    result = stylize(
        str(path), str(style), configure("ecg", steps=2, leads=("ECG",), style_leads=("1",))
    )
    assert result.sample.data.shape == (1, 2000)
    with pytest.raises(SampleError, match=r"found SpO2 at 1, ECG at 250 Hz; .* --leads SpO2"):
        load(path)


# WFDB.


def matlab(folder: Path, line: str, suffix: str = "mat") -> Path:
    """A record as the challenges of 2020 and 2021 have it: values after a header of MATLAB's."""
    digital = np.rint(VALUES * 1000).astype("<i2")
    head = struct.pack("<5i", 30, 2, 2000, 0, 4) + b"val\0"
    (folder / f"A1.{suffix}").write_bytes(head + digital.T.tobytes())
    rows = [f"A1.{suffix} 16+24 1000/mV 16 0 0 0 0 {name}" for name in ("I", "II")]
    (folder / "A1.hea").write_text("\n".join([line, *rows, "#Age: 74", ""]))
    return folder / "A1.hea"


@pytest.mark.parametrize(
    ("line", "start"),
    [
        ("A1.mat 2 250 2000 05-May-2020 09:49:17", datetime(2020, 5, 5, 9, 49, 17)),
        ("A1 2 250 2000 09:49:17 05/05/2020", datetime(2020, 5, 5, 9, 49, 17)),
        ("A1.mat 2 250 2000 2020-05-05", datetime(2020, 5, 5)),
        ("A1.mat 2 250", None),
        ("A 1 (copy).mat 2 250 2000", None),
    ],
)
def test_records_named_by_their_file(tmp_path: Path, line: str, start: datetime | None) -> None:
    header = matlab(tmp_path, line.replace("A 1 (copy)", "A1(copy)"))
    sample = loaded(header)
    close(sample.data, VALUES, 1e-3)
    assert (sample.names, sample.start) == (("I", "II"), start)
    np.testing.assert_array_equal(load(tmp_path / "A1.mat").data, sample.data)
    assert grid(header) == (2, (2000,))
    save(sample, tmp_path / "out.hea")
    close(loaded(tmp_path / "out.hea").data, VALUES, 1e-3)


def test_a_dead_lead_is_left_out_or_named(tmp_path: Path) -> None:
    digital = np.stack([*np.rint(VALUES * 1000), np.full(2000, -32768)], 1).astype("<i2")
    digital.tofile(tmp_path / "a.dat")
    rows = [f"a.dat 16 1000/mV 16 0 0 0 0 {name}" for name in ("I", "II", "III")]
    (tmp_path / "a.hea").write_text("\n".join(["a 3 250 2000", *rows, ""]))
    close(load(tmp_path / "a.hea", leads=["I", "II"]).data, VALUES, 1e-3)
    with pytest.raises(SampleError, match="in channel III: all NaN; leave it out: --leads I II"):
        load(tmp_path / "a.hea")


def test_two_leads_of_one_name_come_back_in_their_order(tmp_path: Path) -> None:
    sample = signal(2, 2000, names=("ECG", "ECG"))
    save(sample, tmp_path / "a.hea")
    save(signal(2, 2000, names=("ECG", "ECG"), data=waves(2, 2000, seed=3)), tmp_path / "b.hea")
    result = stylize(str(tmp_path / "a.hea"), str(tmp_path / "b.hea"), QUICK).sample
    for found, own in zip(result.data, loaded(tmp_path / "a.hea").data, strict=True):
        assert np.corrcoef(found, own)[0, 1] > 0.9
