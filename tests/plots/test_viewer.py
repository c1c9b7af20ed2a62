"""The page to leaf through volumes: what is in the file, and what a browser makes of it."""

from __future__ import annotations

import base64
import gzip
import json
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest

pytest.importorskip("matplotlib")
pytest.importorskip("nibabel")

from impasto.media.volumes.volume import Volume
from impasto.plots import View, plot
from impasto.plots import planes_screen as screen
from impasto.plots.volume import page_of
from tests.browser import probed
from tests.media.volumes import volume

CONTENT = volume(20, 24, 10)
STYLE = volume(9, 8, 7)
RESULT = CONTENT.with_data(CONTENT.data + np.linspace(-50, 90, 20, dtype=np.float32)[:, None, None])
LABELS = ["</script><img src=x>", "b & c", "s"]

PROBE = """
<script>
const seen = {}
function look(name) {
  seen[name] = page.rows.map(row => page.planes.map(plane => {
    const { canvas } = row.views[plane.name].context
    const pixels = row.views[plane.name].context.getImageData(0, 0, canvas.width, canvas.height)
    return [canvas.width, canvas.height, ...pixels.data.filter((_, n) => n % 4 !== 3)]
  }))
}
const waiting = setInterval(() => {
  if (document.body.dataset.ready !== "yes") return
  clearInterval(waiting)
  look("start")
  controls.axial.input.value = 2
  controls.axial.input.dispatchEvent(new Event("input"))
  show()
  look("axial")
  const box = page.rows[0].views.sagittal.box
  const { left, top, width, height } = box.getBoundingClientRect()
  const [clientX, clientY] = [left + 5.5 / 24 * width, top + 8.5 / 10 * height]
  box.dispatchEvent(new PointerEvent("pointerdown", { clientX, clientY }))
  show()
  look("click")
  seen.place = place
  seen.sizes = page.planes.map(plane => {
    const { width, height } = page.rows[0].views[plane.name].box.getBoundingClientRect()
    return [width, height]
  })
  add(document.body, "pre", { id: "seen", textContent: JSON.stringify(seen) })
}, 20)
</script>
"""


@pytest.fixture
def drawn(tmp_path: Path) -> Path:
    plot([RESULT, CONTENT, STYLE], LABELS, tmp_path / "out.html", View())
    return tmp_path / "out.html"


def data_of(page: Path) -> Any:
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', page.read_text())
    assert found
    return json.loads(found[1])


def test_the_page_loads_nothing_and_is_small(drawn: Path) -> None:
    text = drawn.read_text()
    markup = re.sub(r"(<script[^>]*>).*?(</script>)", r"\1\2", text, flags=re.DOTALL)
    assert not re.search(r"<[^>]*\s(src|href)\s*=", markup)
    assert not re.search(r"https?:", text)
    assert "<img" not in markup
    assert "b &amp; c" in markup
    assert "Not for diagnosis" in markup
    assert "<!--" not in text.removeprefix("<!DOCTYPE html>")
    voxels = 3 * CONTENT.data.size + STYLE.data.size
    assert len(text) < 12_000 + 1.4 * voxels


def test_voxels_are_stored_in_8_bits(drawn: Path) -> None:
    rows = page_of([RESULT, CONTENT, STYLE], LABELS, View()).rows
    stored = data_of(drawn)["rows"]
    assert [row["title"] for row in stored] == ["b & c", "s", LABELS[0], f"{LABELS[0]} less b & c"]
    for row, found in zip(rows, stored, strict=True):
        values = row.volume.data[0]
        levels = np.frombuffer(gzip.decompress(base64.b64decode(found["voxels"])), np.uint8)
        levels = levels.reshape(values.shape, order="F")
        low, high = found["limits"]
        back = low + levels / 255 * (high - low)
        assert np.abs(back - np.clip(values, low, high)).max() <= 0.51 * (high - low) / 255


def test_a_large_volume_is_thinned(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(screen, "MOST", 1000)
    row = page_of([CONTENT], ["a"], View()).rows[0]
    thin = screen.quantize(row)
    assert thin.shape == (10, 12, 5)
    monkeypatch.undo()
    assert (thin == screen.quantize(row)[::2, ::2, ::2]).all()


def test_a_browser_draws_the_planes(drawn: Path, tmp_path: Path) -> None:
    """Without any window; the planes as they are at the start, after a slider and after a click."""
    seen = probed(drawn.read_text(), PROBE, tmp_path, "--virtual-time-budget=10000")
    rows = page_of([RESULT, CONTENT, STYLE], LABELS, View()).rows
    expected = {"start": (10, 12, 5), "axial": (10, 12, 2), "click": (10, 5, 8)}
    assert seen["place"] == list(expected["click"])
    for name, place in expected.items():
        for row, planes in zip(rows, seen[name], strict=True):
            levels = screen.quantize(row)
            x, y, z = (
                int((n + 0.5) / side * own)
                for n, side, own in zip(place, CONTENT.space, levels.shape, strict=True)
            )
            images = levels[:, :, z].T, levels[:, y].T, levels[x].T
            for image, (width, height, *pixels) in zip(images, planes, strict=True):
                assert (height, width) == image.shape
                colors = np.array(pixels).reshape(*image.shape, 3)
                if row.difference:
                    assert (colors[image == 0] == [0x21, 0x66, 0xAC]).all()
                    assert (colors[image == 255] == [0xB2, 0x18, 0x2B]).all()
                else:
                    assert (colors == image[..., None]).all()
    extent = rows[0].extent
    sides = [(extent[0], extent[1]), (extent[0], extent[2]), (extent[1], extent[2])]
    assert np.ptp(np.divide(seen["sizes"], sides)) < 0.01 * seen["sizes"][0][0] / extent[0]


def test_a_constant_volume_is_no_error(tmp_path: Path) -> None:
    flat = Volume(np.full((1, 4, 4, 4), 3.0, np.float32))
    plot([flat, flat], ["a", "b"], tmp_path / "out.html", View())
    assert (screen.quantize(page_of([flat], ["a"], View()).rows[0]) == 128).all()
