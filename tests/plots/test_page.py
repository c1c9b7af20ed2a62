"""Files of plots: pages that need nothing else, errors, and what is left behind."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pytest

from impasto.errors import ConfigError, MissingExtraError, OutputError, SampleError
from impasto.media.pictures.picture import from_array, open_picture
from impasto.media.sample import Sample
from impasto.plots import View, plot
from impasto.plots.page import clock, list_names, short
from tests.missing import hide
from tests.signals import heartbeats, signal, sound

ECG = signal([heartbeats(12), -heartbeats(12)], 250.0)
STYLE = signal(np.tile(heartbeats(12, 200.0), (2, 1)), 200.0)
SOUND = sound(0.5 * np.sin(np.arange(20_000) / 3))


@pytest.mark.parametrize("kind", ["auto", "ecg", "spectrum", "spectrogram"])
@pytest.mark.parametrize("samples", [[ECG, ECG, STYLE], [SOUND]], ids=["ecg", "sound"])
def test_a_page_loads_nothing(
    tmp_path: Path, kind: Literal["auto", "ecg", "spectrum", "spectrogram"], samples: list[Any]
) -> None:
    pytest.importorskip("plotly")
    labels = ["<img src=x>", "b & c", "s"][: len(samples)]
    plot(samples, labels, tmp_path / "out.html", View(kind))
    page = (tmp_path / "out.html").read_text()
    # Tags only: the library itself, a script, speaks of addresses that it does not load here.
    markup = re.sub(r"(<script[^>]*>).*?(</script>)", r"\1\2", page, flags=re.DOTALL)
    assert not re.search(r"<[^>]*\s(src|href)\s*=", markup)
    assert "<img" not in markup
    assert "Plotly.newPlot" in page
    assert len(page) > 1_000_000
    assert ("Not for diagnosis" in page) == (samples[0] is ECG or kind == "ecg")
    assert [path.name for path in tmp_path.iterdir()] == ["out.html"]


def test_paper_on_the_screen_has_its_grid() -> None:
    pytest.importorskip("plotly")
    from impasto.plots.paper_screen import paper_page
    from impasto.plots.signal import _paper

    paper = _paper([ECG, ECG, STYLE], ["a", "b", "c"], View())
    figure = paper_page(paper)
    assert figure.layout.xaxis.dtick == pytest.approx(0.2)
    assert figure.layout.xaxis.minor.dtick == pytest.approx(0.04)
    assert figure.layout.yaxis.dtick == pytest.approx(0.5)
    assert figure.layout.yaxis.minor.dtick == pytest.approx(0.1)
    field = figure.layout.width - figure.layout.margin.l - figure.layout.margin.r
    first, last = figure.layout.xaxis.range
    assert field / (last - first) == pytest.approx(25 * 96 / 25.4)
    shown = [line.name for line in figure.data if line.showlegend]
    assert sorted(shown) == ["a", "b", "c"]
    pulse = next(line for line in figure.data if line.name == "calibration")
    assert max(pulse.y) == 1
    assert np.ptp(np.array(pulse.x)[np.array(pulse.y) == 1]) == pytest.approx(0.2)


def test_pictures_come_side_by_side(tmp_path: Path) -> None:
    one, other = np.zeros((40, 60, 3)), np.ones((80, 40, 3)) * 0.5
    plot([from_array(one), from_array(other)], ["a", "b"], tmp_path / "out.png", View())
    row = open_picture(tmp_path / "out.png").data
    assert row.shape == (3, 40, 60 + 1 + 20)
    assert row[:, :, :60].max() == 0
    assert row[:, :, 60].min() == 1
    assert np.allclose(row[:, :, 61:], 0.5, atol=0.01)


def test_pictures_are_no_pages(tmp_path: Path) -> None:
    with pytest.raises(OutputError, match=r"\.png, for pictures"):
        plot([from_array(np.zeros((4, 4, 3)))], ["a"], tmp_path / "out.html", View())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize(
    "samples",
    [
        [ECG, from_array(np.zeros((4, 4, 3)))],
        [ECG, Sample(np.zeros((1, 4, 4, 4), np.float32))],
        [Sample(np.zeros((2, 4, 4, 4), np.float32))],
        [Sample(np.zeros((1, 4), np.float32))],
    ],
)
def test_other_samples_are_refused(tmp_path: Path, samples: list[Sample]) -> None:
    with pytest.raises(SampleError, match="sampling rate"):
        plot(samples, ["a", "b"][: len(samples)], tmp_path / "out.png", View())
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("name", ["out.gif", "out", "missing/out.png"])
def test_outputs_that_cannot_be(tmp_path: Path, name: str) -> None:
    with pytest.raises(OutputError):
        plot([ECG], ["a"], tmp_path / name, View())


@pytest.mark.parametrize(
    ("view", "words"),
    [
        ({"start": -1.0}, "--from"),
        ({"start": float("nan")}, "--from"),
        ({"seconds": 0.0}, "--seconds"),
        ({"seconds": float("inf")}, "--seconds"),
        ({"start": 12.0}, "before the end of a, which is 12 s long"),
        ({"leads": ("V9",)}, "I II"),
        ({"leads": ("3",)}, "found 3"),
    ],
)
def test_views_that_cannot_be(tmp_path: Path, view: dict[str, Any], words: str) -> None:
    with pytest.raises(ConfigError, match=words):
        plot([ECG], ["a"], tmp_path / "out.png", View(**view))
    assert not list(tmp_path.iterdir())


def test_too_many_files(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="at most 3"):
        plot([ECG] * 4, list("abcd"), tmp_path / "out.png", View())
    with pytest.raises(ConfigError, match="at most 6"):
        plot([ECG] * 7, list("abcdefg"), tmp_path / "out.png", View("spectrum"))


@pytest.mark.parametrize(("library", "output"), [("matplotlib", "x.png"), ("plotly", "x.html")])
def test_a_missing_library_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, library: str, output: str
) -> None:
    hide(library, monkeypatch)
    with pytest.raises(MissingExtraError, match=rf"{library}.*impasto\[plots\]"):
        plot([ECG], ["a"], tmp_path / output, View())
    assert not list(tmp_path.iterdir())


def test_a_name_that_the_font_lacks_is_no_warning(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plot([ECG], ["心電図.edf"], tmp_path / "out.png", View())
    assert (tmp_path / "out.png").exists()


def test_the_same_plot_is_the_same_file(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    for suffix in (".png", ".pdf"):
        for name in ("a", "b"):
            plot([ECG], ["x"], tmp_path / f"{name}{suffix}", View())
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_labels_and_times_are_formatted() -> None:
    assert list_names(["a"]) == "a"
    assert list_names(["a", "b", "c"]) == "a, b and c"
    assert (clock(7, 10), clock(7.5, 10), clock(67, 300)) == ("7 s", "7.5 s", "1:07")
    assert (clock(179.9999999, 300), clock(3661, 9000)) == ("3:00", "1:01:01")
    assert short("a" * 100, 9) == "aaaa…aaaa"
    assert short(" a\nb ", 9) == "a b"
