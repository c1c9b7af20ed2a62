"""The command on recordings and sounds: leads, spans, presets, and what it says of them."""

from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from impasto import media
from impasto.cli import arguments, parsing
from impasto.config.presets import PRESET_BY_SUFFIX, PRESETS
from impasto.media.signals.signal import Signal
from impasto.optimizers.adam import adam
from impasto.transfer import scale
from tests.cli.test_cli import impasto, listing, one_line
from tests.media.test_odd_recordings import ECG, edf
from tests.signals import heartbeats, signal, sound

FEW = ("--steps", "2")
NOTE = "style resampled from 125 to 100 Hz, the content's rate"


def recording(rate: float, seconds: float, period: float, seed: int) -> Signal:
    """Two leads of heartbeats with noise."""
    beats = heartbeats(seconds, rate, period)
    noise = np.random.default_rng(seed).normal(size=(2, len(beats)))
    return signal(np.stack([beats, 0.5 * beats]) + 0.02 * noise, rate)


@pytest.fixture
def ward(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The current folder, with a content at 100 Hz and a style at 125 Hz."""
    pytest.importorskip("scipy")
    content, style = recording(100.0, 5, 0.8, 1), recording(125.0, 6, 0.6, 2)
    for suffix in (".hea", ".csv"):
        media.save(content, tmp_path / f"content{suffix}")
        media.save(style, tmp_path / f"style{suffix}")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def stylize(*others: str, content: str = "content.csv", style: str = "style.csv") -> int:
    return impasto("stylize", content, style, "-o", "out.csv", *FEW, *others)


def table(path: Path, header: str, *columns: Any) -> None:
    """A CSV file of those columns."""
    rows = (",".join(map(str, row)) for row in zip(*columns, strict=True))
    path.write_text("\n".join((header, *rows)) + "\n")


TIMES = np.arange(500) / 100


def test_leads_of_other_names_are_asked_for_and_paired(
    ward: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    style = media.load("style.csv")
    assert isinstance(style, Signal)
    media.save(replace(style, names=("V1", "V2")), "style.csv")
    assert stylize() == 2
    message = one_line(capfd)
    assert "the content's leads I, II, found V1, V2, none of which is named as I, II" in message
    assert "--pair I=V1" in message
    assert stylize("--pair", "I=V2", "II=V1") == 0
    assert "lead V2, V1 is the style of lead I, II" in capfd.readouterr().err


def test_a_sleep_study_by_its_ecg(ward: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Channels at other rates matter only where they are asked for, in the plot too."""
    edf(ward / "night.edf", [ECG, (b"SpO2", b"%", np.full(8, 97.0), 1, 0.0, 100.0)])
    files = ("night.edf", "style.csv", "-o", "out.edf", "--style-leads", "I", *FEW)
    assert impasto("stylize", *files) == 2
    assert "found ECG at 250, SpO2 at 1 Hz; choose those of one" in one_line(capfd)
    assert impasto("stylize", *files, "--leads", "ECG", "--plot", "plot.png") == 0
    out = media.load("out.edf")
    assert isinstance(out, Signal)
    assert (out.names, out.rate) == (("ECG",), 250)


@pytest.mark.parametrize("suffix", [".hea", ".csv"])
def test_a_recording_comes_back_with_its_header(ward: Path, suffix: str) -> None:
    names = (f"content{suffix}", f"style{suffix}", "-o", f"out{suffix}")
    assert impasto("stylize", *names, *FEW) == 0
    content, out = media.load(names[0]), media.load(f"out{suffix}")
    assert isinstance(content, Signal)
    assert isinstance(out, Signal)
    assert (out.rate, out.names, out.units) == (content.rate, content.names, content.units)
    assert out.data.shape == content.data.shape
    assert 0.001 < np.abs(out.data - content.data).max() < 2
    text = Path(f"out{suffix}").read_text()
    recipe = json.loads(next(line for line in text.splitlines() if "impasto" in line)[11:])
    assert recipe["config"]["optimizer"]["annealing"] == PRESETS["ecg"].optimizer.annealing
    assert recipe["config"]["objective"]["spectrum_window"] == 3.0


def test_leads_and_spans_are_taken(ward: Path) -> None:
    assert stylize("--leads", "ii", "--style-leads", "I", "--span", "0.5", "4.5") == 0
    out, content = media.load("out.csv"), media.load("content.csv")
    assert isinstance(out, Signal)
    assert (out.names, out.space) == (("II",), (400,))
    assert np.corrcoef(out.data[0], content.data[1, 50:450])[0, 1] > 0.5


# Presets.


@pytest.mark.parametrize("suffix", sorted(PRESET_BY_SUFFIX))
def test_the_contents_suffix_chooses_the_preset(suffix: str) -> None:
    command = parsing.parse(["stylize", f"a{suffix.upper()}", "b", "-o", "c"])
    assert isinstance(command, arguments.Stylize)
    assert command.config == PRESETS[PRESET_BY_SUFFIX[suffix]]


@pytest.mark.parametrize("flag", ["-o", "--output", "--plot", "--init"])
def test_other_files_do_not_choose_it(flag: str) -> None:
    outputs = [] if flag in ("-o", "--output") else ["-o", "c.csv"]
    command = parsing.parse(["stylize", flag, "page.png", "a.csv", "b.csv", *outputs])
    assert isinstance(command, arguments.Stylize)
    assert command.config.objective == PRESETS["ecg"].objective


def test_a_preset_that_is_named_is_taken(ward: Path) -> None:
    command = parsing.parse(["stylize", "a.csv", "b.csv", "-o", "c.csv", "--preset", "standard"])
    assert isinstance(command, arguments.Stylize)
    assert command.config == PRESETS["standard"]


@pytest.mark.slow
def test_a_sound_is_a_spectrogram(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("soundfile")
    monkeypatch.chdir(tmp_path)
    times = np.arange(4000) / 8000
    for name, pitch in (("content", 300), ("style", 440)):
        media.save(sound(0.5 * np.sin(2 * np.pi * pitch * times)), tmp_path / f"{name}.wav")
    names = ("content.wav", "style.wav", "-o", "out.wav")
    assert impasto("stylize", *names, "--steps", "2", "-q") == 0
    out = media.load("out.wav")
    assert isinstance(out, Signal)
    assert (out.rate, out.space) == (8000, (4000,))


# What it says.


def test_what_was_done_to_the_style_is_said(ward: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert stylize() == 0
    out, err = capfd.readouterr()
    assert out == ""
    assert NOTE in err.splitlines()
    assert stylize("--json") == 0
    out, err = capfd.readouterr()
    assert err == ""
    events = [json.loads(line) for line in out.splitlines()]
    assert {"event": "note", "text": NOTE} in events
    assert {"content", "style", "autocorrelation", "spectrum", "amplitude"} == set(
        events[-1]["terms"]
    )
    assert stylize("-q") == 0
    assert capfd.readouterr() == ("", "")


def test_nothing_is_said_where_nothing_was_done(
    ward: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    assert stylize(style="content.csv") == 0
    assert len(capfd.readouterr().err.splitlines()) == 2  # the inputs and the result


# What cannot be.


@pytest.mark.parametrize(
    ("others", "words"),
    [
        ("--leads V9", "some of the channels I, II, or their numbers from 1 up, found V9"),
        ("--style-leads V9", "some of the channels I, II, or their numbers from 1 up, found V9"),
        ("--leads I --style-leads I II --span 9 10", "between 0 and 5 s, found 9 to 10 s"),
        ("--span 4 2", "--span: expected two finite numbers"),
        ("--style-span 1", "--style-span: expected two finite numbers"),
        ("--style-span 0 60", "between 0 and 6 s"),
        ("--annealing 0", "--annealing: expected a number in (0, 1]"),
        ("--annealing 1.5", "--annealing: expected a number in (0, 1]"),
        ("--widths 1 0.1", "--widths: expected two finite numbers above 0, the shorter first"),
    ],
)
def test_settings_that_do_not_fit_are_one_line(
    ward: Path, capfd: pytest.CaptureFixture[str], others: str, words: str
) -> None:
    before = listing(ward)
    assert stylize(*others.split()) == 2
    assert words in one_line(capfd)
    assert listing(ward) == before


@pytest.mark.parametrize("part", [(0.0, 2.0), (1.0, 4.0)])
def test_less_than_a_window_is_one_line(
    ward: Path, capfd: pytest.CaptureFixture[str], part: tuple[float, float]
) -> None:
    assert stylize("--span", *map(str, part), style="content.csv") == 2
    assert "--spectrum-window: expected at least 4 positions" in one_line(capfd)


BAD = {
    "one sample": ("time,I [mV],II [mV]", [0], [1], [2]),
    "all NaN": ("time,I [mV],II [mV]", TIMES, np.sin(TIMES), np.full(500, np.nan)),
    "0 Hz": ("time,I [mV],II [mV]", 0 * TIMES, np.sin(TIMES), np.cos(TIMES)),
    "another lead": ("time,I [mV],V1 [mV]", TIMES, np.sin(TIMES), np.cos(TIMES)),
    "other units": ("time,I [mmHg],II [mmHg]", TIMES, np.sin(TIMES), np.cos(TIMES)),
}
WORDS = {
    "one sample": "over two rows or more",
    "all NaN": "none in channel 2: all NaN",
    "0 Hz": "expected times that increase",
    "another lead": "--style-leads",
    "other units": "a unit that can become",
}


@pytest.mark.parametrize("role", ["content", "style"])
@pytest.mark.parametrize("name", BAD)
def test_bad_recordings_are_one_line(
    ward: Path, capfd: pytest.CaptureFixture[str], name: str, role: str
) -> None:
    table(ward / "bad.csv", *BAD[name])
    before = listing(ward)
    others = {"content": "content.csv", "style": "content.csv"} | {role: "bad.csv"}
    assert stylize(**others) == 2
    assert WORDS[name] in one_line(capfd)
    assert listing(ward) == before


def test_a_record_of_0_hz_is_one_line(ward: Path, capfd: pytest.CaptureFixture[str]) -> None:
    header = "zero 1 0 500\nzero.dat 16 200 16 0 0 0 0 I\n"
    (ward / "zero.hea").write_text(header)
    (ward / "zero.dat").write_bytes(bytes(1000))
    assert stylize(content="zero.hea") == 2
    assert "above 0 Hz" in one_line(capfd)


@pytest.mark.parametrize("value", [0.0, 0.3])
def test_a_flat_lead_of_the_content_gives_a_finite_result(ward: Path, value: float) -> None:
    lead = heartbeats(5, 100.0)
    table(ward / "flat.csv", "time,I [mV],II [mV]", TIMES, lead, np.full(500, value))
    assert stylize("-q", content="flat.csv") == 0
    assert np.isfinite(media.load("out.csv").data).all()


@pytest.mark.parametrize("value", [0.0, 0.3])
def test_a_flat_lead_of_the_style_is_named(
    ward: Path, value: float, capfd: pytest.CaptureFixture[str]
) -> None:
    """Its statistics are those of nothing; Gram matrices, of all leads jointly, take it."""
    lead = heartbeats(5, 100.0)
    table(ward / "flat.csv", "time,I [mV],II [mV]", TIMES, lead, np.full(500, value))
    assert stylize("-q", style="flat.csv") == 2
    assert "found II flat throughout; leave it out with --leads" in one_line(capfd)
    assert stylize("-q", "--leads", "I", style="flat.csv") == 0
    none = (f"--{name}=0" for name in ("autocorrelation", "spectrum", "amplitude"))
    assert stylize("-q", *none, style="flat.csv") == 0
    assert np.isfinite(media.load("out.csv").data).all()


def test_gaps_of_the_content_that_leave_no_window_are_one_line(
    ward: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    lead = heartbeats(5, 100.0)
    lead[20::45] = np.nan
    table(ward / "gaps.csv", "time,I [mV],II [mV]", TIMES, lead, lead)
    assert stylize("--spectrum-window", "1", content="gaps.csv", style="content.csv") == 2
    found = one_line(capfd)
    assert "a content with stretches between its gaps as long as --spectrum-window" in found
    assert stylize("-q", "--spectrum-window", "0.4", content="gaps.csv") == 0


def test_other_units_of_voltage_give_the_same(ward: Path) -> None:
    style = media.load("style.csv")
    assert isinstance(style, Signal)
    media.save(style.in_units("uV"), ward / "micro.csv")
    results = []
    for name in ("style.csv", "micro.csv"):
        assert stylize("-q", style=name) == 0
        results.append(media.load("out.csv").data)
    np.testing.assert_allclose(results[0], results[1], atol=1e-3)


def test_a_gap_stays_a_gap(ward: Path) -> None:
    lead = heartbeats(5, 100.0)
    lead[120:150] = np.nan
    table(ward / "gap.csv", "time,I [mV],II [mV]", TIMES, heartbeats(5, 100.0), lead)
    assert stylize("-q", "--spectrum-window", "1", content="gap.csv") == 0
    out = media.load("out.csv")
    assert isinstance(out, Signal)
    assert out.gaps is not None
    assert np.flatnonzero(out.gaps.any(0)).tolist() == list(range(120, 150))


def test_the_learning_rate_comes_down_to_the_annealing(
    ward: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decays: list[float] = []

    def recorded(*others: Any, decay: float, **more: Any) -> Any:
        decays.append(decay)
        return adam(*others, decay=decay, **more)

    monkeypatch.setattr(scale, "adam", recorded)
    assert stylize("-q", "--annealing", "0.2") == 0
    assert [decay**2 for decay in decays] == pytest.approx([0.2])
