"""Damaged, hostile and mistaken signal files: one line that says what to do, nothing printed."""

from __future__ import annotations

import io
import os
import struct
import zipfile
from contextlib import suppress
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st

from impasto.errors import ConfigError, ImpastoError, MemoryLimitError, SampleError
from impasto.media import Annotation, Signal, grid, load, save
from tests.media.places import Bomb, Refused, check_read_or_refused, spoil
from tests.media.signals import signal, waves

SUFFIXES = (".hea", ".edf", ".csv", ".npz", ".wav", ".flac", ".ogg", ".mp3")


def saved(path: Path, **fields: Any) -> Path:
    rate = 8000.0 if path.suffix in SUFFIXES[4:] else 250.0
    marks = (Annotation(0.1, "here"), Annotation(1.0, symbol="N"))
    standard: dict[str, Any] = {"rate": rate, "length": 9000, "annotations": marks}
    save(signal(**(standard | fields)), path)
    return path


def record(path: Path, *lines: str) -> Path:
    """A record of two leads of 900 samples in 16 bits, whose header is these lines."""
    np.arange(1800, dtype="<i2").tofile(path.with_suffix(".dat"))
    path.write_text("\n".join([*lines, ""]))
    return path


LEADS = ("a.dat 16 200 12 0 0 0 0 I", "a.dat 16 200 12 0 0 0 0 II")


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_nothing_there_and_nothing_in_it(tmp_path: Path, refused: Refused, suffix: str) -> None:
    refused(tmp_path / f"a{suffix}", "found none there; check the path")
    (tmp_path / f"a{suffix}").write_bytes(b"")
    refused(tmp_path / f"a{suffix}", "found an empty file; get")
    (tmp_path / f"b{suffix}").mkdir()
    refused(tmp_path / f"b{suffix}", "found a folder; name a file")
    os.mkfifo(tmp_path / f"c{suffix}")
    refused(tmp_path / f"c{suffix}", "found a device, pipe or socket")
    (tmp_path / f"d{suffix}").write_bytes(b"dear diary, today\n" * 50)
    refused(tmp_path / f"d{suffix}", "expected ")


@pytest.mark.parametrize("suffix", SUFFIXES[:6])
@pytest.mark.parametrize("kept", [0.001, 0.1, 0.6, 0.99])
def test_truncated_files(tmp_path: Path, refused: Refused, suffix: str, kept: float) -> None:
    path = saved(tmp_path / f"a{suffix}")
    file = path.with_suffix(".dat") if suffix == ".hea" else path
    data = file.read_bytes()
    file.write_bytes(data[: int(kept * len(data))])
    if suffix == ".csv":
        # Text does not say how long it is: all that is found is the row that was cut.
        with suppress(SampleError):
            assert load(path).space[0] < 9000
    else:
        refused(path, "expected ", early=suffix != ".flac" or kept < 0.1)


def test_records_without_their_files(tmp_path: Path, refused: Refused) -> None:
    path = record(tmp_path / "a.hea", "a 2 250 900", *LEADS)
    load(path)
    (tmp_path / "a.dat").unlink()
    refused(path, "the signal file a.dat beside it, found none there; check the path")
    refused(tmp_path / "b.dat", "a WFDB header, found none there")


@pytest.mark.parametrize(
    ("lines", "words"),
    [
        (("a 2 0 900", *LEADS), "a rate above 0 Hz, found 2 signals at 0.* Hz"),
        (("a 0 250 900",), "one signal or more, .* found 0 signals"),
        (("a 3 250 900", *LEADS), "found 3 signals at 250 Hz, 2 of them described"),
        (("a 999999999 250 900", *LEADS), "found 999999999 signals at 250 Hz, 2 of them"),
        (("a 2 250 901", *LEADS), "3604 bytes of samples in a.dat, found 3600; get"),
        (("a 2 250 99999999999999", *LEADS), "399999999999996 bytes of samples in a.dat, fo"),
        (
            ("a 2 250 900", LEADS[0], LEADS[1].replace("a.dat", "../../x.dat")),
            "folder, found the n",
        ),
        (
            ("a 2 250 900", LEADS[0], LEADS[1].replace("a.dat", "/etc/passwd")),
            "folder, found the n",
        ),
        (
            ("a 2 250 900", LEADS[0], LEADS[1].replace("a.dat", "..\\x.dat")),
            "folder, found the nam",
        ),
        (("a/2 2 250 900", "../../b 400", "c 500"), "header's folder, found the name ../../b; put"),
        (("a/2 2 250 900", "b 400", "c 500"), "found an error of wfdb"),
        (("a/2 2 250 900", "a 400", "a 500"), "found an error of wfdb"),
        (("a 2 250 900", LEADS[0], "nonsense"), "found an error of wfdb: invalid syntax in signal"),
        (("a 2 250 900", LEADS[0].replace(" 16 ", " 17 "), LEADS[1]), "found 16, 17; correct"),
        (
            ("a 2 250 900", *(lead.replace(" 16 ", " 999 ") for lead in LEADS)),
            "one format of 8, 80, ",
        ),
        (("# a comment",), "a WFDB header, found an empty file"),
    ],
)
def test_headers_that_lie(
    tmp_path: Path, refused: Refused, lines: tuple[str, ...], words: str
) -> None:
    refused(record(tmp_path / "a.hea", *lines), words)


def test_lengths_a_header_leaves_out(tmp_path: Path, refused: Refused) -> None:
    assert grid(record(tmp_path / "a.hea", "a 2 250", *LEADS)) == (2, (900,))
    assert load(tmp_path / "a.hea").space == (900,)
    refused(record(tmp_path / "a.hea", "a 2 250 0", *LEADS), "found a record of none")
    record(tmp_path / "a.hea", "a 2 250", *LEADS)
    (tmp_path / "a.dat").write_bytes(b"")
    refused(tmp_path / "a.hea", "one sample or more, found a record of none")


def test_a_missing_segment_that_lasts_for_ever(tmp_path: Path) -> None:
    record(tmp_path / "a.hea", "a 2 250 900", *LEADS)
    (tmp_path / "m.hea").write_text(f"m/2 2 250 {10**12 + 900}\na 900\n~ {10**12}\n")
    with pytest.raises(MemoryLimitError) as caught:
        load(tmp_path / "m.hea")
    assert caught.value.subject == str(tmp_path / "m.hea")


def test_damaged_annotations(tmp_path: Path, refused: Refused) -> None:
    path = record(tmp_path / "a.hea", "a 2 250 900", *LEADS)
    (tmp_path / "a.atr").write_bytes(b"\xff\xff\xff")
    refused(
        path,
        "annotations whole to their end in a.atr, found an error of wfdb: .*; get it",
        early=False,
    )


@pytest.mark.parametrize("suffix", [".hea", ".csv", ".npz"])
def test_leads_without_any_value(tmp_path: Path, refused: Refused, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    if suffix == ".hea":
        record(path, "a 2 250 900", *LEADS)
        values = np.arange(1800, dtype="<i2").reshape(900, 2)
        values[:, 1] = -(2**15)
        values.tofile(tmp_path / "a.dat")
    elif suffix == ".csv":
        path.write_text("t,I,II\n0,1,\n1,2,\n2,3,nan\n")
    else:
        np.savez(path, signal=np.array([[1, np.nan], [2, np.nan]]), fs=1)
    name = "II" if suffix == ".hea" else "2"
    words = f"values in every channel, found none in channel {name}: all NaN; leave it out: --l"
    refused(path, words, early=False)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_one_sample(tmp_path: Path, refused: Refused, suffix: str) -> None:
    path = tmp_path / f"a{suffix}"
    rate = 8000.0 if suffix in SUFFIXES[4:] else 250.0
    save(signal(1, 1, rate=rate, data=np.full((1, 1), 0.25, np.float32)), path)
    if suffix == ".csv":
        refused(path, "times that increase over two rows or more, found .* in the last of 1")
    else:
        sample = load(path)
        assert sample.space[0] >= 1
        assert abs(float(sample.data[0, 0]) - 0.25) < (0.3 if suffix in (".ogg", ".mp3") else 1e-4)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_flat_and_clipped_leads(tmp_path: Path, suffix: str) -> None:
    """They are signals as any."""
    data = np.clip(waves(2, 9000) * 3, -1, 1)
    data[1] = 0.5
    path = saved(tmp_path / f"a{suffix}", data=data)
    sample = load(path)
    assert isinstance(sample, Signal)
    if suffix not in (".ogg", ".mp3"):
        assert sample.flat_channels == sample.names[1:]
        assert np.allclose(sample.data, data, atol=1e-4)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("t,I\n0,1\n1,abc\n2,3\n", "numbers, found 'abc' in row 2 of values; replace it"),
        ("t,I\n0,1\n1,2,3\n2,3\n", "2 fields in each row, found 3 in row 2"),
        ("t,I,II\n0,1,2\n1,2\n2,3,4\n", "3 fields in each row, found 2 in row 2"),
        ("t,I\n0.0,1\n1.0,2\n3.0,3\n4.0,4\n", "steps, some 1.33333 apart, found '1.0' in row 2"),
        ("I,II\n5,1\n4,2\n9,3\n", "times in equal steps"),
        ("I,II\n5,1\n4,2\n3,3\n", "times that increase .*; name a column time, in seconds, or"),
        ("t,I\n0,1\nx,2\n2,3\n", "numbers, found 'x' in row 2"),
        ("t,I\n0,1\n,2\n2,3\n", "times in equal steps"),
        ("t,I\n", "rows of time and one value or more, found 2 columns and 0 rows"),
        ("I\n1\n2\n", "rows of time and one value or more, found 1 columns"),
        ("time [weeks],I\n0,1\n1,2\n", r"time in s, sec, .* found the column 'time \[weeks\]'"),
        ("t,I\n0,1\n0,2\n", "times that increase over two rows"),
        ("t,I\n0,1\ninf,2\n", "expected "),
        ("t,I\n0,1\n1,1e99\n", "finite values, found 1 that"),
        ("t,I\n0,1\n1,inf\n", "finite values, found 1 that"),
        ("\0\0\0,\0\n\0,\0\n", "expected "),
        (
            "t," + "I" * 200_000 + "\n0,1\n1,2\n",
            "a table of text, found an error of csv: field l",
        ),
    ],
)
def test_tables_that_are_none(tmp_path: Path, refused: Refused, text: str, words: str) -> None:
    (tmp_path / "a.csv").write_text(text)
    late = ("row ", "finite", "steps")
    refused(tmp_path / "a.csv", words, early=not any(word in words for word in late))


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"other": np.ones(3)}, "an array named signal, of shape .* found other; write it"),
        ({"signal": np.ones(3)}, "the sampling rate as one number named fs, found none"),
        ({"signal": np.ones(3), "fs": "x"}, "one number named fs, found <U1 of shape"),
        ({"signal": np.ones(3), "fs": [1, 2]}, r"named fs, found int64 of shape \(2,\)"),
        ({"signal": np.ones(3), "fs": 0}, "a sampling rate above 0 Hz, found 0.0"),
        ({"signal": np.ones((3, 2)), "fs": 1, "names": ["I"]}, "2 names, one for each channel, f"),
        ({"signal": np.ones((3, 2)), "fs": 1, "units": [1, 2]}, "2 units, one for each channel, f"),
        ({"signal": np.ones((3, 0)), "fs": 1}, "a signal of numbers, .* neither of them 0, found"),
        ({"signal": np.ones((3, 2, 2)), "fs": 1}, r"a signal of numbers, .* \(3, 2, 2\)"),
        ({"signal": np.array(["a"]), "fs": 1}, "a signal of numbers, .* found <U1"),
        (
            {"signal": np.array([1.0, np.inf]), "fs": 1},
            "finite values, found 1 that are NaN or inf",
        ),
        ({"signal": np.ones(3), "fs": np.ones(10**6)}, "found an array of 8000128 bytes"),
    ],
)
def test_archives_of_other_things(
    tmp_path: Path, refused: Refused, arrays: dict[str, object], words: str
) -> None:
    np.savez(tmp_path / "a.npz", **arrays)  # type: ignore[arg-type]
    refused(tmp_path / "a.npz", words, early="signal" in words and "fs" not in words)


def test_nothing_is_unpickled(tmp_path: Path, refused: Refused) -> None:
    bomb = np.array([Bomb(), 1], object)
    np.savez(tmp_path / "a.npz", allow_pickle=True, signal=bomb, fs=1)
    refused(tmp_path / "a.npz", "a signal of numbers, .* found object")
    np.savez(tmp_path / "b.npz", allow_pickle=True, signal=np.ones((3, 2)), fs=1, names=bomb)
    refused(
        tmp_path / "b.npz", "plain numbers and text, found an error of its reader: Obj", early=False
    )


def test_an_archive_that_claims_what_is_not_there(tmp_path: Path, refused: Refused) -> None:
    for shape in ((10**12, 3), (2**62, 8)):
        header = io.BytesIO()
        described = {"descr": "<f8", "fortran_order": False, "shape": shape}
        np.lib.format.write_array_header_1_0(header, described)
        with zipfile.ZipFile(tmp_path / "a.npz", "w") as archive:
            archive.writestr("signal.npy", header.getvalue())
        refused(tmp_path / "a.npz", r"bytes for a signal of shape \(")


def edited(path: Path, place: slice, text: bytes) -> Path:
    data = bytearray(path.read_bytes())
    data[place] = text.ljust(place.stop - place.start)
    path.write_bytes(data)
    return path


@pytest.mark.parametrize(
    ("place", "text", "words"),
    [
        (slice(236, 244), b"-2", "with its numbers of signals, records and samples, found"),
        (slice(236, 244), b"99999999", "[0-9]+ bytes, found [0-9]+; get the file again"),
        (slice(252, 256), b"9999", "an EDF or BDF header with its numbers"),
        (slice(252, 256), b"0", "an EDF or BDF header with its numbers"),
        (slice(252, 256), b"abc", "an EDF or BDF header with its numbers"),
        (slice(244, 252), b"0", "found an error of pyedflib"),
        (slice(168, 176), b"99.99.99", "found an error of pyedflib"),
    ],
)
def test_edf_headers_that_lie(
    tmp_path: Path, refused: Refused, place: slice, text: bytes, words: str
) -> None:
    refused(edited(saved(tmp_path / "a.edf"), place, text), words)


def test_wav_headers_that_lie(tmp_path: Path, refused: Refused) -> None:
    path = saved(tmp_path / "a.wav")
    data = bytearray(path.read_bytes())
    at = data.index(b"data") + 4
    for length in (2**31, 2**32 - 2):
        data[at : at + 4] = struct.pack("<I", length)
        path.write_bytes(data)
        refused(path, f"{length} bytes of sound, found 72000; get the file again")
    # What ffmpeg and sox write where nobody knows it.
    for length in (2**32 - 1, 0x7FFFF000, 0x7FFFEFFA, 0x7FFFFFFF):
        data[at : at + 4] = struct.pack("<I", length)
        path.write_bytes(data)
        assert load(path).space == (9000,)


@pytest.mark.parametrize("value", [np.nan, np.inf])
def test_sound_that_is_not_finite(tmp_path: Path, refused: Refused, value: float) -> None:
    values = np.zeros(9000, np.float32)
    values[8500] = value
    soundfile.write(tmp_path / "a.wav", values, 8000, "FLOAT")
    refused(tmp_path / "a.wav", "finite values, found 1 that are NaN or infinite", early=False)


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_sizes(tmp_path: Path, suffix: str) -> None:
    path = saved(tmp_path / f"a{suffix}")
    for read in (load, grid):
        read(path, (0,))
        with pytest.raises(
            ConfigError, match=r"--size: .* 0 for a signal, which keeps its grid of"
        ):
            read(path, (64,))


@pytest.mark.slow
@settings(deadline=None, max_examples=300)
@given(
    suffix=st.sampled_from(SUFFIXES[:7]),  # the decoder of MP3 prints
    where=st.floats(0, 1),
    garbage=st.binary(min_size=1, max_size=40),
)
def test_garbage_is_an_error_or_a_signal(
    tmp_path_factory: pytest.TempPathFactory, suffix: str, where: float, garbage: bytes
) -> None:
    path = saved(tmp_path_factory.mktemp("garbage") / f"a{suffix}", length=500)
    spoil(path, where**3, garbage)  # headers come first
    check_read_or_refused(path, ImpastoError)
