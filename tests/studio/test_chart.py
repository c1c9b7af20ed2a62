"""The curves of a run that is going."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from tests.studio.pages import until

if TYPE_CHECKING:
    from playwright.sync_api import Page

    Open = Callable[..., Page]

SCRIPT = """
import { Chart } from "./chart.js"
const section = document.createElement("section")
document.body.append(section)
window.chart = new Chart(section)
const steps = Array.from({ length: 4000 }, (_, n) => n + 1)
window.upTo = count => {
  const some = steps.slice(0, count)
  const rows = { J: some.map(n => n === 1001 ? 50 : 10 / n), style: some.map(() => null) }
  chart.update({ steps: some, scales: [{ step: 1, grid: "32 x 24" }], rows })
}
window.ready = true
"""


def told(pattern: str) -> str:
    return f"/{pattern}/.test(chart.legend.textContent)"


def test_updates_keep_what_the_pointer_shows(open_page: Open) -> None:
    page = open_page(SCRIPT, {}, "base.css", "chart.css")
    assert page.locator(".chart > *").count() == 0
    page.evaluate("upTo(1)")
    until(page, told("step 1, scale 32 x 24"))
    page.evaluate("upTo(2001)")
    until(page, told("step 2001,"))
    box = page.locator(".chart").bounding_box()
    assert box
    middle = 46 + (box["width"] - 58) / 2
    page.mouse.move(box["x"] + middle, box["y"] + 100)
    until(page, told("step 1001,"))
    assert page.evaluate(told("J 50"))
    page.evaluate("upTo(4000)")
    until(page, told("step 200[01],"))  # still below the pointer
    assert page.evaluate(told("style \u2013"))
    page.mouse.move(0, 0)
    until(page, told("step 4000,"))


def test_a_long_curve_has_few_points_and_keeps_its_peak(open_page: Open) -> None:
    page = open_page(SCRIPT, {}, "base.css", "chart.css")
    page.evaluate("upTo(4000)")
    until(page, "document.querySelectorAll('.chart path').length === 2")
    path = page.locator(".chart path").first
    points = [point.split(",") for point in (path.get_attribute("d") or "")[1:].split("L")]
    assert len(points) < 3500
    high = page.evaluate("chart.y(50)")
    assert abs(min(float(y) for _, y in points) - high) < 0.1
    times = page.evaluate("""() => {
      const start = performance.now()
      for (let n = 0; n < 20; n++) upTo(4000)
      return performance.now() - start
    }""")
    assert times < 2000
