"""ECG paper: what is drawn where, in mm on the page."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")

from impasto.media.signals.signal import Signal
from impasto.plots import View, page, plot
from impasto.plots.signal import plot_signals
from tests.signals import heartbeats, signal

RATE = 250.0
SECONDS = 12
TIMES = np.arange(int(SECONDS * RATE)) / RATE
# A step of 1 mV after 2 s: its height and place on the page are known.
STEP = signal([np.where(TIMES >= 2, 0.0, -1.0), heartbeats(SECONDS)], RATE)


@pytest.fixture
def drawn(monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """The matplotlib figures that are saved."""
    from impasto.plots import signal as module

    figures: list[Any] = []
    monkeypatch.setattr(module, "save_figure", lambda figure, output: figures.append(figure))
    return figures


def figure_of(drawn: list[Any], *signals: Signal, **view: Any) -> Any:
    labels = ["out.edf", "content.edf", "style.edf"][: len(signals)]
    plot_signals(signals, labels, Path("out.png"), View(**view))
    return drawn.pop()


def parts(figure: Any, name: str) -> list[Any]:
    """The lines and collections of that name."""
    axes = figure.axes[0]
    return [each for each in (*axes.lines, *axes.collections) if each.get_gid() == name]


def texts(figure: Any) -> list[str]:
    return [text.get_text() for axes in figure.axes for text in axes.texts]


def size(figure: Any) -> tuple[float, float]:
    """Width and height in mm."""
    width, height = figure.get_size_inches() * 25.4
    return float(width), float(height)


def places(lines: Any) -> tuple[np.ndarray, np.ndarray]:
    """Where vertical or horizontal lines begin."""
    starts = np.array([segment[0] for segment in lines.get_segments()])
    return starts[:, 0], starts[:, 1]


def test_a_unit_of_the_axes_is_a_millimeter(drawn: list[Any]) -> None:
    figure = figure_of(drawn, STEP)
    axes = figure.axes[0]
    box = axes.get_position().bounds
    assert box == (0, 0, 1, 1)
    assert (axes.get_xlim()[1], axes.get_ylim()[1]) == pytest.approx(size(figure))


@pytest.mark.parametrize(("seconds", "grid"), [(None, 260), (4.0, 110), (1.0, 100), (60.0, 1510)])
def test_the_page_is_as_wide_as_the_stretch(
    drawn: list[Any], seconds: float | None, grid: float
) -> None:
    long = signal(heartbeats(70), RATE)
    figure = figure_of(drawn, long, seconds=seconds)
    assert size(figure)[0] == pytest.approx(grid + 20)
    ruled = parts(figure, "grid-1mm")[0]
    across = places(ruled)[0]
    assert across.max() - across.min() == pytest.approx(grid)


def test_the_grid_is_1_and_5_mm(drawn: list[Any]) -> None:
    figure = figure_of(drawn, STEP)
    for name, step in (("grid-1mm", 1.0), ("grid-5mm", 5.0)):
        vertical, horizontal = parts(figure, name)
        assert np.diff(places(vertical)[0]) == pytest.approx(step)
        assert np.diff(places(horizontal)[1]) == pytest.approx(step)


def test_25_mm_a_second_and_10_mm_a_millivolt(drawn: list[Any]) -> None:
    figure = figure_of(drawn, STEP)
    step, beats = (line.get_xydata() for line in parts(figure, "trace"))
    ruled = places(parts(figure, "grid-5mm")[0])[0]
    baselines = places(parts(figure, "grid-5mm")[1])[1]
    for line in (step, beats):
        assert np.diff(line[:, 0]) == pytest.approx(25 / RATE)
        assert np.min(np.abs(ruled - line[0, 0])) < 1e-9  # the first second is on the grid
    assert step[:, 1].max() - step[:, 1].min() == pytest.approx(10)
    assert np.min(np.abs(baselines - step[-1, 1])) < 1e-9
    assert step[step[:, 1] > step[0, 1] + 5][0, 0] - step[0, 0] == pytest.approx(50)
    assert beats[:, 1].max() - np.median(beats[:, 1]) == pytest.approx(10, rel=0.02)
    assert "0 s to 10 s   25 mm/s   10 mm/mV" in texts(figure)


def test_the_calibration_pulse_is_1_mv_for_200_ms(drawn: list[Any]) -> None:
    figure = figure_of(drawn, STEP)
    pulses = parts(figure, "calibration")
    assert len(pulses) == 2
    for pulse, trace in zip(pulses, parts(figure, "trace"), strict=True):
        x, y = pulse.get_xydata().T
        assert y.max() - y.min() == pytest.approx(10)
        high = x[y == y.max()]
        assert high.max() - high.min() == pytest.approx(0.2 * 25)
        assert x.max() <= trace.get_xdata().min()


def test_leads_are_labelled(drawn: list[Any]) -> None:
    assert {"I", "II"} <= set(texts(figure_of(drawn, STEP)))
    shown = texts(figure_of(drawn, STEP, leads=("ii",)))
    assert "II" in shown
    assert "I" not in shown
    assert "I" in texts(figure_of(drawn, STEP, leads=("1",)))


def test_medical_plots_say_so(drawn: list[Any]) -> None:
    for kind in ("ecg", "spectrum", "spectrogram"):
        assert "Not for diagnosis" in texts(figure_of(drawn, STEP, kind=kind))


@pytest.mark.parametrize(("unit", "scale"), [("uV", 1000), ("V", 0.001), ("µV", 1000)])
def test_voltages_are_converted(drawn: list[Any], unit: str, scale: float) -> None:
    other = signal(STEP.data * scale, RATE, units=(unit, unit))
    one, two = (parts(figure_of(drawn, each), "trace")[0] for each in (STEP, other))
    np.testing.assert_allclose(one.get_ydata(), two.get_ydata(), rtol=1e-6)


def test_an_unknown_unit_has_a_grid_without_millivolts(drawn: list[Any]) -> None:
    figure = figure_of(drawn, signal(STEP.data * 30, RATE, units=("", "NU")))
    assert not parts(figure, "calibration")
    shown = texts(figure)
    assert "10 mm = 20 (unit unknown)" in shown
    assert any(text.startswith("10 mm = ") and text.endswith(" NU") for text in shown)
    assert not any("mV" in text for text in shown)
    step = parts(figure, "trace")[0].get_ydata()
    assert step.max() - step.min() == pytest.approx(10 * 30 / 20)
    (bar, _) = parts(figure, "bar")
    assert np.ptp(bar.get_ydata()) == 10


def test_what_would_not_be_seen_has_another_gain(drawn: list[Any]) -> None:
    small = figure_of(drawn, signal(STEP.data / 50, RATE))
    assert "0 s to 10 s   25 mm/s   2000 mm/mV" in texts(small)
    large = figure_of(drawn, signal(STEP.data * 100, RATE))
    assert "0 s to 10 s   25 mm/s   0.2 mm/mV" in texts(large)


def test_content_is_gray_below_and_the_style_has_its_own_row(drawn: list[Any]) -> None:
    content = signal(STEP.data[::-1], RATE, names=("II", "I"))
    style = signal(np.tile(heartbeats(20, 500), (2, 1)), 500.0)
    figure = figure_of(drawn, STEP, content, style)
    colors = [line.get_color() for line in parts(figure, "trace")]
    assert colors == [page.GRAY, page.BLUE, page.VERMILION] * 2
    gray, blue, style_line = (line.get_ydata() for line in parts(figure, "trace")[:3])
    np.testing.assert_allclose(gray, blue)  # the same lead by name, on the same baseline
    assert style_line.max() < blue.min()
    assert {
        "out.edf",
        "content.edf",
        "style.edf",
        "out.edf over content.edf, style.edf below",
    } <= set(texts(figure))


def test_gaps_are_gaps(drawn: list[Any]) -> None:
    gaps = np.zeros(STEP.data.shape, bool)
    gaps[0, 1000:1500] = True
    lines = parts(figure_of(drawn, signal(STEP.data, RATE, gaps=gaps)), "trace")
    np.testing.assert_array_equal(np.isnan(lines[0].get_ydata()), gaps[0, :2500])
    assert np.isfinite(lines[1].get_ydata()).all()


def test_a_stretch_later_on(drawn: list[Any]) -> None:
    figure = figure_of(drawn, STEP, start=1.5, seconds=2.0)
    step = parts(figure, "trace")[0].get_xydata()
    assert len(step) == 500
    assert "1.5 s to 3.5 s   25 mm/s   10 mm/mV" in texts(figure)
    jump = step[step[:, 1] > step[0, 1] + 5][0, 0]
    assert jump - step[0, 0] == pytest.approx(0.5 * 25)


def test_a_long_stretch_is_its_envelope(drawn: list[Any]) -> None:
    values = np.random.default_rng(0).normal(size=1_000_000)
    values[777_777] = 20
    figure = figure_of(drawn, signal(values, RATE), seconds=4000.0)
    line = parts(figure, "trace")[0].get_xydata()
    assert len(line) <= 12_000
    assert size(figure)[0] == pytest.approx(280)
    assert not parts(figure, "grid-1mm")
    spike = line[np.argmax(line[:, 1]), 0] - line[0, 0]
    assert spike == pytest.approx(250 * 777_777 / 1_000_000, abs=0.2)


@pytest.mark.parametrize("values", [[0.5], [0.5, 0.5], np.zeros(3000), np.zeros((2, 40))])
@pytest.mark.parametrize("kind", ["ecg", "spectrum", "spectrogram"])
def test_short_and_flat_signals_are_drawn(drawn: list[Any], values: Any, kind: Any) -> None:
    figure = figure_of(drawn, signal(values), kind=kind)
    figure.canvas.draw()
    assert figure.axes


def test_a_lead_that_is_all_gap_is_drawn(drawn: list[Any]) -> None:
    gaps = np.array([[True] * 3000, [False] * 3000])
    for kind in ("ecg", "spectrum", "spectrogram"):
        figure = figure_of(drawn, signal(STEP.data, RATE, gaps=gaps), kind=kind)
        figure.canvas.draw()
        assert figure.axes, kind


def test_the_png_is_true_on_paper(tmp_path: Path) -> None:
    from PIL import Image

    plot([STEP], ["step.edf"], tmp_path / "out.png", View())
    with Image.open(tmp_path / "out.png") as picture:
        across, down = picture.info["dpi"]
        assert across == down == pytest.approx(200, abs=0.1)
        assert picture.width / across * 25.4 == pytest.approx(280, abs=0.2)


def test_svg_and_pdf(tmp_path: Path) -> None:
    for name in ("out.svg", "out.pdf"):
        plot([STEP], ["$a_b$.edf"], tmp_path / name, View())
    svg = (tmp_path / "out.svg").read_text()
    points = 280 / 25.4 * 72
    assert f'width="{points:.6f}'[:12] in svg
    assert (tmp_path / "out.pdf").read_bytes().startswith(b"%PDF")
