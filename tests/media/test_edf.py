"""EDF and BDF files in and out: the library pyedflib is the oracle."""

from __future__ import annotations

import warnings
from dataclasses import replace
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import numpy as np
import pyedflib
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from impasto.errors import OutputError, SampleError
from impasto.media import Annotation, grid, load, save
from impasto.media.signals.edf import open_edf
from tests.media.signals import loaded, signal, waves, with_gaps

KINDS = {
    "plain.edf": pyedflib.FILETYPE_EDF,
    "plus.edf": pyedflib.FILETYPE_EDFPLUS,
    "plain.bdf": pyedflib.FILETYPE_BDF,
    "plus.bdf": pyedflib.FILETYPE_BDFPLUS,
}


def written(
    path: Path, seconds: int = 7, rates: tuple[int, ...] = (200, 200), **fields: Any
) -> Path:
    """A file of noise over the whole range of the format."""
    kind = KINDS[path.name]
    limit = 2**23 if path.suffix == ".bdf" else 2**15
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        with pyedflib.EdfWriter(str(path), len(rates), kind) as file:
            file.setSignalHeaders(
                [
                    {
                        "label": f"ECG {number}",
                        "dimension": ("mV", "uV")[number % 2],
                        "sample_frequency": rate,
                        "physical_min": -3.2768 - number,
                        "physical_max": 3.2767,
                        "digital_min": -limit,
                        "digital_max": limit - 1 - number,
                        "transducer": f"electrode {number}",
                        "prefilter": "HP:0.05Hz LP:100Hz",
                        **fields,
                    }
                    for number, rate in enumerate(rates)
                ]
            )
            file.setStartdatetime(datetime(2021, 12, 31, 23, 59, 58))
            file.setPatientCode("P-17")
            file.setPatientName("Doe")
            file.setSex(0)
            file.setBirthdate(date(1951, 5, 2))
            file.setEquipment("device")
            file.setTechnician("tech")
            file.setAdmincode("A1")
            if "plus" in path.name:
                file.set_number_of_annotation_signals(3)
            rng = np.random.default_rng(seconds)
            for _ in range(seconds):
                values = rng.integers(-limit, limit - 1, sum(rates)).astype(np.int32)
                file.blockWriteDigitalSamples(values)
            if "plus" in path.name:
                for number in range(20):
                    file.writeAnnotation(
                        0.3 * number, -1 if number % 2 else 0.25, f"mark {number} ü"
                    )
    return path


def told(path: Path) -> tuple[Any, ...]:
    """All that a file says, and its values, as pyedflib reads them."""
    with pyedflib.EdfReader(str(path)) as file:
        header = file.getHeader()
        header.pop("recording_additional")
        values = np.stack([file.readSignal(i, digital=True) for i in range(file.signals_in_file)])
        annotations = [each.tolist() for each in file.readAnnotations()]
        kind = (file.filetype, file.datarecord_duration, file.patient)
        return header, file.getSignalHeaders(), annotations, kind, values


@pytest.mark.parametrize("name", KINDS)
def test_both_ways(tmp_path: Path, name: str) -> None:
    path = written(tmp_path / name)
    sample = loaded(path)
    with pyedflib.EdfReader(str(path)) as file:
        values = np.stack([file.readSignal(0), file.readSignal(1)])
    assert np.array_equal(sample.data, values.astype(np.float32))
    assert (sample.rate, sample.names, sample.units) == (200, ("ECG 0", "ECG 1"), ("mV", "uV"))
    assert sample.start == datetime(2021, 12, 31, 23, 59, 58)
    assert len(sample.annotations) == (20 if "plus" in name else 0)
    if sample.annotations:
        assert sample.annotations[2] == Annotation(0.6, "mark 2 ü", 0.25)
    assert grid(path) == (2, (1400,))
    (tmp_path / "b").mkdir()
    save(sample, tmp_path / "b" / name, '{"seed": 1}')
    *before, expected = told(path)
    *after, digital = told(tmp_path / "b" / name)
    assert after == before
    # 24 bits and an offset are more than float32 holds.
    assert np.abs(digital - expected).max() <= (1 if path.suffix == ".bdf" else 0)
    assert b"not_for_diagnosis" in (tmp_path / "b" / name).read_bytes()[:256]
    again = loaded(tmp_path / "b" / name)
    assert again.annotations == sample.annotations
    assert again.source.channels == sample.source.channels
    save(again, tmp_path / "b" / name)
    assert (tmp_path / "b" / name).read_bytes()[:256].count(b"not_for_diagnosis") == 1


@settings(max_examples=40)
@given(
    low=st.floats(-9000, 9000),
    width=st.floats(0.01, 9000),
    digital=st.sampled_from([(-32768, 32767), (-2048, 2047), (0, 100)]),
    length=st.integers(1, 900),
)
def test_any_range(
    tmp_path_factory: pytest.TempPathFactory,
    low: float,
    width: float,
    digital: tuple[int, int],
    length: int,
) -> None:
    """Within half a quantum inside a range, the nearest end of it outside."""
    folder = tmp_path_factory.mktemp("any")
    ends = {"physical_min": round(low, 2), "physical_max": round(low, 2) + round(width, 2)}
    ends |= {"digital_min": digital[0], "digital_max": digital[1]}
    fields = loaded(written(folder / "plus.edf", 1, (50,), **ends))
    ((low, high),) = (channel.physical for channel in fields.source.channels)
    values = low + (high - low) * np.random.default_rng(length).uniform(-0.2, 1.2, (1, length))
    save(replace(fields, data=values.astype(np.float32), annotations=()), folder / "b.edf")
    again = loaded(folder / "b.edf").data[:, :length]
    quantum = (high - low) / (digital[1] - digital[0])
    error = np.abs(again - np.clip(values, low, high))
    assert error.max() <= quantum / 2 + 2 * np.spacing(np.float32(abs(values).max()))


@pytest.mark.parametrize("suffix", [".edf", ".bdf"])
@pytest.mark.parametrize("scale", [1e-3, 1.0, 3000.0, 9e6])
def test_signals_from_elsewhere(tmp_path: Path, suffix: str, scale: float) -> None:
    data = waves(3, 2000) * np.float32(scale)
    data[2] = scale
    sample = signal(3, data=data, start=time(1, 2, 3, 500000))
    save(sample, tmp_path / f"a{suffix}")
    again = loaded(tmp_path / f"a{suffix}")
    assert (again.names, again.units, again.rate) == (sample.names, sample.units, 250)
    assert again.start == datetime(1985, 1, 1, 1, 2, 3, 500000)
    assert again.space == (2000,)
    widths = [c.physical[1] - c.physical[0] for c in again.source.channels]
    quanta = np.array(widths)[:, None] / 65535
    assert (np.abs(again.data - data) <= 0.501 * quanta + np.spacing(np.float32(scale))).all()
    if scale > 0.1:
        assert widths[0] < 2.01 * scale


@pytest.mark.parametrize(
    ("rate", "length"), [(360.0, 650_000), (128.5, 777), (1000.0, 1), (0.5, 99), (22050.0, 30_000)]
)
def test_rates_and_lengths(tmp_path: Path, rate: float, length: int) -> None:
    """The rate is exact; what no data record divides is filled up with its last value."""
    sample = signal(1, rate=rate, data=waves(1, length))
    save(sample, tmp_path / "a.edf")
    again = loaded(tmp_path / "a.edf")
    assert again.rate == rate
    assert length <= again.space[0] < length + 10 * rate
    assert np.allclose(again.data[:, :length], sample.data, atol=1e-4)
    assert np.allclose(again.data[:, length:], sample.data[:, -1], atol=1e-4)


def test_rates_edf_has_not(tmp_path: Path) -> None:
    with pytest.raises(
        OutputError, match=r"0.01 ms below 10 s, found 314.159 Hz; .*resampled\(314"
    ):
        save(signal(rate=100 * np.pi), tmp_path / "a.edf")
    with pytest.raises(
        OutputError, match=r"values below 10,000,000, .* 'lead 1'; use a larger unit"
    ):
        save(signal(data=waves() * np.float32(3e7)), tmp_path / "a.edf")
    assert list(tmp_path.iterdir()) == []


def test_another_rate_and_other_channels(tmp_path: Path) -> None:
    sample = loaded(written(tmp_path / "plus.edf"))
    save(sample.select(["ecg 1"]).resampled(100), tmp_path / "b.edf")
    again = loaded(tmp_path / "b.edf")
    assert (again.rate, again.names, again.space) == (100, ("ECG 1",), (700,))
    assert again.source.channels == sample.source.channels[1:]
    assert again.annotations == sample.annotations
    moved = replace(sample, start=datetime(2001, 2, 3, 4, 5, 6))
    save(moved.in_units("uV"), tmp_path / "c.edf")
    again = loaded(tmp_path / "c.edf")
    assert again.start == datetime(2001, 2, 3, 4, 5, 6)
    assert again.units == ("uV", "uV")
    assert np.allclose(again.data, sample.in_units("uV").data, atol=0.06)


def test_ranges_that_a_header_has_no_room_for(tmp_path: Path) -> None:
    sample = loaded(written(tmp_path / "plus.edf", physical_min=-2.34567, physical_max=1.23457))
    save(sample.in_units("V").in_units("mV").in_units("V"), tmp_path / "b.edf")
    again = loaded(tmp_path / "b.edf")
    assert again.units == ("V", "V")
    ((low, high), _) = (channel.physical for channel in again.source.channels)
    quantum = (high - low) / 65535
    inside = np.clip(sample.in_units("V").data[0], low, high)
    assert np.abs(again.data[0] - inside).max() <= 0.501 * quantum


def test_channels_of_several_rates(tmp_path: Path) -> None:
    alike = written(tmp_path / "plain.edf", rates=(200, 50), label="EEG")
    with pytest.raises(SampleError, match="of one rate, found EEG at 200, EEG at 50 Hz"):
        load(alike)
    path = written(tmp_path / "plus.edf", rates=(200, 50, 200))
    words = r"of one rate, found ECG 0 at 200, ECG 1 at 50, ECG 2 at 200 Hz; .* --leads 'ECG 0'"
    for read in (load, grid):
        with pytest.raises(SampleError, match=words):
            read(path)
        read(path, leads=["ECG 0", "3"])
    chosen = open_edf(path, names=["ECG 2", "ECG 0"])
    assert (chosen.rate, chosen.names) == (200, ("ECG 2", "ECG 0"))
    save(chosen, tmp_path / "b.edf")
    assert np.array_equal(loaded(tmp_path / "b.edf").data, chosen.data)
    with pytest.raises(
        SampleError,
        match=r"ECG 2, or their numbers .* found EEG",
    ):
        open_edf(path, names=["EEG"])


def test_many_annotations(tmp_path: Path) -> None:
    marks = tuple(Annotation(0.01 * n, "beat", symbol="N") for n in range(100))
    sample = signal(annotations=marks)
    save(sample, tmp_path / "a.edf")
    kept = loaded(tmp_path / "a.edf").annotations
    assert np.allclose([each.time for each in kept], [each.time for each in marks])
    assert {each.text for each in kept} == {"N beat"}
    with pytest.raises(OutputError, match=r"at most 256 annotations .*, found 300; .*\(.hea\)"):
        save(replace(sample, annotations=marks * 3), tmp_path / "b.edf")


def test_gaps_become_their_straight_lines(tmp_path: Path) -> None:
    sample = with_gaps()
    save(sample, tmp_path / "a.edf")
    again = loaded(tmp_path / "a.edf")
    assert again.gaps is None
    assert np.allclose(again.data, sample.data, atol=1e-4)
