"""Spectra, spectrograms and waveforms."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("scipy")

from impasto.media.signals.leads import lead
from impasto.media.signals.spectrum import spectrogram
from impasto.plots import View
from impasto.plots.page import BLUE, GRAY, INK, VERMILION
from impasto.plots.signal import plot_signals
from impasto.plots.spectra import band, curve
from impasto.plots.traces import envelope, trace
from tests.signals import signal, sound

RATE = 8000
TIMES = np.arange(3 * RATE) / RATE
TONE = sound(np.sin(2 * np.pi * 1000 * TIMES))
LOW = sound(0.1 * np.sin(2 * np.pi * 200 * TIMES[:RATE]))


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The matplotlib figures that are saved."""
    from impasto.plots import signal as module

    figures: list[Any] = []
    monkeypatch.setattr(module, "save_figure", lambda figure, output: figures.append(figure))
    return figures


def meshes(figure: Any) -> list[Any]:
    """The spectrograms."""
    return [
        mesh
        for axes in figure.axes
        for mesh in axes.collections
        if type(mesh).__name__ == "QuadMesh" and axes.get_xlabel() == "s"
    ]


def test_a_sine_of_full_scale_is_at_0_db() -> None:
    part = lead(TONE, 0)
    drawing = band(part, trace(TONE, 0, (0, len(TIMES)), 100), "", 0.0, 0.093, audio=True)
    middle = drawing.levels[:, drawing.levels.shape[1] // 2]
    row = int(np.argmax(middle))
    assert middle[row] == pytest.approx(0, abs=1.5)
    assert drawing.frequencies[row] <= 1010
    assert drawing.frequencies[row + 1] >= 990
    assert middle[0] < -60


def test_a_row_of_a_spectrogram_is_one_frequency_where_there_are_few() -> None:
    given = signal(np.random.default_rng(0).normal(size=2000), 250.0)
    part = lead(given, 0)
    drawing = band(part, trace(given, 0, (0, 2000), 100), "", 0.0, 0.5, audio=False)
    frequencies, _, power = spectrogram(part.values, 250.0, 125, 1200)
    assert len(drawing.levels) == len(frequencies)
    np.testing.assert_allclose(drawing.levels[:-1], 10 * np.log10(power[:-1]), rtol=1e-9)


def test_a_spectrum_is_in_decibels() -> None:
    noise = np.random.default_rng(0).normal(size=100_000)
    drawing = curve(lead(signal(noise, 250.0), 0), "", INK, 4.0, audio=False)
    assert drawing.frequencies[0] == pytest.approx(0.25)
    assert drawing.frequencies[-1] == pytest.approx(125)
    assert np.mean(drawing.levels[1:-1]) == pytest.approx(10 * np.log10(2 / 250), abs=0.2)


def test_an_envelope_keeps_the_extremes() -> None:
    values = np.random.default_rng(0).normal(size=10_000)
    values[2000:2500] = np.nan
    seconds, bounds = envelope(np.arange(10_000.0), values, 100)
    assert len(seconds) == len(bounds) == 200
    for block in range(100):
        part = values[block * 100 : block * 100 + 100]
        if 20 <= block < 25:
            assert np.isnan(bounds[2 * block : 2 * block + 2]).all()
        else:
            assert list(bounds[2 * block : 2 * block + 2]) == [part.min(), part.max()]
        assert seconds[2 * block] == block * 100
    assert envelope(seconds, bounds, 100)[1] is bounds


def test_sounds_are_waveforms_and_spectrograms_of_one_scale(drawn: list[Any]) -> None:
    plot_signals([TONE, LOW], ["out.wav", "content.wav"], Path("out.png"), View())
    (figure,) = drawn
    one, other = meshes(figure)
    assert one.get_clim() == other.get_clim() == (-80, 0)
    waves = [axes for axes in figure.axes if axes.lines]
    assert [axes.get_title(loc="left") for axes in waves] == ["out.wav", "content.wav"]
    assert waves[0].get_ylim() == waves[1].get_ylim() == pytest.approx((-1.1, 1.1))
    assert all(axes.get_xlim() == (0, 3) for axes in (one.axes, other.axes, *waves))
    assert one.axes.get_yscale() == "log"
    labels = [axes.get_ylabel() for axes in figure.axes]
    assert "dBFS" in labels
    assert not any("diagnosis" in text.get_text() for axes in figure.axes for text in axes.texts)
    figure.canvas.draw()


def test_channels_are_rows(drawn: list[Any]) -> None:
    stereo = sound([TONE.data[0], -TONE.data[0]])
    plot_signals([stereo], ["out.wav"], Path("out.png"), View())
    assert len(meshes(drawn[0])) == 2
    titles = {axes.get_title(loc="left") for axes in drawn[0].axes} - {""}
    assert titles == {"out.wav  channel 1", "out.wav  channel 2"}


@pytest.mark.parametrize("suffix", [".png", ".html"])
def test_a_lead_that_the_other_lacks_leaves_a_place_empty(suffix: str, tmp_path: Path) -> None:
    both, one = signal(np.random.default_rng(0).normal(size=(2, 600))), signal(np.ones(600))
    output = tmp_path / f"out{suffix}"
    plot_signals([both, one], ["both", "one"], output, View("spectrogram"))
    assert output.stat().st_size > 10_000


def test_the_page_is_as_wide_as_all_samples(drawn: list[Any]) -> None:
    both, one = signal(np.random.default_rng(0).normal(size=(2, 600))), signal(np.ones(600))
    plot_signals([one, both], ["one", "both"], Path("out.png"), View("spectrogram"))
    plot_signals([both, one], ["both", "one"], Path("out.png"), View("spectrogram"))
    assert [len(meshes(figure)) for figure in drawn] == [2, 3]
    assert drawn[0].get_size_inches()[0] == drawn[1].get_size_inches()[0]


def test_a_gap_is_blank_in_a_spectrogram(drawn: list[Any]) -> None:
    gaps = np.zeros((1, 3000), bool)
    gaps[0, 1000:2000] = True
    given = signal(np.random.default_rng(0).normal(size=3000), 250.0, gaps=gaps)
    plot_signals([given], ["x"], Path("out.png"), View("spectrogram", seconds=12.0))
    (mesh,) = meshes(drawn[0])
    levels = np.ma.filled(mesh.get_array(), np.nan).reshape(mesh._coordinates.shape[0] - 1, -1)
    blank = np.asarray(np.isnan(levels).all(axis=0))
    seconds = mesh._coordinates[0, :-1, 0]
    assert blank[(seconds > 4) & (seconds < 7.9)].all()
    assert not blank[(seconds < 3.6) | (seconds > 8.4)].any()


def test_spectra_are_overlaid(drawn: list[Any]) -> None:
    noise = np.random.default_rng(0).normal(size=(4, 5000))
    signals = [signal(noise[:2]), signal(noise[2:]), signal(noise[1:3], 200.0)]
    plot_signals(signals, ["a", "b", "c"], Path("out.png"), View("spectrum"))
    canvas, *panels = drawn[0].axes
    assert [panel.get_title(loc="left") for panel in panels] == ["I", "II"]
    for panel in panels:
        assert [line.get_color() for line in panel.lines] == [VERMILION, GRAY, BLUE]
        assert panel.get_xscale() == "log"
        assert panel.get_ylim() == panels[0].get_ylim()
    assert panels[0].get_ylabel() == "PSD (dB re 1 mV²/Hz)"
    assert "Power spectral density of a, b and c" in [text.get_text() for text in canvas.texts]


def test_a_sound_may_be_silent(drawn: list[Any]) -> None:
    for kind in ("spectrogram", "spectrum", "ecg"):
        plot_signals([sound(np.zeros(9000))], ["x"], Path("out.png"), View(kind))
        figure = drawn.pop()
        figure.canvas.draw()
        assert figure.axes, kind
