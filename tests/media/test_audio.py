"""Sound files in and out: soundfile is the oracle."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import soundfile

from impasto.errors import OutputError
from impasto.media import grid, load, save
from tests.media.memory import growth, on_linux
from tests.media.signals import loaded, signal, waves

EXACT = [
    *(("a.wav", each) for each in ("PCM_U8", "PCM_16", "PCM_24", "FLOAT", "ULAW", "ALAW")),
    *(("a.flac", each) for each in ("PCM_S8", "PCM_16", "PCM_24")),
]
TAGS = {"title": "Ein Titel", "artist": "ä", "date": "1999"}


def written(path: Path, subtype: str, channels: int = 2, length: int = 5000) -> Path:
    """Smooth noise over the whole range of the encoding, with tags."""
    rate = 22050
    with soundfile.SoundFile(path, "w", rate, channels, subtype) as file:
        for tag, text in TAGS.items():
            setattr(file, tag, text)
        file.comment = "two\nlines"
        file.write(waves(channels, length).T)
    return path


@pytest.mark.parametrize(("name", "subtype"), EXACT)
@pytest.mark.parametrize("channels", [1, 2, 5])
def test_both_ways(tmp_path: Path, name: str, subtype: str, channels: int) -> None:
    """Every value is the same, bit for bit."""
    path = written(tmp_path / name, subtype, channels)
    sample = loaded(path)
    values, rate = soundfile.read(path, dtype="float32", always_2d=True)
    assert np.array_equal(sample.data, values.T)
    assert sample.rate == rate == 22050
    assert sample.value_range == (-1, 1)
    assert sample.names == {1: ("1",), 2: ("left", "right")}.get(channels, tuple("12345"))
    assert sample.units == ("",) * channels
    assert grid(path) == (channels, (5000,))
    save(sample, tmp_path / f"b{path.suffix}", '{"seed": 1}')
    with soundfile.SoundFile(tmp_path / f"b{path.suffix}") as again:
        assert (again.samplerate, again.channels, again.subtype) == (22050, channels, subtype)
        assert np.array_equal(again.read(dtype="float32", always_2d=True), values)
        assert {tag: getattr(again, tag) for tag in TAGS} == TAGS
        assert again.comment == 'two\nlines\nimpasto: {"seed": 1}'
    save(loaded(tmp_path / f"b{path.suffix}"), tmp_path / f"c{path.suffix}")
    with soundfile.SoundFile(tmp_path / f"c{path.suffix}") as again:
        assert again.comment == "two\nlines"


@pytest.mark.parametrize(
    ("name", "subtype"), [("a.ogg", "VORBIS"), ("a.ogg", "OPUS"), ("a.mp3", "MPEG_LAYER_III")]
)
def test_lossy_formats(tmp_path: Path, name: str, subtype: str) -> None:
    rate = 24000
    tone = 0.5 * np.sin(np.arange(48000) * 0.05)[:, None]
    soundfile.write(tmp_path / name, tone, rate, subtype)
    sample = loaded(tmp_path / name)
    save(sample, tmp_path / f"b{name}", "how")
    with soundfile.SoundFile(tmp_path / f"b{name}") as again:
        assert (again.samplerate, again.channels, again.subtype) == (rate, 1, subtype)
        assert again.comment == "impasto: how"
        values = again.read(dtype="float32", always_2d=True)
    assert len(values) == pytest.approx(48000, abs=4000)
    error = values[2000:40000].T - sample.data[:, 2000:40000]
    assert np.sqrt(np.square(error).mean()) < 0.02  # of a tone of 0.35


@pytest.mark.parametrize(("name", "subtype"), EXACT)
def test_values_outside_become_the_nearest(tmp_path: Path, name: str, subtype: str) -> None:
    sample = loaded(written(tmp_path / name, subtype, 1))
    louder = sample.with_data(sample.data * 3)
    save(louder, tmp_path / f"b{name}")
    again, _ = soundfile.read(tmp_path / f"b{name}", dtype="float32", always_2d=True)
    if subtype == "FLOAT":
        assert np.array_equal(again.T, louder.data)
    else:
        half = 0.05 if "LAW" in subtype else 2.0 ** -int(subtype[-2:].strip("_US"))
        highest = 1 if "LAW" in subtype else 1 - 2 * half
        error = np.abs(again.T - np.clip(louder.data, -1, highest))
        assert error.max() <= half + 1e-7  # of float32


def test_between_containers(tmp_path: Path) -> None:
    sample = loaded(written(tmp_path / "a.wav", "PCM_16"))
    save(sample, tmp_path / "a.flac")
    again = loaded(tmp_path / "a.flac")
    assert again.source.subtype == "PCM_16"
    assert np.array_equal(again.data, sample.data)
    save(sample, tmp_path / "a.ogg")
    assert loaded(tmp_path / "a.ogg").source.subtype == "VORBIS"
    save(loaded(tmp_path / "a.ogg"), tmp_path / "b.wav")
    assert loaded(tmp_path / "b.wav").source.subtype == "FLOAT"


def test_signals_that_are_no_sound(tmp_path: Path) -> None:
    quiet, loud = signal(), signal(data=5 * waves())
    save(loud, tmp_path / "a.wav")
    assert np.array_equal(loaded(tmp_path / "a.wav").data, loud.data)
    save(quiet, tmp_path / "a.flac")
    assert np.allclose(loaded(tmp_path / "a.flac").data, quiet.data, atol=1e-6)
    for suffix in (".flac", ".ogg", ".mp3"):
        with pytest.raises(OutputError, match=r"values in \[-1, 1\], as .*; scale .* as \.wav"):
            save(loud, tmp_path / f"b{suffix}")
    with pytest.raises(OutputError, match=r"whole number of Hz, found 0.4 Hz; .*resampled\(1\)"):
        save(signal(rate=0.4), tmp_path / "b.wav")
    with pytest.raises(OutputError, match="the format can hold, found an error of its enc"):
        save(signal(rate=123.0), tmp_path / "b.mp3")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.flac", "a.wav"]


def test_real_sounds(shared: Path, tmp_path: Path) -> None:
    for path in sorted((shared / "signals").glob("*.wav")):
        save(load(path), tmp_path / "a.wav")
        before, after = (soundfile.read(each, dtype="int16") for each in (path, tmp_path / "a.wav"))
        assert before[1] == after[1]
        assert np.array_equal(before[0], after[0])


@on_linux
@pytest.mark.slow
def test_memory_of_an_hour(tmp_path: Path) -> None:
    """Stereo at 22.05 kHz, 605 MB as floats: as much again, for the file's order of channels."""
    written(tmp_path / "small.wav", "PCM_16")
    second = (waves(2, 22050).T * 30000).astype(np.int16)
    with soundfile.SoundFile(tmp_path / "big.wav", "w", 22050, 2, "PCM_16") as file:
        for _ in range(3600):
            file.write(second)
    assert growth(tmp_path, ".wav") < 700
