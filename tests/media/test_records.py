"""WFDB records in and out: the library wfdb is the oracle."""

from __future__ import annotations

import os
from dataclasses import replace
from datetime import date, datetime, time
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import wfdb
from hypothesis import given, settings
from hypothesis import strategies as st

from impasto.errors import ConfigError, SampleError
from impasto.media import Annotation, grid, is_picture, load, save
from impasto.media.signals.records import Lead, open_record
from tests.media.memory import growth, on_linux
from tests.media.signals import loaded, signal, with_gaps

BITS = {"80": 8, "212": 12, "16": 16, "24": 24}


def written(folder: Path, name: str, digital: np.ndarray, fmt: str, **header: Any) -> Path:
    """A record of digital values (time, channel), by wfdb."""
    channels = digital.shape[1]
    record = wfdb.Record(
        **{
            "record_name": name,
            "n_sig": channels,
            "fs": 128.5,
            "sig_len": len(digital),
            "fmt": [fmt] * channels,
            "adc_gain": [200.0, 0.5, 1e3][:channels],
            "baseline": [5, -7, 0][:channels],
            "units": ["mV", "mmHg", "uV"][:channels],
            "sig_name": ["II", "ABP", "V5 + x"][:channels],
            "adc_res": [12] * channels,
            "adc_zero": [1, 2, 3][:channels],
            "comments": ["Age: 69", "Aldomet, Inderal"],
            "d_signal": digital,
            **header,
        }
    )
    record.set_d_features()
    record.set_defaults()
    record.wrsamp(write_dir=str(folder))
    return folder / f"{name}.hea"


def digits(fmt: str, length: int = 1001, channels: int = 3) -> np.ndarray:
    limit = 2 ** (BITS[fmt] - 1)
    rng = np.random.default_rng(BITS[fmt])
    return rng.integers(-limit + 1, limit, (length, channels)).astype(np.int64)


def header(path: Path) -> dict[str, Any]:
    """All that a header says but for what follows from the values, as wfdb reads it."""
    fields: dict[str, Any] = vars(wfdb.rdheader(str(path.with_suffix(""))))
    for name in ("record_name", "file_name", "comments"):
        fields.pop(name)
    fields["checksum"] = [number % 2**16 for number in fields["checksum"]]  # of either sign
    return fields


@pytest.mark.parametrize("fmt", BITS)
@pytest.mark.parametrize("channels", [1, 3])
def test_both_ways(tmp_path: Path, fmt: str, channels: int) -> None:
    digital = digits(fmt, channels=channels)
    path = written(
        *(tmp_path, "a", digital, fmt),
        base_time=time(12, 34, 56, 250000),
        base_date=date(1999, 12, 31),
        counter_freq=10.5,
        base_counter=3.5,
    )
    sample = loaded(path)
    oracle = wfdb.rdrecord(str(tmp_path / "a"))
    assert np.array_equal(sample.data, oracle.p_signal.T.astype(np.float32))
    assert sample.rate == 128.5
    assert sample.names == ("II", "ABP", "V5 + x")[:channels]
    assert sample.units == ("mV", "mmHg", "uV")[:channels]
    assert sample.gaps is None
    assert sample.start == datetime(1999, 12, 31, 12, 34, 56, 250000)
    assert grid(path) == (channels, (1001,))
    save(sample, tmp_path / "b.hea", '{"seed": 1}')
    assert header(tmp_path / "b") == header(path)
    assert (tmp_path / "b.dat").read_bytes() == (tmp_path / "a.dat").read_bytes()
    comments = ["Age: 69", "Aldomet, Inderal", 'impasto: {"seed": 1}', "not for diagnosis"]
    assert wfdb.rdheader(str(tmp_path / "b")).comments == comments
    again = loaded(tmp_path / "b.dat")
    assert again.source.leads == sample.source.leads
    save(again, tmp_path / "c.hea", '{"seed": 2}')
    comments[2] = 'impasto: {"seed": 2}'
    assert wfdb.rdheader(str(tmp_path / "c")).comments == comments


@settings(max_examples=60)
@given(
    fmt=st.sampled_from(list(BITS)),
    shape=st.tuples(st.integers(1, 40), st.integers(1, 3)),
    seed=st.integers(0, 99),
    gain=st.floats(0.01, 1e4),
    baseline=st.integers(-1000, 1000),
)
def test_any_values(
    tmp_path_factory: pytest.TempPathFactory,
    fmt: str,
    shape: tuple[int, int],
    seed: int,
    gain: float,
    baseline: int,
) -> None:
    """Within half a quantum in the format's range, the nearest end of it beyond."""
    folder = tmp_path_factory.mktemp("any")
    lead = Lead(fmt, gain, baseline, 0, 0)
    limit = 2 ** (BITS[fmt] - 1) - 1
    low, high = (-limit - baseline) / gain, (limit - baseline) / gain
    values = np.random.default_rng(seed).uniform(1.2 * low, 1.2 * high, shape[::-1])
    values = values.astype(np.float32)
    fields = loaded(written(folder, "a", digits(fmt, *shape), fmt))
    leads = (lead,) * shape[1]
    save(replace(fields, data=values, source=replace(fields.source, leads=leads)), folder / "b.hea")
    again = loaded(folder / "b.hea")
    error = np.abs(again.data - np.clip(values, low, high))
    assert error.max() <= (0.5 / gain) * (1 + 1e-6) + np.spacing(np.float32(high))


def test_record_100(shared: Path, tmp_path: Path) -> None:
    """MIT-BIH record 100: two leads of half an hour in format 212, with 2274 annotations."""
    sample = loaded(shared / "signals" / "100.hea")
    assert sample.data.shape == (2, 650_000)
    assert len(sample.annotations) == 2274
    assert sample.annotations[1] == Annotation(77 / 360, symbol="N")
    save(sample, tmp_path / "copy.hea")
    assert header(tmp_path / "copy") == header(shared / "signals" / "100")
    for suffix in (".dat", ".atr"):
        original = shared / "signals" / f"100{suffix}"
        assert (tmp_path / f"copy{suffix}").read_bytes() == original.read_bytes()
    again = loaded(tmp_path / "copy")
    assert again.annotations == sample.annotations
    assert np.array_equal(again.data, sample.data)


def test_names_of_records(tmp_path: Path) -> None:
    path = written(tmp_path, "100", digits("16"), "16")
    for name in ("100.hea", "100.dat", "100"):
        assert grid(tmp_path / name) == (3, (1001,))
        assert load(tmp_path / name).space == (1001,)
        assert not is_picture(tmp_path / name)
    with pytest.raises(SampleError, match="a name that ends in"):
        load(tmp_path / "101")
    with pytest.raises(ConfigError, match="0 for a signal, which keeps its grid of 1001"):
        load(path, (64,))


def test_gaps_are_invalid_samples(tmp_path: Path) -> None:
    for fmt, bits in BITS.items():
        digital = digits(fmt)
        digital[3:6, 1] = digital[-1, 0] = -(2 ** (bits - 1))
        sample = loaded(written(tmp_path, f"a{fmt}", digital, fmt))
        oracle = wfdb.rdrecord(str(tmp_path / f"a{fmt}")).p_signal.T
        assert sample.gaps is not None
        assert np.array_equal(sample.gaps, np.isnan(oracle))
        assert sample.gaps.sum() == 4
        save(sample, tmp_path / f"b{fmt}.hea")
        name = f"{tmp_path}/{{}}{fmt}.dat"
        assert Path(name.format("b")).read_bytes() == Path(name.format("a")).read_bytes()


def test_signals_from_elsewhere(tmp_path: Path) -> None:
    """16 bits, used to the full; a flat lead, a large offset, names twice and odd units."""
    data = with_gaps().data
    data = np.stack([data[0], data[1] * 1e-5 + 1000, np.full_like(data[0], -0.3), 0 * data[0]])
    gaps = np.zeros(data.shape, np.bool_)
    gaps[0, 10:20] = True
    sample = signal(
        *(4, data.shape[1]),
        data=data,
        gaps=gaps,
        names=("II", "II", "", "  Ärger\tund mehr "),
        units=("µV", "", "m s", "%"),
        start=time(1, 2, 3),
    )
    save(sample, tmp_path / "a.hea")
    again = loaded(tmp_path / "a.hea")
    assert again.units == ("uV", "NU", "m_s", "%")
    assert again.names[:3] == ("II", "II", "")
    assert again.start == time(1, 2, 3)
    assert again.gaps is not None
    assert np.array_equal(again.gaps, gaps)
    quanta = np.array([[1 / lead.gain] for lead in again.source.leads])
    apart = np.where(gaps, 0, np.abs(again.data - data))
    assert (apart <= quanta / 2 + np.spacing(np.abs(data).max(axis=1, keepdims=True))).all()
    assert quanta[0] < 2 / 60_000


def test_leads_of_several_formats_and_files(tmp_path: Path) -> None:
    three = loaded(written(tmp_path, "a", digits("80"), "80"))
    formats = zip(three.source.leads, ("16", "212", "16"), strict=True)
    leads = [lead._replace(format=fmt) for lead, fmt in formats]
    mixed = replace(three, source=replace(three.source, leads=tuple(leads)))
    save(mixed, tmp_path / "b.hea")
    assert sorted(os.listdir(tmp_path))[2:] == ["b.hea", "b_1.dat", "b_2.dat", "b_3.dat"]
    again = loaded(tmp_path / "b.hea")
    assert np.array_equal(again.data, three.data)
    assert [lead.format for lead in again.source.leads] == ["16", "212", "16"]


@pytest.mark.parametrize(("fmt", "kept"), [("508", "80"), ("516", "16"), ("524", "24")])
def test_compressed_signals_become_plain(tmp_path: Path, fmt: str, kept: str) -> None:
    sample = loaded(written(tmp_path, "a", digits(kept), fmt))
    save(sample, tmp_path / "b.hea")
    again = loaded(tmp_path / "b.hea")
    assert np.array_equal(again.data, sample.data)
    assert {lead.format for lead in again.source.leads} == {kept}


def test_frames_of_several_samples(tmp_path: Path) -> None:
    """Signals sampled twice in a frame have twice the rate; those of several rates are refused."""
    expanded = {
        "d_signal": None,
        "fmt": ["16"] * 2,
        "n_sig": 2,
        "sig_len": 500,
    }
    for name, frames in (("same", [2, 2]), ("mixed", [1, 2])):
        rows = [np.arange(500 * n) % 99 for n in frames]
        record = wfdb.Record(
            **{
                **expanded,
                "record_name": name,
                "fs": 100,
                "samps_per_frame": frames,
                "e_d_signal": rows,
                "adc_gain": [10.0, 10.0],
                "baseline": [0, 0],
                "units": ["mV", "mV"],
                "sig_name": ["I", "II"],
                "file_name": [f"{name}.dat"] * 2,
            }
        )
        record.set_d_features(expanded=True)
        record.set_defaults()
        record.wrsamp(expanded=True, write_dir=str(tmp_path))
    sample = loaded(tmp_path / "same.hea")
    assert (sample.rate, sample.space) == (200, (1000,))
    assert np.allclose(sample.data[1], np.arange(1000) % 99 / 10)
    words = "one rate, found I at 100, II at 200 Hz; choose those of one, as in --leads I"
    with pytest.raises(SampleError, match=words):
        load(tmp_path / "mixed.hea")
    assert load(tmp_path / "mixed.hea", leads=["II"]).space == (1000,)
    assert grid(tmp_path / "mixed.hea", leads=["2"]) == (1, (1000,))
    chosen = open_record(tmp_path / "mixed.hea", names=["ii"])
    assert (chosen.rate, chosen.names, chosen.space) == (200, ("II",), (1000,))
    assert np.allclose(chosen.data[0], np.arange(1000) % 99 / 10)
    header = tmp_path / "mixed.hea"
    header.write_text(header.read_text().replace("II", "I"))
    with pytest.raises(SampleError, match="one rate, found I at 100, I at 200 Hz"):
        load(header)


def test_records_of_segments(tmp_path: Path) -> None:
    """Segments, one of them missing, are one signal with a gap."""
    first = written(tmp_path, "s1", digits("16", 300), "16")
    written(tmp_path, "s2", digits("212", 200), "212")
    text = "m/4 3 128.5 600\nlayout 0\ns1 300\n~ 100\ns2 200\n"
    (tmp_path / "m.hea").write_text(text)
    lines = (tmp_path / "s1.hea").read_text().replace("s1.dat", "~").splitlines()
    (tmp_path / "layout.hea").write_text("\n".join(["layout 3 128.5 0", *lines[1:4], ""]))
    sample = loaded(tmp_path / "m.hea")
    assert sample.data.shape == (3, 600)
    assert sample.names == loaded(first).names
    assert sample.gaps is not None
    assert np.array_equal(sample.gaps[0], np.repeat([False, True, False], [300, 100, 200]))
    assert np.array_equal(sample.data[:, :300], loaded(first).data)
    assert np.array_equal(sample.data[:, 400:], loaded(tmp_path / "s2.hea").data)
    save(sample, tmp_path / "whole.hea")
    again = loaded(tmp_path / "whole.hea")
    quanta = np.array([[1 / lead.gain] for lead in again.source.leads])
    assert (np.abs(again.data - sample.data) <= 0.51 * quanta).all()


def test_annotations_of_all_kinds(tmp_path: Path) -> None:
    marks = (
        Annotation(0.5, "(AFIB", symbol="+"),
        Annotation(0.5, symbol="N", subtype=-3, channel=1, number=2),
        Annotation(3.0, "a note with ümlauts"),
        Annotation(900_000.0, symbol="V"),
        Annotation(1.0, symbol="N", annotator="qrs"),
        Annotation(2.0, symbol="N", annotator="q1c"),
    )
    sample = signal(length=700, annotations=marks)
    save(sample, tmp_path / "a.hea")
    assert sorted(os.listdir(tmp_path)) == ["a.atr", "a.dat", "a.hea", "a.q1c", "a.qrs"]
    again = loaded(tmp_path / "a.hea")
    assert again.annotations == marks
    odd = Annotation(1.0, "x" * 300 + "\n", symbol="unheard of", duration=2.0)
    save(replace(sample, annotations=(odd,)), tmp_path / "b.hea")
    (kept,) = loaded(tmp_path / "b.hea").annotations
    assert kept == Annotation(1.0, ("unheard of " + "x" * 300)[:255])


def test_labels_of_ones_own(tmp_path: Path) -> None:
    written(tmp_path, "a", digits("16"), "16")
    wfdb.wrann(
        *("a", "atr", np.array([10, 20]), ["N", "z"]),
        custom_labels=[(44, "z", "zigzag")],
        write_dir=str(tmp_path),
        fs=128.5,
    )
    sample = loaded(tmp_path / "a.hea")
    assert [each.symbol for each in sample.annotations] == ["N", "z"]
    save(sample, tmp_path / "b.hea")
    again = loaded(tmp_path / "b.hea")
    assert again.annotations == sample.annotations
    assert again.source.labels == (("atr", ((44, "z", "zigzag"),)),)


def test_the_values_go_where_the_caller_says(tmp_path: Path) -> None:
    def new(shape: tuple[int, ...]) -> np.ndarray:
        return np.memmap(tmp_path / "big.bin", np.float32, "w+", shape=shape)

    path = written(tmp_path, "a", digits("16"), "16")
    sample = load(path, new=new)
    assert isinstance(sample.data, np.memmap)
    save(sample, tmp_path / "b.hea")
    assert (tmp_path / "b.dat").read_bytes() == (tmp_path / "a.dat").read_bytes()


@on_linux
@pytest.mark.slow
def test_memory_of_a_whole_day(tmp_path: Path) -> None:
    """Three leads of 24 hours at 250 Hz, 247 MB as floats: four times that, in 64 bits."""
    block = digits("16", 3000)
    written(tmp_path, "small", block, "16")
    with open(tmp_path / "big.dat", "wb") as file:
        for _ in range(7200):
            file.write((tmp_path / "small.dat").read_bytes())
    text = (tmp_path / "small.hea").read_text().replace("small", "big").replace("3000", "21600000")
    (tmp_path / "big.hea").write_text(text)
    assert growth(tmp_path, ".hea") < 1100
    assert (tmp_path / "copy.dat").read_bytes() == (tmp_path / "big.dat").read_bytes()
